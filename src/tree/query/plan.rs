//! A query made ready: its conditions read, its order known.

use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::field::{Elem, Shape};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::types::{Container, FieldDef, TypeDef};
use kompira_schema::validate::time;
use kompira_schema::value::{Dict, Ref, Value};

use super::Query;
use super::order::{Keys, Order};
use super::test::{Lookup, Scalar, Test, bad};
use crate::store::Body;
use crate::tree::model::Head;
use crate::tree::view::View;

/// An attribute that every object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Id,
    Owner,
    Path,
    DisplayName,
    Description,
    Created,
    Updated,
    Type,
    Parent,
}

impl Attribute {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "owner" => Self::Owner,
            "abspath" => Self::Path,
            "display_name" => Self::DisplayName,
            "description" => Self::Description,
            "created" => Self::Created,
            "updated" => Self::Updated,
            "type_object" => Self::Type,
            "parent_object" => Self::Parent,
            _ => return None,
        })
    }

    /// The failure that there is no such attribute.
    pub(super) fn unknown(key: &str) -> Fault {
        let known = "id, owner, abspath, display_name, description, created, updated, type_object, \
                     parent_object, field:NAME";
        bad(message!("find.unknown", key = key, known = known))
    }

    /// The kind of value that it has, as messages name it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Id => "Integer",
            Self::Owner => "User",
            Self::Path | Self::DisplayName | Self::Description => "String",
            Self::Created | Self::Updated => "Datetime",
            Self::Type | Self::Parent => "Object",
        }
    }

    pub(super) fn lookups(self) -> &'static [Lookup] {
        match self {
            Self::Path | Self::DisplayName | Self::Description => Lookup::STRING,
            Self::Created | Self::Updated => {
                &[Lookup::Exact, Lookup::Gt, Lookup::Gte, Lookup::Lt, Lookup::Lte]
            }
            Self::Owner | Self::Type | Self::Parent => &[Lookup::Exact, Lookup::In],
            Self::Id => &[],
        }
    }

    pub(super) fn needs_body(self) -> bool {
        matches!(self, Self::DisplayName | Self::Description)
    }
}

pub(super) struct Plan {
    attributes: Vec<(Attribute, Test)>,
    fields: Vec<(String, Test)>,
    pub(super) order: Order,
    /// The types that alone can match.
    pub(super) types: Option<Vec<ObjectId>>,
    /// The one type whose fields are asked for.
    pub(super) type_id: Option<ObjectId>,
    def: Option<Arc<TypeDef>>,
}

