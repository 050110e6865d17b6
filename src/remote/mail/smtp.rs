//! The conversation with a server that takes mail (rule: `operations/mail-sending`).
//!
//! Nothing that a server does, or leaves undone, holds up who talks to it for good: the settings
//! bound each silence, we bound each answer and the whole. What it says after it has taken a mail
//! changes nothing any more.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio_rustls::TlsConnector;

use super::Server;
use super::guard::Guard;
use crate::remote::hide;
use crate::remote::names;
use crate::remote::network::{self, Network, Trust};

/// Hands a mail to a server.
///
/// # Errors
/// No connection, a refusal, no answer in time: in words, without secrets.
pub async fn send(
    server: &Server,
    network: &Network,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<(), String> {
    let limit = network.patience.send(mail.len());
    let work = async {
        let mut connection = open(server, network).await?;
        connection.send(envelope, mail).await.map_err(|error| told(&error, server))?;
        Ok::<_, String>(connection)
    };
    let connection = within(Some(limit), work).await??;
    leave(connection, network).await;
    Ok(())
}

/// Greets a server, and logs in if the settings say so.
///
/// # Errors
/// As [`send`].
pub async fn greet(server: &Server, network: &Network) -> Result<(), String> {
    let limit = network.patience.send(0);
    let work = async {
        let mut connection = open(server, network).await?;
        match connection.test_connected().await {
            true => Ok(connection),
            false => Err("the server does not answer".to_owned()),
        }
    };
    let connection = within(Some(limit), work).await??;
    leave(connection, network).await;
    Ok(())
}

/// Says good-bye; all that counts is done.
async fn leave(mut connection: AsyncSmtpConnection, network: &Network) {
    let _ = tokio::time::timeout(network.patience.leave, connection.quit()).await;
}

/// Connects, encrypts and logs in.
async fn open(server: &Server, network: &Network) -> Result<AsyncSmtpConnection, String> {
    // The first one wins; all of ours are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let standard = match (server.tls, server.ssl) {
        (_, true) => 465,
        (true, false) => 587,
        (false, false) => 25,
    };
    let port = server.port.unwrap_or(standard);
    let failed =
        |why: &dyn Display| format!("cannot connect to {} port {port}: {why}", server.host);
    let found = within(server.timeout, network.names.find(&server.host)).await?;
    let found = found.map_err(|error| failed(&error))?;
    if server.oauth2 && !server.tls && !server.ssl && !network::are_here(&found) {
        return Err(network::in_clear("use_tls or use_ssl"));
    }
    let stream = within(server.timeout, names::reach(&found, port)).await?;
    let stream = stream.map_err(|error| failed(&error))?;
    let peer = stream.peer_addr().map_err(|error| failed(&error))?;
    let stream: Box<dyn AsyncTokioStream> = if server.ssl {
        let name = ServerName::try_from(server.host.clone()).map_err(|error| failed(&error))?;
        let config = network.trust.config().map_err(|why| failed(&why))?;
        let connector = TlsConnector::from(Arc::new(config));
        let secured = within(server.timeout, connector.connect(name, stream)).await?;
        let secured = secured.map_err(|error| told(&error, server))?;
        Box::new(Guard::new(secured, peer, server.timeout))
    } else {
        Box::new(Guard::new(stream, peer, server.timeout))
    };
    let hello = ClientId::default();
    let connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
    let mut connection = connection.map_err(|error| told(&error, server))?;
    if server.tls && !server.ssl {
        let parameters = parameters(server, network)?;
        let secured = connection.starttls(parameters, &hello).await;
        secured.map_err(|error| told(&error, server))?;
    }
    if let (Some(user), Some(password)) = (&server.user, &server.password) {
        let word = password.expose_secret().to_owned();
        let credentials = Credentials::new(user.clone(), word);
        let ways = if server.oauth2 { &[Mechanism::Xoauth2] } else { DEFAULT_MECHANISMS };
        let logged_in = connection.auth(ways, &credentials).await;
        logged_in.map_err(|error| told(&error, server))?;
    }
    Ok(connection)
}

fn parameters(server: &Server, network: &Network) -> Result<TlsParameters, String> {
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Trust::Only(authorities) = &network.trust {
        parameters = parameters.certificate_store(CertificateStore::None);
        for one in authorities {
            let one = Certificate::from_der(one.to_vec()).map_err(|error| told(&error, server))?;
            parameters = parameters.add_root_certificate(one);
        }
    }
    parameters.build().map_err(|error| told(&error, server))
}

/// Waits no longer than that.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, String> {
    let Some(limit) = limit else { return Ok(work.await) };
    Box::pin(tokio::time::timeout(limit, work)).await.map_err(|_| {
        format!("the mail server did not do its work within {} seconds", limit.as_secs_f64())
    })
}

/// In words; a server may repeat what it was told.
fn told(error: &(dyn std::error::Error + 'static), server: &Server) -> String {
    if let Some(why) = network::bad_certificate(error) {
        return format!("the mail server cannot be trusted: {why}");
    }
    let text = match error.source() {
        Some(cause) if !error.to_string().contains(&cause.to_string()) => {
            format!("{error}: {cause}")
        }
        _ => error.to_string(),
    };
    let secrets: Vec<_> = server.password.iter().collect();
    // Before the first colon no word is the server's; that one is missing there would tell a secret.
    match text.split_once(": ") {
        Some((ours, theirs)) => format!("{ours}: {}", hide::line(theirs, &secrets)),
        None => text,
    }
}
