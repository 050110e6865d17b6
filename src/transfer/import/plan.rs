//! What each found file is to become.

use std::path::Path;
use std::sync::LazyLock;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::layout::names::{self, Made, Suffixes};
use kompira_schema::layout::record;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::record::Record;
use kompira_schema::types::{self, TypeDef};
use kompira_schema::{error, limits};

use super::resolve::{References, no_type};
use super::scan::{Found, read_text, unreadable};
use crate::tree::View;

/// The suffixes that built-in types claim.
static SUFFIXES: LazyLock<Suffixes> =
    LazyLock::new(|| {
        Suffixes::new(types::builtins().iter().flat_map(|def| {
            def.file.suffixes.iter().map(|suffix| (suffix.clone(), def.name.clone()))
        }))
    });

/// Bytes of a file's beginning that tell its kind.
const HEAD_BYTES: usize = 64 << 10;

/// Path of an object below the source, as records write it.
pub(super) fn relative(path: &[Name]) -> String {
    path.iter().map(Name::as_str).collect::<Vec<_>>().join("/")
}

/// An object to be created or updated.
pub(super) struct Planned {
    /// Path of its type object.
    pub(super) type_path: ObjectPath,
    /// What is said about it; `None` for a bare file or directory.
    pub(super) record: Option<Record>,
    /// Whether the file is the object's content.
    pub(super) has_content: bool,
    /// Things to tell, one warning each.
    pub(super) odd: Vec<error::Message>,
}

/// Decides by record, suffix and content (rule: `files/creation`). `table` is the type that the
/// container prescribes, if it is a Table.
pub(super) fn plan(
    found: &Found,
    table: Option<&str>,
    references: &References<'_>,
) -> Result<Planned, Fault> {
    let typed = |record: &Record| ObjectPath::parse(&references.absolute(&record.type_object));
    let builtin = |name: &str| {
        let def = types::builtin(name).ok_or_else(|| no_type(name))?;
        ObjectPath::parse(&types::builtin_path(def))
    };
    let mut odd = Vec::new();
    if found.dir {
        let type_path = match &found.record {
            Some(record) => typed(record)?,
            None => builtin("Directory")?,
        };
        return Ok(Planned { type_path, record: found.record.clone(), has_content: false, odd });
    }
    let Some(file) = &found.file else {
        let record = found.record.clone().ok_or_else(|| Fault::internal("nothing found"))?;
        let type_path = typed(&record)?;
        if !is_container(&type_path) {
            odd.push(message!("import.no_file"));
        }
        return Ok(Planned { type_path, record: Some(record), has_content: false, odd });
    };
    if let Some(record) = &found.record {
        let type_path = typed(record)?;
        return Ok(Planned { type_path, record: Some(record.clone()), has_content: true, odd });
    }
    let head = read_head(file)?;
    let is_record = |content: &[u8]| {
        content.len() < HEAD_BYTES && record::is_record(content)
            || content.len() >= HEAD_BYTES
                && read_text(file, limits::RECORD_MAX as u64)
                    .is_ok_and(|text| record::is_record(text.as_bytes()))
    };
    let in_table = table.is_some();
    // A Table's rows are records of its type, unless they say so themselves.
    if in_table && is_record(&head) {
        return whole_record(file, &typed);
    }
    Ok(match names::rule(in_table, found.suffix.as_deref(), &SUFFIXES, &head, is_record) {
        Made::Record => whole_record(file, &typed)?,
        Made::TableType => {
            let type_path = ObjectPath::parse(table.unwrap_or_default())?;
            Planned { type_path, record: None, has_content: true, odd }
        }
        made => {
            let name = match &made {
                Made::Type(name) => name.as_str(),
                _ => "AttachedFile",
            };
            if found.suffix.is_none() {
                odd.push(message!("import.bare", name = name));
            }
            Planned { type_path: builtin(name)?, record: None, has_content: true, odd }
        }
    })
}

fn whole_record(
    file: &Path,
    typed: &dyn Fn(&Record) -> Result<ObjectPath, Fault>,
) -> Result<Planned, Fault> {
    let (record, odd) = super::scan::read_record(file)?;
    let odd = odd.into_iter().map(|problem| problem.message).collect();
    Ok(Planned { type_path: typed(&record)?, record: Some(record), has_content: false, odd })
}

/// The first bytes of a file, cut where a character ends.
fn read_head(file: &Path) -> Result<Vec<u8>, Fault> {
    use std::io::Read as _;
    let mut head = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(HEAD_BYTES as u64).read_to_end(&mut head))
        .map_err(|error| unreadable(file, &error))?;
    if head.len() == HEAD_BYTES
        && let Err(error) = std::str::from_utf8(&head)
        && error.error_len().is_none()
    {
        head.truncate(error.valid_up_to());
    }
    Ok(head)
}

fn is_container(path: &ObjectPath) -> bool {
    types::builtins()
        .iter()
        .any(|def| def.is_container() && types::builtin_path(def) == path.as_str())
}

/// The type an object is to have.
pub(super) fn type_of(
    view: &View,
    path: &ObjectPath,
) -> Result<(kompira_schema::id::ObjectId, std::sync::Arc<TypeDef>), Fault> {
    view.type_by_path(path).map_err(|fault| match fault.kind() {
        Kind::NotFound => no_type(path.as_str()),
        _ => fault,
    })
}
