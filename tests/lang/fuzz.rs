//! Mutated sources for the lexer, the parser, the compiler and the machine. Nothing may panic or
//! hang, and what each says of a source must hold.
//!
//! It starts from the sources of `tests/lang` and from `tests/lang/corpus`, keeps what shows
//! something new and goes on from there. `KOMPIRA_FUZZ_SECONDS` is the processor time of each target
//! (so a busy machine does as much), `KOMPIRA_FUZZ_SEED` another start, and `KOMPIRA_FUZZ_KEEP=DIR` writes the sources that were
//! kept, as the corpus has them. What fails lies below the temporary directory and is named.

mod mutate;
mod vm;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kompira::lang::ast::Span;
use kompira::lang::diagnose::{Look, render_all};
use kompira::lang::lex::{normalise, spans};
use kompira::lang::{check, compile, format, parse};
use kompira_schema::catalogue::Lang;
use parking_lot::Mutex;

use super::random::{Dice, program};
use mutate::mutated;

/// Each target's time when nothing else is said.
const SECONDS: u64 = 2;
/// More processor time than that for one source is a hang.
const HANG: Duration = Duration::from_secs(20);
/// Sources that are kept in a run.
const POOL_MAX: usize = 6_000;
/// Longest source that is kept: short ones are quick and say as much.
const KEPT_CHARS_MAX: usize = 1_500;

/// What a source showed, to be told from what others did.
type Traits = Vec<u64>;

fn hashed(of: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// All sources that are committed.
fn seeds(target: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang");
    let mut found = Vec::new();
    for folder in ["ok", "err", "run", "cases"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            match folder {
                "cases" => found.extend(
                    text.split("=== ")
                        .filter_map(|case| case.split_once('\n')?.1.split("---\n").next())
                        .map(str::to_owned),
                ),
                "run" => found.extend(
                    serde_yaml::from_str::<serde_json::Value>(&text).unwrap()["program"]
                        .as_str()
                        .map(str::to_owned),
                ),
                _ if file.extension().is_some_and(|suffix| suffix == "kf") => found.push(text),
                _ => {}
            }
        }
    }
    let kept = std::fs::read(root.join(std::format!("corpus/{target}.json"))).unwrap();
    found.extend(serde_json::from_slice::<Vec<String>>(&kept).unwrap());
    found
}

/// The source that is being tried, so that one that does not end can be told.
struct Trial {
    source: Arc<str>,
    since: Duration,
}

/// How long one thread has had a processor; where the system does not say, how long it has lived.
struct Clock {
    file: PathBuf,
    start: Instant,
}

impl Clock {
    fn of_this_thread() -> Self {
        let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        Self { file: Path::new("/proc").join(thread).join("schedstat"), start: Instant::now() }
    }

    fn ran(&self) -> Duration {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        match text.split_whitespace().next().map(str::parse) {
            Some(Ok(nanos)) if nanos > 0 => Duration::from_nanos(nanos),
            _ => self.start.elapsed(),
        }
    }
}

fn keep_failure(target: &str, source: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(std::format!("kompira-fuzz-{target}-{:016x}", hashed(source)));
    std::fs::write(&path, source).unwrap();
    path
}

fn fuzz(target: &'static str, mut try_out: impl FnMut(&str) -> Traits) {
    let clock = Arc::new(Clock::of_this_thread());
    let end = clock.ran() + Duration::from_secs(number("KOMPIRA_FUZZ_SECONDS", SECONDS));
    let mut dice = Dice::new(number("KOMPIRA_FUZZ_SEED", 1) ^ hashed(target));
    let mut pool: Vec<Arc<str>> = seeds(target).into_iter().map(Into::into).collect();
    let committed = pool.len();
    let mut seen = HashSet::new();
    let trial: Arc<Mutex<Option<Trial>>> = Arc::default();
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watch = {
        let (trial, over, clock) = (Arc::clone(&trial), Arc::clone(&over), Arc::clone(&clock));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                if let Some(now) = &*trial.lock()
                    && clock.ran().saturating_sub(now.since) > HANG
                {
                    let path = keep_failure(target, &now.source);
                    eprintln!("{target} does not end: {}", path.display());
                    std::process::abort();
                }
            }
        })
    };
    let mut run = |source: Arc<str>, pool: &mut Vec<Arc<str>>, fresh: bool| {
        *trial.lock() = Some(Trial { source: Arc::clone(&source), since: clock.ran() });
        let Ok(traits) = catch_unwind(AssertUnwindSafe(|| try_out(&source))) else {
            panic!("{target} fails: {}", keep_failure(target, &source).display());
        };
        count.fetch_add(1, Ordering::Relaxed);
        let mut new = false;
        for shown in traits {
            new |= seen.insert(shown);
        }
        if new && fresh && pool.len() < POOL_MAX && source.chars().count() <= KEPT_CHARS_MAX {
            pool.push(source);
        }
    };
    for at in 0..committed {
        run(Arc::clone(&pool[at]), &mut pool, false);
    }
    while clock.ran() < end {
        for _ in 0..50 {
            let source = if dice.one_in(20) {
                program(&mut dice).0
            } else {
                let first = Arc::clone(&pool[dice.below(pool.len())]);
                let second = Arc::clone(&pool[dice.below(pool.len())]);
                mutated(&mut dice, &first, &second)
            };
            run(source.into(), &mut pool, true);
        }
    }
    over.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    let kept = &pool[committed..];
    println!(
        "{target}: {} sources tried, {} kept, {} s of the processor in {} s",
        count.load(Ordering::Relaxed),
        kept.len(),
        clock.ran().as_secs(),
        clock.start.elapsed().as_secs()
    );
    if let Some(folder) = std::env::var_os("KOMPIRA_FUZZ_KEEP") {
        let text =
            serde_json::to_string_pretty(&kept.iter().map(|it| &**it).collect::<Vec<_>>()).unwrap();
        std::fs::write(Path::new(&folder).join(std::format!("{target}.json")), text).unwrap();
    }
}

