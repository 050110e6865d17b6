//! `kompira.conf` and what overrides it: every setting knows where its value comes from.
//!
//! rule: operations/config

mod items;
mod reader;

use std::fmt;
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

pub use items::{ITEMS, Item, Shape};
pub use reader::{Entry, read};

/// Where a value comes from; later ones win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// Follows from another setting, which is named.
    Derived(&'static str),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// An option of the command.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Derived(from) => write!(f, "follows from {from}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::CommandLine(option) => f.write_str(option),
        }
    }
}

/// One setting: its text, checked against its [`Shape`], and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it sets.
    pub item: &'static Item,
    /// The value as text; empty means "not set".
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    settings: Vec<Setting>,
    warnings: Vec<String>,
}

/// A value from outside the file: which item, its text, where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// `section.key`.
    pub name: &'static str,
    /// The value.
    pub text: String,
    /// [`Origin::Environment`] or [`Origin::CommandLine`].
    pub origin: Origin,
}

impl Config {
    /// Takes the text of a configuration file (if there is one) and what stands above it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a line that cannot be read or a value that does not fit, naming
    /// file, line, section and key.
    pub fn new(file: Option<(&Path, &str)>, overrides: &[Override]) -> Result<Self, Fault> {
        let mut settings: Vec<Setting> = ITEMS
            .iter()
            .map(|item| Setting { item, text: item.default.to_owned(), origin: Origin::Default })
            .collect();
        let mut warnings = Vec::new();
        if let Some((path, text)) = file {
            for entry in read(path, text)? {
                let found = settings.iter_mut().find(|setting| {
                    setting.item.section == entry.section && setting.item.key == entry.key
                });
                match found {
                    None => warnings.push(unknown(path, &entry)),
                    // Explicitly empty is the same as absent.
                    Some(_) if entry.value.is_empty() => {}
                    Some(setting) => {
                        setting.text = entry.value;
                        setting.origin = Origin::File { path: path.to_owned(), line: entry.line };
                    }
                }
            }
        }
        for over in overrides {
            if let Some(setting) =
                settings.iter_mut().find(|setting| setting.item.name() == over.name)
            {
                setting.text = over.text.clone();
                setting.origin = over.origin.clone();
            }
        }
        let mut config = Self { settings, warnings };
        config.derive();
        for setting in &config.settings {
            setting.check()?;
        }
        Ok(config)
    }

    /// The documented derivations of the broker's settings; an explicit key stops its own alone.
    fn derive(&mut self) {
        let server = self.text("amqp-connection", "server").to_owned();
        let here = server == "localhost" || server == "127.0.0.1";
        let user = if here { "guest" } else { "kompira" };
        self.follow("user", user, "amqp-connection.server");
        let user = self.text("amqp-connection", "user").to_owned();
        self.follow("password", &user, "amqp-connection.user");
        let ssl = if server == "localhost" { "false" } else { "true" };
        self.follow("ssl", ssl, "amqp-connection.server");
        let ssl = self.flag("amqp-connection", "ssl");
        self.follow("port", if ssl { "5671" } else { "5672" }, "amqp-connection.ssl");
    }

    fn follow(&mut self, key: &str, text: &str, from: &'static str) {
        if let Some(setting) = self
            .settings
            .iter_mut()
            .find(|setting| setting.item.section == "amqp-connection" && setting.item.key == key)
            && setting.origin == Origin::Default
        {
            text.clone_into(&mut setting.text);
            setting.origin = Origin::Derived(from);
        }
    }

    /// Every setting, in the order of the reference page.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What was in the file and means nothing to us; to be logged as warnings.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// One setting.
    ///
    /// # Panics
    /// When the item table has no such row, which is a slip of the caller.
    #[must_use]
    pub fn setting(&self, section: &str, key: &str) -> &Setting {
        self.settings
            .iter()
            .find(|setting| setting.item.section == section && setting.item.key == key)
            .expect("the caller names a row of ITEMS")
    }

    /// The text of a setting; empty means "not set".
    #[must_use]
    pub fn text(&self, section: &str, key: &str) -> &str {
        &self.setting(section, key).text
    }

    /// A path, when set.
    #[must_use]
    pub fn path(&self, section: &str, key: &str) -> Option<PathBuf> {
        let text = self.text(section, key);
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    /// A truth value; unset is `false`.
    #[must_use]
    pub fn flag(&self, section: &str, key: &str) -> bool {
        items::truth(self.text(section, key)).unwrap_or(false)
    }

    /// An integer, when set.
    #[must_use]
    pub fn integer(&self, section: &str, key: &str) -> Option<u64> {
        items::integer(self.text(section, key))
    }

    /// A list: parts between commas and line ends.
    #[must_use]
    pub fn list(&self, section: &str, key: &str) -> Vec<&str> {
        let parts = self.text(section, key).split([',', '\n']);
        parts.map(str::trim).filter(|part| !part.is_empty()).collect()
    }
}

impl Setting {
    fn check(&self) -> Result<(), Fault> {
        if self.text.is_empty() || self.item.shape.admits(&self.text) {
            return Ok(());
        }
        let text = if self.item.secret { "(hidden)" } else { &self.text };
        Err(Fault::new(
            Kind::Invalid,
            message!(
                "config.bad_value",
                origin = self.origin,
                section = self.item.section,
                key = self.item.key,
                value = text,
                wanted = self.item.shape,
            ),
        ))
    }

    /// The value for people: secrets are not shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.item.secret && !self.text.is_empty() { "(hidden)" } else { &self.text }
    }
}

fn unknown(path: &Path, entry: &Entry) -> String {
    format!(
        "{}:{}: [{}] {} is no setting of this version; ignored",
        path.display(),
        entry.line,
        entry.section,
        entry.key,
    )
}

#[cfg(test)]
mod tests;
