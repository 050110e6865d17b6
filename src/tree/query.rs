//! Finding objects (rule: `tree/find`).

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

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
    /// caller cannot read are found by attributes, not by fields.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::BadRequest`] for an unknown attribute or lookup, or a value
    /// that does not fit; [`kompira_schema::error::Kind::Denied`].
    pub fn find(&self, _who: &Caller, _dir: ObjectId, _query: &Query) -> Result<Found, Fault> {
        unimplemented!()
    }
}
