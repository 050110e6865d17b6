//! A turn of one process: orders, the wait, a slice of steps, and the one commit that holds what
//! it did.
//!
//! Being woken is a hint. A turn looks at the wait itself, inside its transaction, so that a
//! lost, doubled or early wake-up changes nothing. A conflict runs the turn again from the last
//! saved state: until its commit it has touched nothing but memory of its own.

mod children;
mod command;
mod effect;
mod finish;
mod slice;

pub(super) use command::value;
pub(super) use slice::options;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};

use super::admission::{self, Place};
use super::console::{self, Tail};
use super::flight;
use super::inner::{Inner, caller};
use super::process::Status;
use super::row::{self, Asleep, Journal, Row, Wait};
use super::slot::{Order, Slot};
use super::trace;
use super::vm::Machine;
use crate::store::{Durability, Family, Snapshot, What};
use crate::tree::Txn;

/// Most children that one turn makes: their commit stays small.
const CHILDREN_AT_ONCE: usize = 64;

/// Runs turns until the queue is closed.
pub(super) fn work(inner: &Arc<Inner>) {
    while let Some(id) = inner.queue.pop() {
        match inner.slot(id) {
            Some(slot) if slot.claim() => {
                turn(inner, &slot, None);
            }
            // Whoever works on it will look again; one that has ended will not.
            Some(slot) if slot.is_active() => {}
            Some(_) | None => inner.looked(id),
        }
    }
}

/// Gives a process that was just committed, taken by the caller, its first turn: in this thread if
/// no other waits for a worker.
pub(super) fn begin(inner: &Arc<Inner>, slot: &Arc<Slot>) {
    // Who stops the engine waits for this.
    let landing = inner.landing.read_recursive();
    if inner.queue.is_empty() && !inner.stopping() {
        turn(inner, slot, None);
    } else {
        slot.unclaim();
        inner.wake_slot(slot, |_| {});
    }
    drop(landing);
}

/// What a turn starts from.
struct Taken {
    row: Row,
    machine: Option<Box<Machine>>,
    saved: Duration,
    orders: Vec<Order>,
    output: Tail,
    /// How its command ended, to be journaled with what is made of it.
    landed: Option<(u64, Journal)>,
    /// Its deadline has come.
    due: bool,
    /// Children that have not ended.
    children: usize,
    /// Places among the active ones for itself or its children.
    places: usize,
    /// Children that the last attempt would have made.
    born: usize,
}

/// What a turn came to.
struct Stepped {
    row: Row,
    /// There is something to commit.
    writes: bool,
    machine: Option<Box<Machine>>,
    /// The state in the store is the machine's.
    saved: bool,
    /// There is more to do at once.
    again: bool,
    /// The wait is another than before.
    moved: bool,
    /// To be carried out when the commit is durable.
    command: Option<(u64, flight::Work, Place)>,
    /// Children that came to be.
    born: Vec<ProcessId>,
    /// Multiplicity places that are free now.
    released: Vec<ObjectId>,
    /// It parted from this process.
    parted: Option<ProcessId>,
    /// Sources it waits for, when that is new.
    sources: Vec<super::vm::request::Source>,
    /// Queues in memory that got messages.
    told: Vec<u64>,
    /// What is typed into sessions.
    typed: Vec<(u64, Vec<u8>)>,
    /// Sessions that are left.
    closed: Vec<u64>,
}

/// A turn in the making.
pub(super) struct Turn<'a> {
    inner: &'a Arc<Inner>,
    slot: &'a Arc<Slot>,
    row: Row,
    /// As the marker in the store says.
    asleep: Option<Asleep>,
    console: Tail,
    /// There is something to commit.
    dirty: bool,
    out: Outgoing,
}

/// What is carried out after the commit.
#[derive(Default)]
struct Outgoing {
    again: bool,
    saved: bool,
    command: Option<(u64, flight::Work, Place)>,
    born: Vec<ProcessId>,
    released: Vec<ObjectId>,
    parted: Option<ProcessId>,
    sources: Vec<super::vm::request::Source>,
    told: Vec<u64>,
    typed: Vec<(u64, Vec<u8>)>,
    closed: Vec<u64>,
}

