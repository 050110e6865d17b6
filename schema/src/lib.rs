//! The words every part of kompira-fs shares.
//!
//! Architecture invariant: no I/O, no clock, no async. Everything here is data and pure functions.

pub mod catalogue;
pub mod error;
pub mod field;
pub mod id;
pub mod layout;
pub mod limits;
pub mod path;
pub mod record;
pub mod signature;
pub mod tree;
pub mod types;
pub mod validate;
pub mod value;
