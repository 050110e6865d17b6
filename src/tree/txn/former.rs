//! Objects that an editor renamed away and that come back (rule: `tree/backup-rename`).
//!
//! `note` renamed to `note~` is no object for any face, but its rows stay; a file made at the old
//! name while the backup exists is that object with new content.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::path::Name;
use kompira_schema::tree::NodeKind;

use super::{Txn, entry_for, place_of};
use crate::audit::{Class, Verb};
use crate::store::{Body, EntryKind, Family, What, keys};
use crate::tree::draft::Patch;
use crate::tree::fault;
use crate::tree::model::{Content, Head};
use crate::tree::view::View;

/// `meta`: container, name → the object that was called so.
fn by_place(dir: ObjectId, name: &str) -> Vec<u8> {
    let mut key = b"tree/former/".to_vec();
    key.extend_from_slice(&keys::dirent(dir, name));
    key
}

/// `meta`: the object → kind of its entry, container and name.
fn by_object(id: ObjectId) -> Vec<u8> {
    let mut key = b"tree/former-place/".to_vec();
    key.extend_from_slice(&keys::object(id));
    key
}

/// Where a remembered object was.
struct Former {
    bare: bool,
    dir: ObjectId,
    name: String,
    suffix: Option<String>,
}

impl Former {
    fn encode(&self) -> Vec<u8> {
        let mut row = vec![u8::from(self.bare)];
        row.extend_from_slice(&keys::object(self.dir));
        row.extend_from_slice(self.name.as_bytes());
        row.push(0);
        row.extend_from_slice(self.suffix.as_deref().unwrap_or_default().as_bytes());
        row
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let (&bare, rest) = row.split_first()?;
        let (dir, rest) = keys::split_u64(rest)?;
        let (name, suffix) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
        Some(Self {
            bare: bare != 0,
            dir: ObjectId(dir),
            name: name.to_owned(),
            suffix: (!suffix.is_empty()).then(|| suffix.to_owned()),
        })
    }
}

impl View {
    /// An object that an editor renamed away from this name, and that comes back with it.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn former(&self, dir: ObjectId, name: &str) -> Result<Option<ObjectId>, Fault> {
        let row = self.reads.get(Family::Meta, &by_place(dir, name))?;
        let id = row.and_then(|row| keys::split_u64(&row).map(|(id, _)| ObjectId(id)));
        Ok(match id {
            Some(id) => self.head_if(id)?.filter(|head| head.demoted).map(|head| head.id),
            None => None,
        })
    }

    fn former_place(&self, id: ObjectId) -> Result<Option<Former>, Fault> {
        let row = self.reads.get(Family::Meta, &by_object(id))?;
        Ok(row.and_then(|row| Former::decode(&row)))
    }
}

impl Txn {
    /// An object's file is renamed to a scratch name: it is no object any more, but remembered
    /// under its old name. A scratch target that exists is replaced.
    ///
    /// # Errors
    /// As [`Txn::delete_empty`].
    pub fn object_to_scratch(
        &mut self,
        id: ObjectId,
        dest: ObjectId,
        name: &str,
    ) -> Result<(), Fault> {
        super::scratch::check_file_name(name)?;
        let before = self.view.object_head(id)?;
        self.trying(Class::Object, Verb::Delete, |view| view.audit_target(id));
        self.check_removable(&before)?;
        self.scratch_right(dest)?;
        let entry = self.view.entry_of(&before)?.ok_or_else(|| fault::gone(id))?;
        if entry.container {
            return Err(Fault::new(
                kompira_schema::error::Kind::IsContainer,
                kompira_schema::message!("tree.is_container"),
            ));
        }
        self.view.inner.types.behaviour(before.type_id).before_delete(&self.view, id, id)?;
        if let Some(target) = self.view.child(dest, name)? {
            if target.is_object() {
                return Err(fault::exists(name));
            }
            self.scratch_delete(target.id)?;
        }
        let body = self.view.body_of(id)?;
        let def = self.view.type_def(before.type_id)?;
        let mut head = before.clone();
        head.demoted = true;
        head.parent = dest;
        name.clone_into(&mut head.name);
        head.ctime = self.now;
        // Whoever was remembered under this name before is not any more.
        if let Some(other) = self.view.former(before.parent, &before.name)? {
            self.forget_former(&self.view.head(other)?)?;
        }
        self.remove_entry(before.parent, &before.name)?;
        self.save(Some((&before, &body)), &mut head, &body, &def)?;
        let new = entry_for(&head, EntryKind::Scratch, false, None);
        self.put_entry(dest, &new)?;
        let former = Former {
            bare: entry.kind == EntryKind::Bare,
            dir: before.parent,
            name: before.name.clone(),
            suffix: entry.suffix.clone(),
        };
        self.put(Family::Meta, by_place(before.parent, &before.name), keys::object(id).to_vec());
        self.put(Family::Meta, by_object(id), former.encode());
        let (place, old) = (place_of(dest, &new), place_of(before.parent, &entry));
        self.tell(id, What::Moved, Some(place), Some(old));
        self.tried();
        Ok(())
    }

