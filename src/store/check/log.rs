//! Revisions have no gap, history fits together, and no number can be given twice.

use std::ops::ControlFlow;

use kompira_schema::error::Fault;
use kompira_schema::message;

use super::Check;
use crate::store::codec::{ChangeRow, Dirent, unpack};
use crate::store::counter::{self, Counter};
use crate::store::history::{read_body, split_until};
use crate::store::keys::{self, HistoryKey};
use crate::store::kv::{Direction, Family, KeyRange, StoreError, Write};

impl Check<'_> {
    pub(super) fn log(&mut self) -> Result<(), Fault> {
        self.changes()?;
        self.each(Family::History, &KeyRange::all(), |check, key, value| {
            check.earlier(key, value)
        })?;
        for (counter, family, prefix) in [
            (Counter::Object, Family::Head, &b""[..]),
            (Counter::Process, Family::Process, b""),
            (Counter::User, Family::Auth, b"u"),
            (Counter::Group, Family::Auth, b"g"),
            (Counter::Effect, Family::Effect, b""),
            (Counter::Audit, Family::Audit, b""),
        ] {
            self.counter(counter, family, prefix)?;
        }
        Ok(())
    }

    fn changes(&mut self) -> Result<(), Fault> {
        let mut before: Option<u64> = None;
        self.each(Family::Change, &KeyRange::all(), |check, key, value| {
            let Some((rev, [])) = keys::split_u64(key) else {
                check.find(message!("check.bad_key", family = "change", key = key.escape_ascii()));
                return Ok(());
            };
            if let Err(error) = unpack::<ChangeRow>(Family::Change, key, value) {
                check.unreadable(Family::Change, key, &error);
            }
            if let Some(before) = before.filter(|before| before + 1 != rev) {
                check.find(message!("check.revision_gap", after = before, before = rev));
            }
            before = Some(rev);
            Ok(())
        })
    }

    fn earlier(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some(read) = keys::read_history(key) else {
            self.find(message!("check.bad_key", family = "history", key = key.escape_ascii()));
            return Ok(());
        };
        let (from, sound) = match read {
            HistoryKey::Body(id, from) => match read_body(key, value) {
                Ok(version) => {
                    self.holds(id, from, &version.body)?;
                    (from, Ok(()))
                }
                Err(error) => (from, Err(error)),
            },
            HistoryKey::Entry(_, _, from) => {
                (from, split_until(value).and_then(|(_, row)| Dirent::decode(row)).map(|_| ()))
            }
        };
        let sound = sound.and_then(|()| {
            let (until, _) = split_until(value)?;
            let fits = from < until && until <= self.snapshot.rev();
            fits.then_some(())
                .ok_or_else(|| StoreError::corrupt(format!("from revision {from} until {until}")))
        });
        if let Err(error) = sound {
            self.unreadable(Family::History, key, &error);
        }
        Ok(())
    }

    fn counter(&mut self, counter: Counter, family: Family, prefix: &[u8]) -> Result<(), Fault> {
        let mut last = 0;
        let range = KeyRange::prefix(prefix);
        let read = self.snapshot.clone();
        read.scan(family, &range, Direction::Reverse, &mut |key, _| {
            // Longer keys are lists beside the numbered rows.
            match key.get(prefix.len()..).and_then(keys::split_u64) {
                Some((id, [])) => {
                    last = id;
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        })?;
        match counter::stored(read.kv(), counter) {
            Ok(next) if next > last => {}
            Ok(next) => {
                let message = message!(
                    "check.counter_behind",
                    counter = counter.name(),
                    next = next,
                    used = last
                );
                let right = (last + 1).to_be_bytes().to_vec();
                let repair = Write::Put(Family::Meta, counter::key(counter), right);
                self.find_repairable(message, repair);
            }
            Err(error) => self.unreadable(Family::Meta, &counter::key(counter), &error),
        }
        Ok(())
    }
}
