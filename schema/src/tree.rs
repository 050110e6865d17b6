//! The tree as file faces see it: names, bytes, attributes and changes.
//!
//! Architecture invariant: nothing here knows Kompira's types, RocksDB or FUSE. A mount of a local
//! tree and a mount of a remote server are two implementations of [`FileTree`].

use std::sync::Arc;

use jiff::Timestamp;

use crate::error::Fault;
use crate::id::{ProcessId, Rev, UserId};

/// Through which door a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interface {
    /// The browser.
    Web,
    /// The HTTP API.
    Api,
    /// A management command.
    Mng,
    /// The mount.
    Fs,
    /// A running jobflow.
    Engine,
}

impl Interface {
    /// The word the audit log uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Api => "api",
            Self::Mng => "mng",
            Self::Fs => "fs",
            Self::Engine => "engine",
        }
    }
}

/// Who asks. Every call through the door carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose permissions count.
    pub user: UserId,
    /// Through which door.
    pub interface: Interface,
    /// Address of the client, for browser and API.
    pub remote: Option<Arc<str>>,
    /// The process that acts, for [`Interface::Engine`].
    pub process: Option<ProcessId>,
    /// Joins log lines and audit entries of one request.
    pub request: Arc<str>,
    /// Name and OS user of the calling command, for the audit's `exec` (management commands, mount).
    pub exec: Option<Arc<str>>,
}

/// A node of the file view: an object's number and a facet, or an entry of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the tree.
    pub const ROOT: Self = Self(1);
}

/// An open file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// What kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link: scratch only (inside `.git` and the like).
    Symlink,
}

/// What `stat` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attr {
    /// Node number; stable for the life of the object.
    pub ino: Ino,
    /// File or directory.
    pub kind: NodeKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, as computed for the caller.
    pub mode: u16,
    /// 1 for files; 2 for directories.
    pub nlink: u32,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// Creation.
    pub birth: Timestamp,
    /// Revision of the last change; the base of a conflict check.
    pub rev: Rev,
    /// Generation: differs when a node number could be met again with another meaning.
    pub generation: u64,
}

/// One line of a directory listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Name in the directory.
    pub name: String,
    /// Node number.
    pub ino: Ino,
    /// File or directory.
    pub kind: NodeKind,
    /// Attributes, when asked for.
    pub attr: Option<Attr>,
    /// Pass this to continue after this entry; strictly increasing within one open directory.
    pub cursor: u64,
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The server's clock.
    Now,
    /// This instant.
    At(Timestamp),
}

/// What `setattr` may change; `None` leaves a part alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Truncate or extend with zeros.
    pub size: Option<u64>,
    /// chmod. What the permission model can express is applied, the rest ignored.
    pub mode: Option<u16>,
    /// chown to a local user number, mapped by the mount; never fails for a writer.
    pub uid: Option<u32>,
    /// chgrp; ignored.
    pub gid: Option<u32>,
    /// mtime.
    pub mtime: Option<SetTime>,
    /// atime: accepted and not kept.
    pub atime: Option<SetTime>,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
    /// Starts empty.
    pub truncate: bool,
    /// With create: fail when the name exists.
    pub exclusive: bool,
    /// Each write is durable before it returns (`O_SYNC`).
    pub sync: bool,
}

/// What an open answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// To be given back by [`FileTree::release`].
    pub handle: Handle,
    /// The kernel may keep the pages it has: the content has not changed since it read them.
    pub keep_cache: bool,
    /// The size is not known in advance (live console): bypass the page cache.
    pub direct: bool,
}

/// How `rename` treats a target that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces it atomically.
    Replace,
    /// `RENAME_NOREPLACE`.
    NoReplace,
    /// `RENAME_EXCHANGE`.
    Exchange,
}

/// How `setxattr` treats an attribute that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrMode {
    /// Creates or replaces.
    Set,
    /// Fails when it exists.
    Create,
    /// Fails when it does not exist.
    Replace,
}

/// Totals for `statfs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of the disk under the store.
    pub total: u64,
    /// Bytes free.
    pub free: u64,
    /// Objects and scratch nodes.
    pub nodes: u64,
}

/// What a cache has to forget after a commit. Emitted after the new state can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The name in the directory means something else now, or nothing.
    Name {
        /// The directory.
        dir: Ino,
        /// The name as a file name of the layout.
        name: String,
    },
    /// A node that is gone: name and pages can be dropped together.
    Gone {
        /// The directory it was in.
        dir: Ino,
        /// The node.
        ino: Ino,
        /// Its file name.
        name: String,
    },
    /// Attributes changed, content did not.
    Attr(Ino),
    /// Content and attributes changed.
    Content(Ino),
    /// The reader was too slow: everything may have changed.
    All,
}

/// One batch of [`Change`]s: those of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The revision that made them.
    pub rev: Rev,
    /// Token of the mount session that caused them, if one did (its kernel already knows).
    pub origin: Option<u64>,
    /// What to forget.
    pub changes: Vec<Change>,
}

