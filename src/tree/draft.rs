//! What a writer hands in: new objects and changes of objects.

use jiff::Timestamp;
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::validate::Source;
use kompira_schema::value::Dict;

use super::model::Content;
use crate::auth::Acl;

/// A new object.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Number reserved before by [`super::Tree::new_object_id`].
    pub id: Option<ObjectId>,
    /// Fields to store; all others stay absent.
    pub fields: Dict,
    /// How the values of `fields` came in; default: the language.
    pub source: Option<Source>,
    /// Values of a Config.
    pub data: Option<Dict>,
    /// Bytes of the representative field (or of the attachment it is made from).
    pub content: Option<Content>,
    /// Default: the name.
    pub display_name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Default: the caller. Another one needs privilege.
    pub owner: Option<UserId>,
    /// Default: those of the container.
    pub acl: Option<Acl>,
    /// File suffix to remember, without its dot.
    pub suffix: Option<String>,
    /// Made from a bare file or by `mkdir`.
    pub bare: bool,
    /// Permission bits of the file.
    pub mode: Option<u16>,
    /// Default: now. Set by imports.
    pub created: Option<Timestamp>,
    /// Default: now. Set by imports.
    pub updated: Option<Timestamp>,
}

/// How the fields of a [`Patch`] meet those that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Others stay (PATCH, language, import).
    #[default]
    Given,
    /// Other visible, writable fields become absent (PUT, unlinking a record).
    All,
}

/// Which property changes of a container go down to all descendants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descend {
    /// The owner.
    pub owner: bool,
    /// The entries of users.
    pub users: bool,
    /// The entries of groups.
    pub groups: bool,
}

/// A change of an object; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Fields.
    pub fields: Dict,
    /// What happens to fields that are not given.
    pub replace: Replace,
    /// How the values of `fields` came in; default: the language.
    pub source: Option<Source>,
    /// Bytes of the representative field (or of the attachment it was made from).
    pub content: Option<Content>,
    /// Values of a Config (needs the execute permission).
    pub data: Option<Dict>,
    /// What happens to values of a Config that are not given, if any are.
    pub replace_data: Replace,
    /// Shown instead of the name.
    pub display_name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Owner.
    pub owner: Option<UserId>,
    /// Permission entries.
    pub acl: Option<Acl>,
    /// Whether owner and entries go down.
    pub descend: Descend,
    /// Makes the object bare, or ends it.
    pub bare: Option<bool>,
    /// Set by imports; otherwise by the rules of the object model.
    pub updated: Option<Timestamp>,
}
