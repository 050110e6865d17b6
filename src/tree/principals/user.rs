//! Users (rule: `tree/users`).

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::limits::PASSWORD_MAX;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::value::Ref;
use zeroize::Zeroizing;

use super::{NAME_CHARS_MAX, UserDraft, UserPatch};
use crate::audit::{Class, Target, Verb};
use crate::auth::{Group, Rights, Token, User, rows, token_place};
use crate::secrets::{password, token};
use crate::store::codec::unpack;
use crate::store::{Changed, Counter, Direction, Family, KeyRange, What};
use crate::tree::draft::Draft;
use crate::tree::txn::Txn;

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Creates a user with its home directory; privileged callers only.
    pub fn create_user(&mut self, draft: UserDraft) -> Result<UserId, Fault> {
        self.trying(Class::User, Verb::Create, |_| at("/config/user"));
        let name = draft.username.clone();
        self.trying_with("create_name", || name.as_str().into());
        self.need_privilege("/config/user")?;
        let name = check_name(&draft.username, "username")?;
        if self.user_by_name(name.as_str()).is_some() {
            return Err(taken(name.as_str(), "username"));
        }
        let clear = draft.password.or_else(|| draft.rest.password.clone());
        if clear.is_none() && draft.rest.password_hash.is_none() {
            let problem = Problem { at: "password".into(), message: message!("field.required") };
            return Err(Fault::invalid(vec![problem]));
        }
        let id = UserId(self.store_id(Counter::User)?);
        let user = User {
            id,
            username: name.as_str().to_owned(),
            password: clear.as_ref().map(|clear| hashed(clear)).transpose()?,
            first_name: String::new(),
            last_name: String::new(),
            email: String::new(),
            environment: None,
            home: None,
            groups: Vec::new(),
            active: true,
            ldap: false,
            token_hash: None,
            token_sealed: None,
            last_login: None,
            factory: false,
        };
        self.put_user(&user, None)?;
        let patch = UserPatch { username: None, password: None, ..draft.rest };
        let home = match patch.home {
            Some(home) => home,
            None => self.make_home(id, &name)?,
        };
        let patch = UserPatch { home: Some(home), ..patch };
        self.change_user(&user, patch)?;
        self.tell_user(id, What::Created);
        self.tried();
        Ok(id)
    }

    /// `/home/NAME`, owned by the user. One that exists is taken as it is.
    fn make_home(&mut self, id: UserId, name: &Name) -> Result<Option<ObjectId>, Fault> {
        let Some(homes) = self.find_path(&ObjectPath::parse("/home")?)? else { return Ok(None) };
        if let Some(entry) = self.child(homes, name.as_str())? {
            return Ok(Some(entry.id).filter(|_| entry.is_object()));
        }
        let Some(directory) = self.builtin("Directory") else { return Ok(None) };
        let attempt = self.attempt.take();
        let acl = crate::auth::Acl::of_user(id, Rights::ALL);
        let draft = Draft { owner: Some(id), acl: Some(acl), ..Draft::default() };
        let home = self.create(homes, name, directory, draft);
        self.attempt = attempt;
        home.map(Some)
    }

    /// Changes a user: the caller itself in part, privileged callers any.
    pub fn update_user(&mut self, id: UserId, patch: UserPatch) -> Result<(), Fault> {
        self.trying(Class::User, Verb::Update, |_| at(&format!("/config/user/id_{id}")));
        let user = self.user(id).ok_or_else(|| no_user(id))?;
        self.check_user_rights(&user, &patch)?;
        self.change_user(&user, patch)?;
        self.tell_user(id, What::Record);
        self.tried();
        Ok(())
    }

    fn check_user_rights(&self, user: &User, patch: &UserPatch) -> Result<(), Fault> {
        let path = format!("/config/user/id_{}", user.id);
        let restricted = patch.username.is_some()
            || patch.groups.is_some()
            || patch.active.is_some()
            || patch.ldap.is_some()
            || patch.password_hash.is_some()
            || patch.last_login.is_some();
        let own = self.caller().user == user.id;
        if !self.is_privileged() && (!own || restricted) {
            return Err(crate::tree::fault::denied("privilege", &path));
        }
        let renamed = patch.username.as_ref().is_some_and(|name| *name != user.username);
        let broken = user.factory && (renamed || patch.ldap == Some(true))
            || user.id == User::ROOT && patch.active == Some(false);
        if broken {
            return Err(crate::tree::fault::protected(&path));
        }
        if user.ldap && patch.ldap != Some(false) && patch.password.is_some() {
            let told = message!("user.ldap_password");
            return Err(Fault::new(Kind::Protected, told));
        }
        Ok(())
    }

    /// What a user refers to is of a built-in type.
    fn check_kind(
        &self,
        target: Option<ObjectId>,
        field: &str,
        wanted: &'static str,
    ) -> Result<(), Fault> {
        let Some(id) = target else { return Ok(()) };
        let def = self.type_of(id)?;
        if def.is_builtin(wanted) {
            return Ok(());
        }
        let message = message!("user.wrong_type", wanted = wanted, found = def.name);
        Err(Fault::invalid(vec![Problem { at: field.to_owned(), message }]))
    }

    fn change_user(&mut self, before: &User, patch: UserPatch) -> Result<(), Fault> {
        let mut user = before.clone();
        if let Some(name) = patch.username.filter(|name| *name != user.username) {
            let name = check_name(&name, "username")?;
            if self.user_by_name(name.as_str()).is_some() {
                return Err(taken(name.as_str(), "username"));
            }
            name.as_str().clone_into(&mut user.username);
        }
        if let Some(clear) = patch.password {
            user.password = Some(hashed(&clear)?);
        }
        if let Some(hash) = patch.password_hash {
            user.password = hash.map(|hash| hash.to_string());
        }
        for (place, text) in [
            (&mut user.first_name, patch.first_name),
            (&mut user.last_name, patch.last_name),
            (&mut user.email, patch.email),
        ] {
            if let Some(text) = text {
                *place = text;
            }
        }
        if let Some(environment) = patch.environment {
            self.check_kind(environment, "environment", "Environment")?;
            user.environment = environment;
        }
        if let Some(home) = patch.home {
            self.check_kind(home, "home_directory", "Directory")?;
            user.home = home;
        }
        if let Some(mut groups) = patch.groups {
            groups.retain(|group| *group != Group::OTHER);
            groups.sort_unstable();
            groups.dedup();
            if let Some(missing) = groups.iter().find(|group| self.group(**group).is_none()) {
                let message = message!("group.missing", id = missing);
                return Err(Fault::invalid(vec![Problem { at: "groups".into(), message }]));
            }
            user.groups = groups;
        }
        user.active = patch.active.unwrap_or(user.active);
        user.ldap = patch.ldap.unwrap_or(user.ldap);
        user.last_login = patch.last_login.unwrap_or(user.last_login);
        match patch.enable_restapi {
            Some(true) if user.token_hash.is_none() => self.new_shown_token(&mut user)?,
            Some(false) => self.drop_shown_token(&mut user),
            _ => {}
        }
        self.put_user(&user, Some(before))
    }

    /// The token that `auth_token` shows: a keyed hash to find it by, a sealed copy to show.
    fn new_shown_token(&mut self, user: &mut User) -> Result<(), Fault> {
        let clear = token::generate()?;
        let keys = std::sync::Arc::clone(&self.view().inner.keys);
        let hash = keys.token_hash(&clear);
        let row = Token { user: user.id, created: self.now(), label: String::new() };
        self.put_row(Family::Auth, &rows::token(&hash), &row)?;
        user.token_hash = Some(hash);
        user.token_sealed = Some(keys.seal(&clear, token_place(user.id))?);
        Ok(())
    }

    fn drop_shown_token(&mut self, user: &mut User) {
        if let Some(hash) = user.token_hash.take() {
            self.raw_delete(Family::Auth, &rows::token(&hash));
        }
        user.token_sealed = None;
    }

    /// Deletes a user; its objects keep its number as owner. The users of the product and the
    /// caller itself stay.
    pub fn delete_user(&mut self, id: UserId) -> Result<(), Fault> {
        let path = format!("/config/user/id_{id}");
        self.trying(Class::User, Verb::Delete, |_| at(&path));
        let user = self.user(id).ok_or_else(|| no_user(id))?;
        self.need_privilege(&path)?;
        if user.factory || id == self.caller().user {
            return Err(crate::tree::fault::protected(&path));
        }
        self.revoke_all(id)?;
        self.raw_expect(Family::Auth, &rows::user(id));
        self.raw_delete(Family::Auth, &rows::user(id));
        self.raw_delete(Family::Auth, &rows::user_name(&user.username));
        self.principals_changed();
        self.tell_user(id, What::Removed);
        self.tried();
        Ok(())
    }

    /// Makes an API token that is shown this once.
    pub fn create_token(&mut self, user: UserId, label: &str) -> Result<Zeroizing<String>, Fault> {
        let path = format!("/config/user/id_{user}");
        self.trying(Class::User, Verb::Update, |_| at(&path));
        self.user(user).ok_or_else(|| no_user(user))?;
        if self.caller().user != user {
            self.need_privilege(&path)?;
        }
        let clear = token::generate()?;
        let hash = self.view().inner.keys.token_hash(&clear);
        let row = Token { user, created: self.now(), label: label.to_owned() };
        self.put_row(Family::Auth, &rows::token(&hash), &row)?;
        self.tried();
        Ok(clear)
    }

    /// Takes all API tokens of a user away: how many.
    pub fn revoke_tokens(&mut self, user: UserId) -> Result<usize, Fault> {
        let path = format!("/config/user/id_{user}");
        self.trying(Class::User, Verb::Update, |_| at(&path));
        let row = self.user(user).ok_or_else(|| no_user(user))?;
        if self.caller().user != user {
            self.need_privilege(&path)?;
        }
        let count = self.revoke_all(user)?;
        let mut new = User::clone(&row);
        (new.token_hash, new.token_sealed) = (None, None);
        self.put_user(&new, Some(&row))?;
        self.tell_user(user, What::Record);
        self.tried();
        Ok(count)
    }

    fn revoke_all(&mut self, user: UserId) -> Result<usize, Fault> {
        let mut found = Vec::new();
        let mut failed = Ok(());
        let range = KeyRange::prefix(rows::TOKENS);
        self.view().reads.scan(Family::Auth, &range, Direction::Forward, &mut |key, row| {
            match unpack::<Token>(Family::Auth, key, row) {
                Ok(token) if token.user == user => found.push(key.to_vec()),
                Ok(_) => {}
                Err(error) => failed = Err(error),
            }
            std::ops::ControlFlow::Continue(())
        })?;
        failed?;
        for key in &found {
            self.raw_delete(Family::Auth, key);
        }
        Ok(found.len())
    }

    // --- parts --------------------------------------------------------------------------------

    pub(super) fn put_user(&mut self, user: &User, before: Option<&User>) -> Result<(), Fault> {
        let number = user.id.0.to_be_bytes().to_vec();
        self.raw_expect(Family::Auth, &rows::user(user.id));
        self.put_row(Family::Auth, &rows::user(user.id), user)?;
        if before.is_none_or(|before| before.username != user.username) {
            let name = rows::user_name(&user.username);
            self.raw_expect(Family::Auth, &name);
            if let Some(before) = before {
                self.raw_delete(Family::Auth, &rows::user_name(&before.username));
            }
            self.raw_put(Family::Auth, &name, number);
        }
        self.principals_changed();
        Ok(())
    }

    pub(super) fn need_privilege(&self, path: &str) -> Result<(), Fault> {
        if self.is_privileged() {
            return Ok(());
        }
        Err(crate::tree::fault::denied("privilege", path))
    }

    fn tell_user(&mut self, id: UserId, what: What) {
        self.tell_principal(Changed { subject: Ref::User(id), what, place: None, old: None });
    }
}

