//! One look at a mailbox: what is there is taken, mail by mail.
//!
//! A mail goes into the queue and into the list of those that were taken in one commit, which is
//! durable before the server is told to delete it; it leaves the list once the server has confirmed
//! that. So whatever breaks in between, the next look knows what it need not take again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::value::Value;

use super::budget::Reserved;
use super::settings::Settings;
use crate::engine::inner::{Inner, myself};
use crate::remote::mailbox::{Fetched, Listed, MAIL_BYTES_MAX, Mailbox, Trouble};
use crate::store::Durability;
use crate::tree::{MailName, Txn};

/// Most mails of one look. Reason: POP3 deletes at its end.
const MAILS_MAX: usize = 1_000;

/// Most mails of a channel that may be taken and not confirmed as gone.
const TAKEN_MAX: usize = 10_000;

/// Most mails whose being left alone is remembered.
const LEFT_MAX: usize = 10_000;

/// How long one look may take; the next goes on where it was.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// A look that is due.
pub(super) struct Round {
    pub(super) channel: ObjectId,
    /// When its record was last written.
    pub(super) rev: Rev,
    pub(super) mark: blake3::Hash,
    pub(super) settings: Result<Arc<Settings>, String>,
    /// Why the last look failed: that is not told again.
    pub(super) failed: Option<String>,
    /// Mails that stay where they are: that is not told again.
    pub(super) left: HashSet<MailName>,
}

/// How a look ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// How many mails came into the channel.
    pub(super) taken: usize,
    /// What went wrong.
    pub(super) failed: Option<String>,
    /// Mails that were found to be left alone.
    pub(super) left: Vec<MailName>,
    /// The settings it was made with.
    pub(super) mark: blake3::Hash,
}

impl Ending {
    /// Nothing came.
    pub(super) fn failed(why: String, mark: blake3::Hash) -> Self {
        Self { taken: 0, failed: Some(why), left: Vec::new(), mark }
    }
}

/// What a look knows so far.
struct Look {
    round: Round,
    settings: Arc<Settings>,
    inner: Arc<Inner>,
    /// Mails that were taken before and may still be there.
    known: HashSet<MailName>,
    /// Mails that are gone from the server.
    gone: Vec<MailName>,
    /// Mails that are gone once the server confirms it.
    marked: Vec<MailName>,
    taken: usize,
    left: Vec<MailName>,
    /// What the server refused.
    refused: Option<String>,
    lines: Vec<String>,
}

impl Round {
    /// Looks.
    pub(super) async fn begin(self, inner: Arc<Inner>) -> Ending {
        let mark = self.mark;
        let settings = match &self.settings {
            Ok(settings) => Arc::clone(settings),
            Err(why) => return Ending::failed(why.clone(), mark),
        };
        let mut look = Look {
            round: self,
            settings,
            inner,
            known: HashSet::new(),
            gone: Vec::new(),
            marked: Vec::new(),
            taken: 0,
            left: Vec::new(),
            refused: None,
            lines: Vec::new(),
        };
        let done = Box::pin(tokio::time::timeout(TIME_MAX, look.look())).await;
        let failed = match done {
            Ok(Ok(())) => look.refused.take(),
            Ok(Err(why)) => Some(why),
            // It was long, and goes on.
            Err(_) if look.taken > 0 => None,
            Err(_) => Some("the look at the mailbox took too long".to_owned()),
        };
        look.tell(failed.as_deref());
        let failed = match look.note().await {
            Ok(()) => failed,
            Err(why) => failed.or(Some(why)),
        };
        Ending { taken: look.taken, failed, left: look.left, mark }
    }
}

impl Look {
    async fn look(&mut self) -> Result<(), String> {
        let account = self.settings.account(&self.inner).await?;
        let network = self.inner.network();
        let mut mailbox = Mailbox::open(&account, network).await.map_err(Trouble::text)?;
        let listing = mailbox.list().await.map_err(Trouble::text)?;
        let channel = self.round.channel;
        let known = self.commit(move |inner| inner.tree.view().mails_taken(channel)).await?;
        let mine = self.settings.mailbox();
        let (known, others): (Vec<_>, _) =
            known.into_iter().partition(|name| name.starts_with(&mine));
        if known.len() + others.len() >= TAKEN_MAX {
            self.gone.extend(others);
        }
        self.known = known.into_iter().collect();
        let mut missing = self.known.clone();
        let mut names = Names::new(mine);
        let named: Vec<Option<MailName>> = listing
            .mails
            .iter()
            .map(|mail| mail.name.as_deref().map(|name| names.next(name)))
            .collect();
        for name in named.iter().flatten() {
            missing.remove(name);
        }
        let mut all = listing.complete;
        let mut done = Ok(());
        for (mail, name) in listing.mails.iter().zip(named) {
            if self.taken >= MAILS_MAX {
                all = false;
                break;
            }
            match self.attend(&mut mailbox, mail, name, &mut names).await {
                Ok(Some(name)) => {
                    missing.remove(&name);
                }
                Ok(None) => all = false,
                Err(Stop::Here(why)) => {
                    all = false;
                    done = why.map_or(Ok(()), Err);
                    break;
                }
                Err(Stop::Broken(why)) => return Err(why),
            }
        }
        // The server is left in any case: what was marked goes.
        mailbox.close().await.map_err(Trouble::text)?;
        self.gone.append(&mut self.marked);
        if all {
            self.gone.extend(missing);
        }
        done
    }

