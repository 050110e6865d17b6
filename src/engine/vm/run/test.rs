//! What an instruction asks of values beside the fast path.

use std::cmp::Ordering;

use super::super::heap::Heap;
use super::super::host::Host;
use super::super::raise::Raise;
use super::super::value::Value;
use crate::lang::program::Cmp;

/// The truth of a value; a LazyArray asks.
pub(in crate::engine::vm) fn truth(
    heap: &mut Heap,
    host: &mut dyn Host,
    value: Value,
) -> Result<bool, Raise> {
    match heap.as_lazy(value) {
        Some(query) => {
            let query = query.clone();
            let count = host.query(heap, &query, super::super::host::Ask::Count)?;
            Ok(heap.truth(count))
        }
        None => Ok(heap.truth(value)),
    }
}

pub(super) fn compare(
    heap: &mut Heap,
    host: &mut dyn Host,
    op: Cmp,
    left: Value,
    right: Value,
) -> Result<bool, Raise> {
    Ok(match op {
        Cmp::Equal => heap.equal(left, right)?,
        Cmp::NotEqual => !heap.equal(left, right)?,
        Cmp::Similar => heap.similar(host, left, right)?,
        Cmp::NotSimilar => !heap.similar(host, left, right)?,
        Cmp::Less => heap.order("<", left, right)? == Some(Ordering::Less),
        Cmp::Greater => heap.order(">", left, right)? == Some(Ordering::Greater),
        Cmp::LessEqual => {
            matches!(heap.order("<=", left, right)?, Some(Ordering::Less | Ordering::Equal))
        }
        Cmp::GreaterEqual => {
            matches!(heap.order(">=", left, right)?, Some(Ordering::Greater | Ordering::Equal))
        }
    })
}

/// The floored remainder; `None` for what the slow path has to say.
pub(super) fn floored(a: i64, b: i64) -> Option<i64> {
    if b == 0 {
        return None;
    }
    let rest = a.wrapping_rem(b);
    Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}
