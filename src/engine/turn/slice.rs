//! A slice of steps: what it waits for is looked at, then the machine runs until it waits again,
//! ends, or has had its share.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::value::Value;
use serde_bytes::ByteBuf;

use super::{Stepped, Taken, Turn, finish, lost};
use crate::engine::admission::{Place, Pool};
use crate::engine::process::Status;
use crate::engine::row::{self, Wait};
use crate::engine::trace::{self, Recorder};
use crate::engine::vm::request::{End, Request};
use crate::engine::vm::{Answer, Machine, Options, Pause};
use crate::engine::world::{Said, World};
use crate::store::Family;
use crate::tree::Txn;

/// What a look at the wait came to.
enum Look {
    /// Nothing yet.
    Wait,
    /// It goes on, with an answer if the machine asked for something.
    Go(Option<Answer>),
    /// A command that step mode held back, or that is to be run again.
    Begin,
}

/// Why a slice ended.
enum Ended {
    Share,
    Wait,
    Process(End),
}

impl Turn<'_> {
    /// Runs a slice of a jobflow.
    pub(super) fn slice(
        mut self,
        txn: &mut Txn,
        taken: &mut Taken,
        acquired: &mut Vec<ObjectId>,
    ) -> Result<Stepped, Fault> {
        let mut machine = None;
        let mut place = None;
        let unbegun = matches!(self.row.wait, Some(Wait::Command { begun: false, .. }));
        if unbegun || matches!(self.row.wait, Some(Wait::Events(_) | Wait::Children { .. })) {
            // What exactly it waits for stands in its state.
            match self.load(txn, taken) {
                Ok(loaded) => machine = Some(loaded),
                Err(why) => return self.give_up(txn, &why),
            }
        }
        if unbegun {
            let waited = machine.as_deref().and_then(Machine::waiting);
            let pool = waited.map_or(Pool::Commands, Pool::of);
            place = Place::take(self.inner, pool, self.id());
            if place.is_none() {
                self.keep(txn, None)?;
                return Ok(self.stepped(None, false));
            }
        }
        let look = self.look(txn, taken, machine.as_deref())?;
        if matches!(look, Look::Wait) {
            self.keep(txn, None)?;
            return Ok(self.stepped(None, false));
        }
        let mut machine = match machine.map_or_else(|| self.load(txn, taken), Ok) {
            Ok(machine) => machine,
            Err(why) => return self.give_up(txn, &why),
        };
        match look {
            Look::Begin => {
                let Some(request) = machine.waiting().cloned() else {
                    return self.give_up(txn, "nothing to begin");
                };
                match self.begin(txn, &request, place.take()) {
                    Err(answer) => machine.resume(*answer),
                    Ok(()) => {
                        let kept = self.row.traced.then_some(&*machine);
                        self.keep(txn, kept)?;
                        return Ok(self.stepped(None, true));
                    }
                }
            }
            Look::Go(Some(answer)) => machine.resume(answer),
            Look::Go(None) | Look::Wait => {}
        }
        if self.row.wait.is_some() {
            self.go();
        }
        let ended = self.run(txn, &mut machine, acquired)?;
        let waits = matches!(ended, Ended::Wait);
        match ended {
            Ended::Process(end) => {
                self.row.locks.extend(machine.locks());
                self.row.line = machine.position().line;
                self.finish(txn, &end)?;
                return Ok(self.stepped(None, true));
            }
            Ended::Share => {
                let now = self.inner.clock.monotonic();
                self.row.status = Status::Ready;
                // Who is terminated before he is saved gives back what he holds.
                self.row.locks = machine.locks();
                self.out.again = true;
                self.dirty |= !self.console.is_empty()
                    || now.saturating_sub(taken.saved) >= self.inner.limits.save;
            }
            Ended::Wait => {}
        }
        self.keep(txn, Some(&machine))?;
        let kept = (!waits && self.row.status.is_active()).then_some(machine);
        Ok(self.stepped(kept, true))
    }

    /// Ends a process for a user, with what its last job gave (rule: `operations/process-ends`).
    /// One whose state cannot be read ends as well.
    pub(super) fn terminate(
        mut self,
        txn: &mut Txn,
        taken: &mut Taken,
        acquired: &mut Vec<ObjectId>,
    ) -> Result<Stepped, Fault> {
        self.hear(txn)?;
        let mut result = Value::Null;
        if self.row.script.is_none()
            && let Ok(mut machine) = self.load(txn, taken)
        {
            self.row.line = machine.position().line;
            let own = (&mut self.row, &self.console);
            let mut world = World::new(self.inner, txn, self.slot, own, acquired);
            result = machine.result(&mut world);
        }
        let end = End { done: false, status: -1, result, error: "terminated".into() };
        self.finish(txn, &end)?;
        Ok(self.stepped(None, true))
    }

    /// Ends a process whose state cannot be read.
    fn give_up(mut self, txn: &mut Txn, why: &str) -> Result<Stepped, Fault> {
        self.console.push(&format!("the state of the process cannot be used: {why}\n"));
        self.finish(txn, &finish::abend(why))?;
        Ok(self.stepped(None, true))
    }

    /// The machine: from memory, or as it was last saved.
    fn load(&self, txn: &Txn, taken: &mut Taken) -> Result<Box<Machine>, String> {
        if let Some(machine) = taken.machine.take() {
            return Ok(machine);
        }
        let key = row::process_key(self.id());
        let told = |fault: Fault| format!("{}: {}", fault.kind().name(), fault.told().key);
        let bytes = txn.raw_get(Family::Frame, &key).map_err(told)?;
        let frame: Option<ByteBuf> = row::read(Family::Frame, &key, bytes).map_err(told)?;
        let frame = frame.ok_or("it is lost")?;
        load(self.inner, txn.snapshot(), &frame)
    }

    /// Looks whether the wait is over.
    fn look(
        &mut self,
        txn: &mut Txn,
        taken: &Taken,
        machine: Option<&Machine>,
    ) -> Result<Look, Fault> {
        Ok(match &self.row.wait {
            None => Look::Go(None),
            Some(Wait::Room) if taken.places == 0 => Look::Wait,
            Some(Wait::Room) => {
                self.row.started = Some(self.inner.now());
                Look::Go(None)
            }
            Some(Wait::Command { begun: false, .. }) => Look::Begin,
            Some(Wait::Command { begun: true, .. }) => match self.landed(txn)? {
                Some(answer) => Look::Go(Some(answer)),
                None => Look::Wait,
            },
            Some(Wait::Until(_)) if taken.due => Look::Go(Some(Answer::Done)),
            Some(Wait::Until(_)) => Look::Wait,
            Some(Wait::Lock(_) | Wait::Resume) => Look::Go(Some(Answer::Done)),
            Some(Wait::Events(_)) => {
                let Some(Request::Events(awaited)) = machine.and_then(Machine::waiting) else {
                    return Err(lost("a wait for events"));
                };
                let awaited = awaited.clone();
                let mut acquired = Vec::new();
                let own = (&mut self.row, &self.console);
                let mut world = World::new(self.inner, txn, self.slot, own, &mut acquired);
                match world.poll(&awaited, taken.due)? {
                    Some(answer) => {
                        let said = world.leave();
                        self.heed(&said);
                        Look::Go(Some(answer))
                    }
                    None => Look::Wait,
                }
            }
            Some(Wait::Children { count, children }) if children.len() < *count => {
                let Some(machine) = machine else { return Err(lost("a wait for children")) };
                match self.bear(txn, machine, taken.places)? {
                    Some(refused) => Look::Go(Some(refused)),
                    None => {
                        // More may have room; and of none that are left, none will report.
                        self.out.again = taken.places > 0;
                        Look::Wait
                    }
                }
            }
            Some(Wait::Children { .. }) if taken.children > 0 => Look::Wait,
            Some(Wait::Children { children, .. }) => {
                Look::Go(Some(self.gather(txn, &children.clone())?))
            }
        })
    }

    /// Takes note of what it did to the tree and to channels in memory.
    fn heed(&mut self, said: &Said) {
        self.dirty |= said.writes > 0;
        self.row.queues.extend(&said.queues);
        self.out.told.extend(&said.sent);
        self.out.typed.extend(said.typed.iter().cloned());
        self.out.closed.extend(&said.closed);
    }

    /// Runs the machine for its share.
    fn run(
        &mut self,
        txn: &mut Txn,
        machine: &mut Machine,
        acquired: &mut Vec<ObjectId>,
    ) -> Result<Ended, Fault> {
        let limits = &self.inner.limits;
        let mut recorder = self.row.traced.then(|| Recorder::new(machine.look()));
        // One step at a time is what the recorder sees.
        let stride = if recorder.is_some() { 1 } else { limits.stride };
        let until = self.inner.clock.monotonic().saturating_add(limits.slice);
        // A clock that stands (in tests) must not make a slice endless.
        let mut strides = 100;
        loop {
            let own = (&mut self.row, &self.console);
            let mut world = World::new(self.inner, txn, self.slot, own, acquired);
            let pause = machine.run(stride, &mut world);
            let said = world.leave();
            self.row.steps = self.row.steps.saturating_add(stride);
            self.heed(&said);
            self.console.append(said.console);
            self.out.released.extend(said.released);
            if said.detached {
                self.out.parted = self.row.parent.take().or(self.out.parted);
                self.dirty = true;
            }
            if let Some(fault) = said.fault {
                return Err(fault);
            }
            match pause {
                Pause::Ended(end) => {
                    self.record(txn, &mut recorder, machine, None)?;
                    return Ok(Ended::Process(end));
                }
                Pause::Budget if self.row.steps > limits.steps => {
                    let why = format!("too many steps: at most {}", limits.steps);
                    self.console.push(&format!("{why}\n"));
                    return Ok(Ended::Process(finish::abend(&why)));
                }
                Pause::Budget => self.record(txn, &mut recorder, machine, None)?,
                Pause::Blocked(request) => match self.enter(txn, &request, acquired)? {
                    Some(answer) => machine.resume(answer),
                    None => {
                        self.record(txn, &mut recorder, machine, Some(&request))?;
                        return Ok(Ended::Wait);
                    }
                },
            }
            strides -= 1;
            if strides == 0
                || self.slot.stopping()
                || said.writes >= limits.writes
                || self.inner.clock.monotonic() >= until
            {
                return Ok(Ended::Share);
            }
        }
    }

    /// Records a step, if somebody wants to see it.
    fn record(
        &mut self,
        txn: &mut Txn,
        recorder: &mut Option<Recorder>,
        machine: &Machine,
        wait: Option<&Request>,
    ) -> Result<(), Fault> {
        let Some(recorder) = recorder else { return Ok(()) };
        self.row.recorded += 1;
        self.dirty = true;
        let position = machine.position();
        let place = (position.jobflow, position.line);
        let mut step = recorder.step(self.row.recorded, self.inner.now(), place, machine.look());
        if wait.is_some() {
            let begins = matches!(self.row.wait, Some(Wait::Command { begun: true, .. }));
            step.command = begins.then_some(self.row.sequence);
            step.wait = self.row.wait.as_ref().map(waited);
        }
        trace::put_step(txn, self.id(), &step)
    }

    /// Enters the wait for what the machine asks, or answers at once.
    fn enter(
        &mut self,
        txn: &mut Txn,
        request: &Request,
        acquired: &mut Vec<ObjectId>,
    ) -> Result<Option<Answer>, Fault> {
        Ok(match request {
            Request::Sleep(until) if *until <= self.inner.now() => Some(Answer::Done),
            Request::Sleep(until) => {
                self.wait(Wait::Until(*until));
                None
            }
            Request::Events(awaited) => {
                let own = (&mut self.row, &self.console);
                let mut world = World::new(self.inner, txn, self.slot, own, acquired);
                if let Some(answer) = world.poll(awaited, false)? {
                    let said = world.leave();
                    self.heed(&said);
                    return Ok(Some(answer));
                }
                let deadline = awaited.iter().filter_map(|one| one.deadline).min();
                self.out.sources = awaited.iter().flat_map(|one| one.sources.clone()).collect();
                self.wait(Wait::Events(deadline));
                None
            }
            Request::Children { count: 0 } => {
                Some(Answer::Children { children: Vec::new(), aborted: 0 })
            }
            Request::Children { count } if *count > self.inner.limits.children => {
                let most = self.inner.limits.children;
                Some(Answer::Refused(format!("too many children: {count}, at most {most}")))
            }
            Request::Children { count } if self.inner.is_full(*count) => {
                Some(Answer::Refused("too many processes".to_owned()))
            }
            Request::Children { count } => {
                self.wait(Wait::Children { count: *count, children: Vec::new() });
                self.out.again = true;
                None
            }
            Request::Lock { jobflow, .. } => {
                self.wait(Wait::Lock(*jobflow));
                None
            }
            Request::Suspend => {
                self.wait(Wait::Resume);
                self.row.suspended = true;
                None
            }
            Request::Command { .. }
            | Request::Script { .. }
            | Request::Session { .. }
            | Request::Builtin { .. } => {
                // Of the built-in jobs only the restart of a machine is shown before.
                let held_back = self.row.step_mode
                    && !matches!(request, Request::Builtin { name, .. } if name != "reboot");
                let place = match held_back {
                    true => None,
                    false => Place::take(self.inner, Pool::of(request), self.slot.id),
                };
                match self.begin(txn, request, place) {
                    Err(answer) => Some(*answer),
                    Ok(()) => None,
                }
            }
        })
    }
}

