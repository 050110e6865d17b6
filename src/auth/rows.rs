//! Keys of the family `auth`.
//!
//! `v`: revision of the last change of a user or group · `a` hash: a permission set · `u` number:
//! a user · `g` number: a group · `n` name: number of a user · `m` name: number of a group ·
//! `t` keyed hash: an API token · `s` keyed hash: a login session · `l` user NUL address: failed
//! logins.

use kompira_schema::id::{GroupId, UserId};

use super::acl::AclId;

/// The revision of the last change of a principal.
pub const VERSION: &[u8] = b"v";
/// Prefix of users.
pub const USERS: &[u8] = b"u";
/// Prefix of groups.
pub const GROUPS: &[u8] = b"g";
/// Prefix of tokens.
pub const TOKENS: &[u8] = b"t";
/// Prefix of login sessions.
pub const SESSIONS: &[u8] = b"s";
/// Prefix of failed logins.
pub const LOCKS: &[u8] = b"l";

fn tagged(tag: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(tag);
    key.extend_from_slice(rest);
    key
}

/// A permission set.
#[must_use]
pub fn acl(id: AclId) -> Vec<u8> {
    tagged(b'a', &id.0)
}

/// A user.
#[must_use]
pub fn user(id: UserId) -> Vec<u8> {
    tagged(b'u', &id.0.to_be_bytes())
}

/// A group.
#[must_use]
pub fn group(id: GroupId) -> Vec<u8> {
    tagged(b'g', &id.0.to_be_bytes())
}

/// A user's name.
#[must_use]
pub fn user_name(name: &str) -> Vec<u8> {
    tagged(b'n', name.as_bytes())
}

/// A group's name.
#[must_use]
pub fn group_name(name: &str) -> Vec<u8> {
    tagged(b'm', name.as_bytes())
}

/// An API token.
#[must_use]
pub fn token(hash: &[u8; 32]) -> Vec<u8> {
    tagged(b't', hash)
}

/// A login session.
#[must_use]
pub fn session(hash: &[u8; 32]) -> Vec<u8> {
    tagged(b's', hash)
}

/// Failed logins of a user from an address.
#[must_use]
pub fn lock(user: &str, remote: &str) -> Vec<u8> {
    let mut key = tagged(b'l', user.as_bytes());
    key.push(0);
    key.extend_from_slice(remote.as_bytes());
    key
}
