//! A tree on a store on disk, and what is done with it.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use kompira::audit::FileSink;
use kompira::base::clock::System;
use kompira::secrets::Keys;
use kompira::store::kv::Family;
use kompira::store::{Durability, Store, keys};
use kompira::tree::{self, Content, Draft, Query, Tree};
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, Interface};
use kompira_schema::value::{Ref, Value};

/// What each object holds: a script of usual size.
const CONTENT: &str = "#!/bin/sh\n# Says how full the disks are, and fails over the limit.\n\
    df -P | awk 'NR > 1 { print $6, $5 }'\ndf -P | awk 'NR > 1 && $5 + 0 > 90 { bad = 1 } \
    END { exit bad }'\n";
/// Where a server looks for the key of its data directory.
const KEY_FILE: &str = ".secret_key";
/// Objects of a rare type, for the index to find.
const HOSTS: u64 = 100;
/// Creations in one commit when a directory is only filled to be read.
const FILL: u64 = 500;

pub(super) struct World {
    pub(super) tree: Tree,
    store: Store,
    who: Caller,
    text: ObjectId,
    directory: ObjectId,
    node: ObjectId,
}

fn told(fault: Fault) -> String {
    format!("{fault:?}")
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(told)
}

impl World {
    /// A new world in `dir`; `audit`: entries go to their file, as in a server.
    pub(super) fn open(dir: &Path, audit: bool) -> Result<Self, String> {
        let store = Store::open(dir, &kompira::store::Options::default()).map_err(told)?;
        let keys = Arc::new(Keys::create(&dir.join(KEY_FILE), None).map_err(told)?);
        let sink = audit.then(|| {
            let sink: Arc<dyn kompira::audit::Sink> =
                Arc::new(FileSink::new(dir.join("audit.log")));
            sink
        });
        let options = tree::Options {
            audit: sink,
            zone: TimeZone::UTC,
            initial_password: Some("bench-bench".into()),
            ..tree::Options::default()
        };
        let clock = Arc::new(System::new());
        let (tree, _) = Tree::new(store.clone(), keys, clock, options).map_err(told)?;
        let who = Caller {
            user: UserId(1),
            interface: Interface::Api,
            remote: Some("127.0.0.1".into()),
            process: None,
            request: "bench".into(),
            exec: None,
        };
        let type_id = |word: &str| {
            let path = ObjectPath::parse(&format!("/system/types/{word}"))?;
            tree.view().resolve(&path)
        };
        let (text, directory) =
            (type_id("Text").map_err(told)?, type_id("Directory").map_err(told)?);
        let node = type_id("NodeInfo").map_err(told)?;
        Ok(Self { tree, store, who, text, directory, node })
    }

    fn draft() -> Draft {
        Draft { content: Some(Content::Inline(CONTENT.into())), ..Draft::default() }
    }

    /// The directory `/home/NAME`.
    pub(super) fn folder(&self, text: &str) -> Result<ObjectId, String> {
        let home = ObjectPath::parse("/home").map_err(told)?;
        let home = self.tree.view().resolve(&home).map_err(told)?;
        let name = name(text)?;
        let done = self.tree.write(&self.who, Durability::Synced, |txn| {
            txn.create(home, &name, self.directory, Draft::default())
        });
        Ok(done.map_err(told)?.value)
    }

    /// One durable creation.
    pub(super) fn create(&self, folder: ObjectId, text: &str) -> Result<(), String> {
        let name = name(text)?;
        self.tree
            .write(&self.who, Durability::Synced, |txn| {
                txn.create(folder, &name, self.text, Self::draft())
            })
            .map(drop)
            .map_err(told)
    }

    /// A directory with `count` objects, written out to files.
    pub(super) fn filled(&self, text: &str, count: u64) -> Result<ObjectId, String> {
        let folder = self.folder(text)?;
        let mut from = 0;
        while from < count {
            let to = count.min(from + FILL);
            self.tree
                .write(&self.who, Durability::Lazy, |txn| {
                    for number in from..to {
                        let name = Name::new(&format!("n{number:010}"))?;
                        txn.create(folder, &name, self.text, Self::draft())?;
                    }
                    Ok(())
                })
                .map_err(told)?;
            from = to;
        }
        self.store.sync().map_err(told)?;
        Ok(folder)
    }

    pub(super) fn checkpoint(&self, to: &Path) -> Result<(), String> {
        self.store.checkpoint(to).map(drop).map_err(told)
    }

