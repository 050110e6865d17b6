//! What a field offers: candidates of references and choices of an Enum (rules:
//! `objects/candidates`, `objects/enum`).

mod reference;

use std::collections::BTreeSet;
use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::field::Elem;
use kompira_schema::field::{Choice, Choices, Reference, Restriction};
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::types::{Container, FieldDef, TypeDef};
use kompira_schema::value::{Dict, Ref, Value};
use serde_json::Value as Json;

use super::order::Order;
use super::{Depth, Found, Page, Query};
use crate::tree::value::definition;
use crate::tree::view::View;

/// A qualifier that chooses by a value that chooses by a value.
const NESTING_MAX: usize = 8;

/// What `object` or `directory` come to.
#[derive(Debug, Default)]
struct Valid {
    types: BTreeSet<ObjectId>,
    containers: BTreeSet<ObjectId>,
    /// Whether it names anything: then nothing valid means no candidates.
    restricts: bool,
}

impl Valid {
    fn is_empty(&self) -> bool {
        self.types.is_empty() && self.containers.is_empty()
    }
}

/// Where fields are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldPlace {
    /// Of a new object of the type.
    OfType,
    /// Of the object.
    OfObject,
    /// Those that a Form or Config declares.
    Declared,
}

/// Whose form it is, with the present values of its fields.
struct Asking<'a> {
    view: &'a View,
    who: &'a Caller,
    values: &'a Dict,
}

impl View {
    /// The objects that a form offers for an Object field, with the present `values` of the other
    /// fields: those that the caller can read and that fulfil the `narrower` conditions.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::BadRequest`] for a condition that `find` would not take.
    pub fn candidates_of(
        &self,
        who: &Caller,
        field: &FieldDef,
        values: &Dict,
        narrower: &[(String, Value)],
        page: &Page,
    ) -> Result<Found, Fault> {
        let asking = Asking { view: self, who, values };
        let said = &field.field_type.qualifiers;
        let object = asking.valid(&said.object, false, 0)?;
        let directory = asking.valid(&said.directory, true, 0)?;
        let none = Found { ids: Vec::new(), total: 0 };
        let fails = |this: &Valid, other: &Valid| {
            this.restricts && this.is_empty() && (!other.restricts || other.is_empty())
        };
        if fails(&object, &directory) || fails(&directory, &object) {
            return Ok(none);
        }
        let (conditions, mut types) = asking.filter(said.filter.as_ref())?;
        let filters_types = types.is_some();
        types.get_or_insert_default().extend(&object.types);
        let mut query = Query { depth: Depth::Children, conditions, ..Query::default() };
        if filters_types || !object.types.is_empty() {
            let types = types.unwrap_or_default().into_iter();
            let types = types.map(|id| Value::Object(Ref::Object(id))).collect();
            query.conditions.push(("type_object__in".into(), Value::Array(types)));
        }
        query.conditions.extend_from_slice(narrower);
        let order = page.order_by.as_deref().or(said.order_by.as_deref());
        let order =
            order.filter(|text| !text.is_empty()).map(|text| Order::parse(text, None, false));
        // An order that cannot be is ignored.
        let order = order.and_then(Result::ok);
        let mut places: Vec<(ObjectId, Depth)> = Vec::new();
        places.extend(object.containers.iter().map(|id| (*id, Depth::Children)));
        places.extend(directory.containers.iter().map(|id| (*id, Depth::Descendants)));
        if places.is_empty() {
            places.push((ObjectId::ROOT, Depth::Descendants));
        }
        let single = places.len() == 1;
        let mut ids = Vec::new();
        for (place, depth) in places {
            query.depth = depth;
            ids.extend(self.find_among(who, place, &query)?);
        }
        if !single || order.is_some() {
            ids.sort_unstable();
            ids.dedup();
            let order = order.unwrap_or_else(|| Order::of_container("", None));
            ids = self.in_order(&ids, &order)?;
        }
        let total = ids.len();
        let limit = page.limit.unwrap_or(usize::MAX);
        Ok(Found { ids: ids.into_iter().skip(page.offset).take(limit).collect(), total })
    }

