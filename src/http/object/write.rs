//! Creating and changing objects (rule: http/objects).

use axum::http::StatusCode;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev, UserId};
use kompira_schema::layout::json;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::Caller;
use kompira_schema::types::Container;
use kompira_schema::validate::Source;
use kompira_schema::value::{Dict, Ref, Value};
use serde_json::{Map, Value as Json};

use super::render::{self, Want};
use crate::auth::{Acl, GroupEntry, Rights, UserEntry};
use crate::http::answer::{self, Failure};
use crate::http::body::{MAP, TEXT, TRUTH, wrong_kind};
use crate::http::route::{Answer, Ask};
use crate::http::table::Act;
use crate::tree::{Descend, Draft, Patch, Replace, Stub, Txn, View};

const REQUIRED: &str = "This field is required.";

/// The keys of a body.
const KEYS: [&str; 10] = [
    "name",
    "type_object",
    "owner",
    "fields",
    "user_permissions",
    "group_permissions",
    "display_name",
    "description",
    "data",
    "descend",
];

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
    data: Option<Map<String, Json>>,
    descend: Descend,
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
            Some(other) => {
                problems.push((key.to_owned(), wrong_kind(&other, TEXT)));
                None
            }
        };
        let owner = text("owner");
        let display_name = text("display_name");
        let description = text("description");
        let mut object = |key: &str| match map.remove(key) {
            None | Some(Json::Null) => None,
            Some(Json::Object(inner)) => Some(inner),
            Some(other) => {
                problems.push((key.to_owned(), wrong_kind(&other, MAP)));
                None
            }
        };
        let fields = object("fields").map(|fields| json::dict(&fields));
        let users = object("user_permissions");
        let groups = object("group_permissions");
        let data = object("data");
        let descend = descend(map.get("descend")).unwrap_or_else(|problem| {
            problems.push(("descend".to_owned(), problem));
            Descend::default()
        });
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
            descend,
        })
    }

    /// What a replacement must name.
    fn check_whole(&self) -> Result<(), Failure> {
        let missing: Vec<_> = [
            ("owner", self.owner.is_none()),
            ("fields", self.fields.is_none()),
            ("user_permissions", self.users.is_none()),
            ("group_permissions", self.groups.is_none()),
            ("display_name", self.display_name.is_none()),
        ]
        .into_iter()
        .filter(|(_, missing)| *missing)
        .map(|(key, _)| (key.to_owned(), REQUIRED.to_owned()))
        .collect();
        if missing.is_empty() { Ok(()) } else { Err(Failure::Fields(missing)) }
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
                let given = entry.get("priority").unwrap_or(&Json::Null);
                let priority = match given {
                    Json::Null => Some(0),
                    other => other.as_i64(),
                };
                let priority = priority.ok_or_else(|| {
                    let what = wrong_kind(given, "an integer such as 0");
                    Failure::field("group_permissions", format!("{name}: priority: {what}"))
                })?;
                let rights = rights("group_permissions", name, entry)?;
                acl.groups.push(GroupEntry { group: group.id, rights, priority });
            }
        }
        Ok(Some(acl.normalised()))
    }
}

/// Which properties of a container go down to all that is below.
fn descend(list: Option<&Json>) -> Result<Descend, String> {
    let mut which = Descend::default();
    let words = match list {
        None | Some(Json::Null) => return Ok(which),
        Some(Json::Array(words)) => words,
        Some(other) => return Err(wrong_kind(other, "a list of words")),
    };
    for word in words {
        match word.as_str() {
            Some("owner") => which.owner = true,
            Some("user_permissions") => which.users = true,
            Some("group_permissions") => which.groups = true,
            _ => {
                let wanted = "one of owner, user_permissions, group_permissions";
                return Err(wrong_kind(word, wanted));
            }
        }
    }
    Ok(which)
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
        Some(other) => {
            Err(Failure::field(key, format!("{name}: {flag}: {}", wrong_kind(other, TRUTH))))
        }
    };
    if !entry.is_object() {
        return Err(Failure::field(key, format!("{name}: {}", wrong_kind(entry, MAP))));
    }
    Ok(Rights { read: flag("readable")?, write: flag("writable")?, execute: flag("executable")? })
}

/// One change of an object, read and not yet made.
pub(in crate::http) struct Change {
    act: Act,
    path: ObjectPath,
    wish: Wish,
    /// Of what is made.
    name: Option<Name>,
    /// The revision it is based on.
    base: Option<Rev>,
}

/// A change that was made in a transaction.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Applied {
    /// What was changed; `None`: it is gone.
    pub(in crate::http) id: Option<ObjectId>,
    /// What is answered.
    pub(in crate::http) status: StatusCode,
}

impl Change {
    /// Reads the body of a change.
    pub(in crate::http) fn read(
        act: Act,
        path: ObjectPath,
        body: Option<Json>,
        base: Option<Rev>,
    ) -> Result<Self, Failure> {
        let wish = if act == Act::Delete { Wish::default() } else { Wish::read(body)? };
        let mut name = None;
        match act {
            Act::Post => {
                name = Some(match &wish.name {
                    None | Some(Json::Null) => return Err(Failure::field("name", REQUIRED)),
                    Some(Json::String(text)) => Name::new(text).map_err(on_name)?,
                    Some(other) => return Err(Failure::field("name", wrong_kind(other, TEXT))),
                });
            }
            Act::Put => wish.check_whole()?,
            Act::Get | Act::Patch | Act::Delete => {}
        }
        Ok(Self { act, path, wish, name, base })
    }

    /// Whether it makes an object.
    pub(in crate::http) fn creates(&self) -> bool {
        self.act == Act::Post
    }

