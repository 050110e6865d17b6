//! Plays the kernel's part over the file tree: walks paths, keeps handles, closes.

use std::sync::Arc;

use kompira::base::clock;
use kompira::files::{Files, Options};
use kompira::secrets::Keys;
use kompira::store::Store;
use kompira::tree::{self, Tree};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::UserId;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::{
    Attr, Caller, FileTree, Handle, Ino, Interface, OpenHow, RenameMode, SetAttr, SetTime,
};

/// A tree in memory, seen through one session of files.
pub(crate) struct Mount {
    pub(crate) tree: Tree,
    pub(crate) files: Files,
    pub(crate) who: Caller,
    _spill: tempfile::TempDir,
}

pub(crate) const WRITE: OpenHow = OpenHow {
    read: false,
    write: true,
    append: false,
    truncate: false,
    exclusive: false,
    sync: false,
};
pub(crate) const READ: OpenHow = OpenHow { read: true, write: false, ..WRITE };
pub(crate) const TRUNCATE: OpenHow = OpenHow { truncate: true, ..WRITE };
pub(crate) const EXCLUSIVE: OpenHow = OpenHow { exclusive: true, ..WRITE };
pub(crate) const APPEND: OpenHow = OpenHow { append: true, ..WRITE };

pub(crate) fn root(interface: Interface) -> Caller {
    Caller {
        user: UserId(1),
        interface,
        remote: None,
        process: None,
        request: "test".into(),
        exec: None,
    }
}

impl Mount {
    /// With an empty directory `/d`.
    pub(crate) fn new() -> Self {
        let keys = Arc::new(Keys::from_text("a key for tests"));
        let clock = Arc::new(clock::System::new());
        let (tree, _) =
            Tree::new(Store::memory(), keys, Arc::clone(&clock) as _, tree::Options::default())
                .unwrap();
        let spill = tempfile::tempdir().unwrap();
        let options = Options { spill: spill.path().to_owned(), ..Options::default() };
        let files = Files::new(&tree, clock, options);
        let mount = Self { tree, files, who: root(Interface::Fs), _spill: spill };
        mount.mkdir("/d").unwrap();
        mount
    }

