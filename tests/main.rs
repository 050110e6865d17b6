//! All tests that need the whole product, a folder per theme.
#![allow(clippy::unwrap_used)]

mod bad;
mod engine;
mod faults;
mod files;
mod http;
mod lang;
mod mount;
mod reference;
mod remote;
mod support;
mod vm;
