//! `kompira backup` and `kompira restore`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::talk;
use super::transfer::{absolute, report};
use super::trouble::{Exit, Trouble};
use crate::base::durable::sync_name;
use crate::transfer::archive::Reader;

/// Write the whole tree at one moment into an archive
///
/// The archive appears complete or not at all. The key of the passwords is not in it: keep
/// DATA/.secret_key in a safe place.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kompira backup backup.zip && kompira backup --verify backup.zip"
)]
pub(super) struct Backup {
    /// The archive; kompira_backup-YYYYMMDD-HHMMSS.zip without a name
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read an archive to its last byte and say whether it is whole; makes none
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    verify: Option<PathBuf>,
}

impl Backup {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        if let Some(archive) = &self.verify {
            return verify(archive, globals.quiet);
        }
        let file = self.file.clone().unwrap_or_else(|| {
            let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
            PathBuf::from(format!("kompira_backup-{now}.zip"))
        });
        if file.exists() {
            return Err(Trouble::failed(format!("{} exists already", file.display()))
                .advise("choose another name or remove it"));
        }
        let client = Client::connect(globals, Need::Tree).await?;
        let done = receive(&client, &file, globals.quiet).await;
        client.close().await;
        let bytes = done?;
        println(&file.display().to_string());
        if !globals.quiet {
            talk::say(format!("{bytes} bytes; passwords in it need DATA/.secret_key"));
        }
        Ok(Exit::Ok.into())
    }
}

/// Writes beside, syncs, gives the name, and syncs that.
async fn receive(client: &Client, file: &Path, quiet: bool) -> Result<u64, Trouble> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let at = |error: std::io::Error| Trouble::failed(format!("{}: {error}", file.display()));
    let bar = talk::progress("receiving", quiet);
    let mut response = client.send(client.request(Method::POST, "/-/backup")).await?;
    let said = response.content_length();
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    let mut out =
        options.write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(at)?;
    let mut bytes = 0_u64;
    let written = async {
        while let Some(chunk) = response.chunk().await.map_err(|error| client.lost(&error))? {
            out.write_all(&chunk).map_err(at)?;
            bytes += chunk.len() as u64;
            bar.set_position(bytes);
        }
        if said.is_some_and(|said| said != bytes) {
            return Err(Trouble::new(Exit::Unreachable, "the server broke off"));
        }
        out.sync_all().map_err(at)?;
        std::fs::rename(&part, file).and_then(|()| sync_name(file)).map_err(at)
    };
    let done = written.await;
    bar.finish_and_clear();
    if done.is_err() {
        // What is there is no archive.
        let _ = std::fs::remove_file(&part);
    }
    done.map(|()| bytes)
}

fn verify(archive: &Path, quiet: bool) -> Result<ExitCode, Trouble> {
    let told = |fault: kompira_schema::error::Fault| {
        let text = crate::http::answer::text(fault.told());
        Trouble::failed(format!("{text} ({})", fault.kind().code()))
    };
    let mut reader = Reader::open(archive).map_err(told)?;
    let bar = talk::progress("members", quiet);
    reader.verify(|done| bar.set_position(done as u64)).map_err(told)?;
    bar.finish_and_clear();
    let manifest = reader.manifest();
    println(&format!(
        "{} is whole: {} members, revision {}, made {}, key {}",
        archive.display(),
        manifest.members.len(),
        manifest.revision,
        talk::printable(&manifest.created),
        talk::printable(&manifest.key_id),
    ));
    Ok(Exit::Ok.into())
}

/// Read a backup archive into a new data directory
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kompira restore --data new backup.zip --secret-key-file old/.secret_key"
)]
pub(super) struct Restore {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also into a tree that holds objects; those of the archive win
    #[arg(long)]
    force: bool,
    /// Key file of the server that made the archive, for its passwords
    #[arg(long = "secret-key-file", value_name = "FILE")]
    keys: Vec<PathBuf>,
}

impl Restore {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let archive = absolute(&self.file)?;
        let keys = self.keys.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
        let body = json!({"archive": archive, "force": self.force, "secret_key_files": keys});
        let client = Client::connect(globals, Need::New).await?;
        let done = report(&client, "/-/restore", "restored", &body, globals.quiet).await;
        client.close().await;
        let done = done?;
        let counters = &done["counters"];
        if !globals.quiet {
            let word = |key: &str| talk::printable(done[key].as_str().unwrap_or_default());
            talk::say(format!(
                "restored revision {} of {}: {}",
                done["revision"],
                word("created"),
                counted(counters)
            ));
            talk::say("users log in with their passwords of that time; tokens are made anew");
            if done["key_known"] != true {
                talk::say(format!(
                    "stored passwords need the key {}: restore again into a new directory with \
                     --secret-key-file",
                    word("key_id")
                ));
            }
        }
        let failed = counters["error"].as_u64().is_some_and(|count| count > 0);
        Ok(if failed { Exit::Failed.into() } else { Exit::Ok.into() })
    }
}

fn counted(counters: &Json) -> String {
    let counters = counters.as_object().into_iter().flatten();
    counters.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
