//! What a mail channel is set to.

use std::borrow::Cow;
use std::time::Duration;

use kompira_schema::value::Value;

use crate::engine::inner::myself;
use crate::remote::mailbox::{Account, Mode, Protocol};
use crate::tree::{Object, View};

/// The settings of a mail channel.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Settings {
    pub(in crate::engine) account: Account,
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
        let word = if oauth2 { "access_token" } else { "password" };
        let secret = view
            .password(&myself(), object.id(), word, None)
            .map_err(|fault| format!("{word} of the mail channel: {}", fault.kind().name()))?;
        let secret = Some(secret.as_str().to_owned()).filter(|text| !text.is_empty());
        if oauth2 && secret.is_none() {
            return Err("the mail channel has no access token".to_owned());
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
            secret: secret.map(Into::into),
            oauth2,
            timeout: positive("timeout").map(Duration::from_secs),
            folder: text("mailbox"),
            mode: if seen { Mode::UnseenAndSetSeen } else { Mode::AllAndDelete },
        };
        Ok(Self { account })
    }
}
