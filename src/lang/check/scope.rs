//! Which variables are certainly assigned (rule: language/definite-assignment).

use std::collections::HashSet;
use std::sync::Arc;

/// What is assigned at one point of the program.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Variables of the jobflow.
    assigned: HashSet<Arc<str>>,
    /// The order in which they came, so that a branch can be taken back.
    trail: Vec<Arc<str>>,
    /// Variables of open blocks, innermost last.
    own: Vec<Arc<str>>,
    /// Behind a jump: this point is never reached, so anything holds.
    unreachable: bool,
    /// Assigned anywhere so far; for a hint.
    anywhere: HashSet<Arc<str>>,
}

/// What a branch certainly assigns.
#[derive(Debug)]
pub(super) enum Branch {
    /// These.
    Names(Vec<Arc<str>>),
    /// It never comes to its end; these before it left.
    Jumps(Vec<Arc<str>>),
}

/// A point to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    trail: usize,
    own: usize,
    unreachable: bool,
}

impl Scope {
    pub(super) fn knows(&self, name: &Arc<str>) -> bool {
        self.unreachable || self.assigned.contains(name) || self.own.contains(name)
    }

    pub(super) fn was_assigned(&self, name: &Arc<str>) -> bool {
        self.anywhere.contains(name)
    }

    /// All names that can be read here.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.trail.iter().chain(&self.own).map(|name| &**name)
    }

    pub(super) fn assign(&mut self, name: &Arc<str>) {
        if self.own.contains(name) {
            return;
        }
        self.anywhere.insert(name.clone());
        if self.assigned.insert(name.clone()) {
            self.trail.push(name.clone());
        }
    }

    /// A variable of the block that is open now.
    pub(super) fn bind(&mut self, name: &Arc<str>) {
        self.own.push(name.clone());
    }

    pub(super) const fn jump(&mut self) {
        self.unreachable = true;
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark { trail: self.trail.len(), own: self.own.len(), unreachable: self.unreachable }
    }

    /// Closes the block that began at `mark`; what it assigned stays.
    pub(super) fn close(&mut self, mark: Mark) {
        self.own.truncate(mark.own);
    }

    /// Takes back all since `mark`, and says what it was.
    pub(super) fn back(&mut self, mark: Mark) -> Branch {
        self.own.truncate(mark.own);
        let names = self.trail.split_off(mark.trail);
        for name in &names {
            self.assigned.remove(name);
        }
        let jumps = std::mem::replace(&mut self.unreachable, mark.unreachable);
        if jumps { Branch::Jumps(names) } else { Branch::Names(names) }
    }

    /// One of `branches` has run.
    pub(super) fn join(&mut self, branches: &[Branch]) {
        let mut common: Option<Vec<&Arc<str>>> = None;
        for branch in branches {
            let Branch::Names(names) = branch else { continue };
            common = Some(match common {
                None => names.iter().collect(),
                Some(before) => {
                    let names: HashSet<_> = names.iter().collect();
                    before.into_iter().filter(|name| names.contains(name)).collect()
                }
            });
        }
        match common {
            None => self.jump(),
            Some(names) => names.into_iter().for_each(|name| self.assign(name)),
        }
    }
}
