//! One call: who asks, at which moment.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::tree::{Caller, Ino};

use super::Shared;
use super::place::Place;
use crate::auth::Access;
use crate::store::Durability;
use crate::tree::{Done, Txn, View};

/// One call of the file tree. The view is of the moment at which the call began.
pub(super) struct Ask<'a> {
    pub(super) files: &'a Shared,
    pub(super) who: &'a Caller,
    pub(super) view: View,
}

impl<'a> Ask<'a> {
    pub(super) fn new(files: &'a Shared, who: &'a Caller) -> Self {
        Self { files, who, view: files.tree.view() }
    }

    /// Looks again: what this call has written is visible.
    pub(super) fn renew(&mut self) {
        self.view = self.files.tree.view();
    }

    /// What a node number stands for, following renames over another file.
    pub(super) fn place(&self, ino: Ino) -> Result<Place, Fault> {
        Place::of(self.files.alias(ino)).ok_or_else(|| missing("?"))
    }

    /// Commits visibly and safe from a kill, not yet from power loss (rule: `files/durability`).
    pub(super) fn commit_with<T>(
        &self,
        work: impl FnMut(&mut Txn) -> Result<T, Fault>,
    ) -> Result<Done<T>, Fault> {
        self.files.tree.write(self.who, Durability::Lazy, work)
    }

    pub(super) fn access(&self, id: ObjectId) -> Result<Access, Fault> {
        self.view.access(self.who, id)
    }

    pub(super) fn need_write(&self, id: ObjectId) -> Result<(), Fault> {
        if self.access(id)?.write { Ok(()) } else { Err(denied()) }
    }

    pub(super) fn need_read(&self, id: ObjectId) -> Result<(), Fault> {
        if self.access(id)?.read { Ok(()) } else { Err(denied()) }
    }
}

impl Shared {
    /// The node that `ino` became.
    pub(super) fn alias(&self, ino: Ino) -> Ino {
        let aliases = self.aliases.read();
        if aliases.is_empty() {
            return ino;
        }
        aliases.get(&ino).copied().unwrap_or(ino)
    }

    /// From now on `old` means `new`: the kernel still calls the surviving file by the number of
    /// the one that was renamed over it.
    pub(super) fn set_alias(&self, old: Ino, new: Ino) {
        let mut aliases = self.aliases.write();
        for target in aliases.values_mut() {
            if *target == old {
                *target = new;
            }
        }
        aliases.insert(old, new);
        aliases.remove(&new);
    }

    pub(super) fn forget(&self, ino: Ino) {
        if matches!(Place::of(ino), Some(Place::Node(_))) {
            self.nodes.forget(ino);
        } else if !self.aliases.read().is_empty() {
            self.aliases.write().remove(&ino);
        }
    }
}

/// `ENOENT`.
pub(super) fn missing(name: &str) -> Fault {
    Fault::new(Kind::NotFound, message!("files.missing", name = name))
}

/// `EACCES`.
pub(super) fn denied() -> Fault {
    Fault::new(Kind::Denied, message!("files.denied"))
}

/// `EPERM`.
pub(super) fn never() -> Fault {
    Fault::new(Kind::Protected, message!("files.never"))
}

/// `EEXIST`.
pub(super) fn exists(name: &str) -> Fault {
    Fault::new(Kind::Exists, message!("files.exists", name = name))
}

/// `ENOTDIR`.
pub(super) fn no_dir() -> Fault {
    Fault::new(Kind::NotContainer, message!("files.no_dir"))
}

/// `EISDIR`.
pub(super) fn is_dir() -> Fault {
    Fault::new(Kind::IsContainer, message!("files.is_dir"))
}

/// `EROFS`.
pub(super) fn read_only() -> Fault {
    Fault::new(Kind::ReadOnly, message!("files.read_only"))
}

/// `EXDEV`: `mv` and its like then copy and delete.
pub(super) fn across() -> Fault {
    Fault::new(Kind::CrossDevice, message!("files.across"))
}

/// `EINVAL` for a name that no object can have and no tool is known to use.
/// `ENAMETOOLONG` for one that is only too long.
pub(super) fn bad_name(name: &str) -> Fault {
    let stem = name.trim_start_matches('.').split('.').next().unwrap_or_default();
    if let Err(fault) = kompira_schema::path::Name::new(stem)
        && fault.kind() == Kind::NameTooLong
    {
        return fault;
    }
    Fault::new(Kind::BadName, message!("files.bad_name", name = name))
}

/// `EINVAL`.
pub(super) fn invalid() -> Fault {
    Fault::new(Kind::Invalid, message!("files.invalid"))
}

/// `EBADF` in spirit: a handle that is not open.
pub(super) fn no_handle() -> Fault {
    Fault::internal("a handle that is not open")
}

/// A failure of the temporary file under a large draft.
pub(super) fn io(error: &std::io::Error) -> Fault {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::Full,
        std::io::ErrorKind::FileTooLarge => Kind::TooLarge,
        _ => Kind::Io,
    };
    Fault::new(kind, message!("files.io")).because(error)
}
