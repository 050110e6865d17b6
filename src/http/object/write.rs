//! Creating and changing objects (rule: http/objects).

use axum::http::{Method, StatusCode};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::layout::json;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::types::Container;
use kompira_schema::validate::Source;
use kompira_schema::value::{Dict, Ref, Value};
use serde_json::{Map, Value as Json};

use super::render::{self, Want};
use crate::auth::{Acl, GroupEntry, Rights, UserEntry};
use crate::http::answer::{self, Failure};
use crate::http::route::{Answer, Ask};
use crate::store::Durability;
use crate::tree::{Draft, Patch, Replace, Txn, View};

const REQUIRED: &str = "This field is required.";

/// A body that describes an object. Unknown and read-only keys are ignored.
#[derive(Default)]
struct Wish {
    name: Option<Json>,
    type_object: Option<Json>,
    owner: Option<String>,
    fields: Option<Dict>,
    users: Option<Map<String, Json>>,
    groups: Option<Map<String, Json>>,
    display_name: Option<String>,
    description: Option<String>,
    data: Option<Dict>,
}

impl Wish {
    fn read(body: Option<Json>) -> Result<Self, Failure> {
        let Some(Json::Object(mut map)) = body else {
            let what = "Send a JSON object.";
            return Err(Failure::field("", what));
        };
        let mut problems = Vec::new();
        let mut text = |key: &str| match map.remove(key) {
            None => None,
            Some(Json::String(text)) => Some(text),
            Some(_) => {
                problems.push((key.to_owned(), "Not a valid string.".to_owned()));
                None
            }
        };
        let owner = text("owner");
        let display_name = text("display_name");
        let description = text("description");
        let mut object = |key: &str| match map.remove(key) {
            None | Some(Json::Null) => None,
            Some(Json::Object(inner)) => Some(inner),
            Some(_) => {
                problems.push((key.to_owned(), "Not a JSON object.".to_owned()));
                None
            }
        };
        let fields = object("fields").map(|fields| json::dict(&fields));
        let users = object("user_permissions");
        let groups = object("group_permissions");
        let data = object("data").map(|data| json::dict(&data));
        if !problems.is_empty() {
            return Err(Failure::Fields(problems));
        }
        Ok(Self {
            name: map.remove("name"),
            type_object: map.remove("type_object"),
            owner,
            fields,
            users,
            groups,
            display_name,
            description,
            data,
        })
    }

    fn owner(&self, view: &View) -> Result<Option<UserId>, Failure> {
        self.owner.as_deref().map(|name| user(view, "owner", name)).transpose()
    }

    /// The permission entries that are wished: maps that are not given come from `present`.
    fn acl(&self, view: &View, present: &Acl) -> Result<Option<Acl>, Failure> {
        if self.users.is_none() && self.groups.is_none() {
            return Ok(None);
        }
        let mut acl = present.clone();
        if let Some(users) = &self.users {
            acl.users.clear();
            for (name, entry) in users {
                let rights = rights("user_permissions", name, entry)?;
                acl.users.push(UserEntry { user: user(view, "user_permissions", name)?, rights });
            }
        }
        if let Some(groups) = &self.groups {
            acl.groups.clear();
            for (name, entry) in groups {
                let group = view.group_by_name(name).ok_or_else(|| {
                    Failure::field("group_permissions", format!("Group '{name}' does not exist."))
                })?;
                let priority = entry.get("priority").unwrap_or(&Json::Null);
                let priority = match priority {
                    Json::Null => Some(0),
                    other => other.as_i64(),
                };
                let priority = priority.ok_or_else(|| {
                    Failure::field("group_permissions", format!("{name}: priority is no integer."))
                })?;
                let rights = rights("group_permissions", name, entry)?;
                acl.groups.push(GroupEntry { group: group.id, rights, priority });
            }
        }
        Ok(Some(acl.normalised()))
    }
}

fn user(view: &View, key: &str, name: &str) -> Result<UserId, Failure> {
    match view.user_by_name(name) {
        Some(user) => Ok(user.id),
        None => Err(Failure::field(key, format!("User '{name}' does not exist."))),
    }
}

fn rights(key: &str, name: &str, entry: &Json) -> Result<Rights, Failure> {
    let flag = |flag: &str| match entry.get(flag) {
        None => Ok(false),
        Some(Json::Bool(truth)) => Ok(*truth),
        Some(_) => Err(Failure::field(key, format!("{name}: {flag} is true or false."))),
    };
    if !entry.is_object() {
        return Err(Failure::field(key, format!("{name}: not a JSON object.")));
    }
    Ok(Rights { read: flag("readable")?, write: flag("writable")?, execute: flag("executable")? })
}

/// `POST` on a container.
pub(super) fn create(ask: &Ask, body: Option<Json>) -> Answer {
    let wish = Wish::read(body)?;
    let name = match &wish.name {
        None | Some(Json::Null) => return Err(Failure::field("name", REQUIRED)),
        Some(Json::String(text)) => Name::new(text).map_err(on_name)?,
        Some(_) => return Err(Failure::field("name", "Not a valid string.")),
    };
    let mut refused = None;
    let done = ask.service.tree.write(&ask.who, Durability::Synced, |txn| {
        refused = None;
        create_in(ask, txn, &wish, &name).map_err(|failure| escape(&mut refused, failure))
    });
    let id = finish(done, refused)?.value;
    answer_with(ask, id, StatusCode::CREATED)
}

