//! Groups (rule: `tree/groups`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{GroupId, UserId};
use kompira_schema::message;
use kompira_schema::value::Ref;

use super::user::{at, check_name, taken};
use super::{GroupDraft, GroupPatch};
use crate::audit::{Class, Verb};
use crate::auth::{Group, User, rows};
use crate::store::{Changed, Counter, Family, What};
use crate::tree::fault;
use crate::tree::txn::Txn;

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Creates a group; privileged callers only.
    pub fn create_group(&mut self, draft: GroupDraft) -> Result<GroupId, Fault> {
        self.trying(Class::Group, Verb::Create, |_| at("/config/group"));
        self.need_privilege("/config/group")?;
        let name = check_name(&draft.name, "name")?;
        if self.group_by_name(name.as_str()).is_some() {
            return Err(taken(name.as_str(), "name"));
        }
        let id = GroupId(self.store_id(Counter::Group)?);
        let row = Group { id, name: name.as_str().to_owned(), ldap: draft.ldap, factory: false };
        self.put_group(&row, None)?;
        self.tell_group(id, What::Created);
        self.tried();
        Ok(id)
    }

    /// Changes a group and, if given, who belongs to it; privileged callers only.
    pub fn update_group(&mut self, id: GroupId, patch: GroupPatch) -> Result<(), Fault> {
        let path = format!("/config/group/id_{id}");
        self.trying(Class::Group, Verb::Update, |_| at(&path));
        let before = self.group(id).ok_or_else(|| no_group(id))?;
        self.need_privilege(&path)?;
        let mut row = Group::clone(&before);
        if let Some(name) = patch.name.filter(|name| *name != row.name) {
            if row.factory {
                return Err(fault::protected(&path));
            }
            let name = check_name(&name, "name")?;
            if self.group_by_name(name.as_str()).is_some() {
                return Err(taken(name.as_str(), "name"));
            }
            name.as_str().clone_into(&mut row.name);
        }
        if patch.ldap == Some(true) && row.factory {
            return Err(fault::protected(&path));
        }
        row.ldap = patch.ldap.unwrap_or(row.ldap);
        self.put_group(&row, Some(&before))?;
        if let Some(users) = patch.users.filter(|_| id != Group::OTHER) {
            self.set_members(id, &users)?;
        }
        self.tell_group(id, What::Record);
        self.tried();
        Ok(())
    }

    fn set_members(&mut self, id: GroupId, users: &[UserId]) -> Result<(), Fault> {
        for user in self.users() {
            let wanted = users.contains(&user.id);
            if user.groups.contains(&id) == wanted {
                continue;
            }
            let mut row = User::clone(&user);
            if wanted {
                row.groups.push(id);
                row.groups.sort_unstable();
            } else {
                row.groups.retain(|group| *group != id);
            }
            self.put_user(&row, Some(&user))?;
        }
        Ok(())
    }

    /// Deletes a group; its entries in permissions stay without effect. `other` and `wheel` stay.
    pub fn delete_group(&mut self, id: GroupId) -> Result<(), Fault> {
        let path = format!("/config/group/id_{id}");
        self.trying(Class::Group, Verb::Delete, |_| at(&path));
        let row = self.group(id).ok_or_else(|| no_group(id))?;
        self.need_privilege(&path)?;
        if row.factory {
            return Err(fault::protected(&path));
        }
        self.set_members(id, &[])?;
        self.raw_expect(Family::Auth, &rows::group(id));
        self.raw_delete(Family::Auth, &rows::group(id));
        self.raw_delete(Family::Auth, &rows::group_name(&row.name));
        self.principals_changed();
        self.tell_group(id, What::Removed);
        self.tried();
        Ok(())
    }

    fn put_group(&mut self, row: &Group, before: Option<&Group>) -> Result<(), Fault> {
        self.raw_expect(Family::Auth, &rows::group(row.id));
        self.put_row(Family::Auth, &rows::group(row.id), row)?;
        if before.is_none_or(|before| before.name != row.name) {
            let name = rows::group_name(&row.name);
            self.raw_expect(Family::Auth, &name);
            if let Some(before) = before {
                self.raw_delete(Family::Auth, &rows::group_name(&before.name));
            }
            self.raw_put(Family::Auth, &name, row.id.0.to_be_bytes().to_vec());
        }
        self.principals_changed();
        Ok(())
    }

    fn tell_group(&mut self, id: GroupId, what: What) {
        self.tell_principal(Changed { subject: Ref::Group(id), what, place: None, old: None });
    }
}

fn no_group(id: GroupId) -> Fault {
    Fault::new(Kind::NotFound, message!("group.missing", id = id))
}
