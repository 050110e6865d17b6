//! The jobflow language: text in, program out. No I/O, no clock.

pub mod ast;
pub mod diagnose;
pub mod lex;
pub mod pattern;
pub mod program;
pub mod syntax;

pub use syntax::{Parsed, parse};
