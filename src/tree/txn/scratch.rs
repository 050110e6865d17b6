//! Scratch nodes: files of tools that are never objects (rule: `tree/scratch`).
//!
//! They have no permissions of their own, no history and no audit: what counts is the right to
//! write the container around them.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev, UserId};
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::tree::NodeKind;
use kompira_schema::value::Value;

use super::save::content_len;
use super::{Txn, entry_for, place_of};
use crate::auth::AclId;
use crate::store::{Body, Counter, EntryKind, INLINE_MAX, What};
use crate::tree::draft::{Draft, Patch};
use crate::tree::fault;
use crate::tree::model::{Content, Entry, Head};
use crate::tree::value::CONTENT;

impl Txn {
    /// Creates a scratch node in a container or scratch directory. A symbolic link's content is
    /// its target.
    ///
    /// # Errors
    /// [`Kind::Exists`], [`Kind::Denied`], [`Kind::NotContainer`], [`Kind::BadName`].
    pub fn scratch_create(
        &mut self,
        parent: ObjectId,
        name: &str,
        node: NodeKind,
        id: Option<ObjectId>,
        mode: u16,
        content: Content,
    ) -> Result<ObjectId, Fault> {
        check_file_name(name)?;
        self.scratch_right(parent)?;
        if self.view.child(parent, name)?.is_some() {
            return Err(fault::exists(name));
        }
        let id = match id {
            Some(id) => id,
            None => ObjectId(self.view.inner.store.new_id(Counter::Object)?),
        };
        let now = self.now;
        let mut head = Head {
            id,
            parent,
            name: name.to_owned(),
            type_id: ObjectId(0),
            owner: self.who.user,
            created: now,
            updated: now,
            mtime: now,
            ctime: now,
            mode,
            rev: Rev(0),
            content_size: 0,
            node,
            factory: false,
            demoted: false,
            as_file: false,
            attachments: false,
            runnable: false,
            says_more: false,
            acl: AclId::EMPTY,
        };
        self.put_scratch(&mut head, None, content)?;
        let entry = entry_for(&head, EntryKind::Scratch, node == NodeKind::Dir, None);
        self.put_entry(parent, &entry)?;
        self.tell(id, What::Created, Some(place_of(parent, &entry)), None);
        Ok(id)
    }

    /// Replaces the content of a scratch file.
    ///
    /// # Errors
    /// [`Kind::Stale`], [`Kind::Denied`].
    pub fn scratch_write(
        &mut self,
        id: ObjectId,
        base: Option<Rev>,
        content: Content,
    ) -> Result<(), Fault> {
        let mut head = self.scratch_head(id)?;
        self.scratch_right(head.parent)?;
        if base.is_some_and(|base| base != head.rev) {
            return Err(fault::stale());
        }
        let old = self.view.body_of(id)?;
        if head.demoted {
            // Somebody writes into the backup: it is a file of its own from now on.
            self.forget_former(&head)?;
            self.relate_nothing(id, &old);
            head.type_id = ObjectId(0);
            (head.demoted, head.as_file) = (false, false);
            (head.attachments, head.runnable) = (false, false);
            self.put_scratch(&mut head, None, content)?;
        } else {
            self.put_scratch(&mut head, Some(&old), content)?;
        }
        self.tell_at(&head, What::Content)
    }

    /// Renames a scratch node to a scratch name; a scratch target that exists is replaced (a
    /// directory only when it is empty).
    ///
    /// # Errors
    /// [`Kind::Denied`], [`Kind::NotEmpty`], [`Kind::Cycle`], [`Kind::IsContainer`],
    /// [`Kind::NotContainer`].
    pub fn scratch_rename(
        &mut self,
        id: ObjectId,
        dest: ObjectId,
        name: &str,
    ) -> Result<(), Fault> {
        check_file_name(name)?;
        let head = self.scratch_head(id)?;
        self.scratch_right(head.parent)?;
        self.scratch_right(dest)?;
        let entry = self.view.entry_of(&head)?.ok_or_else(|| fault::gone(id))?;
        if let Some(target) = self.view.child(dest, name)? {
            if target.id == id {
                return Ok(());
            }
            self.replace_target(&entry, &target)?;
        }
        if entry.container && dest != head.parent {
            self.moves = true;
            if self.view.is_within(dest, id)? {
                return Err(fault::cycle());
            }
        }
        self.relocate(&head, &entry, dest, name, None)
    }

    fn replace_target(&mut self, source: &Entry, target: &Entry) -> Result<(), Fault> {
        if target.is_object() {
            return Err(fault::exists(&target.name));
        }
        match (source.container, target.container) {
            (false, true) => {
                return Err(Fault::new(Kind::IsContainer, message!("tree.is_container")));
            }
            (true, false) => return Err(fault::not_container(&target.name)),
            _ => {}
        }
        self.scratch_delete(target.id)
    }

