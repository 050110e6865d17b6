//! Users and groups as they are stored.

use jiff::Timestamp;
use kompira_schema::id::{GroupId, ObjectId, UserId};
use serde::{Deserialize, Serialize};

/// A user (rule: `tree/users`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// For life.
    pub id: UserId,
    /// Login name.
    pub username: String,
    /// Hash of the login password; `None`: nobody logs in with one.
    pub password: Option<String>,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Mail address.
    pub email: String,
    /// The Environment that becomes `$ENV`.
    pub environment: Option<ObjectId>,
    /// First page.
    pub home: Option<ObjectId>,
    /// Explicit memberships (`other` is never among them: everyone belongs to it).
    pub groups: Vec<GroupId>,
    /// May log in.
    pub active: bool,
    /// Managed by a directory service.
    pub ldap: bool,
    /// Keyed hash of the API token that `auth_token` shows, if REST is enabled.
    pub token_hash: Option<[u8; 32]>,
    /// The same token, sealed.
    #[serde(with = "serde_bytes")]
    pub token_sealed: Option<Vec<u8>>,
    /// Last login.
    pub last_login: Option<Timestamp>,
    /// Came with the product: never deleted or renamed.
    pub factory: bool,
}

/// A group (rule: `tree/groups`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// For life.
    pub id: GroupId,
    /// Name.
    pub name: String,
    /// Managed by a directory service.
    pub ldap: bool,
    /// Came with the product: never deleted or renamed.
    pub factory: bool,
}

impl User {
    /// `root`.
    pub const ROOT: UserId = UserId(1);
    /// `admin`.
    pub const ADMIN: UserId = UserId(2);
    /// `guest`.
    pub const GUEST: UserId = UserId(3);

    /// Given and family name.
    #[must_use]
    pub fn full_name(&self) -> String {
        [self.first_name.as_str(), self.last_name.as_str()].join(" ").trim().to_owned()
    }

    /// `username <email>`; empty without an address.
    #[must_use]
    pub fn mailbox(&self) -> String {
        if self.email.is_empty() {
            String::new()
        } else {
            format!("{} <{}>", self.username, self.email)
        }
    }
}

impl Group {
    /// `other`: everyone.
    pub const OTHER: GroupId = GroupId(1);
    /// `wheel`: privileged users.
    pub const WHEEL: GroupId = GroupId(2);
}

/// An API token, found by its keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whose.
    pub user: UserId,
    /// When it was made.
    pub created: Timestamp,
    /// What its maker calls it; empty for the user's `auth_token`.
    pub label: String,
}

/// A login from a browser, found by the keyed hash of its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub user: UserId,
    /// When it was opened.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
}

/// Where the sealed copy of a user's token belongs.
#[must_use]
pub fn token_place(user: UserId) -> crate::secrets::Place<'static> {
    // Users are no objects: the field name keeps the two number spaces apart.
    crate::secrets::Place { object: ObjectId(user.0), field: "/config/user auth_token" }
}
