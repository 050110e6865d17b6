//! The kernel's requests as calls of a [`FileTree`]. Nothing is decided here.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use kompira_schema::error::Fault;
use kompira_schema::tree::{
    Attr, Caller, FileTree, Handle, Opened, RenameMode, SetAttr, XattrMode,
};

use crate::convert::{Owner, errno, file_attr, file_type, ino, open_how, set_time};
use crate::linger::Linger;
use crate::mount::Peers;

/// Bytes of a name that a file system can show.
const NAME_BYTES_MAX: usize = 255;
/// Bytes of one write request: as large as the kernel allows by default.
const WRITE_BYTES_MAX: u32 = 1 << 20;
const BLOCK_BYTES: u64 = 4096;
/// Capabilities of a program.
const CAPABILITY: &str = "security.capability";

/// Answers the kernel.
pub(crate) struct Adaptor {
    tree: Arc<dyn FileTree>,
    peers: Peers,
    owner: Owner,
    ttl: Duration,
    linger: Arc<Linger>,
}

/// Either the error number, or what the rest of the handler works with.
macro_rules! attempt {
    ($reply:ident, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return $reply.error(error),
        }
    };
}

impl Adaptor {
    pub(crate) fn new(
        tree: Arc<dyn FileTree>,
        peers: Peers,
        owner: Owner,
        ttl: Duration,
        linger: Arc<Linger>,
    ) -> Self {
        Self { tree, peers, owner, ttl, linger }
    }

    fn who(&self, request: &Request) -> Result<Caller, Errno> {
        (self.peers)(request.uid()).ok_or(Errno::EACCES)
    }

