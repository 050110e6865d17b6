//! For tests: an authority of their own, and servers that speak TLS with its certificates.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::network::{Network, Trust};

static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of the same name would be taken for each other.
        let number = AUTHORITIES.fetch_add(1, Ordering::SeqCst);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What believes this authority, and no other.
    pub(crate) fn network(&self) -> Network {
        Network { trust: Trust::Only(vec![self.0.der().clone()]), ..Network::default() }
    }

    /// Speaks TLS as a server of this name or address.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            );
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }

    /// A port of this machine that speaks TLS and hands what it hears to another port.
    pub(crate) fn front(&self, name: &str, port: u16) -> u16 {
        let acceptor = self.acceptor(name);
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let Ok(mut inner) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
            }
        })
    }
}

/// Answers every connection to a new port, as long as the test's process lives.
pub(crate) fn serve<F: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
    });
    port
}

/// Runs what waits for the network.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

type Say = dyn Fn(&HashMap<String, String>) -> (u16, String) + Send + Sync;

/// An OAuth2 provider that gives tokens as a test says.
pub(crate) struct Giver {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<HashMap<String, String>>>>,
}

impl Giver {
    /// `say` makes a status and a body of the fields of a form.
    pub(crate) fn start(
        say: impl Fn(&HashMap<String, String>) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let (heard, say): (Arc<Mutex<Vec<_>>>, Arc<Say>) = (Arc::default(), Arc::new(say));
        let noted = Arc::clone(&heard);
        let port = serve(move |stream| {
            let (noted, say) = (Arc::clone(&noted), Arc::clone(&say));
            async move {
                let _ = answer(stream, &noted, &say).await;
            }
        });
        Self { port, heard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    /// The forms that came, in order.
    pub(crate) fn heard(&self) -> Vec<HashMap<String, String>> {
        self.heard.lock().clone()
    }
}

async fn answer(
    stream: TcpStream,
    noted: &Mutex<Vec<HashMap<String, String>>>,
    say: &Arc<Say>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let mut url = reqwest::Url::parse("http://localhost/").unwrap();
    url.set_query(Some(&String::from_utf8(body).unwrap()));
    let form: HashMap<String, String> = url.query_pairs().into_owned().collect();
    noted.lock().push(form.clone());
    let say = Arc::clone(say);
    let said = tokio::task::spawn_blocking(move || say(&form)).await;
    let (status, body) = said.unwrap();
    let place = if status == 307 { "Location: /token\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} x\r\n{place}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await
}
