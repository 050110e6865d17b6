//! Finding objects (rule: `tree/find`).

mod bytes;
mod count;
mod cursor;
mod glob;
mod index;
mod offer;
mod order;
mod plan;
mod search;
mod source;
mod test;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

use self::cursor::Cursor;
pub use self::glob::Page;
pub(super) use self::index::Indexes;
pub use self::offer::FieldPlace;
pub(super) use self::order::compare_keys;
use self::order::{Direction, Keys};
use self::plan::Plan;
pub(super) use self::plan::scalars;
pub(super) use self::test::{Lookup, Scalar, Test, bad};
use super::model::Head;
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

/// A page with what is needed to go on, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged {
    /// The page and the number of all.
    pub found: Found,
    /// Where the next page begins; `None` after the last one (rule: `tree/paging`).
    pub next: Option<String>,
    /// How it was found.
    pub explain: Explain,
}

/// How a query was answered (rule: `tree/find-indexes`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// What was looked through: `children`, `descendants`, `path`, `parent`, `type`, `owner` or
    /// `field:NAME`.
    pub source: String,
    /// Objects that were looked at.
    pub examined: usize,
    /// Whether they were put in order afterwards.
    pub sorted: bool,
}

impl View {
    /// Finds objects below a container; the caller needs read on the container. Objects that the
    /// caller cannot read are found by attributes, not by fields (rule: `tree/find`).
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::BadRequest`] for an unknown attribute or lookup, or a value
    /// that does not fit; [`kompira_schema::error::Kind::Denied`].
    pub fn find(&self, who: &Caller, dir: ObjectId, query: &Query) -> Result<Found, Fault> {
        self.find_page(who, dir, query, None).map(|paged| paged.found)
    }

    /// As [`View::find`]; the page begins behind the place `after`, which an earlier page told as
    /// its `next`, whatever was added or removed before it (rule: `tree/paging`).
    ///
    /// # Errors
    /// As [`View::find`]; [`kompira_schema::error::Kind::BadRequest`] for an `after` that was not
    /// told or is of another order.
    pub fn find_page(
        &self,
        who: &Caller,
        dir: ObjectId,
        query: &Query,
        after: Option<&str>,
    ) -> Result<Paged, Fault> {
        let around = self.object_head(dir)?;
        self.need_of(who, &around, |access| access.read, "read")?;
        let Some(plan) = Plan::new(self, who, &around, query)? else {
            let explain = Explain { source: "nothing".into(), examined: 0, sorted: false };
            let found = Found { ids: Vec::new(), total: 0 };
            return Ok(Paged { found, next: None, explain });
        };
        let after = after.map(|text| Cursor::parse(text, plan.order.len())).transpose()?;
        if query.depth == Depth::Children
            && plan.accepts_all()
            && let Some(direction) = plan.order.only_by_path()
        {
            return self.names_page(dir, query, after.as_ref(), &plan, direction);
        }
        let candidates = self.candidates(dir, query.depth, &plan)?;
        let examined = candidates.ids.len();
        let sorted = !(candidates.by_path && plan.order.is_by_path());
        let needs_keys = sorted || after.is_some();
        let mut rows = Vec::new();
        for chunk in candidates.ids.chunks(CHUNK) {
            for (head, id) in self.heads(chunk)?.into_iter().zip(chunk) {
                // Gone between index and header cannot be: one moment. Demoted objects are.
                let Some(head) = head.filter(Head::is_object) else { continue };
                if let Some(keys) = plan.accept(self, who, &head, needs_keys)? {
                    rows.push((*id, keys));
                }
            }
        }
        if sorted {
            plan.order.sort(&mut rows);
        }
        let total = rows.len();
        let from = match &after {
            None => query.offset,
            Some(after) => {
                let begin = rows.partition_point(|row| plan.order.is_behind(after, row).is_le());
                begin.saturating_add(query.offset)
            }
        };
        let limit = query.limit.unwrap_or(usize::MAX);
        let ids: Vec<_> = rows.into_iter().skip(from).take(limit).map(|(id, _)| id).collect();
        let more = from.saturating_add(ids.len()) < total;
        let next = self.place_behind(who, &plan, ids.last().filter(|_| more))?;
        let explain = Explain { source: candidates.source, examined, sorted };
        Ok(Paged { found: Found { ids, total }, next, explain })
    }

    /// A page of all children in the order of their names: nothing but the page is read.
    fn names_page(
        &self,
        dir: ObjectId,
        query: &Query,
        after: Option<&Cursor>,
        plan: &Plan,
        direction: Direction,
    ) -> Result<Paged, Fault> {
        let total = self.child_count(dir)?;
        let limit = query.limit.unwrap_or(usize::MAX);
        let mut skip = query.offset;
        let mut ids = Vec::new();
        let mut examined = 0;
        let mut last = None;
        let mut more = false;
        if after.is_some() || query.offset < total {
            let behind = after.and_then(Cursor::name);
            self.each_entry_from(dir, behind.as_deref(), direction == Direction::Down, |entry| {
                if !entry.is_object() {
                    return Ok(true);
                }
                examined += 1;
                if skip > 0 {
                    skip -= 1;
                    return Ok(true);
                }
                more = ids.len() >= limit;
                if !more {
                    ids.push(entry.id);
                    last = Some(entry.id);
                }
                Ok(!more)
            })?;
        }
        let next = match last.filter(|_| more) {
            None => None,
            Some(id) => {
                let head = self.object_head(id)?;
                let keys = plan.order.keys(self, &head, &mut None, &Default::default())?;
                Some(Cursor::new(&keys, id).to_string())
            }
        };
        let explain = Explain { source: "children".into(), examined, sorted: false };
        Ok(Paged { found: Found { ids, total }, next, explain })
    }

    fn place_behind(
        &self,
        who: &Caller,
        plan: &Plan,
        last: Option<&ObjectId>,
    ) -> Result<Option<String>, Fault> {
        let Some(&id) = last else { return Ok(None) };
        let head = self.object_head(id)?;
        let keys: Keys = plan.accept(self, who, &head, true)?.unwrap_or_default();
        Ok(Some(Cursor::new(&keys, id).to_string()))
    }
}

/// Headers read at once.
const CHUNK: usize = 1000;
