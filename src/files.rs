//! Objects as files: [`kompira_schema::tree::FileTree`] over the tree.
//!
//! Architecture invariant: the only place where files meet objects.

pub mod shown;