    /// `reads` names out of a filled directory, in an order that `seed` decides.
    pub(super) fn spread(count: u64, reads: u64, seed: u64) -> Vec<String> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("n{:010}", state % count)
        };
        std::iter::repeat_with(next).take(reads as usize).collect()
    }

    /// `reads` paths below a filled directory, in an order that `seed` decides.
    pub(super) fn paths(&self, folder: &str, count: u64, reads: u64, seed: u64) -> Vec<ObjectPath> {
        Self::spread(count, reads, seed)
            .iter()
            .filter_map(|name| ObjectPath::parse(&format!("/home/{folder}/{name}")).ok())
            .collect()
    }

    /// `few` paths below a filled directory, evenly spread over it.
    pub(super) fn some_paths(&self, folder: &str, count: u64, few: u64) -> Vec<ObjectPath> {
        (0..few)
            .map(|at| at * count / few)
            .filter_map(|number| ObjectPath::parse(&format!("/home/{folder}/n{number:010}")).ok())
            .collect()
    }

    /// Resolves a path and reads the object as a client sees it.
    pub(super) fn read(&self, path: &ObjectPath) -> Result<(), String> {
        let view = self.tree.view();
        let id = view.resolve(path).map_err(told)?;
        let object = view.get(&self.who, id).map_err(told)?;
        std::hint::black_box(object);
        Ok(())
    }

    /// The rows that [`World::read`] has to read.
    pub(super) fn keys_of(&self, path: &ObjectPath) -> Result<Vec<(Family, Vec<u8>)>, String> {
        let view = self.tree.view();
        let mut found = Vec::new();
        let mut at = ObjectId::ROOT;
        for name in path.names() {
            found.push((Family::Dirent, keys::dirent(at, name)));
            at = view.child(at, name).map_err(told)?.ok_or("no such name")?.id;
        }
        found.push((Family::Head, keys::object(at).to_vec()));
        found.push((Family::Body, keys::object(at).to_vec()));
        Ok(found)
    }

    /// Lists a directory with the header of each entry; how many there are.
    pub(super) fn list(&self, folder: ObjectId, page: usize) -> Result<u64, String> {
        let view = self.tree.view();
        let (mut after, mut found): (Option<String>, u64) = (None, 0);
        loop {
            let entries = view.children(&self.who, folder, after.as_deref(), page).map_err(told)?;
            let Some(last) = entries.last() else { return Ok(found) };
            after = Some(last.name.clone());
            let listed = view.with_heads(entries).map_err(told)?;
            found += listed.len() as u64;
        }
    }

    /// One page of a directory with the header of each entry.
    pub(super) fn page(&self, folder: ObjectId, after: &str, page: usize) -> Result<u64, String> {
        let view = self.tree.view();
        let entries = view.children(&self.who, folder, Some(after), page).map_err(told)?;
        Ok(view.with_heads(entries).map_err(told)?.len() as u64)
    }

    /// The first page of a directory as HTTP lists it: the objects and how many there are in all.
    pub(super) fn first_page(&self, folder: ObjectId, page: usize) -> Result<(), String> {
        let view = self.tree.view();
        let query = Query { depth: tree::Depth::Children, limit: Some(page), ..Query::default() };
        let found = view.find(&self.who, folder, &query).map_err(told)?;
        if found.ids.len() == page.min(found.total) {
            return Ok(());
        }
        Err(format!("a page of {} and {} in all", found.ids.len(), found.total))
    }

    /// A directory with some objects of a rare type.
    pub(super) fn hosts(&self) -> Result<ObjectId, String> {
        let folder = self.folder("hosts")?;
        self.tree
            .write(&self.who, Durability::Lazy, |txn| {
                for number in 0..HOSTS {
                    let name = Name::new(&format!("host{number:03}"))?;
                    txn.create(folder, &name, self.node, Draft::default())?;
                }
                Ok(())
            })
            .map_err(told)?;
        Ok(folder)
    }

    /// The first objects of the rare type below `/home`, which the index by type answers.
    pub(super) fn find_hosts(&self, page: usize) -> Result<(), String> {
        let view = self.tree.view();
        let home = view.resolve(&ObjectPath::parse("/home").map_err(told)?).map_err(told)?;
        let node = Value::Object(Ref::Object(self.node));
        let query = Query {
            depth: tree::Depth::Descendants,
            conditions: vec![("type_object".into(), node)],
            limit: Some(page),
            ..Query::default()
        };
        let found = view.find(&self.who, home, &query).map_err(told)?;
        if found.ids.len() != page.min(HOSTS as usize) {
            return Err(format!("found {} of {page}", found.ids.len()));
        }
        Ok(())
    }

    /// The rows that [`World::find_hosts`] has to read: the prefix in the index.
    pub(super) fn hosts_prefix(&self) -> Vec<u8> {
        keys::index_type_prefix(self.node)
    }

    /// One durable rename.
    pub(super) fn rename(&self, folder: ObjectId, text: &str) -> Result<(), String> {
        let name = name(text)?;
        self.tree
            .write(&self.who, Durability::Synced, |txn| txn.rename(folder, &name))
            .map(drop)
            .map_err(told)
    }
}
