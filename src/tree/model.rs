//! What reading the tree answers with.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::id::{BlobHash, ObjectId, Rev, UserId};
use kompira_schema::tree::NodeKind;
use kompira_schema::types::TypeDef;
use kompira_schema::value::Dict;

use crate::auth::{Access, Acl, AclId};
use crate::store::{DERIVED, codec};

pub use crate::store::codec::EntryKind;

/// One line of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Object name without suffix; for scratch the file name.
    pub name: String,
    /// Who.
    pub id: ObjectId,
    /// Its type object; 0 for scratch.
    pub type_id: ObjectId,
    /// The remembered file suffix, without its dot.
    pub suffix: Option<String>,
    /// Object, bare object or scratch.
    pub kind: EntryKind,
    /// Whether it has children (a Directory, Table, Virtual or scratch directory).
    pub container: bool,
    /// File, directory or symbolic link, as far as the entry knows.
    pub node: NodeKind,
    /// The commit that wrote the entry.
    pub since: Rev,
}

impl Entry {
    pub(super) fn new(name: &str, row: codec::Dirent) -> Self {
        Self {
            name: name.to_owned(),
            id: row.child,
            type_id: row.type_id,
            suffix: (!row.suffix.is_empty()).then_some(row.suffix),
            kind: row.kind,
            container: row.container,
            node: row.node,
            since: row.since,
        }
    }

    /// Whether it is an object for all faces.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.kind != EntryKind::Scratch
    }
}

/// Bits of the stored header's flags.
pub(super) mod flag {
    /// Came with the product.
    pub(in crate::tree) const FACTORY: u32 = 1;
    /// An object whose file an editor renamed to a backup name.
    pub(in crate::tree) const DEMOTED: u32 = 1 << 1;
    /// Made from a file of a kind that no type claims: its attachment is its file.
    pub(in crate::tree) const AS_FILE: u32 = 1 << 2;
    /// Holds attachments besides the one that is its file.
    pub(in crate::tree) const ATTACHMENTS: u32 = 1 << 3;
    /// A jobflow that compiles.
    pub(in crate::tree) const RUNNABLE: u32 = 1 << 4;
    /// The record says more than the defaults.
    pub(in crate::tree) const SAYS_MORE: u32 = 1 << 5;
}

/// The header of a node: what a listing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Who.
    pub id: ObjectId,
    /// Its container; 0 for the root.
    pub parent: ObjectId,
    /// Its own name; empty for the root.
    pub name: String,
    /// Its type object; 0 for scratch that never was an object.
    pub type_id: ObjectId,
    /// Owning user.
    pub owner: UserId,
    /// Creation.
    pub created: Timestamp,
    /// Last update by the rules of the object model.
    pub updated: Timestamp,
    /// Time of the content (of a container: of its children) as the mount shows it.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// Permission bits given by chmod or creation; 0: never set.
    pub mode: u16,
    /// Revision of the last change.
    pub rev: Rev,
    /// Bytes of the representative field, the attachment it was made from, or the scratch
    /// content; `u64::MAX` where it has to be rendered.
    pub content_size: u64,
    /// File, directory or link.
    pub node: NodeKind,
    /// Came with the product: never deleted, renamed, moved or overwritten by imports.
    pub factory: bool,
    /// An object that an editor renamed to a backup name: scratch for all faces.
    pub demoted: bool,
    /// An object with a `made_from_file` field that was made from a file: that attachment is its
    /// file.
    pub as_file: bool,
    /// Holds attachments besides the one that is its file.
    pub attachments: bool,
    /// A job whose source compiles.
    pub runnable: bool,
    /// The record says more than the file, its name and its place, owner and permissions apart.
    pub says_more: bool,
    pub(super) acl: AclId,
}

impl Head {
    pub(super) fn new(id: ObjectId, row: codec::Head) -> Self {
        let has = |bit| row.flags & bit != 0;
        Self {
            id,
            parent: row.parent,
            type_id: row.type_id,
            owner: row.owner,
            created: row.created,
            updated: row.updated,
            mtime: row.mtime,
            ctime: row.ctime,
            mode: row.mode,
            rev: row.rev,
            content_size: row.content_size,
            node: row.node,
            factory: has(flag::FACTORY),
            demoted: has(flag::DEMOTED),
            as_file: has(flag::AS_FILE),
            attachments: has(flag::ATTACHMENTS),
            runnable: has(flag::RUNNABLE),
            says_more: has(flag::SAYS_MORE),
            acl: AclId(row.acl),
            name: row.name,
        }
    }

    const fn bits(&self) -> [(u32, bool); 6] {
        [
            (flag::FACTORY, self.factory),
            (flag::DEMOTED, self.demoted),
            (flag::AS_FILE, self.as_file),
            (flag::ATTACHMENTS, self.attachments),
            (flag::RUNNABLE, self.runnable),
            (flag::SAYS_MORE, self.says_more),
        ]
    }

    pub(super) fn row(&self) -> codec::Head {
        codec::Head {
            rev: self.rev,
            parent: self.parent,
            type_id: self.type_id,
            owner: self.owner,
            created: self.created,
            updated: self.updated,
            mtime: self.mtime,
            ctime: self.ctime,
            mode: self.mode,
            node: self.node,
            flags: self
                .bits()
                .into_iter()
                .filter(|(_, on)| *on)
                .fold(0, |flags, (bit, _)| flags | bit),
            content_size: self.content_size,
            record_size: DERIVED,
            acl: self.acl.0,
            name: self.name.clone(),
        }
    }

    /// Whether it is an object for all faces.
    #[must_use]
    pub const fn is_object(&self) -> bool {
        self.type_id.0 != 0 && !self.demoted
    }
}

/// An object with its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its properties.
    pub stub: Stub,
    /// Present fields in the order of the type, converted to its present definition. Passwords are
    /// [`kompira_schema::value::Value::Sealed`]; dangling references are null. What is absent:
    /// [`super::View::field`].
    pub fields: Dict,
    /// Values of a Config: declared keys, defaults filled in; `None` for other types.
    pub data: Option<Dict>,
}

/// The properties of an object, without its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Stub {
    /// The header.
    pub head: Head,
    /// Absolute path.
    pub path: String,
    /// The type.
    pub def: Arc<TypeDef>,
    /// Path of the type object.
    pub type_path: String,
    /// Shown instead of the name.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// Permission entries.
    pub acl: Arc<Acl>,
    /// What the caller may do with it.
    pub access: Access,
    /// The remembered file suffix, without its dot.
    pub suffix: Option<String>,
    /// Its record says no more than the defaults.
    pub bare: bool,
}

impl Object {
    /// Identity.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.stub.head.id
    }
}

/// Bytes of a file: of a representative field, of an attachment, of a scratch node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Held in memory.
    Inline(Bytes),
    /// Stored among the blobs.
    Blob {
        /// Names it.
        hash: BlobHash,
        /// Bytes.
        size: u64,
    },
}

impl Content {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::Inline(Bytes::copy_from_slice(bytes))
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}
