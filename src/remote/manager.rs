//! The job manager inside the server: serves one realm, chooses the runner and bounds how many run at
//! once (rule: `operations/job-manager`).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Done, Outcome, Output, Request, Runner, Running};

/// Takes requests for every connection type; beyond the pool they wait in order.
pub struct Manager(Arc<Shared>);

struct Shared {
    realm: String,
    local: Arc<dyn Runner>,
    pool: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<Arc<Ticket>>,
}

/// A request that waits or runs.
struct Ticket {
    shared: Weak<Shared>,
    state: Mutex<Phase>,
}

enum Phase {
    Waiting(Box<(Request, Arc<dyn Output>, Done)>),
    Running(Arc<dyn Running>),
    /// Being started, or ended; `true` when it was cancelled on the way.
    Between(bool),
}

impl Manager {
    /// Concurrent jobs of a manager when nothing else is configured (`pool_size`).
    pub const POOL: usize = 8;

    /// A manager of `realm` that runs at most `pool` jobs at once, local ones through `local`.
    #[must_use]
    pub fn new(realm: &str, local: Arc<dyn Runner>, pool: usize) -> Self {
        let (realm, pool) = (realm.to_owned(), pool.max(1));
        Self(Arc::new(Shared { realm, local, pool, state: Mutex::default() }))
    }
}

impl Runner for Manager {
    fn start(&self, request: Request, output: Arc<dyn Output>, done: Done) -> Arc<dyn Running> {
        if let Some(realm) = request.target.realm.as_ref().filter(|realm| **realm != self.0.realm) {
            done(Outcome::Lost { message: format!("no job manager serves the realm {realm}") });
            return Arc::new(Over);
        }
        // A session lasts as long as its block, in which commands wait for places: it takes none.
        if request.session && request.target.connection() == "local" {
            return self.0.local.start(request, output, done);
        }
        let ticket = Arc::new(Ticket {
            shared: Arc::downgrade(&self.0),
            state: Mutex::new(Phase::Waiting(Box::new((request, output, done)))),
        });
        self.0.state.lock().waiting.push_back(Arc::clone(&ticket));
        self.0.advance();
        ticket
    }
}

/// What has ended before it began.
struct Over;

impl Running for Over {
    fn cancel(&self) {}
}

impl Shared {
    /// Starts waiting requests while there is room.
    fn advance(self: &Arc<Self>) {
        loop {
            let ticket = {
                let mut state = self.state.lock();
                if state.running >= self.pool {
                    return;
                }
                let Some(ticket) = state.waiting.pop_front() else { return };
                state.running += 1;
                ticket
            };
            let phase = std::mem::replace(&mut *ticket.state.lock(), Phase::Between(false));
            match phase {
                Phase::Waiting(parts) => self.launch(&ticket, *parts),
                // Cancelled while it waited: its place is free again.
                Phase::Running(_) | Phase::Between(_) => {
                    *ticket.state.lock() = phase;
                    self.state.lock().running -= 1;
                }
            }
        }
    }

    fn launch(self: &Arc<Self>, ticket: &Ticket, parts: (Request, Arc<dyn Output>, Done)) {
        let (request, output, done) = parts;
        let connection = request.target.connection();
        if connection != "local" {
            let message = format!("connection type '{connection}' is not available here");
            self.state.lock().running -= 1;
            done(Outcome::Lost { message });
            return;
        }
        let shared = Arc::clone(self);
        let finish: Done = Box::new(move |outcome| {
            // The next one starts before the end is told: telling may take long.
            shared.state.lock().running -= 1;
            shared.advance();
            done(outcome);
        });
        let running = self.local.start(request, output, finish);
        let mut state = ticket.state.lock();
        if matches!(*state, Phase::Between(true)) {
            running.cancel();
        }
        *state = Phase::Running(running);
    }
}

