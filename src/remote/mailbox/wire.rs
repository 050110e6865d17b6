//! The connection to a mail server: lines and blocks of bytes, all bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Account, MAIL_BYTES_MAX, Trouble};
use crate::remote::names;
use crate::remote::network::{self, Network};

/// Most bytes of a line that are kept. What is longer is cut; servers list what they found so.
pub(super) const LINE_MAX: usize = 64 * 1024;

/// Most bytes of the answer to one command.
const ANSWER_BYTES_MAX: usize = MAIL_BYTES_MAX + 32 * 1024 * 1024;

/// The end of a line that was cut is kept. Reason: it says whether a block of bytes follows.
const TAIL: usize = 32;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    timeout: Option<Duration>,
    /// Bytes that the server may still say.
    left: usize,
    /// Most bytes that are kept of a block or of a mail.
    pub(super) most: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("left", &self.left).finish_non_exhaustive()
    }
}

/// A line without its end.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// At most [`LINE_MAX`] bytes.
    pub(super) text: Vec<u8>,
    /// Its last bytes, also of one that was cut.
    pub(super) tail: Vec<u8>,
    /// Whether something is missing in `text`.
    pub(super) cut: bool,
}

/// A part of a line.
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    /// Whether the line ends here.
    pub(super) last: bool,
}

impl Wire {
    /// Connects.
    pub(super) async fn connect(account: &Account, network: &Network) -> Result<Self, Trouble> {
        let at = (account.host.as_str(), account.port());
        let failed = |why: &dyn fmt::Display| {
            Trouble::Broken(format!("cannot connect to {} port {}: {why}", at.0, at.1))
        };
        let found = within(account.timeout, network.names.find(at.0)).await?;
        let found = found.map_err(|error| failed(&error))?;
        if account.oauth2 && !account.tls && !network::are_here(&found) {
            return Err(Trouble::Refused(network::in_clear("SSL")));
        }
        let stream = within(account.timeout, names::reach(&found, at.1)).await?;
        let stream = stream.map_err(|error| failed(&error))?;
        let stream: Box<dyn Stream> = if account.tls {
            let name =
                ServerName::try_from(account.host.clone()).map_err(|error| failed(&error))?;
            let config = network.trust.config().map_err(|why| failed(&why))?;
            let connector = TlsConnector::from(Arc::new(config));
            let secured = within(account.timeout, connector.connect(name, stream)).await?;
            Box::new(secured.map_err(|error| match network::bad_certificate(&error) {
                Some(why) => failed(&why),
                None => failed(&error),
            })?)
        } else {
            Box::new(stream)
        };
        let stream = BufReader::with_capacity(LINE_MAX, stream);
        Ok(Self { stream, timeout: account.timeout, left: ANSWER_BYTES_MAX, most: LINE_MAX })
    }

    /// Says something; what follows is its answer.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.left = ANSWER_BYTES_MAX;
        let stream = &mut self.stream;
        let work = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        within(self.timeout, work).await?.map_err(|error| lost(&error))
    }

    /// The next line, or as much of it as fits.
    pub(super) async fn segment(&mut self) -> Result<Segment, Trouble> {
        let mut bytes = Vec::new();
        let most = LINE_MAX.min(self.left) as u64;
        let mut limited = (&mut self.stream).take(most);
        let read = within(self.timeout, limited.read_until(b'\n', &mut bytes)).await?;
        read.map_err(|error| lost(&error))?;
        self.spend(bytes.len())?;
        let last = bytes.last() == Some(&b'\n');
        Ok(Segment { bytes, last })
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Result<Line, Trouble> {
        let mut line = Line::default();
        loop {
            let Segment { mut bytes, last } = self.segment().await?;
            if last {
                bytes.pop();
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
            }
            line.tail
                .extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(&[]));
            let surplus = line.tail.len().saturating_sub(TAIL);
            line.tail.drain(..surplus);
            if line.text.is_empty() && !line.cut {
                line.text = bytes;
            } else {
                line.cut |= !bytes.is_empty();
            }
            if last {
                return Ok(line);
            }
        }
    }

    /// The next `size` bytes; more than `max` are passed over, and are `None`.
    pub(super) async fn block(
        &mut self,
        size: usize,
        max: usize,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let mut kept = Vec::new();
        let mut left = size;
        while left > 0 {
            let chunk = within(self.timeout, self.stream.fill_buf()).await?;
            let chunk = chunk.map_err(|error| lost(&error))?;
            let taken = chunk.len().min(left);
            if size <= max {
                kept.extend_from_slice(chunk.get(..taken).unwrap_or(&[]));
            }
            self.stream.consume(taken);
            self.spend(taken)?;
            left -= taken;
        }
        Ok((size <= max).then_some(kept))
    }

    /// Counts what the server said; nothing means that it has gone.
    fn spend(&mut self, bytes: usize) -> Result<(), Trouble> {
        if self.left == 0 {
            return Err(Trouble::Excess("the mail server says too much".to_owned()));
        }
        if bytes == 0 {
            return Err(Trouble::Broken("the mail server closed the connection".to_owned()));
        }
        self.left = self.left.saturating_sub(bytes);
        Ok(())
    }
}

fn lost(error: &std::io::Error) -> Trouble {
    Trouble::Broken(format!("the connection to the mail server is lost: {error}"))
}

/// Waits no longer than the settings say.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, Trouble> {
    match limit {
        None => Ok(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| {
            let seconds = limit.as_secs_f64();
            Trouble::Broken(format!("the mail server was silent for {seconds} seconds"))
        }),
    }
}

/// What a server said. It is made a short line for people where it is known what to hide in it.
pub(super) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..LINE_MAX.min(text.len())).unwrap_or(&[]));
    text.trim().to_owned()
}
