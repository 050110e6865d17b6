//! Looking for events (rule: `operations/events`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId, TaskId};
use kompira_schema::limits::QUEUE_MESSAGES_MAX;
use kompira_schema::message;
use kompira_schema::value::{Ref, Value as Plain};

use super::World;
use super::memory::{Arrived, CLOSED};
use crate::engine::row::{self, Row};
use crate::engine::vm::request::{Answer, Awaited, Guard, Received, Source};
use crate::store::Family;
use crate::tree::special::TaskStatus;

/// A message and its number, or why there will be none.
type Message = Result<(u64, Plain), NoMessages>;

/// Why a channel gives no messages.
enum NoMessages {
    /// It is gone: status -1.
    Lost(String),
    /// It may not be read, or is no channel: a runtime error.
    Refused(String),
}

impl World<'_> {
    /// The first event that is there; with `due`, what is late counts as a time-out.
    pub(in crate::engine) fn poll(
        &mut self,
        awaited: &[Awaited],
        due: bool,
    ) -> Result<Option<Answer>, Fault> {
        for (alternative, one) in awaited.iter().enumerate() {
            let received = |source: usize, status: i64, message: Plain, id: Option<u64>| Received {
                alternative,
                source,
                status,
                message,
                id,
                error: String::new(),
            };
            if one.always {
                return Ok(Some(Answer::Event(received(0, 0, Plain::Null, None))));
            }
            for (place, source) in one.sources.iter().enumerate() {
                match *source {
                    Source::Reference(Ref::Process(id)) => {
                        let row = self.stored_row(id)?;
                        if row.as_ref().is_some_and(|row| !self.sees_process(row)) {
                            let why = format!("permission denied: /process/id_{id}");
                            return Ok(Some(Answer::Refused(why)));
                        }
                        if row.is_none_or(|row| !row.status.is_active()) {
                            let message = Plain::Object(Ref::Process(id));
                            let id = one.peek.then_some(id.0);
                            return Ok(Some(Answer::Event(received(place, 0, message, id))));
                        }
                    }
                    Source::Reference(Ref::Object(channel)) => match self.receive(channel, one)? {
                        None => {}
                        Some(Ok((id, message))) => {
                            let id = one.peek.then_some(id);
                            return Ok(Some(Answer::Event(received(place, 0, message, id))));
                        }
                        Some(Err(NoMessages::Lost(error))) => {
                            let lost = received(place, -1, Plain::Null, None);
                            return Ok(Some(Answer::Event(Received { error, ..lost })));
                        }
                        Some(Err(NoMessages::Refused(why))) => {
                            return Ok(Some(Answer::Refused(why)));
                        }
                    },
                    Source::Queue(queue) => match self.receive_memory(queue, one)? {
                        Arrived::Nothing => {}
                        Arrived::Message(id, message) => {
                            let id = one.peek.then_some(id);
                            return Ok(Some(Answer::Event(received(place, 0, message, id))));
                        }
                        Arrived::Ended => {
                            let lost = received(place, -1, Plain::Null, None);
                            let error = CLOSED.to_owned();
                            return Ok(Some(Answer::Event(Received { error, ..lost })));
                        }
                        Arrived::Left => return Ok(Some(Answer::Refused(CLOSED.to_owned()))),
                    },
                    Source::Reference(Ref::Task(id)) => match self.task_answer(id)? {
                        None => {}
                        Some(Ok(message)) => {
                            let id = one.peek.then_some(id.0);
                            return Ok(Some(Answer::Event(received(place, 0, message, id))));
                        }
                        Some(Err(NoMessages::Lost(error))) => {
                            let lost = received(place, -1, Plain::Null, None);
                            return Ok(Some(Answer::Event(Received { error, ..lost })));
                        }
                        Some(Err(NoMessages::Refused(why))) => {
                            return Ok(Some(Answer::Refused(why)));
                        }
                    },
                    Source::Reference(other) => {
                        let why = format!("'{}' cannot be waited for", kind(other));
                        return Ok(Some(Answer::Refused(why)));
                    }
                }
            }
        }
        // The earliest deadline is the one that was set.
        let now = self.inner.now();
        let late = awaited
            .iter()
            .enumerate()
            .filter_map(|(alternative, one)| Some((one.deadline?, alternative)))
            .min()
            .filter(|(deadline, _)| due || *deadline <= now);
        Ok(late.map(|(_, alternative)| {
            Answer::Event(Received {
                alternative,
                source: 0,
                status: 1,
                message: Plain::Null,
                id: None,
                error: String::new(),
            })
        }))
    }

    /// The answer of a task; an error if there will be none. Looking offers it.
    fn task_answer(&mut self, id: TaskId) -> Result<Option<Result<Plain, NoMessages>>, Fault> {
        let path = format!("/task/id_{id}");
        let Some(task) = self.txn.task(id)? else {
            return Ok(Some(Err(NoMessages::Lost(format!("object not found: {path}")))));
        };
        if !self.txn.sees_special(&self.who, Ref::Task(id))? {
            return Ok(Some(Err(NoMessages::Refused(format!("permission denied: {path}")))));
        }
        if task.status.is_open() {
            if task.status == TaskStatus::Waiting {
                self.txn.offer_task(id)?;
                self.said.writes += 1;
            }
            return Ok(None);
        }
        let why = || NoMessages::Lost(format!("the task was cancelled: {path}"));
        Ok(Some(task.answer().cloned().ok_or_else(why)))
    }

    pub(super) fn stored_row(&self, id: ProcessId) -> Result<Option<Row>, Fault> {
        let key = row::process_key(id);
        row::read(Family::Process, &key, self.txn.raw_get(Family::Process, &key)?)
    }

    /// Takes a message of a channel, or looks at one; an error ends the wait as lost.
    fn receive(&mut self, channel: ObjectId, awaited: &Awaited) -> Result<Option<Message>, Fault> {
        if awaited.detect_error
            && let Some(why) = self.fetch_error(channel)?
        {
            return Ok(Some(Err(NoMessages::Lost(why))));
        }
        match self.take_message(channel, awaited) {
            Ok(found) => Ok(found.map(Ok)),
            Err(fault) => match fault.kind() {
                Kind::NoMessage => Ok(None),
                Kind::NotFound => Ok(Some(Err(NoMessages::Lost(CLOSED.to_owned())))),
                Kind::Denied => {
                    let why = super::explain(&fault, &self.path(channel));
                    Ok(Some(Err(NoMessages::Refused(why))))
                }
                Kind::NoMethod => {
                    let why = "'Object' cannot be waited for".to_owned();
                    Ok(Some(Err(NoMessages::Refused(why))))
                }
                _ => Err(fault),
            },
        }
    }

    /// Why no mail will come; `None` for what is no mail channel.
    fn fetch_error(&mut self, channel: ObjectId) -> Result<Option<String>, Fault> {
        let def = match self.txn.type_of(channel) {
            Ok(def) => def,
            Err(fault) if fault.kind() == Kind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        if !def.is_builtin("MailChannel") {
            return Ok(None);
        }
        let object = match self.txn.get(&self.who, channel) {
            Ok(object) => object,
            // It is refused where the message is taken.
            Err(fault) if fault.kind() == Kind::Denied => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let disabled = self.txn.field(&object, "disabled");
        let disabled = !matches!(disabled.as_deref(), Some(Plain::Bool(false)));
        if disabled {
            return Ok(Some(format!("the mail channel is disabled: {}", object.stub.path)));
        }
        Ok(self.inner.mails.failure(channel, self.inner.clock.monotonic()))
    }

    fn take_message(
        &mut self,
        channel: ObjectId,
        awaited: &Awaited,
    ) -> Result<Option<(u64, Plain)>, Fault> {
        let def = self.txn.type_of(channel)?;
        if !def.builtin || !matches!(def.name.as_str(), "Channel" | "MailChannel") {
            let path = self.path(channel);
            return Err(Fault::new(Kind::NoMethod, message!("engine.no_events", path = path)));
        }
        let Some(guard) = &awaited.guard else {
            if awaited.peek {
                return self.txn.queue_peek(&self.who, channel, 0).map(Some);
            }
            let message = self.txn.queue_pop(channel, 0)?;
            self.said.writes += 1;
            return Ok(Some(message));
        };
        let within = reach(guard);
        let mut messages = self.txn.queue_messages(&self.who, channel, within)?;
        let Some((place, gone)) = choose(awaited, &messages) else { return Ok(None) };
        if !gone.is_empty() {
            self.txn.queue_delete(channel, &gone)?;
            self.said.writes += 1;
        }
        Ok(Some(messages.swap_remove(place)))
    }
}

/// What a special object is, as `type()` says it.
fn kind(of: Ref) -> &'static str {
    Plain::Object(of).type_name()
}

/// How many messages a guard looks at: `?` at the head alone, `??` at all.
pub(super) fn reach(guard: &Guard) -> usize {
    if guard.scan { QUEUE_MESSAGES_MAX } else { 1 }
}

/// The place of the message that is wanted, and the numbers of those that go: `??` drops what stands
/// before its match.
pub(super) fn choose(awaited: &Awaited, messages: &[(u64, Plain)]) -> Option<(usize, Vec<u64>)> {
    let place = match &awaited.guard {
        None => (!messages.is_empty()).then_some(0),
        Some(guard) => messages.iter().position(|(_, message)| guard.wanted.fits(message)),
    }?;
    let gone = if awaited.peek { place } else { place + 1 };
    Some((place, messages.iter().take(gone).map(|(number, _)| *number).collect()))
}
