//! Tests of the store as a whole, on the memory engine.

mod commit;
