//! Which operations are recorded: reference levels and the logging level (rule: `tree/audit`).

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use regex::Regex;
use serde::Deserialize;

use super::entry::{Class, Permit, Verb};

/// The settings of `kompira_audit.yaml`.
#[derive(Debug, Clone)]
pub struct Levels {
    logging: i64,
    tables: HashMap<String, HashMap<String, i64>>,
    targets: Vec<TargetLevel>,
}

#[derive(Debug, Clone)]
struct TargetLevel {
    path: Regex,
    kind: Option<String>,
    level: i64,
}

/// The shipped file.
const DEFAULT: &str = include_str!("kompira_audit.yaml");

#[derive(Deserialize)]
struct FileForm {
    logging_level: i64,
    operation_levels: Option<HashMap<String, HashMap<String, i64>>>,
    target_levels: Vec<TargetForm>,
    // The documented default file has these at the left margin.
    interface: Option<HashMap<String, i64>>,
    class: Option<HashMap<String, i64>>,
    r#type: Option<HashMap<String, i64>>,
    permit: Option<HashMap<String, i64>>,
    result: Option<HashMap<String, i64>>,
}

#[derive(Deserialize)]
struct TargetForm {
    path: String,
    r#type: Option<String>,
    level: i64,
}

impl Levels {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Why it is no audit configuration, for the log.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form: FileForm = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let mut tables = form.operation_levels.unwrap_or_default();
        let flat = [
            ("interface", form.interface),
            ("class", form.class),
            ("type", form.r#type),
            ("permit", form.permit),
            ("result", form.result),
        ];
        for (name, table) in flat {
            if let Some(table) = table {
                tables.entry(name.to_owned()).or_insert(table);
            }
        }
        let targets = form.target_levels.into_iter().map(|target| {
            let path = Regex::new(&fnmatch(&target.path)).map_err(|error| error.to_string())?;
            Ok::<_, String>(TargetLevel { path, kind: target.r#type, level: target.level })
        });
        Ok(Self {
            logging: form.logging_level,
            tables,
            targets: targets.collect::<Result<_, _>>()?,
        })
    }

    /// The level of an operation, or `None` when it is below the logging level.
    #[must_use]
    pub fn level(
        &self,
        interface: &str,
        class: Class,
        verb: Verb,
        permit: Permit,
        succeeded: bool,
        target: (Option<&str>, Option<&str>),
    ) -> Option<i64> {
        let base = self.base(interface, class, verb, permit, succeeded);
        let targets = target.0.into_iter().flat_map(|path| {
            self.targets.iter().filter(move |entry| {
                entry.path.is_match(path)
                    && entry.kind.as_deref().is_none_or(|kind| Some(kind) == target.1)
            })
        });
        let level = targets.map(|entry| entry.level).fold(base, i64::max);
        (level >= self.logging).then_some(level)
    }

    /// Whether an operation on this path can be recorded: it may still depend on the type there.
    #[must_use]
    pub fn may_record(
        &self,
        interface: &str,
        class: Class,
        verb: Verb,
        permit: Permit,
        succeeded: bool,
        path: Option<&str>,
    ) -> bool {
        let raises = |entry: &TargetLevel| {
            entry.level >= self.logging && path.is_none_or(|path| entry.path.is_match(path))
        };
        self.base(interface, class, verb, permit, succeeded) >= self.logging
            || self.targets.iter().any(raises)
    }

    fn base(
        &self,
        interface: &str,
        class: Class,
        verb: Verb,
        permit: Permit,
        succeeded: bool,
    ) -> i64 {
        let result = if succeeded { "succeeded" } else { "failed" };
        let words = [
            ("interface", interface),
            ("class", class.word()),
            ("type", verb.word()),
            ("permit", permit.word()),
            ("result", result),
        ];
        let of = |(table, word): (&str, &str)| {
            self.tables.get(table).and_then(|table| table.get(word)).copied().unwrap_or(1)
        };
        words.into_iter().map(of).max().unwrap_or(1)
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the shipped file is tested")
    }
}

/// A shell pattern of the whole path, `*` crossing `/`.
fn fnmatch(pattern: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let set: String = chars.by_ref().take_while(|&c| c != ']').collect();
                let (not, set) = match set.strip_prefix('!') {
                    Some(rest) => ("^", rest),
                    None => ("", set.as_str()),
                };
                out.push_str(&format!("[{not}{}]", set.replace('\\', "\\\\")));
            }
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}

/// The settings in force: those of a file that is looked at before each record, or the defaults.
#[derive(Debug, Default)]
pub struct LevelSource {
    file: Option<PathBuf>,
    state: Mutex<(Option<Stamp>, Arc<Levels>)>,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl LevelSource {
    /// Follows `file`; while it is missing or broken the last good settings stay.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, state: Mutex::default() }
    }