fn fits(span: Span, source: &str) -> bool {
    let (start, end) = (span.start as usize, span.end as usize);
    start <= end
        && end <= source.len()
        && source.is_char_boundary(start)
        && source.is_char_boundary(end)
}

/// A rough picture of a source by its words.
fn words(source: &str, spans: &[Span]) -> Vec<u64> {
    let kind = |span: &Span| {
        let text = span.text(source);
        match text.chars().next() {
            None => 0,
            Some(c) if c.is_alphabetic() && text.len() < 9 && text.is_ascii() => hashed(text),
            Some(c) if c.is_alphabetic() => 1,
            Some(c) if c.is_numeric() => 2,
            Some('\'' | '"') => 3,
            Some(c) => hashed(c),
        }
    };
    let kinds: Vec<u64> = spans.iter().map(kind).collect();
    kinds.windows(2).map(hashed).collect()
}

// rule: language/lexical
#[test]
fn the_lexer_reads_anything() {
    fuzz("lexer", |source| {
        let source = normalise(source);
        let spans = spans(&source);
        let mut at = 0;
        for &span in &spans {
            assert!(fits(span, &source) && span.start >= at, "{span:?}");
            at = span.end;
        }
        assert_eq!(at as usize, source.len(), "the last word is the end");
        words(&source, &spans)
    });
}

// rule: language/grammar
#[test]
fn the_parser_reads_anything() {
    fuzz("parser", |source| {
        let parsed = parse(source);
        for found in &parsed.diagnostics {
            assert!(fits(found.span, &parsed.source), "{found:?}");
        }
        let mut traits: Traits = parsed
            .diagnostics
            .iter()
            .map(|found| hashed((found.code, found.message.key)))
            .collect();
        if parsed.is_whole() {
            let once = format(source).unwrap();
            assert_eq!(format(&once).unwrap(), once);
            let again = parse(&once);
            assert!(again.is_whole() && again.comments.len() == parsed.comments.len());
        } else {
            assert!(format(source).is_err());
        }
        traits.extend(words(&parsed.source, &spans(&parsed.source)));
        traits
    });
}

// rule: language/compile
// rule: language/errors
#[test]
fn the_compiler_takes_anything() {
    fuzz("compiler", |source| {
        let made = compile(source);
        let found = check(&parse(source));
        let errors = made.errors(Lang::En);
        assert_eq!(made.program.is_some(), errors.is_empty(), "{errors:?}");
        for lang in [Lang::En, Lang::Ja] {
            let look = Look { lang, plain: true };
            let text = render_all(&made.diagnostics, &made.source, "x", look);
            assert_eq!(text.is_empty(), made.diagnostics.is_empty());
        }
        let lines = made.source.lines().count().max(1) + 1;
        for line in errors.keys() {
            assert!((1..=lines).contains(&line.parse().unwrap()), "{line}");
        }
        let mut traits: Traits = found
            .iter()
            .map(|found| {
                hashed((found.code, found.message.key, found.help.as_ref().map(|it| it.key)))
            })
            .collect();
        if made.program.is_some() {
            traits.extend(words(&made.source, &spans(&made.source)));
        }
        traits
    });
}

// rule: language/abnormal-end
// rule: language/limits
#[test]
fn the_machine_runs_anything() {
    let mut dice = Dice::new(number("KOMPIRA_FUZZ_SEED", 1));
    fuzz("vm", move |source| vm::try_out(source, &mut dice));
}
