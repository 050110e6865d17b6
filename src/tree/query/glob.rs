//! Finding by a path pattern (rule: `tree/glob`).

mod parse;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::types::TypeDef;
use kompira_schema::value::Dict;

use self::parse::{Element, Parsed};
use super::order::{Keys, Order};
use super::plan::{Attribute, attribute_value, read_attribute, read_field, table_type};
use super::test::{Lookup, Test};
use super::{CHUNK, Found};
use crate::lang::pattern::glob;
use crate::store::Body;
use crate::tree::model::Head;
use crate::tree::view::View;

/// Which part of a result is wanted, and in what order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// `a,-b`; default: that of the container.
    pub order_by: Option<String>,
    /// How many to skip.
    pub offset: usize,
    /// How many at most.
    pub limit: Option<usize>,
}

/// A pattern made ready.
struct Ready<'a> {
    view: &'a View,
    parsed: Parsed,
    attributes: Vec<(Attribute, Test)>,
    /// Types whose name was asked for before: whether it fits.
    types: HashMap<ObjectId, bool>,
    /// Field conditions for a type; `None`: its objects cannot match.
    fields: HashMap<ObjectId, Option<Arc<Fields>>>,
}

struct Fields {
    def: Arc<TypeDef>,
    tests: Vec<(String, Test)>,
}

impl View {
    /// Finds objects below a container by a path pattern; the caller needs read on the container.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::BadRequest`] for a pattern that cannot be read, an unknown
    /// attribute or lookup; [`kompira_schema::error::Kind::Denied`].
    pub fn glob(
        &self,
        who: &Caller,
        dir: ObjectId,
        pattern: &str,
        page: &Page,
    ) -> Result<Found, Fault> {
        let around = self.object_head(dir)?;
        self.need_of(who, &around, |access| access.read, "read")?;
        let parsed = parse::parse(pattern)?;
        // Rows of a table may be sorted by their fields.
        let row_type = table_type(self, &around)?;
        let row_def = row_type.map(|id| self.type_def(id)).transpose()?;
        let order = match page.order_by.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => {
                let told = super::plan::tells(self, who, row_type);
                Order::parse(text, row_def.as_deref(), told)?
            }
            None => {
                let said = super::plan::text_field(self, &around, "orderBy")?;
                Order::of_container(&said, row_def.as_deref())
            }
        };
        let mut ready = Ready::new(self, parsed)?;
        let ids = ready.candidates(dir)?;
        let mut rows: Vec<(ObjectId, Keys)> = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            for (head, id) in self.heads(chunk)?.into_iter().zip(chunk) {
                let Some(head) = head.filter(|head| head.is_object()) else { continue };
                let mut body = None;
                if ready.accept(who, &head, &mut body)? {
                    let fields = match &row_def {
                        Some(def) if order.needs_fields() && row_type == Some(head.type_id) => {
                            let readable = self.access_of(who, &head)?.read;
                            if readable {
                                self.decode(def, self.body_of(*id)?)?
                            } else {
                                Dict::new()
                            }
                        }
                        _ => Dict::new(),
                    };
                    rows.push((*id, order.keys(self, &head, &mut body, &fields)?));
                }
            }
        }
        order.sort(&mut rows);
        let total = rows.len();
        let limit = page.limit.unwrap_or(usize::MAX);
        let ids = rows.into_iter().skip(page.offset).take(limit).map(|(id, _)| id).collect();
        Ok(Found { ids, total })
    }
}

impl<'a> Ready<'a> {
    fn new(view: &'a View, parsed: Parsed) -> Result<Self, Fault> {
        let mut attributes = Vec::new();
        for (key, value) in &parsed.attributes {
            let (name, lookup) = Lookup::split(key);
            let attribute = Attribute::named(name).ok_or_else(|| Attribute::unknown(key))?;
            let mut read = |value: &_| read_attribute(view, attribute, value);
            let (lookups, kind) = (attribute.lookups(), attribute.kind());
            attributes.push((attribute, Test::new(key, lookup, lookups, kind, value, &mut read)?));
        }
        Ok(Self { view, parsed, attributes, types: HashMap::new(), fields: HashMap::new() })
    }

    /// The objects whose place fits, each once.
    fn candidates(&self, dir: ObjectId) -> Result<Vec<ObjectId>, Fault> {
        let Some(path) = &self.parsed.path else {
            // Anywhere below: a type without wildcards is found by its index.
            if let Some(types) = self.exact_types()? {
                return Ok(self.view.candidates_by_type(dir, &types)?.ids);
            }
            return Ok(self.view.walk(dir)?.ids);
        };
        let mut open = vec![dir];
        for element in path {
            let mut next = Vec::new();
            let mut seen = HashSet::new();
            for at in open {
                match element {
                    Element::Deep => {
                        let mut ids = vec![at];
                        while let Some(id) = ids.pop() {
                            if seen.insert(id) {
                                next.push(id);
                                ids.extend(self.containers(id, "*")?);
                            }
                        }
                    }
                    Element::Name(pattern) => {
                        let below = self.containers(at, pattern)?;
                        next.extend(below.into_iter().filter(|id| seen.insert(*id)));
                    }
                }
            }
            open = next;
        }
        let mut ids = Vec::new();
        for at in open {
            self.children(at, &self.parsed.name, &mut |id, _| ids.push(id))?;
        }
        Ok(ids)
    }