/// Takes listing lines until it answers `false`: its buffer is full, and that line was not taken.
/// A line that was taken with attributes counts as a reference to its node.
pub type Sink<'a> = dyn FnMut(DirEntry) -> bool + 'a;

/// The tree as files. Synchronous; every method may be called from many threads at once.
///
/// `lookup`, `create`, `mkdir`, `symlink` and a listing with attributes give the caller a
/// reference to a node that [`FileTree::forget`] takes back.
#[allow(clippy::missing_errors_doc)] // every method: a [`Fault`] whose kind gives the errno
pub trait FileTree: Send + Sync + 'static {
    /// Finds `name` in `dir`.
    fn lookup(&self, who: &Caller, dir: Ino, name: &str) -> Result<Attr, Fault>;
    /// Attributes of a node; with a handle, as its open (perhaps unsaved) content has them.
    fn attr(&self, who: &Caller, ino: Ino, open: Option<Handle>) -> Result<Attr, Fault>;
    /// Changes attributes.
    fn set_attr(
        &self,
        who: &Caller,
        ino: Ino,
        open: Option<Handle>,
        set: &SetAttr,
    ) -> Result<Attr, Fault>;

    /// Opens a directory for listing: the listing is of one moment.
    fn open_dir(&self, who: &Caller, dir: Ino) -> Result<Handle, Fault>;
    /// Lists what comes after `cursor` (0: from the start; no `.` and `..`).
    fn list(
        &self,
        who: &Caller,
        dir: Ino,
        open: Handle,
        cursor: u64,
        with_attr: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault>;
    /// Ends a listing.
    fn release_dir(&self, open: Handle);

    /// Opens a file.
    fn open(&self, who: &Caller, ino: Ino, how: OpenHow) -> Result<Opened, Fault>;
    /// Creates a file (or opens it, if it exists and `exclusive` is off).
    fn create(
        &self,
        who: &Caller,
        dir: Ino,
        name: &str,
        mode: u16,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault>;
    /// Reads up to `size` bytes; fewer only at the end.
    fn read(&self, who: &Caller, open: Handle, offset: u64, size: u32) -> Result<Vec<u8>, Fault>;
    /// Writes all of `data` at `offset` (at the end, for an append handle).
    fn write(&self, who: &Caller, open: Handle, offset: u64, data: &[u8]) -> Result<(), Fault>;
    /// At each `close(2)`: what was written is validated, visible, and safe from a kill.
    fn flush(&self, who: &Caller, open: Handle) -> Result<(), Fault>;
    /// As flush, and durable against power loss.
    fn fsync(&self, who: &Caller, open: Handle) -> Result<(), Fault>;
    /// The last reference to an open file is gone. Errors have nobody to go to: they are logged.
    fn release(&self, open: Handle);
    /// Makes all changes of a directory (and with it, of the store) durable.
    fn fsync_dir(&self, who: &Caller, dir: Ino) -> Result<(), Fault>;

    /// Makes a directory.
    fn mkdir(&self, who: &Caller, dir: Ino, name: &str, mode: u16) -> Result<Attr, Fault>;
    /// Removes an empty directory.
    fn rmdir(&self, who: &Caller, dir: Ino, name: &str) -> Result<(), Fault>;
    /// Removes a file.
    fn unlink(&self, who: &Caller, dir: Ino, name: &str) -> Result<(), Fault>;
    /// Renames or moves.
    fn rename(
        &self,
        who: &Caller,
        from: (Ino, &str),
        to: (Ino, &str),
        mode: RenameMode,
    ) -> Result<(), Fault>;
    /// Makes a symbolic link: `EPERM` but below scratch directories.
    fn symlink(&self, who: &Caller, dir: Ino, name: &str, target: &str) -> Result<Attr, Fault>;
    /// Reads a symbolic link.
    fn readlink(&self, who: &Caller, ino: Ino) -> Result<String, Fault>;

    /// Reads an extended attribute.
    fn get_xattr(&self, who: &Caller, ino: Ino, name: &str) -> Result<Vec<u8>, Fault>;
    /// Writes an extended attribute.
    fn set_xattr(
        &self,
        who: &Caller,
        ino: Ino,
        name: &str,
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Fault>;
    /// Names of the extended attributes that are listed (ours are read by name and not listed).
    fn list_xattr(&self, who: &Caller, ino: Ino) -> Result<Vec<String>, Fault>;
    /// Removes an extended attribute.
    fn remove_xattr(&self, who: &Caller, ino: Ino, name: &str) -> Result<(), Fault>;

    /// Totals.
    fn space(&self, who: &Caller) -> Result<Space, Fault>;
    /// The kernel dropped `count` references to a node.
    fn forget(&self, ino: Ino, count: u64);
    /// Calls `listener` after every commit, in order, from a thread of the tree's own. The
    /// listener must not block for long; it is dropped when it answers `false`.
    fn watch(&self, listener: Box<dyn FnMut(&Changes) -> bool + Send>);
}