    /// Takes one mail; answers its name, if that is known.
    async fn attend(
        &mut self,
        mailbox: &mut Mailbox,
        mail: &Listed,
        name: Option<MailName>,
        names: &mut Names,
    ) -> Result<Option<MailName>, Stop> {
        // One without a name is known by its size, among those that are left.
        let size = mail.size.to_be_bytes();
        let known = name.unwrap_or_else(|| names.at(&size));
        if self.round.left.contains(&known) {
            if name.is_none() {
                names.next(&size);
            }
            return Ok(name);
        }
        if let Some(name) = name
            && self.known.contains(&name)
        {
            self.mark(mailbox, mail, name).await?;
            return Ok(Some(name));
        }
        if mail.size > MAIL_BYTES_MAX as u64 {
            if name.is_none() {
                names.next(&size);
            }
            self.leave(mail, known, "it is too large");
            return Ok(name);
        }
        let (fetched, _room) = self.fetch(mailbox, mail).await;
        let bytes = match fetched {
            Ok(Fetched::Mail(bytes)) => bytes,
            Ok(Fetched::TooLarge) => {
                if name.is_none() {
                    names.next(&size);
                }
                self.leave(mail, known, "it is too large");
                return Ok(name);
            }
            Ok(Fetched::Gone) => return Ok(name),
            Err(Trouble::Refused(why)) => {
                self.refused = Some(why);
                return Ok(name);
            }
            Err(Trouble::Excess(why)) => {
                self.leave(mail, known, &why);
                return Err(Stop::Broken(why));
            }
            Err(Trouble::Broken(why)) => return Err(Stop::Broken(why)),
        };
        let name = name.unwrap_or_else(|| names.next(blake3::hash(&bytes).as_bytes()));
        if !self.known.contains(&name) {
            self.take(name, bytes).await?;
        }
        self.mark(mailbox, mail, name).await?;
        Ok(Some(name))
    }

    /// Reads a mail when there is room for it. What the server said of its size may be wrong.
    async fn fetch(
        &self,
        mailbox: &mut Mailbox,
        mail: &Listed,
    ) -> (Result<Fetched, Trouble>, Reserved) {
        let budget = &self.inner.mails.budget;
        let said = usize::try_from(mail.size).unwrap_or(MAIL_BYTES_MAX);
        let room = budget.reserve(said.min(MAIL_BYTES_MAX)).await;
        let fetched = mailbox.fetch(mail, room.bytes()).await;
        if fetched != Ok(Fetched::TooLarge) || room.bytes() >= MAIL_BYTES_MAX {
            return (fetched, room);
        }
        // Given back before more is taken: who holds some never waits for more.
        drop(room);
        let room = budget.reserve(MAIL_BYTES_MAX).await;
        (mailbox.fetch(mail, MAIL_BYTES_MAX).await, room)
    }

    /// Puts a mail into the channel, durably.
    async fn take(&mut self, name: MailName, bytes: Vec<u8>) -> Result<(), Stop> {
        if self.known.len() >= TAKEN_MAX {
            let why = "the mail server does not confirm that mails are deleted";
            return Err(Stop::Here(Some(why.to_owned())));
        }
        let mail = match String::from_utf8(bytes) {
            Ok(text) => Value::Str(text),
            Err(other) => Value::Bytes(other.into_bytes()),
        };
        let (channel, rev, mark) = (self.round.channel, self.round.rev, self.round.mark);
        let taken = self.commit(move |inner| {
            let same = |txn: &Txn| is_same(txn, channel, rev, mark);
            deliver(inner, channel, &name, &mail, same)
        });
        let taken = taken.await;
        match taken {
            Ok(Some(taken)) => {
                self.known.insert(name);
                self.taken += usize::from(taken);
                Ok(())
            }
            Ok(None) => Err(Stop::Here(None)),
            Err(why) => Err(Stop::Here(Some(why))),
        }
    }

    /// Tells the server that a mail is taken.
    async fn mark(
        &mut self,
        mailbox: &mut Mailbox,
        mail: &Listed,
        name: MailName,
    ) -> Result<(), Stop> {
        match mailbox.mark(mail).await {
            Ok(true) => self.gone.push(name),
            Ok(false) => self.marked.push(name),
            Err(Trouble::Refused(why)) => self.refused = Some(why),
            Err(Trouble::Broken(why) | Trouble::Excess(why)) => return Err(Stop::Broken(why)),
        }
        Ok(())
    }