    fn entry(&self, reply: ReplyEntry, result: Result<Attr, Fault>) {
        match result {
            Ok(attr) => {
                let shown = file_attr(&attr, self.owner);
                reply.entry(&self.ttl, &shown, Generation(attr.generation));
            }
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    /// The error number; faults of ours are logged on the way, since the kernel keeps no text.
    fn told(&self, fault: &Fault) -> Errno {
        if let Some(inner) = fault.inner() {
            tracing::warn!(kind = fault.kind().name(), inner, "request of the mount failed");
        }
        errno(fault)
    }

    fn done<T>(&self, reply: ReplyEmpty, result: Result<T, Fault>) {
        match result {
            Ok(_) => reply.ok(),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }
}

fn text(name: &OsStr) -> Result<&str, Errno> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    name.to_str().ok_or(Errno::EINVAL)
}

fn handle(number: FileHandle) -> Handle {
    Handle(number.0)
}

fn open_reply(opened: &Opened) -> (FileHandle, FopenFlags) {
    let mut flags = FopenFlags::empty();
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
    flags.set(FopenFlags::FOPEN_DIRECT_IO, opened.direct);
    (FileHandle(opened.handle.0), flags)
}

impl Filesystem for Adaptor {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_AUTO_INVAL_DATA
            | InitFlags::FUSE_HANDLE_KILLPRIV
            // With it the kernel asks for the capabilities of a file once, not at every write.
            | InitFlags::FUSE_HANDLE_KILLPRIV_V2;
        // What an older kernel lacks is done without.
        let _ = config.add_capabilities(wanted & config.capabilities());
        let _ = config.set_max_write(WRITE_BYTES_MAX);
        let _ = config.set_max_readahead(WRITE_BYTES_MAX);
        Ok(())
    }

    fn lookup(&self, request: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        self.entry(reply, self.tree.lookup(&who, ino(dir), name));
    }

    fn forget(&self, _: &Request, node: INodeNo, count: u64) {
        self.tree.forget(ino(node), count);
    }

    fn getattr(
        &self,
        request: &Request,
        node: INodeNo,
        open: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        match self.tree.attr(&who, ino(node), open.map(handle)) {
            Ok(attr) => reply.attr(&self.ttl, &file_attr(&attr, self.owner)),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        open: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let set = SetAttr {
            size,
            mode: mode.map(mode_bits),
            uid,
            gid,
            mtime: mtime.map(set_time),
            atime: atime.map(set_time),
        };
        match self.tree.set_attr(&who, ino(node), open.map(handle), &set) {
            Ok(attr) => reply.attr(&self.ttl, &file_attr(&attr, self.owner)),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn readlink(&self, request: &Request, node: INodeNo, reply: ReplyData) {
        let who = attempt!(reply, self.who(request));
        match self.tree.readlink(&who, ino(node)) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    /// Regular files alone: devices, pipes and sockets are `EPERM`.
    fn mknod(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        if mode & libc::S_IFMT != libc::S_IFREG {
            return reply.error(Errno::EPERM);
        }
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        let how = open_how(OpenFlags(libc::O_WRONLY | libc::O_EXCL));
        let made = self.tree.create(&who, ino(dir), name, mode_bits(mode & !umask), how);
        let made = made.and_then(|(attr, opened)| {
            let flushed = self.tree.flush(&who, opened.handle);
            self.tree.release(opened.handle);
            flushed.map(|()| attr)
        });
        self.entry(reply, made);
    }

    fn mkdir(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        self.entry(reply, self.tree.mkdir(&who, ino(dir), name, mode_bits(mode & !umask)));
    }

    fn unlink(&self, request: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        self.done(reply, self.tree.unlink(&who, ino(dir), name));
    }

    fn rmdir(&self, request: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        self.done(reply, self.tree.rmdir(&who, ino(dir), name));
    }

    fn symlink(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        let target = attempt!(reply, target.to_str().ok_or(Errno::EINVAL));
        self.entry(reply, self.tree.symlink(&who, ino(dir), name, target));
    }

    fn rename(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        to_dir: INodeNo,
        to_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        let to_name = attempt!(reply, text(to_name));
        let mode = if flags.is_empty() {
            RenameMode::Replace
        } else if flags == RenameFlags::RENAME_NOREPLACE {
            RenameMode::NoReplace
        } else if flags == RenameFlags::RENAME_EXCHANGE {
            RenameMode::Exchange
        } else {
            return reply.error(Errno::EINVAL);
        };
        let (from, to) = ((ino(dir), name), (ino(to_dir), to_name));
        self.done(reply, self.tree.rename(&who, from, to, mode));
    }

    /// An object has one name.
    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn open(&self, request: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let how = open_how(flags);
        match self.tree.open(&who, ino(node), how) {
            Ok(opened) => {
                let (number, mut flags) = open_reply(&opened);
                // Who cannot have written has nothing to hear at `close`.
                flags.set(FopenFlags::FOPEN_NOFLUSH, !how.write && !how.truncate);
                reply.opened(number, flags);
            }
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn create(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        let how = open_how(OpenFlags(flags));
        match self.tree.create(&who, ino(dir), name, mode_bits(mode & !umask), how) {
            Ok((attr, opened)) => {
                let (number, flags) = open_reply(&opened);
                let shown = file_attr(&attr, self.owner);
                reply.created(&self.ttl, &shown, Generation(attr.generation), number, flags);
            }
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn read(
        &self,
        request: &Request,
        _node: INodeNo,
        open: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        match self.tree.read(&who, handle(open), offset, size) {
            Ok(data) => reply.data(&data),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn write(
        &self,
        request: &Request,
        _node: INodeNo,
        open: FileHandle,
        offset: u64,
        data: &[u8],
        _write: WriteFlags,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        let size = attempt!(reply, u32::try_from(data.len()).map_err(|_| Errno::EINVAL));
        match self.tree.write(&who, handle(open), offset, data) {
            Ok(()) => reply.written(size),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn flush(
        &self,
        request: &Request,
        _node: INodeNo,
        open: FileHandle,
        _lock: LockOwner,
        reply: ReplyEmpty,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        self.done(reply, self.tree.flush(&who, handle(open)));
    }

    fn release(
        &self,
        _: &Request,
        _node: INodeNo,
        open: FileHandle,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let _serving = self.linger.request();
        self.tree.release(handle(open));
        reply.ok();
    }

    fn fsync(
        &self,
        request: &Request,
        _node: INodeNo,
        open: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        self.done(reply, self.tree.fsync(&who, handle(open)));
    }

    fn opendir(&self, request: &Request, dir: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        match self.tree.open_dir(&who, ino(dir)) {
            Ok(open) => reply.opened(FileHandle(open.0), FopenFlags::empty()),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn readdir(
        &self,
        request: &Request,
        dir: INodeNo,
        open: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        for (at, name) in dots(offset) {
            if reply.add(dir, at, FileType::Directory, name) {
                return reply.ok();
            }
        }
        let cursor = offset.saturating_sub(DOTS);
        let listed = self.tree.list(&who, ino(dir), handle(open), cursor, false, &mut |entry| {
            let node = INodeNo(entry.ino.0);
            !reply.add(node, entry.cursor + DOTS, file_type(entry.kind), &entry.name)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn readdirplus(
        &self,
        request: &Request,
        dir: INodeNo,
        open: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let _serving = self.linger.request();
        let who = attempt!(reply, self.who(request));
        if offset < DOTS {
            let own = attempt!(reply, self.tree.attr(&who, ino(dir), None).map_err(|f| errno(&f)));
            let shown = file_attr(&own, self.owner);
            for (at, name) in dots(offset) {
                if reply.add(dir, at, name, &self.ttl, &shown, Generation(own.generation)) {
                    return reply.ok();
                }
            }
        }
        let cursor = offset.saturating_sub(DOTS);
        let listed = self.tree.list(&who, ino(dir), handle(open), cursor, true, &mut |entry| {
            // An entry whose attributes could not be had is left to a later lookup.
            let Some(attr) = entry.attr else { return true };
            let shown = file_attr(&attr, self.owner);
            let generation = Generation(attr.generation);
            let (node, at) = (INodeNo(entry.ino.0), entry.cursor + DOTS);
            !reply.add(node, at, &entry.name, &self.ttl, &shown, generation)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _dir: INodeNo,
        open: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let _serving = self.linger.request();
        self.tree.release_dir(handle(open));
        reply.ok();
    }

    fn fsyncdir(
        &self,
        request: &Request,
        dir: INodeNo,
        _open: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let who = attempt!(reply, self.who(request));
        self.done(reply, self.tree.fsync_dir(&who, ino(dir)));
    }

    fn statfs(&self, request: &Request, _node: INodeNo, reply: ReplyStatfs) {
        let who = attempt!(reply, self.who(request));
        match self.tree.space(&who) {
            Ok(space) => {
                let (blocks, free) = (space.total / BLOCK_BYTES, space.free / BLOCK_BYTES);
                let (block, name) = (BLOCK_BYTES as u32, NAME_BYTES_MAX as u32);
                reply.statfs(blocks, free, free, space.nodes, u64::MAX >> 1, block, name, block);
            }
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn setxattr(
        &self,
        request: &Request,
        node: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        let mode = match flags {
            libc::XATTR_CREATE => XattrMode::Create,
            libc::XATTR_REPLACE => XattrMode::Replace,
            _ => XattrMode::Set,
        };
        self.done(reply, self.tree.set_xattr(&who, ino(node), name, value, mode));
    }

    fn getxattr(
        &self,
        request: &Request,
        node: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        let _serving = self.linger.request();
        // Asked for at the first write to every file; nobody can set it.
        if name == CAPABILITY {
            return reply.error(Errno::NO_XATTR);
        }
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        match self.tree.get_xattr(&who, ino(node), name) {
            Ok(value) => xattr_reply(reply, &value, size),
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn listxattr(&self, request: &Request, node: INodeNo, size: u32, reply: ReplyXattr) {
        let who = attempt!(reply, self.who(request));
        match self.tree.list_xattr(&who, ino(node)) {
            Ok(names) => {
                let list: Vec<u8> = names.iter().flat_map(|name| name.bytes().chain([0])).collect();
                xattr_reply(reply, &list, size);
            }
            Err(fault) => reply.error(self.told(&fault)),
        }
    }

    fn removexattr(&self, request: &Request, node: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let who = attempt!(reply, self.who(request));
        let name = attempt!(reply, text(name));
        self.done(reply, self.tree.remove_xattr(&who, ino(node), name));
    }

    /// No file here is a device. Programs ask (is it a terminal?), and the library's own answer
    /// would be a warning in the log each time.
    fn ioctl(
        &self,
        _: &Request,
        _node: INodeNo,
        _open: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _out: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    /// The owner's bits are computed for the caller, so they alone count.
    fn access(&self, request: &Request, node: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        let who = attempt!(reply, self.who(request));
        match self.tree.attr(&who, ino(node), None) {
            Ok(attr) => {
                let wanted = mask.bits() & 0o7;
                let given = i32::from(attr.mode >> 6) & 0o7;
                if wanted & !given == 0 { reply.ok() } else { reply.error(Errno::EACCES) }
            }
            Err(fault) => reply.error(self.told(&fault)),
        }
    }
}

/// Entries that come before those of the tree: `.` and `..`.
const DOTS: u64 = 2;

/// The dot entries after `offset`, each with the offset that continues behind it. Both carry the
/// directory's own number: the kernel keeps the real parent itself.
fn dots(offset: u64) -> impl Iterator<Item = (u64, &'static str)> {
    [(1, "."), (DOTS, "..")].into_iter().filter(move |(at, _)| *at > offset)
}

/// Permission bits of a mode.
fn mode_bits(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).expect("twelve bits fit into sixteen")
}

fn xattr_reply(reply: ReplyXattr, value: &[u8], size: u32) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
    }
}
