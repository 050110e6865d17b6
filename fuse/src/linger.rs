//! A moment of waiting for the next request before a thread sleeps.
//!
//! A thread that sleeps has to be woken, and where idle processors halt that takes longer than most
//! requests do. So while requests follow each other closely, the thread that answered the last one
//! asks for the next a little while before it goes to sleep in the kernel. One thread does so at a
//! time, and a client that asks now and then costs nothing.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The next request follows closely when it comes within this time. To wake a thread takes about
/// half of it.
const CLOSE: Duration = Duration::from_micros(50);

/// How the wait for the next request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// The next request is here.
    Here,
    /// The moment is over.
    Over,
    /// There was none: requests do not follow closely, or another thread waits already.
    Not,
}

/// When requests came, and where the next will come.
pub(crate) struct Linger {
    begun: Instant,
    /// The device; without it nobody waits.
    device: OnceLock<OwnedFd>,
    /// A thread waits.
    busy: AtomicBool,
    /// When the last request was answered, ns after `begun`.
    last: AtomicU64,
    close: Duration,
}

impl Linger {
    /// For one mount.
    pub(crate) fn new() -> Self {
        // With a single processor the client could not run meanwhile.
        let alone = available_parallelism().is_ok_and(|count| count.get() == 1);
        Self::within(if alone { Duration::ZERO } else { CLOSE })
    }

    fn within(close: Duration) -> Self {
        Self {
            begun: Instant::now(),
            device: OnceLock::new(),
            busy: AtomicBool::new(false),
            last: AtomicU64::new(0),
            close,
        }
    }

    /// Requests come from `device`.
    pub(crate) fn watch(&self, device: OwnedFd) {
        let _the_first_stays = self.device.set(device);
    }

    /// A request has come. The wait follows when the answer is given and this is dropped.
    pub(crate) fn request(&self) -> Serving<'_> {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        Serving { of: self, closely: self.begun.elapsed().saturating_sub(last) < self.close }
    }

    fn answered(&self, closely: bool) -> Waited {
        let start = self.begun.elapsed();
        let nanos = u64::try_from(start.as_nanos()).unwrap_or(u64::MAX);
        self.last.store(nanos, Ordering::Relaxed);
        let Some(device) = self.device.get().filter(|_| closely) else { return Waited::Not };
        if self.busy.swap(true, Ordering::Acquire) {
            return Waited::Not;
        }
        let mut asked = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        let mut waited = Waited::Over;
        while self.begun.elapsed().saturating_sub(start) < self.close {
            // A failure is left to the read that follows.
            if !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0)) {
                waited = Waited::Here;
                break;
            }
        }
        self.busy.store(false, Ordering::Release);
        waited
    }
}

/// A request that is being answered.
pub(crate) struct Serving<'a> {
    of: &'a Linger,
    closely: bool,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.of.answered(self.closely);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn watching(close: Duration) -> (Linger, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let linger = Linger::within(close);
        linger.watch(reader.into());
        (linger, writer)
    }

    #[test]
    fn the_wait_ends_with_the_next_request_or_with_its_moment() {
        let (linger, mut next) = watching(LONG);
        next.write_all(b"next").unwrap();
        assert_eq!(linger.answered(true), Waited::Here);
        let (linger, _next) = watching(Duration::from_millis(1));
        assert_eq!(linger.answered(true), Waited::Over);
    }

    #[test]
    fn only_requests_that_follow_closely_are_waited_for() {
        let (linger, mut next) = watching(LONG);
        next.write_all(b"next").unwrap();
        assert!(linger.request().closely);
        assert_eq!(linger.answered(false), Waited::Not);
        let (linger, _next) = watching(Duration::ZERO);
        assert!(!linger.request().closely);
    }

    #[test]
    fn one_thread_waits_and_nobody_without_a_device() {
        assert_eq!(Linger::within(LONG).answered(true), Waited::Not);
        let (linger, _next) = watching(LONG);
        linger.busy.store(true, Ordering::Relaxed);
        assert_eq!(linger.answered(true), Waited::Not);
    }
}