    /// Lets a mail be that cannot be had.
    fn leave(&mut self, mail: &Listed, name: MailName, why: &str) {
        if self.round.left.len() + self.left.len() < LEFT_MAX {
            self.left.push(name);
        }
        let told = format!("a mail of {} bytes stays on the server: {why}", mail.size);
        tracing::warn!(channel = self.round.channel.0, told, "mail left");
        self.lines.push(told);
    }

    /// Adds to the log what is new.
    fn tell(&mut self, failed: Option<&str>) {
        let host = &self.settings.account.host;
        if self.taken > 0 {
            self.lines.push(format!("{} mails taken from {host}", self.taken));
        } else if failed.is_none() && self.round.failed.is_some() {
            self.lines.push(format!("connected to {host} again"));
        }
        if failed != self.round.failed.as_deref() {
            self.lines.extend(failed.map(str::to_owned));
        }
    }

    /// Writes down what is gone, and the log.
    async fn note(&mut self) -> Result<(), String> {
        let (gone, lines) = (std::mem::take(&mut self.gone), std::mem::take(&mut self.lines));
        if gone.is_empty() && lines.is_empty() {
            return Ok(());
        }
        let (channel, size) = (self.round.channel, self.settings.log_size);
        let noted = self.commit(move |inner| {
            let at = inner.now().to_zoned(inner.tree.view().zone());
            let at = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
            let lines: Vec<String> = lines.iter().map(|line| format!("{at} {line}")).collect();
            inner.tree.write(&myself(), Durability::Lazy, |txn| {
                txn.forget_mails(channel, &gone);
                if lines.is_empty() { Ok(()) } else { txn.log_mail(channel, &lines, size) }
            })
        });
        match noted.await {
            Ok(_) => Ok(()),
            Err(_) if self.inner.tree.view().type_of(channel).is_err() => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Asks the store, where that may take its time.
    async fn commit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, String> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) if fault.kind() == Kind::TooMany => {
                Err("the queue of the channel is full".to_owned())
            }
            Ok(Err(fault)) => Err(format!("the mail cannot be stored: {}", fault.kind().name())),
            Err(error) => Err(format!("the mail cannot be stored: {error}")),
        }
    }
}

/// Why a look ends before its end.
enum Stop {
    /// Nothing more is taken; the server is left in good order. With a reason, that is a failure.
    Here(Option<String>),
    /// There is no connection any more.
    Broken(String),
}

/// Whether a channel is there, and set as it was.
fn is_same(txn: &Txn, channel: ObjectId, rev: Rev, mark: blake3::Hash) -> Result<bool, Fault> {
    let gone = |fault: Fault| if fault.kind() == Kind::NotFound { Ok(false) } else { Err(fault) };
    match txn.stub(&myself(), channel) {
        Ok(stub) if stub.head.rev == rev => return Ok(true),
        Ok(_) => {}
        Err(fault) => return gone(fault),
    }
    match txn.get(&myself(), channel) {
        Ok(object) => Ok(Settings::read(txn, &object).is_ok_and(|now| now.mark() == mark)),
        Err(fault) => gone(fault),
    }
}

/// One commit: the mail is in the queue, and known as taken. `None`: the channel is gone, switched
/// off or set to something else.
fn deliver(
    inner: &Inner,
    channel: ObjectId,
    name: &MailName,
    mail: &Value,
    same: impl Fn(&Txn) -> Result<bool, Fault>,
) -> Result<Option<bool>, Fault> {
    inner.before_commit()?;
    let done = inner.tree.write(&myself(), Durability::Synced, |txn| match same(txn)? {
        true => txn.take_mail(channel, name, mail).map(Some),
        false => Ok(None),
    })?;
    Ok(done.value.filter(|_| inner.after_commit()))
}

/// Names of mails in the store. Two that the server calls the same are told apart by their order.
struct Names {
    mailbox: [u8; 16],
    seen: HashMap<Vec<u8>, u64>,
}

impl Names {
    fn new(mailbox: [u8; 16]) -> Self {
        Self { mailbox, seen: HashMap::new() }
    }

    fn next(&mut self, called: &[u8]) -> MailName {
        let name = self.at(called);
        *self.seen.entry(called.to_vec()).or_default() += 1;
        name
    }

    /// What the next one will be that is called so.
    fn at(&self, called: &[u8]) -> MailName {
        let count = self.seen.get(called).map_or(1, |seen| seen + 1);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&count.to_be_bytes());
        hasher.update(called);
        let hash = hasher.finalize();
        let mut name = [0; 32];
        let whole = self.mailbox.iter().chain(hash.as_bytes());
        name.iter_mut().zip(whole).for_each(|(to, from)| *to = *from);
        name
    }
}