    /// The settings of this moment.
    #[must_use]
    pub fn now(&self) -> Arc<Levels> {
        let mut state = self.state.lock();
        let Some(file) = &self.file else { return Arc::clone(&state.1) };
        let stamp = std::fs::metadata(file).ok().map(|meta| Stamp {
            modified: (meta.mtime(), meta.mtime_nsec()),
            size: meta.size(),
            inode: meta.ino(),
        });
        if stamp != state.0 {
            state.0 = stamp;
            if stamp.is_some() {
                let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
                match read.and_then(|text| Levels::parse(&text)) {
                    Ok(levels) => state.1 = Arc::new(levels),
                    Err(error) => {
                        tracing::error!(file = %file.display(), error, "audit settings are not used");
                    }
                }
            }
        }
        Arc::clone(&state.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(
        levels: &Levels,
        interface: &str,
        class: Class,
        verb: Verb,
        path: &str,
    ) -> Option<i64> {
        levels.level(interface, class, verb, Permit::Allowed, true, (Some(path), None))
    }

    // rule: tree/audit
    #[test]
    fn the_level_is_the_maximum_of_the_reference_values() {
        let levels = Levels::default();
        assert_eq!(level(&levels, "web", Class::Object, Verb::Update, "/a"), Some(2));
        assert_eq!(level(&levels, "web", Class::Object, Verb::Read, "/config/license"), Some(2));
        assert_eq!(level(&levels, "fs", Class::Object, Verb::Create, "/a"), Some(3));
        assert_eq!(level(&levels, "api", Class::Object, Verb::Read, "/a"), None);
        let denied = levels.level(
            "api",
            Class::Object,
            Verb::Read,
            Permit::Denied,
            false,
            (Some("/a"), None),
        );
        assert_eq!(denied, Some(3));
        let may =
            |path| levels.may_record("api", Class::Object, Verb::Read, Permit::Allowed, true, path);
        assert!(!may(Some("/a")));
        assert!(may(Some("/system/x/y")) && may(Some("/config/a")) && may(None));
        let config = (Some("/system/x/y"), Some("/system/types/Config"));
        assert_eq!(
            levels.level("api", Class::Object, Verb::Read, Permit::Allowed, true, config),
            Some(2)
        );
    }

    // rule: tree/audit
    #[test]
    fn the_flat_spelling_of_the_documented_file_is_read_too() {
        let text = "logging_level: 1\noperation_levels:\ntype: {read: 3}\ntarget_levels: []\n";
        let levels = Levels::parse(text).unwrap();
        assert_eq!(level(&levels, "api", Class::Object, Verb::Read, "/a"), Some(3));
        assert!(Levels::parse("logging_level: 2\n").is_err(), "all keys are required");
    }

    // rule: tree/audit
    #[test]
    fn a_changed_file_counts_from_the_next_record_and_a_broken_one_never() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kompira_audit.yaml");
        let source = LevelSource::new(Some(file.clone()));
        assert_eq!(source.now().logging, 2);
        std::fs::write(&file, "logging_level: 3\ntarget_levels: []\n").unwrap();
        assert_eq!(source.now().logging, 3);
        std::fs::write(&file, "logging_level: [\n").unwrap();
        assert_eq!(source.now().logging, 3);
    }
}
