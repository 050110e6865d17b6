//! `/-/backup`, `/-/restore`: the whole tree as an archive (rule: http/backup).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderValue, header};
use axum::response::Response;
use kompira_schema::error::Fault;
use serde_json::{Value as Json, json};

use super::lines::{self, of_fault};
use super::transfer::{Options, outside_mounts, owner_only};
use crate::http::answer;
use crate::http::answer::Failure;
use crate::http::route::{Answer, Ask};
use crate::http::stream;
use crate::secrets::Keys;
use crate::transfer::{backup, import};

/// A file or directory below `run/` that goes when it is dropped.
struct Spool(PathBuf);

impl Spool {
    fn new(ask: &Ask, what: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{what}-{}-{count}", std::process::id());
        Self(ask.service.about.data.join("run").join(name))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes an archive of this moment and sends it.
pub(super) async fn backup(ask: &Arc<Ask>) -> Answer {
    super::privileged(ask)?;
    let asked = Arc::clone(ask);
    let (spool, file, size) = ask
        .service
        .pool
        .wait(move || -> Result<_, Failure> {
            let service = &asked.service;
            let config = service.about.data.join("kompira.conf");
            let options = backup::Options {
                config: config.exists().then_some(config),
                now: service.clock.now(),
                key_id: service.keys.kid().to_owned(),
            };
            let spool = Spool::new(&asked, "backup");
            let view = service.tree.view();
            backup::backup(&view, &asked.who, spool.path(), &options, &mut |_| {})?;
            let file = std::fs::File::open(spool.path()).map_err(Fault::internal)?;
            let size = file.metadata().map_err(Fault::internal)?.len();
            Ok((spool, file, size))
        })
        .await?;
    let body = stream::body(&ask.service.pool, file, size, spool);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    Ok(response)
}

/// Restores an archive into a tree that holds nothing of anybody's, or with `force` over it.
pub(super) fn restore(ask: &Arc<Ask>, body: Option<Json>) -> Answer {
    owner_only(ask)?;
    super::privileged(ask)?;
    let wish = Options::read(body)?;
    let archive = outside_mounts(ask, wish.text("archive").unwrap_or_default())?;
    let files: Vec<PathBuf> =
        wish.texts("secret_key_files").into_iter().map(PathBuf::from).collect();
    let force = wish.flag("force");
    lines::stream(ask, move |ask, lines| {
        let further = files.iter().map(|path| Keys::load(path)).collect::<Result<Vec<_>, _>>()?;
        let own = ask.service.keys.as_ref();
        let keys: Vec<&Keys> = std::iter::once(own).chain(&further).collect();
        let spool = Spool::new(ask, "restore");
        let restored = backup::restore(
            &ask.service.tree,
            &ask.who,
            &archive,
            spool.path(),
            &keys,
            force,
            &mut |event| match event {
                import::Event::Line(text) => lines.tell(&json!({"line": text})),
                import::Event::Warning { at, told } => {
                    lines.tell(&json!({"path": at, "warning": answer::text(&told)}));
                }
                import::Event::Error { at, fault } => {
                    lines.tell(&json!({"path": at, "error": of_fault(&fault)}));
                }
            },
        )?;
        let known = keys.iter().any(|key| key.kid() == restored.key_id);
        Ok(json!({
            "revision": restored.revision,
            "created": restored.created,
            "key_id": restored.key_id,
            "key_known": known,
            "counters": restored.counters,
        }))
    })
}
