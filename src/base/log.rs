//! Logs: the documented files in `log/`, one line format, and the warnings on the terminal.
//!
//! rule: operations/logs

mod rotate;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub use rotate::{RotatingFile, Rotation};

/// Target of what jobflows print; goes to `process.log`.
pub const PROCESS: &str = "process";

/// Libraries that warn of what clients do; only their errors are of interest.
const TALKATIVE: &[&str] = &["fuser", "h2", "hyper"];

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `[YYYY-MM-DD HH:MM:SS,mmm:PID:NAME] LEVEL: text`.
    #[default]
    Line,
    /// One JSON object a line.
    Json,
}

/// What to log where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the files; `None`: no files.
    pub dir: Option<PathBuf>,
    /// Least level of the files.
    pub level: Level,
    /// Least level on standard error.
    pub terminal: Level,
    /// Whether standard error takes colours.
    pub colour: bool,
    /// Form of the lines in files.
    pub format: Format,
    /// Name in each line.
    pub name: &'static str,
    /// When files are rotated.
    pub rotation: Rotation,
    /// How many rotated files are kept (`process.log` keeps all).
    pub keep: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: None,
            level: Level::INFO,
            terminal: Level::WARN,
            colour: false,
            format: Format::Line,
            name: "kompirad",
            rotation: Rotation::Daily,
            keep: 7,
        }
    }
}

/// Reads a level as the configuration writes it.
#[must_use]
pub fn level(word: &str) -> Level {
    match word.to_ascii_uppercase().as_str() {
        "DEBUG" => Level::DEBUG,
        "WARNING" => Level::WARN,
        "ERROR" | "CRITICAL" => Level::ERROR,
        _ => Level::INFO,
    }
}

/// Starts logging for the whole program; a second call changes nothing.
///
/// # Errors
/// When the directory or a file cannot be opened.
pub fn start(options: Options) -> std::io::Result<()> {
    let sink = Sink::open(options)?;
    // A test that starts two servers in one program keeps the first one's logs.
    let _already = tracing_subscriber::registry().with(sink).try_init();
    Ok(())
}

/// A fresh request id: unique for the life of this program and unlikely anywhere else.
#[must_use]
pub fn request_id() -> Arc<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    /// Tells the programs apart that write to one log, one after the other.
    static PROGRAM: LazyLock<u32> = LazyLock::new(|| {
        let mut random = [0_u8; 4];
        // Without randomness the id is still unique within the program.
        let _ = getrandom::fill(&mut random);
        u32::from_be_bytes(random)
    });
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}{:08x}", *PROGRAM, count & 0xffff_ffff).into()
}

struct Sink {
    options: Options,
    http: Option<RotatingFile>,
    process: Option<RotatingFile>,
    main: Option<RotatingFile>,
}

impl Sink {
    fn open(options: Options) -> std::io::Result<Self> {
        let open = |file: &str, rotation, keep| {
            options
                .dir
                .as_ref()
                .map(|dir| RotatingFile::open(dir, file, rotation, keep))
                .transpose()
        };
        let http = open("kompira.log", options.rotation, Some(options.keep))?;
        let main = open("kompirad.log", options.rotation, Some(options.keep))?;
        let process = open("process.log", Rotation::Daily, None)?;
        Ok(Self { options, http, process, main })
    }

    fn file(&self, target: &str) -> Option<&RotatingFile> {
        if target.starts_with("kompira::http") {
            self.http.as_ref()
        } else if target == PROCESS {
            self.process.as_ref()
        } else {
            self.main.as_ref()
        }
    }
}

/// Text of an event or a span's fields.
#[derive(Default, Clone)]
struct Text {
    message: String,
    fields: String,
    critical: bool,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let _ = write!(self.fields, " {}={}", field.name(), value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "critical" {
            self.critical = value;
        } else {
            let _ = write!(self.fields, " {}={}", field.name(), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, " {}={:?}", field.name(), value);
        }
    }
}

