//! What black-box tests stand on: a real server on a directory of its own.
#![allow(dead_code, unreachable_pub, unused_imports)] // each theme uses a part

pub mod client;
pub mod disk;
pub mod server;
pub mod shim;

pub use client::{Client, Reply};
pub use disk::Disk;
pub use server::{Options, Server, kompira};
