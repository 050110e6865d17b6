//! Users, groups and tokens of the moment.

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{GroupId, Rev, UserId};
use kompira_schema::message;

use super::View;
use crate::auth::{Group, Principals, Token, User, rows};
use crate::store::Family;
use crate::store::codec::unpack;

impl View {
    /// All principals. Read once after each change of one, then shared.
    pub(in crate::tree) fn principals(&self) -> Result<Arc<Principals>, Fault> {
        if let Some(known) = self.principals.get() {
            return Ok(Arc::clone(known));
        }
        let own = self.reads.own(Family::Auth, rows::VERSION).is_some();
        let version = self.reads.get(Family::Auth, rows::VERSION)?;
        let version = version.and_then(|bytes| Some(u64::from_be_bytes(*bytes.first_chunk()?)));
        let version = Rev(version.unwrap_or(0));
        let kept = self.inner.principals.load_full();
        let found = match kept.filter(|kept| !own && kept.0 == version) {
            Some(kept) => Arc::clone(&kept.1),
            None => {
                let users = self.rows::<User>(Family::Auth, rows::USERS)?;
                let read = Arc::new(Principals::new(users, self.rows(Family::Auth, rows::GROUPS)?));
                if !own {
                    self.inner.principals.store(Some(Arc::new((version, Arc::clone(&read)))));
                }
                read
            }
        };
        let _ = self.principals.set(Arc::clone(&found));
        Ok(found)
    }

    /// All principals, or none when the store cannot be read (the log says so).
    pub(in crate::tree) fn people(&self) -> Arc<Principals> {
        self.principals().unwrap_or_else(|fault| {
            tracing::error!(?fault, "users and groups cannot be read");
            Arc::default()
        })
    }

    /// A user by number.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<Arc<User>> {
        self.people().user(id).cloned()
    }

    /// A user by login name.
    #[must_use]
    pub fn user_by_name(&self, name: &str) -> Option<Arc<User>> {
        self.people().user_by_name(name).cloned()
    }

    /// All users, by number.
    #[must_use]
    pub fn users(&self) -> Vec<Arc<User>> {
        self.people().users().cloned().collect()
    }

    /// A group by number.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<Arc<Group>> {
        self.people().group(id).cloned()
    }

    /// A group by name.
    #[must_use]
    pub fn group_by_name(&self, name: &str) -> Option<Arc<Group>> {
        self.people().group_by_name(name).cloned()
    }

    /// All groups, by number.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.people().groups().cloned().collect()
    }

    /// The members of a group, by number; everyone for `other`.
    #[must_use]
    pub fn members(&self, group: GroupId) -> Vec<Arc<User>> {
        self.people().members(group).cloned().collect()
    }

    /// Whether the user may do everything: `root`, `admin`, members of `wheel`.
    #[must_use]
    pub fn privileged(&self, user: UserId) -> bool {
        self.people().privileged(user)
    }

    /// The groups of a user, `other` included.
    #[must_use]
    pub fn groups_of(&self, user: UserId) -> Vec<GroupId> {
        let mut groups = vec![Group::OTHER];
        if let Some(user) = self.user(user) {
            groups.extend(user.groups.iter().filter(|&&group| group != Group::OTHER));
        }
        groups
    }

    /// The user's login name; `id_N` when there is no such user.
    #[must_use]
    pub fn user_name(&self, id: UserId) -> String {
        self.user(id).map_or_else(|| format!("id_{id}"), |user| user.username.clone())
    }

    /// The group's name; `id_N` when there is no such group.
    #[must_use]
    pub fn group_name(&self, id: GroupId) -> String {
        self.group(id).map_or_else(|| format!("id_{id}"), |group| group.name.clone())
    }

    /// The active user whose API token this is.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`].
    pub fn authenticate(&self, token: &str) -> Result<Arc<User>, Fault> {
        let refused = || Fault::new(Kind::Unauthenticated, message!("auth.bad_token"));
        self.token_user(token)?.filter(|user| user.active).ok_or_else(refused)
    }

    /// The user whose API token this is, active or not; `None`: nobody's.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn token_user(&self, token: &str) -> Result<Option<Arc<User>>, Fault> {
        let key = rows::token(&self.inner.keys.token_hash(token));
        let Some(bytes) = self.reads.get(Family::Auth, &key)? else { return Ok(None) };
        let row: Token = unpack(Family::Auth, &key, &bytes)?;
        Ok(self.user(row.user))
    }

    /// The token that the user property `auth_token` shows; `None` while REST is off for the user.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when it was sealed with another key.
    pub fn auth_token(&self, user: UserId) -> Result<Option<String>, Fault> {
        let Some(sealed) = self.user(user).and_then(|user| user.token_sealed.clone()) else {
            return Ok(None);
        };
        let place = crate::auth::token_place(user);
        Ok(Some(self.inner.keys.open(&sealed, place)?.to_string()))
    }
}
