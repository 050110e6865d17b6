//! Whether what was read still holds.
//!
//! Who makes something of rows and keeps it notes which rows it read; each row has a mark, shared
//! with few others. Every write sets the marks of its rows to the state that it makes, before that
//! state is published. What was made holds as long as none of its marks is later than the state it
//! was made of. A shared mark can say that something no longer holds that does, never the
//! opposite.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::kv::{Family, Write, WriteSet};

/// Marks, one for each `u16`; half a megabyte.
const MARKS: usize = 1 << 16;
/// Rows that one thing may be made of; beyond that, comparing costs more than reading again.
const ROWS_MAX: usize = 256;

/// When rows were last written.
#[derive(Debug)]
pub(super) struct Written {
    marks: Box<[AtomicU64]>,
    /// When a range of rows was last deleted.
    range: AtomicU64,
    /// The newest state that was written.
    state: AtomicU64,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
            range: AtomicU64::new(0),
            state: AtomicU64::new(0),
        }
    }
}

/// Commits write these again and again, and nobody makes anything of them.
const fn is_told(family: Family) -> bool {
    !matches!(family, Family::Change | Family::History | Family::Audit)
}

fn mark_of(family: Family, key: &[u8]) -> u16 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = family.index() as u64;
    for chunk in key.chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        sum = (sum.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(MIX);
    }
    u16::try_from(sum >> 48).unwrap_or(u16::MAX)
}

impl Written {
    /// The newest state that was written. Read by the committer when it publishes.
    pub(super) fn state(&self) -> u64 {
        self.state.load(Ordering::Relaxed)
    }

    /// Notes a write. The committer alone calls this, before it publishes what it wrote; to
    /// publish is what lets others see the marks.
    pub(super) fn note(&self, set: &WriteSet) {
        let state = self.state() + 1;
        self.state.store(state, Ordering::Relaxed);
        for write in &set.writes {
            match write {
                Write::Put(family, key, _) | Write::Delete(family, key) if is_told(*family) => {
                    if let Some(mark) = self.marks.get(usize::from(mark_of(*family, key))) {
                        mark.store(state, Ordering::Relaxed);
                    }
                }
                Write::DeleteRange(family, ..) if is_told(*family) => {
                    self.range.store(state, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }

    /// Whether `basis` holds at the published state `now`.
    pub(super) fn holds(&self, basis: &Basis, now: u64) -> bool {
        let made = basis.state.load(Ordering::Relaxed);
        if made >= now {
            return true;
        }
        let since = |mark: u16| {
            let mark = self.marks.get(usize::from(mark));
            mark.is_none_or(|mark| mark.load(Ordering::Relaxed) > made)
        };
        if self.range.load(Ordering::Relaxed) > made || basis.marks.iter().copied().any(since) {
            return false;
        }
        basis.state.fetch_max(now, Ordering::Relaxed);
        true
    }
}

/// Notes which rows are read, for something that will be kept.
#[derive(Debug)]
pub struct Watch {
    state: u64,
    /// Marks of the rows; `None`: what is made cannot be kept.
    marks: Mutex<Option<Vec<u16>>>,
}

/// The rows something was made of, and the state in which they were so.
#[derive(Debug)]
pub struct Basis {
    state: AtomicU64,
    marks: Box<[u16]>,
}

impl Watch {
    pub(super) fn new(state: u64) -> Self {
        Self { state, marks: Mutex::new(Some(Vec::with_capacity(32))) }
    }

    /// A row is read.
    pub fn row(&self, family: Family, key: &[u8]) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = marks.as_mut() else { return };
        if !is_told(family) || seen.len() == ROWS_MAX {
            *marks = None;
        } else {
            seen.push(mark_of(family, key));
        }
    }

    /// Something else than single rows is looked at: a range of rows, the time of day, a secret.
    pub fn more(&self) {
        *self.marks.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What all was made of; `None`: it cannot be kept.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        marks.sort_unstable();
        marks.dedup();
        Some(Basis { state: AtomicU64::new(self.state), marks: marks.into() })
    }
}

impl Basis {
    /// Bytes it takes, about.
    #[must_use]
    pub fn cost(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(family: Family, key: &[u8]) -> WriteSet {
        let mut set = WriteSet::default();
        set.put(family, key, *b"");
        set
    }

    fn of(written: &Written, rows: &[(Family, &[u8])]) -> Basis {
        let watch = Watch::new(written.state());
        rows.iter().for_each(|(family, key)| watch.row(*family, key));
        watch.basis().unwrap()
    }

    #[test]
    fn a_basis_holds_until_one_of_its_rows_is_written() {
        let written = Written::default();
        let basis = of(&written, &[(Family::Head, b"a"), (Family::Body, b"a")]);
        written.note(&set(Family::Head, b"b"));
        written.note(&set(Family::Change, b"a"));
        assert!(written.holds(&basis, written.state()));
        written.note(&set(Family::Body, b"a"));
        assert!(written.holds(&basis, written.state() - 1), "it is not published yet");
        assert!(!written.holds(&basis, written.state()));
        let anew = of(&written, &[(Family::Body, b"a")]);
        assert!(written.holds(&anew, written.state()));
    }

    #[test]
    fn a_range_that_is_deleted_may_hold_any_row() {
        let written = Written::default();
        let basis = of(&written, &[(Family::Queue, b"a")]);
        let mut set = WriteSet::default();
        set.writes.push(Write::DeleteRange(Family::History, b"a".into(), b"b".into()));
        written.note(&set);
        assert!(written.holds(&basis, written.state()));
        set.writes.push(Write::DeleteRange(Family::Queue, b"a".into(), b"b".into()));
        written.note(&set);
        assert!(!written.holds(&basis, written.state()));
    }

    #[test]
    fn what_is_made_of_more_than_rows_is_not_kept() {
        let watch = Watch::new(1);
        watch.row(Family::Head, b"a");
        assert!(watch.basis().is_some());
        watch.more();
        watch.row(Family::Head, b"b");
        assert!(watch.basis().is_none());
        let watch = Watch::new(1);
        watch.row(Family::History, b"a");
        assert!(watch.basis().is_none());
        let watch = Watch::new(1);
        for number in 0..=ROWS_MAX {
            watch.row(Family::Head, &number.to_be_bytes());
        }
        assert!(watch.basis().is_none());
    }
}
