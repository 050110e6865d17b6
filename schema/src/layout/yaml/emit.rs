use super::*; pub(super) fn document(_n: &Node) -> String { unimplemented!() }