fn create_in(ask: &Ask, txn: &mut Txn, wish: &Wish, name: &Name) -> Result<ObjectId, Failure> {
    let parent = txn.resolve(&ask.target.path)?;
    let type_id = type_of_new(ask, txn, wish, parent)?;
    let inherited = txn.stub(&ask.who, parent)?.acl;
    let draft = Draft {
        fields: wish.fields.clone().unwrap_or_default(),
        source: Some(Source::Json),
        display_name: wish.display_name.clone(),
        description: wish.description.clone(),
        owner: wish.owner(txn)?,
        acl: wish.acl(txn, &inherited)?,
        ..Draft::default()
    };
    txn.create(parent, name, type_id, draft).map_err(|fault| match fault.kind() {
        Kind::Exists | Kind::BadName | Kind::NameTooLong => on_name(fault),
        Kind::WrongType => Failure::field("type_object", answer::text(fault.told())),
        _ => fault.into(),
    })
}

fn type_of_new(ask: &Ask, txn: &Txn, wish: &Wish, parent: ObjectId) -> Result<ObjectId, Failure> {
    match &wish.type_object {
        None | Some(Json::Null) => {
            if let Container::OfTypeIn(field) = &txn.type_of(parent)?.container {
                let table = txn.get(&ask.who, parent)?;
                if let Some(Value::Object(Ref::Object(id))) = txn.field(&table, field).as_deref() {
                    return Ok(*id);
                }
            }
            Err(Failure::field("type_object", REQUIRED))
        }
        Some(Json::String(text)) => {
            let missing =
                || Failure::field("type_object", format!("'{text}' is the path of no type."));
            let path = ObjectPath::parse(text).map_err(|_| missing())?;
            txn.type_by_path(&path).map(|(id, _)| id).map_err(|_| missing())
        }
        Some(_) => Err(Failure::field("type_object", "Not a valid string.")),
    }
}

fn on_name(fault: Fault) -> Failure {
    Failure::field("name", answer::text(fault.told()))
}

/// `PUT` and `PATCH`.
pub(super) fn update(ask: &Ask, body: Option<Json>) -> Answer {
    let put = ask.method == Method::PUT;
    let wish = Wish::read(body)?;
    if put {
        let missing: Vec<_> = [
            ("owner", wish.owner.is_none()),
            ("fields", wish.fields.is_none()),
            ("user_permissions", wish.users.is_none()),
            ("group_permissions", wish.groups.is_none()),
            ("display_name", wish.display_name.is_none()),
        ]
        .into_iter()
        .filter(|(_, missing)| *missing)
        .map(|(key, _)| (key.to_owned(), REQUIRED.to_owned()))
        .collect();
        if !missing.is_empty() {
            return Err(Failure::Fields(missing));
        }
    }
    let base = super::if_match(&ask.headers)?;
    let mut refused = None;
    let done = ask.service.tree.write(&ask.who, Durability::Synced, |txn| {
        refused = None;
        let id = txn.resolve(&ask.target.path)?;
        let patch =
            patch(ask, txn, &wish, id, put).map_err(|failure| escape(&mut refused, failure))?;
        txn.update(id, base, patch)?;
        Ok(id)
    });
    let id = finish(done, refused)?.value;
    answer_with(ask, id, StatusCode::OK)
}

/// What of the wish differs from the present state: sending back what one got changes nothing.
fn patch(ask: &Ask, txn: &Txn, wish: &Wish, id: ObjectId, put: bool) -> Result<Patch, Failure> {
    let stub = txn.stub(&ask.who, id)?;
    let differs =
        |wished: &Option<String>, present: &str| wished.clone().filter(|text| text != present);
    Ok(Patch {
        fields: wish.fields.clone().unwrap_or_default(),
        replace: if put { Replace::All } else { Replace::Given },
        source: Some(Source::Json),
        data: wish.data.clone(),
        display_name: differs(&wish.display_name, &stub.display_name),
        description: differs(&wish.description, &stub.description),
        owner: wish.owner(txn)?.filter(|owner| *owner != stub.head.owner),
        acl: wish.acl(txn, &stub.acl)?.filter(|acl| *acl != stub.acl.as_ref().clone().normalised()),
        ..Patch::default()
    })
}

/// The object as it is now. Whoever may write and not read gets its properties alone.
fn answer_with(ask: &Ask, id: ObjectId, status: StatusCode) -> Answer {
    let view = ask.service.tree.view();
    let json = render::listed(&view, &ask.who, id, &Want::of(&ask.query))?;
    let head = view.head(id)?;
    let response = super::with_etag(answer::json(status, &json), head.rev);
    if status != StatusCode::CREATED {
        return Ok(response);
    }
    let path = view.path_of(id).map(|path| path.as_str().to_owned()).unwrap_or_default();
    Ok(super::with_location(response, &path))
}

/// Takes a failure that only HTTP can word out of a transaction.
pub(in crate::http) fn escape(refused: &mut Option<Failure>, failure: Failure) -> Fault {
    if let Failure::Fault(fault) = failure {
        return fault;
    }
    *refused = Some(failure);
    Fault::new(Kind::Invalid, kompira_schema::message!("http.refused"))
}

/// Gives it back after the transaction.
pub(in crate::http) fn finish<T>(
    done: Result<T, Fault>,
    refused: Option<Failure>,
) -> Result<T, Failure> {
    match (done, refused) {
        (Ok(done), _) => Ok(done),
        (Err(_), Some(failure)) => Err(failure),
        (Err(fault), None) => Err(fault.into()),
    }
}
