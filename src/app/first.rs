//! What a first start does besides: examples to look at, one of them run, a token to try with.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use kompira_schema::error::Fault;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::{Caller, Interface};

use crate::auth::User;
use crate::base::log::request_id;
use crate::engine::{ConsoleEvent, Params, StartOptions};
use crate::http::Service;
use crate::store::Durability;
use crate::transfer::import;
use crate::transfer::linesep::LineSep;

/// The example that is run.
const EXAMPLE: &str = "/root/examples/check_disks";
/// How long its console is waited for.
const EXAMPLE_TIME_MAX: Duration = Duration::from_secs(15);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The token's file below `run/`, which only the owner can enter.
const TOKEN_FILE: &str = "root.token";

/// What there is to show.
#[derive(Debug, Clone, Default)]
pub struct First {
    /// A token of `root`.
    pub token: String,
    /// The example that was run and what it printed.
    pub example: Option<(String, String)>,
}

/// The owner, as a management command.
pub(super) fn owner(what: &str) -> Caller {
    Caller {
        user: User::ROOT,
        interface: Interface::Mng,
        remote: None,
        process: None,
        request: request_id(),
        exec: Some(what.into()),
    }
}

/// Makes a token; on a new store imports `examples` and runs one. Blocks.
///
/// # Errors
/// Those of the store. An example that does not run is told in the log and does not matter.
pub(super) fn first(service: &Service, examples: &Path, new: bool) -> Result<First, Fault> {
    let who = owner("kompira serve");
    let token = token(service, &who)?;
    let example = if new { example(service, &who, examples) } else { None };
    Ok(First { token, example })
}

/// The token of an earlier start if it is still good, else a new one.
fn token(service: &Service, who: &Caller) -> Result<String, Fault> {
    let path = service.about.data.join("run").join(TOKEN_FILE);
    if let Ok(text) = std::fs::read_to_string(&path)
        && service.tree.view().authenticate(text.trim()).is_ok_and(|user| user.id == User::ROOT)
    {
        return Ok(text.trim().to_owned());
    }
    let made = service.tree.write(who, Durability::Synced, |txn| {
        txn.create_token(User::ROOT, "kompira serve --welcome").map(|token| token.to_string())
    })?;
    if let Err(error) = write_private(&path, &made.value) {
        tracing::warn!(%error, path = %path.display(), "the token could not be kept");
    }
    Ok(made.value)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}

fn example(service: &Service, who: &Caller, examples: &Path) -> Option<(String, String)> {
    let options = import::Options { linesep: LineSep::NoChange, ..import::Options::default() };
    let sources = [examples.to_owned()];
    let keys = [service.keys.as_ref()];
    let imported =
        import::import_dir(&service.tree, who, &sources, &keys, &options, &mut |event| {
            if let import::Event::Error { at, fault } = event {
                tracing::warn!(at, ?fault, "an example could not be imported");
            }
        });
    let ran = imported.and_then(|_| run(service, who));
    match ran {
        Ok(console) => console.map(|console| (EXAMPLE.to_owned(), console)),
        Err(fault) => {
            tracing::warn!(?fault, "the examples could not be loaded");
            None
        }
    }
}

fn run(service: &Service, who: &Caller) -> Result<Option<String>, Fault> {
    let Some(engine) = &service.engine else { return Ok(None) };
    let job = service.tree.view().resolve(&ObjectPath::parse(EXAMPLE)?)?;
    let process = engine.execute(who, job, Params::default(), StartOptions::default())?;
    let mut stream = engine.follow(who, process, 0)?;
    let end = service.clock.monotonic().saturating_add(EXAMPLE_TIME_MAX);
    let mut console = String::new();
    while service.clock.monotonic() < end {
        match stream.next(LOOK)? {
            ConsoleEvent::Text(piece) => console.push_str(&piece.text),
            ConsoleEvent::Ended => break,
            ConsoleEvent::Idle => {}
        }
    }
    Ok(Some(console))
}
