//! Abnormal ends and how far they reach (rule: `language/abnormal-end`).

use std::fmt::Write as _;

use kompira_schema::value::Value as Plain;

use super::host::Host;
use super::machine::{Frame, Linked, Machine, Try, linked};
use super::raise::Raise;
use super::request::End;
use super::value::Value;
use crate::lang::ast::Connector;
use crate::lang::program::FIRST_PARAMETER;

/// An abnormal end on its way to the nearest `try`.
#[derive(Debug)]
pub(super) struct Abend {
    status: i64,
    message: String,
    /// The message is not in the report, as it was printed when it was raised.
    told: bool,
    /// `$ERROR` of the job that failed, for the end of the process.
    error: Option<Value>,
}

impl Abend {
    pub(super) fn runtime(raise: Raise) -> Box<Self> {
        Box::new(Self { status: 1, message: raise.message().to_owned(), told: false, error: None })
    }
}

impl From<Raise> for Box<Abend> {
    fn from(raise: Raise) -> Self {
        Abend::runtime(raise)
    }
}

impl Machine {
    /// Whether the flow goes on after a job with that status, which is not 0.
    pub(super) fn goes_on(connector: Connector, status: Value) -> bool {
        let lost = matches!(status, Value::Int(status) if status < 0);
        match connector {
            Connector::Success => false,
            Connector::Failure => !lost,
            Connector::Lost => lost,
            Connector::Always => true,
        }
    }

    /// Forced termination by a connector.
    pub(super) fn forced(&self, base: usize) -> Box<Abend> {
        let status = match self.stack.get(base) {
            Some(Value::Int(status)) => *status,
            _ => 1,
        };
        Box::new(Abend {
            status,
            message: format!("job failed with status {status}"),
            told: false,
            error: self.stack.get(base + 2).copied(),
        })
    }

    /// `abort(message)`: prints the message if there is one.
    pub(super) fn abort(&mut self, host: &mut dyn Host, message: Value) -> Box<Abend> {
        let text = match message {
            // Binary is shown as the text it most likely is.
            Value::Bytes(_) => {
                String::from_utf8_lossy(self.heap.as_bytes(message).unwrap_or_default())
                    .into_owned()
            }
            _ => match self.heap.text(host, message) {
                Ok(text) => text,
                Err(raise) => return Abend::runtime(raise),
            },
        };
        if !text.is_empty() {
            host.print(&format!("{text}\n"));
        }
        Box::new(Abend { status: 1, message: text, told: true, error: None })
    }

    /// Opens a `try` in the topmost frame.
    pub(super) fn open_try(&mut self, to: u32) {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.tries.push(Try {
            frames: count(self.frames.len()),
            to,
            sessions: count(self.sessions.len()),
        });
    }

    fn report(&self, programs: &[Linked], abend: &Abend) -> String {
        let mut text = String::new();
        for (depth, frame) in self.frames.iter().rev().enumerate() {
            let unit = linked(programs, frame.program);
            let line = unit.program.line(frame.ip.saturating_sub(1));
            let path = &unit.path;
            let _ = match depth {
                0 => write!(text, "aborted at line {line} in {path}"),
                _ => write!(text, "\n  called at line {line} in {path}"),
            };
            if depth == 0 && !abend.told {
                let _ = write!(text, ": {}", abend.message);
            }
        }
        text
    }

    /// Goes to the nearest `try`, or ends the process.
    pub(super) fn unwind(
        &mut self,
        programs: &[Linked],
        abend: Abend,
        host: &mut dyn Host,
    ) -> Option<End> {
        let report = self.report(programs, &abend);
        self.lock = None;
        if let Some(handler) = self.tries.pop() {
            while self.frames.len() > handler.frames as usize {
                self.drop_frame(programs, host);
            }
            self.close_sessions(host, handler.sessions as usize);
            self.debug = self.heap.str(report);
            let message = self.heap.str(abend.message);
            let frame =
                self.frames.last_mut().expect("the frame of a try is there while it is open");
            frame.ip = handler.to;
            let Frame { base, program, .. } = *frame;
            let registers =
                linked(programs, program).program.registers.max(FIRST_PARAMETER) as usize;
            let base = base as usize;
            self.stack.truncate(base + registers);
            if let Some([status, _, error]) = self.stack.get_mut(base..base + 3) {
                *status = Value::Int(1);
                *error = message;
            }
            return None;
        }
        host.print(&format!("{report}\n"));
        let result = self.result(host);
        let error = match abend.error {
            Some(error) => self.leave_value(host, error),
            None => Plain::Str(abend.message),
        };
        self.drop_all(programs, host);
        Some(End { done: false, status: abend.status, result, error })
    }

    /// What `$RESULT` holds now, as plain data.
    pub fn result(&mut self, host: &mut dyn Host) -> Plain {
        let result = self.status_of_top(1);
        self.leave_value(host, result)
    }

    fn status_of_top(&self, offset: usize) -> Value {
        self.frames
            .last()
            .and_then(|frame| self.stack.get(frame.base as usize + offset))
            .copied()
            .unwrap_or_default()
    }

    /// A value as plain data, or as text if it is none.
    pub(super) fn leave_value(&mut self, host: &mut dyn Host, value: Value) -> Plain {
        match self.heap.export(host, value) {
            Ok(plain) => plain,
            Err(_) => Plain::Str(self.heap.text(host, value).unwrap_or_default()),
        }
    }

    /// Closes sessions until `keep` are left.
    pub(super) fn close_sessions(&mut self, host: &mut dyn Host, keep: usize) {
        while self.sessions.len() > keep {
            if let Some((_, session)) = self.sessions.pop() {
                host.close_session(super::value::Handle {
                    kind: super::value::RefKind::Queue,
                    id: session,
                });
            }
        }
    }

    /// Leaves the topmost frame.
    pub(super) fn drop_frame(&mut self, programs: &[Linked], host: &mut dyn Host) {
        let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        self.leave_blocks(host, depth);
        if let Some(frame) = self.frames.pop() {
            if frame.locked {
                let object = linked(programs, frame.program).object;
                self.places.retain(|held| *held != object);
                host.release(object);
            }
            self.stack.truncate(frame.base as usize);
        }
    }

    /// Leaves the blocks of frames from number `depth` (1: the first) on.
    pub(super) fn leave_blocks(&mut self, host: &mut dyn Host, depth: u32) {
        while self.tries.last().is_some_and(|held| held.frames >= depth) {
            self.tries.pop();
        }
        let keep = self.sessions.partition_point(|(frames, _)| *frames < depth);
        self.close_sessions(host, keep);
    }

    /// Leaves all frames: the process ends.
    pub(super) fn drop_all(&mut self, programs: &[Linked], host: &mut dyn Host) {
        if let Some(frame) = self.frames.first() {
            self.left = linked(programs, frame.program).program.line(frame.ip.saturating_sub(1));
        }
        while !self.frames.is_empty() {
            self.drop_frame(programs, host);
        }
        self.lock = None;
    }
}
