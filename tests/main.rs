//! All tests that need the whole product, a folder per theme.
#![allow(clippy::unwrap_used)]

mod http;
mod lang;
mod remote;
mod support;
mod vm;