impl Running for Ticket {
    fn cancel(&self) {
        let mut state = self.state.lock();
        match &mut *state {
            Phase::Running(running) => running.cancel(),
            Phase::Between(cancelled) => *cancelled = true,
            Phase::Waiting(_) => {
                let phase = std::mem::replace(&mut *state, Phase::Between(true));
                drop(state);
                if let Phase::Waiting(parts) = phase {
                    let (_, _, done) = *parts;
                    done(Outcome::Cancelled);
                }
                if let Some(shared) = self.shared.upgrade() {
                    shared.state.lock().waiting.retain(|other| !std::ptr::eq(&**other, self));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::NoOutput;

    /// A runner whose work ends when it is told to.
    #[derive(Default)]
    struct Held(Mutex<Vec<(Request, Option<Done>)>>);

    struct Nothing;

    impl Running for Nothing {
        fn cancel(&self) {}
    }

    impl Runner for Held {
        fn start(&self, request: Request, _: Arc<dyn Output>, done: Done) -> Arc<dyn Running> {
            self.0.lock().push((request, Some(done)));
            Arc::new(Nothing)
        }
    }

    impl Held {
        fn end(&self, index: usize) {
            let done = self.0.lock()[index].1.take().unwrap();
            done(Outcome::Cancelled);
        }
    }

    fn start(manager: &Manager, request: Request) -> (Arc<dyn Running>, Arc<Mutex<Vec<Outcome>>>) {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&outcomes);
        let done: Done = Box::new(move |outcome| told.lock().push(outcome));
        (manager.start(request, Arc::new(NoOutput), done), outcomes)
    }

    // rule: operations/job-manager
    #[test]
    fn jobs_beyond_the_pool_wait_in_order() {
        let held = Arc::new(Held::default());
        let manager = Manager::new("default", held.clone(), 2);
        let jobs: Vec<_> =
            (0..4).map(|n| start(&manager, Request::command(n.to_string()))).collect();
        assert_eq!(held.0.lock().len(), 2);
        held.end(0);
        assert_eq!(held.0.lock().len(), 3);
        assert_eq!(held.0.lock()[2].0.work, Request::command("2").work);
        assert_eq!(jobs[0].1.lock().len(), 1);
    }

    // rule: operations/job-manager
    #[test]
    fn a_job_cancelled_while_it_waits_never_starts_and_frees_its_place() {
        let held = Arc::new(Held::default());
        let manager = Manager::new("default", held.clone(), 1);
        let _first = start(&manager, Request::command("1"));
        let second = start(&manager, Request::command("2"));
        let _third = start(&manager, Request::command("3"));
        second.0.cancel();
        assert_eq!(*second.1.lock(), [Outcome::Cancelled]);
        held.end(0);
        assert_eq!(held.0.lock()[1].0.work, Request::command("3").work);
    }

    // rule: operations/job-manager
    #[test]
    fn a_job_of_a_realm_that_nobody_serves_is_lost_and_takes_no_place() {
        let held = Arc::new(Held::default());
        let manager = Manager::new("default", held.clone(), 1);
        let mut request = Request::command("1");
        request.target.realm = Some("far".to_owned());
        let far = start(&manager, request);
        let message = "no job manager serves the realm far".to_owned();
        assert_eq!(*far.1.lock(), [Outcome::Lost { message }]);
        far.0.cancel();
        let mut request = Request::command("2");
        request.target.realm = Some("default".to_owned());
        let _own = start(&manager, request);
        assert_eq!(held.0.lock()[0].0.work, Request::command("2").work);
    }

    // rule: operations/connection-types
    #[test]
    fn a_connection_type_that_is_not_built_is_a_lost_job_with_its_name() {
        let manager = Manager::new("default", Arc::new(Held::default()), 1);
        let mut request = Request::command("x");
        request.target.host = Some("db01".to_owned());
        let (_, outcomes) = start(&manager, request);
        assert!(
            matches!(&outcomes.lock()[..], [Outcome::Lost { message }] if message.contains("'ssh'"))
        );
    }
}
