//! Reads a backup into an empty tree.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names::{self, FileName, Stem};
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, NodeKind};
use kompira_schema::types;
use zeroize::Zeroizing;

use super::{LINKS, Link, PRINCIPALS, Principals, SCRATCH, TIMES, TREE, Times};
use crate::secrets::Keys;
use crate::store::Durability;
use crate::transfer::archive::Reader;
use crate::transfer::import::{Counters, Event, Options, import_dir};
use crate::transfer::linesep::LineSep;
use crate::tree::{Content, GroupDraft, Tree, UserDraft, UserPatch, View};

/// Most bytes of the principals and of one line.
const PRINCIPALS_BYTES_MAX: u64 = 256 << 20;

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The revision that the archive held.
    pub revision: u64,
    /// When it was made.
    pub created: String,
    /// Names the key that the passwords in it need.
    pub key_id: String,
    /// What the import of its tree did.
    pub counters: Counters,
}

/// Verifies the whole archive, then restores it. `spool` is a directory for the extracted files,
/// on the data directory's disk; it is removed afterwards.
///
/// # Errors
/// [`Kind::NotEmpty`] when the tree holds objects that users made and `force` is off; whatever is
/// wrong with the archive. Nothing is changed then.
pub fn restore(
    tree: &Tree,
    who: &Caller,
    archive: &Path,
    spool: &Path,
    keys: &[&Keys],
    force: bool,
    told: &mut dyn FnMut(Event),
) -> Result<Restored, Fault> {
    if !force && has_objects(tree)? {
        return Err(Fault::new(Kind::NotEmpty, message!("restore.not_empty")));
    }
    let mut reader = Reader::open(archive)?;
    reader.verify(|_| ())?;
    let spool = Spool::new(spool)?;
    let modes = spool.extract(&mut reader)?;
    let people = reader.bytes(PRINCIPALS, PRINCIPALS_BYTES_MAX)?;
    let people: Principals = serde_json::from_slice(&people).map_err(|error| {
        Fault::new(Kind::Invalid, message!("restore.bad_principals")).because(error)
    })?;
    principals(tree, who, &people)?;
    let options = Options {
        overwrite: true,
        owner_mode: true,
        update_config: true,
        restore: true,
        linesep: LineSep::NoChange,
        ..Options::default()
    };
    let counters = import_dir(tree, who, &[spool.0.join(TREE)], keys, &options, told)?;
    homes(tree, who, &people)?;
    scratch(tree, who, &spool, &modes)?;
    times(tree, who, &spool)?;
    tree.sync()?;
    let manifest = reader.manifest();
    Ok(Restored {
        revision: manifest.revision,
        created: manifest.created.clone(),
        key_id: manifest.key_id.clone(),
        counters,
    })
}

/// Whether there is an object that is not part of the initial tree.
fn has_objects(tree: &Tree) -> Result<bool, Fault> {
    let view = tree.view();
    let mut stack = vec![ObjectId::ROOT];
    while let Some(dir) = stack.pop() {
        let page = view.entries(dir, None, usize::MAX)?;
        for (entry, head) in view.with_heads(page)? {
            let initial = || {
                let path = view.path_of_head(&head);
                types::factory().objects.iter().any(|object| Some(&object.path) == path.as_ref())
            };
            if !head.factory && !initial() {
                return Ok(true);
            }
            if entry.container {
                stack.push(entry.id);
            }
        }
    }
    Ok(false)
}

/// The extracted archive; gone when dropped.
struct Spool(PathBuf);

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Spool {
    fn new(dir: &Path) -> Result<Self, Fault> {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir)
            .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)))
            .map_err(|error| spooled(dir, &error))?;
        Ok(Self(dir.to_owned()))
    }

    /// Writes every member out; the modes of scratch nodes by path.
    fn extract(&self, reader: &mut Reader) -> Result<HashMap<String, u16>, Fault> {
        let names: Vec<String> = reader.members("").map(|member| member.name.clone()).collect();
        let mut modes = HashMap::new();
        for name in names {
            let place = self.0.join(&name);
            let mode = reader.mode(&name).unwrap_or(0o644);
            if name.ends_with('/') {
                fs::create_dir_all(&place).map_err(|error| spooled(&place, &error))?;
            } else {
                let dir = place.parent().unwrap_or(&self.0);
                fs::create_dir_all(dir).map_err(|error| spooled(dir, &error))?;
                let mut file = fs::File::create(&place).map_err(|error| spooled(&place, &error))?;
                reader.copy(&name, &mut file)?;
                file.flush().map_err(|error| spooled(&place, &error))?;
                let permissions = fs::Permissions::from_mode(u32::from(mode) & 0o755 | 0o600);
                fs::set_permissions(&place, permissions)
                    .map_err(|error| spooled(&place, &error))?;
            }
            if let Some(path) = name.strip_prefix(SCRATCH) {
                modes.insert(path.trim_end_matches('/').to_owned(), mode);
            }
        }
        let tree = self.0.join(TREE);
        fs::create_dir_all(&tree).map_err(|error| spooled(&tree, &error))?;
        Ok(modes)
    }

    fn lines<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Fault> {
        let place = self.0.join(name);
        let Ok(file) = fs::File::open(&place) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|error| spooled(&place, &error))?;
            rows.push(serde_json::from_str(&line).map_err(|error| {
                Fault::new(Kind::Invalid, message!("restore.bad_line", file = name)).because(error)
            })?);
        }
        Ok(rows)
    }
}