    /// The choices of an Enum field, with the present `values` of the other fields. What cannot be
    /// followed offers nothing.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn choices_of(
        &self,
        who: &Caller,
        field: &FieldDef,
        values: &Dict,
    ) -> Result<Vec<Choice>, Fault> {
        let asking = Asking { view: self, who, values };
        asking.choices(&field.field_type.qualifiers.choices, 0)
    }

    /// The fields at a place and their present values; the caller needs read.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Denied`], failures of the store.
    pub fn fields_at(
        &self,
        who: &Caller,
        id: ObjectId,
        place: FieldPlace,
    ) -> Result<(Arc<TypeDef>, Dict), Fault> {
        let object = self.get(who, id)?;
        Ok(match place {
            FieldPlace::OfType => (self.type_def(id)?, Dict::new()),
            FieldPlace::OfObject => {
                let def = Arc::clone(&object.stub.def);
                let mut values = Dict::new();
                for field in def.fields() {
                    let value = self.field(&object, &field.name).unwrap_or_default();
                    values.insert(field.name.clone(), value.into_owned());
                }
                (def, values)
            }
            FieldPlace::Declared => {
                let def = definition(&object.stub.head.name, &object.fields);
                (Arc::new(def), object.data.unwrap_or_default())
            }
        })
    }

    /// The value that a text means which was chosen for a field of `id`.
    #[must_use]
    pub fn chosen(&self, id: ObjectId, field: &FieldDef, text: &str) -> Value {
        if field.field_type.shape.elem() != Elem::Object {
            return text.into();
        }
        self.find_reference(text, id).map_or(Value::Null, Value::Object)
    }

    /// What `find` finds and the caller can read.
    fn find_among(
        &self,
        who: &Caller,
        dir: ObjectId,
        query: &Query,
    ) -> Result<Vec<ObjectId>, Fault> {
        let found = self.find(who, dir, query)?.ids;
        let heads = self.heads(&found)?;
        let mut readable = Vec::with_capacity(found.len());
        for head in heads.into_iter().flatten() {
            if self.access_of(who, &head)?.read {
                readable.push(head.id);
            }
        }
        Ok(readable)
    }

    fn in_order(&self, ids: &[ObjectId], order: &Order) -> Result<Vec<ObjectId>, Fault> {
        let mut rows = Vec::with_capacity(ids.len());
        for head in self.heads(ids)?.into_iter().flatten() {
            let keys = order.keys(self, &head, &mut None, &Dict::new())?;
            rows.push((head.id, keys));
        }
        order.sort(&mut rows);
        Ok(rows.into_iter().map(|(id, _)| id).collect())
    }
}

impl Asking<'_> {
    /// The types and containers that a qualifier names; others are left out.
    fn valid(&self, restriction: &Restriction, deep: bool, nesting: usize) -> Result<Valid, Fault> {
        match restriction {
            Restriction::None => Ok(Valid::default()),
            Restriction::Of(entries) => self.entries(entries, deep),
            Restriction::Switch(switch) => {
                let chosen = match self.case(switch)? {
                    Some(json) if nesting < NESTING_MAX => Restriction::parse(json).ok(),
                    _ => None,
                };
                match chosen {
                    Some(chosen) => self.valid(&chosen, deep, nesting + 1),
                    None => Ok(Valid { restricts: true, ..Valid::default() }),
                }
            }
        }
    }

    fn entries(&self, entries: &[Reference], deep: bool) -> Result<Valid, Fault> {
        let mut valid = Valid { restricts: true, ..Valid::default() };
        for entry in entries {
            for id in self.objects(entry)? {
                let head = self.view.object_head(id)?;
                let container = &self.view.type_def(head.type_id)?.container;
                if matches!(container, Container::Any | Container::OfTypeIn(_)) {
                    valid.containers.insert(id);
                } else if !deep && self.view.is_type(id)? {
                    valid.types.insert(id);
                }
            }
        }
        Ok(valid)
    }

    /// `filter` as conditions, its types apart.
    #[allow(clippy::type_complexity)]
    fn filter(
        &self,
        filter: Option<&serde_json::Map<String, Json>>,
    ) -> Result<(Vec<(String, Value)>, Option<BTreeSet<ObjectId>>), Fault> {
        let mut conditions = Vec::new();
        let mut types = None;
        for (key, json) in filter.into_iter().flatten() {
            match key.as_str() {
                "type_object" | "type_object__in" => {
                    let paths = match json {
                        Json::Array(paths) => paths.as_slice(),
                        one => std::slice::from_ref(one),
                    };
                    let paths = paths.iter().filter_map(Json::as_str);
                    let found =
                        paths.filter_map(|path| self.view.resolve_from(ObjectId::ROOT, path).ok());
                    types = Some(found.collect());
                }
                "fields" => {
                    for (field, json) in json.as_object().into_iter().flatten() {
                        conditions.push((format!("field:{field}"), plain(json)));
                    }
                }
                "order_by" | "limit" | "offset" => {}
                _ => conditions.push((key.clone(), plain(json))),
            }
        }
        Ok((conditions, types))
    }

    fn choices(&self, choices: &Choices, nesting: usize) -> Result<Vec<Choice>, Fault> {
        Ok(match choices {
            Choices::None => Vec::new(),
            Choices::Fixed(list) => list.clone(),
            Choices::Field(reference) => match self.value(reference)? {
                Some(Value::Array(items)) => items
                    .into_iter()
                    .filter_map(|item| self.text(item))
                    .map(|data| Choice { label: data.clone(), data })
                    .collect(),
                Some(Value::Dict(items)) => items
                    .into_iter()
                    .map(|(data, label)| {
                        let label = self.text(label).unwrap_or_else(|| data.clone());
                        Choice { data, label }
                    })
                    .collect(),
                _ => Vec::new(),
            },
            Choices::Switch(switch) => match self.case(switch)? {
                Some(json) if nesting < NESTING_MAX => match Choices::parse(json) {
                    Ok(chosen) => self.choices(&chosen, nesting + 1)?,
                    Err(_) => Vec::new(),
                },
                _ => Vec::new(),
            },
        })
    }
}

/// JSON as the value of a condition.
fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Float(number),
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Json::Object(items) => {
            Value::Dict(items.iter().map(|(key, item)| (key.clone(), plain(item))).collect())
        }
    }
}
