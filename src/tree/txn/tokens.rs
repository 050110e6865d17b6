//! Tokens of mail accounts, which only the server writes (rule: `operations/mail-oauth2`).
//!
//! Family `timer`: `o` and account → of whom its tokens are. It is no part of the object's record:
//! nobody writes it, and no earlier version of the object brings it back.

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::types::TypeDef;
use kompira_schema::value::Value;

use super::Txn;
use crate::audit::{Class, Verb};
use crate::secrets::Place;
use crate::store::codec::unpack;
use crate::store::{Body, Family, What};
use crate::tree::fault;
use crate::tree::view::View;

/// Logs in.
const ACCESS: &str = "access_token";
/// Gets the next token.
const REFRESH: &str = "refresh_token";
/// When the access token ends.
const EXPIRES: &str = "token_expires_at";

/// Says of whom the tokens of an account are, and which ones.
pub type TokenMark = [u8; 32];

fn key(id: ObjectId) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// Takes the tokens out of a copy of a mail account. Reason: a refresh token that is renewed is good
/// for one object alone.
pub(super) fn forget(def: &TypeDef, body: &mut Body) {
    if is_account(def) {
        body.fields.retain(|(name, _)| ![ACCESS, REFRESH, EXPIRES].contains(&name.as_str()));
    }
}

fn is_account(def: &TypeDef) -> bool {
    def.is_builtin("MailChannel") || def.is_builtin("SmtpServer")
}

/// Tokens that a provider gave.
#[derive(Debug, Clone, Copy)]
pub struct NewTokens<'a> {
    /// Logs in.
    pub access: &'a str,
    /// Gets the next one.
    pub refresh: &'a str,
    /// When the access token ends.
    pub expires: Timestamp,
    /// Of whom they are.
    pub of: TokenMark,
}

impl View {
    /// What an object whose account is one of an OAuth2 provider is: its built-in type is
    /// `MailChannel` or `SmtpServer`, and the caller may write it.
    ///
    /// # Errors
    /// [`Kind::NoMethod`] for other types, [`Kind::Denied`], [`Kind::NotFound`].
    pub fn mail_account(
        &self,
        who: &kompira_schema::tree::Caller,
        id: ObjectId,
    ) -> Result<crate::tree::Object, Fault> {
        let object = self.get(who, id)?;
        if !is_account(&object.stub.def) {
            let told = message!("oauth2.no_account", path = object.stub.path);
            return Err(Fault::new(Kind::NoMethod, told));
        }
        if !object.stub.access.write {
            return Err(fault::denied("write", object.stub.path.as_str()));
        }
        Ok(object)
    }

    /// Of whom the tokens of a mail account are; `None` when nobody gave any. Asks no permission:
    /// this is the engine's.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn token_mark(&self, id: ObjectId) -> Result<Option<TokenMark>, Fault> {
        let key = key(id);
        match self.reads.get(Family::Timer, &key)? {
            None => Ok(None),
            Some(bytes) => Ok(Some(unpack(Family::Timer, &key, &bytes)?)),
        }
    }
}

impl Txn {
    /// Removes what the tokens of a mail account leave behind.
    pub(in crate::tree) fn drop_tokens(&mut self, id: ObjectId) {
        self.remove(Family::Timer, key(id));
    }

    /// Replaces the tokens of a mail account; `None` empties them. The time of update stays, as
    /// with all that the server writes by itself. With `audited` it is somebody's doing.
    ///
    /// # Errors
    /// Those of [`View::mail_account`].
    pub fn set_tokens(
        &mut self,
        id: ObjectId,
        tokens: Option<NewTokens<'_>>,
        audited: Option<&'static str>,
    ) -> Result<(), Fault> {
        if let Some(action) = audited {
            self.trying(Class::Object, Verb::Update, |view| view.audit_target(id));
            self.trying_with("oauth2", || action.into());
        }
        let who = self.who.clone();
        self.view.mail_account(&who, id)?;
        let before = self.view.object_head(id)?;
        let def = self.view.type_def(before.type_id)?;
        let old = self.view.body_of(id)?;
        let (mut head, mut body) = (before.clone(), old.clone());
        let sealed = |field: &str, text: &str| -> Result<Value, Fault> {
            let place = Place { object: id, field };
            self.view.inner.keys.seal(text, place).map(Value::Sealed)
        };
        let (access, refresh, expires) = match tokens {
            None => (Value::Null, Value::Null, Value::Null),
            Some(new) => (
                sealed(ACCESS, new.access)?,
                sealed(REFRESH, new.refresh)?,
                Value::Datetime(new.expires),
            ),
        };
        for (field, value) in [(ACCESS, access), (REFRESH, refresh), (EXPIRES, expires)] {
            match value {
                Value::Null => body.fields.retain(|(name, _)| name != field),
                value => body.set_field(field, value),
            }
        }
        body.fields.sort_by_key(|(name, _)| def.field_index(name).unwrap_or(usize::MAX));
        match tokens {
            None => self.remove(Family::Timer, key(id)),
            Some(new) => self.put_packed(Family::Timer, key(id), &new.of)?,
        }
        head.ctime = self.now;
        self.save(Some((&before, &old)), &mut head, &body, &def)?;
        self.tell_at(&head, What::Record)?;
        if audited.is_some() {
            self.tried();
        }
        Ok(())
    }
}
