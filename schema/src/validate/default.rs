use super::*;
pub(super) fn of(_t: &FieldType, _now: &Zoned) -> Option<Value> { unimplemented!() }
