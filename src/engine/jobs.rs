//! Built-in jobs that reach outside: made ready in a turn, carried out on a thread of their own
//! (rule: `language/built-in-jobs`).

mod arguments;
mod files;
mod http;
mod library;
mod mail;
mod repository;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kompira_schema::signature;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

use super::inner::Inner;
use super::realm::Areas;
use super::vm::request::{Control, LIBRARY_CALL, Outcome};
use crate::remote::Running;
use crate::tree::View;
use arguments::Args;
pub(super) use arguments::text as text_of;
pub(super) use mail::{hand_over, system_sender, system_server};

/// A job that is ready.
pub(super) struct Job {
    /// How it is shown.
    pub(super) shown: String,
    pub(super) run: Run,
}

/// How it is carried out.
pub(super) enum Run {
    /// As a command, by the control variables.
    Command,
    /// By ourselves.
    Thread(Work),
}

/// What a thread does.
pub(super) type Work = Box<dyn FnOnce(&Around) -> Outcome + Send>;

/// What the thread of a job finds around it.
pub(super) struct Around {
    pub(super) inner: Arc<Inner>,
    pub(super) who: Caller,
    pub(super) cancelled: Arc<Cancel>,
}

/// Why a job is not begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Status 1: wrong arguments.
    Failed(String),
    /// Status -1: the control context does not fit.
    Lost(String),
    /// A runtime error.
    Error(String),
}

/// Asks a job to end early.
#[derive(Default)]
pub(super) struct Cancel {
    asked: AtomicBool,
    bell: tokio::sync::Notify,
}

impl Running for Cancel {
    fn cancel(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }
}

impl Cancel {
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Around {
    /// Runs what waits for the network, until it is cancelled.
    pub(super) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no network: {error}"))?;
        let done = runtime.block_on(async {
            if self.cancelled.is_asked() {
                return Err("cancelled".to_owned());
            }
            tokio::select! {
                done = work => done,
                () = self.cancelled.bell.notified() => Err("cancelled".to_owned()),
            }
        });
        // A name that is being asked for is not waited for.
        runtime.shutdown_background();
        done
    }
}

/// Makes a job ready, as `who`.
///
/// # Errors
/// Why it is not begun.
pub(super) fn prepare(
    (view, areas): (&View, &Areas<'_>),
    who: &Caller,
    name: &str,
    (positional, named): (&[Value], &[(String, Value)]),
    control: &Control,
) -> Result<Job, Refusal> {
    if let ("conn_check", [target]) = (name, positional) {
        return mail::check(view, who, target);
    }
    if name == LIBRARY_CALL {
        return library::prepare(view, who, positional, named);
    }
    if let ("initialize" | "push" | "pull", [target, rest @ ..]) = (name, positional) {
        return repository::prepare(view, who, name, target, (rest, named));
    }
    let Some(signature) = signature::job(name) else {
        return Err(Refusal::Error(format!("undefined function: {name}")));
    };
    let args = Args::bind(signature, positional, named).map_err(Refusal::Failed)?;
    match name {
        "urlopen" => http::prepare(&args),
        "mailto" => mail::prepare(view, who, &args),
        "download" => files::download(&args),
        "upload" => files::upload(&args),
        "put" | "get" => files::transfer((view, areas), who, &args, control, name == "put"),
        "reboot" => files::reboot(&args),
        _ => Err(Refusal::Error(format!("'{name}' cannot be run"))),
    }
}

/// A job that was done.
fn done(result: impl Into<Value>) -> Outcome {
    Outcome { status: 0, result: result.into(), error: "".into() }
}

/// A job that failed.
fn failed(message: String) -> Outcome {
    Outcome { status: 1, result: "".into(), error: message.into() }
}
