//! `/config/user` and its members (rule: http/users).

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{GroupId, ObjectId, UserId};
use kompira_schema::path::ObjectPath;
use kompira_schema::validate::time;
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::answer::{self, Failure};
use super::filter::{self, Attribute};
use super::object::{Want, escape, finish, paged, with_location};
use super::route::{Answer, Ask, nothing};
use super::value::datetime;
use crate::auth::User;
use crate::tree::principals::{UserDraft, UserPatch};
use crate::tree::{Txn, View};

const REQUIRED: &str = "This field is required.";

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

/// `/config/user`.
pub(super) async fn collection(ask: &Arc<Ask>, body: Body) -> Answer {
    if ask.method != Method::POST {
        return ask.blocking(list).await;
    }
    let body = object(ask.body(body).await?)?;
    ask.blocking(move |ask| create(ask, &body)).await
}

/// `/config/user/id_N`.
pub(super) async fn member(ask: &Arc<Ask>, body: Body) -> Answer {
    let id = UserId(ask.id);
    ask.blocking(move |ask| ask.service.tree.view().user(id).map(drop).ok_or_else(nothing)).await?;
    match ask.method {
        Method::PUT | Method::PATCH => {
            let body = object(ask.body(body).await?)?;
            ask.blocking(move |ask| update(ask, id, &body)).await
        }
        Method::DELETE => {
            ask.blocking(move |ask| {
                ask.write(|txn| txn.delete_user(id))?;
                Ok(answer::nothing())
            })
            .await
        }
        _ => ask.blocking(move |ask| detail(ask, id, StatusCode::OK)).await,
    }
}

pub(super) fn object(body: Option<Json>) -> Result<Map<String, Json>, Failure> {
    match body {
        Some(Json::Object(map)) => Ok(map),
        _ => Err(Failure::field("", "Send a JSON object.")),
    }
}

fn list(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let rows = view.users().iter().map(|user| Json::Object(render(&view, user))).collect();
    rows_answer(ask, rows, TABLE)
}

/// Filters, orders and pages rows that are in memory.
pub(super) fn rows_answer(ask: &Ask, rows: Vec<Json>, table: &[(&str, Attribute)]) -> Answer {
    let conditions = filter::conditions(&ask.query, table, &ask.service.tree.view().zone())?;
    let keys = filter::order(&ask.query, table)?;
    let mut rows: Vec<(Json, usize)> = rows
        .into_iter()
        .filter(|row| {
            conditions.iter().all(|condition| condition.holds(&row[condition.attribute()]))
        })
        .map(|row| (row, 0))
        .collect();
    filter::sort(&mut rows, &keys);
    let want = Want::of(&ask.query);
    let envelope = paged(ask, rows.len(), |range| {
        let page = rows.get(range).unwrap_or_default();
        let maps = page.iter().filter_map(|(row, _)| row.as_object());
        Ok(maps.map(|row| want.select(row.clone())).collect())
    })?;
    Ok(answer::json(StatusCode::OK, &envelope))
}

fn detail(ask: &Ask, id: UserId, status: StatusCode) -> Answer {
    let view = ask.service.tree.view();
    let user = view.user(id).ok_or_else(nothing)?;
    let json = Want::of(&ask.query).select(render(&view, &user));
    let response = answer::json(status, &json);
    if status != StatusCode::CREATED {
        return Ok(response);
    }
    Ok(with_location(response, &format!("/config/user/id_{id}")))
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

fn create(ask: &Ask, body: &Map<String, Json>) -> Answer {
    let missing: Vec<_> = ["username", "password"]
        .into_iter()
        .filter(|key| body.get(*key).is_none_or(Json::is_null))
        .map(|key| (key.to_owned(), REQUIRED.to_owned()))
        .collect();
    if !missing.is_empty() {
        return Err(Failure::Fields(missing));
    }
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        let patch = patch(txn, body, None).map_err(|failure| escape(&mut refused, failure))?;
        let draft = UserDraft {
            username: patch.username.clone().unwrap_or_default(),
            password: patch.password.clone(),
            rest: UserPatch { username: None, password: None, ..patch },
        };
        txn.create_user(draft).map_err(|fault| escape(&mut refused, on_name("username", fault)))
    });
    let id = finish(done, refused)?.value;
    detail(ask, id, StatusCode::CREATED)
}

fn update(ask: &Ask, id: UserId, body: &Map<String, Json>) -> Answer {
    if ask.method == Method::PUT {
        let missing: Vec<_> = ["username", "password"]
            .into_iter()
            .filter(|key| !body.contains_key(*key))
            .map(|key| (key.to_owned(), REQUIRED.to_owned()))
            .collect();
        if !missing.is_empty() {
            return Err(Failure::Fields(missing));
        }
    }
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        let user = txn.user(id);
        let patch =
            patch(txn, body, user.as_deref()).map_err(|failure| escape(&mut refused, failure))?;
        txn.update_user(id, patch).map_err(|fault| escape(&mut refused, on_name("username", fault)))
    });
    finish(done, refused)?;
    detail(ask, id, StatusCode::OK)
}

/// A clash or a bad name is a problem of its field.
pub(super) fn on_name(field: &str, fault: Fault) -> Failure {
    match fault.kind() {
        Kind::Exists | Kind::BadName | Kind::NameTooLong => {
            Failure::field(field, answer::text(fault.told()))
        }
        _ => fault.into(),
    }
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
        Some(_) => return Err(Failure::field(key, "Not a valid string.")),
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

pub(super) fn text(body: &Map<String, Json>, key: &str) -> Result<Option<String>, Failure> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Failure::field(key, "Not a valid string.")),
    }
}

pub(super) fn truth(body: &Map<String, Json>, key: &str) -> Result<Option<bool>, Failure> {
    super::object::flag(body, key)
}
