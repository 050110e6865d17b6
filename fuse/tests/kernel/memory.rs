//! A file tree in memory: the smallest thing the adaptor can show.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::Rev;
use kompira_schema::message;
use kompira_schema::tree::{
    Attr, Caller, Change, Changes, DirEntry, FileTree, Handle, Ino, NodeKind, OpenHow, Opened,
    RenameMode, SetAttr, SetTime, Sink, Space, XattrMode,
};

struct Node {
    kind: NodeKind,
    data: Vec<u8>,
    names: BTreeMap<String, Ino>,
    mode: u16,
    mtime: Timestamp,
    xattrs: BTreeMap<String, Vec<u8>>,
}

type Listener = Box<dyn FnMut(&Changes) -> bool + Send>;

#[derive(Default)]
struct State {
    nodes: HashMap<Ino, Node>,
    handles: HashMap<u64, (Ino, bool)>,
    /// A listing is of the moment at which the directory was opened.
    listings: HashMap<u64, Vec<(String, Ino)>>,
    next: u64,
    rev: u64,
}

/// The tree.
pub(crate) struct Memory {
    state: Mutex<State>,
    listeners: Mutex<Vec<Listener>>,
}

fn fault(kind: Kind) -> Fault {
    Fault::new(kind, message!("internal"))
}

fn node(kind: NodeKind, mode: u16) -> Node {
    let mtime = Timestamp::UNIX_EPOCH;
    Node { kind, data: Vec::new(), names: BTreeMap::new(), mode, mtime, xattrs: BTreeMap::new() }
}

impl State {
    fn node(&self, ino: Ino) -> Result<&Node, Fault> {
        self.nodes.get(&ino).ok_or_else(|| fault(Kind::NotFound))
    }

    fn node_mut(&mut self, ino: Ino) -> Result<&mut Node, Fault> {
        self.nodes.get_mut(&ino).ok_or_else(|| fault(Kind::NotFound))
    }

    fn attr(&self, ino: Ino) -> Result<Attr, Fault> {
        let node = self.node(ino)?;
        Ok(Attr {
            ino,
            kind: node.kind,
            size: node.data.len() as u64,
            mode: node.mode,
            nlink: 1,
            mtime: node.mtime,
            ctime: node.mtime,
            birth: node.mtime,
            rev: Rev(self.rev),
            generation: 0,
        })
    }

    fn make(&mut self, dir: Ino, name: &str, made: Node) -> Result<Ino, Fault> {
        if self.node(dir)?.names.contains_key(name) {
            return Err(fault(Kind::Exists));
        }
        self.next += 1;
        let ino = Ino(self.next);
        self.nodes.insert(ino, made);
        self.node_mut(dir)?.names.insert(name.to_owned(), ino);
        Ok(ino)
    }

    fn take(&mut self, dir: Ino, name: &str) -> Result<Ino, Fault> {
        self.node_mut(dir)?.names.remove(name).ok_or_else(|| fault(Kind::NotFound))
    }

    fn handle(&mut self, ino: Ino, append: bool) -> Handle {
        self.next += 1;
        self.handles.insert(self.next, (ino, append));
        Handle(self.next)
    }

    fn opened(&self, open: Handle) -> Result<(Ino, bool), Fault> {
        self.handles.get(&open.0).copied().ok_or_else(|| fault(Kind::Internal))
    }
}

impl Memory {
    pub(crate) fn new() -> Self {
        let mut state = State { next: 1, ..State::default() };
        state.nodes.insert(Ino::ROOT, node(NodeKind::Dir, 0o755));
        Self { state: Mutex::new(state), listeners: Mutex::default() }
    }

    /// Changes a file behind the kernel's back, as another door would.
    pub(crate) fn change(&self, name: &str, data: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.rev += 1;
        let ino = state.nodes[&Ino::ROOT].names[name];
        state.node_mut(ino).unwrap().data = data.to_vec();
        self.tell(state.rev, vec![Change::Content(ino)]);
    }