impl Plan {
    /// Reads a query; `None` when nothing can match.
    pub(super) fn new(
        view: &View,
        who: &Caller,
        around: &Head,
        query: &Query,
    ) -> Result<Option<Self>, Fault> {
        let mut attributes = Vec::new();
        let mut by_field = Vec::new();
        let mut types = None;
        for (key, value) in &query.conditions {
            if let Some(field) = key.strip_prefix("field:") {
                by_field.push((field, key, value));
                continue;
            }
            let (name, lookup) = Lookup::split(key);
            let attribute = Attribute::named(name).ok_or_else(|| Attribute::unknown(key))?;
            let mut read = |value: &Value| read_attribute(view, attribute, value);
            let (lookups, kind) = (attribute.lookups(), attribute.kind());
            let test = Test::new(key, lookup, lookups, kind, value, &mut read)?;
            if attribute == Attribute::Type {
                types = Some(test.references());
            }
            attributes.push((attribute, test));
        }
        let known = match types.as_deref() {
            Some([only]) => Some(*only),
            _ => table_type(view, around)?,
        };
        let def = known.map(|id| view.type_def(id)).transpose()?;
        let told = tells(view, who, known);
        let mut fields = Vec::new();
        for (name, key, value) in by_field {
            let Some(def) = &def else { return Err(bad(message!("find.no_type", key = key))) };
            let (name, lookup) = Lookup::split(name);
            let field = def.field(name).ok_or_else(|| unknown_field(key, def, told))?;
            let mut read = |value: &Value| read_field(view, field, value);
            let test = match lookup {
                Lookup::Search => Test::typed(view, key, field, value)?,
                _ => Test::of_field(key, lookup, field, value, &mut read)?,
            };
            fields.push((name.to_owned(), test));
        }
        let order = match query.order_by.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Order::parse(text, def.as_deref(), told)?,
            None => Order::of_container(&text_field(view, around, "orderBy")?, def.as_deref()),
        };
        if attributes.iter().any(|(_, test)| test.is_impossible()) {
            return Ok(None);
        }
        Ok(Some(Self { attributes, fields, order, types, type_id: known, def }))
    }

    /// Whether every object matches.
    pub(super) fn accepts_all(&self) -> bool {
        self.attributes.is_empty() && self.fields.is_empty()
    }

    /// The field conditions that an index may serve.
    pub(super) fn indexable(&self) -> impl Iterator<Item = (&FieldDef, &Test)> {
        let def = self.def.as_deref();
        let fields =
            self.fields.iter().filter_map(move |(name, test)| Some((def?.field(name)?, test)));
        // The order of numbers, times and references says nothing about their characters.
        fields.filter(|(field, test)| !test.lookup().is_textual() || is_text(field))
    }

    /// The tests of an attribute for equality.
    fn exact(&self, attribute: Attribute) -> Option<&[Scalar]> {
        let exact = |test: &&(Attribute, Test)| {
            test.0 == attribute && matches!(test.1.lookup(), Lookup::Exact | Lookup::In)
        };
        self.attributes.iter().find(exact).map(|(_, test)| test.values())
    }

    /// The texts of which an attribute has to be one.
    pub(super) fn exact_texts(&self, attribute: Attribute) -> Option<Vec<String>> {
        self.exact(attribute)?
            .iter()
            .map(|value| match value {
                Scalar::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    /// The objects of which an attribute has to be one.
    pub(super) fn exact_objects(&self, attribute: Attribute) -> Option<Vec<ObjectId>> {
        self.exact(attribute)?
            .iter()
            .map(|value| match value {
                Scalar::Ref(Ref::Object(id)) => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// The users of whom one has to be the owner.
    pub(super) fn exact_owners(&self) -> Option<Vec<UserId>> {
        self.exact(Attribute::Owner)?
            .iter()
            .map(|value| match value {
                Scalar::Ref(Ref::User(id)) => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// The keys to sort by (none unless they are wanted), if the object matches.
    pub(super) fn accept(
        &self,
        view: &View,
        who: &Caller,
        head: &Head,
        wants_keys: bool,
    ) -> Result<Option<Keys>, Fault> {
        let mut body = None;
        let (cheap, dear): (Vec<_>, Vec<_>) =
            self.attributes.iter().partition(|(attribute, _)| !attribute.needs_body());
        for (attribute, test) in cheap.into_iter().chain(dear) {
            if !test.accepts(&attribute_value(view, *attribute, head, &mut body)?) {
                return Ok(None);
            }
        }
        if !self.fields.is_empty() {
            if self.type_id != Some(head.type_id) || !view.access_of(who, head)?.read {
                return Ok(None);
            }
            let fields = self.fields_of(view, head)?;
            for (name, test) in &self.fields {
                let stored = fields.get(name);
                if stored.is_none() || !test.accepts_field(view, stored) {
                    return Ok(None);
                }
            }
        }
        if !wants_keys {
            return Ok(Some(Keys::new()));
        }
        let fields = if self.order.needs_fields() {
            let readable = view.access_of(who, head)?.read;
            if readable { self.fields_of(view, head)? } else { Dict::new() }
        } else {
            Dict::new()
        };
        self.order.keys(view, head, &mut body, &fields).map(Some)
    }

    fn fields_of(&self, view: &View, head: &Head) -> Result<Dict, Fault> {
        match &self.def {
            Some(def) => view.decode(def, view.body_of(head.id)?),
            None => Ok(Dict::new()),
        }
    }
}

/// The type of a Table's children.
pub(super) fn table_type(view: &View, around: &Head) -> Result<Option<ObjectId>, Fault> {
    let def = view.type_def(around.type_id)?;
    let Container::OfTypeIn(field) = &def.container else { return Ok(None) };
    Ok(match view.body_of(around.id)?.field(field) {
        Some(Value::Object(Ref::Object(id))) => Some(*id),
        _ => None,
    })
}

pub(super) fn text_field(view: &View, head: &Head, name: &str) -> Result<String, Fault> {
    Ok(match view.body_of(head.id)?.field(name) {
        Some(Value::Str(text)) => text.clone(),
        _ => String::new(),
    })
}

/// The value of an attribute, for comparing and sorting.
pub(super) fn attribute_value(
    view: &View,
    attribute: Attribute,
    head: &Head,
    body: &mut Option<Body>,
) -> Result<Vec<Scalar>, Fault> {
    if attribute.needs_body() && body.is_none() {
        *body = Some(view.body_of(head.id)?);
    }
    let text = |pick: fn(&Body) -> &String| body.as_ref().map(pick).cloned().unwrap_or_default();
    Ok(vec![match attribute {
        Attribute::Id => Scalar::Int(i64::try_from(head.id.0).unwrap_or(i64::MAX)),
        Attribute::Owner => Scalar::Ref(Ref::User(head.owner)),
        Attribute::Path => Scalar::Text(view.path_text(head)),
        Attribute::DisplayName => {
            let shown = text(|body| &body.display_name);
            Scalar::Text(if shown.is_empty() { head.name.clone() } else { shown })
        }
        Attribute::Description => Scalar::Text(text(|body| &body.description)),
        Attribute::Created => Scalar::Instant(head.created),
        Attribute::Updated => Scalar::Instant(head.updated),
        Attribute::Type => Scalar::Ref(Ref::Object(head.type_id)),
        Attribute::Parent => Scalar::Ref(Ref::Object(head.parent)),
    }])
}

/// What an attribute is compared with. `Some(None)`: nothing that exists.
pub(super) fn read_attribute(
    view: &View,
    attribute: Attribute,
    value: &Value,
) -> Option<Option<Scalar>> {
    match attribute {
        Attribute::Path | Attribute::DisplayName | Attribute::Description => match value {
            Value::Str(text) => Some(Some(Scalar::Text(text.clone()))),
            Value::Object(target) => Some(view.reference_path(*target).map(Scalar::Text)),
            _ => None,
        },
        Attribute::Created | Attribute::Updated => read_instant(view, value),
        Attribute::Owner => match value {
            Value::Object(target) => Some(Some(Scalar::Ref(*target))),
            Value::Str(name) => Some(
                view.user_by_name(name)
                    .map(|user| Ref::User(user.id))
                    .or_else(|| view.find_reference(name, ObjectId::ROOT))
                    .map(Scalar::Ref),
            ),
            _ => None,
        },
        Attribute::Type | Attribute::Parent => read_reference(view, value),
        Attribute::Id => None,
    }
}

fn read_instant(view: &View, value: &Value) -> Option<Option<Scalar>> {
    match value {
        Value::Datetime(at) => Some(Some(Scalar::Instant(*at))),
        Value::Str(text) => {
            time::parse_datetime(text, &view.zone()).map(|at| Some(Scalar::Instant(at)))
        }
        _ => None,
    }
}

fn read_reference(view: &View, value: &Value) -> Option<Option<Scalar>> {
    match value {
        Value::Object(target) => Some(Some(Scalar::Ref(*target))),
        Value::Str(path) => Some(view.find_reference(path, ObjectId::ROOT).map(Scalar::Ref)),
        _ => None,
    }
}

pub(super) fn field_lookups(field: &FieldDef) -> &'static [Lookup] {
    use Lookup as L;
    const TEXT: &[Lookup] = &[
        L::Exact,
        L::IExact,
        L::Contains,
        L::IContains,
        L::StartsWith,
        L::IStartsWith,
        L::EndsWith,
        L::IEndsWith,
        L::Regex,
        L::IRegex,
        L::In,
        L::Range,
    ];
    const NUMBER: &[Lookup] = &[L::Exact, L::IsNull, L::Gt, L::Gte, L::Lt, L::Lte, L::In, L::Range];
    match field.field_type.shape.elem() {
        Elem::Password => &[],
        _ if !matches!(field.field_type.shape, Shape::One(_)) => TEXT,
        Elem::Integer | Elem::Float => NUMBER,
        Elem::Boolean => &[L::Exact],
        Elem::Datetime | Elem::Date | Elem::Time => {
            &[L::Exact, L::IsNull, L::Gt, L::Gte, L::Lt, L::Lte, L::Range]
        }
        Elem::Object => &[L::Exact, L::IsNull],
        _ => TEXT,
    }
}

/// Whether the names of a type's fields may be told: only to who may read the type.
pub(super) fn tells(view: &View, who: &Caller, type_id: Option<ObjectId>) -> bool {
    type_id.is_some_and(|id| view.access(who, id).is_ok_and(|access| access.read))
}

/// The failure that a type has no such field; `told`: it says which ones it has.
pub(super) fn unknown_field(key: &str, def: &TypeDef, told: bool) -> Fault {
    if !told {
        return bad(message!("find.unknown_field", key = key));
    }
    let visible = def.fields().filter(|field| !field.field_type.qualifiers.invisible);
    let known: Vec<_> = visible.take(20).map(|field| field.name.as_str()).collect();
    bad(message!("find.unknown", key = key, known = known.join(", ")))
}

/// What a field is compared with.
pub(super) fn read_field(view: &View, field: &FieldDef, value: &Value) -> Option<Option<Scalar>> {
    let elem = field.field_type.shape.elem();
    match (elem, value) {
        (Elem::Integer, Value::Str(text)) => {
            text.trim().parse().ok().map(|number| Some(Scalar::Int(number)))
        }
        (Elem::Float, Value::Str(text)) => {
            text.trim().parse().ok().map(|number| Some(Scalar::Float(number)))
        }
        (Elem::Boolean, Value::Str(text)) => match text.as_str() {
            "true" | "True" | "1" => Some(Some(Scalar::Bool(true))),
            "false" | "False" | "0" => Some(Some(Scalar::Bool(false))),
            _ => None,
        },
        (Elem::Datetime, value) => read_instant(view, value),
        (Elem::Date, Value::Str(text)) => {
            time::parse_date(text).map(|date| Some(Scalar::Date(date)))
        }
        (Elem::Time, Value::Str(text)) => time::parse_time(text).map(|at| Some(Scalar::Time(at))),
        (Elem::Object, value) => read_reference(view, value),
        (Elem::Integer | Elem::Float | Elem::Boolean | Elem::Date | Elem::Time, value) => {
            let found = scalar(view, value)?;
            (!matches!(found, Scalar::Text(_))).then_some(Some(found))
        }
        (_, Value::Str(text)) => Some(Some(Scalar::Text(text.clone()))),
        (_, value @ Value::Bytes(_)) => scalar(view, value).map(Some),
        _ => None,
    }
}

/// The comparable values of a field: of an array or dictionary, of each element.
pub(in crate::tree) fn scalars(view: &View, value: Option<&Value>) -> Vec<Scalar> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter_map(|item| scalar(view, item)).collect(),
        Some(Value::Dict(items)) => items.values().filter_map(|item| scalar(view, item)).collect(),
        Some(single) => scalar(view, single).into_iter().collect(),
    }
}

fn scalar(_view: &View, value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::Bool(truth) => Scalar::Bool(*truth),
        Value::Int(number) => Scalar::Int(*number),
        Value::Float(number) => Scalar::Float(*number),
        Value::Str(text) => Scalar::Text(text.clone()),
        Value::Bytes(bytes) => {
            Scalar::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        Value::Datetime(at) => Scalar::Instant(*at),
        Value::Date(date) => Scalar::Date(*date),
        Value::Time(at) => Scalar::Time(*at),
        Value::Object(target) => Scalar::Ref(*target),
        Value::File(file) => Scalar::Text(file.name.clone()),
        _ => return None,
    })
}

/// Whether the values of a field are compared as texts.
fn is_text(field: &FieldDef) -> bool {
    use Elem as E;
    let elem = field.field_type.shape.elem();
    !matches!(
        elem,
        E::Integer | E::Float | E::Boolean | E::Datetime | E::Date | E::Time | E::Object
    )
}

/// The text that is written for a value.
fn written(view: &View, value: &Scalar) -> Option<Scalar> {
    Some(Scalar::Text(match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Float(number) => format!("{number:?}"),
        Scalar::Bool(truth) => truth.to_string(),
        Scalar::Instant(at) => time::datetime_text(*at),
        Scalar::Date(date) => time::date_text(*date),
        Scalar::Time(at) => time::time_text(*at),
        Scalar::Ref(target) => view.reference_path(*target)?,
    }))
}

impl Test {
    /// A comparison with a field.
    pub(super) fn of_field(
        key: &str,
        lookup: Lookup,
        field: &FieldDef,
        value: &Value,
        read: &mut dyn FnMut(&Value) -> Option<Option<Scalar>>,
    ) -> Result<Self, Fault> {
        let kind = field.field_type.shape.elem().name();
        Self::new(key, lookup, field_lookups(field), kind, value, read)
    }

    /// Whether a field satisfies it. What looks at characters looks at those that are written for a
    /// number, a time, a path.
    pub(super) fn accepts_field(&self, view: &View, value: Option<&Value>) -> bool {
        let found = scalars(view, value);
        if self.lookup().is_textual() {
            let texts: Vec<_> = found.iter().filter_map(|one| written(view, one)).collect();
            return self.accepts(&texts);
        }
        self.accepts(&found)
    }

    /// The objects that the test compares with.
    fn references(&self) -> Vec<ObjectId> {
        self.values()
            .iter()
            .filter_map(|value| match value {
                Scalar::Ref(Ref::Object(id)) => Some(*id),
                _ => None,
            })
            .collect()
    }
}