/// What a process waits for, in words.
fn waited(wait: &Wait) -> String {
    match wait {
        Wait::Room => "room".to_owned(),
        Wait::Command { shown, .. } => shown.clone(),
        Wait::Until(at) => format!("until {at}"),
        Wait::Events(Some(at)) => format!("an event, until {at}"),
        Wait::Events(None) => "an event".to_owned(),
        Wait::Children { count, .. } => format!("{count} children"),
        Wait::Lock(_) => "a place in a jobflow".to_owned(),
        Wait::Resume => "its resume".to_owned(),
    }
}

/// Reads a saved machine.
pub(in crate::engine) fn load(
    inner: &crate::engine::inner::Inner,
    snapshot: &crate::store::Snapshot,
    frame: &[u8],
) -> Result<Box<Machine>, String> {
    let programs = Pinned { inner, snapshot };
    let builtins = std::sync::Arc::clone(&inner.builtins);
    Machine::load(frame, &programs, builtins, &options(inner))
        .map(Box::new)
        .map_err(|error| format!("{error:?}"))
}

/// What each machine may use.
pub(in crate::engine) fn options(inner: &crate::engine::inner::Inner) -> Options {
    Options { memory_max: inner.limits.memory, zone: inner.tree.view().zone() }
}

struct Pinned<'a> {
    inner: &'a crate::engine::inner::Inner,
    snapshot: &'a crate::store::Snapshot,
}

impl crate::engine::vm::Programs for Pinned<'_> {
    fn program(
        &self,
        hash: crate::lang::program::CodeHash,
    ) -> Result<std::sync::Arc<crate::lang::program::Program>, String> {
        self.inner.codes.find(self.snapshot, hash).map(|code| code.program)
    }
}
