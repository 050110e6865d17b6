//! An object as JSON (rule: http/objects).

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;
use serde_json::{Map, Value as Json, json};

use crate::auth::{Acl, Rights};
use crate::http::query::Query;
use crate::http::value::{datetime, field_json, to_json};
use crate::tree::{Object, Stub, View};

/// Which attributes an answer holds.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Want(Option<Vec<String>>);

impl Want {
    /// Those of `attrs`.
    pub(in crate::http) fn of(query: &Query) -> Self {
        Self(query.attrs().map(|attrs| attrs.into_iter().map(str::to_owned).collect()))
    }

    /// Whether `name` is among them.
    pub(in crate::http) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|attrs| attrs.iter().any(|attr| attr == name))
    }

    /// Takes out what was not asked for.
    pub(in crate::http) fn select(&self, mut json: Map<String, Json>) -> Json {
        json.retain(|name, _| self.has(name));
        Json::Object(json)
    }
}

/// An object in full; the caller needs read.
pub(super) fn detail(
    view: &View,
    who: &Caller,
    id: ObjectId,
    want: &Want,
) -> Result<(Json, Rev), Fault> {
    let object = view.get(who, id)?;
    let fields = if want.has("fields") { Some(fields(view, who, &object)?) } else { None };
    let data = if want.has("data") { data(view, who, &object)? } else { None };
    let rev = object.stub.head.rev;
    Ok((render(view, &object.stub, Some(Inner { fields, data }), want)?, rev))
}

/// An object in a list: without `fields` when the caller may not read it.
pub(in crate::http) fn listed(
    view: &View,
    who: &Caller,
    id: ObjectId,
    want: &Want,
) -> Result<Json, Fault> {
    let stub = view.stub(who, id)?;
    if !stub.access.read || !(want.has("fields") || want.has("data")) {
        return render(view, &stub, None, want);
    }
    Ok(detail(view, who, id, want)?.0)
}

/// An object as it was; its passwords stay hidden, whoever asks.
pub(in crate::http) fn former(view: &View, object: &Object, want: &Want) -> Result<Json, Fault> {
    let mut map = Map::new();
    for def in object.stub.def.fields() {
        let value = view.field(object, &def.name).unwrap_or_default();
        map.insert(def.name.clone(), to_json(view, value.as_ref())?);
    }
    let data = match &object.data {
        Some(data) => Some(to_json(view, &Value::Dict(data.clone()))?),
        None => None,
    };
    let fields = want.has("fields").then_some(Json::Object(map));
    render(view, &object.stub, Some(Inner { fields, data }), want)
}

/// What is shown of an object with its fields.
struct Inner {
    fields: Option<Json>,
    data: Option<Json>,
}

fn render(view: &View, stub: &Stub, inner: Option<Inner>, want: &Want) -> Result<Json, Fault> {
    let mut extra = Json::Object(Map::new());
    if want.has("extra_properties") {
        extra = to_json(view, &Value::Dict(view.extra(stub)?))?;
    }
    let (fields, data) = inner.map_or((None, None), |inner| (inner.fields, inner.data));
    let head = &stub.head;
    let owner = view.user(head.owner).map_or(Json::Null, |user| user.username.clone().into());
    let path_of = |id: ObjectId| view.path_of(id).map_or(Json::Null, |path| path.as_str().into());
    let mut map = Map::new();
    map.insert("id".into(), head.id.0.into());
    map.insert("abspath".into(), stub.path.as_str().into());
    map.insert("owner".into(), owner);
    if let Some(fields) = fields {
        map.insert("fields".into(), fields);
    }
    map.insert("extra_properties".into(), extra);
    map.insert("user_permissions".into(), users(view, &stub.acl));
    map.insert("group_permissions".into(), groups(view, &stub.acl));
    map.insert("display_name".into(), stub.display_name.as_str().into());
    map.insert("description".into(), stub.description.as_str().into());
    map.insert("created".into(), datetime(head.created).into());
    map.insert("updated".into(), datetime(head.updated).into());
    map.insert("type_object".into(), stub.type_path.as_str().into());
    let parent = if head.parent.0 == 0 { Json::Null } else { path_of(head.parent) };
    map.insert("parent_object".into(), parent);
    if let Some(data) = data {
        map.insert("data".into(), data);
    }
    Ok(want.select(map))
}

