//! The jobflow language: text in, program out. No I/O, no clock.

pub mod ast;
