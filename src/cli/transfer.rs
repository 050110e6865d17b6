//! `kompira export-dir` and `kompira import-dir`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::talk;
use super::trouble::{Exit, Trouble};

/// Most bytes of one line of a server's report.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Write objects as a tree of files
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kompira export-dir --property-mode --current ./out /home /root"
)]
pub(super) struct ExportDir {
    /// Paths of objects; each with all that is below
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Paths in the output begin at this object
    #[arg(long, value_name = "PATH", default_value = "/")]
    directory: String,
    /// Output directory; it must exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    current: PathBuf,
    /// With display name, description, owner and permissions
    #[arg(long)]
    property_mode: bool,
    /// With times of creation and update
    #[arg(long)]
    datetime_mode: bool,
    /// Without the bytes of attachments
    #[arg(long, conflicts_with = "inline_attachments")]
    without_attachments: bool,
    /// With attachments inside the records
    #[arg(long)]
    inline_attachments: bool,
    /// Without passwords; otherwise they are encrypted
    #[arg(long)]
    without_passwords: bool,
    /// Line ends of text files
    #[arg(long, value_name = "HOW", default_value = "os_linesep",
          value_parser = ["os_linesep", "lf", "crlf", "no_change"])]
    linesep: String,
    /// Delete files of objects that no longer exist
    #[arg(long)]
    prune: bool,
    /// The objects alone, without what is below
    #[arg(long)]
    no_recursive: bool,
}

impl ExportDir {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let body = json!({
            "paths": self.paths,
            "directory": self.directory,
            "current": absolute(&self.current)?,
            "property_mode": self.property_mode,
            "datetime_mode": self.datetime_mode,
            "without_attachments": self.without_attachments,
            "inline_attachments": self.inline_attachments,
            "without_passwords": self.without_passwords,
            "linesep": self.linesep,
            "prune": self.prune,
            "no_recursive": self.no_recursive,
        });
        long(globals, "/-/export-dir", "exported", &body).await
    }
}

/// Read a tree of files as objects
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira import-dir --overwrite-mode --linesep no_change ./out")]
pub(super) struct ImportDir {
    /// Directories, as export-dir writes them or with plain files
    #[arg(required = true, value_name = "DIR")]
    sources: Vec<PathBuf>,
    /// The directories become this object
    #[arg(long, value_name = "PATH", default_value = "/")]
    directory: String,
    /// Owner of what is imported: name or number of a user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Update objects that exist; otherwise they are skipped
    #[arg(long)]
    overwrite_mode: bool,
    /// Owners as recorded
    #[arg(long)]
    owner_mode: bool,
    /// Replace the data of Config objects that exist
    #[arg(long, requires = "overwrite_mode")]
    update_config_mode: bool,
    /// The time of update is now, not the recorded one
    #[arg(long)]
    now_updated_mode: bool,
    /// Line ends of text as it is stored
    #[arg(long, value_name = "HOW", default_value = "crlf",
          value_parser = ["os_linesep", "lf", "crlf", "no_change"])]
    linesep: String,
    /// All or nothing
    #[arg(long)]
    atomic: bool,
    /// Plan and check, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Further key file, for passwords that were encrypted with it
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
}

impl ImportDir {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let sources =
            self.sources.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
        let key = self.secret_key_file.as_deref().map(absolute).transpose()?;
        let body = json!({
            "sources": sources,
            "directory": self.directory,
            "user": self.user,
            "overwrite_mode": self.overwrite_mode,
            "owner_mode": self.owner_mode,
            "update_config_mode": self.update_config_mode,
            "now_updated_mode": self.now_updated_mode,
            "linesep": self.linesep,
            "atomic": self.atomic,
            "dry_run": self.dry_run,
            "secret_key_file": key,
        });
        long(globals, "/-/import-dir", "imported", &body).await
    }
}

pub(super) fn absolute(path: &Path) -> Result<String, Trouble> {
    let full = std::fs::canonicalize(path)
        .map_err(|error| Trouble::failed(format!("{}: {error}", path.display())))?;
    let not_text = || Trouble::failed(format!("{}: the path is not UTF-8", path.display()));
    full.into_os_string().into_string().map_err(|_| not_text())
}

/// Sends a long request and shows what is told of it; fails if a single object did.
pub(super) async fn long(
    globals: &Globals,
    path: &str,
    verb: &str,
    body: &Json,
) -> Result<ExitCode, Trouble> {
    let client = Client::connect(globals, Need::Tree).await?;
    let done = report(&client, path, verb, body, globals.quiet).await;
    client.close().await;
    let done = done?;
    if !globals.quiet {
        let counters = done.as_object().into_iter().flatten();
        let parts: Vec<_> = counters.map(|(name, count)| format!("{name} {count}")).collect();
        talk::say(format!("{verb}: {}", parts.join(", ")));
    }
    let failed = done.get("error").and_then(Json::as_u64).is_some_and(|count| count > 0);
    Ok(if failed { Exit::Failed.into() } else { Exit::Ok.into() })
}

/// Reads the lines of a long request; its last word.
pub(super) async fn report(
    client: &Client,
    path: &str,
    verb: &str,
    body: &Json,
    quiet: bool,
) -> Result<Json, Trouble> {
    let request = client.request(Method::POST, path).json(body);
    let mut response = client.send(request).await?;
    let bar = talk::progress(verb, quiet);
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| client.lost(&error))? {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line: Json = serde_json::from_slice(&line)
                .map_err(|error| Trouble::failed(format!("the server's report: {error}")))?;
            if let Some(done) = line.get("done") {
                bar.finish_and_clear();
                return Ok(done.clone());
            }
            if let Some(fault) = line.get("fault") {
                bar.finish_and_clear();
                return Err(of_fault(fault));
            }
            bar.suspend(|| told(&line, quiet));
            bar.inc(1);
        }
        if rest.len() > LINE_BYTES_MAX {
            return Err(Trouble::failed("the server's report has an endless line"));
        }
    }
    bar.finish_and_clear();
    Err(Trouble::new(Exit::Unreachable, "the server broke off: what was done so far stays"))
}

fn told(line: &Json, quiet: bool) {
    let word = |key: &str| line.get(key).and_then(Json::as_str).map(talk::printable);
    let path = word("path").unwrap_or_default();
    if let Some(error) = line.get("error") {
        talk::say(format!("error: {path}: {}", of_fault(error).what));
    } else if let Some(warning) = word("warning").filter(|_| !quiet) {
        talk::say(format!("warning: {path}: {warning}"));
    }
}

fn of_fault(fault: &Json) -> Trouble {
    let word = |key: &str| fault.get(key).and_then(Json::as_str).unwrap_or_default();
    let mut what = format!("{} ({})", word("message"), word("code"));
    for problem in fault.get("problems").and_then(Json::as_array).into_iter().flatten() {
        let part = |key: &str| problem.get(key).and_then(Json::as_str).unwrap_or_default();
        what.push_str(&format!("\n  {}: {}", part("at"), part("message")));
    }
    let status = fault.get("status").and_then(Json::as_u64).unwrap_or(500);
    Trouble::new(Exit::of_status(u16::try_from(status).unwrap_or(500)), talk::printable(&what))
}
