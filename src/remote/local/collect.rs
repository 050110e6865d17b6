//! Gathers output and reports of one helper until its command has ended.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdout};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wire::{self, Report};
use crate::remote::charset::TextStream;
use crate::remote::{Charset, Data, Output, Request, Stream};

/// How long output is awaited after the command's end: a background process that it left behind
/// may hold the pipes open for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// How long a command that was told to end may take, before it counts as ended.
const LAST: Duration = Duration::from_secs(4);

/// Longest sleep without a look at a cancellation whose helper does not react.
const LOOK: Duration = Duration::from_secs(2);

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// How a command ended, and what it said.
pub(super) struct Collected {
    pub(super) ending: Ending,
    /// Whether nobody has told its end: it may still run.
    pub(super) runs: bool,
    pub(super) out: Result<Data, String>,
    pub(super) err: Result<Data, String>,
}

pub(super) enum Ending {
    Exited(i32),
    Failed(String),
    TimedOut,
    Vanished,
}

/// What is awaited of one command.
pub(super) struct Job<'a> {
    pub(super) request: &'a Request,
    pub(super) charset: Charset,
    pub(super) output: &'a dyn Output,
    pub(super) deadline: Option<Instant>,
}

impl Job<'_> {
    /// Blocks until the command has ended and its output is gathered.
    pub(super) fn collect(
        &self,
        mut control: &UnixStream,
        out: ChildStdout,
        err: ChildStderr,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Collected, String> {
        let request = self.request;
        // What a session says is told as it comes, and kept by nobody.
        let limit = if request.session { 0 } else { request.limits.output };
        let mut out = Pipe::new(out, Stream::Out, request.raw_stdout, self.charset, limit);
        let mut err = Pipe::new(err, Stream::Err, request.raw_stderr, self.charset, limit);
        let mut ending = None;
        let mut runs = true;
        let mut timed_out = false;
        // The moment after which nothing more is awaited.
        let mut last: Option<Instant> = None;

        while ending.is_none() || out.is_open() || err.is_open() {
            let now = Instant::now();
            if last.is_some_and(|last| now >= last) {
                break;
            }
            if last.is_none() && cancelled() {
                last = now.checked_add(LAST);
            }
            if ending.is_none() && !timed_out && self.deadline.is_some_and(|end| now >= end) {
                timed_out = true;
                last = now.checked_add(LAST);
                let _ = control.write_all(&[wire::END]);
            }
            let next = [last, self.deadline.filter(|_| !timed_out && ending.is_none())];
            let wait = next.into_iter().flatten().min().map_or(LOOK, |at| (at - now).min(LOOK));
            let ready = wait_for(ending.is_none().then_some(control), &out, &err, wait)?;

            if ready.out {
                out.read(self.output);
            }
            if ready.err {
                err.read(self.output);
            }
            if ready.control {
                match wire::read_json(&mut control) {
                    Ok(Report::Started) => self.output.started(),
                    Ok(Report::Exited { status }) => {
                        runs = false;
                        ending = Some(Ending::Exited(status));
                    }
                    Ok(Report::Failed { message }) => {
                        runs = false;
                        ending = Some(Ending::Failed(message));
                    }
                    Err(_) => ending = Some(Ending::Vanished),
                }
                if ending.is_some() {
                    last = Instant::now().checked_add(DRAIN);
                }
            }
        }
        let ending = if timed_out { Ending::TimedOut } else { ending.unwrap_or(Ending::Vanished) };
        let notices: Vec<String> = [out.notice(), err.notice()].into_iter().flatten().collect();
        let mut err = err.finish(self.output);
        for notice in notices {
            self.output.text(Stream::Err, &format!("{notice}\n"));
            match &mut err {
                Ok(Data::Text(text)) if text.is_empty() => text.push_str(&notice),
                Ok(Data::Text(text)) => text.extend(["\n", &notice]),
                Ok(Data::Bytes(bytes)) => bytes.extend_from_slice(notice.as_bytes()),
                Err(_) => {}
            }
        }
        Ok(Collected { ending, runs, out: out.finish(self.output), err })
    }
}

struct Ready {
    control: bool,
    out: bool,
    err: bool,
}

fn wait_for<A: AsFd, B: AsFd>(
    control: Option<&UnixStream>,
    out: &Pipe<A>,
    err: &Pipe<B>,
    wait: Duration,
) -> Result<Ready, String> {
    let out = out.from.as_ref().map(AsFd::as_fd);
    let err = err.from.as_ref().map(AsFd::as_fd);
    let control = control.map(AsFd::as_fd);
    let mut fds: Vec<PollFd<'_>> = [control, out, err]
        .into_iter()
        .flatten()
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    // Rounded up: a sleep that ends too early would spin.
    let wait = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, wait) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(format!("cannot wait for output: {error}")),
    }
    let mut events = fds.iter().map(|fd| fd.any().unwrap_or(true));
    let mut next = |open: bool| open && events.next().unwrap_or(false);
    let control = next(control.is_some());
    let out = next(out.is_some());
    Ok(Ready { control, out, err: next(err.is_some()) })
}

/// One output stream: shown while it comes, kept up to a limit.
struct Pipe<R> {
    from: Option<R>,
    stream: Stream,
    raw: bool,
    charset: Charset,
    shown: TextStream,
    kept: Vec<u8>,
    limit: usize,
    cut: bool,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(from: R, stream: Stream, raw: bool, charset: Charset, limit: usize) -> Self {
        let shown = charset.stream();
        Self { from: Some(from), stream, raw, charset, shown, kept: Vec::new(), limit, cut: false }
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    fn read(&mut self, output: &dyn Output) {
        let mut buffer = [0; READ];
        let count = match self.from.as_mut().map(|from| from.read(&mut buffer)) {
            Some(Ok(count)) => count,
            Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => return,
            _ => 0,
        };
        if count == 0 {
            self.from = None;
            return;
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.cut |= count > room && self.limit > 0;
        if self.raw {
            output.bytes(self.stream, bytes);
        } else {
            let text = self.shown.feed(bytes, false);
            if !text.is_empty() {
                output.text(self.stream, &text);
            }
        }
    }

    fn name(&self) -> &'static str {
        match self.stream {
            Stream::Out => "standard output",
            Stream::Err => "standard error",
        }
    }

    /// A line for the error text when not all was kept.
    fn notice(&self) -> Option<String> {
        self.cut.then(|| format!("[{} cut at {} bytes]", self.name(), self.limit))
    }

    /// The whole of what was kept (rule: `operations/output`).
    fn finish(mut self, output: &dyn Output) -> Result<Data, String> {
        if self.raw {
            return Ok(Data::Bytes(self.kept));
        }
        let rest = self.shown.feed(&[], true);
        if !rest.is_empty() {
            output.text(self.stream, &rest);
        }
        // What is cut may be torn inside a character.
        let torn = if self.cut { 4 } else { 1 };
        let mut text = (0..torn)
            .filter_map(|tail| self.kept.get(..self.kept.len().checked_sub(tail)?))
            .find_map(|bytes| self.charset.decode(bytes))
            .ok_or_else(|| format!("{} is not valid {}", self.name(), self.charset.name()))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(Data::Text(text))
    }
}
