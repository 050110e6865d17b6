use super::*; pub(super) fn document(_t: &str) -> Result<Node, Fault> { unimplemented!() }
