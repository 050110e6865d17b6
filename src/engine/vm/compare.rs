//! Truth, equality, order (rule: `language/comparison`).

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::{FromPrimitive as _, ToPrimitive as _};

use super::heap::{Heap, Text};
use super::raise::Raise;
use super::value::Value;

/// How deep values may nest where they are gone through recursively.
pub(super) const NESTING_MAX: usize = 500;

impl Heap {
    /// The truth of a value. A LazyArray's is that of its query: the caller asks the host first.
    #[must_use]
    pub fn truth(&self, value: Value) -> bool {
        match value {
            Value::Absent | Value::Null => false,
            Value::Bool(truth) => truth,
            Value::Int(number) => number != 0,
            Value::Float(number) => number != 0.0,
            Value::Str(_) => self.as_text(value).is_some_and(|text| !text.is_empty()),
            Value::Bytes(_) => self.as_bytes(value).is_some_and(|bytes| !bytes.is_empty()),
            Value::Array(_) => self.as_array(value).is_some_and(|items| !items.is_empty()),
            Value::Dict(_) => self.as_dict(value).is_some_and(|dict| !dict.is_empty()),
            Value::Date(_)
            | Value::Time(_)
            | Value::Timedelta(_)
            | Value::Ref(..)
            | Value::Big(_)
            | Value::Pattern(_)
            | Value::Lazy(_)
            | Value::Datetime(_)
            | Value::File(_)
            | Value::Function(_) => true,
        }
    }

    /// `left == right`
    ///
    /// # Errors
    /// [`Raise::nesting`].
    pub fn equal(&self, left: Value, right: Value) -> Result<bool, Raise> {
        self.equal_at(left, right, 0)
    }

    fn equal_at(&self, left: Value, right: Value, depth: usize) -> Result<bool, Raise> {
        if depth > NESTING_MAX {
            return Err(Raise::nesting());
        }
        if let (Some(a), Some(b)) = (left.slot(), right.slot())
            && a == b
        {
            return Ok(true);
        }
        Ok(match (left, right) {
            (Value::Absent | Value::Null, Value::Absent | Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (
                Value::Int(_) | Value::Float(_) | Value::Big(_),
                Value::Int(_) | Value::Float(_) | Value::Big(_),
            ) => self.order_numbers(left, right) == Some(Ordering::Equal),
            (Value::Date(a), Value::Date(b)) => a == b,
            (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Timedelta(a), Value::Timedelta(b)) => a == b,
            (Value::Ref(kind, id), Value::Ref(other_kind, other)) => {
                kind == other_kind && id == other
            }
            (Value::Str(_), Value::Str(_)) => {
                self.as_text(left).map(Text::as_bytes) == self.as_text(right).map(Text::as_bytes)
            }
            (Value::Bytes(_), Value::Bytes(_)) => self.as_bytes(left) == self.as_bytes(right),
            (Value::Pattern(_), Value::Pattern(_)) => {
                self.as_pattern(left) == self.as_pattern(right)
            }
            (Value::Datetime(_), Value::Datetime(_)) => {
                self.as_datetime(left).map(|at| at.timestamp())
                    == self.as_datetime(right).map(|at| at.timestamp())
            }
            (Value::File(_), Value::File(_)) => {
                self.as_file(left).map(|file| &file.value)
                    == self.as_file(right).map(|file| &file.value)
            }
            (Value::Function(_), Value::Function(_)) => {
                self.as_function(left) == self.as_function(right)
            }
            (Value::Lazy(_), Value::Lazy(_)) => self.as_lazy(left) == self.as_lazy(right),
            (Value::Array(_), Value::Array(_)) => {
                let (Some(a), Some(b)) = (self.as_array(left), self.as_array(right)) else {
                    return Ok(false);
                };
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b) {
                    if !self.equal_at(*a, *b, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(_), Value::Dict(_)) => {
                let (Some(a), Some(b)) = (self.as_dict(left), self.as_dict(right)) else {
                    return Ok(false);
                };
                if a.len() != b.len() {
                    return Ok(false);
                }
                for ((key, value), (other_key, other)) in a.iter().zip(b.iter()) {
                    if !self.equal_at(key, other_key, depth + 1)?
                        || !self.equal_at(value, other, depth + 1)?
                    {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }

    fn order_numbers(&self, left: Value, right: Value) -> Option<Ordering> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(&b),
            (Value::Float(a), _) => order_mixed(&self.as_integer(right)?, a).map(Ordering::reverse),
            (_, Value::Float(b)) => order_mixed(&self.as_integer(left)?, b),
            _ => Some(self.as_integer(left)?.cmp(&self.as_integer(right)?)),
        }
    }

    /// `left OP right` for the four orderings: how they stand to each other, `None` for NaN.
    ///
    /// # Errors
    /// Values without an order, for the message of `operator`; [`Raise::nesting`].
    pub fn order(
        &self,
        operator: &str,
        left: Value,
        right: Value,
    ) -> Result<Option<Ordering>, Raise> {
        self.order_at(operator, left, right, 0)
    }

    fn order_at(
        &self,
        operator: &str,
        left: Value,
        right: Value,
        depth: usize,
    ) -> Result<Option<Ordering>, Raise> {
        if depth > NESTING_MAX {
            return Err(Raise::nesting());
        }
        Ok(match (left, right) {
            (
                Value::Int(_) | Value::Float(_) | Value::Big(_),
                Value::Int(_) | Value::Float(_) | Value::Big(_),
            ) => self.order_numbers(left, right),
            // UTF-8 sorts as code points do.
            (Value::Str(_), Value::Str(_)) => {
                let bytes = |value| self.as_text(value).map(Text::as_bytes);
                bytes(left).partial_cmp(&bytes(right))
            }

            (Value::Bytes(_), Value::Bytes(_)) => {
                self.as_bytes(left).partial_cmp(&self.as_bytes(right))
            }
            (Value::Date(a), Value::Date(b)) => Some(a.cmp(&b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(&b)),
            (Value::Timedelta(a), Value::Timedelta(b)) => Some(a.cmp(&b)),
            (Value::Datetime(_), Value::Datetime(_)) => {
                let at = |value| self.as_datetime(value).map(|at| at.timestamp());
                Some(at(left).cmp(&at(right)))
            }
            (Value::Array(_), Value::Array(_)) => {
                let (Some(a), Some(b)) = (self.as_array(left), self.as_array(right)) else {
                    return Ok(None);
                };
                for (a, b) in a.iter().zip(b) {
                    if !self.equal_at(*a, *b, depth + 1)? {
                        return self.order_at(operator, *a, *b, depth + 1);
                    }
                }
                Some(a.len().cmp(&b.len()))
            }
            _ => return Err(Raise::operands(operator, left, right)),
        })
    }
}

/// Compares exactly: a Float that large has no fraction, a small one no loss.
fn order_mixed(integer: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = BigInt::from_f64(float.trunc())?;
    Some(
        integer
            .cmp(&whole)
            .then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal)),
    )
}

/// The nearest Float, which may be infinite.
pub(super) fn to_float(number: &BigInt) -> f64 {
    number.to_f64().unwrap_or(f64::INFINITY)
}