    fn split<'p>(&self, path: &'p str) -> Result<(Ino, &'p str), Fault> {
        let (dir, name) = path.rsplit_once('/').expect("absolute");
        Ok((self.ino(dir)?, name))
    }

    pub(crate) fn ino(&self, path: &str) -> Result<Ino, Fault> {
        let mut at = Ino::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.files.lookup(&self.who, at, name)?.ino;
        }
        Ok(at)
    }

    pub(crate) fn stat(&self, path: &str) -> Result<Attr, Fault> {
        let ino = self.ino(path)?;
        self.files.attr(&self.who, ino, None)
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.stat(path).is_ok()
    }

    pub(crate) fn mkdir(&self, path: &str) -> Result<Attr, Fault> {
        let (dir, name) = self.split(path)?;
        self.files.mkdir(&self.who, dir, name, 0o755)
    }

    /// As `open(2)` with `O_CREAT`.
    pub(crate) fn create(&self, path: &str, how: OpenHow) -> Result<(Ino, Handle), Fault> {
        let (dir, name) = self.split(path)?;
        if let Ok(attr) = self.files.lookup(&self.who, dir, name) {
            if how.exclusive {
                return Err(Fault::new(Kind::Exists, kompira_schema::message!("test")));
            }
            return Ok((attr.ino, self.files.open(&self.who, attr.ino, how)?.handle));
        }
        let (attr, opened) = self.files.create(&self.who, dir, name, 0o644, how)?;
        Ok((attr.ino, opened.handle))
    }

    pub(crate) fn open(&self, path: &str, how: OpenHow) -> Result<Handle, Fault> {
        Ok(self.files.open(&self.who, self.ino(path)?, how)?.handle)
    }

    pub(crate) fn put(&self, handle: Handle, offset: u64, data: &[u8]) -> Result<(), Fault> {
        self.files.write(&self.who, handle, offset, data)
    }

    pub(crate) fn flush(&self, handle: Handle) -> Result<(), Fault> {
        self.files.flush(&self.who, handle)
    }

    /// `close(2)` of the only descriptor.
    pub(crate) fn close(&self, handle: Handle) -> Result<(), Fault> {
        let result = self.files.flush(&self.who, handle);
        self.files.release(handle);
        result
    }

    pub(crate) fn fill(&self, path: &str, how: OpenHow, data: &[u8]) -> Result<(), Fault> {
        let (_, handle) = self.create(path, how)?;
        let written = if data.is_empty() { Ok(()) } else { self.put(handle, 0, data) };
        let closed = self.close(handle);
        written.and(closed)
    }

    /// `cat > path`.
    pub(crate) fn write(&self, path: &str, data: &str) -> Result<(), Fault> {
        self.fill(path, TRUNCATE, data.as_bytes())
    }

    pub(crate) fn append(&self, path: &str, data: &str) -> Result<(), Fault> {
        self.fill(path, APPEND, data.as_bytes())
    }

    pub(crate) fn read(&self, path: &str) -> Result<String, Fault> {
        Ok(String::from_utf8(self.bytes(path)?).unwrap())
    }

    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, Fault> {
        let size = self.stat(path)?.size;
        let handle = self.open(path, READ)?;
        let mut all = Vec::new();
        loop {
            let piece = self.files.read(&self.who, handle, all.len() as u64, 4096)?;
            if piece.is_empty() {
                break;
            }
            all.extend_from_slice(&piece);
        }
        self.close(handle)?;
        assert_eq!(all.len() as u64, size, "stat tells the size of {path}");
        Ok(all)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.rename_as(from, to, RenameMode::Replace)
    }

    pub(crate) fn rename_as(&self, from: &str, to: &str, mode: RenameMode) -> Result<(), Fault> {
        self.ino(from)?;
        self.files.rename(&self.who, self.split(from)?, self.split(to)?, mode)
    }

    pub(crate) fn unlink(&self, path: &str) -> Result<(), Fault> {
        let (dir, name) = self.split(path)?;
        self.files.unlink(&self.who, dir, name)
    }

    pub(crate) fn rmdir(&self, path: &str) -> Result<(), Fault> {
        let (dir, name) = self.split(path)?;
        self.files.rmdir(&self.who, dir, name)
    }

    pub(crate) fn chmod(&self, path: &str, mode: u16) -> Result<Attr, Fault> {
        let set = SetAttr { mode: Some(mode), ..SetAttr::default() };
        self.files.set_attr(&self.who, self.ino(path)?, None, &set)
    }

    pub(crate) fn utimens(&self, path: &str, seconds: i64) -> Result<Attr, Fault> {
        let time = jiff::Timestamp::from_second(seconds).unwrap();
        let set = SetAttr { mtime: Some(SetTime::At(time)), ..SetAttr::default() };
        self.files.set_attr(&self.who, self.ino(path)?, None, &set)
    }

    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let ino = self.ino(path).unwrap();
        let handle = self.files.open_dir(&self.who, ino).unwrap();
        let mut names = Vec::new();
        let mut cursor = 0;
        loop {
            let before = names.len();
            let mut room = 3;
            self.files
                .list(&self.who, ino, handle, cursor, true, &mut |entry| {
                    if room == 0 {
                        return false;
                    }
                    room -= 1;
                    assert!(entry.cursor > cursor, "cursors grow");
                    assert_eq!(entry.attr.as_ref().map(|attr| attr.ino), Some(entry.ino));
                    cursor = entry.cursor;
                    names.push(entry.name);
                    true
                })
                .unwrap();
            if names.len() == before {
                break;
            }
        }
        self.files.release_dir(handle);
        names.sort();
        names
    }

    /// What the other doors see: type name and content of an object.
    pub(crate) fn object(&self, path: &str) -> Option<(u64, String, tree::Object)> {
        let view = self.tree.view();
        let id = view.resolve(&ObjectPath::parse(path).unwrap()).ok()?;
        let object = view.get(&root(Interface::Api), id).ok()?;
        Some((id.0, object.stub.def.name.clone(), object))
    }

    pub(crate) fn id(&self, path: &str) -> u64 {
        self.object(path).unwrap_or_else(|| panic!("{path} is an object")).0
    }

    pub(crate) fn type_of(&self, path: &str) -> String {
        self.object(path).unwrap_or_else(|| panic!("{path} is an object")).1
    }

    pub(crate) fn xattr(&self, path: &str, name: &str) -> Result<String, Fault> {
        let ino = self.ino(path)?;
        let value = self.files.get_xattr(&self.who, ino, &format!("user.kompira.{name}"))?;
        Ok(String::from_utf8(value).unwrap())
    }
}

/// The error number of a failure.
pub(crate) fn errno<T: std::fmt::Debug>(result: Result<T, Fault>) -> i32 {
    result.unwrap_err().kind().errno()
}
