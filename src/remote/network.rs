//! How servers are found, and which are believed (rule: `operations/mail-tls`).

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::limits::{
    MAIL_FETCH_SECONDS, MAIL_LEAVE_SECONDS, MAIL_SEND_BYTES_PER_SECOND, MAIL_SEND_SECONDS,
};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConfig, RootCertStore, crypto};

use super::names::Names;

/// What a connection is made with.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Where addresses come from.
    pub names: Names,
    /// Whom it believes.
    pub trust: Trust,
    /// How long mail servers may take.
    pub patience: Patience,
}

/// How long mail servers may take, whatever the settings say.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To take a small mail, from connecting on.
    pub send: Duration,
    /// To say good-bye afterwards.
    pub leave: Duration,
    /// To give a mail.
    pub fetch: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            send: Duration::from_secs(MAIL_SEND_SECONDS),
            leave: Duration::from_secs(MAIL_LEAVE_SECONDS),
            fetch: Duration::from_secs(MAIL_FETCH_SECONDS),
        }
    }
}

impl Patience {
    /// To take a mail of so many bytes.
    #[must_use]
    pub fn send(&self, bytes: usize) -> Duration {
        self.send.saturating_add(Duration::from_secs(bytes as u64 / MAIL_SEND_BYTES_PER_SECOND))
    }
}

/// Whether all of these are of this machine: what is sent there is not on any network.
#[must_use]
pub fn are_here(addresses: &[IpAddr]) -> bool {
    addresses.iter().all(|address| address.to_canonical().is_loopback())
}

/// Why a token is not sent, and which field helps.
#[must_use]
pub fn in_clear(field: &str) -> String {
    format!("the OAuth2 token would be sent in the clear: switch {field} on")
}

/// Whose signatures on certificates count.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that the machine trusts.
    #[default]
    Machine,
    /// These authorities alone.
    Only(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// Certificates and the names in them are always checked.
    ///
    /// # Errors
    /// No encryption can be had, in words.
    pub fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Machine => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)
            }
            Self::Only(certificates) => roots.add_parsable_certificates(certificates.clone()),
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Why a certificate was not accepted, in words; `None` when the error is another one.
#[must_use]
pub fn bad_certificate(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = of_tls(error) {
            return Some(format!("its certificate is not accepted: {}", words(why)));
        }
        next = error.source();
    }
    None
}

/// Errors of streams hide what they are made of from `source`.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let inside = error.downcast_ref::<io::Error>()?.get_ref()?;
    of_tls(inside)
}

fn words(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "it is signed by no authority that this machine trusts".to_owned()
        }
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("it is for another name ({})", presented.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::BadSignature => "its signature is wrong".to_owned(),
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}