    /// Removes a file behind the kernel's back.
    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.rev += 1;
        let ino = state.take(Ino::ROOT, name).unwrap();
        let gone = Change::Gone { dir: Ino::ROOT, ino, name: name.to_owned() };
        self.tell(state.rev, vec![gone]);
    }

    pub(crate) fn open_handles(&self) -> usize {
        self.state.lock().unwrap().handles.len()
    }

    fn tell(&self, rev: u64, changes: Vec<Change>) {
        let changes = Changes { rev: Rev(rev), origin: None, changes };
        self.listeners.lock().unwrap().retain_mut(|listener| listener(&changes));
    }
}

impl FileTree for Memory {
    fn lookup(&self, _: &Caller, dir: Ino, name: &str) -> Result<Attr, Fault> {
        let state = self.state.lock().unwrap();
        let ino = *state.node(dir)?.names.get(name).ok_or_else(|| fault(Kind::NotFound))?;
        state.attr(ino)
    }

    fn attr(&self, _: &Caller, ino: Ino, _: Option<Handle>) -> Result<Attr, Fault> {
        self.state.lock().unwrap().attr(ino)
    }

    fn set_attr(
        &self,
        _: &Caller,
        ino: Ino,
        _: Option<Handle>,
        set: &SetAttr,
    ) -> Result<Attr, Fault> {
        let mut state = self.state.lock().unwrap();
        let node = state.node_mut(ino)?;
        if let Some(size) = set.size {
            node.data.resize(usize::try_from(size).unwrap(), 0);
        }
        if let Some(mode) = set.mode {
            node.mode = mode;
        }
        if let Some(SetTime::At(time)) = set.mtime {
            node.mtime = time;
        }
        state.attr(ino)
    }

    fn open_dir(&self, _: &Caller, dir: Ino) -> Result<Handle, Fault> {
        let mut state = self.state.lock().unwrap();
        let names = state.node(dir)?.names.clone().into_iter().collect();
        let open = state.handle(dir, false);
        state.listings.insert(open.0, names);
        Ok(open)
    }

    fn list(
        &self,
        _: &Caller,
        _: Ino,
        open: Handle,
        cursor: u64,
        with_attr: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        let state = self.state.lock().unwrap();
        for (index, (name, ino)) in state.listings[&open.0].iter().enumerate() {
            let at = index as u64 + 1;
            // What was removed since is passed over.
            let Some(attr) = state.attr(*ino).ok().filter(|_| at > cursor) else { continue };
            let (kind, name) = (attr.kind, name.clone());
            let attr = with_attr.then_some(attr);
            if !sink(DirEntry { name, ino: *ino, kind, attr, cursor: at }) {
                break;
            }
        }
        Ok(())
    }

    fn release_dir(&self, open: Handle) {
        self.state.lock().unwrap().listings.remove(&open.0);
        self.release(open);
    }

    fn open(&self, _: &Caller, ino: Ino, how: OpenHow) -> Result<Opened, Fault> {
        let mut state = self.state.lock().unwrap();
        if how.truncate {
            state.node_mut(ino)?.data.clear();
        }
        let handle = state.handle(ino, how.append);
        Ok(Opened { handle, keep_cache: false, direct: false })
    }

    fn create(
        &self,
        _: &Caller,
        dir: Ino,
        name: &str,
        mode: u16,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        let mut state = self.state.lock().unwrap();
        let ino = state.make(dir, name, node(NodeKind::File, mode))?;
        let handle = state.handle(ino, how.append);
        Ok((state.attr(ino)?, Opened { handle, keep_cache: false, direct: false }))
    }

    fn read(&self, _: &Caller, open: Handle, offset: u64, size: u32) -> Result<Vec<u8>, Fault> {
        let state = self.state.lock().unwrap();
        let data = &state.node(state.opened(open)?.0)?.data;
        let start = usize::try_from(offset).unwrap().min(data.len());
        let end = (start + size as usize).min(data.len());
        Ok(data[start..end].to_vec())
    }

    fn write(&self, _: &Caller, open: Handle, offset: u64, data: &[u8]) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap();
        let (ino, append) = state.opened(open)?;
        let node = state.node_mut(ino)?;
        let start = if append { node.data.len() } else { usize::try_from(offset).unwrap() };
        if node.data.len() < start + data.len() {
            node.data.resize(start + data.len(), 0);
        }
        node.data[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self, _: &Caller, open: Handle) -> Result<(), Fault> {
        let state = self.state.lock().unwrap();
        // A record that does not validate, in miniature.
        match state.node(state.opened(open)?.0)?.data.as_slice() {
            b"refuse me" => Err(fault(Kind::Invalid)),
            _ => Ok(()),
        }
    }

