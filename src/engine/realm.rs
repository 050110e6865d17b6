//! Which management area carries a job out (rule: `operations/realm-choice`).

use std::cmp::Reverse;
use std::sync::Arc;

use kompira_schema::id::ObjectId;
use kompira_schema::path::ObjectPath;
use kompira_schema::value::Value;
use parking_lot::Mutex;

use super::inner::myself;
use crate::lang::pattern::glob;
use crate::store::Basis;
use crate::tree::{DEFAULT_REALM, Entry, Tree, Txn, View};

/// Most realms that are looked through for one job.
const REALMS_MAX: usize = 10_000;

/// A management area and the hosts it says it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Area {
    name: String,
    disabled: bool,
    range: Vec<String>,
}

/// The areas as they were last read, and what has to stay for them to hold. They are asked for with
/// each job that names a host, and hardly ever change.
#[derive(Default)]
pub(super) struct Realms(Mutex<Option<(Basis, Arc<[Area]>)>>);

/// Where areas are read from: with what a transaction itself has changed.
pub(super) struct Areas<'a> {
    view: &'a View,
    kept: Option<(&'a Realms, &'a Tree)>,
}

impl Realms {
    /// The areas as a transaction sees them.
    pub(super) fn seen_by<'a>(&'a self, tree: &'a Tree, txn: &'a Txn) -> Areas<'a> {
        let kept = (!txn.changes_objects()).then_some((self, tree));
        Areas { view: txn, kept }
    }

    pub(super) fn read(&self, tree: &Tree) -> Result<Arc<[Area]>, String> {
        let held = |(basis, _): &&(Basis, _)| tree.store().holds(basis);
        if let Some((_, areas)) = self.0.lock().as_ref().filter(held) {
            return Ok(Arc::clone(areas));
        }
        // Every change of a realm changes its header, and one more or less that of their container.
        // Taken before they are read: a change in between makes the basis too old, never too new.
        let watched = tree.watched();
        let view = tree.view();
        let entries = entries(&view)?;
        let root = root(&watched)?.map(|root| watched.head(root));
        let heads = entries.iter().map(|entry| watched.head(entry.id));
        let whole = root.into_iter().chain(heads).all(|head| head.is_ok());
        let areas: Arc<[Area]> =
            entries.iter().map(|entry| area(&view, entry.id)).collect::<Result<_, _>>()?;
        *self.0.lock() = watched.basis().filter(|_| whole).map(|basis| (basis, Arc::clone(&areas)));
        Ok(areas)
    }
}

/// The realm of a host that is known by `names` (address, host name): the one in use whose range
/// fits best, else [`DEFAULT_REALM`]. Without names it is [`DEFAULT_REALM`], too.
///
/// # Errors
/// The realm is disabled or not there: the text of `$ERROR`.
pub(super) fn of_host(from: &Areas<'_>, names: &[String]) -> Result<String, String> {
    let areas = match from.kept {
        _ if names.is_empty() => one(from.view, DEFAULT_REALM)?.into(),
        Some((realms, tree)) => realms.read(tree)?,
        None => all(from.view)?,
    };
    let best = best(&areas, names).map_or(DEFAULT_REALM, |area| area.name.as_str());
    match areas.iter().find(|area| area.name == best) {
        Some(area) if area.disabled => Err(format!("the realm {best} is disabled")),
        Some(_) => Ok(best.to_owned()),
        None => Err(format!("no such realm: {best}")),
    }
}

/// The area in use that names a host most precisely; of equal ones the first by name.
fn best<'a>(areas: &'a [Area], names: &[String]) -> Option<&'a Area> {
    let fit = |area: &Area| {
        area.range
            .iter()
            .filter(|pattern| names.iter().any(|name| glob(pattern, name, true)))
            .map(|pattern| precision(pattern))
            .max()
    };
    areas
        .iter()
        .filter(|area| !area.disabled)
        .filter_map(|area| fit(area).map(|fit| (fit, area)))
        .min_by_key(|(fit, area)| (Reverse(*fit), &area.name))
        .map(|(_, area)| area)
}

/// How much a pattern says: one without wildcards most, then by the number of other characters.
fn precision(pattern: &str) -> (bool, usize) {
    let literal = pattern.chars().filter(|&c| c != '*').count();
    (!pattern.contains('*'), literal)
}

fn one(view: &View, name: &str) -> Result<Vec<Area>, String> {
    let path = ObjectPath::parse(&format!("/config/realm/{name}")).map_err(unreadable)?;
    let Some(id) = view.find_path(&path).map_err(unreadable)? else { return Ok(Vec::new()) };
    area(view, id).map(|area| vec![area])
}

fn all(view: &View) -> Result<Arc<[Area]>, String> {
    entries(view)?.iter().map(|entry| area(view, entry.id)).collect()
}

fn root(view: &View) -> Result<Option<ObjectId>, String> {
    let root = ObjectPath::parse("/config/realm").map_err(unreadable)?;
    view.find_path(&root).map_err(unreadable)
}

fn entries(view: &View) -> Result<Vec<Entry>, String> {
    let Some(root) = root(view)? else { return Ok(Vec::new()) };
    view.children(&myself(), root, None, REALMS_MAX).map_err(unreadable)
}

fn area(view: &View, id: ObjectId) -> Result<Area, String> {
    let object = view.get(&myself(), id).map_err(unreadable)?;
    let range = match object.fields.get("range") {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| match item {
                Value::Str(pattern) => Some(pattern.trim().to_owned()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let disabled = matches!(object.fields.get("disabled"), Some(Value::Bool(true)));
    Ok(Area { name: object.stub.head.name, disabled, range })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(fault: kompira_schema::error::Fault) -> String {
    format!("the realms cannot be read: {}", fault.kind().name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(name: &str, range: &[&str]) -> Area {
        let range = range.iter().map(|&pattern| pattern.to_owned()).collect();
        Area { name: name.to_owned(), disabled: false, range }
    }

    fn chosen<'a>(areas: &'a [Area], names: &[&str]) -> Option<&'a str> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        best(areas, &names).map(|area| area.name.as_str())
    }

    // rule: operations/realm-choice
    #[test]
    fn the_most_precise_range_wins_exact_before_longest_before_any() {
        let areas = [
            area("default", &["*"]),
            area("dc", &["10.*", "*.dc.example"]),
            area("rack", &["10.1.*"]),
            area("one", &["10.1.2.3"]),
        ];
        assert_eq!(chosen(&areas, &["192.0.2.1"]), Some("default"));
        assert_eq!(chosen(&areas, &["10.9.9.9"]), Some("dc"));
        assert_eq!(chosen(&areas, &["10.1.9.9"]), Some("rack"));
        assert_eq!(chosen(&areas, &["10.1.2.3"]), Some("one"));
        assert_eq!(chosen(&areas, &["192.0.2.1", "DB.dc.example"]), Some("dc"));
        assert_eq!(chosen(&areas[1..], &["192.0.2.1"]), None);
    }

    // rule: operations/realm-choice
    #[test]
    fn ties_go_by_name_and_a_disabled_area_claims_nothing() {
        let mut areas = [area("b", &["10.*"]), area("a", &["1*0."]), area("a", &["10.*"])];
        assert_eq!(chosen(&areas, &["10.2.2.2"]), Some("a"));
        areas[2].disabled = true;
        assert_eq!(chosen(&areas, &["10.2.2.2"]), Some("b"));
    }
}
