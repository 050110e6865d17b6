//! Deletion (rule: `tree/delete`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;

use super::{Txn, place_of};
use crate::audit::{Class, Verb};
use crate::store::What;
use crate::tree::fault;
use crate::tree::model::{Entry, Head};

/// Nodes that one commit may delete or copy. More would hold up every other writer, and is done in
/// parts. The limit bounds the memory of a commit to a few hundred megabytes.
pub(super) const NODES_MAX: usize = 1_000_000;

impl Txn {
    /// Deletes with all that is below. What referred to it reads null from now on.
    ///
    /// # Errors
    /// [`Kind::Protected`], [`Kind::Denied`] (a container also needs write on every container
    /// below), [`Kind::Busy`] for a type that has objects.
    pub fn delete(&mut self, id: ObjectId) -> Result<(), Fault> {
        let head = self.view.object_head(id)?;
        self.trying(Class::Object, Verb::Delete, |view| view.audit_target(id));
        self.check_removable(&head)?;
        let entry = self.view.entry_of(&head)?.ok_or_else(|| fault::gone(id))?;
        // Top down, so that what is refused is refused before anything is collected.
        let mut doomed = vec![(head, entry)];
        let mut at = 0;
        while let Some((head, entry)) = doomed.get(at) {
            let (head, entry) = (head.clone(), entry.clone());
            at += 1;
            if entry.is_object() {
                self.check_doomed(&head, &entry, id)?;
            }
            if !entry.container {
                continue;
            }
            self.childless.insert(head.id);
            let mut entries = Vec::new();
            self.view.each_entry(head.id, None, |entry| {
                entries.push(entry);
                Ok(entries.len() <= NODES_MAX)
            })?;
            if doomed.len() + entries.len() > NODES_MAX {
                let told = message!("tree.too_many_nodes", max = NODES_MAX);
                return Err(Fault::new(Kind::TooMany, told));
            }
            for (entry, head) in self.view.with_heads(entries)? {
                doomed.push((head, entry));
            }
        }
        for (head, entry) in doomed.iter().rev() {
            self.delete_node(head, entry)?;
        }
        self.tried();
        Ok(())
    }

    /// Deletes; a container only when it has no children, scratch included.
    ///
    /// # Errors
    /// As [`Txn::delete`], and [`Kind::NotEmpty`].
    pub fn delete_empty(&mut self, id: ObjectId) -> Result<(), Fault> {
        if !self.view.entries(id, None, 1)?.is_empty() {
            let head = self.view.head(id)?;
            return Err(fault::not_empty(&self.view.path_text(&head)));
        }
        self.childless.insert(id);
        self.delete(id)
    }

    fn check_doomed(&self, head: &Head, entry: &Entry, top: ObjectId) -> Result<(), Fault> {
        if head.factory {
            return Err(fault::protected(&self.view.path_text(head)));
        }
        if entry.container {
            self.view.need_of(&self.who, head, |access| access.write, "write")?;
        }
        let behaviour = self.view.inner.types.behaviour(head.type_id);
        behaviour.before_delete(&self.view, head.id, top)
    }

    /// Removes one node, whose children are gone.
    pub(super) fn delete_node(&mut self, head: &Head, entry: &Entry) -> Result<(), Fault> {
        let body = self.view.body_of(head.id)?;
        if head.type_id.0 != 0 {
            self.view.inner.types.behaviour(head.type_id).after_delete(self, head.id)?;
        }
        if head.demoted {
            self.forget_former(head)?;
        }
        self.remove_entry(head.parent, &head.name)?;
        self.erase(head, &body)?;
        self.tell(head.id, What::Removed, Some(place_of(head.parent, entry)), None);
        Ok(())
    }
}
