//! Somebody approves at a provider that his mail account is used (rule: `http/oauth2`).
//!
//! What he is known by when he comes back is drawn at random, counts once, for one object, the user
//! who began and a few minutes; nobody else can make an object take a token. It is kept in memory
//! alone. Whoever begins anew or empties the tokens also ends what is being redeemed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Issuer, NewTokens, alone, ask, cannot_store, chosen, end, text};
use crate::engine::Engine;
use crate::engine::inner::Inner;
use crate::remote::hide;
use crate::remote::oauth2::{Approval, Grant, Returned};
use crate::store::Durability;

/// How long somebody may take to approve.
pub const APPROVAL_TIME_MAX: Duration = Duration::from_secs(600);

/// Most approvals that are waited for; the oldest is forgotten for a new one.
const PENDING_MAX: usize = 1_000;

/// Most bytes of what a provider sends somebody back with.
const CODE_BYTES_MAX: usize = 8 * 1024;

/// Somebody who is to approve.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The provider's page, for his browser.
    pub url: String,
    /// Where it sends him back to.
    pub redirect: String,
}

/// Approvals that are waited for, the oldest first.
#[derive(Default)]
pub(super) struct Pending {
    waiting: Vec<Waiting>,
    /// What is being redeemed, and whether it still counts.
    redeemed: Vec<(ObjectId, Weak<AtomicBool>)>,
}

struct Waiting {
    state: String,
    id: ObjectId,
    who: Caller,
    issuer: Issuer,
    redirect: String,
    verifier: SecretString,
    until: Duration,
    counts: Arc<AtomicBool>,
}

impl Pending {
    /// One for each object: who asks again forgets the last one.
    fn add(&mut self, new: Waiting, now: Duration) {
        self.forget(new.id);
        self.waiting.retain(|one| one.until > now);
        if self.waiting.len() >= PENDING_MAX {
            self.waiting.remove(0);
        }
        self.waiting.push(new);
    }

    /// Takes out who is known by this, if it is who `by` says; it counts once.
    fn take(
        &mut self,
        state: &str,
        now: Duration,
        by: impl Fn(&Waiting) -> bool,
    ) -> Option<Waiting> {
        self.waiting.retain(|one| one.until > now);
        // Compared by their hashes, so that no time tells how much of it was right.
        let wanted = blake3::hash(state.as_bytes());
        let is_it = |one: &Waiting| blake3::hash(one.state.as_bytes()) == wanted && by(one);
        let at = self.waiting.iter().position(is_it)?;
        let found = self.waiting.remove(at);
        self.redeemed.retain(|(_, counts)| counts.strong_count() > 0);
        self.redeemed.push((found.id, Arc::downgrade(&found.counts)));
        Some(found)
    }

    fn forget(&mut self, id: ObjectId) {
        self.waiting.retain(|one| one.id != id);
        for (of, counts) in &self.redeemed {
            if let Some(counts) = counts.upgrade().filter(|_| *of == id) {
                counts.store(false, Ordering::SeqCst);
            }
        }
    }
}

fn random() -> Result<String, Fault> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Fault::internal)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unknown() -> Fault {
    Fault::new(Kind::BadRequest, message!("oauth2.unknown_state"))
}

fn odd(field: &str, message: kompira_schema::error::Message) -> Fault {
    Fault::invalid(vec![Problem { at: field.to_owned(), message }])
}

impl Engine {
    /// Begins an approval for a mail account; `callback` is where we listen for its end, if the
    /// provider's object names no other place.
    ///
    /// # Errors
    /// Those of [`crate::tree::View::mail_account`]; a validation failure that says what is missing.
    pub fn authorize(&self, who: &Caller, id: ObjectId, callback: &str) -> Result<Begun, Fault> {
        let inner = &self.inner;
        let view = inner.tree.view();
        let object = view.mail_account(who, id)?;
        let chosen = chosen(&view, &object)
            .ok_or_else(|| odd("oauth2_provider", message!("mail.no_provider")))?;
        let provider = view.get(who, chosen)?;
        if !provider.stub.def.is_builtin("OAuth2Provider") {
            return Err(odd("oauth2_provider", message!("mail.no_provider")));
        }
        let word = |field: &str| text(&view, &provider, field);
        let path = provider.stub.path.as_str();
        for field in ["client_id", "auth_endpoint", "token_endpoint"] {
            if word(field).is_empty() {
                let told = message!("oauth2.no_field", field = field, path = path);
                return Err(odd("oauth2_provider", told));
            }
        }
        let own = word("redirect_url");
        let redirect = if own.is_empty() { callback.to_owned() } else { own };
        let scope: Vec<String> = match view.field(&provider, "scope").as_deref() {
            Some(Value::Array(items)) => items.iter().filter_map(word_of).collect(),
            _ => Vec::new(),
        };
        let (state, verifier) = (random()?, SecretString::from(random()?));
        let approval = Approval {
            auth_endpoint: &word("auth_endpoint"),
            client_id: &word("client_id"),
            redirect: &redirect,
            scope: &scope,
            state: &state,
            verifier: &verifier,
        };
        let url = approval.url().map_err(|why| {
            let told = message!("oauth2.bad_endpoint", path = path, why = why);
            odd("oauth2_provider", told)
        })?;
        let now = inner.clock.monotonic();
        let until = now.saturating_add(APPROVAL_TIME_MAX);
        let (who, sent) = (who.clone(), redirect.clone());
        let issuer = Issuer::of(&view, &provider);
        let counts = Arc::new(AtomicBool::new(true));
        let waiting = Waiting { state, id, who, issuer, redirect: sent, verifier, until, counts };
        inner.tokens.pending.lock().add(waiting, now);
        Ok(Begun { url, redirect })
    }

