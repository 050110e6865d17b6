//! Writes a backup.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Buf as _;
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, NodeKind};
use serde::Serialize;

use super::{
    CONFIG, GroupRow, LINKS, Link, PRINCIPALS, Principals, SCRATCH, TIMES, TREE, Times, UserRow,
};
use crate::files::shown;
use crate::transfer::archive::{Manifest, Writer};
use crate::transfer::export::{self, BlobReader, export_dir};
use crate::transfer::linesep::LineSep;
use crate::transfer::sink::{File, Sink};
use crate::tree::{Content, Entry, View};

const PAGE_ENTRIES: usize = 1000;

/// What goes into a backup besides the tree.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// When it is made.
    pub now: Timestamp,
    /// Names the key under which passwords are encrypted.
    pub key_id: String,
}

/// Writes the archive `target`: absent or complete. The caller must be privileged.
///
/// # Errors
/// [`Kind::Denied`], [`Kind::Exists`], [`Kind::Full`]; the first object that cannot be read.
pub fn backup(
    view: &View,
    who: &Caller,
    target: &Path,
    options: &Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Manifest, Fault> {
    if !view.privileged(who.user) {
        return Err(Fault::new(Kind::Denied, message!("backup.not_privileged")));
    }
    let mut writer = Writer::create(target)?;
    tree(view, who, &mut writer, progress)?;
    let mut rest = Rest { view, who, writer: &mut writer, times: Vec::new(), links: Vec::new() };
    rest.walk()?;
    let (times, links) = (rest.times, rest.links);
    writer.add(TIMES, 0o600, &mut times.as_slice())?;
    writer.add(LINKS, 0o600, &mut links.as_slice())?;
    let people = serde_json::to_vec_pretty(&principals(view)).map_err(Fault::internal)?;
    writer.add(PRINCIPALS, 0o600, &mut people.as_slice())?;
    if let Some(config) = options.config.as_deref().filter(|path| path.exists()) {
        let mut open = std::fs::File::open(config).map_err(|error| {
            let told = message!("backup.no_config", path = config.display());
            Fault::new(Kind::Io, told).because(error)
        })?;
        writer.add(CONFIG, 0o600, &mut open)?;
    }
    writer.finish(view.rev().0, options.now.to_string(), &options.key_id)
}

fn tree(
    view: &View,
    who: &Caller,
    writer: &mut Writer,
    progress: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    let how = export::Options {
        origin: ObjectPath::root(),
        shown: shown::Options::default(),
        linesep: LineSep::NoChange,
        recursive: true,
    };
    let mut failed = None;
    let counters = export_dir(
        view,
        who,
        &[ObjectPath::root()],
        &how,
        &mut Members { writer },
        &mut |event| {
            progress(event.path);
            if let (Some(fault), None) = (event.fault, &failed) {
                failed = Some(fault.clone());
            }
        },
    )?;
    // A backup that leaves something out is none.
    match failed {
        Some(fault) => Err(fault),
        None if counters.error + counters.skipped > 0 => Err(Fault::internal("objects left out")),
        None => Ok(()),
    }
}

/// Files of the export as members below `tree/`.
struct Members<'a> {
    writer: &'a mut Writer,
}

impl Sink for Members<'_> {
    fn dir(&mut self, path: &str) -> Result<(), Fault> {
        self.writer.add_dir(&format!("{TREE}{path}"), 0o755)
    }

    fn file(&mut self, file: File<'_>) -> Result<(), Fault> {
        self.writer.add(&format!("{TREE}{}", file.path), file.mode, file.content)
    }
}

/// What the export tree does not hold: times of objects, and scratch.
struct Rest<'a> {
    view: &'a View,
    who: &'a Caller,
    writer: &'a mut Writer,
    times: Vec<u8>,
    links: Vec<u8>,
}

impl Rest<'_> {
    fn walk(&mut self) -> Result<(), Fault> {
        let mut stack = vec![(ObjectId::ROOT, String::new(), String::new())];
        while let Some((dir, objects, files)) = stack.pop() {
            let mut after: Option<String> = None;
            loop {
                let page = self.view.entries(dir, after.as_deref(), PAGE_ENTRIES)?;
                let full = page.len() == PAGE_ENTRIES;
                after = page.last().map(|entry| entry.name.clone());
                for (entry, head) in self.view.with_heads(page)? {
                    let at = if entry.is_object() {
                        let path = format!("{objects}/{}", entry.name);
                        let (created, updated, mtime) = (head.created, head.updated, head.mtime);
                        let times = Times { path: path.clone(), created, updated, mtime };
                        line(&mut self.times, &times)?;
                        (path, format!("{files}{}/", file_name(&entry)?))
                    } else {
                        let file = format!("{files}{}", entry.name);
                        self.scratch(&entry, u32::from(head.mode), &file)?;
                        (String::new(), format!("{file}/"))
                    };
                    if entry.container || entry.node == NodeKind::Dir {
                        stack.push((entry.id, at.0, at.1));
                    }
                }
                if !full {
                    break;
                }
            }
        }
        Ok(())
    }

    fn scratch(&mut self, entry: &Entry, mode: u32, path: &str) -> Result<(), Fault> {
        let member = format!("{SCRATCH}{path}");
        if entry.node == NodeKind::Dir {
            return self.writer.add_dir(&member, if mode == 0 { 0o755 } else { mode });
        }
        let mode = if mode == 0 { 0o644 } else { mode };
        let content = self.view.content(self.who, entry.id)?;
        if entry.node == NodeKind::Symlink {
            let Content::Inline(target) = content else { return Ok(()) };
            let target = String::from_utf8_lossy(&target).into_owned();
            return line(&mut self.links, &Link { path: path.to_owned(), target });
        }
        match content {
            Content::Inline(bytes) => self.writer.add(&member, mode, &mut bytes.reader()),
            Content::Blob { hash, size } => {
                let mut reader = BlobReader::new(self.view, hash, size);
                let added = self.writer.add(&member, mode, &mut reader as &mut dyn Read);
                match reader.fault.take() {
                    Some(fault) => Err(fault),
                    None => added,
                }
            }
        }
    }
}

fn file_name(entry: &Entry) -> Result<String, Fault> {
    Ok(names::file_name(&Name::new(&entry.name)?, entry.suffix.as_deref()))
}

fn line<T: Serialize>(into: &mut Vec<u8>, row: &T) -> Result<(), Fault> {
    serde_json::to_writer(&mut *into, row).map_err(Fault::internal)?;
    into.push(b'\n');
    Ok(())
}

fn principals(view: &View) -> Principals {
    let path = |id: Option<ObjectId>| Some(view.path_of(id?)?.to_string());
    let groups = view.groups();
    let users = view.users();
    Principals {
        groups: groups
            .iter()
            .map(|group| GroupRow { name: group.name.clone(), ldap: group.ldap })
            .collect(),
        users: users
            .iter()
            .map(|user| UserRow {
                username: user.username.clone(),
                password: user.password.clone(),
                first_name: user.first_name.clone(),
                last_name: user.last_name.clone(),
                email: user.email.clone(),
                environment: path(user.environment),
                home: path(user.home),
                groups: user.groups.iter().map(|&group| view.group_name(group)).collect(),
                active: user.active,
                ldap: user.ldap,
                last_login: user.last_login,
            })
            .collect(),
    }
}
