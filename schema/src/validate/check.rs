use super::*;
pub(super) fn field(_def: &FieldDef, _value: &Value) -> Vec<Problem> { unimplemented!() }
