//! Users and groups (rules: http/users, http/groups): one shape for both. What is shown and what is
//! written is a file of its own.

mod group;
mod user;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::error::{Fault, Kind};
use serde_json::{Map, Value as Json};

use super::answer::{self, Failure};
use super::body::object;
use super::filter::{Attribute, rows_answer};
use super::object::{Want, escape, finish, with_location};
use super::route::{Answer, Ask, nothing};
use super::table::Resource;
use crate::tree::{Txn, View};

/// What is shown, or asked for.
type Fields = Map<String, Json>;

/// Users, or groups.
struct Kinds {
    /// Path of the collection.
    root: &'static str,
    /// Key of the name: a clash or a bad name is told under it.
    name: &'static str,
    /// What filters and orders.
    table: &'static [(&'static str, Attribute)],
    all: fn(&View) -> Vec<Fields>,
    one: fn(&View, u64) -> Option<Fields>,
    /// What must be there when one is made or replaced.
    check: fn(&Fields, &Method) -> Result<(), Failure>,
    create: fn(&mut Txn, &Fields) -> Result<u64, Failure>,
    update: fn(&mut Txn, u64, &Fields) -> Result<(), Failure>,
    delete: fn(&mut Txn, u64) -> Result<(), Fault>,
}

fn kinds(ask: &Ask) -> &'static Kinds {
    match ask.row.resource {
        Resource::Users | Resource::User => &user::KINDS,
        _ => &group::KINDS,
    }
}

/// `/config/user`, `/config/group`.
pub(super) async fn collection(ask: &Arc<Ask>, body: Body) -> Answer {
    let kinds = kinds(ask);
    if ask.method != Method::POST {
        let list = move |ask: &Ask| {
            let rows = (kinds.all)(&ask.service.tree.view()).into_iter().map(Json::Object);
            rows_answer(ask, rows.collect(), kinds.table)
        };
        return ask.blocking(list).await;
    }
    let body = object(ask.body(body).await?)?;
    (kinds.check)(&body, &ask.method)?;
    ask.blocking(move |ask| {
        let id = write(ask, kinds, |txn| (kinds.create)(txn, &body))?;
        let path = format!("{}/id_{id}", kinds.root);
        Ok(with_location(shown(ask, kinds, id, StatusCode::CREATED)?, &path))
    })
    .await
}

/// `/config/user/id_N`, `/config/group/id_N`.
pub(super) async fn member(ask: &Arc<Ask>, body: Body) -> Answer {
    let (kinds, id) = (kinds(ask), ask.id);
    let is_there =
        move |ask: &Ask| (kinds.one)(&ask.service.tree.view(), id).map(drop).ok_or_else(nothing);
    ask.blocking(is_there).await?;
    match ask.method {
        Method::PUT | Method::PATCH => {
            let body = object(ask.body(body).await?)?;
            (kinds.check)(&body, &ask.method)?;
            ask.blocking(move |ask| {
                write(ask, kinds, |txn| (kinds.update)(txn, id, &body))?;
                shown(ask, kinds, id, StatusCode::OK)
            })
            .await
        }
        Method::DELETE => {
            ask.blocking(move |ask| {
                ask.write(|txn| (kinds.delete)(txn, id))?;
                Ok(answer::nothing())
            })
            .await
        }
        _ => ask.blocking(move |ask| shown(ask, kinds, id, StatusCode::OK)).await,
    }
}

fn shown(ask: &Ask, kinds: &Kinds, id: u64, status: StatusCode) -> Answer {
    let json = (kinds.one)(&ask.service.tree.view(), id).ok_or_else(nothing)?;
    Ok(answer::json(status, &Want::of(&ask.query).select(json)))
}

/// Runs a change in one commit.
fn write<T>(
    ask: &Ask,
    kinds: &Kinds,
    work: impl Fn(&mut Txn) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        let done = work(txn).map_err(|failure| on_name(kinds.name, failure));
        done.map_err(|failure| escape(&mut refused, failure))
    });
    Ok(finish(done, refused)?.value)
}

/// A clash or a bad name is a problem of its field.
fn on_name(field: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Fault(fault)
            if matches!(fault.kind(), Kind::Exists | Kind::BadName | Kind::NameTooLong) =>
        {
            Failure::field(field, answer::text(fault.told()))
        }
        other => other,
    }
}
