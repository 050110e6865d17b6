//! Users (rule: http/users).

use axum::http::Method;
use kompira_schema::id::{GroupId, ObjectId, UserId};
use kompira_schema::path::ObjectPath;
use kompira_schema::validate::time;
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::Kinds;
use crate::auth::User;
use crate::http::answer::Failure;
use crate::http::body::{TEXT, check_all, text, truth, wrong_kind};
use crate::http::filter::Attribute;
use crate::http::value::datetime;
use crate::tree::principals::{UserDraft, UserPatch};
use crate::tree::{Txn, View};

const TABLE: &[(&str, Attribute)] = &[
    ("username", Attribute::Text),
    ("first_name", Attribute::Text),
    ("last_name", Attribute::Text),
    ("email", Attribute::Text),
    ("last_login", Attribute::Time),
    ("is_active", Attribute::Truth),
    ("is_ldap_user", Attribute::Truth),
    ("home_directory", Attribute::Exact),
    ("environment", Attribute::Exact),
];

pub(super) static KINDS: Kinds = Kinds {
    root: "/config/user",
    name: "username",
    table: TABLE,
    all: |view| view.users().iter().map(|user| render(view, user)).collect(),
    one: |view, id| view.user(UserId(id)).map(|user| render(view, &user)),
    check,
    create,
    update,
    delete: |txn, id| txn.delete_user(UserId(id)),
};

/// A new user has a name and a password; a replacement says both.
fn check(body: &Map<String, Json>, method: &Method) -> Result<(), Failure> {
    let keys = &["username", "password"];
    match *method {
        Method::POST => check_all(keys, |key| body.get(key).is_some_and(|value| !value.is_null())),
        Method::PUT => check_all(keys, |key| body.contains_key(key)),
        _ => Ok(()),
    }
}

fn render(view: &View, user: &User) -> Map<String, Json> {
    let path = |id: Option<ObjectId>| {
        id.and_then(|id| view.path_of(id)).map_or(Json::Null, |path| path.as_str().into())
    };
    let groups: Vec<String> = user.groups.iter().map(|&id| view.group_name(id)).collect();
    let entries: [(&str, Json); 12] = [
        ("id", user.id.0.into()),
        ("abspath", format!("/config/user/id_{}", user.id).into()),
        ("groups", groups.into()),
        ("last_login", user.last_login.map_or(Json::Null, |time| datetime(time).into())),
        ("username", user.username.clone().into()),
        ("first_name", user.first_name.clone().into()),
        ("last_name", user.last_name.clone().into()),
        ("email", user.email.clone().into()),
        ("is_active", user.active.into()),
        ("is_ldap_user", user.ldap.into()),
        ("home_directory", path(user.home)),
        ("environment", path(user.environment)),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn create(txn: &mut Txn, body: &Map<String, Json>) -> Result<u64, Failure> {
    let patch = patch(txn, body, None)?;
    let draft = UserDraft {
        username: patch.username.clone().unwrap_or_default(),
        password: patch.password.clone(),
        rest: UserPatch { username: None, password: None, ..patch },
    };
    Ok(txn.create_user(draft)?.0)
}

fn update(txn: &mut Txn, id: u64, body: &Map<String, Json>) -> Result<(), Failure> {
    let id = UserId(id);
    let user = txn.user(id);
    let patch = patch(txn, body, user.as_deref())?;
    Ok(txn.update_user(id, patch)?)
}

/// What of the body differs from `present`: sending back what one got changes nothing.
fn patch(
    txn: &Txn,
    body: &Map<String, Json>,
    present: Option<&User>,
) -> Result<UserPatch, Failure> {
    let differs =
        |wished: Option<String>, now: Option<&String>| wished.filter(|text| Some(text) != now);
    let groups = match body.get("groups") {
        None | Some(Json::Null) => None,
        Some(Json::Array(names)) => Some(
            names.iter().map(|name| group(txn, name)).collect::<Result<Vec<GroupId>, Failure>>()?,
        ),
        Some(_) => return Err(Failure::field("groups", "Not a list of group names.")),
    };
    Ok(UserPatch {
        username: differs(text(body, "username")?, present.map(|user| &user.username)),
        password: text(body, "password")?.map(Zeroizing::new),
        first_name: differs(text(body, "first_name")?, present.map(|user| &user.first_name)),
        last_name: differs(text(body, "last_name")?, present.map(|user| &user.last_name)),
        email: differs(text(body, "email")?, present.map(|user| &user.email)),
        environment: reference(txn, body, "environment")?
            .filter(|wished| present.is_none_or(|user| user.environment != *wished)),
        home: reference(txn, body, "home_directory")?
            .filter(|wished| present.is_none_or(|user| user.home != *wished)),
        groups: groups.filter(|wished| {
            let (mut wished, mut now) =
                (wished.clone(), present.map_or(Vec::new(), |user| user.groups.clone()));
            wished.sort_unstable();
            now.sort_unstable();
            present.is_none() || wished != now
        }),
        active: truth(body, "is_active")?
            .filter(|wished| present.is_none_or(|user| user.active != *wished)),
        ldap: truth(body, "is_ldap_user")?
            .filter(|wished| present.is_none_or(|user| user.ldap != *wished)),
        last_login: instant(txn, body, "last_login")?
            .filter(|wished| present.is_some_and(|user| user.last_login != *wished)),
        ..UserPatch::default()
    })
}

fn group(txn: &Txn, name: &Json) -> Result<GroupId, Failure> {
    let found = name.as_str().and_then(|name| txn.group_by_name(name));
    let missing = || Failure::field("groups", format!("Group {name} does not exist."));
    found.map(|group| group.id).ok_or_else(missing)
}

fn reference(
    txn: &Txn,
    body: &Map<String, Json>,
    key: &str,
) -> Result<Option<Option<ObjectId>>, Failure> {
    let text = match body.get(key) {
        None => return Ok(None),
        Some(Json::Null) => return Ok(Some(None)),
        Some(Json::String(text)) => text,
        Some(other) => return Err(Failure::field(key, wrong_kind(other, TEXT))),
    };
    let missing = || Failure::field(key, format!("Object '{text}' does not exist."));
    let path = ObjectPath::parse(text).map_err(|_| missing())?;
    txn.resolve(&path).map(|id| Some(Some(id))).map_err(|_| missing())
}

/// A point of time; without a zone it is the server's.
fn instant(
    txn: &Txn,
    body: &Map<String, Json>,
    key: &str,
) -> Result<Option<Option<jiff::Timestamp>>, Failure> {
    match body.get(key) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(value) => {
            let time = value.as_str().and_then(|text| time::parse_datetime(text, &txn.zone()));
            let bad = || Failure::field(key, "Not a valid date and time.");
            time.map(|time| Some(Some(time))).ok_or_else(bad)
        }
    }
}
