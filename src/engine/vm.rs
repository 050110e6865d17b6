//! The virtual machine: runs the byte code of jobflows.
//!
//! Architecture invariant: no I/O, no clock, no threads. The world is reached through [`Host`];
//! what takes time is a [`Request`] that the engine answers. No jobflow makes Rust recurse without
//! bound, so a process is plain data: it can be saved at each boundary and go on elsewhere.

mod access;
mod arith;
pub mod builtin;
pub mod compare;
pub mod convert;
pub mod dict;
mod execute;
mod graph;
pub mod heap;
pub mod host;
pub mod inspect;
pub mod machine;
mod outside;
pub mod raise;
pub mod request;
mod run;
pub mod sandbox;
mod save;
mod similar;
pub mod text;
mod unwind;
pub mod value;

pub use builtin::{Builtin, Builtins, Context};
pub use heap::Heap;
pub use host::{Callable, Given, Host, Jobflow, Programs};
pub use machine::{Arguments, LoadError, Machine, Options};
pub use raise::Raise;
pub use request::{Answer, Awaited, Control, End, Outcome, Pause, Position, Received, Request};
pub use value::{Handle, RefKind, Type, Value};
