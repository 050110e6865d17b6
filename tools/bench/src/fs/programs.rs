//! The phases done by other programs: git, grep, tar.

use super::body::NEEDLE;
use super::probe::Probe;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Settings that keep git from the settings and the housekeeping of the machine it runs on.
const GIT: [&str; 9] = [
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "user.name=bench",
    "-c",
    "user.email=bench@example.invalid",
    "-C",
];

/// Phase i: init, add, commit, status twice, and the repository removed.
pub(super) fn git(probe: &mut Probe<'_>) {
    let (tree, files) = (probe.tree(), probe.settings.files);
    timed(probe, "git_init", 1, git_command(&tree, &["init", "-q"]));
    timed(probe, "git_add", files, git_command(&tree, &["add", "-A"]));
    timed(probe, "git_commit", files, git_command(&tree, &["commit", "-q", "-m", "x"]));
    probe.cold(false);
    for metric in ["git_status_cold", "git_status_warm"] {
        let told = timed(probe, metric, files, git_command(&tree, &["status", "--porcelain"]));
        if !told.is_empty() {
            probe.fail("git status", &tree, "names changes where there are none");
        }
    }
    let start = Instant::now();
    let repository = tree.join(".git");
    run(probe, command("rm", [OsStr::new("-rf"), repository.as_os_str()]));
    probe.took("git_rm", "files/s", files, start);
}

/// Phase j: a recursive search, cold and warm.
pub(super) fn grep(probe: &mut Probe<'_>) {
    let (tree, files) = (probe.tree(), probe.settings.files);
    probe.cold(true);
    for metric in ["grep_cold", "grep_warm"] {
        let mut search = command("grep", ["-r", "-l", NEEDLE]);
        search.arg(&tree);
        if probe.settings.template.is_some() {
            // A template need not hold the word: finding nothing is no failure then.
            let start = Instant::now();
            let done = search.stdout(Stdio::null()).status();
            probe.took(metric, "files/s", files, start);
            probe.check("grep", &tree, done);
            continue;
        }
        let told = timed(probe, metric, files, search);
        let (found, wanted) = (told.lines().count(), files.div_ceil(100));
        if found != wanted {
            probe.fail("grep", &tree, format!("{found} files found, not {wanted}"));
        }
    }
}

/// Phase k: an archive of the tree, unpacked beside it, and that removed.
pub(super) fn tar(probe: &mut Probe<'_>) {
    let files = probe.settings.files;
    let archive = probe.settings.scratch.join(format!("kompira-bench-{}.tar", std::process::id()));
    let (root, beside) = (probe.root.clone(), probe.root.join("un"));
    let mut pack = command("tar", [OsStr::new("-C"), root.as_os_str(), OsStr::new("-cf")]);
    pack.arg(&archive).arg("tree");
    timed(probe, "tar_c", files, pack);
    probe.check("mkdir", &beside, fs::create_dir(&beside));
    let mut unpack = command("tar", [OsStr::new("-C"), beside.as_os_str()]);
    unpack.args(["--no-same-owner", "-xf"]).arg(&archive);
    timed(probe, "tar_x", files, unpack);
    let first = beside.join(format!("tree/d000/obj00000.{}", probe.settings.ext));
    let original = fs::read(probe.file(0)).unwrap_or_default();
    if probe.check("read", &first, fs::read(&first)).is_some_and(|bytes| bytes != original) {
        probe.fail("untar", &first, "the content is not what was packed");
    }
    timed(probe, "rm_rf", files, command("rm", [OsStr::new("-rf"), beside.as_os_str()]));
    probe.check("remove", &archive, fs::remove_file(&archive));
}

fn git_command(tree: &Path, arguments: &[&str]) -> Command {
    let mut git = command("git", GIT);
    git.arg(tree).args(arguments);
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.env("GIT_CONFIG_COUNT", "1");
    git.env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    git
}

fn command<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a program and notes its time; answers what it printed.
fn timed(probe: &mut Probe<'_>, metric: &str, count: usize, command: Command) -> String {
    let start = Instant::now();
    let told = run(probe, command);
    probe.took(metric, "files/s", count, start);
    told
}

fn run(probe: &mut Probe<'_>, mut command: Command) -> String {
    let name = Path::new(command.get_program()).to_owned();
    let Some(output) = probe.check("run", &name, command.stdin(Stdio::null()).output()) else {
        return String::new();
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let arguments = command.get_args().collect::<Vec<_>>();
        probe.fail(
            "run",
            &name,
            format!("{} of {arguments:?}: {}", output.status, said.lines().next().unwrap_or("")),
        );
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}