    /// Ends an approval with what the provider sent somebody back with; answers whose it was. It
    /// must have been begun by that user, and with `of` for that object; else it stays as it is.
    ///
    /// # Errors
    /// [`Kind::BadRequest`] when nobody is known by it, or the provider is another one by now,
    /// [`Kind::Outside`] with what the provider said, those of [`crate::tree::View::mail_account`].
    pub async fn authorized(
        &self,
        returned: Returned,
        by: UserId,
        of: Option<ObjectId>,
    ) -> Result<ObjectPath, Fault> {
        let now = self.inner.clock.monotonic();
        let state = returned.state.ok_or_else(unknown)?;
        let his = |one: &Waiting| one.who.user == by && of.is_none_or(|of| of == one.id);
        let waiting = self.inner.tokens.pending.lock().take(&state, now, his);
        let waiting = waiting.ok_or_else(unknown)?;
        let refused =
            |why: String| Fault::new(Kind::Outside, message!("oauth2.refused", why = why));
        if let Some(error) = returned.error {
            return Err(refused(hide::line(&error, &[])));
        }
        let code =
            returned.code.filter(|code| (1..=CODE_BYTES_MAX).contains(&code.expose_secret().len()));
        let code = code.ok_or_else(|| Fault::new(Kind::BadRequest, message!("oauth2.no_code")))?;
        let id = waiting.id;
        let done = alone(&self.inner, id, move |inner| redeem(inner, &waiting, &code)).await;
        done.map_err(Fault::internal)?
    }

    /// Empties the tokens of a mail account.
    ///
    /// # Errors
    /// Those of [`crate::tree::View::mail_account`].
    pub fn clear_tokens(&self, who: &Caller, id: ObjectId) -> Result<(), Fault> {
        self.inner.tree.view().mail_account(who, id)?;
        self.inner.tokens.pending.lock().forget(id);
        let cleared = self
            .inner
            .tree
            .write(who, Durability::Synced, |txn| txn.set_tokens(id, None, Some("clear")));
        cleared.map(drop)
    }
}

/// Gets the first tokens, and stores them as who began it.
fn redeem(inner: &Inner, waiting: &Waiting, code: &SecretString) -> Result<ObjectPath, Fault> {
    let outside = |why: String| Fault::new(Kind::Outside, message!("oauth2.refused", why = why));
    let view = inner.tree.view();
    let (id, who, issuer) = (waiting.id, &waiting.who, &waiting.issuer);
    // What he might at the beginning he may not any more.
    if !view.user(who.user).is_some_and(|user| user.active) {
        return Err(unknown());
    }
    let object = view.mail_account(who, id)?;
    let path = object.stub.path.as_str();
    let changed = || Fault::new(Kind::BadRequest, message!("oauth2.changed", path = path));
    // The code is for the provider that he approved at, and goes to no other.
    if Issuer::read(&view, id).map_err(outside)? != *issuer {
        return Err(changed());
    }
    view.get(who, issuer.provider)?;
    let provider = issuer.provider(&view).map_err(outside)?;
    let grant = Grant::Code { code, redirect: &waiting.redirect, verifier: &waiting.verifier };
    let begun = inner.now();
    let new = ask(inner, &provider, grant).map_err(outside)?;
    let none = || Fault::new(Kind::Outside, message!("oauth2.no_refresh"));
    let refresh = new.refresh.as_ref().ok_or_else(none)?;
    let tokens = NewTokens {
        access: new.access.expose_secret(),
        refresh: refresh.expose_secret(),
        expires: end(begun, new.lasts),
        of: issuer.mark(refresh),
    };
    let stored = inner.tree.write(who, Durability::Synced, |txn| {
        // Somebody began anew meanwhile, or took it back.
        if !waiting.counts.load(Ordering::SeqCst) {
            return Err(unknown());
        }
        if Issuer::read(txn, id).as_ref() != Ok(issuer) {
            return Err(changed());
        }
        txn.set_tokens(id, Some(tokens), Some("authorize"))
    });
    stored.inspect_err(|fault| tracing::warn!(object = id.0, why = cannot_store(fault)))?;
    ObjectPath::parse(path)
}

fn word_of(value: &Value) -> Option<String> {
    match value {
        Value::Str(word) if !word.trim().is_empty() => Some(word.trim().to_owned()),
        _ => None,
    }
}
