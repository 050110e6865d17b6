//! `/-/fsck`: whether the store is as it should be (rule: http/fsck).

use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::transfer::Options;
use crate::http::answer;
use crate::http::route::{Answer, Ask};
use crate::store::check::Depth;

/// Checks the rows, with `bytes` also every byte of every blob; with `repair` makes again what
/// follows from other rows.
pub(super) fn fsck(ask: &Ask, body: Option<Json>) -> Answer {
    super::privileged(ask)?;
    let wish = Options::read(body.or_else(|| Some(json!({}))))?;
    let depth = if wish.flag("bytes") { Depth::Bytes } else { Depth::Rows };
    let store = ask.service.tree.store();
    let (report, repaired) =
        if wish.flag("repair") { store.repair(depth)? } else { (store.check(depth)?, 0) };
    let findings: Vec<Json> = report
        .findings
        .iter()
        .map(|finding| {
            json!({"message": answer::text(&finding.message), "repairable": finding.repairable()})
        })
        .collect();
    let body = json!({
        "clean": report.is_clean(),
        "findings": findings,
        "unlisted": report.unlisted,
        "repaired": repaired,
        "nodes": report.nodes,
        "blobs": report.blobs,
        "rows": report.rows,
    });
    Ok(answer::json(StatusCode::OK, &body))
}
