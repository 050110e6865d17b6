//! What is measured, how much of it, and where.

use super::peers::Place;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Phases in the order in which they run when none are named.
const ALL_PHASES: &str = "abcdefgijkh";
/// Most bytes of one small file: the mount may take more, but then it is no small file.
pub(super) const SIZE_MAX: usize = 65_000;

/// The command line of `kompira-bench fs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Phases: a create, b stat, c listings, d read, e save, f rename of the tree, g one big file,
i git, j grep, k tar, h unlink and rmdir. Phases b to k need a.

Example (as root, beside peers mounted afresh for every round):
  kompira-bench fs --work /var/tmp/bench --with kompira,bindfs,mergerfs,plain --rounds 5")]
pub(crate) struct Arguments {
    /// Folders to measure in, as DIR or LABEL=DIR; each round makes a folder of its own in them
    #[arg(value_name = "DIR")]
    directories: Vec<String>,
    /// File systems to mount below --work for every run: kompira, bindfs, mergerfs, plain (the disk itself), tmpfs
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "work")]
    with: Vec<String>,
    /// Where those keep their data and mount points
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// The program behind `--with kompira`
    #[arg(long, value_name = "FILE", default_value = "kompira")]
    kompira: PathBuf,
    /// Label the ratios are taken of; default: the first one
    #[arg(long, value_name = "LABEL")]
    pub(super) base: Option<String>,
    /// Times everything is measured
    #[arg(long, default_value_t = 3)]
    pub(super) rounds: u32,
    /// Small files
    #[arg(long, default_value_t = 10_000)]
    files: usize,
    /// Directories they lie in
    #[arg(long, default_value_t = 100)]
    dirs: usize,
    /// Bytes of each small file
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Ending of their names
    #[arg(long, default_value = "txt")]
    ext: String,
    /// Body to write; {i} becomes the number of the file, {g} its generation
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Saves by a temporary file and a rename, at most one a file
    #[arg(long, default_value_t = 2000)]
    rewrites: usize,
    /// The same with fsync
    #[arg(long, default_value_t = 100)]
    fsaves: usize,
    /// Renames of the folder that holds all files
    #[arg(long, default_value_t = 20)]
    renames: usize,
    /// MiB of the big file
    #[arg(long, default_value_t = 64)]
    big: usize,
    /// Phases by letter
    #[arg(long, default_value = ALL_PHASES)]
    phases: String,
    /// Do not drop the kernel's caches before cold phases (it needs root)
    #[arg(long)]
    no_drop: bool,
    /// Folder for the tar archive
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Print every run as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// The places to measure, in the order given.
    pub(super) fn places(&self) -> Result<Vec<Place>, String> {
        let mut places = Vec::new();
        for name in &self.with {
            let work = self.work.as_deref().ok_or("--with needs --work")?;
            places.push(Place::peer(name, work, &self.kompira)?);
        }
        for given in &self.directories {
            places.push(Place::given(given)?);
        }
        if places.is_empty() {
            return Err("name a DIR, or file systems by --with".to_owned());
        }
        for (at, place) in places.iter().enumerate() {
            if places.iter().take(at).any(|before| before.label() == place.label()) {
                return Err(format!("two places are called {}: say LABEL=DIR", place.label()));
            }
        }
        Ok(places)
    }
}

/// The workload's numbers.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) files: usize,
    pub(super) dirs: usize,
    pub(super) size: usize,
    pub(super) ext: String,
    pub(super) template: Option<String>,
    pub(super) rewrites: usize,
    pub(super) fsaves: usize,
    pub(super) renames: usize,
    pub(super) big_mib: usize,
    pub(super) phases: String,
    pub(super) drop: bool,
    pub(super) scratch: PathBuf,
}

impl Settings {
    pub(super) fn new(given: &Arguments) -> Result<Self, String> {
        if given.files == 0 || given.dirs == 0 || given.files < given.dirs {
            return Err("--files and --dirs: at least one file a directory".to_owned());
        }
        if given.size < 64 || given.size > SIZE_MAX {
            return Err(format!("--size: 64 to {SIZE_MAX} bytes"));
        }
        if let Some(letter) = given.phases.chars().find(|letter| !ALL_PHASES.contains(*letter)) {
            return Err(format!("--phases: there is no phase {letter}"));
        }
        let template = match &given.template {
            None => None,
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?,
            ),
        };
        Ok(Self {
            files: given.files,
            dirs: given.dirs,
            size: given.size,
            ext: given.ext.clone(),
            template,
            rewrites: given.rewrites.min(given.files),
            fsaves: given.fsaves.min(given.files),
            // An even number, so that the folder has its old name at the end.
            renames: given.renames / 2 * 2,
            big_mib: given.big,
            phases: given.phases.clone(),
            drop: !given.no_drop,
            scratch: given.scratch.clone(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"files": self.files, "dirs": self.dirs, "size": self.size, "ext": self.ext,
               "template": self.template.is_some(), "rewrites": self.rewrites,
               "fsaves": self.fsaves, "renames": self.renames, "big_mib": self.big_mib,
               "phases": self.phases, "drop": self.drop})
    }
}
