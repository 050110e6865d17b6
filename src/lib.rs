//! kompira-fs: an operations platform whose whole world is a filesystem.
//!
//! The modules stand in the order in which they may use one another: each only what is above it
//! (`cargo xtask tidy` holds that).

pub mod base;
pub mod secrets;
pub mod store;
pub mod lang;
pub mod audit;
pub mod auth;
pub mod tree;
pub mod files;
pub mod transfer;
pub mod remote;
pub mod engine;
pub mod stdlib;
pub mod http;
pub mod app;
pub mod cli;