    fn fsync(&self, who: &Caller, open: Handle) -> Result<(), Fault> {
        self.flush(who, open)
    }

    fn release(&self, open: Handle) {
        self.state.lock().unwrap().handles.remove(&open.0);
    }

    fn fsync_dir(&self, _: &Caller, _: Ino) -> Result<(), Fault> {
        Ok(())
    }

    fn mkdir(&self, _: &Caller, dir: Ino, name: &str, mode: u16) -> Result<Attr, Fault> {
        let mut state = self.state.lock().unwrap();
        let ino = state.make(dir, name, node(NodeKind::Dir, mode))?;
        state.attr(ino)
    }

    fn rmdir(&self, _: &Caller, dir: Ino, name: &str) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap();
        let ino = *state.node(dir)?.names.get(name).ok_or_else(|| fault(Kind::NotFound))?;
        if !state.node(ino)?.names.is_empty() {
            return Err(fault(Kind::NotEmpty));
        }
        state.take(dir, name).map(|_| ())
    }

    fn unlink(&self, _: &Caller, dir: Ino, name: &str) -> Result<(), Fault> {
        self.state.lock().unwrap().take(dir, name).map(|_| ())
    }

    fn rename(
        &self,
        _: &Caller,
        from: (Ino, &str),
        to: (Ino, &str),
        mode: RenameMode,
    ) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap();
        let there = state.node(to.0)?.names.get(to.1).copied();
        if there.is_some() && mode == RenameMode::NoReplace {
            return Err(fault(Kind::Exists));
        }
        let ino = state.take(from.0, from.1)?;
        state.node_mut(to.0)?.names.insert(to.1.to_owned(), ino);
        if let (RenameMode::Exchange, Some(other)) = (mode, there) {
            state.node_mut(from.0)?.names.insert(from.1.to_owned(), other);
        }
        Ok(())
    }

    fn symlink(&self, _: &Caller, dir: Ino, name: &str, target: &str) -> Result<Attr, Fault> {
        let mut state = self.state.lock().unwrap();
        let mut link = node(NodeKind::Symlink, 0o777);
        link.data = target.as_bytes().to_vec();
        let ino = state.make(dir, name, link)?;
        state.attr(ino)
    }

    fn readlink(&self, _: &Caller, ino: Ino) -> Result<String, Fault> {
        let state = self.state.lock().unwrap();
        Ok(String::from_utf8(state.node(ino)?.data.clone()).unwrap())
    }

    fn get_xattr(&self, _: &Caller, ino: Ino, name: &str) -> Result<Vec<u8>, Fault> {
        let state = self.state.lock().unwrap();
        state.node(ino)?.xattrs.get(name).cloned().ok_or_else(|| fault(Kind::NoAttribute))
    }

    fn set_xattr(
        &self,
        _: &Caller,
        ino: Ino,
        name: &str,
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap();
        let xattrs = &mut state.node_mut(ino)?.xattrs;
        match (mode, xattrs.contains_key(name)) {
            (XattrMode::Create, true) => Err(fault(Kind::Exists)),
            (XattrMode::Replace, false) => Err(fault(Kind::NoAttribute)),
            _ => {
                xattrs.insert(name.to_owned(), value.to_vec());
                Ok(())
            }
        }
    }

    fn list_xattr(&self, _: &Caller, ino: Ino) -> Result<Vec<String>, Fault> {
        Ok(self.state.lock().unwrap().node(ino)?.xattrs.keys().cloned().collect())
    }

    fn remove_xattr(&self, _: &Caller, ino: Ino, name: &str) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap();
        let gone = state.node_mut(ino)?.xattrs.remove(name);
        gone.map(|_| ()).ok_or_else(|| fault(Kind::NoAttribute))
    }

    fn space(&self, _: &Caller) -> Result<Space, Fault> {
        Ok(Space { total: 1 << 30, free: 1 << 29, nodes: 7 })
    }

    fn forget(&self, _: Ino, _: u64) {}

    fn watch(&self, listener: Listener) {
        self.listeners.lock().unwrap().push(listener);
    }
}
