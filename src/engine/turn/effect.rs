//! What follows a turn's commit: commands start, others are woken, memory is brought in line.

use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;
use kompira_schema::value::Ref;

use super::super::admission;
use super::super::flight;
use super::super::inner::Inner;
use super::super::notices;
use super::super::row::{self, Row, Wait};
use super::super::slot::{Order, Phase, Slot};
use super::super::vm::request::Source;
use super::{Stepped, Taken};

/// How long a turn that failed in the store is put off, doubled each time.
const PUT_OFF: Duration = Duration::from_millis(200);
/// At most this long.
const PUT_OFF_MAX: Duration = Duration::from_secs(30);

/// Brings memory in line with what was committed.
pub(super) fn settle(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    was: &Row,
    stepped: Stepped,
    places: usize,
    orders: usize,
) {
    let id = slot.id;
    let ended = !stepped.row.status.is_active();
    count(inner, id, was, &stepped, places);
    inner.slots.begun(stepped.born.len());
    if stepped.moved {
        inner.timers.clear(id);
        inner.leave_lines(id);
    }
    if let Some(Wait::Until(at) | Wait::Events(Some(at))) = &stepped.row.wait
        && stepped.moved
    {
        inner.timers.set(id, *at);
    }
    let listens = !stepped.sources.is_empty();
    if listens {
        inner.mailbox.wait(id, stepped.sources.iter().copied());
        inner.mails.awaited_all(&stepped.sources);
    }
    let flight = {
        let mut state = slot.lock();
        if stepped.saved {
            state.saved = inner.clock.monotonic();
        }
        state.row = stepped.row;
        state.moving = false;
        state.machine = stepped.machine;
        state.failures = 0;
        state.obeyed += orders as u64;
        if ended || stepped.moved { state.flight.take() } else { None }
    };
    if let Some(flight) = flight.filter(|_| ended) {
        flight.running.cancel();
    }
    for child in &stepped.born {
        inner.wake(*child);
    }
    if let Some(parent) = stepped.parted {
        leave_parent(inner, parent);
    }
    for jobflow in stepped.released {
        for waiting in inner.locks.release(jobflow, id) {
            inner.wake(waiting);
        }
    }
    if let Some(Wait::Lock(jobflow)) = was.wait
        && ended
    {
        for waiting in inner.locks.leave(jobflow, id) {
            inner.wake(waiting);
        }
    }
    for (session, text) in &stepped.typed {
        inner.sessions.write(*session, text);
    }
    let ends = was.queues.iter().filter(|_| ended);
    for &session in stepped.closed.iter().chain(ends) {
        inner.sessions.close(session);
    }
    for &queue in &stepped.told {
        inner.ask(Source::Queue(queue));
    }
    if ended {
        bury(inner, slot);
    }
    let push = {
        let mut state = slot.lock();
        // A wait for events began: what came before it was entered in the list is looked for.
        let again = stepped.again || listens || state.phase == Phase::Again;
        state.phase = Phase::Idle;
        again && slot.wake(&mut state)
    };
    slot.tell();
    if ended {
        tell_end(inner, slot);
    }
    if push {
        inner.queue.push(id);
    } else {
        inner.slots.rest(slot);
        inner.looked(id);
    }
    // It may end at once, and its process go on in another thread.
    if let Some((sequence, work, place)) = stepped.command {
        flight::begin(inner, slot, sequence, work, place);
    }
}

/// Counts the process, or not, as active ones are counted.
fn count(inner: &Inner, id: ProcessId, was: &Row, stepped: &Stepped, places: usize) {
    let counts = |row: &Row| {
        row.status.is_active() && !matches!(row.wait, Some(Wait::Room | Wait::Children { .. }))
    };
    let used = stepped.born.len() + usize::from(counts(&stepped.row) && !counts(was));
    let mut next = None;
    if counts(was) && !counts(&stepped.row) {
        next = inner.admission.give(1);
    }
    if used > places {
        (places..used).for_each(|_| inner.admission.take_back());
    } else if used < places {
        next = inner.admission.give(places - used).or(next);
    } else if places > 0 {
        next = inner.admission.give(0).or(next);
    }
    if !stepped.row.status.is_active() {
        next = inner.admission.leave(id).or(next);
        admission::leave(inner, id);
    }
    if let Some(next) = next.filter(|&next| next != id) {
        inner.wake(next);
    }
}