fn spooled(place: &Path, error: &std::io::Error) -> Fault {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull => Kind::Full,
        _ => Kind::Io,
    };
    let told = message!("restore.spool", path = place.display(), reason = error);
    Fault::new(kind, told).because(error)
}

/// Groups, then users; those that exist take over what the archive says of them.
fn principals(tree: &Tree, who: &Caller, people: &Principals) -> Result<(), Fault> {
    let done = tree.write(who, Durability::Lazy, |txn| {
        for group in &people.groups {
            if txn.group_by_name(&group.name).is_none() {
                txn.create_group(GroupDraft { name: group.name.clone(), ldap: group.ldap })?;
            }
        }
        for row in &people.users {
            let groups =
                row.groups.iter().filter_map(|name| Some(txn.group_by_name(name)?.id)).collect();
            let patch = UserPatch {
                first_name: Some(row.first_name.clone()),
                last_name: Some(row.last_name.clone()),
                email: Some(row.email.clone()),
                groups: Some(groups),
                active: Some(row.active),
                ldap: Some(row.ldap),
                last_login: Some(row.last_login),
                password_hash: Some(row.password.clone().map(Zeroizing::new)),
                ..UserPatch::default()
            };
            match txn.user_by_name(&row.username).map(|user| user.id) {
                Some(id) => txn.update_user(id, patch)?,
                None => {
                    let username = row.username.clone();
                    let patch = UserPatch { home: Some(None), ..patch };
                    txn.create_user(UserDraft { username, password: None, rest: patch })?;
                }
            }
        }
        Ok(())
    });
    done.map(|_| ())
}

/// What users point at exists only after the import.
fn homes(tree: &Tree, who: &Caller, people: &Principals) -> Result<(), Fault> {
    let done = tree.write(who, Durability::Lazy, |txn| {
        for row in &people.users {
            let find = |path: &Option<String>| {
                let path = ObjectPath::parse(path.as_deref()?).ok()?;
                txn.resolve(&path).ok()
            };
            let (home, environment) = (find(&row.home), find(&row.environment));
            let Some(id) = txn.user_by_name(&row.username).map(|user| user.id) else { continue };
            let patch = UserPatch {
                home: Some(home),
                environment: Some(environment),
                ..UserPatch::default()
            };
            txn.update_user(id, patch)?;
        }
        Ok(())
    });
    done.map(|_| ())
}

fn times(tree: &Tree, who: &Caller, spool: &Spool) -> Result<(), Fault> {
    /// Objects of one commit: enough to be quick, few enough to keep it small.
    const BATCH: usize = 500;
    for batch in spool.lines::<Times>(TIMES)?.chunks(BATCH) {
        tree.write(who, Durability::Lazy, |txn| {
            for row in batch {
                let path = ObjectPath::parse(&row.path)?;
                if let Some(id) = txn.find_path(&path)? {
                    txn.set_times(id, row.created, row.updated, row.mtime)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Scratch nodes, directories before what is in them.
fn scratch(
    tree: &Tree,
    who: &Caller,
    spool: &Spool,
    modes: &HashMap<String, u16>,
) -> Result<(), Fault> {
    let links: HashMap<String, String> =
        spool.lines::<Link>(LINKS)?.into_iter().map(|link| (link.path, link.target)).collect();
    let mut paths: Vec<&String> = modes.keys().chain(links.keys()).collect();
    paths.sort();
    for path in paths {
        let place = spool.0.join(SCRATCH).join(path);
        let (node, content) = if let Some(target) = links.get(path) {
            (NodeKind::Symlink, Content::from(target.as_str()))
        } else if place.is_dir() {
            (NodeKind::Dir, Content::from(""))
        } else {
            let mut open = fs::File::open(&place).map_err(|error| spooled(&place, &error))?;
            let (hash, size) = tree.store().blobs().put(&mut open, u64::MAX)?;
            (NodeKind::File, Content::Blob { hash, size })
        };
        let mode = modes.get(path).copied().unwrap_or(0o777);
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        tree.write(who, Durability::Lazy, |txn| {
            let Some(parent) = scratch_parent(txn, dir)? else { return Ok(()) };
            if txn.child(parent, name)?.is_none() {
                txn.scratch_create(parent, name, node, None, mode, content.clone())?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The directory of a scratch node: file names of objects first, scratch names from some point on.
fn scratch_parent(view: &View, dir: &str) -> Result<Option<ObjectId>, Fault> {
    let mut at = ObjectId::ROOT;
    let mut in_scratch = false;
    for part in dir.split('/').filter(|part| !part.is_empty()) {
        let found = match names::classify(part) {
            FileName::Object { stem: Stem::Name(name), .. } if !in_scratch => {
                view.child(at, name.as_str())?
            }
            FileName::Object { stem: Stem::Short(_), .. } if !in_scratch => {
                let all = view.entries(at, None, usize::MAX)?;
                all.into_iter().find(|entry| {
                    let name = Name::new(&entry.name).ok();
                    name.is_some_and(|name| {
                        names::file_name(&name, entry.suffix.as_deref()) == part
                    })
                })
            }
            _ => view.child(at, part)?,
        };
        let Some(entry) = found else { return Ok(None) };
        in_scratch |= !entry.is_object();
        at = entry.id;
    }
    Ok(Some(at))
}
