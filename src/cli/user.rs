//! `kompira user` and `kompira group`.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::talk;
use super::trouble::{Exit, Trouble};

/// List, make, change and delete users
#[derive(Debug, Args)]
pub(super) struct User {
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// List users
    #[command(after_help = "Example:\n  kompira user list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a user with a home directory
    #[command(after_help = "Example:\n  kompira user create mika --group ops --password-file pw")]
    Create {
        /// Login name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Change a user
    #[command(after_help = "Example:\n  kompira user change mika --inactive")]
    Change {
        /// Login name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a user; its objects stay
    #[command(after_help = "Example:\n  kompira user delete mika")]
    Delete {
        /// Login name
        name: String,
    },
}

#[derive(Debug, Args)]
struct Change {
    /// Password, from the first line of this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Member of this group; all groups must be named
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Given name
    #[arg(long)]
    first_name: Option<String>,
    /// Family name
    #[arg(long)]
    last_name: Option<String>,
    /// Mail address
    #[arg(long)]
    email: Option<String>,
    /// May log in
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// May not log in
    #[arg(long)]
    inactive: bool,
}

/// List, make and delete groups
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    action: GroupAction,
}

#[derive(Debug, Subcommand)]
enum GroupAction {
    /// List groups
    #[command(after_help = "Example:\n  kompira group list")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a group
    #[command(after_help = "Example:\n  kompira group create ops")]
    Create {
        /// Name
        name: String,
    },
    /// Delete a group
    #[command(after_help = "Example:\n  kompira group delete ops")]
    Delete {
        /// Name
        name: String,
    },
}

impl User {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Tree).await?;
        let done = self.act(&client).await;
        client.close().await;
        done.map(|()| Exit::Ok.into())
    }

    async fn act(&self, client: &Client) -> Result<(), Trouble> {
        match &self.action {
            UserAction::List { json } => {
                let rows = all(client, "/config/user").await?;
                let columns = ["id", "username", "groups", "email", "is_active", "last_login"];
                print(&rows, &columns, *json);
            }
            UserAction::Create { name, change } => {
                let mut body = change.body()?;
                body.insert("username".into(), name.as_str().into());
                if !body.contains_key("password") {
                    body.insert("password".into(), asked(name)?.into());
                }
                let made = client.post("/config/user", &Json::Object(body)).await?;
                println(made["abspath"].as_str().unwrap_or_default());
            }
            UserAction::Change { name, change } => {
                let path = find(client, "/config/user", "username", name).await?;
                let request = client.request(Method::PATCH, &path).json(&change.body()?);
                client.send(request).await?;
            }
            UserAction::Delete { name } => {
                let path = find(client, "/config/user", "username", name).await?;
                client.send(client.request(Method::DELETE, &path)).await?;
            }
        }
        Ok(())
    }
}

impl Group {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Tree).await?;
        let done = self.act(&client).await;
        client.close().await;
        done.map(|()| Exit::Ok.into())
    }

    async fn act(&self, client: &Client) -> Result<(), Trouble> {
        match &self.action {
            GroupAction::List { json } => {
                let rows = all(client, "/config/group").await?;
                print(&rows, &["id", "name", "is_ldap_group"], *json);
            }
            GroupAction::Create { name } => {
                let made = client.post("/config/group", &json!({"name": name})).await?;
                println(made["abspath"].as_str().unwrap_or_default());
            }
            GroupAction::Delete { name } => {
                let path = find(client, "/config/group", "name", name).await?;
                client.send(client.request(Method::DELETE, &path)).await?;
            }
        }
        Ok(())
    }
}

impl Change {
    fn body(&self) -> Result<Map<String, Json>, Trouble> {
        let mut body = Map::new();
        if let Some(path) = &self.password_file {
            let line = if path.as_os_str() == "-" {
                std::io::stdin().lock().lines().next().transpose()?
            } else {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Trouble::failed(format!("{}: {error}", path.display())))?;
                text.lines().next().map(str::to_owned)
            };
            let line = line.filter(|line| !line.is_empty());
            let line = line.ok_or_else(|| Trouble::usage("the password is empty"))?;
            body.insert("password".into(), line.into());
        }
        if !self.groups.is_empty() {
            body.insert("groups".into(), self.groups.clone().into());
        }
        for (key, value) in [
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("email", &self.email),
        ] {
            if let Some(value) = value {
                body.insert(key.into(), value.as_str().into());
            }
        }
        if self.active || self.inactive {
            body.insert("is_active".into(), self.active.into());
        }
        Ok(body)
    }
}

/// Asks for a password on the terminal, without showing it.
fn asked(name: &str) -> Result<String, Trouble> {
    if !std::io::stdin().is_terminal() {
        return Err(Trouble::usage("no password was given")
            .advise("say --password-file FILE, or `-` for standard input"));
    }
    talk::secret(&format!("Password of {name}: "))
}

async fn find(client: &Client, collection: &str, key: &str, name: &str) -> Result<String, Trouble> {
    let name_in_url =
        percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let list = client.get(&format!("{collection}?{key}={name_in_url}&attrs=abspath")).await?;
    let path = list["results"][0]["abspath"].as_str().map(str::to_owned);
    path.ok_or_else(|| Trouble::failed(format!("there is no {name} in {collection}")))
}

async fn all(client: &Client, collection: &str) -> Result<Vec<Json>, Trouble> {
    let mut rows = Vec::new();
    for page in 1.. {
        let list = client.get(&format!("{collection}?page={page}&page_size=1000")).await?;
        rows.extend(list["results"].as_array().into_iter().flatten().cloned());
        if list["next"].is_null() {
            break;
        }
    }
    Ok(rows)
}

fn print(rows: &[Json], columns: &[&str], json: bool) {
    if json {
        println(&format!("{:#}", Json::Array(rows.to_vec())));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|name| match &row[*name] {
            Json::Null => "-".to_owned(),
            Json::String(text) => talk::printable(text),
            Json::Array(list) => list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }));
    }
    println(&table.trim_fmt());
}
