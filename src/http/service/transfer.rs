//! `/-/export-dir`, `/-/import-dir`: trees of files on the server's machine, for its owner
//! (rule: http/transfer).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::UserId;
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Interface;
use serde_json::{Map, Value as Json, json};

use super::lines::{self, of_fault};
use crate::files::shown::{self, Attachments};
use crate::http::answer::{self, Failure};
use crate::http::route::{Answer, Ask};
use crate::secrets::Keys;
use crate::transfer::directory::Directory;
use crate::transfer::linesep::LineSep;
use crate::transfer::{export, import};
use crate::tree::{Passwords, View};

/// Files are read and written as the server's user, so only that user may ask.
pub(super) fn owner_only(ask: &Ask) -> Result<(), Fault> {
    if ask.who.interface == Interface::Mng {
        return Ok(());
    }
    Err(Fault::new(Kind::Denied, message!("http.owner_only")))
}

/// The options of a command, as JSON.
pub(super) struct Options(Map<String, Json>);

impl Options {
    pub(super) fn read(body: Option<Json>) -> Result<Self, Failure> {
        match body {
            Some(Json::Object(map)) => Ok(Self(map)),
            _ => Err(Failure::field("", "Send a JSON object.")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Json::as_bool).unwrap_or_default()
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Json::as_str)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<&str> {
        let list = self.0.get(key).and_then(Json::as_array);
        list.into_iter().flatten().filter_map(Json::as_str).collect()
    }

    fn object(&self, key: &str) -> Result<ObjectPath, Failure> {
        let text = self.text(key).unwrap_or("/");
        ObjectPath::parse(text).map_err(|fault| Failure::field(key, answer::text(fault.told())))
    }

    fn linesep(&self, default: LineSep) -> Result<LineSep, Failure> {
        match self.text("linesep") {
            None => Ok(default),
            Some(word) => LineSep::read(word).ok_or_else(|| {
                Failure::field("linesep", "One of os_linesep, lf, crlf, no_change.")
            }),
        }
    }
}

/// A path of the file system that the server may touch: not one of its own mounts.
pub(super) fn outside_mounts(ask: &Ask, path: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(path);
    if !path.is_absolute() {
        return Err(Failure::field("path", "An absolute path of the file system."));
    }
    let mounted = ask.service.about.mounts.iter().any(|mount| path.starts_with(Path::new(mount)));
    if mounted {
        return Err(Failure::field("path", "A directory of the mount itself: choose one outside."));
    }
    Ok(path)
}

pub(super) fn export(ask: &Arc<Ask>, body: Option<Json>) -> Answer {
    owner_only(ask)?;
    let wish = Options::read(body)?;
    let origin = wish.object("directory")?;
    let paths =
        wish.texts("paths").into_iter().map(ObjectPath::parse).collect::<Result<Vec<_>, _>>()?;
    let out = outside_mounts(ask, wish.text("current").unwrap_or_default())?;
    let linesep = wish.linesep(LineSep::Lf)?;
    let attachments = match (wish.flag("inline_attachments"), wish.flag("without_attachments")) {
        (true, _) => Attachments::Inline,
        (_, true) => Attachments::Omit,
        _ => Attachments::Companion,
    };
    lines::stream(ask, move |ask, lines| {
        let view: View = ask.service.tree.view();
        let options = export::Options {
            shown: shown::Options {
                properties: wish.flag("property_mode"),
                times: wish.flag("datetime_mode"),
                attachments,
                passwords: if wish.flag("without_passwords") {
                    Passwords::Omit
                } else {
                    Passwords::Encrypted
                },
                origin: view.resolve(&origin)?,
            },
            origin,
            linesep,
            recursive: !wish.flag("no_recursive"),
        };
        let mut sink = Directory::new(&out, wish.flag("prune"))?;
        let mut exported = Vec::new();
        let counters =
            export::export_dir(&view, &ask.who, &paths, &options, &mut sink, &mut |event| {
                match event.fault {
                    None => lines.tell(&json!({"path": event.path})),
                    Some(fault) => {
                        lines.tell(&json!({"path": event.path, "error": of_fault(fault)}));
                    }
                }
            })?;
        for path in &paths {
            let below =
                path.as_str().strip_prefix(options.origin.as_str()).unwrap_or(path.as_str());
            exported.push(below.trim_start_matches('/').to_owned());
        }
        sink.finish(&exported)?;
        Ok(json!(counters))
    })
}

pub(super) fn import(ask: &Arc<Ask>, body: Option<Json>) -> Answer {
    owner_only(ask)?;
    let wish = Options::read(body)?;
    let sources: Vec<PathBuf> = wish
        .texts("sources")
        .into_iter()
        .map(|path| outside_mounts(ask, path))
        .collect::<Result<_, _>>()?;
    let user = match wish.text("user") {
        None => None,
        Some(name) => Some(user(ask, name)?),
    };
    let options = import::Options {
        origin: wish.object("directory")?,
        overwrite: wish.flag("overwrite_mode"),
        owner_mode: wish.flag("owner_mode"),
        user,
        update_config: wish.flag("update_config_mode"),
        now_updated: wish.flag("now_updated_mode"),
        linesep: wish.linesep(LineSep::Crlf)?,
        atomic: wish.flag("atomic"),
        dry_run: wish.flag("dry_run"),
        restore: wish.flag("restore_mode"),
    };
    let further = wish.text("secret_key_file").map(PathBuf::from);
    lines::stream(ask, move |ask, lines| {
        let further = further.as_deref().map(Keys::load).transpose()?;
        let mut keys: Vec<&Keys> = vec![ask.service.keys.as_ref()];
        keys.extend(&further);
        let counters = import::import_dir(
            &ask.service.tree,
            &ask.who,
            &sources,
            &keys,
            &options,
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
        Ok(json!(counters))
    })
}

/// A user by number or name.
fn user(ask: &Ask, text: &str) -> Result<UserId, Failure> {
    let view = ask.service.tree.view();
    let by_number = text.parse().ok().and_then(|number| view.user(UserId(number)));
    let found = by_number.or_else(|| view.user_by_name(text));
    let missing = || Failure::field("user", format!("User '{text}' does not exist."));
    found.map(|user| user.id).ok_or_else(missing)
}
