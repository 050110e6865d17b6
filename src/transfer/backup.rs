//! Backup of the whole tree at one moment, and its restore (rule: `operations/backup`).
//!
//! `tree/` of the archive is byte for byte what `export_dir --property-mode --linesep=no_change /`
//! writes; times, principals and scratch lie in parts of their own.

mod restore;
mod save;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use restore::{Restored, restore};
pub use save::{Options, backup};

/// The export tree.
const TREE: &str = "tree/";
/// Scratch files and directories, under the paths the mount shows.
const SCRATCH: &str = "scratch/";
/// A JSON line for each object: [`Times`].
const TIMES: &str = "times.jsonl";
/// A JSON line for each scratch link: [`Link`].
const LINKS: &str = "scratch-links.jsonl";
/// Users and groups: [`Principals`].
const PRINCIPALS: &str = "principals.json";
/// The configuration file, if there is one.
const CONFIG: &str = "config/kompira.conf";

/// What records do not say, since the mount shows it by `stat`.
#[derive(Debug, Serialize, Deserialize)]
struct Times {
    path: String,
    created: Timestamp,
    updated: Timestamp,
    mtime: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    path: String,
    target: String,
}

/// Users and groups by name. Tokens are not in a backup: they are made anew.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Principals {
    groups: Vec<GroupRow>,
    users: Vec<UserRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GroupRow {
    name: String,
    ldap: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct UserRow {
    username: String,
    /// The argon2id hash.
    password: Option<String>,
    first_name: String,
    last_name: String,
    email: String,
    environment: Option<String>,
    home: Option<String>,
    groups: Vec<String>,
    active: bool,
    ldap: bool,
    last_login: Option<Timestamp>,
}
