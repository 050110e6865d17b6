//! Where a query looks: the narrowest of what serves (rule: `tree/find-indexes`).

use std::collections::HashMap;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;

use super::Depth;
use super::plan::{Attribute, Plan};
use crate::store::keys;
use crate::tree::view::View;

/// An owner with fewer objects is looked up rather than the tree be walked.
const OWNED_MAX: usize = 4096;

pub(super) struct Candidates {
    pub(super) ids: Vec<ObjectId>,
    /// Whether they stand in the order of their paths.
    pub(super) by_path: bool,
    /// What they are, for `explain`.
    pub(super) source: String,
}

impl Candidates {
    fn of(source: impl Into<String>, ids: Vec<ObjectId>) -> Self {
        Self { ids, by_path: false, source: source.into() }
    }
}

impl View {
    /// The objects that may match.
    pub(super) fn candidates(
        &self,
        dir: ObjectId,
        depth: Depth,
        plan: &Plan,
    ) -> Result<Candidates, Fault> {
        if let Some(paths) = plan.exact_texts(Attribute::Path) {
            let ids = paths.iter().filter_map(|path| self.resolve_from(ObjectId::ROOT, path).ok());
            let ids = self.only_below(dir, depth, ids.collect())?;
            return Ok(Candidates::of("path", ids));
        }
        let mut best: Option<Candidates> = None;
        for (field, test) in plan.indexable() {
            let Some(type_id) = plan.type_id else { break };
            let Some(ids) = self.by_field(type_id, field, test)? else { continue };
            if best.as_ref().is_none_or(|best| ids.len() < best.ids.len()) {
                best = Some(Candidates::of(format!("field:{}", field.name), ids));
            }
        }
        if let Some(mut best) = best {
            best.ids = self.only_below(dir, depth, best.ids)?;
            return Ok(best);
        }
        if depth == Depth::Children {
            return self.children_candidates(dir, plan);
        }
        if let Some(parents) = plan.exact_objects(Attribute::Parent) {
            let mut ids = Vec::new();
            for parent in self.only_below_or_same(dir, parents)? {
                self.each_entry(parent, None, |entry| {
                    if entry.is_object() {
                        ids.push(entry.id);
                    }
                    Ok(true)
                })?;
            }
            return Ok(Candidates::of("parent", ids));
        }
        if let Some(types) = plan.types.as_deref() {
            return self.candidates_by_type(dir, types);
        }
        if let Some(owners) = plan.exact_owners() {
            let mut ids = Vec::new();
            for owner in owners {
                ids.extend(self.indexed(&keys::index_owner_prefix(owner))?);
            }
            if ids.len() < OWNED_MAX {
                return Ok(Candidates::of("owner", self.only_below(dir, depth, ids)?));
            }
        }
        self.walk(dir)
    }

    /// Children: all of them, or those of a type that has few objects.
    fn children_candidates(&self, dir: ObjectId, plan: &Plan) -> Result<Candidates, Fault> {
        if let Some(types) = plan.types.as_deref() {
            let mut ids = Vec::new();
            for &type_id in types {
                ids.extend(self.of_type(type_id)?);
            }
            if ids.len() < self.child_count(dir)? {
                return Ok(Candidates::of("type", self.only_below(dir, Depth::Children, ids)?));
            }
        }
        let mut ids = Vec::new();
        self.each_entry(dir, None, |entry| {
            if entry.is_object() {
                ids.push(entry.id);
            }
            Ok(true)
        })?;
        Ok(Candidates { ids, by_path: true, source: "children".into() })
    }

    /// All descendants in the order of their paths.
    pub(super) fn walk(&self, dir: ObjectId) -> Result<Candidates, Fault> {
        let mut ids = Vec::new();
        // Depth first by name is the order of paths: `/` stands before every character of a name.
        let mut open = vec![(dir, true)];
        while let Some((at, container)) = open.pop() {
            if at != dir {
                ids.push(at);
            }
            if !container {
                continue;
            }
            let mut below = Vec::new();
            self.each_entry(at, None, |entry| {
                if entry.is_object() {
                    below.push((entry.id, entry.container));
                }
                Ok(true)
            })?;
            // Leaves at once, as long as no container stands before them.
            let first = below.iter().position(|(_, container)| *container).unwrap_or(below.len());
            let later = below.split_off(first);
            ids.extend(below.into_iter().map(|(id, _)| id));
            open.extend(later.into_iter().rev());
        }
        Ok(Candidates { ids, by_path: true, source: "descendants".into() })
    }

    pub(super) fn candidates_by_type(
        &self,
        dir: ObjectId,
        types: &[ObjectId],
    ) -> Result<Candidates, Fault> {
        let mut ids = Vec::new();
        for &type_id in types {
            ids.extend(self.of_type(type_id)?);
        }
        Ok(Candidates::of("type", self.only_below(dir, Depth::Descendants, ids)?))
    }

    fn only_below(
        &self,
        dir: ObjectId,
        depth: Depth,
        mut ids: Vec<ObjectId>,
    ) -> Result<Vec<ObjectId>, Fault> {
        ids.sort_unstable();
        ids.dedup();
        let mut known: HashMap<ObjectId, bool> = HashMap::from([(dir, true)]);
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(super::CHUNK) {
            for head in self.heads(chunk)?.into_iter().flatten() {
                let inside = match depth {
                    Depth::Children => head.parent == dir,
                    Depth::Descendants => {
                        head.id != dir && self.is_below(head.parent, &mut known)?
                    }
                };
                if inside {
                    found.push(head.id);
                }
            }
        }
        Ok(found)
    }

    fn only_below_or_same(
        &self,
        dir: ObjectId,
        ids: Vec<ObjectId>,
    ) -> Result<Vec<ObjectId>, Fault> {
        let mut known: HashMap<ObjectId, bool> = HashMap::from([(dir, true)]);
        let mut found = Vec::new();
        for id in ids {
            if !found.contains(&id) && self.is_below(id, &mut known)? {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Whether a container is the one that `known` starts with, or lies below it.
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
        known.extend(way.into_iter().map(|at| (at, answer)));
        Ok(answer)
    }
}
