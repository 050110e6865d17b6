//! Mailboxes: looking at mails on a server, taking them one by one (rule: `operations/mail-channels`).
//!
//! Everything a server says is taken as hostile: lines, mails, lists, the amount of an answer and
//! the time of each are bounded. A mail is marked as taken by a step of its own, so that whoever
//! takes it can put it away safely before.

mod imap;
mod login;
mod pop3;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use std::time::Duration;

use kompira_schema::limits::QUEUE_BYTES_MAX;
use secrecy::SecretString;

use super::hide;
use super::network::Network;

/// Most bytes of one mail. Reason: a channel must be able to hold it.
pub const MAIL_BYTES_MAX: usize = QUEUE_BYTES_MAX - 1024 * 1024;

/// Most mails of one look at a mailbox; the next look finds more.
pub const LISTED_MAX: usize = 10_000;

/// How long connecting, logging in and opening may take together, whatever the settings say.
const OPEN_TIME_MAX: Duration = Duration::from_secs(600);

/// The language of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// IMAP4rev1.
    Imap,
    /// POP3.
    Pop,
}

/// Which mails are taken, and what becomes of them on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// All; they are deleted.
    AllAndDelete,
    /// The unread ones; they are marked as read. IMAP alone knows it.
    UnseenAndSetSeen,
}

/// A mailbox and the way to it.
#[derive(Debug, Clone)]
pub struct Account {
    /// The language of the server.
    pub protocol: Protocol,
    /// Its name or address.
    pub host: String,
    /// `None` is 143 or 110, with TLS 993 or 995.
    pub port: Option<u16>,
    /// Encrypt from the start.
    pub tls: bool,
    /// Log in as.
    pub user: String,
    /// Log in with: a password, with `oauth2` the access token.
    pub secret: Option<SecretString>,
    /// Log in by XOAUTH2.
    pub oauth2: bool,
    /// The longest silence of the server; `None` is the system's.
    pub timeout: Option<Duration>,
    /// The folder; empty is `INBOX`, and POP3 has but one.
    pub folder: String,
    /// What is taken.
    pub mode: Mode,
}

impl Account {
    /// The port that is meant.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match (self.protocol, self.tls) {
            (Protocol::Imap, false) => 143,
            (Protocol::Imap, true) => 993,
            (Protocol::Pop, false) => 110,
            (Protocol::Pop, true) => 995,
        })
    }
}

/// After this, a failure has the words of the server.
const SAYS: &str = "the mail server says: ";

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server says no; it can be asked for something else.
    Refused(String),
    /// The connection is of no use any more.
    Broken(String),
    /// As [`Trouble::Broken`], since the answer was longer, or took longer, than any may.
    Excess(String),
}

impl Trouble {
    /// The same without secrets.
    fn hidden(self, secrets: &[SecretString]) -> Self {
        let secrets: Vec<_> = secrets.iter().collect();
        // Our own words hold none; that a word is missing there would tell a secret.
        let hidden = |why: String| match why.split_once(SAYS) {
            Some((ours, theirs)) => format!("{ours}{SAYS}{}", hide::line(theirs, &secrets)),
            None => why,
        };
        match self {
            Self::Refused(why) => Self::Refused(hidden(why)),
            Self::Broken(why) => Self::Broken(hidden(why)),
            Self::Excess(why) => Self::Excess(hidden(why)),
        }
    }

    /// In words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Refused(why) | Self::Broken(why) | Self::Excess(why) => why,
        }
    }
}

/// A mail that is there to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the server is asked by, during this connection.
    number: u32,
    /// What no other mail of this mailbox is ever called; `None` where the server has no such names.
    pub name: Option<Vec<u8>>,
    /// Its size in bytes, as the server says.
    pub size: u64,
}

/// The mails that are there, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// At most [`LISTED_MAX`].
    pub mails: Vec<Listed>,
    /// Whether that is all.
    pub complete: bool,
}