fn rights(rights: Rights) -> Map<String, Json> {
    Map::from_iter([
        ("readable".to_owned(), rights.read.into()),
        ("writable".to_owned(), rights.write.into()),
        ("executable".to_owned(), rights.execute.into()),
    ])
}

fn users(view: &View, acl: &Acl) -> Json {
    let mut map = Map::new();
    for entry in &acl.users {
        if let Some(user) = view.user(entry.user) {
            map.insert(user.username.clone(), Json::Object(rights(entry.rights)));
        }
    }
    Json::Object(map)
}

fn groups(view: &View, acl: &Acl) -> Json {
    let mut map = Map::new();
    for entry in &acl.groups {
        if let Some(group) = view.group(entry.group) {
            let mut rights = rights(entry.rights);
            rights.insert("priority".to_owned(), json!(entry.priority));
            map.insert(group.name.clone(), Json::Object(rights));
        }
    }
    Json::Object(map)
}

/// All fields in the order of the type: stored, else default, else empty.
fn fields(view: &View, who: &Caller, object: &Object) -> Result<Json, Fault> {
    let mut map = Map::new();
    for def in object.stub.def.fields() {
        let value = view.field(object, &def.name).unwrap_or_default();
        let json = shown(view, who, object, &def.name, value.as_ref())?;
        map.insert(def.name.clone(), json);
    }
    Ok(Json::Object(map))
}

/// The values of a Config; `None`: the object has none.
pub(super) fn data(view: &View, who: &Caller, object: &Object) -> Result<Option<Json>, Fault> {
    let Some(data) = &object.data else { return Ok(None) };
    let mut map = Map::new();
    for (key, value) in data {
        map.insert(key.clone(), shown(view, who, object, &format!("data.{key}"), value)?);
    }
    Ok(Some(Json::Object(map)))
}

/// A value with its passwords, as far as the caller may see them. `field` is `data.KEY` in a Config.
fn shown(
    view: &View,
    who: &Caller,
    object: &Object,
    field: &str,
    value: &Value,
) -> Result<Json, Fault> {
    Ok(match value {
        Value::Sealed(_) => password(view, who, object, field, None)?,
        Value::Array(list) if list.iter().any(is_sealed) => {
            let mut out = Vec::with_capacity(list.len());
            for (index, value) in list.iter().enumerate() {
                out.push(element_json(view, who, object, field, &index.to_string(), value)?);
            }
            Json::Array(out)
        }
        Value::Dict(dict) if dict.values().any(is_sealed) => {
            let mut out = Map::new();
            for (key, value) in dict {
                out.insert(key.clone(), element_json(view, who, object, field, key, value)?);
            }
            Json::Object(out)
        }
        value => field_json(view, value)?,
    })
}

fn is_sealed(value: &Value) -> bool {
    matches!(value, Value::Sealed(_))
}

fn element_json(
    view: &View,
    who: &Caller,
    object: &Object,
    field: &str,
    element: &str,
    value: &Value,
) -> Result<Json, Fault> {
    if is_sealed(value) {
        password(view, who, object, field, Some(element))
    } else {
        to_json(view, value)
    }
}

/// The clear text for whoever may write the object, else null.
fn password(
    view: &View,
    who: &Caller,
    object: &Object,
    field: &str,
    element: Option<&str>,
) -> Result<Json, Fault> {
    if !object.stub.access.write {
        return Ok(Json::Null);
    }
    let clear = view.password(who, object.id(), field, element)?;
    Ok(Json::from(clear.as_str()))
}
