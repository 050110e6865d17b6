//! A connection whose other end may neither be silent nor talk for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Most bytes of what comes between two things that are said. Ours: an answer has some hundred,
/// the certificates of a server some thousand.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// Bounds what comes from a stream.
#[derive(Debug)]
pub(super) struct Guard<S> {
    stream: S,
    peer: SocketAddr,
    /// The longest silence; `None` is the system's.
    silence: Option<Duration>,
    /// When it is over, while somebody waits.
    end: Option<Pin<Box<Sleep>>>,
    /// Bytes that may still come.
    left: usize,
}

impl<S> Guard<S> {
    pub(super) fn new(stream: S, peer: SocketAddr, silence: Option<Duration>) -> Self {
        Self { stream, peer, silence, end: None, left: ANSWER_BYTES_MAX }
    }

    /// Somebody waits, unless it is for too long by now.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(silence) = self.silence else { return Poll::Pending };
        let end = self.end.get_or_insert_with(|| {
            let end = Instant::now().checked_add(silence);
            Box::pin(match end {
                Some(end) => tokio::time::sleep_until(end),
                None => tokio::time::sleep(Duration::MAX),
            })
        });
        ready!(end.as_mut().poll(cx));
        let seconds = silence.as_secs_f64();
        let why = format!("the mail server was silent for {seconds} seconds");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut guard.stream).poll_read(cx, buf) else {
            return guard.wait(cx);
        };
        guard.end = None;
        read?;
        let came = buf.filled().len().saturating_sub(before);
        let Some(left) = guard.left.checked_sub(came) else {
            return Poll::Ready(Err(io::Error::other("the mail server says too much")));
        };
        guard.left = left;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let Poll::Ready(written) = Pin::new(&mut guard.stream).poll_write(cx, buf) else {
            return guard.wait(cx);
        };
        guard.end = None;
        guard.left = ANSWER_BYTES_MAX;
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let Poll::Ready(flushed) = Pin::new(&mut guard.stream).poll_flush(cx) else {
            return guard.wait(cx);
        };
        guard.end = None;
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let Poll::Ready(shut) = Pin::new(&mut guard.stream).poll_shutdown(cx) else {
            return guard.wait(cx);
        };
        guard.end = None;
        Poll::Ready(shut)
    }
}

impl<S> AsyncTokioStream for Guard<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