pub(super) fn at(path: &str) -> Target {
    Target { path: Some(path.to_owned()), kind: None }
}

fn no_user(id: UserId) -> Fault {
    Fault::new(Kind::NotFound, message!("tree.no_user", name = format!("id_{id}")))
}

pub(super) fn taken(name: &str, at: &str) -> Fault {
    let problem = Problem { at: at.to_owned(), message: message!("tree.exists", name = name) };
    crate::tree::fault::exists(name).with_problems(vec![problem])
}

/// A name of a user or group: an identifier of at most 30 characters.
pub(super) fn check_name(text: &str, at: &str) -> Result<Name, Fault> {
    let with = |fault: Fault| {
        let problem = Problem { at: at.to_owned(), message: fault.told().clone() };
        fault.with_problems(vec![problem])
    };
    let name = Name::new(text).map_err(with)?;
    let count = name.as_str().chars().count();
    if count > NAME_CHARS_MAX {
        let told = message!("name.too_long", count = count, max = NAME_CHARS_MAX);
        return Err(with(Fault::new(Kind::NameTooLong, told)));
    }
    Ok(name)
}

fn hashed(clear: &str) -> Result<String, Fault> {
    if clear.is_empty() || clear.len() > PASSWORD_MAX {
        let message = message!("user.password_length", max = PASSWORD_MAX);
        return Err(Fault::invalid(vec![Problem { at: "password".into(), message }]));
    }
    password::hash(clear)
}
