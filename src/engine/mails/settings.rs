//! What a mail channel is set to.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::id::ObjectId;
use kompira_schema::value::{Ref, Value};
use secrecy::ExposeSecret as _;

use crate::engine::inner::{Inner, secret};
use crate::engine::tokens;
use crate::remote::mailbox::{Account, Mode, Protocol};
use crate::tree::{Object, View};

/// Minutes between two looks, when the object says nothing or 0.
const INTERVAL: u64 = 10;

/// Most bytes of the log, when the object says nothing.
const LOG_SIZE: usize = 65_536;

/// The settings of a mail channel.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Settings {
    /// The channel.
    id: ObjectId,
    /// Without the token, when it logs in by one.
    pub(super) account: Account,
    /// Who gives the token, when it logs in by one.
    provider: Option<ObjectId>,
    /// No connection is made.
    pub(super) disabled: bool,
    /// Mails start a jobflow, also when nobody waits.
    pub(super) acts: bool,
    /// Between two looks that find nothing.
    pub(super) interval: Duration,
    /// Most bytes of the log.
    pub(super) log_size: usize,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Why they cannot be used, in words.
    pub(in crate::engine) fn read(view: &View, object: &Object) -> Result<Self, String> {
        let field = |name: &str| view.field(object, name).map(Cow::into_owned);
        let text = |name: &str| match field(name) {
            Some(Value::Str(text)) => text,
            _ => String::new(),
        };
        let on = |name: &str| matches!(field(name), Some(Value::Bool(true)));
        let positive = |name: &str| match field(name) {
            Some(Value::Int(number)) => u64::try_from(number).ok().filter(|&number| number > 0),
            _ => None,
        };
        let oauth2 = on("use_oauth2");
        let secret = match oauth2 {
            true => None,
            false => secret(view, object.id(), "password").map_err(|fault| {
                format!("password of the mail channel: {}", fault.kind().name())
            })?,
        };
        let provider = match field("oauth2_provider") {
            Some(Value::Object(Ref::Object(provider))) if oauth2 => Some(provider),
            _ => None,
        };
        if oauth2 && !tokens::has_any(view, object.id()) {
            return Err(tokens::NONE.to_owned());
        }
        let host = text("serverName").trim().to_owned();
        let protocol = if text("protocol") == "POP3" { Protocol::Pop } else { Protocol::Imap };
        let seen = text("receive_mode") == "ReceiveUnseenAndSetSeen" && protocol == Protocol::Imap;
        let account = Account {
            protocol,
            host: if host.is_empty() { "localhost".to_owned() } else { host },
            port: positive("port").and_then(|port| u16::try_from(port).ok()),
            tls: on("SSL"),
            user: text("username"),
            secret,
            oauth2,
            timeout: positive("timeout").map(Duration::from_secs),
            folder: text("mailbox"),
            mode: if seen { Mode::UnseenAndSetSeen } else { Mode::AllAndDelete },
        };
        let minutes = positive("checkInterval").unwrap_or(INTERVAL);
        let log_size = match field("logSize") {
            Some(Value::Int(size)) => usize::try_from(size).unwrap_or(0).min(16 * 1024 * 1024),
            _ => LOG_SIZE,
        };
        Ok(Self {
            id: object.id(),
            provider,
            account,
            disabled: !matches!(field("disabled"), Some(Value::Bool(false))),
            acts: !matches!(text("action_type").as_str(), "" | "NoAction"),
            interval: Duration::from_secs(minutes.saturating_mul(60)),
            log_size,
        })
    }

    /// What the mailbox is opened with; a token that has ended is renewed.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(in crate::engine) async fn account(&self, inner: &Arc<Inner>) -> Result<Account, String> {
        let mut account = self.account.clone();
        if account.oauth2 {
            account.secret = Some(tokens::fresh(inner, self.id).await?);
        }
        Ok(account)
    }

    /// Changes with whatever a connection is made of; a token that is renewed is none of it.
    pub(super) fn mark(&self) -> blake3::Hash {
        let secret = self.account.secret.as_ref().map_or("", |secret| secret.expose_secret());
        blake3::hash(format!("{self:?}\n{:?}\n{secret}", self.provider).as_bytes())
    }

    /// What mailbox it is: names of mails are unique within one.
    pub(super) fn mailbox(&self) -> [u8; 16] {
        let Account { protocol, host, user, folder, .. } = &self.account;
        let port = self.account.port();
        let hash =
            blake3::hash(format!("{protocol:?}\n{host}\n{port}\n{user}\n{folder}").as_bytes());
        let mut short = [0; 16];
        short.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        short
    }
}