/// A mail that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Its bytes as they travel.
    Mail(Vec<u8>),
    /// It has more bytes than were asked for.
    TooLarge,
    /// Somebody else was faster.
    Gone,
}

/// An open mailbox.
#[derive(Debug)]
pub struct Mailbox {
    inner: Inner,
    /// What the server was told, and may repeat.
    secrets: Vec<SecretString>,
    fetch_time: Duration,
}

#[derive(Debug)]
enum Inner {
    Imap(imap::Imap),
    Pop(pop3::Pop),
}

impl Mailbox {
    /// Connects, logs in and opens the mailbox.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn open(account: &Account, network: &Network) -> Result<Self, Trouble> {
        let work = async {
            let wire = wire::Wire::connect(account, network).await?;
            Ok(match account.protocol {
                Protocol::Imap => Inner::Imap(imap::Imap::open(wire, account).await?),
                Protocol::Pop => Inner::Pop(pop3::Pop::open(wire, account).await?),
            })
        };
        let late = |_| Err(Trouble::Broken("the mailbox was not opened in time".to_owned()));
        let opened = Box::pin(tokio::time::timeout(OPEN_TIME_MAX, work)).await;
        let secrets: Vec<_> = account.secret.iter().cloned().collect();
        match opened.unwrap_or_else(late) {
            Ok(inner) => Ok(Self { inner, secrets, fetch_time: network.patience.fetch }),
            Err(trouble) => Err(trouble.hidden(&secrets)),
        }
    }

    /// What is there to be taken.
    ///
    /// # Errors
    /// As [`Mailbox::open`].
    pub async fn list(&mut self) -> Result<Listing, Trouble> {
        let listed = match &mut self.inner {
            Inner::Imap(imap) => imap.list().await,
            Inner::Pop(pop) => pop.list().await,
        };
        listed.map_err(|trouble| trouble.hidden(&self.secrets))
    }

    /// Reads a mail of at most `most` bytes; nothing changes on the server.
    ///
    /// # Errors
    /// As [`Mailbox::open`]; [`Trouble::Excess`] when it takes too long.
    pub async fn fetch(&mut self, mail: &Listed, most: usize) -> Result<Fetched, Trouble> {
        let most = most.min(MAIL_BYTES_MAX);
        let work = async {
            match &mut self.inner {
                Inner::Imap(imap) => imap.fetch(mail.number, most).await,
                Inner::Pop(pop) => pop.fetch(mail.number, most).await,
            }
        };
        let late = |_| Err(Trouble::Excess("a mail did not come in time".to_owned()));
        let fetched = Box::pin(tokio::time::timeout(self.fetch_time, work)).await;
        fetched.unwrap_or_else(late).map_err(|trouble| trouble.hidden(&self.secrets))
    }

    /// Marks a mail as taken; answers whether that holds already, or from [`Mailbox::close`] on.
    ///
    /// # Errors
    /// As [`Mailbox::open`].
    pub async fn mark(&mut self, mail: &Listed) -> Result<bool, Trouble> {
        let marked = match &mut self.inner {
            Inner::Imap(imap) => imap.mark(mail.number).await,
            Inner::Pop(pop) => pop.mark(mail.number).await.map(|()| false),
        };
        marked.map_err(|trouble| trouble.hidden(&self.secrets))
    }

    /// Ends the connection; what was marked has been deleted.
    ///
    /// # Errors
    /// The server did not confirm that: some of it may still be there.
    pub async fn close(self) -> Result<(), Trouble> {
        let closed = match self.inner {
            Inner::Imap(imap) => imap.close().await,
            Inner::Pop(pop) => pop.close().await,
        };
        closed.map_err(|trouble| trouble.hidden(&self.secrets))
    }
}

/// Connects, logs in, opens the mailbox and leaves (rule: `language/conn-check`).
///
/// # Errors
/// What went wrong, in words.
pub async fn check(account: &Account, network: &Network) -> Result<(), String> {
    let mailbox = Mailbox::open(account, network).await.map_err(Trouble::text)?;
    mailbox.close().await.map_err(Trouble::text)
}
