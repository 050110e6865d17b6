//! A disk that can be filled.

use std::path::PathBuf;
use std::process::Command;

/// A small file system of its own, gone with this value.
pub struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where nothing can be mounted.
    pub fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: only the system's root can mount a small file system");
        }
        mounted.then_some(Self(dir))
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
