//! What a Repository object and its user say.

use std::path::Path;

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Ref, Value};

use super::remote::{self, Given, Remote};
use crate::auth::User;
use crate::tree::View;

/// The fields of a Repository object, checked.
pub(super) struct Settings {
    pub(super) remote: Remote,
    /// The directory that is synchronised.
    pub(super) directory: ObjectId,
    pub(super) path: ObjectPath,
    /// Name and address of who acts.
    pub(super) author: (String, String),
    pub(super) update_config: bool,
}

impl Settings {
    /// `data` is the data directory of the server.
    ///
    /// # Errors
    /// A validation failure that names the field; [`Kind::Denied`].
    pub(super) fn read(
        view: &View,
        who: &Caller,
        id: ObjectId,
        data: &Path,
    ) -> Result<Self, Fault> {
        let object = view.get(who, id)?;
        let field = |name: &str| view.field(&object, name).map(std::borrow::Cow::into_owned);
        let text = |name: &str| match field(name) {
            Some(Value::Str(text)) => text,
            _ => String::new(),
        };
        let mut problems = Vec::new();
        let mut odd = |at: &str, message| problems.push(Problem { at: at.into(), message });
        if text("repositoryType") == "mercurial" {
            odd("repositoryType", message!("git.mercurial"));
        }
        let url = text("URL");
        if url.is_empty() {
            odd("URL", message!("git.needed"));
        }
        let directory = match field("directory") {
            Some(Value::Object(Ref::Object(id))) => Some(id),
            _ => None,
        };
        if directory.is_none() {
            odd("directory", message!("git.needed"));
        }
        let Some(directory) = directory.filter(|_| problems.is_empty()) else {
            return Err(Fault::invalid(problems));
        };
        let password = view.password(who, id, "password", None)?;
        let port = match field("port") {
            Some(Value::Int(port)) => u16::try_from(port).ok(),
            _ => None,
        };
        let username = text("username");
        let given = Given { url: &url, port, username: &username, password: &password };
        let remote = remote::read(&given)?;
        // git reads and writes there as the server's user, whoever asks.
        let refused = if !remote.is_file() {
            None
        } else if !view.privileged(who.user) {
            Some(message!("git.file_denied"))
        } else {
            remote::is_within(&remote.url, data).then(|| message!("git.file_own"))
        };
        if let Some(message) = refused {
            return Err(Fault::invalid(vec![Problem { at: "URL".into(), message }]));
        }
        if !view.type_of(directory)?.is_container() {
            let message = message!("git.no_directory");
            return Err(Fault::invalid(vec![Problem { at: "directory".into(), message }]));
        }
        let path = view.path_of(directory);
        let path = path.ok_or_else(|| Fault::new(Kind::NotFound, message!("git.no_directory")))?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("localhost");
        let user = view.user(who.user);
        let author = author(user.as_deref(), host);
        let update_config = matches!(field("updateConfig"), Some(Value::Bool(true)));
        Ok(Self { remote, directory, path, author, update_config })
    }
}

/// Name and address of a commit: the user's, else made of the login name and the machine's name
/// (rule: `tree/repository-push`).
fn author(user: Option<&User>, host: &str) -> (String, String) {
    let clean = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
        text.trim().to_owned()
    };
    let username = user.map(|user| clean(&user.username)).unwrap_or_default();
    let username = if username.is_empty() { "kompira".to_owned() } else { username };
    let name = user.map(|user| clean(&user.full_name())).unwrap_or_default();
    // Git refuses a name that is nothing but punctuation.
    let name = if name.chars().any(char::is_alphanumeric) { name } else { username.clone() };
    let mail = user.map(|user| clean(&user.email)).unwrap_or_default();
    let mail = if mail.is_empty() { format!("{username}@{host}") } else { mail };
    (name, mail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(first: &str, last: &str, email: &str) -> User {
        User {
            id: User::ROOT,
            username: "sato".into(),
            password: None,
            first_name: first.into(),
            last_name: last.into(),
            email: email.into(),
            environment: None,
            home: None,
            groups: Vec::new(),
            active: true,
            ldap: false,
            token_hash: None,
            token_sealed: None,
            last_login: None,
            factory: false,
        }
    }

    // rule: tree/repository-push
    #[test]
    fn a_commit_has_the_name_and_address_of_who_pushes() {
        for (of, name, mail) in [
            (user("Ken", "Sato", "ken@example.com"), "Ken Sato", "ken@example.com"),
            (user("", "佐藤", ""), "佐藤", "sato@machine"),
            (user("", "", ""), "sato", "sato@machine"),
            (user("<.>", "", "a\nb<x>@c"), "sato", "abx@c"),
        ] {
            assert_eq!(author(Some(&of), "machine"), (name.to_owned(), mail.to_owned()));
        }
    }
}
