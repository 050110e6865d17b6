//! Who there is and what they may: users, groups, permission sets, login locks.
//!
//! Architecture invariant: this module reads and encodes; commits are made by `tree` alone.

mod acl;
mod lock;
mod principal;
pub mod rows;
mod table;

pub use acl::{Access, Acl, AclId, GroupEntry, Rights, UserEntry};
pub use lock::{Failures, LockRule};
pub use principal::{Group, Session, Token, User, token_place};
pub use table::Principals;