    fn containers(&self, at: ObjectId, pattern: &str) -> Result<Vec<ObjectId>, Fault> {
        let mut found = Vec::new();
        self.children(at, pattern, &mut |id, container| {
            if container {
                found.push(id);
            }
        })?;
        Ok(found)
    }

    /// The children whose names fit; one lookup when there is no wildcard.
    fn children(
        &self,
        at: ObjectId,
        pattern: &str,
        found: &mut dyn FnMut(ObjectId, bool),
    ) -> Result<(), Fault> {
        if !has_wildcards(pattern) {
            if let Some(entry) = self.view.child(at, pattern)?.filter(|entry| entry.is_object()) {
                found(entry.id, entry.container);
            }
            return Ok(());
        }
        self.view.each_entry(at, None, |entry| {
            if entry.is_object() && glob(pattern, &entry.name, false) {
                found(entry.id, entry.container);
            }
            Ok(true)
        })
    }

    /// The types of a name without wildcards; `None` when the pattern does not name one.
    fn exact_types(&self) -> Result<Option<Vec<ObjectId>>, Fault> {
        let Some(name) = self.parsed.type_name.as_deref().filter(|name| !has_wildcards(name))
        else {
            return Ok(None);
        };
        let Some(types) = self.view.builtin("TypeObject") else { return Ok(None) };
        let ids = self.view.of_type(types)?;
        let heads = self.view.heads(&ids)?;
        let named =
            heads.into_iter().flatten().filter(|head| head.is_object() && head.name == name);
        Ok(Some(named.map(|head| head.id).collect()))
    }

    fn accept(
        &mut self,
        who: &Caller,
        head: &Head,
        body: &mut Option<Body>,
    ) -> Result<bool, Fault> {
        let view = self.view;
        if !glob(&self.parsed.name, &head.name, false) || !self.type_fits(head.type_id)? {
            return Ok(false);
        }
        if let Some(owner) = &self.parsed.owner
            && view.user_name(head.owner) != *owner
        {
            return Ok(false);
        }
        for (attribute, test) in &self.attributes {
            if !test.accepts(&attribute_value(view, *attribute, head, body)?) {
                return Ok(false);
            }
        }
        if self.parsed.fields.is_empty() {
            return Ok(true);
        }
        if !view.access_of(who, head)?.read {
            return Ok(false);
        }
        let Some(wanted) = self.fields_for(head.type_id)? else { return Ok(false) };
        let stored = match body.take() {
            Some(body) => body,
            None => view.body_of(head.id)?,
        };
        let fields = view.decode(&wanted.def, stored.clone())?;
        *body = Some(stored);
        Ok(wanted.tests.iter().all(|(name, test)| {
            let value = fields.get(name);
            value.is_some() && test.accepts_field(view, value)
        }))
    }

    fn type_fits(&mut self, type_id: ObjectId) -> Result<bool, Fault> {
        let Some(pattern) = &self.parsed.type_name else { return Ok(true) };
        if let Some(known) = self.types.get(&type_id) {
            return Ok(*known);
        }
        let fits = self.view.head_if(type_id)?.is_some_and(|head| glob(pattern, &head.name, false));
        self.types.insert(type_id, fits);
        Ok(fits)
    }

    /// The field conditions as the fields of a type read them.
    fn fields_for(&mut self, type_id: ObjectId) -> Result<Option<Arc<Fields>>, Fault> {
        if let Some(known) = self.fields.get(&type_id) {
            return Ok(known.clone());
        }
        let def = self.view.type_def(type_id)?;
        let mut tests = Some(Vec::new());
        for (key, value) in &self.parsed.fields {
            let (name, lookup) = Lookup::split(key);
            let view = self.view;
            let test = def.field(name).and_then(|field| {
                let mut read = |value: &_| read_field(view, field, value);
                Test::of_field(key, lookup, field, value, &mut read).ok()
            });
            match (&mut tests, test) {
                (Some(tests), Some(test)) => tests.push((name.to_owned(), test)),
                _ => tests = None,
            }
        }
        let found = tests.map(|tests| Arc::new(Fields { def, tests }));
        self.fields.insert(type_id, found.clone());
        Ok(found)
    }
}

fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}