impl<S> Layer<S> for Sink
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let target = metadata.target();
        let least = if target.starts_with("kompira") || target == PROCESS {
            self.options.level.max(self.options.terminal)
        } else if TALKATIVE.iter().any(|name| target.starts_with(name)) {
            Level::ERROR
        } else {
            Level::WARN
        };
        metadata.is_span() || *metadata.level() <= least
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut text = Text::default();
        attributes.record(&mut text);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(text);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Text>() {
                text.fields.push_str(&of_span.fields);
            }
        }
        let level = *event.metadata().level();
        let target = event.metadata().target();
        let now = Zoned::now();
        if level <= self.options.level
            && let Some(file) = self.file(target)
        {
            let line = match self.options.format {
                Format::Line => self.line(&now, level, &text),
                Format::Json => self.json(&now, level, target, &text),
            };
            file.write(&line, now.date());
        }
        if level <= self.options.terminal && target != PROCESS {
            let line = self.terminal(level, &text);
            // Nobody is left to tell when standard error is closed.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

fn word(level: Level, critical: bool) -> &'static str {
    match level {
        Level::ERROR if critical => "CRITICAL",
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

impl Sink {
    fn line(&self, now: &Zoned, level: Level, text: &Text) -> String {
        let head = format!(
            "[{},{:03}:{}:{}] {}: ",
            now.strftime("%Y-%m-%d %H:%M:%S"),
            now.millisecond(),
            std::process::id(),
            self.options.name,
            word(level, text.critical),
        );
        let body = format!("{}{}", text.message, text.fields);
        format!("{head}{}\n", indented(&body))
    }

    fn json(&self, now: &Zoned, level: Level, target: &str, text: &Text) -> String {
        let value = serde_json::json!({
            "ts": now.timestamp().to_string(),
            "pid": std::process::id(),
            "proc": self.options.name,
            "level": word(level, text.critical),
            "target": target,
            "message": format!("{}{}", text.message, text.fields),
        });
        format!("{value}\n")
    }

    fn terminal(&self, level: Level, text: &Text) -> String {
        let word = word(level, text.critical).to_lowercase();
        let body = indented(&format!("{}{}", text.message, text.fields));
        match (self.options.colour, level) {
            (true, Level::ERROR) => format!("\u{1b}[1;31m{word}\u{1b}[0m: {body}\n"),
            (true, Level::WARN) => format!("\u{1b}[1;33m{word}\u{1b}[0m: {body}\n"),
            _ => format!("{word}: {body}\n"),
        }
    }
}

/// One entry, one head: later lines are indented; other control characters cannot reach a
/// terminal or forge a line.
fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.trim_end_matches('\n').split('\n').enumerate() {
        if index > 0 {
            out.push_str("\n    ");
        }
        for c in line.chars() {
            match c {
                '\t' => out.push('\t'),
                c if c.is_control() => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/logs
    #[test]
    fn a_message_of_several_lines_is_indented_and_control_characters_are_shown() {
        assert_eq!(indented("a\nb\u{1b}[2J\r\n"), "a\n    b\\u{1b}[2J\\r");
    }

    // rule: operations/logs
    #[test]
    fn lines_have_the_documented_form_and_go_to_the_file_of_their_target() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { dir: Some(dir.path().to_owned()), ..Options::default() };
        let sink = Sink::open(options).unwrap();
        let subscriber = tracing_subscriber::registry().with(sink);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(target: "kompira::http", "request", request = "r1");
            let _in = span.enter();
            tracing::info!(target: "kompira::http", status = 200, "GET /");
            tracing::debug!(target: "kompira::store", "not at this level");
            tracing::error!(target: "kompira::store", critical = true, "disk");
            tracing::info!(target: PROCESS, "pid=1 text");
        });
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let line = read("kompira.log");
        assert!(line.ends_with(":kompirad] INFO: GET / status=200 request=r1\n"), "{line}");
        assert!(line.starts_with("[20"), "{line}");
        assert_eq!(line.find(&format!(":{}:", std::process::id())), Some(24), "{line}");
        assert!(read("kompirad.log").ends_with("] CRITICAL: disk request=r1\n"));
        assert_eq!(read("kompirad.log").lines().count(), 1);
        assert!(read("process.log").ends_with("] INFO: pid=1 text request=r1\n"));
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(request_id(), request_id());
    }
}
