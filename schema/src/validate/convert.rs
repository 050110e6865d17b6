use super::*;
pub(super) fn field(_def: &FieldDef, _value: Value, _ctx: &mut Context<'_>) -> Result<Value, Vec<Problem>> { unimplemented!() }
pub(super) fn fields(_def: &TypeDef, _fields: Dict, _ctx: &mut Context<'_>) -> Result<Dict, Vec<Problem>> { unimplemented!() }
pub(super) fn reread(_t: &FieldType, _value: &Value, _now: &Zoned) -> Value { unimplemented!() }
