//! All users and groups of one moment, and what a caller may do with an object.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kompira_schema::id::{GroupId, UserId};

use super::acl::{Access, Acl};
use super::principal::{Group, User};

/// The principals of one moment. They are few: read whole, kept until one changes.
#[derive(Debug, Default)]
pub struct Principals {
    users: BTreeMap<UserId, Arc<User>>,
    groups: BTreeMap<GroupId, Arc<Group>>,
    user_names: HashMap<String, UserId>,
    group_names: HashMap<String, GroupId>,
    privileged: HashSet<UserId>,
}

impl Principals {
    /// The table of these users and groups.
    #[must_use]
    pub fn new(users: Vec<User>, groups: Vec<Group>) -> Self {
        let user_names = users.iter().map(|user| (user.username.clone(), user.id)).collect();
        let group_names = groups.iter().map(|group| (group.name.clone(), group.id)).collect();
        let privileged = users
            .iter()
            .filter(|user| {
                matches!(user.id, User::ROOT | User::ADMIN) || user.groups.contains(&Group::WHEEL)
            })
            .map(|user| user.id)
            .collect();
        Self {
            users: users.into_iter().map(|user| (user.id, Arc::new(user))).collect(),
            groups: groups.into_iter().map(|group| (group.id, Arc::new(group))).collect(),
            user_names,
            group_names,
            privileged,
        }
    }

    /// A user by number.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// A user by login name.
    #[must_use]
    pub fn user_by_name(&self, name: &str) -> Option<&Arc<User>> {
        self.user(*self.user_names.get(name)?)
    }

    /// All users, by number.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// A group by number.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// A group by name.
    #[must_use]
    pub fn group_by_name(&self, name: &str) -> Option<&Arc<Group>> {
        self.group(*self.group_names.get(name)?)
    }

    /// All groups, by number.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// Whether the user may do everything (rule: `tree/privileged`).
    #[must_use]
    pub fn privileged(&self, user: UserId) -> bool {
        self.privileged.contains(&user)
    }

    /// The members of a group; everyone for `other`.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = &Arc<User>> {
        self.users
            .values()
            .filter(move |user| group == Group::OTHER || user.groups.contains(&group))
    }

    /// What `user` may do with an object of `owner` that carries `acl` (rule:
    /// `tree/permissions`).
    #[must_use]
    pub fn access(&self, user: UserId, owner: UserId, acl: &Acl) -> Access {
        let Some(row) = self.users.get(&user) else { return Access::NONE };
        if user == owner || self.privileged(user) {
            return Access::ALL;
        }
        acl.rights(user, &row.groups).into()
    }
}
