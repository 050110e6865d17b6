//! Addresses of machines, asked for on threads of their own (rule: `operations/mail-channels`).
//!
//! Asking the system for an address cannot be ended early, and may take as long as the name servers
//! like. So it happens where nobody waits for anything else: who gives up leaves a thread behind,
//! and there are only so many of them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};

/// Names that are asked for at once, by all. Ours: twice as many as mailboxes are looked at.
const LOOKUPS_MAX: usize = 64;

/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;

type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Finds addresses. Clones share their threads.
#[derive(Clone)]
pub struct Names {
    ask: Arc<Ask>,
    room: Arc<Semaphore>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Default for Names {
    /// As the system finds them.
    fn default() -> Self {
        static MACHINE: LazyLock<Names> = LazyLock::new(|| {
            Names::with(|host| Ok((host, 0).to_socket_addrs()?.map(|found| found.ip()).collect()))
        });
        MACHINE.clone()
    }
}

impl Names {
    /// As `ask` finds them; it may block.
    pub fn with(ask: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), room: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// The addresses of a name; an address is its own.
    ///
    /// # Errors
    /// There is no such name, or it cannot be found out.
    pub async fn find(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)?;
        let (tell, told) = oneshot::channel();
        let (ask, name) = (Arc::clone(&self.ask), host.to_owned());
        std::thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let found = ask(&name);
            drop(place);
            // Nobody may be waiting any more.
            let _ = tell.send(found);
        })?;
        let mut found = told.await.map_err(io::Error::other)??;
        found.truncate(ADDRESSES_MAX);
        if found.is_empty() {
            return Err(io::Error::other(format!("{host} has no address")));
        }
        Ok(found)
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// As [`Names::find`]; nobody answers.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        reach(&self.find(host).await?, port).await
    }
}

/// Connects to the first of some addresses that answers.
///
/// # Errors
/// Nobody answers.
pub async fn reach(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut failed = None;
    for &address in addresses {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::other("it has no address")))
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.find(name.as_str()).await?;
            let all: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    // rule: operations/mail-channels
    #[test]
    fn slow_names_keep_nobody_from_ending() {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let held = parking_lot::Mutex::new(held);
        let names = Names::with(move |host| {
            if host == "slow.test" {
                let _ = held.lock().recv();
            }
            Ok(if host == "none.test" { Vec::new() } else { vec![Ipv4Addr::LOCALHOST.into()] })
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let slow = names.find("slow.test");
            let others = async {
                assert_eq!(names.find("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
                assert_eq!(names.find("quick.test").await.unwrap(), [Ipv4Addr::LOCALHOST]);
                assert!(names.find("none.test").await.is_err());
            };
            tokio::select! {
                found = slow => panic!("{found:?}"),
                () = others => {}
            }
        });
        // It ends although the name is not found yet.
        drop(runtime);
        drop(let_go);
    }
}
