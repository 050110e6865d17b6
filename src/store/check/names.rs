//! Every node has one name in one container, and from every node the root is reached.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::message;

use super::Check;
use crate::store::codec::{Dirent, EntryKind, Head};
use crate::store::keys;
use crate::store::kv::{Family, KeyRange};

/// Key prefix of the permission sets in the family `auth`.
const ACL: u8 = b'a';

impl Check<'_> {
    pub(super) fn names(&mut self) -> Result<(), Fault> {
        self.each(Family::Dirent, &KeyRange::all(), |check, key, value| check.entry(key, value))?;
        self.each(Family::Head, &KeyRange::all(), |check, key, value| check.header(key, value))?;
        if self.report.nodes > 0 && self.head(ObjectId::ROOT)?.is_none() {
            self.find(message!("check.no_root"));
        }
        Ok(())
    }

    /// A readable header; damage is a finding of [`Check::header`] alone.
    pub(super) fn head(&self, id: ObjectId) -> Result<Option<Head>, Fault> {
        let bytes = self.snapshot.get(Family::Head, &keys::object(id))?;
        Ok(bytes.and_then(|bytes| Head::decode(&bytes).ok()))
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some((parent, name)) = keys::read_dirent(key) else {
            self.find(message!("check.bad_key", family = "dirent", key = key.escape_ascii()));
            return Ok(());
        };
        let entry = match Dirent::decode(value) {
            Ok(entry) => entry,
            Err(error) => {
                self.unreadable(Family::Dirent, key, &error);
                return Ok(());
            }
        };
        if entry.kind != EntryKind::Scratch {
            *self.held.entry(parent).or_default() += 1;
        }
        match self.head(entry.child)? {
            None => self.find(message!(
                "check.entry_without_node",
                parent = parent,
                name = name,
                id = entry.child
            )),
            Some(head) => {
                let same_type = entry.kind == EntryKind::Scratch || head.type_id == entry.type_id;
                if head.parent != parent || head.name != name || !same_type {
                    self.find(message!(
                        "check.entry_differs",
                        parent = parent,
                        name = name,
                        id = entry.child
                    ));
                }
            }
        }
        if self.head(parent)?.is_none() {
            self.find(message!("check.entry_without_parent", parent = parent, name = name));
        }
        Ok(())
    }

    fn header(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.report.nodes += 1;
        let Some((id, [])) = keys::split_u64(key) else {
            self.find(message!("check.bad_key", family = "head", key = key.escape_ascii()));
            return Ok(());
        };
        let id = ObjectId(id);
        let head = match Head::decode(value) {
            Ok(head) => head,
            Err(error) => {
                self.unreadable(Family::Head, key, &error);
                return Ok(());
            }
        };
        if head.rev > self.snapshot.rev() {
            self.find(message!("check.revision_ahead", id = id, rev = head.rev));
        }
        if head.type_id.0 != 0 && self.snapshot.get(Family::Body, key)?.is_none() {
            self.find(message!("check.no_body", id = id, name = head.name));
        }
        if head.acl != [0; 16] {
            let set = [&[ACL][..], &head.acl].concat();
            if self.snapshot.get(Family::Auth, &set)?.is_none() {
                self.find(message!("check.no_permissions", id = id, name = head.name));
            }
        }
        if id == ObjectId::ROOT {
            return Ok(());
        }
        match self.snapshot.dirent(head.parent, &head.name) {
            Ok(Some(entry)) if entry.child == id => {}
            // A damaged entry has its own finding.
            Err(_) => {}
            Ok(_) => self.find(message!("check.node_without_entry", id = id, name = head.name)),
        }
        self.climb(id, &head)
    }

    /// Climbs to the root, or to a node from which it was reached before.
    fn climb(&mut self, id: ObjectId, head: &Head) -> Result<(), Fault> {
        let mut path = vec![id];
        let mut at = head.parent;
        while at != ObjectId::ROOT && !self.rooted.contains(&at) {
            if path.contains(&at) {
                self.find(message!("check.cycle", id = id, at = at));
                return Ok(());
            }
            // A missing container is a finding of the entry.
            let Some(head) = self.head(at)? else { return Ok(()) };
            path.push(at);
            at = head.parent;
        }
        self.rooted.extend(path);
        Ok(())
    }
}
