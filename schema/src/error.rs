//! The one failure table: what a failure is called, and what each face answers with.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $errno:ident;)*) => {
        /// Names a failure in terms that every face can translate.
        ///
        /// The mount answers with [`Kind::errno`], HTTP with [`Kind::status`]. Both read this one
        /// table, so that a path which is missing for `curl` is missing for `cat`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            const fn row(self) -> (&'static str, u16, i32) {
                match self { $(Self::$name => ($code, $status, errno::$errno),)* }
            }

            #[cfg(test)]
            const fn errno_name(self) -> &'static str {
                match self { $(Self::$name => stringify!($errno),)* }
            }

            /// The name of the variant, for logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

kinds! {
    /// Nothing is there.
    NotFound = "KF1001", 404, ENOENT;
    /// The name is taken.
    Exists = "KF1002", 409, EEXIST;
    /// The caller lacks a permission.
    Denied = "KF1003", 403, EACCES;
    /// Someone else saved first: the base revision is not the present one.
    Stale = "KF1004", 412, ESTALE;
    /// Over a size limit.
    TooLarge = "KF1005", 413, EFBIG;
    /// The storage is full.
    Full = "KF1006", 507, ENOSPC;
    /// Stored bytes are not what was written.
    Corrupt = "KF1007", 500, EIO;
    /// A protected object, a system field, or something nobody may do.
    Protected = "KF1008", 403, EPERM;
    /// A value does not fit its field.
    Invalid = "KF1009", 400, EINVAL;
    /// Not a legal object name.
    BadName = "KF1010", 400, EINVAL;
    /// A name or path over its length limit.
    NameTooLong = "KF1011", 400, ENAMETOOLONG;
    /// Something that can have no children is used as a container.
    NotContainer = "KF1012", 400, ENOTDIR;
    /// A type that may not be created there.
    WrongType = "KF1013", 400, EINVAL;
    /// A container would contain itself.
    Cycle = "KF1014", 400, EINVAL;
    /// The queue holds no such message.
    NoMessage = "KF1015", 404, ENOENT;
    /// A wait ended without its event.
    Timeout = "KF1016", 408, ETIMEDOUT;
    /// Not possible in the present state (an active process is deleted).
    Busy = "KF1017", 409, EBUSY;
    /// A licence limit.
    Licence = "KF1018", 403, EDQUOT;
    /// A file operation met a directory.
    IsContainer = "KF1019", 400, EISDIR;
    /// A container still has children.
    NotEmpty = "KF1020", 409, ENOTEMPTY;
    /// Nobody is logged in, or the credentials are wrong.
    Unauthenticated = "KF1021", 401, EACCES;
    /// The object has no such operation.
    NoMethod = "KF1022", 405, ENOTSUP;
    /// The request cannot be understood.
    BadRequest = "KF1023", 400, EINVAL;
    /// Going down, not yet up, or an outside service does not answer.
    Unavailable = "KF1024", 503, EAGAIN;
    /// Over a rate or count limit; try later.
    TooMany = "KF1025", 429, EAGAIN;
    /// Another server holds the data directory.
    Locked = "KF1026", 409, EBUSY;
    /// The place is read-only (history, status).
    ReadOnly = "KF1027", 403, EROFS;
    /// No such extended attribute.
    NoAttribute = "KF1028", 404, ENODATA;
    /// An outside system answered with an I/O error.
    Io = "KF1029", 500, EIO;
    /// A format version this binary does not know.
    Version = "KF1030", 500, EIO;
    /// A rename between what is kept as objects and what is kept as plain files: copy and delete.
    CrossDevice = "KF1031", 400, EXDEV;
    /// An outside system refused or failed (a git repository).
    Outside = "KF1032", 502, EIO;
    /// A fault of ours.
    Internal = "KF1099", 500, EIO;
}

/// Linux error numbers, here so that this crate needs no C library.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EIO: i32 = 5;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const EEXIST: i32 = 17;
    pub(super) const EXDEV: i32 = 18;
    pub(super) const ENOTDIR: i32 = 20;
    pub(super) const EISDIR: i32 = 21;
    pub(super) const EINVAL: i32 = 22;
    pub(super) const EFBIG: i32 = 27;
    pub(super) const ENOSPC: i32 = 28;
    pub(super) const EROFS: i32 = 30;
    pub(super) const ENAMETOOLONG: i32 = 36;
    pub(super) const ENOTEMPTY: i32 = 39;
    pub(super) const ENODATA: i32 = 61;
    pub(super) const ENOTSUP: i32 = 95;
    pub(super) const ETIMEDOUT: i32 = 110;
    pub(super) const ESTALE: i32 = 116;
    pub(super) const EDQUOT: i32 = 122;
}

impl Kind {
    /// The stable code, as in `KF1004`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The error number a system call on the mount returns.
    #[must_use]
    pub const fn errno(self) -> i32 {
        self.row().2
    }
}

/// A text for a person: a key of the catalogue and what fills its blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Key of the catalogue, as in `tree.not_found`.
    pub key: &'static str,
    /// Blank name and its text.
    pub args: Vec<(&'static str, String)>,
}

/// Makes a [`Message`]: `message!("tree.not_found", path = path)`.
#[macro_export]
macro_rules! message {
    ($key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::error::Message { key: $key, args: vec![$((stringify!($name), $value.to_string())),*] }
    };
}

/// What is wrong with one field (or property, or `name`) of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Field name, or a path into it such as `range[2]`.
    pub at: String,
    /// What is wrong and what to do.
    pub message: Message,
}

/// A failure on its way to whoever asked.
///
/// `told` and `problems` may reach a client; `inner` is for the log alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    kind: Kind,
    told: Message,
    problems: Vec<Problem>,
    inner: Option<String>,
}

impl Fault {
    /// A failure that a client may be told of.
    #[must_use]
    pub fn new(kind: Kind, told: Message) -> Self {
        Self(Box::new(Parts { kind, told, problems: Vec::new(), inner: None }))
    }

    /// A validation failure with all its problems.
    #[must_use]
    pub fn invalid(problems: Vec<Problem>) -> Self {
        let told = message!("schema.invalid", count = problems.len());
        Self(Box::new(Parts { kind: Kind::Invalid, told, problems, inner: None }))
    }

    /// A fault of ours: the client learns only that there was one.
    #[must_use]
    pub fn internal(inner: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, message!("internal")).because(inner)
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn because(mut self, inner: impl fmt::Display) -> Self {
        self.0.inner = Some(inner.to_string());
        self
    }

    /// Adds the field-by-field part.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.0.problems = problems;
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the client is told.
    #[must_use]
    pub fn told(&self) -> &Message {
        &self.0.told
    }

    /// The problems of single fields, for [`Kind::Invalid`] and its like.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// What the log may know besides.
    #[must_use]
    pub fn inner(&self) -> Option<&str> {
        self.0.inner.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: tree/failures
    #[test]
    fn the_reference_has_the_table_of_failures() {
        let page = include_str!("../../docs/reference/tree.md");
        for kind in Kind::ALL {
            let row = format!("| `{}` | {} | {} |", kind.code(), kind.status(), kind.errno_name());
            assert!(page.contains(&row), "{}: {row}", kind.name());
        }
        let rows = page.lines().filter(|line| line.starts_with("| `KF1")).count();
        assert_eq!(rows, Kind::ALL.len());
    }

    #[test]
    fn every_code_is_used_once() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
