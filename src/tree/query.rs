//! Finding objects (rule: `tree/find`).

mod glob;
mod order;
mod plan;
mod test;

use std::collections::HashMap;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

pub use self::glob::Page;
pub(super) use self::order::compare_keys;
use self::plan::Plan;
pub(super) use self::plan::scalars;
pub(super) use self::test::{Lookup, Scalar, Test, bad};
use super::view::View;

/// Which children are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Direct children.
    Children,
    /// All descendants.
    #[default]
    Descendants,
}

/// A query: conditions joined by AND, an order, a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Children or all descendants.
    pub depth: Depth,
    /// `attribute[__lookup]` or `field:NAME[__lookup]`, and the value compared with.
    pub conditions: Vec<(String, Value)>,
    /// `a,-b,field:f,-field:g`; default: that of the container.
    pub order_by: Option<String>,
    /// How many to skip.
    pub offset: usize,
    /// How many at most.
    pub limit: Option<usize>,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The page, in order.
    pub ids: Vec<ObjectId>,
    /// How many match in all.
    pub total: usize,
}

impl View {
    /// Finds objects below a container; the caller needs read on the container. Objects that the
    /// caller cannot read are found by attributes, not by fields (rule: `tree/find`).
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::BadRequest`] for an unknown attribute or lookup, or a value
    /// that does not fit; [`kompira_schema::error::Kind::Denied`].
    pub fn find(&self, who: &Caller, dir: ObjectId, query: &Query) -> Result<Found, Fault> {
        let around = self.object_head(dir)?;
        self.need_of(who, &around, |access| access.read, "read")?;
        let plan = Plan::new(self, &around, query)?;
        let Some(plan) = plan else { return Ok(Found { ids: Vec::new(), total: 0 }) };
        let candidates = self.candidates(dir, query.depth, plan.types.as_deref())?;
        let mut rows = Vec::new();
        for chunk in candidates.ids.chunks(CHUNK) {
            for (head, id) in self.heads(chunk)?.into_iter().zip(chunk) {
                // Gone between index and header cannot be: one moment. Demoted objects are.
                let Some(head) = head.filter(|head| head.is_object()) else { continue };
                if let Some(keys) = plan.accept(self, who, &head)? {
                    rows.push((*id, keys));
                }
            }
        }
        if !(candidates.by_path && plan.order.is_by_path()) {
            plan.order.sort(&mut rows);
        }
        let total = rows.len();
        let limit = query.limit.unwrap_or(usize::MAX);
        let ids = rows.into_iter().skip(query.offset).take(limit).map(|(id, _)| id).collect();
        Ok(Found { ids, total })
    }

    /// The objects that may match.
    fn candidates(
        &self,
        dir: ObjectId,
        depth: Depth,
        types: Option<&[ObjectId]>,
    ) -> Result<Candidates, Fault> {
        if depth == Depth::Descendants
            && let Some(types) = types
        {
            return self.candidates_by_type(dir, types);
        }
        let mut ids = Vec::new();
        // Depth first by name is the order of paths: `/` stands before every character of a name.
        let mut open = vec![dir];
        while let Some(at) = open.pop() {
            if at != dir {
                ids.push(at);
            }
            let mut below = Vec::new();
            let top = at == dir;
            if top || depth == Depth::Descendants {
                self.each_entry(at, None, |entry| {
                    if entry.is_object() {
                        below.push((entry.id, entry.container));
                    }
                    Ok(true)
                })?;
            }
            if depth == Depth::Children {
                ids.extend(below.into_iter().map(|(id, _)| id));
            } else {
                self.descend_in_order(below, &mut ids, &mut open);
            }
        }
        Ok(Candidates { ids, by_path: true })
    }

    /// Takes leaves at once and leaves containers for later, without breaking the order.
    fn descend_in_order(
        &self,
        below: Vec<(ObjectId, bool)>,
        ids: &mut Vec<ObjectId>,
        open: &mut Vec<ObjectId>,
    ) {
        let mut rest = below.into_iter();
        let mut later = Vec::new();
        for (id, container) in rest.by_ref() {
            if container {
                later.push(id);
                break;
            }
            ids.push(id);
        }
        later.extend(rest.map(|(id, _)| id));
        open.extend(later.into_iter().rev());
    }

    fn candidates_by_type(&self, dir: ObjectId, types: &[ObjectId]) -> Result<Candidates, Fault> {
        let mut known: HashMap<ObjectId, bool> = HashMap::from([(dir, true)]);
        let mut ids = Vec::new();
        for &type_id in types {
            for id in self.of_type(type_id)? {
                if id != dir && self.is_below(id, &mut known)? {
                    ids.push(id);
                }
            }
        }
        Ok(Candidates { ids, by_path: false })
    }

    /// Whether an object lies below the container that `known` starts with.
    fn is_below(&self, id: ObjectId, known: &mut HashMap<ObjectId, bool>) -> Result<bool, Fault> {
        let mut way = Vec::new();
        let mut at = id;
        let answer = loop {
            if let Some(&answer) = known.get(&at) {
                break answer;
            }
            way.push(at);
            match self.head_if(at)? {
                Some(head) if head.parent.0 != 0 => at = head.parent,
                _ => break false,
            }
        };
        // The object itself is no container that is met again.
        for at in way.into_iter().skip(1) {
            known.insert(at, answer);
        }
        Ok(answer)
    }
}

struct Candidates {
    ids: Vec<ObjectId>,
    /// Whether they stand in the order of their paths.
    by_path: bool,
}

/// Headers read at once.
const CHUNK: usize = 1000;
