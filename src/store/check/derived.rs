//! Rows that follow from others: indexes, back references, holders of blobs.

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::message;

use super::Check;
use crate::store::children;
use crate::store::codec::{Body, EntryKind, Head, blobs_of, references_of, unpack};
use crate::store::history::read_body;
use crate::store::keys;
use crate::store::kv::{Family, KeyRange, Write};

impl Check<'_> {
    /// Rows that nothing explains. That none is missing is asked where its reason stands: for a
    /// header in [`Check::indexed`], for a body in [`Check::body_derives`].
    pub(super) fn derived(&mut self) -> Result<(), Fault> {
        let all = KeyRange::all();
        self.each(Family::Head, &all, |check, key, value| check.indexed(key, value))?;
        self.each(Family::Index, &all, |check, key, value| match keys::read_index_count(key) {
            Some(container) => check.count(container, value),
            None => check.index(key),
        })?;
        for (container, held) in std::mem::take(&mut self.held) {
            self.counts_wrong(container, held);
        }
        self.each(Family::Backref, &all, |check, key, _| check.backref(key))?;
        self.each(Family::Blobref, &all, |check, key, _| check.blobref(key))
    }

    fn is_object(&self, head: &Head, id: ObjectId) -> bool {
        let entry = || self.snapshot.dirent(head.parent, &head.name).ok().flatten();
        head.type_id.0 != 0
            && (id == ObjectId::ROOT
                || entry().is_some_and(|entry| entry.kind != EntryKind::Scratch))
    }

    fn wants(&mut self, family: Family, key: Vec<u8>, id: ObjectId) -> Result<(), Fault> {
        if self.snapshot.get(family, &key)?.is_none() {
            let message = message!("check.derived_missing", family = family.name(), id = id);
            self.find_repairable(message, Write::Put(family, key, Vec::new()));
        }
        Ok(())
    }

    fn surplus(&mut self, family: Family, key: &[u8]) {
        let message =
            message!("check.derived_surplus", family = family.name(), key = key.escape_ascii());
        self.find_repairable(message, Write::Delete(family, key.to_vec()));
    }

    fn indexed(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let (Some((id, [])), Ok(head)) = (keys::split_u64(key), Head::decode(value)) else {
            return Ok(());
        };
        let id = ObjectId(id);
        if self.is_object(&head, id) {
            self.wants(Family::Index, keys::index_type(head.type_id, id), id)?;
            self.wants(Family::Index, keys::index_owner(head.owner, id), id)?;
        }
        Ok(())
    }

    fn index(&mut self, key: &[u8]) -> Result<(), Fault> {
        let explained = match keys::read_index(key) {
            None => false,
            Some((tag, of, id)) => self.head(id)?.is_some_and(|head| {
                let present = if tag == b'T' { head.type_id.0 } else { head.owner.0 };
                present == of && self.is_object(&head, id)
            }),
        };
        if !explained {
            self.surplus(Family::Index, key);
        }
        Ok(())
    }

    fn count(&mut self, container: ObjectId, value: &[u8]) -> Result<(), Fault> {
        let held = self.held.remove(&container).unwrap_or(0);
        if held == 0 || children::count_in(value) != Some(held) {
            self.counts_wrong(container, held);
        }
        Ok(())
    }

    fn counts_wrong(&mut self, container: ObjectId, held: u64) {
        let message = message!("check.count", id = container, count = held);
        self.find_repairable(message, children::row(container, held));
    }

    /// What a body makes necessary.
    pub(super) fn body_derives(&mut self, id: ObjectId, body: &Body) -> Result<(), Fault> {
        for (field, value) in &body.fields {
            for target in references_of([value]) {
                self.wants(Family::Backref, keys::backref(target, id, field), id)?;
            }
        }
        self.holds(id, Rev(0), body)
    }

    pub(super) fn holds(&mut self, id: ObjectId, version: Rev, body: &Body) -> Result<(), Fault> {
        for hash in blobs_of(body.fields.iter().map(|(_, value)| value)) {
            if self.snapshot.get(Family::Blob, &hash.0)?.is_none() {
                self.find(message!("check.blob_missing", hash = hash, id = id));
            }
            self.wants(Family::Blobref, keys::blobref(&hash, id, version), id)?;
        }
        Ok(())
    }

    fn stored_body(&self, id: ObjectId) -> Result<Option<Body>, Fault> {
        let key = keys::object(id);
        let bytes = self.snapshot.get(Family::Body, &key)?;
        Ok(bytes.and_then(|bytes| unpack(Family::Body, &key, &bytes).ok()))
    }

    fn backref(&mut self, key: &[u8]) -> Result<(), Fault> {
        let explained = match keys::read_backref(key) {
            None => false,
            Some((target, source, field)) => {
                self.stored_body(source)?.as_ref().and_then(|body| body.field(field)).is_some_and(
                    |value| {
                        references_of([value])
                            .into_iter()
                            .any(|reference| keys::reference(reference) == *target)
                    },
                )
            }
        };
        if !explained {
            self.surplus(Family::Backref, key);
        }
        Ok(())
    }

    fn blobref(&mut self, key: &[u8]) -> Result<(), Fault> {
        let explained = match keys::read_blobref(key) {
            None => false,
            Some((hash, id, version)) => {
                let body = if version == Rev(0) {
                    self.stored_body(id)?
                } else {
                    let key = keys::history_body(id, version);
                    let row = self.snapshot.get(Family::History, &key)?;
                    row.and_then(|row| read_body(&key, &row).ok()).map(|version| version.body)
                };
                body.is_some_and(|body| {
                    blobs_of(body.fields.iter().map(|(_, value)| value)).contains(&hash)
                })
            }
        };
        if !explained {
            self.surplus(Family::Blobref, key);
        }
        Ok(())
    }
}
