//! Permission sets: what an object grants to users and groups (rule: `tree/permissions`).

use kompira_schema::id::{BlobHash, GroupId, UserId};
use serde::{Deserialize, Serialize};

/// What one entry grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Rights {
    /// Reading the contents.
    pub read: bool,
    /// Editing the fields; on a container also adding objects.
    pub write: bool,
    /// Starting a job; writing the data of a Config.
    pub execute: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, execute: true };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, execute: false };
    /// Reading alone.
    pub const READ: Self = Self { read: true, write: false, execute: false };

    /// What either grants.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            write: self.write || other.write,
            execute: self.execute || other.execute,
        }
    }
}

/// The entry of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserEntry {
    /// Whose.
    pub user: UserId,
    /// What it grants.
    pub rights: Rights,
}

/// The entry of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupEntry {
    /// Whose members.
    pub group: GroupId,
    /// What it grants.
    pub rights: Rights,
    /// Among the groups of a user only the entries of the greatest priority count.
    pub priority: i64,
}

/// The permission entries of an object. Sets are stored once and named by their hash, so that a
/// listing learns what it may show from headers alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Acl {
    /// Entries of users, by user, each user once.
    pub users: Vec<UserEntry>,
    /// Entries of groups, by group, each group once.
    pub groups: Vec<GroupEntry>,
}

/// Names a stored [`Acl`]: the first half of its BLAKE3 hash. All zero is the empty set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct AclId(pub [u8; 16]);

/// What a caller may do with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// Reading the contents.
    pub read: bool,
    /// Editing the fields.
    pub write: bool,
    /// Starting it.
    pub execute: bool,
    /// Editing properties: the owner and privileged users.
    pub own: bool,
}

impl AclId {
    /// The set without entries.
    pub const EMPTY: Self = Self([0; 16]);
}

impl Acl {
    /// Most entries of one object. Each is read for every access check of a listing.
    pub const ENTRIES_MAX: usize = 1000;

    /// Entries in canonical order, each principal once (the last one counts).
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.users.reverse();
        self.users.sort_by_key(|entry| entry.user);
        self.users.dedup_by_key(|entry| entry.user);
        self.groups.reverse();
        self.groups.sort_by_key(|entry| entry.group);
        self.groups.dedup_by_key(|entry| entry.group);
        self
    }

    /// One user's entry.
    #[must_use]
    pub fn of_user(user: UserId, rights: Rights) -> Self {
        Self { users: vec![UserEntry { user, rights }], groups: Vec::new() }
    }

    /// One group's entry of priority 0.
    #[must_use]
    pub fn of_group(group: GroupId, rights: Rights) -> Self {
        Self { users: Vec::new(), groups: vec![GroupEntry { group, rights, priority: 0 }] }
    }

    /// Bytes as they are stored. Layout: counts as u32, then fixed-size entries, big-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.users.len() * 9 + self.groups.len() * 17);
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        out.extend_from_slice(&count(self.users.len()));
        out.extend_from_slice(&count(self.groups.len()));
        for entry in &self.users {
            out.extend_from_slice(&entry.user.0.to_be_bytes());
            out.push(entry.rights.bits());
        }
        for entry in &self.groups {
            out.extend_from_slice(&entry.group.0.to_be_bytes());
            out.push(entry.rights.bits());
            out.extend_from_slice(&entry.priority.to_be_bytes());
        }
        out
    }

    /// Reads what [`Acl::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let users = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let groups = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
        let split = 8_usize.checked_add(users.checked_mul(9)?)?;
        let end = split.checked_add(groups.checked_mul(17)?)?;
        if bytes.len() != end {
            return None;
        }
        let users = bytes.get(8..split)?.chunks_exact(9).map(|row| {
            Some(UserEntry {
                user: UserId(u64::from_be_bytes(row.get(..8)?.try_into().ok()?)),
                rights: Rights::from_bits(*row.get(8)?),
            })
        });
        let groups = bytes.get(split..end)?.chunks_exact(17).map(|row| {
            Some(GroupEntry {
                group: GroupId(u64::from_be_bytes(row.get(..8)?.try_into().ok()?)),
                rights: Rights::from_bits(*row.get(8)?),
                priority: i64::from_be_bytes(row.get(9..17)?.try_into().ok()?),
            })
        });
        Some(Self { users: users.collect::<Option<_>>()?, groups: groups.collect::<Option<_>>()? })
    }

    /// The name under which the set is stored.
    #[must_use]
    pub fn id(&self) -> AclId {
        if self.users.is_empty() && self.groups.is_empty() {
            return AclId::EMPTY;
        }
        let hash = BlobHash::of(&self.encode());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.0[..16]);
        AclId(id)
    }

    /// What the entries grant to a user who is neither owner nor privileged (rule:
    /// `tree/permissions`): the user's own entry alone; else the entries of greatest priority
    /// among the groups of the user, united.
    #[must_use]
    pub fn rights(&self, user: UserId, groups: &[GroupId]) -> Rights {
        if let Some(own) = self.users.iter().find(|entry| entry.user == user) {
            return own.rights;
        }
        let mine = || {
            self.groups
                .iter()
                .filter(|entry| entry.group == super::Group::OTHER || groups.contains(&entry.group))
        };
        let Some(top) = mine().map(|entry| entry.priority).max() else { return Rights::NONE };
        mine()
            .filter(|entry| entry.priority == top)
            .fold(Rights::NONE, |sum, entry| sum.or(entry.rights))
    }
}

