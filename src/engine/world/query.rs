//! LazyArrays: queries that are asked when they are used (rule: `operations/objects-in-jobflows`).

use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::value::{Dict, Ref, Value as Plain};

use super::World;
use super::method::Bound;
use super::special::methods::below;
use crate::engine::row;
use crate::engine::vm::host::Ask;
use crate::engine::vm::{Given, Handle, Heap, Raise, RefKind, Value};
use crate::tree::query::{Depth, Page, Query};
use crate::tree::special::SpecialQuery;

/// The query for all children of a container, in its order.
pub(super) fn children(of: ObjectId) -> Plain {
    let entry = ("children".to_owned(), Plain::Object(Ref::Object(of)));
    Plain::Dict(Dict::from_iter([entry]))
}

/// The query for the children of a process.
pub(super) fn process_children(of: ProcessId) -> Plain {
    let entry = ("processes".to_owned(), Plain::Object(Ref::Process(of)));
    Plain::Dict(Dict::from_iter([entry]))
}

impl World<'_> {
    /// `find(…)` of a container.
    pub(super) fn find_query(
        &mut self,
        heap: &mut Heap,
        dir: ObjectId,
        given: &Given,
    ) -> Result<Value, Raise> {
        if !given.positional.is_empty() {
            return Err(Raise::new("find() takes at most 0 arguments"));
        }
        let mut query = Dict::new();
        query.insert("find".into(), Plain::Object(Ref::Object(dir)));
        let mut conditions = Dict::new();
        for (name, value) in &given.named {
            let value = heap.export(self, *value)?;
            conditions.insert(name.to_string(), value);
        }
        query.insert("conditions".into(), Plain::Dict(conditions));
        let query = Plain::Dict(query);
        // A wrong condition is told where it stands, not where the result is used.
        self.ids(&query, Some(0))?;
        Ok(heap.lazy(query))
    }

    /// `glob(pattern)` of a container.
    pub(super) fn glob_query(
        &mut self,
        heap: &mut Heap,
        dir: ObjectId,
        given: &Given,
    ) -> Result<Value, Raise> {
        let bound = Bound::new(given, "glob", &["pattern"], 1)?;
        let pattern = heap.as_str(bound.first()).map(str::to_owned);
        let pattern = pattern.ok_or_else(|| Raise::new("pattern is a String"))?;
        let query = Plain::Dict(Dict::from_iter([
            ("glob".to_owned(), Plain::Object(Ref::Object(dir))),
            ("pattern".to_owned(), Plain::Str(pattern)),
        ]));
        // A wrong pattern is told where it stands, not where the result is used.
        self.ids(&query, Some(0))?;
        Ok(heap.lazy(query))
    }

    /// The children of a container in the order it asks for, if the tree can tell.
    pub(super) fn ordered(&mut self, dir: ObjectId) -> Result<Option<Vec<Handle>>, Raise> {
        let query = Query { depth: Depth::Children, ..Query::default() };
        match self.txn.find(&self.who, dir, &query) {
            Ok(found) => Ok(Some(self.readable(found.ids))),
            Err(fault) if fault.kind() == kompira_schema::error::Kind::NotContainer => Ok(None),
            Err(fault) => {
                let path = self.path(dir);
                Err(self.raise(&fault, &path))
            }
        }
    }

    fn readable(&self, ids: Vec<ObjectId>) -> Vec<Handle> {
        ids.into_iter()
            .filter(|&id| self.txn.access(&self.who, id).is_ok_and(|access| access.read))
            .map(|id| Handle { kind: RefKind::Object, id: id.0 })
            .collect()
    }

    fn ids(&mut self, query: &Plain, limit: Option<usize>) -> Result<Vec<Handle>, Raise> {
        let bad = || Raise::new("a query that is not known");
        let Plain::Dict(query) = query else { return Err(bad()) };
        if let Some(Plain::Object(Ref::Object(dir))) = query.get("children") {
            let handle = Handle { kind: RefKind::Object, id: dir.0 };
            return Ok(self.list(handle)?.unwrap_or_default());
        }
        if let Some(Plain::Object(Ref::Process(parent))) = query.get("processes") {
            let children = row::children(self.txn.snapshot(), *parent)
                .map_err(|fault| self.raise(&fault, "/process"))?;
            return Ok(children.into_iter().map(|id| Ref::Process(id).into()).collect());
        }
        if let (Some(Plain::Object(Ref::Object(dir))), Some(Plain::Str(pattern))) =
            (query.get("glob"), query.get("pattern"))
        {
            let page = Page { limit, ..Page::default() };
            let found = self.txn.glob(&self.who, *dir, pattern, &page);
            let found = found.map_err(|fault| {
                let path = self.path(*dir);
                self.raise(&fault, &path)
            })?;
            return Ok(objects(found.ids));
        }
        let Some(Plain::Object(Ref::Object(dir))) = query.get("find") else { return Err(bad()) };
        let Some(Plain::Dict(given)) = query.get("conditions") else { return Err(bad()) };
        let mut asked = Query { limit, ..Query::default() };
        let count = |name: &str, value: &Plain| match value {
            Plain::Int(count) => usize::try_from(*count)
                .map_err(|_| Raise::new(format!("find() argument '{name}' cannot be negative"))),
            other => {
                let kind = other.type_name();
                Err(Raise::new(format!("find() argument '{name}' cannot be '{kind}'")))
            }
        };
        for (name, value) in given {
            match (name.as_str(), value) {
                ("limit", Plain::Null) | ("offset", Plain::Null) | ("order_by", Plain::Null) => {}
                ("limit", value) => {
                    asked.limit = Some(count(name, value)?.min(limit.unwrap_or(usize::MAX)))
                }
                ("offset", value) => asked.offset = count(name, value)?,
                ("order_by", Plain::Str(order)) => asked.order_by = Some(order.clone()),
                ("fields", Plain::Dict(fields)) => {
                    let fields = fields.iter().map(|(f, v)| (format!("field:{f}"), v.clone()));
                    asked.conditions.extend(fields);
                }
                _ => asked.conditions.push((name.clone(), value.clone())),
            }
        }
        let path = self.path(*dir);
        if below(&path).is_some() {
            let asked = SpecialQuery {
                conditions: asked.conditions,
                order_by: asked.order_by,
                offset: asked.offset,
                limit: asked.limit,
            };
            return self.search_special(&path, &asked);
        }
        let found = self.txn.find(&self.who, *dir, &asked);
        Ok(objects(found.map_err(|fault| self.raise(&fault, &path))?.ids))
    }

    /// Answers a query.
    pub(super) fn answer(
        &mut self,
        heap: &mut Heap,
        query: &Plain,
        ask: Ask,
    ) -> Result<Value, Raise> {
        let ids = self.ids(query, None)?;
        Ok(match ask {
            Ask::All => heap.array(ids.into_iter().map(Value::from).collect()),
            Ask::Count => Value::Int(i64::try_from(ids.len()).unwrap_or(i64::MAX)),
            Ask::At(place) => {
                let length = i64::try_from(ids.len()).unwrap_or(i64::MAX);
                let place = if place < 0 { place + length } else { place };
                let found = usize::try_from(place).ok().and_then(|place| ids.get(place));
                found.map_or(Value::Null, |&handle| handle.into())
            }
        })
    }
}

fn objects(ids: Vec<ObjectId>) -> Vec<Handle> {
    ids.into_iter().map(|id| Handle { kind: RefKind::Object, id: id.0 }).collect()
}
