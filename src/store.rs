//! The store: ordered families, typed rows, one committer, snapshots, blobs, a change feed.
//!
//! Architecture invariant: nothing here knows what an object may do or who asks; that is the
//! door's (`tree`). Nothing outside `tree` and `engine` rows written through it uses this.

mod basis;
pub mod batch;
pub mod blob;
pub mod check;
mod children;
pub mod codec;
mod commit;
mod counter;
mod feed;
mod file;
mod health;
pub mod history;
pub mod keys;
pub mod kv;
mod lock;
mod memory;
mod migrate;
mod options;
mod purge;
mod recent;
mod rocks;
mod room;
mod snapshot;
#[expect(clippy::module_inception, reason = "the handle is what the module is named for")]
mod store;
mod window;

pub use basis::{Basis, Watch};
pub use batch::{Batch, CommitError};
pub use blob::{BlobReader, Blobs, INLINE_MAX};
pub use check::{Depth, Finding, Report};
pub use codec::{Body, ChangeRow, Changed, DERIVED, Dirent, EntryKind, Head, Place, What};
pub use commit::Durability;
pub use counter::Counter;
pub use feed::{CommitInfo, FEED_WAITING_MAX, Fed, Subscription};
pub use history::Version;
pub use kv::{Direction, Family, KeyRange, StoreError};
pub use migrate::FORMAT;
pub use options::Options;
pub use purge::Maintained;
pub use snapshot::Snapshot;
pub use store::Store;

#[cfg(test)]
mod tests;
