//! Shows any [`FileTree`](kompira_schema::tree::FileTree) to the kernel through FUSE.
//!
//! Architecture invariant: this crate knows files, not Kompira's objects and not the store. Every
//! type of the `fuser` crate stays inside it.

mod adapt;
mod convert;
mod killed;
mod linger;
mod mount;
mod notify;

pub use killed::{abort_killed, is_dying};
pub use mount::{Mounted, Options, Peers, mount, release_stale};