impl Rights {
    const fn bits(self) -> u8 {
        self.read as u8 | (self.write as u8) << 1 | (self.execute as u8) << 2
    }

    const fn from_bits(bits: u8) -> Self {
        Self { read: bits & 1 != 0, write: bits & 2 != 0, execute: bits & 4 != 0 }
    }
}

impl Access {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, execute: true, own: true };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, execute: false, own: false };
}

impl From<Rights> for Access {
    fn from(rights: Rights) -> Self {
        Self { read: rights.read, write: rights.write, execute: rights.execute, own: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Group;

    const SATO: UserId = UserId(7);
    const OPS: GroupId = GroupId(9);

    fn group(group: GroupId, rights: Rights, priority: i64) -> GroupEntry {
        GroupEntry { group, rights, priority }
    }

    // rule: tree/permissions
    #[test]
    fn the_entry_of_a_user_counts_alone() {
        let acl = Acl {
            users: vec![UserEntry { user: SATO, rights: Rights::NONE }],
            groups: vec![group(Group::OTHER, Rights::ALL, 5)],
        };
        assert_eq!(acl.rights(SATO, &[OPS]), Rights::NONE);
        assert_eq!(acl.rights(UserId(8), &[]), Rights::ALL);
    }

    // rule: tree/permissions
    #[test]
    fn group_entries_of_the_greatest_priority_are_united() {
        let execute = Rights { execute: true, ..Rights::NONE };
        let acl = Acl {
            users: vec![],
            groups: vec![
                group(Group::OTHER, Rights::READ, 0),
                group(OPS, execute, 0),
                group(GroupId(10), Rights::ALL, -1),
            ],
        };
        assert_eq!(acl.rights(SATO, &[OPS, GroupId(10)]), Rights::READ.or(execute));
        assert_eq!(acl.rights(SATO, &[GroupId(10)]), Rights::READ, "other belongs to everyone");
        assert_eq!(Acl::default().rights(SATO, &[OPS]), Rights::NONE, "no entry, no right");
    }

    #[test]
    fn a_set_reads_back_as_written_and_torn_bytes_are_refused() {
        let acl = Acl {
            users: vec![UserEntry { user: SATO, rights: Rights::READ }],
            groups: vec![group(OPS, Rights::ALL, -3)],
        };
        let bytes = acl.encode();
        assert_eq!(Acl::decode(&bytes), Some(acl.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Acl::decode(&bytes[..cut]), None, "{cut}");
        }
        assert_ne!(acl.id(), AclId::EMPTY);
        assert_eq!(Acl::default().id(), AclId::EMPTY);
    }
}
