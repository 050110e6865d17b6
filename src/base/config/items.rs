//! The table of settings: one row each, as in the reference page.

use std::fmt;

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// A path of the file system.
    Path,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A whole number (or a product of whole numbers) from the first to the second, both in.
    Integer(u64, u64),
    /// `true/false/yes/no/on/off/1/0`.
    Flag,
    /// Addresses with ports, separated by commas.
    Addresses,
    /// The path of an object.
    Object,
}

impl Shape {
    pub(super) fn admits(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Path => !text.contains('\0'),
            Self::Word(words) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
            Self::Integer(least, most) => {
                integer(text).is_some_and(|number| (least..=most).contains(&number))
            }
            Self::Flag => truth(text).is_some(),
            Self::Addresses => text
                .split([',', '\n'])
                .map(str::trim)
                .all(|part| part.is_empty() || part.parse::<std::net::SocketAddr>().is_ok()),
            Self::Object => kompira_schema::path::ObjectPath::parse(text).is_ok(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Path => f.write_str("a path"),
            Self::Word(words) => write!(f, "one of {}", words.join(", ")),
            Self::Integer(least, u64::MAX) => write!(f, "a whole number from {least}"),
            Self::Integer(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Flag => f.write_str("true, false, yes, no, on, off, 1 or 0"),
            Self::Addresses => f.write_str("addresses as in 127.0.0.1:8080, separated by commas"),
            Self::Object => f.write_str("the path of an object"),
        }
    }
}

/// One setting that exists.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// Its section.
    pub section: &'static str,
    /// Its key.
    pub key: &'static str,
    /// What values it takes.
    pub shape: Shape,
    /// Value when nothing is said; empty is "not set".
    pub default: &'static str,
    /// Whether its value stays out of logs and listings.
    pub secret: bool,
}

impl Item {
    /// `section.key`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

const fn item(
    section: &'static str,
    key: &'static str,
    shape: Shape,
    default: &'static str,
) -> Item {
    Item { section, key, shape, default, secret: false }
}

const ANY: u64 = u64::MAX;
const SECONDS: Shape = Shape::Integer(0, 86_400);

/// Every setting (rule: operations/config-items).
pub static ITEMS: &[Item] = &[
    item("kompira", "site_id", Shape::Integer(0, ANY), "1"),
    item(
        "logging",
        "loglevel",
        Shape::Word(&["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
        "INFO",
    ),
    item("logging", "logdir", Shape::Path, ""),
    item("logging", "logbackup", Shape::Integer(0, 10_000), "7"),
    item("logging", "logmaxsz", Shape::Integer(0, ANY), "0"),
    item("amqp-connection", "server", Shape::Text, "localhost"),
    item("amqp-connection", "port", Shape::Integer(1, 65_535), ""),
    item("amqp-connection", "user", Shape::Text, ""),
    Item {
        section: "amqp-connection",
        key: "password",
        shape: Shape::Text,
        default: "",
        secret: true,
    },
    item("amqp-connection", "ssl", Shape::Flag, ""),
    item("amqp-connection", "ssl_verify", Shape::Flag, "false"),
    item("amqp-connection", "ssl_cacertfile", Shape::Path, ""),
    item("amqp-connection", "ssl_certfile", Shape::Path, ""),
    item("amqp-connection", "ssl_keyfile", Shape::Path, ""),
    item("amqp-connection", "heartbeat_interval", SECONDS, "10"),
    item("amqp-connection", "max_retry", Shape::Integer(0, ANY), "3"),
    item("amqp-connection", "retry_interval", SECONDS, "30"),
    item("agent", "name", Shape::Text, "default"),
    item("agent", "pool_size", Shape::Integer(1, 80), "8"),
    item("agent", "disable_cache", Shape::Flag, "false"),
    item("agent", "cache_duration", SECONDS, "300"),
    item("event", "channel", Shape::Object, "/system/channels/Alert"),
    item("history", "days", Shape::Integer(1, 36_500), "30"),
    item("history", "feed_days", Shape::Integer(1, 36_500), "7"),
    item("scheduler", "missed_runs", Shape::Word(&["skip", "once"]), "skip"),
    item("paths", "data", Shape::Path, "/var/opt/kompira"),
    item("http", "listen", Shape::Addresses, "127.0.0.1:8080"),
    item("http", "insecure_bind", Shape::Flag, "false"),
    item("http", "max_upload", Shape::Integer(1, ANY), "1024*1024*1024"),
    item("http", "rate_limit", Shape::Integer(0, ANY), "0"),
    item("repository", "max_size", Shape::Integer(1, ANY), "4*1024*1024*1024"),
    item("locale", "language", Shape::Word(&["auto", "en", "ja"]), "auto"),
    item("locale", "timezone", Shape::Text, "auto"),
];

/// Reads a truth value.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads `1024` or `64*1024*1024`.
pub(super) fn integer(text: &str) -> Option<u64> {
    text.split('*').try_fold(1_u64, |product, factor| {
        let factor = factor.trim();
        let digits = !factor.is_empty() && factor.bytes().all(|byte| byte.is_ascii_digit());
        product.checked_mul(digits.then(|| factor.parse().ok()).flatten()?)
    })
}
