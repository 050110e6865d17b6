//! Users and groups: made, changed, deleted, logged in (rules: `tree/users`, `tree/groups`).

use jiff::Timestamp;
use kompira_schema::error::Fault;
use kompira_schema::id::{GroupId, ObjectId, UserId};
use kompira_schema::tree::Caller;
use zeroize::Zeroizing;

use super::handle::Tree;
use super::txn::Txn;

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

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Creates a user with its home directory; privileged callers only.
    pub fn create_user(&mut self, _draft: UserDraft) -> Result<UserId, Fault> {
        unimplemented!()
    }
    /// Changes a user: the caller itself in part, privileged callers any.
    pub fn update_user(&mut self, _id: UserId, _patch: UserPatch) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Deletes a user; its objects keep its number as owner.
    pub fn delete_user(&mut self, _id: UserId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Creates a group.
    pub fn create_group(&mut self, _draft: GroupDraft) -> Result<GroupId, Fault> {
        unimplemented!()
    }
    /// Changes a group.
    pub fn update_group(&mut self, _id: GroupId, _patch: GroupPatch) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Deletes a group.
    pub fn delete_group(&mut self, _id: GroupId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Makes an API token that is shown this once.
    pub fn create_token(
        &mut self,
        _user: UserId,
        _label: &str,
    ) -> Result<Zeroizing<String>, Fault> {
        unimplemented!()
    }
    /// Takes all API tokens of a user away: how many.
    pub fn revoke_tokens(&mut self, _user: UserId) -> Result<usize, Fault> {
        unimplemented!()
    }
}

impl Tree {
    /// Checks a login name and password, counting failures of the pair of user and address.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Unauthenticated`], [`kompira_schema::error::Kind::TooMany`]
    /// while locked. Both are written to the audit.
    pub fn login(&self, _username: &str, _password: &str, _who: &Caller) -> Result<UserId, Fault> {
        unimplemented!()
    }

    /// Releases login locks: of one user, or all. How many.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn unlock(&self, _username: Option<&str>) -> Result<usize, Fault> {
        unimplemented!()
    }
}
