//! Commands and scripts: journaled before they begin, their end journaled before anything is made
//! of it (rule: `operations/recovery`).

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::value::Value;

use super::{Stepped, Taken, Turn, lost};
use crate::engine::admission::{Place, Pool};
use crate::engine::channels::{self, Channelled};
use crate::engine::console;
use crate::engine::control;
use crate::engine::flight;
use crate::engine::inner::caller;
use crate::engine::jobs::{self, Job, Refusal, Run};
use crate::engine::row::{self, Journal, Script, Wait};
use crate::engine::vm::request::{Answer, Control, End, Outcome, Request};
use crate::remote::Data;
use crate::store::{Counter, Family};
use crate::tree::Txn;

/// What a job leaves that could not be carried out.
fn lost_job(message: String) -> Box<Answer> {
    Box::new(Answer::Job(Outcome { status: -1, result: "".into(), error: message.into() }))
}

/// What is to be begun.
struct Ready {
    work: flight::Work,
    shown: String,
    echo: Option<String>,
}

impl Turn<'_> {
    /// Makes a command or another outside job ready and enters the wait for it; without a place it
    /// does not begin yet.
    ///
    /// # Errors
    /// What the machine gets when it cannot be carried out.
    pub(super) fn begin(
        &mut self,
        txn: &mut Txn,
        request: &Request,
        place: Option<Place>,
    ) -> Result<(), Box<Answer>> {
        let ready = self.ready(txn, request)?;
        self.enter_command(txn, ready, place)
            .map_err(|fault| lost_job(format!("{}: {}", fault.kind().name(), fault.told().key)))
    }

    fn ready(&mut self, txn: &mut Txn, request: &Request) -> Result<Ready, Box<Answer>> {
        let who = caller(self.row.user, self.id());
        if let Request::Builtin { name, positional, named, control } = request {
            let areas = self.inner.realms.seen_by(&self.inner.tree, txn);
            return match jobs::prepare((txn, &areas), &who, name, (positional, named), control) {
                Ok(Job { run: Run::Command, .. }) => self.ready_command(txn, request),
                Ok(Job { shown, run: Run::Thread(work) }) => {
                    Ok(Ready { work: flight::Work::Job(work), shown, echo: None })
                }
                Err(Refusal::Error(message)) => Err(Box::new(Answer::Refused(message))),
                Err(refusal) => {
                    if let Refusal::Failed(message) = &refusal {
                        self.console.push(&format!("{message}\n"));
                    }
                    Err(Box::new(Answer::Job(refusal.into())))
                }
            };
        }
        self.ready_command(txn, request)
    }

    fn ready_command(&self, txn: &mut Txn, request: &Request) -> Result<Ready, Box<Answer>> {
        let who = caller(self.row.user, self.id());
        let show = self.inner.shows.read_in(&self.inner.tree, txn);
        let now = self.inner.now();
        let areas = self.inner.realms.seen_by(&self.inner.tree, txn);
        let prepared =
            control::prepare((txn, &areas), &who, request, &show, now).map_err(lost_job)?;
        let request = Box::new(prepared.request);
        let work = match request.session {
            true => flight::Work::Session(request, 0),
            false => flight::Work::Command(request),
        };
        Ok(Ready { work, shown: prepared.shown, echo: prepared.echo })
    }

    fn enter_command(
        &mut self,
        txn: &mut Txn,
        ready: Ready,
        place: Option<Place>,
    ) -> Result<(), Fault> {
        let shown = ready.shown.clone();
        self.wait(Wait::Command { begun: place.is_some(), shown: shown.clone() });
        let Some(place) = place else {
            if self.row.step_mode {
                self.row.suspended = true;
                self.console.push(&format!("step: {shown}\n"));
            }
            return Ok(());
        };
        if self.row.sequence > 0 {
            txn.raw_delete(Family::Journal, &row::journal_key(self.id(), self.row.sequence));
        }
        self.row.sequence += 1;
        if let Some(mark) = self.row.output.take() {
            // What a broken attempt said is said again.
            let plan = console::cut(txn.snapshot(), self.id(), self.row.console, mark)?;
            self.put_console(txn, plan);
        }
        self.row.output = Some(self.row.console.1 + self.console.len());
        let (mut work, mut echo) = (ready.work, ready.echo);
        if let flight::Work::Session(_, queue) = &mut work {
            *queue = self.new_queue(txn, Channelled::Session)?;
            echo = echo.map(|line| line.replace("<SESSION>", &format!("<SESSION: {queue}>")));
        }
        let key = row::journal_key(self.id(), self.row.sequence);
        let line = Journal::Begun { shown };
        txn.raw_put(Family::Journal, &key, row::write(Family::Journal, &key, &line)?);
        if let Some(line) = echo {
            self.console.push(&line);
        }
        self.out.command = Some((self.row.sequence, work, place));
        Ok(())
    }

    /// A queue of this process's own.
    fn new_queue(&mut self, txn: &mut Txn, kind: Channelled) -> Result<u64, Fault> {
        let queue = self.inner.tree.store().new_id(Counter::MessageId)?;
        channels::create(txn, queue, kind)?;
        self.row.queues.push(queue);
        Ok(queue)
    }

    fn journal(&self, txn: &Txn) -> Result<Option<Journal>, Fault> {
        let key = row::journal_key(self.id(), self.row.sequence);
        row::read(Family::Journal, &key, txn.raw_get(Family::Journal, &key)?)
    }

    /// Puts the last output of a command that has ended on the console of a process that makes
    /// nothing of its end now.
    pub(super) fn hear(&mut self, txn: &mut Txn) -> Result<(), Fault> {
        if !matches!(self.row.wait, Some(Wait::Command { begun: true, .. })) {
            return Ok(());
        }
        if let Some(Journal::Ended { status, result, error, output }) = self.journal(txn)?
            && !output.is_empty()
        {
            self.console.append(output);
            self.dirty = true;
            let key = row::journal_key(self.id(), self.row.sequence);
            let line = Journal::ended(status, result, error);
            txn.raw_put(Family::Journal, &key, row::write(Family::Journal, &key, &line)?);
        }
        Ok(())
    }

    /// What the command in flight left, if it has ended.
    pub(super) fn landed(&mut self, txn: &Txn) -> Result<Option<Answer>, Fault> {
        match self.journal(txn)? {
            Some(Journal::Ended { status, result, error, output }) => {
                self.console.append(output);
                self.row.output = None;
                Ok(Some(Answer::Job(Outcome { status, result, error })))
            }
            Some(Journal::Opened { queue }) => {
                self.row.output = None;
                Ok(Some(Answer::Session(queue)))
            }
            Some(Journal::Begun { .. }) => Ok(None),
            None => Err(lost("a command's journal")),
        }
    }

    /// A turn of a script job that was started directly: its one command is all there is.
    pub(super) fn script(
        mut self,
        txn: &mut Txn,
        taken: &Taken,
        acquired: &mut Vec<ObjectId>,
    ) -> Result<Stepped, Fault> {
        let outcome = match self.row.wait.clone() {
            Some(Wait::Room) if taken.places == 0 => None,
            Some(Wait::Room | Wait::Lock(_) | Wait::Command { begun: false, .. }) | None => {
                if self.row.started.is_none() {
                    self.row.started = Some(self.inner.now());
                    self.dirty = true;
                }
                if self.has_place(txn, acquired)? { self.begin_script(txn) } else { None }
            }
            Some(Wait::Command { begun: true, .. }) => match self.landed(txn)? {
                Some(Answer::Job(outcome)) => Some(outcome),
                _ => None,
            },
            Some(_) => return Err(lost("a script that waits for something else")),
        };
        let Some(outcome) = outcome else {
            let moved = self.row.wait != taken.row.wait;
            self.keep(txn, None)?;
            return Ok(self.stepped(None, moved));
        };
        let text = |value: &Value| match value {
            Value::Str(text) => text.clone(),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        self.console.push(&format!("exit status: {}\n", outcome.status));
        for (name, value) in
            [("standard output", &outcome.result), ("standard error", &outcome.error)]
        {
            self.console.push(&format!("{name}:\n{}\n", text(value)));
        }
        let done = outcome.status == 0;
        let end =
            End { done, status: outcome.status, result: outcome.result, error: outcome.error };
        self.finish(txn, &end)?;
        Ok(self.stepped(None, true))
    }

    /// Takes a place of the script's multiplicity, or waits for one.
    fn has_place(&mut self, txn: &Txn, acquired: &mut Vec<ObjectId>) -> Result<bool, Fault> {
        let job = self.row.job;
        let Some(places) = control::multiplicity(txn, job)? else { return Ok(true) };
        if self.row.locks.contains(&job) {
            return Ok(true);
        }
        if self.inner.locks.acquire(job, self.id(), places) {
            acquired.push(job);
            self.row.locks.push(job);
            return Ok(true);
        }
        if self.row.wait != Some(Wait::Lock(job)) {
            self.wait(Wait::Lock(job));
        }
        Ok(false)
    }

    fn begin_script(&mut self, txn: &mut Txn) -> Option<Outcome> {
        let script = self.row.script.clone()?;
        let request = direct(self.row.job, &script);
        let place = Place::take(self.inner, Pool::Commands, self.id());
        match self.begin(txn, &request, place).err().map(|answer| *answer) {
            Some(Answer::Job(outcome)) => Some(outcome),
            _ => None,
        }
    }
}

/// The request that a directly started script is.
fn direct(job: ObjectId, script: &Script) -> Request {
    let objects = [("__node__", script.node), ("__account__", script.account)];
    let control = objects
        .into_iter()
        .filter_map(|(name, id)| Some((name.to_owned(), control::object(id?))))
        .collect();
    Request::Script {
        script: job,
        arguments: script.arguments.clone(),
        input: None,
        control: Control(control),
        // The process holds the place itself.
        placed: false,
    }
}

/// What a jobflow gets of a command's output.
pub(in crate::engine) fn value(data: Data) -> Value {
    match data {
        Data::Text(text) => Value::Str(text),
        Data::Bytes(bytes) => Value::Bytes(bytes),
    }
}
