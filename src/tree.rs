//! The one door: who asks, may they, do it, write it in the audit.
//!
//! Architecture invariant: nothing outside this module reads or writes objects in the store. Every
//! call carries a [`Caller`]; a change is one commit with its history, its feed entries and its
//! audit entry.

mod behaviour;
mod bootstrap;
mod draft;
mod fault;
mod handle;
mod model;
pub mod principals;
pub mod query;
mod read;
pub mod special;
mod txn;
mod types;
mod value;
mod view;
#[cfg(test)]
mod tests;

pub use behaviour::DEFAULT_REALM;
pub use draft::{Descend, Draft, Patch, Replace};
pub use handle::{
    Compiled, Compiler, Done, LibraryState, NoCompiler, Options, Receiver, Receivers, Tree,
};
pub use kompira_schema::tree::Caller;
pub use model::{Content, Entry, EntryKind, Head, Object, Stub};
pub use principals::{GroupDraft, GroupPatch, UserDraft, UserPatch};
pub use query::{Depth, Explain, Found, Page, Paged, Query};
pub use special::{
    Family as SpecialFamily, IncidentDraft, IncidentPatch, ScheduleDraft, SchedulePatch,
    SpecialQuery, TaskDraft,
};
pub use txn::{Element, ImportOptions, MailName, NewTokens, Submission, TokenMark, Txn, Unsettled};
pub use view::{
    Attach, Difference, Importable, LibraryText, Passwords, RecordOptions, Revision, View,
};
