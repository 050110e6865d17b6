//! Listening, and stopping without cutting anybody off.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::identity::Peer;
use super::{Service, route};

/// Most connections at once; one that waits costs some 10 KiB, one that works at most some 100.
/// Further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 65_536;
/// Descriptors that stay free for the store, mounts and commands.
const DESCRIPTORS_KEPT: usize = 1024;
/// A client has this long for the head of a request, the first and each further one.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// Most bytes of a request's head; the longest legal URL needs 24 KiB.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines.
const HEADERS_MAX: usize = 100;
/// How long requests in flight may go on after the stop signal.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);

/// Open sockets, not yet served.
#[derive(Debug)]
pub struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<Socket>,
}

/// A Unix socket whose file is removed at the end.
#[derive(Debug)]
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Nobody listens any more: a file that stays is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listeners {
    /// Binds all addresses and the socket file. The caller holds the lock of the data directory,
    /// so a socket file that exists belongs to a dead server.
    ///
    /// # Errors
    /// Which address or file could not be bound, and why.
    pub async fn bind(addresses: &[String], socket: Option<&Path>) -> Result<Self, BindError> {
        let mut tcp = Vec::new();
        for address in addresses {
            let bound = TcpListener::bind(address).await;
            tcp.push(bound.map_err(|error| BindError { place: address.clone(), error })?);
        }
        let unix = match socket {
            None => None,
            Some(path) => Some(
                bind_socket(path)
                    .map_err(|error| BindError { place: path.display().to_string(), error })?,
            ),
        };
        Ok(Self { tcp, unix })
    }

    /// The addresses, with the ports the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

/// A place that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// Address or socket file.
    pub place: String,
    /// Why.
    pub error: std::io::Error,
}

fn bind_socket(path: &Path) -> std::io::Result<Socket> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(crate::base::socket::Reachable::new(path)?.path())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Socket { listener, path: path.to_owned() })
}

/// As many connections as there may be descriptors; the limit is raised as far as we may.
fn connections_max() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return CONNECTIONS_MAX };
    let wished = (CONNECTIONS_MAX + DESCRIPTORS_KEPT) as u64;
    let reached = hard.min(wished).max(soft);
    if reached > soft && setrlimit(Resource::RLIMIT_NOFILE, reached, hard).is_err() {
        tracing::warn!(soft, hard, "the limit of open files cannot be raised");
    }
    let now = getrlimit(Resource::RLIMIT_NOFILE).map_or(soft, |(now, _)| now);
    let now = usize::try_from(now).unwrap_or(CONNECTIONS_MAX);
    now.saturating_sub(DESCRIPTORS_KEPT.min(now / 2)).clamp(16, CONNECTIONS_MAX)
}

/// Serves until the stop signal, then lets requests in flight end for at most
/// [`DRAIN_TIME_MAX`].
pub async fn serve(listeners: Listeners, service: Service) {
    let shutdown = service.shutdown.clone();
    let graceful = Arc::new(Graceful {
        watcher: parking_lot::Mutex::new(Some(GracefulShutdown::new())),
        places: Arc::new(Semaphore::new(connections_max())),
    });
    let mut loops = tokio::task::JoinSet::new();
    for listener in listeners.tcp {
        let (service, shutdown, graceful) = (service.clone(), shutdown.clone(), graceful.clone());
        loops.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = shutdown.wait() => break,
                    accepted = accept(&graceful, listener.accept()) => accepted,
                };
                if let Some((place, (stream, address))) = accepted {
                    // Small answers must not wait for more.
                    let _ = stream.set_nodelay(true);
                    graceful.connection(stream, Peer::Tcp(address), service.clone(), place);
                }
            }
        });
    }
    if let Some(socket) = listeners.unix {
        let (shutdown, graceful) = (shutdown.clone(), graceful.clone());
        loops.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = shutdown.wait() => break,
                    accepted = accept(&graceful, socket.listener.accept()) => accepted,
                };
                if let Some((place, (stream, _))) = accepted {
                    let uid = stream.peer_cred().map(|cred| cred.uid()).ok();
                    graceful.connection(stream, Peer::Local { uid }, service.clone(), place);
                }
            }
            drop(socket);
        });
    }
    while loops.join_next().await.is_some() {}
    let watcher = graceful.watcher.lock().take();
    if let Some(watcher) = watcher
        && tokio::time::timeout(DRAIN_TIME_MAX, watcher.shutdown()).await.is_err()
    {
        tracing::warn!("requests were still in flight at the end of the drain time");
    }
}

struct Graceful {
    watcher: parking_lot::Mutex<Option<GracefulShutdown>>,
    places: Arc<Semaphore>,
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// Accepts one connection once there is a place for it.
async fn accept<T>(
    graceful: &Graceful,
    accept: impl Future<Output = std::io::Result<T>>,
) -> Option<(Place, T)> {
    let place = Arc::clone(&graceful.places).acquire_owned().await.ok()?;
    match accept.await {
        Ok(accepted) => Some((place, accepted)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of descriptors: give connections time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

impl Graceful {
    fn connection<S>(&self, stream: S, peer: Peer, service: Service, place: Place)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let answerer = TowerToHyperService::new(route::answerer(service, peer));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), answerer);
        let watched = match self.watcher.lock().as_ref() {
            Some(watcher) => watcher.watch(connection),
            None => return,
        };
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
}
