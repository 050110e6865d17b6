//! The order of the phases, in a fresh folder that is gone afterwards.

use super::probe::Probe;
use super::settings::Settings;
use super::{programs, seq, small};
use crate::report::Sample;
use std::fs;
use std::path::Path;

/// Runs every phase below `directory`; answers the figures and what went wrong.
pub(super) fn run(directory: &Path, settings: &Settings) -> (Vec<Sample>, Vec<String>) {
    let root = match fresh(directory) {
        Ok(root) => root,
        Err(text) => return (Vec::new(), vec![text]),
    };
    let mut probe = Probe::new(root.clone(), settings);
    for letter in settings.phases.chars() {
        phase(letter, &mut probe);
        if !probe.errors.is_empty() {
            break;
        }
    }
    let Probe { samples, mut errors, .. } = probe;
    // Empty after phase h; whatever a shorter run left goes unmeasured.
    if let Err(error) = fs::remove_dir_all(&root) {
        errors.push(format!("clean {}: {error}", root.display()));
    }
    (samples, errors)
}

fn phase(letter: char, probe: &mut Probe<'_>) {
    match letter {
        'a' => small::create(probe),
        'b' => {
            probe.cold(false);
            small::stat(probe, "stat_cold");
            small::stat(probe, "stat_warm");
        }
        'c' => {
            probe.cold(false);
            small::list(probe, "readdir_cold", false);
            small::list(probe, "readdir_warm", false);
            probe.cold(false);
            small::list(probe, "ls_l_cold", true);
        }
        'd' => {
            probe.cold(true);
            small::read(probe, "read_cold");
            small::read(probe, "read_warm");
        }
        'e' => {
            let (plain, synced) = (probe.settings.rewrites, probe.settings.fsaves);
            small::save(probe, "save", plain, false);
            small::save(probe, "save_fsync", synced, true);
        }
        'f' => small::rename_tree(probe),
        'g' => seq::run(probe),
        'h' => small::unlink(probe),
        'i' => programs::git(probe),
        'j' => programs::grep(probe),
        'k' => programs::tar(probe),
        _ => probe.errors.push(format!("there is no phase {letter}")),
    }
}

/// Makes a folder nobody used before.
fn fresh(directory: &Path) -> Result<std::path::PathBuf, String> {
    for number in 0..1000 {
        let root = directory.join(format!("bench{number:03}"));
        match fs::create_dir(&root) {
            Ok(()) => return Ok(root),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("make {}: {error}", root.display())),
        }
    }
    Err(format!("{} is full of old runs: remove bench* there", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_on_a_sound_folder_has_every_figure_and_leaves_nothing() {
        let directory =
            std::env::temp_dir().join(format!("kompira-bench-test-{}", std::process::id()));
        fs::create_dir(&directory).expect("a folder of the test");
        let settings = Settings {
            files: 40,
            dirs: 4,
            size: 256,
            ext: "txt".into(),
            template: None,
            rewrites: 20,
            fsaves: 2,
            renames: 2,
            big_mib: 1,
            phases: "abcdefgkh".into(),
            drop: false,
            scratch: std::env::temp_dir(),
        };
        let (samples, errors) = run(&directory, &settings);
        assert_eq!(errors, Vec::<String>::new());
        for metric in ["create", "stat_cold", "ls_l_cold", "read_warm", "save", "rmdir", "tar_x"] {
            assert!(samples.iter().any(|sample| sample.metric == metric), "{metric}");
        }
        fs::remove_dir(&directory).expect("nothing is left in it");
    }
}
