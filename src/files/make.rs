//! Making an object of a file.

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::layout::names;
use kompira_schema::path::Name;
use kompira_schema::record::Record;
use kompira_schema::tree::{Change, NodeKind};
use kompira_schema::value::Dict;

use super::ask::Ask;
use super::place::Place;
use super::plan::Plan;
use super::record::record_text;
use super::save::{set_attr, unfit};
use crate::tree::{Content, Done, Draft as NewObject, EntryKind, ImportOptions, Txn};

/// A file that becomes an object.
pub(super) struct Making<'m> {
    pub(super) dir: ObjectId,
    pub(super) name: &'m Name,
    pub(super) suffix: Option<&'m str>,
    pub(super) id: Option<ObjectId>,
    pub(super) content: Content,
    /// The bytes, unless they are more than a text field can hold.
    pub(super) bytes: Option<Bytes>,
    pub(super) mode: Option<u16>,
    pub(super) mtime: Option<Timestamp>,
    /// The scratch node or object that it is made of: it goes in the same commit.
    pub(super) from: Option<(ObjectId, EntryKind)>,
}

impl Ask<'_> {
    /// Makes an object of a file. Answers its revision, its number and whether its file is its
    /// record. A pending sidecar joins it in the same commit.
    pub(super) fn make(&mut self, making: &Making<'_>) -> Result<(Rev, ObjectId, bool), Fault> {
        let sidecar = names::sidecar(making.name, making.suffix);
        let pending = self.pending_record(making.dir, &sidecar)?;
        let waiting = pending.is_some();
        // A name that was unlinked a moment ago comes back with its number and record.
        let past = self.files.recalled.get(making.dir, making.name.as_str(), self.now_mono());
        let past = past.filter(|past| making.id.is_none_or(|id| id == past.id));
        let id = making.id.or_else(|| past.as_ref().map(|past| past.id));
        let pending = match (pending, past.and_then(|past| past.record)) {
            (Some((scratch, record)), _) => Some((Some(scratch), record)),
            (None, Some(record)) => Some((None, record)),
            (None, None) => None,
        };
        let plan = self.plan_with(making, pending.as_ref().map(|(_, record)| record))?;
        let joined = match &pending {
            Some((scratch, record)) => self.make_with(making, id, &plan, *scratch, record)?,
            None => None,
        };
        if joined.is_some() && waiting {
            let dir = Place::Object(making.dir).ino();
            self.files.told.tell(vec![Change::Name { dir, name: sidecar.clone() }]);
        }
        let done = match joined {
            Some(done) => done,
            None => self.make_alone(making, id, &plan)?,
        };
        self.renew();
        self.files.recalled.remove(making.dir, making.name.as_str());
        self.files.ghosts.remove(making.dir, &sidecar);
        self.join_companion(making, done.value)?;
        Ok((done.rev, done.value, matches!(plan, Plan::Yaml(_))))
    }

    /// What the file becomes. A record says the type itself; the creation rule is not asked then.
    fn plan_with(&self, making: &Making<'_>, record: Option<&Record>) -> Result<Plan, Fault> {
        if let Some(record) = record
            && let Ok((type_id, def)) = self.typed(record)
            && (def.file.representative.is_some() || def.file.made_from_file.is_some())
        {
            return Ok(Plan::Content { type_id, fields: Dict::new() });
        }
        self.plan(making.dir, making.suffix, making.bytes.as_ref())
    }

    /// Makes the object with its record, and takes the record from where it waited. `None` if the
    /// record is of another type or does not fit: it goes on waiting.
    fn make_with(
        &mut self,
        making: &Making<'_>,
        id: Option<ObjectId>,
        plan: &Plan,
        scratch: Option<ObjectId>,
        record: &Record,
    ) -> Result<Option<Done<ObjectId>>, Fault> {
        let Plan::Content { type_id, .. } = plan else { return Ok(None) };
        if !self.typed(record).is_ok_and(|(named, _)| named == *type_id) {
            return Ok(None);
        }
        let options = ImportOptions { lenient: true, ..ImportOptions::MOUNT };
        let made = self.commit_with(|txn| {
            let draft = new_object(making, id, Dict::new(), false);
            let id = txn.create_record(making.dir, making.name, record, draft, options)?;
            if let Some(scratch) = scratch {
                txn.scratch_delete(scratch)?;
            }
            finish(txn, id, making)
        });
        match made {
            Ok(done) => Ok(Some(done)),
            Err(fault) if matches!(fault.kind(), Kind::Invalid | Kind::WrongType) => {
                self.files.note(Place::Object(making.dir).ino(), &fault);
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn make_alone(
        &mut self,
        making: &Making<'_>,
        id: Option<ObjectId>,
        plan: &Plan,
    ) -> Result<Done<ObjectId>, Fault> {
        self.commit_with(|txn| {
            let id = match plan {
                Plan::Content { type_id, fields } => {
                    let draft = new_object(making, id, fields.clone(), true);
                    txn.create(making.dir, making.name, *type_id, draft)?
                }
                Plan::Yaml(record) => {
                    let draft =
                        NewObject { content: None, ..new_object(making, id, Dict::new(), false) };
                    let options = ImportOptions::MOUNT;
                    txn.create_record(making.dir, making.name, record, draft, options)
                        .map_err(unfit)?
                }
            };
            finish(txn, id, making)
        })
    }

    /// A sidecar that was there before its object.
    pub(super) fn pending_record(
        &self,
        dir: ObjectId,
        sidecar: &str,
    ) -> Result<Option<(ObjectId, Record)>, Fault> {
        let Some(entry) = self.view.child(dir, sidecar)? else { return Ok(None) };
        if entry.kind != EntryKind::Scratch || entry.node != NodeKind::File {
            return Ok(None);
        }
        let bytes = self.bytes(entry.id)?;
        Ok(record_text(&bytes, None).ok().map(|record| (entry.id, record)))
    }
}

fn new_object(making: &Making<'_>, id: Option<ObjectId>, fields: Dict, bare: bool) -> NewObject {
    NewObject {
        id,
        fields,
        content: Some(making.content.clone()),
        suffix: making.suffix.map(str::to_owned),
        mode: making.mode,
        bare,
        ..NewObject::default()
    }
}

fn finish(txn: &mut Txn, id: ObjectId, making: &Making<'_>) -> Result<ObjectId, Fault> {
    set_attr(txn, id, None, making.mtime)?;
    match making.from {
        Some((from, EntryKind::Scratch)) => txn.scratch_delete(from)?,
        Some((from, _)) => txn.delete(from)?,
        None => {}
    }
    Ok(id)
}
