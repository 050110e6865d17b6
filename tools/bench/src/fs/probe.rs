//! The state of one run: where it works, what it measured, what went wrong.

use super::settings::Settings;
use crate::report::Sample;
use crate::statistics::Latencies;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A run in progress.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    /// The fresh folder of this run.
    pub(super) root: PathBuf,
    pub(super) settings: &'a Settings,
    pub(super) samples: Vec<Sample>,
    pub(super) errors: Vec<String>,
}

impl<'a> Probe<'a> {
    pub(super) fn new(root: PathBuf, settings: &'a Settings) -> Self {
        Self { root, settings, samples: Vec::new(), errors: Vec::new() }
    }

    /// Remembers a failure; the run will not count.
    pub(super) fn fail(&mut self, what: &str, path: &Path, why: impl Display) {
        self.errors.push(format!("{what} {}: {why}", path.display()));
    }

    /// Remembers the failure of a call.
    pub(super) fn check<T, E: Display>(
        &mut self,
        what: &str,
        path: &Path,
        done: Result<T, E>,
    ) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(what, path, error);
                None
            }
        }
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    pub(super) fn directory(&self, number: usize) -> PathBuf {
        self.root.join(format!("tree/d{number:03}"))
    }

    /// Where small file `number` lies.
    pub(super) fn file(&self, number: usize) -> PathBuf {
        let Settings { dirs, ext, .. } = self.settings;
        self.root.join(format!("tree/d{:03}/obj{number:05}.{ext}", number % dirs))
    }

    /// The temporary file an editor would write beside it.
    pub(super) fn beside(&self, number: usize) -> PathBuf {
        let Settings { dirs, ext, .. } = self.settings;
        self.root.join(format!("tree/d{:03}/.obj{number:05}.{ext}.tmp", number % dirs))
    }

    /// Notes `count` operations since `since`.
    pub(super) fn took(&mut self, metric: &str, unit: &'static str, count: usize, since: Instant) {
        let seconds = since.elapsed().as_secs_f64();
        self.samples.push(Sample::new(metric, unit, count as f64, seconds));
    }

    /// The same with the times of single operations.
    pub(super) fn took_each(
        &mut self,
        metric: &str,
        unit: &'static str,
        count: usize,
        since: Instant,
        each: &Latencies,
    ) {
        let seconds = since.elapsed().as_secs_f64();
        self.samples.push(Sample::new(metric, unit, count as f64, seconds).with(each));
    }

    /// Lets the kernel forget names and inodes, and file pages too when `pages`.
    pub(super) fn cold(&mut self, pages: bool) {
        if !self.settings.drop {
            return;
        }
        rustix::fs::sync();
        let path = Path::new("/proc/sys/vm/drop_caches");
        let done = fs::write(path, if pages { "3\n" } else { "2\n" });
        self.check("drop caches through", path, done);
    }
}