/// Gives one process its turn. The end of its command is given back if it could not be stored.
pub(super) fn turn(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    landed: Option<(u64, Journal)>,
) -> Option<Journal> {
    let mut taken = take(inner, slot, landed);
    let was = taken.row.clone();
    let (orders, places) = (taken.orders.len(), taken.places);
    let mut acquired = Vec::new();
    let who = caller(taken.row.user, slot.id);
    let result = catch_unwind(AssertUnwindSafe(|| {
        inner.tree.write(&who, Durability::Lazy, |txn| {
            give_back(inner, slot.id, &mut acquired);
            slot.unborn(&mut taken.born);
            let stepped = step(inner, slot, &mut taken, txn, &mut acquired)?;
            // Counted before anybody can see them: one may end before this turn is settled.
            taken.born = stepped.born.len();
            slot.lock().children += taken.born;
            if stepped.writes {
                inner.before_commit()?;
            }
            Ok(stepped)
        })
    }));
    let result = match result {
        Ok(result) => result.map(|done| done.value),
        Err(_) => {
            // A fault of ours ends this process and no other.
            tracing::error!(process = slot.id.0, "a turn panicked");
            give_back(inner, slot.id, &mut acquired);
            slot.unborn(&mut taken.born);
            inner
                .tree
                .write(&who, Durability::Lazy, |txn| {
                    let mut turn = Turn::new(inner, slot, was.clone(), Tail::default());
                    turn.finish(txn, &finish::abend("internal error"))?;
                    Ok(turn.stepped(None, true))
                })
                .map(|done| done.value)
        }
    };
    match result {
        Ok(stepped) if stepped.writes && !inner.after_commit() => {
            // The server has ended: nobody waits for more.
            slot.settled();
            None
        }
        Ok(stepped) => {
            effect::settle(inner, slot, &was, stepped, places, orders);
            None
        }
        Err(fault) => {
            give_back(inner, slot.id, &mut acquired);
            slot.unborn(&mut taken.born);
            let landed = taken.landed.take();
            effect::put_off(inner, slot, taken, orders, &fault);
            landed.map(|(_, line)| line)
        }
    }
}

fn give_back(inner: &Inner, id: ProcessId, acquired: &mut Vec<ObjectId>) {
    for jobflow in acquired.drain(..) {
        inner.locks.release(jobflow, id);
    }
}

/// Takes what the process was told, and places among the active ones if it needs some.
fn take(inner: &Inner, slot: &Slot, landed: Option<(u64, Journal)>) -> Taken {
    let mut state = slot.lock();
    let due = inner.timers.is_due(slot.id);
    state.moving = !state.output.is_empty();
    let mut taken = Taken {
        row: state.row.clone(),
        machine: state.machine.take(),
        saved: state.saved,
        orders: std::mem::take(&mut state.orders),
        output: std::mem::take(&mut state.output),
        landed,
        due,
        children: state.children,
        places: 0,
        born: 0,
    };
    drop(state);
    let wanted = match &taken.row.wait {
        _ if slot.stopping() => 0,
        Some(Wait::Room) => 1,
        Some(Wait::Children { count, children }) => {
            count.saturating_sub(children.len()).min(CHILDREN_AT_ONCE)
        }
        _ => 0,
    };
    if wanted > 0 {
        taken.places = inner.admission.take(slot.id, wanted);
    }
    taken
}

/// One attempt of a turn.
fn step(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    taken: &mut Taken,
    txn: &mut Txn,
    acquired: &mut Vec<ObjectId>,
) -> Result<Stepped, Fault> {
    let mut turn = Turn::new(inner, slot, taken.row.clone(), taken.output.clone());
    if let Some((sequence, line)) = &taken.landed {
        let key = row::journal_key(slot.id, *sequence);
        txn.raw_put(Family::Journal, &key, row::write(Family::Journal, &key, line)?);
        turn.dirty = true;
    }
    if turn.obey(&taken.orders) {
        return turn.terminate(txn, taken, acquired);
    }
    if turn.row.suspended {
        // Who is paused holds nobody up.
        if let Some(Wait::Lock(jobflow)) = turn.row.wait {
            for next in inner.locks.leave(jobflow, slot.id) {
                inner.wake(next);
            }
        }
        if matches!(turn.row.wait, Some(Wait::Command { begun: false, .. })) {
            admission::leave(inner, slot.id);
        }
        let machine = taken.machine.take();
        turn.hear(txn)?;
        turn.keep(txn, None)?;
        return Ok(turn.stepped(machine, false));
    }
    if turn.row.script.is_some() {
        return turn.script(txn, taken, acquired);
    }
    turn.slice(txn, taken, acquired)
}

impl<'a> Turn<'a> {
    pub(super) fn new(inner: &'a Arc<Inner>, slot: &'a Arc<Slot>, row: Row, console: Tail) -> Self {
        let dirty = !console.is_empty();
        let asleep = row.asleep();
        Self { inner, slot, row, asleep, console, dirty, out: Outgoing::default() }
    }

    fn id(&self) -> ProcessId {
        self.slot.id
    }

    /// Applies orders; `true` when it is to be terminated.
    fn obey(&mut self, orders: &[Order]) -> bool {
        for order in orders {
            self.dirty = true;
            match order {
                Order::Terminate => return true,
                Order::Suspend => self.row.suspended = true,
                Order::Resume(modes) => {
                    self.row.suspended = false;
                    self.row.set(*modes);
                }
                Order::Set(modes) => self.row.set(*modes),
                Order::User(user) => self.row.user = *user,
            }
        }
        false
    }

