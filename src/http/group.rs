//! `/config/group` and its members (rule: http/groups).

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::id::GroupId;
use serde_json::{Map, Value as Json};

use super::answer::{self, Failure};
use super::filter::Attribute;
use super::object::{Want, escape, finish, with_location};
use super::route::{Answer, Ask, nothing};
use super::user::{object, on_name, rows_answer, text, truth};
use crate::auth::Group;
use crate::tree::principals::{GroupDraft, GroupPatch};

const TABLE: &[(&str, Attribute)] =
    &[("name", Attribute::Text), ("is_ldap_group", Attribute::Truth)];

/// `/config/group`.
pub(super) async fn collection(ask: &Arc<Ask>, body: Body) -> Answer {
    if ask.method != Method::POST {
        return ask
            .blocking(|ask| {
                let groups = ask.service.tree.view().groups();
                let rows = groups.iter().map(|group| Json::Object(render(group))).collect();
                rows_answer(ask, rows, TABLE)
            })
            .await;
    }
    let body = object(ask.body(body).await?)?;
    ask.blocking(move |ask| create(ask, &body)).await
}

/// `/config/group/id_N`.
pub(super) async fn member(ask: &Arc<Ask>, body: Body) -> Answer {
    let id = GroupId(ask.id);
    ask.blocking(move |ask| ask.service.tree.view().group(id).map(drop).ok_or_else(nothing))
        .await?;
    match ask.method {
        Method::PUT | Method::PATCH => {
            let body = object(ask.body(body).await?)?;
            ask.blocking(move |ask| update(ask, id, &body)).await
        }
        Method::DELETE => {
            ask.blocking(move |ask| {
                ask.write(|txn| txn.delete_group(id))?;
                Ok(answer::nothing())
            })
            .await
        }
        _ => ask.blocking(move |ask| detail(ask, id, StatusCode::OK)).await,
    }
}

fn detail(ask: &Ask, id: GroupId, status: StatusCode) -> Answer {
    let group = ask.service.tree.view().group(id).ok_or_else(nothing)?;
    let response = answer::json(status, &Want::of(&ask.query).select(render(&group)));
    if status != StatusCode::CREATED {
        return Ok(response);
    }
    Ok(with_location(response, &format!("/config/group/id_{id}")))
}

fn render(group: &Group) -> Map<String, Json> {
    let entries: [(&str, Json); 4] = [
        ("id", group.id.0.into()),
        ("abspath", format!("/config/group/id_{}", group.id).into()),
        ("name", group.name.clone().into()),
        ("is_ldap_group", group.ldap.into()),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn create(ask: &Ask, body: &Map<String, Json>) -> Answer {
    let name = text(body, "name")?;
    let name = name.ok_or_else(|| Failure::field("name", "This field is required."))?;
    let ldap = truth(body, "is_ldap_group")?.unwrap_or_default();
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        txn.create_group(GroupDraft { name: name.clone(), ldap })
            .map_err(|fault| escape(&mut refused, on_name("name", fault)))
    });
    let id = finish(done, refused)?.value;
    detail(ask, id, StatusCode::CREATED)
}

fn update(ask: &Ask, id: GroupId, body: &Map<String, Json>) -> Answer {
    let name = text(body, "name")?;
    if ask.method == Method::PUT && name.is_none() {
        return Err(Failure::field("name", "This field is required."));
    }
    let ldap = truth(body, "is_ldap_group")?;
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        let present = txn.group(id);
        let differs = |wished: &String| present.as_ref().is_none_or(|group| group.name != *wished);
        let patch = GroupPatch {
            name: name.clone().filter(differs),
            ldap: ldap.filter(|wished| present.as_ref().is_none_or(|group| group.ldap != *wished)),
            users: None,
        };
        txn.update_group(id, patch).map_err(|fault| escape(&mut refused, on_name("name", fault)))
    });
    finish(done, refused)?;
    detail(ask, id, StatusCode::OK)
}