    /// A remembered object comes back at its old name with new content. The scratch file it was
    /// becomes a plain copy under a new number, which is answered.
    ///
    /// # Errors
    /// As [`Txn::create`] and [`Txn::update`].
    pub fn readopt(
        &mut self,
        id: ObjectId,
        suffix: Option<&str>,
        content: Content,
    ) -> Result<ObjectId, Fault> {
        let backup = self.scratch_head(id)?;
        let body = self.view.body_of(id)?;
        let text = self.view.content_of(&backup, &body)?;
        let former = self.view.former_place(id)?.ok_or_else(|| fault::gone(id))?;
        let name = Name::new(&former.name)?;
        self.restore(&backup, former.dir, &name, suffix)?;
        self.update(id, None, Patch { content: Some(content), ..Patch::default() })?;
        let mode = backup.mode;
        let copy =
            self.scratch_create(backup.parent, &backup.name, NodeKind::File, None, mode, text)?;
        let mut head = self.view.head(copy)?;
        head.mtime = backup.mtime;
        head.owner = self.scratch_owner();
        self.put_head_quietly(&head);
        Ok(copy)
    }

    /// Makes a demoted object an object again, in a free place.
    pub(super) fn restore(
        &mut self,
        backup: &Head,
        dest: ObjectId,
        name: &Name,
        suffix: Option<&str>,
    ) -> Result<ObjectId, Fault> {
        let id = backup.id;
        let around = self.view.object_head(dest)?;
        let place = self.view.path_text(&around);
        self.trying(Class::Object, Verb::Create, |view| view.audit_target(dest));
        self.trying_with("create_name", || name.as_str().into());
        self.view.need_of(&self.who, &around, |access| access.write, "write")?;
        let around_def = self.container_def(&around, &place)?;
        let def = self.view.type_def(backup.type_id)?;
        self.check_place(&around, &around_def, &place, backup.type_id, &def)?;
        if self.view.child(dest, name.as_str())?.is_some() {
            return Err(fault::exists(name.as_str()));
        }
        self.check_path(&place, name.as_str())?;
        self.expect_head(dest);
        let former = self.view.former_place(id)?;
        let bare = former.as_ref().is_some_and(|former| former.bare);
        let old_entry = self.view.entry_of(backup)?.ok_or_else(|| fault::gone(id))?;
        self.forget_former(backup)?;
        self.remove_entry(backup.parent, &backup.name)?;
        let body = self.view.body_of(id)?;
        let mut head = backup.clone();
        head.demoted = false;
        head.parent = dest;
        name.as_str().clone_into(&mut head.name);
        (head.updated, head.ctime) = (self.now, self.now);
        self.save(Some((backup, &body)), &mut head, &body, &def)?;
        let kind = if bare { EntryKind::Bare } else { EntryKind::Object };
        let entry = entry_for(&head, kind, false, suffix.map(str::to_owned));
        self.put_entry(dest, &entry)?;
        let (place, old) = (place_of(dest, &entry), place_of(backup.parent, &old_entry));
        self.tell(id, What::Moved, Some(place), Some(old));
        self.tried();
        Ok(id)
    }

    /// The object does not come back.
    pub(super) fn forget_former(&mut self, head: &Head) -> Result<(), Fault> {
        if let Some(former) = self.view.former_place(head.id)? {
            let key = by_place(former.dir, &former.name);
            if self.view.former(former.dir, &former.name)? == Some(head.id) {
                self.remove(Family::Meta, key);
            }
            self.remove(Family::Meta, by_object(head.id));
        }
        Ok(())
    }

    /// Takes back the references and blobs of a body that is replaced by scratch content.
    pub(super) fn relate_nothing(&mut self, id: ObjectId, old: &Body) {
        self.hold_scratch(id, Some(old), None);
    }
}