    /// Puts record, state and console into the transaction, if there is anything new.
    fn keep(&mut self, txn: &mut Txn, machine: Option<&Machine>) -> Result<(), Fault> {
        if !self.dirty {
            return Ok(());
        }
        if let Some(machine) = machine {
            if !self.save(txn, machine)? {
                let most = self.inner.limits.frame;
                let why = format!("its state is too large to be kept: at most {most} bytes");
                self.console.push(&format!("{why}\n"));
                self.out.command = None;
                self.out.again = false;
                self.row.locks.extend(machine.locks());
                return self.finish(txn, &finish::abend(&why));
            }
            self.out.saved = true;
        }
        self.write_console(txn)?;
        let key = row::process_key(self.id());
        txn.raw_put(Family::Process, &key, row::write(Family::Process, &key, &self.row)?);
        let asleep = self.row.asleep();
        if self.row.status.is_active() && asleep != self.asleep {
            let key = row::active_key(self.id());
            txn.raw_put(Family::Process, &key, row::marker(&key, asleep.as_ref())?);
            self.asleep = asleep;
        }
        txn.process_changed(self.id(), What::Record);
        Ok(())
    }

    /// Puts the state of a process, unless it is too large.
    fn save(&mut self, txn: &mut Txn, machine: &Machine) -> Result<bool, Fault> {
        let mut bytes = Vec::new();
        machine.save(&mut bytes);
        if bytes.len() > self.inner.limits.frame {
            return Ok(false);
        }
        let programs = machine.programs();
        for hash in &programs {
            let key = row::pinned_key(*hash);
            if self.row.programs.contains(&hash.0) || txn.raw_get(Family::Frame, &key)?.is_some() {
                continue;
            }
            let code = self.inner.codes.find(txn.snapshot(), *hash).map_err(Fault::internal)?;
            txn.raw_put(Family::Frame, &key, code.source.as_bytes().to_vec());
        }
        self.row.programs = programs.iter().map(|hash| hash.0).collect();
        let position = machine.position();
        self.row.current_job = Some(position.jobflow);
        self.row.line = position.line;
        self.row.locks = machine.locks();
        if self.row.traced && matches!(self.row.wait, Some(Wait::Command { begun: true, .. })) {
            let state = trace::State {
                shown: self.row.shown().to_owned(),
                current_job: self.row.current_job,
                line: self.row.line,
                locks: self.row.locks.clone(),
                frame: bytes.clone(),
                sources: trace::sources(self.inner, txn.snapshot(), &programs)?,
            };
            trace::put_state(txn, self.id(), self.row.sequence, &state)?;
        }
        put_frame(txn, self.id(), &bytes)?;
        Ok(true)
    }

    fn write_console(&mut self, txn: &mut Txn) -> Result<(), Fault> {
        if self.console.is_empty() {
            return Ok(());
        }
        let id = self.id();
        let tail = std::mem::take(&mut self.console);
        let plan =
            console::append(id, self.row.console, &tail, || console::offsets(txn.snapshot(), id))?;
        self.put_console(txn, plan);
        Ok(())
    }

    fn put_console(&mut self, txn: &mut Txn, plan: console::Append) {
        for (key, value) in plan.puts {
            txn.raw_put(Family::Console, &key, value);
        }
        for key in plan.deletes {
            txn.raw_delete(Family::Console, &key);
        }
        self.row.console = plan.span;
    }

    /// Enters a wait.
    fn wait(&mut self, wait: Wait) {
        self.dirty = true;
        self.row.status = Status::Waiting;
        self.row.wait = Some(wait);
    }

    /// Leaves the wait.
    fn go(&mut self) {
        self.dirty = true;
        self.row.status = Status::Ready;
        self.row.wait = None;
    }

    fn stepped(self, machine: Option<Box<Machine>>, moved: bool) -> Stepped {
        Stepped {
            writes: self.dirty,
            row: self.row,
            machine,
            saved: self.out.saved,
            again: self.out.again,
            moved,
            command: self.out.command,
            born: self.out.born,
            released: self.out.released,
            parted: self.out.parted,
            sources: self.out.sources,
            told: self.out.told,
            typed: self.out.typed,
            closed: self.out.closed,
        }
    }
}

/// Puts a machine's saved state.
pub(super) fn put_frame(txn: &mut Txn, id: ProcessId, bytes: &[u8]) -> Result<(), Fault> {
    let key = row::process_key(id);
    let frame = row::write(Family::Frame, &key, serde_bytes::Bytes::new(bytes))?;
    txn.raw_put(Family::Frame, &key, frame);
    Ok(())
}

/// The fault of a record that must be there.
fn lost(what: &str) -> Fault {
    Fault::new(Kind::Corrupt, kompira_schema::message!("store.corrupt")).because(what)
}

/// Enters processes that wait for events into the lists of what they wait for, after a restart.
pub(super) fn listen_again(
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    ids: &[ProcessId],
) -> Result<(), Fault> {
    for (&id, frame) in ids.iter().zip(row::frames(snapshot, ids)?) {
        // A state that cannot be used is told at its turn.
        let Ok(Some(frame)) = frame else { continue };
        let Ok(machine) = slice::load(inner, snapshot, &frame) else { continue };
        if let Some(super::vm::Request::Events(awaited)) = machine.waiting() {
            let sources = awaited.iter().flat_map(|one| one.sources.iter().copied());
            inner.mailbox.wait(id, sources);
        }
    }
    Ok(())
}
