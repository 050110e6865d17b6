//! Users and groups: made, changed, deleted, logged in (rules: `tree/users`, `tree/groups`).

mod group;
mod login;
mod session;
mod user;

use jiff::Timestamp;
use kompira_schema::id::{GroupId, ObjectId, UserId};
use zeroize::Zeroizing;

/// A new user.
#[derive(Debug, Clone, Default)]
pub struct UserDraft {
    /// Login name.
    pub username: String,
    /// Clear password.
    pub password: Option<Zeroizing<String>>,
    /// The rest.
    pub rest: UserPatch,
}

/// A change of a user; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// Login name.
    pub username: Option<String>,
    /// Clear password.
    pub password: Option<Zeroizing<String>>,
    /// The stored hash of a password, as a backup has it; `Some(None)`: none. Privileged callers.
    pub password_hash: Option<Option<Zeroizing<String>>>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// The Environment that becomes `$ENV`.
    pub environment: Option<Option<ObjectId>>,
    /// First page.
    pub home: Option<Option<ObjectId>>,
    /// Memberships, all of them.
    pub groups: Option<Vec<GroupId>>,
    /// May log in.
    pub active: Option<bool>,
    /// Managed by a directory service.
    pub ldap: Option<bool>,
    /// Makes a new API token, or takes it away.
    pub enable_restapi: Option<bool>,
    /// Last login.
    pub last_login: Option<Option<Timestamp>>,
}

/// A new group.
#[derive(Debug, Clone, Default)]
pub struct GroupDraft {
    /// Name.
    pub name: String,
    /// Managed by a directory service.
    pub ldap: bool,
}

/// A change of a group; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct GroupPatch {
    /// Name.
    pub name: Option<String>,
    /// Managed by a directory service.
    pub ldap: Option<bool>,
    /// Members, all of them.
    pub users: Option<Vec<UserId>>,
}

/// Characters of a user or group name. Documented.
pub(super) const NAME_CHARS_MAX: usize = 30;
