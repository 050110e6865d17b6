//! Rows of the engine: a step's changes of the tree and its checkpoint are one commit.

use bytes::Bytes;
use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;
use kompira_schema::value::Ref;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Txn;
use crate::store::codec::unpack;
use crate::store::{Changed, Family, What};

impl Txn {
    /// Reads a row as this commit would leave it.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        self.view.reads.get(family, key)
    }

    /// Writes a row of the engine (process, frame, console, journal, timer, effect).
    pub fn raw_put(&mut self, family: Family, key: &[u8], value: Vec<u8>) {
        self.put(family, key, value);
    }

    /// Deletes a row of the engine.
    pub fn raw_delete(&mut self, family: Family, key: &[u8]) {
        self.remove(family, key);
    }

    /// The commit fails with a conflict (and runs again) if the row was written meanwhile.
    pub fn raw_expect(&mut self, family: Family, key: &[u8]) {
        self.expect(family, key);
    }

    /// A packed row (version, checksum, MessagePack).
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Corrupt`].
    pub fn row<T: DeserializeOwned>(&self, family: Family, key: &[u8]) -> Result<Option<T>, Fault> {
        let Some(bytes) = self.view.reads.get(family, key)? else { return Ok(None) };
        Ok(Some(unpack(family, key, &bytes)?))
    }

    /// Writes a packed row.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Internal`] when it cannot be encoded.
    pub fn put_row<T: Serialize>(
        &mut self,
        family: Family,
        key: &[u8],
        row: &T,
    ) -> Result<(), Fault> {
        self.put_packed(family, key, row)
    }

    /// Whether it has changed an object so far.
    #[must_use]
    pub fn changes_objects(&self) -> bool {
        self.view.reads.has_own(&[Family::Dirent, Family::Head, Family::Body])
    }

    /// Tells the feed that a process changed.
    pub fn process_changed(&mut self, process: ProcessId, what: What) {
        let subject = Ref::Process(process);
        self.changes.push(Changed { subject, what, place: None, old: None });
    }

    /// Adds an entry to the audit of this commit: an execution, a termination.
    pub fn audit_also(&mut self, attempt: crate::audit::Attempt) {
        if let Some(entry) = self.view.audit_entry(&self.who, attempt, None) {
            self.audits.push(entry);
        }
    }
}
