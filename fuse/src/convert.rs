//! Between the kernel's words and the tree's.

use std::time::{Duration, SystemTime};

use fuser::{Errno, FileAttr, FileType, INodeNo, OpenAccMode, OpenFlags, TimeOrNow};
use kompira_schema::error::Fault;
use kompira_schema::tree::{Attr, Ino, NodeKind, OpenHow, SetTime};

/// Who owns every node, as `stat` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

const BLOCK_BYTES: u32 = 4096;
const STAT_BLOCK_BYTES: u64 = 512;

pub(crate) fn errno(fault: &Fault) -> Errno {
    Errno::from_i32(fault.kind().errno())
}

pub(crate) const fn ino(number: INodeNo) -> Ino {
    Ino(number.0)
}

pub(crate) const fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::File => FileType::RegularFile,
        NodeKind::Dir => FileType::Directory,
        NodeKind::Symlink => FileType::Symlink,
    }
}

pub(crate) fn file_attr(attr: &Attr, owner: Owner) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size,
        blocks: attr.size.div_ceil(STAT_BLOCK_BYTES),
        atime: system_time(attr.mtime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: system_time(attr.birth),
        kind: file_type(attr.kind),
        perm: attr.mode,
        nlink: attr.nlink,
        uid: owner.uid,
        gid: owner.gid,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

fn system_time(time: jiff::Timestamp) -> SystemTime {
    time.into()
}

/// A time the calendar cannot hold is the server's clock.
pub(crate) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => {
            jiff::Timestamp::try_from(time).map_or(SetTime::Now, SetTime::At)
        }
    }
}

pub(crate) fn open_how(flags: OpenFlags) -> OpenHow {
    let has = |bit: i32| flags.0 & bit != 0;
    OpenHow {
        read: flags.acc_mode() != OpenAccMode::O_WRONLY,
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
        append: has(libc::O_APPEND),
        truncate: has(libc::O_TRUNC),
        exclusive: has(libc::O_EXCL),
        sync: has(libc::O_SYNC) || has(libc::O_DSYNC),
    }
}

/// Never longer than this, however fresh a cache is told to be.
pub(crate) const TTL_DEFAULT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_flags_become_intentions() {
        let how = open_how(OpenFlags(libc::O_WRONLY | libc::O_APPEND | libc::O_TRUNC));
        assert!(!how.read && how.write && how.append && how.truncate);
        assert!(!how.exclusive && !how.sync);
        let how = open_how(OpenFlags(libc::O_RDWR | libc::O_EXCL | libc::O_SYNC));
        assert!(how.read && how.write && how.exclusive && how.sync);
        assert!(!open_how(OpenFlags(libc::O_RDONLY)).write);
    }
}
