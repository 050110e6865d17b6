//! Groups (rule: http/groups).

use axum::http::Method;
use kompira_schema::id::GroupId;
use serde_json::{Map, Value as Json};

use super::Kinds;
use crate::auth::Group;
use crate::http::answer::Failure;
use crate::http::body::{required, text, truth};
use crate::http::filter::Attribute;
use crate::tree::Txn;
use crate::tree::principals::{GroupDraft, GroupPatch};

pub(super) static KINDS: Kinds = Kinds {
    root: "/config/group",
    name: "name",
    table: &[("name", Attribute::Text), ("is_ldap_group", Attribute::Truth)],
    all: |view| view.groups().iter().map(|group| render(group)).collect(),
    one: |view, id| view.group(GroupId(id)).map(|group| render(&group)),
    check: |body, method| match *method {
        Method::PATCH => Ok(()),
        _ => required(body, "name").map(drop),
    },
    create,
    update,
    delete: |txn, id| txn.delete_group(GroupId(id)),
};

fn render(group: &Group) -> Map<String, Json> {
    let entries: [(&str, Json); 4] = [
        ("id", group.id.0.into()),
        ("abspath", format!("/config/group/id_{}", group.id).into()),
        ("name", group.name.clone().into()),
        ("is_ldap_group", group.ldap.into()),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn create(txn: &mut Txn, body: &Map<String, Json>) -> Result<u64, Failure> {
    let name = required(body, "name")?;
    let ldap = truth(body, "is_ldap_group")?.unwrap_or_default();
    Ok(txn.create_group(GroupDraft { name, ldap })?.0)
}

/// What of the body differs from what is there: sending back what one got changes nothing.
fn update(txn: &mut Txn, id: u64, body: &Map<String, Json>) -> Result<(), Failure> {
    let id = GroupId(id);
    let present = txn.group(id);
    let present = present.as_deref();
    let (name, ldap) = (text(body, "name")?, truth(body, "is_ldap_group")?);
    let patch = GroupPatch {
        name: name.filter(|wished| present.is_none_or(|group| group.name != *wished)),
        ldap: ldap.filter(|wished| present.is_none_or(|group| group.ldap != *wished)),
        users: None,
    };
    Ok(txn.update_group(id, patch)?)
}
