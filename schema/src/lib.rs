//! The words every part of kompira-fs shares.
//!
//! Architecture invariant: no I/O, no clock, no async. Everything here is data and pure functions.

pub mod error;
pub mod id;
pub mod layout;
pub mod path;
pub mod tree;
pub mod value;
