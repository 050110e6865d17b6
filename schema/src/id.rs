//! Identities: numbers that are given once and never reused.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// An object of the tree, and also a scratch node: one counter serves both. The root is 1.
    ObjectId
}
number! {
    /// A commit. Strictly increasing; 0 is "before everything".
    Rev
}
number! {
    /// A user (`/config/user/id_N`). `root` is 1, `admin` 2, `guest` 3.
    UserId
}
number! {
    /// A group (`/config/group/id_N`). `other` is 1, `wheel` 2.
    GroupId
}
number! {
    /// A process (`/process/id_N`).
    ProcessId
}
number! {
    /// A schedule (`/scheduler/id_N`).
    ScheduleId
}
number! {
    /// A task (`/task/id_N`).
    TaskId
}
number! {
    /// An incident (`/incident/id_N`).
    IncidentId
}

impl ObjectId {
    /// The object `/`.
    pub const ROOT: Self = Self(1);
}

/// The BLAKE3 hash by which stored content is named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// Hashes `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

impl std::fmt::Display for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl std::fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobHash({self})")
    }
}
