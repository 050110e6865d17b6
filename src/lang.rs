//! The jobflow language: text in, program out. No I/O, no clock.

pub mod ast;
pub mod check;
pub mod compile;
pub mod diagnose;
pub mod format;
pub mod lex;
pub mod lower;
pub mod pattern;
pub mod program;
pub mod quick;
pub mod syntax;

pub use check::check;
pub use compile::{Compiled, Declared, compile};
pub use format::format;
pub use syntax::{Parsed, parse};
