//! Mails of a mail channel: into its queue, once each, and its log (rule:
//! `operations/mail-channels`).
//!
//! Family `timer`: `m`, channel and name → a mail that was taken and whose server has not confirmed
//! yet that it is gone; `l` and channel → the log. Neither is part of the object's record, so that
//! they make no versions of it.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::value::Value;

use super::Txn;
use crate::store::codec::unpack;
use crate::store::{Direction, Family, KeyRange};
use crate::tree::view::View;

/// Names of mails are hashes of their mailbox and of what they are called there.
pub type MailName = [u8; 32];

const TAKEN: u8 = b'm';
const LOG: u8 = b'l';

fn key(kind: u8, channel: ObjectId, name: &[u8]) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&channel.0.to_be_bytes());
    key.extend_from_slice(name);
    key
}

impl View {
    /// The mail channels, and when their records were last written. Asks no permission: this is the
    /// engine's.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn mail_channels(&self) -> Result<Vec<(ObjectId, Rev)>, Fault> {
        let mut found = Vec::new();
        let Some(type_id) = self.builtin("MailChannel") else { return Ok(found) };
        for id in self.of_type(type_id)? {
            match self.head(id) {
                Ok(head) => found.push((id, head.rev)),
                Err(fault) if fault.kind() == Kind::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(found)
    }

    /// How many wait for messages of a channel, processes and requests.
    #[must_use]
    pub fn waiting_for(&self, channel: ObjectId) -> usize {
        self.inner.receivers(channel)
    }

    /// The mails that were taken and may still be on their server.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn mails_taken(&self, channel: ObjectId) -> Result<Vec<MailName>, Fault> {
        let mut found = Vec::new();
        let prefix = key(TAKEN, channel, b"");
        let range = KeyRange::prefix(&prefix);
        self.reads.scan(Family::Timer, &range, Direction::Forward, &mut |key, _| {
            let name = key.get(prefix.len()..).unwrap_or_default();
            found.extend(MailName::try_from(name).ok());
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The log of a mail channel.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn mail_log(&self, channel: ObjectId) -> Result<String, Fault> {
        let key = key(LOG, channel, b"");
        match self.reads.get(Family::Timer, &key)? {
            None => Ok(String::new()),
            Some(bytes) => Ok(unpack(Family::Timer, &key, &bytes)?),
        }
    }
}

impl Txn {
    /// Puts a mail into the queue of its channel and notes that it is taken; `false` when it was
    /// before.
    ///
    /// # Errors
    /// Those of [`Txn::queue_push`].
    pub fn take_mail(
        &mut self,
        channel: ObjectId,
        name: &MailName,
        mail: &Value,
    ) -> Result<bool, Fault> {
        let key = key(TAKEN, channel, name);
        self.expect(Family::Timer, key.as_slice());
        if self.view.reads.get(Family::Timer, &key)?.is_some() {
            return Ok(false);
        }
        self.queue_push(channel, mail)?;
        self.put(Family::Timer, key, Vec::new());
        Ok(true)
    }

    /// The server has confirmed that these mails are gone.
    pub fn forget_mails(&mut self, channel: ObjectId, names: &[MailName]) {
        for name in names {
            self.remove(Family::Timer, key(TAKEN, channel, name));
        }
    }

    /// Appends lines to the log of a mail channel, of which at most `size` bytes are kept; the
    /// oldest lines go first.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn log_mail(
        &mut self,
        channel: ObjectId,
        lines: &[String],
        size: usize,
    ) -> Result<(), Fault> {
        self.view.object_head(channel)?;
        let mut log = self.view.mail_log(channel)?;
        for line in lines {
            log.push_str(line);
            log.push('\n');
        }
        let surplus = log.len().saturating_sub(size);
        if surplus > 0 {
            let end = log.as_bytes().iter().skip(surplus - 1).position(|&byte| byte == b'\n');
            log.drain(..end.map_or(log.len(), |end| surplus + end));
        }
        self.expect_head(channel);
        self.put_packed(Family::Timer, key(LOG, channel, b""), &log)
    }

    /// Removes what a mail channel leaves behind.
    pub(in crate::tree) fn drop_mails(&mut self, channel: ObjectId) -> Result<(), Fault> {
        let taken = self.view.mails_taken(channel)?;
        self.forget_mails(channel, &taken);
        self.remove(Family::Timer, key(LOG, channel, b""));
        Ok(())
    }
}
