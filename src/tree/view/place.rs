//! Paths and places.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::path::{Name, ObjectPath};

use super::View;
use crate::store::{Dirent, EntryKind, Family, codec, keys};
use crate::tree::fault;
use crate::tree::model::{Entry, Head};

impl View {
    /// Finds an object by its path. No permission is asked: ids and names are no secret.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`].
    pub fn resolve(&self, path: &ObjectPath) -> Result<ObjectId, Fault> {
        self.find_path(path)?.ok_or_else(|| fault::not_found(path.as_str()))
    }

    /// As [`View::resolve`]; `None` when there is no such object.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn find_path(&self, path: &ObjectPath) -> Result<Option<ObjectId>, Fault> {
        let mut at = ObjectId::ROOT;
        for name in path.names() {
            let Some(bytes) = self.reads.get(Family::Dirent, &keys::dirent(at, name))? else {
                return Ok(None);
            };
            let entry = Dirent::decode(&bytes)?;
            if entry.kind == EntryKind::Scratch {
                return Ok(None);
            }
            at = entry.child;
        }
        Ok(Some(at))
    }

    /// The absolute path of an object; `None` if it is gone or scratch.
    #[must_use]
    pub fn path_of(&self, id: ObjectId) -> Option<ObjectPath> {
        let head = self.head_if(id).ok()??;
        self.path_of_head(&head)
    }

    /// As [`View::path_of`], for a header at hand.
    #[must_use]
    pub fn path_of_head(&self, head: &Head) -> Option<ObjectPath> {
        if !head.is_object() {
            return None;
        }
        if head.id == ObjectId::ROOT {
            return Some(ObjectPath::root());
        }
        let (path, whole) = self.path_up(head);
        if whole { ObjectPath::parse(&path).ok() } else { None }
    }

    /// The path of any node as text, scratch included: for messages.
    pub(in crate::tree) fn path_text(&self, head: &Head) -> String {
        if head.parent.0 == 0 { "/".to_owned() } else { self.path_up(head).0 }
    }

    /// The path of a node, and whether it leads up to the root: an object whose container is gone
    /// has none.
    fn path_up(&self, head: &Head) -> (String, bool) {
        let mut around = Vec::new();
        let mut parent = head.parent;
        let whole = loop {
            if parent == ObjectId::ROOT || parent.0 == 0 {
                break true;
            }
            let Ok(Some(row)) = self.reads.get(Family::Head, &keys::object(parent)) else {
                break false;
            };
            let Ok((above, _)) = codec::Head::place(&row) else { break false };
            parent = above;
            around.push(row);
        };
        let names = around.iter().rev().filter_map(|row| Some(codec::Head::place(row).ok()?.1));
        let mut path = String::new();
        for name in names.chain([head.name.as_str()]) {
            path.push('/');
            path.push_str(name);
        }
        (path, whole)
    }

    /// The directory entry of a node; `None` if it is gone. The root's has an empty name.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn entry(&self, id: ObjectId) -> Result<Option<Entry>, Fault> {
        Ok(match self.head_if(id)? {
            None => None,
            Some(head) => self.entry_of(&head)?,
        })
    }

    /// As [`View::entry`], for a header at hand.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn entry_of(&self, head: &Head) -> Result<Option<Entry>, Fault> {
        if head.id == ObjectId::ROOT {
            return Ok(Some(Entry {
                name: String::new(),
                id: head.id,
                type_id: head.type_id,
                suffix: None,
                kind: EntryKind::Object,
                container: true,
                node: head.node,
                since: head.rev,
            }));
        }
        self.child(head.parent, &head.name)
    }

    /// The object at `path` relative to the container `from`: `/a/b`, `./x`, `../x`, `~/x`,
    /// `~user/x`, `~(user)/x` (rule: `tree/relative-paths`).
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`] and those of bad names.
    pub fn resolve_from(&self, from: ObjectId, path: &str) -> Result<ObjectId, Fault> {
        let mut at = if path.starts_with('/') { ObjectId::ROOT } else { from };
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    let parent = self.head(at)?.parent;
                    if parent.0 != 0 {
                        at = parent;
                    }
                }
                name => {
                    let name = Name::new(name)?;
                    let entry = self.child(at, name.as_str())?.filter(Entry::is_object);
                    at = entry.ok_or_else(|| fault::not_found(path))?.id;
                }
            }
        }
        Ok(at)
    }

    /// Whether `id` is `top` or lies below it.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn is_within(&self, id: ObjectId, top: ObjectId) -> Result<bool, Fault> {
        let mut at = id;
        while at.0 != 0 {
            if at == top {
                return Ok(true);
            }
            let row = self.reads.get(Family::Head, &keys::object(at))?;
            at = codec::Head::place(&row.ok_or_else(|| fault::gone(at))?)?.0;
        }
        Ok(false)
    }

    /// The nearest object at or above a node (for scratch: the container it lies in).
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`].
    pub fn object_around(&self, id: ObjectId) -> Result<Head, Fault> {
        let mut head = self.head(id)?;
        while !head.is_object() {
            head = self.head(head.parent)?;
        }
        Ok(head)
    }
}
