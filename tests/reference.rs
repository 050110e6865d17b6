//! Random operations on a simple model and on the real thing, with equal results.

pub(crate) mod faces;
mod http;
mod model;
pub(crate) mod run;