/// Tells those to whom the end matters.
fn bury(inner: &Arc<Inner>, slot: &Arc<Slot>) {
    let id = slot.id;
    inner.slots.ended(id);
    inner.timers.clear(id);
    inner.leave_lines(id);
    let (parent, children, told) = {
        let state = slot.lock();
        (state.row.parent, state.children, notices::is_due(&state.row))
    };
    if told {
        inner.notices.tell(id);
    }
    if let Some(parent) = parent {
        leave_parent(inner, parent);
    }
    for waiting in inner.mailbox.waiting(Source::Reference(Ref::Process(id))) {
        inner.wake(waiting);
    }
    if children > 0 {
        terminate_children(inner, id);
    }
}

/// Tells those who wait for the end: at once, or while others sync anyway, when it is durable, so
/// that they wake once.
fn tell_end(inner: &Arc<Inner>, slot: &Arc<Slot>) {
    let shared = !inner.queue.is_empty() || inner.commands.has_several();
    if slot.tell_end(shared) {
        let told = Untold(Some(Arc::clone(slot)));
        inner.outbox.push(Box::new(move |synced| told.tell(synced.is_ok())));
    }
}

/// An end that is still to be told. Dropped, those who wait see themselves.
struct Untold(Option<Arc<Slot>>);

impl Untold {
    fn tell(mut self, durable: bool) {
        if let Some(slot) = self.0.take() {
            slot.tell_durable(durable);
        }
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.tell_durable(false);
        }
    }
}

/// Ends what a process that has ended leaves behind.
pub(in crate::engine) fn terminate_children(inner: &Inner, parent: ProcessId) {
    let children = row::children(&inner.snapshot(), parent).unwrap_or_default();
    for child in children {
        if let Some(slot) = inner.slot(child) {
            let mine = slot.lock().row.parent == Some(parent);
            if mine {
                inner.order(&slot, Order::Terminate);
            }
        }
    }
}

fn leave_parent(inner: &Inner, parent: ProcessId) {
    // Who has children is in memory.
    if let Some(slot) = inner.slots.held(parent) {
        inner.wake_slot(&slot, |state| state.children = state.children.saturating_sub(1));
    }
}

/// Puts a turn off that failed in the store; what the process was told is kept.
pub(super) fn put_off(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    taken: Taken,
    orders: usize,
    fault: &Fault,
) {
    let id = slot.id;
    if taken.places > 0
        && let Some(next) = inner.admission.give(taken.places)
    {
        inner.wake(next);
    }
    let mut state = slot.lock();
    let later = std::mem::replace(&mut state.orders, taken.orders);
    debug_assert_eq!(orders, state.orders.len(), "an attempt takes no orders away");
    state.orders.extend(later);
    let newer = std::mem::replace(&mut state.output, taken.output);
    state.output.append(newer);
    state.moving = false;
    // The machine may be ahead of the store: it is loaded anew.
    state.machine = None;
    state.failures += 1;
    state.phase = Phase::Idle;
    let wait = PUT_OFF.saturating_mul(1 << state.failures.min(10)).min(PUT_OFF_MAX);
    let failures = state.failures;
    drop(state);
    slot.tell();
    if failures == 1 {
        tracing::warn!(process = id.0, ?fault, "a turn could not be stored; it is tried again");
    }
    inner.timers.retry(id, wait);
    // It may take long: others need not wait for it.
    inner.looked(id);
}
