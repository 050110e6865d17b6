//! The failures of the tree, each made in one place.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;

pub(super) fn gone(id: ObjectId) -> Fault {
    Fault::new(Kind::NotFound, message!("tree.gone", id = id))
}

pub(super) fn not_found(path: &str) -> Fault {
    Fault::new(Kind::NotFound, message!("tree.not_found", path = path))
}

pub(super) fn exists(name: &str) -> Fault {
    Fault::new(Kind::Exists, message!("tree.exists", name = name))
}

pub(super) fn denied(right: &'static str, path: &str) -> Fault {
    Fault::new(Kind::Denied, message!("tree.denied", right = right, path = path))
}

pub(super) fn protected(path: &str) -> Fault {
    Fault::new(Kind::Protected, message!("tree.protected", path = path))
}

pub(super) fn not_container(path: &str) -> Fault {
    Fault::new(Kind::NotContainer, message!("tree.not_container", path = path))
}

pub(super) fn wrong_type(found: &str, place: &str) -> Fault {
    Fault::new(Kind::WrongType, message!("tree.wrong_type", found = found, place = place))
}

pub(super) fn no_type(path: &str) -> Fault {
    Fault::new(Kind::NotFound, message!("tree.no_type", path = path))
}

pub(super) fn cycle() -> Fault {
    Fault::new(Kind::Cycle, message!("tree.cycle"))
}

pub(super) fn stale() -> Fault {
    Fault::new(Kind::Stale, message!("tree.stale"))
}

pub(super) fn not_empty(path: &str) -> Fault {
    Fault::new(Kind::NotEmpty, message!("tree.not_empty", path = path))
}

pub(super) fn path_too_long(count: usize) -> Fault {
    let max = kompira_schema::path::PATH_CHARS_MAX;
    Fault::new(Kind::NameTooLong, message!("path.too_long", count = count, max = max))
}

pub(super) fn busy() -> Fault {
    Fault::new(Kind::Unavailable, message!("tree.contended"))
}
