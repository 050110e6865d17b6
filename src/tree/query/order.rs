//! The order of a result (rule: `tree/order`).

use std::cmp::Ordering;

use kompira_schema::error::Fault;
use kompira_schema::field::{Elem, Shape};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::types::TypeDef;
use kompira_schema::value::Dict;

use super::cursor::Cursor;
use super::plan::{Attribute, attribute_value, scalars, unknown_field};
use super::test::{Scalar, bad};
use crate::store::Body;
use crate::tree::model::Head;
use crate::tree::view::View;

/// What an object is sorted by; `None`: null.
pub(super) type Keys = Vec<Option<Scalar>>;

#[derive(Debug)]
enum By {
    Attribute(Attribute),
    Field(String),
}

/// Keys, the first counts most; completed by the object's number.
#[derive(Debug)]
pub(super) struct Order(Vec<(By, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Order {
    /// Reads `a,-b,field:f,-field:g`.
    pub(super) fn parse(text: &str, def: Option<&TypeDef>, told: bool) -> Result<Self, Fault> {
        words(text).map(|key| read_key(key, def, told)).collect::<Result<_, _>>().map(Self)
    }

    /// The default order of a container; a key that cannot be is passed over.
    pub(super) fn of_container(text: &str, def: Option<&TypeDef>) -> Self {
        let keys: Vec<_> = words(text).filter_map(|key| read_key(key, def, false).ok()).collect();
        if keys.is_empty() {
            return Self(vec![(By::Attribute(Attribute::Path), Direction::Up)]);
        }
        Self(keys)
    }

    /// Whether this is the ascending order of paths alone.
    pub(super) fn is_by_path(&self) -> bool {
        matches!(self.0.first(), Some((By::Attribute(Attribute::Path), Direction::Up)))
    }

    /// The direction, if the path is all it goes by.
    pub(super) fn only_by_path(&self) -> Option<Direction> {
        match self.0.as_slice() {
            [(By::Attribute(Attribute::Path), direction)] => Some(*direction),
            _ => None,
        }
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How a row stands to a place: less or equal is before it or at it.
    pub(super) fn is_behind(&self, place: &Cursor, (id, keys): &(ObjectId, Keys)) -> Ordering {
        let own = Cursor::new(keys, *id);
        for ((row, at), (_, direction)) in own.keys.iter().zip(&place.keys).zip(&self.0) {
            let order = match (row, at) {
                (Some(row), Some(at)) => row.cmp(at),
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
            };
            let order = if *direction == Direction::Down { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        own.id.cmp(&place.id)
    }

    pub(super) fn needs_fields(&self) -> bool {
        self.0.iter().any(|(by, _)| matches!(by, By::Field(_)))
    }

    /// The keys of one object.
    pub(super) fn keys(
        &self,
        view: &View,
        head: &Head,
        body: &mut Option<Body>,
        fields: &Dict,
    ) -> Result<Keys, Fault> {
        let mut keys = Vec::with_capacity(self.0.len());
        for (by, _) in &self.0 {
            keys.push(match by {
                By::Attribute(attribute) => {
                    attribute_value(view, *attribute, head, body)?.into_iter().next()
                }
                By::Field(name) => scalars(view, fields.get(name)).into_iter().next(),
            });
        }
        Ok(keys)
    }

    pub(super) fn sort(&self, rows: &mut [(ObjectId, Keys)]) {
        rows.sort_by(|(left_id, left), (right_id, right)| {
            for ((a, b), (_, direction)) in left.iter().zip(right).zip(&self.0) {
                let order = compare_keys(a.as_ref(), b.as_ref());
                let order = if *direction == Direction::Down { order.reverse() } else { order };
                if order.is_ne() {
                    return order;
                }
            }
            left_id.cmp(right_id)
        });
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|key| !key.is_empty())
}

fn read_key(key: &str, def: Option<&TypeDef>, told: bool) -> Result<(By, Direction), Fault> {
    let (name, direction) = match key.strip_prefix('-') {
        Some(name) => (name, Direction::Down),
        None => (key, Direction::Up),
    };
    let by = match name.strip_prefix("field:") {
        Some(field) => By::Field(sortable(field, key, def, told)?),
        None => By::Attribute(Attribute::named(name).ok_or_else(|| Attribute::unknown(key))?),
    };
    Ok((by, direction))
}

/// Nulls stand last going up and first going down.
pub(in crate::tree) fn compare_keys(left: Option<&Scalar>, right: Option<&Scalar>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => left.compare(right).unwrap_or(Ordering::Equal),
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
    }
}

fn sortable(field: &str, key: &str, def: Option<&TypeDef>, told: bool) -> Result<String, Fault> {
    let def = def.ok_or_else(|| bad(message!("find.no_type", key = key)))?;
    let found = def.field(field).ok_or_else(|| unknown_field(key, def, told))?;
    match found.field_type.shape {
        Shape::One(Elem::Password) | Shape::Array(_) | Shape::Dictionary(_) => {
            Err(bad(message!("find.not_sortable", key = key)))
        }
        Shape::One(_) => Ok(field.to_owned()),
    }
}