    /// Where.
    pub(in crate::http) fn path(&self) -> &ObjectPath {
        &self.path
    }

    /// Makes it.
    pub(in crate::http) fn apply(&self, who: &Caller, txn: &mut Txn) -> Result<Applied, Failure> {
        let here = txn.resolve(&self.path)?;
        if let Some(name) = &self.name {
            let id = create_in(who, txn, &self.wish, here, name)?;
            return Ok(Applied { id: Some(id), status: StatusCode::CREATED });
        }
        if self.act == Act::Delete {
            super::check_base(self.base, txn.head(here)?.rev)?;
            txn.delete(here)?;
            return Ok(Applied { id: None, status: StatusCode::NO_CONTENT });
        }
        let patch = patch(who, txn, &self.wish, here, self.act == Act::Put)?;
        txn.update(here, self.base, patch).map_err(of_fields)?;
        Ok(Applied { id: Some(here), status: StatusCode::OK })
    }
}

/// Makes one change in a commit of its own.
pub(super) fn one(ask: &Ask, change: &Change) -> Answer {
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        change.apply(&ask.who, txn).map_err(|failure| escape(&mut refused, failure))
    });
    let applied = finish(done, refused)?.value;
    match applied.id {
        Some(id) => answer_with(ask, id, applied.status),
        None => Ok(answer::nothing()),
    }
}

fn create_in(
    who: &Caller,
    txn: &mut Txn,
    wish: &Wish,
    parent: ObjectId,
    name: &Name,
) -> Result<ObjectId, Failure> {
    let type_id = type_of_new(who, txn, wish, parent)?;
    let inherited = txn.stub(who, parent)?.acl;
    let draft = Draft {
        fields: wish.fields.clone().unwrap_or_default(),
        source: Some(Source::Json),
        data: wish.data.as_ref().filter(|_| txn.has_data(type_id)).map(json::dict),
        display_name: wish.display_name.clone(),
        description: wish.description.clone(),
        owner: wish.owner(txn)?,
        acl: wish.acl(txn, &inherited)?,
        ..Draft::default()
    };
    txn.create(parent, name, type_id, draft).map_err(|fault| match fault.kind() {
        Kind::Exists | Kind::BadName | Kind::NameTooLong => on_name(fault),
        Kind::WrongType => Failure::field("type_object", answer::text(fault.told())),
        _ => of_fields(fault),
    })
}

/// What is wrong with values stands under the plain names of their fields, under `field:NAME` where
/// the body has a key of that name.
fn of_fields(fault: Fault) -> Failure {
    let clashes = |name: &str| KEYS.contains(&name);
    if !fault.problems().iter().any(|problem| clashes(answer::placed(problem).0.as_str())) {
        return fault.into();
    }
    let named = fault.problems().iter().map(|problem| match answer::placed(problem) {
        (name, told) if clashes(&name) => (format!("field:{name}"), told),
        other => other,
    });
    Failure::Fields(named.collect())
}

fn type_of_new(
    who: &Caller,
    txn: &Txn,
    wish: &Wish,
    parent: ObjectId,
) -> Result<ObjectId, Failure> {
    match &wish.type_object {
        None | Some(Json::Null) => {
            if let Container::OfTypeIn(field) = &txn.type_of(parent)?.container {
                let table = txn.get(who, parent)?;
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
        Some(other) => Err(Failure::field("type_object", wrong_kind(other, TEXT))),
    }
}

fn on_name(fault: Fault) -> Failure {
    Failure::field("name", answer::text(fault.told()))
}

/// The wish as a change. What one got may be sent back without the right to change it; who has the
/// right makes an update of it.
fn patch(who: &Caller, txn: &Txn, wish: &Wish, id: ObjectId, put: bool) -> Result<Patch, Failure> {
    let stub = txn.stub(who, id)?;
    let descend = wish.descend;
    let kept = stub.access.own || descend != Descend::default();
    let differs = |wished: &Option<String>, present: &str| {
        wished.clone().filter(|text| kept || text != present)
    };
    let owner = wish.owner(txn)?.or_else(|| descend.owner.then_some(stub.head.owner));
    let acl = wish.acl(txn, &stub.acl)?;
    let acl = acl.or_else(|| {
        (descend.users || descend.groups).then(|| stub.acl.as_ref().clone().normalised())
    });
    let replace = if put { Replace::All } else { Replace::Given };
    Ok(Patch {
        fields: wish.fields.clone().unwrap_or_default(),
        replace,
        source: Some(Source::Json),
        data: data(who, txn, wish, &stub)?,
        replace_data: replace,
        display_name: differs(&wish.display_name, &stub.display_name),
        description: differs(&wish.description, &stub.description),
        owner: owner.filter(|owner| kept || *owner != stub.head.owner),
        acl: acl.filter(|acl| kept || *acl != stub.acl.as_ref().clone().normalised()),
        descend,
        ..Patch::default()
    })
}

/// The wished values of a Config. What is as it was needs no right to change it.
fn data(who: &Caller, txn: &Txn, wish: &Wish, stub: &Stub) -> Result<Option<Dict>, Failure> {
    let Some(wished) = wish.data.as_ref().filter(|_| txn.has_data(stub.head.type_id)) else {
        return Ok(None);
    };
    if stub.access.read && !stub.access.execute {
        let present = render::data(txn, who, &txn.get(who, stub.head.id)?)?.unwrap_or_default();
        if wished.iter().all(|(key, value)| present.get(key) == Some(value)) {
            return Ok(None);
        }
    }
    Ok(Some(json::dict(wished)))
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