    /// Deletes a scratch node; a directory only when it is empty. The backup of an object takes
    /// the remembered object with it.
    ///
    /// # Errors
    /// [`Kind::Denied`], [`Kind::NotEmpty`].
    pub fn scratch_delete(&mut self, id: ObjectId) -> Result<(), Fault> {
        let head = self.scratch_head(id)?;
        self.scratch_right(head.parent)?;
        if head.node == NodeKind::Dir {
            if !self.view.entries(id, None, 1)?.is_empty() {
                return Err(fault::not_empty(&self.view.path_text(&head)));
            }
            self.childless.insert(id);
        }
        let entry = self.view.entry_of(&head)?.ok_or_else(|| fault::gone(id))?;
        self.delete_node(&head, &entry)
    }

    /// The node `from` vanishes and its content becomes that of the object or scratch file
    /// `target`, which keeps its identity: how editors, sed and rsync save. Times and permission
    /// bits are those of `from`, as of any renamed file.
    ///
    /// # Errors
    /// As [`Txn::update`] and [`Txn::delete`].
    pub fn replace(&mut self, from: ObjectId, target: ObjectId) -> Result<(), Fault> {
        if from == target {
            return Ok(());
        }
        let source = self.view.head(from)?;
        let body = self.view.body_of(from)?;
        let content = self.view.content_of(&source, &body)?;
        let goal = self.view.head(target)?;
        self.vanish(&source)?;
        if goal.is_object() {
            self.update(target, None, Patch { content: Some(content), ..Patch::default() })?;
        } else {
            self.scratch_write(target, None, content)?;
        }
        let mut head = self.view.head(target)?;
        if source.mode != 0 {
            head.mode = source.mode;
        }
        head.mtime = source.mtime;
        self.put_head_quietly(&head);
        Ok(())
    }

    /// Removes a node whose content goes elsewhere.
    fn vanish(&mut self, head: &Head) -> Result<(), Fault> {
        if head.is_object() {
            return self.delete_empty(head.id);
        }
        self.scratch_delete(head.id)
    }

    /// A scratch file becomes an object: its number is answered. The backup of an object comes
    /// back as that object.
    ///
    /// # Errors
    /// As [`Txn::create`].
    pub fn scratch_to_object(
        &mut self,
        id: ObjectId,
        dest: ObjectId,
        name: &Name,
        type_id: ObjectId,
        mut draft: Draft,
    ) -> Result<ObjectId, Fault> {
        let head = self.scratch_head(id)?;
        self.scratch_right(head.parent)?;
        if head.demoted {
            return self.restore(&head, dest, name, draft.suffix.as_deref());
        }
        if draft.content.is_none() && head.node == NodeKind::File {
            let body = self.view.body_of(id)?;
            draft.content = Some(self.view.content_of(&head, &body)?);
        }
        draft.mode = draft.mode.or(Some(head.mode));
        self.scratch_delete(id)?;
        let made = self.create(dest, name, type_id, draft)?;
        let mut new = self.view.head(made)?;
        new.mtime = head.mtime;
        self.put_head_quietly(&new);
        Ok(made)
    }

    // --- parts --------------------------------------------------------------------------------

    pub(super) fn scratch_head(&self, id: ObjectId) -> Result<Head, Fault> {
        let head = self.view.head(id)?;
        if head.is_object() {
            return Err(Fault::new(Kind::Invalid, message!("tree.not_scratch")));
        }
        Ok(head)
    }

    /// Needs write on the container around; the directory itself must still be there.
    pub(super) fn scratch_right(&mut self, dir: ObjectId) -> Result<(), Fault> {
        let head = self.view.head(dir)?;
        if head.node != NodeKind::Dir {
            return Err(fault::not_container(&self.view.path_text(&head)));
        }
        self.expect_head(dir);
        self.view.need_of(&self.who, &head, |access| access.write, "write")
    }

    /// Writes header and body of a scratch node.
    pub(super) fn put_scratch(
        &mut self,
        head: &mut Head,
        old: Option<&Body>,
        content: Content,
    ) -> Result<(), Fault> {
        let value = match content {
            Content::Inline(bytes) if bytes.len() <= INLINE_MAX => Value::Bytes(bytes.to_vec()),
            content => Value::File(self.file_value("", content)?),
        };
        head.content_size = content_len(Some(&value));
        if old.is_some() {
            (head.updated, head.mtime, head.ctime) = (self.now, self.now, self.now);
            self.expect_head(head.id);
        }
        let body = Body { fields: vec![(CONTENT.to_owned(), value)], ..Body::default() };
        self.hold_scratch(head.id, old, Some(&body));
        self.put_head(head);
        self.put_body(head.id, &body)
    }

    pub(super) fn scratch_owner(&self) -> UserId {
        self.who.user
    }
}

/// What a file system takes as a name.
const FILE_NAME_MAX: usize = 255;

/// A name that a file can have.
pub(super) fn check_file_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let told = message!("tree.bad_file_name", name = name.escape_debug());
        return Err(Fault::new(Kind::BadName, told));
    }
    if name.len() > FILE_NAME_MAX {
        let told = message!("tree.file_name_too_long", max = FILE_NAME_MAX);
        return Err(Fault::new(Kind::NameTooLong, told));
    }
    Ok(())
}
