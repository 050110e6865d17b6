//! Tokens of the accounts of mail channels and mail servers: renewed when they end, had when
//! somebody approves (rule: `operations/mail-oauth2`).
//!
//! A provider may give a new refresh token with each access token, and take the old one no more. So
//! a renewal that has begun goes on to its commit on a thread of its own, whatever becomes of who
//! asked for it, and there is one at a time for each object.

mod approval;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::value::{Ref, Value};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use super::inner::{self, Inner, myself};
use crate::remote::oauth2::{self, Grant, Provider};
use crate::store::Durability;
use crate::tree::{NewTokens, Object, TokenMark, View};
use approval::Pending;
pub use approval::{APPROVAL_TIME_MAX, Begun};

/// Why an account cannot log in that nobody has approved.
pub(super) const NONE: &str =
    "there is no OAuth2 token: let somebody approve (POST to .authorize of the object)";

/// Why an account cannot log in whose tokens another provider gave: they are sent nowhere.
const OTHERS: &str = "the OAuth2 tokens are not of the provider that is chosen now: let somebody \
                      approve again (POST to .authorize of the object)";

/// A token that ends within this is renewed. Reason: it must last until the server has looked at it.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// Tokens that are asked for at once, of all accounts.
const ASKING_MAX: usize = 8;

/// How long the engine's end waits for answers that are under way.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// What is under way.
pub(super) struct Tokens {
    /// Whose turn it is, for each object somebody works on.
    gates: Mutex<HashMap<ObjectId, Arc<tokio::sync::Mutex<()>>>>,
    room: Arc<Semaphore>,
    pending: Mutex<Pending>,
}

impl Default for Tokens {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(ASKING_MAX));
        Self { gates: Mutex::default(), room, pending: Mutex::default() }
    }
}

impl Tokens {
    /// Waits a little for answers that are under way: they may be the last that a refresh token gets.
    pub(super) fn settle(&self) {
        let until = Instant::now() + LAST_ANSWER;
        while self.room.available_permits() < ASKING_MAX && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until nobody else works on the object.
    async fn alone(&self, id: ObjectId) -> OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.gates.lock();
            // Those that nobody waits at or holds.
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(gates.entry(id).or_default())
        };
        gate.lock_owned().await
    }
}

/// What holds others back while a provider is asked.
struct Turn {
    _alone: OwnedMutexGuard<()>,
    _place: OwnedSemaphorePermit,
}

/// Has something done that goes on to its end, whatever becomes of who asks; one thing at a time
/// for each object.
async fn alone<T: Send + 'static>(
    inner: &Arc<Inner>,
    id: ObjectId,
    work: impl FnOnce(&Inner) -> T + Send + 'static,
) -> Result<T, String> {
    let alone = inner.tokens.alone(id).await;
    let place = Arc::clone(&inner.tokens.room).acquire_owned().await;
    let turn = Turn { _alone: alone, _place: place.map_err(|error| error.to_string())? };
    let (tell, told) = oneshot::channel();
    let inner = Arc::clone(inner);
    let begun = std::thread::Builder::new().name("engine-oauth2".to_owned()).spawn(move || {
        let done = work(&inner);
        drop(turn);
        // Nobody may be waiting any more.
        let _ = tell.send(done);
    });
    begun.map_err(|error| format!("no thread: {error}"))?;
    told.await.map_err(|_| "the OAuth2 provider could not be asked".to_owned())
}

/// Asks a provider, on a thread of its own.
fn ask(inner: &Inner, provider: &Provider, grant: Grant<'_>) -> Result<oauth2::Tokens, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no network: {error}"))?;
    runtime.block_on(oauth2::ask(inner.network(), provider, grant))
}

/// The token that logs in; one that has ended is renewed first.
///
/// # Errors
/// Why there is none, in words without secrets.
pub(super) async fn fresh(inner: &Arc<Inner>, id: ObjectId) -> Result<SecretString, String> {
    let held = Held::of_provider(&inner.tree.view(), id)?;
    if let Some(token) = held.usable(inner.now()) {
        return Ok(token);
    }
    alone(inner, id, move |inner| renew(inner, id)).await?
}

fn renew(inner: &Inner, id: ObjectId) -> Result<SecretString, String> {
    let view = inner.tree.view();
    let held = Held::of_provider(&view, id)?;
    // Somebody else may have been faster.
    if let Some(token) = held.usable(inner.now()) {
        return Ok(token);
    }
    let Some(refresh) = held.refresh else { return Err(NONE.to_owned()) };
    let issuer = Issuer::read(&view, id)?;
    let provider = issuer.provider(&view)?;
    let begun = inner.now();
    let new = ask(inner, &provider, Grant::Refresh(&refresh)).inspect_err(|why| {
        tracing::warn!(object = id.0, why, "an OAuth2 token cannot be renewed");
    })?;
    let kept = inner.tree.write(&myself(), Durability::Synced, |txn| {
        // Somebody may have approved anew, or taken his approval back.
        let now = Held::read(txn, id);
        let same = now.is_ok_and(|now| {
            now.refresh.is_some_and(|now| now.expose_secret() == refresh.expose_secret())
        });
        if same {
            let refresh = new.refresh.as_ref().unwrap_or(&refresh);
            let tokens = NewTokens {
                access: new.access.expose_secret(),
                refresh: refresh.expose_secret(),
                expires: end(begun, new.lasts),
                of: issuer.mark(refresh),
            };
            txn.set_tokens(id, Some(tokens), None)?;
        }
        Ok(same)
    });
    match kept {
        Ok(kept) if kept.value => Ok(new.access),
        Ok(_) => Err("the account was changed while its token was renewed".to_owned()),
        Err(fault) => Err(cannot_store(&fault)),
    }
}

/// When a token ends that was asked for then.
fn end(asked: Timestamp, lasts: Duration) -> Timestamp {
    asked.checked_add(lasts).unwrap_or(Timestamp::MAX)
}

fn cannot_store(fault: &Fault) -> String {
    format!("the OAuth2 token cannot be stored: {}", fault.kind().name())
}

/// The tokens of an object.
struct Held {
    access: Option<SecretString>,
    refresh: Option<SecretString>,
    expires: Option<Timestamp>,
}

impl Held {
    /// The same, if they are of the provider that is chosen.
    fn of_provider(view: &View, id: ObjectId) -> Result<Self, String> {
        let held = Self::read(view, id)?;
        let Some(refresh) = &held.refresh else { return Ok(held) };
        let mark = view.token_mark(id).map_err(|fault| unreadable(&fault))?;
        if mark == Some(Issuer::read(view, id)?.mark(refresh)) {
            return Ok(held);
        }
        Err(OTHERS.to_owned())
    }

    fn read(view: &View, id: ObjectId) -> Result<Self, String> {
        let secret = |field: &str| secret(view, id, field);
        let (access, refresh) = (secret("access_token")?, secret("refresh_token")?);
        let object = view.get(&myself(), id).map_err(|fault| unreadable(&fault))?;
        let expires = match view.field(&object, "token_expires_at").as_deref() {
            Some(Value::Datetime(at)) => Some(*at),
            _ => None,
        };
        Ok(Self { access, refresh, expires })
    }

    /// The access token, unless it has ended.
    fn usable(&self, now: Timestamp) -> Option<SecretString> {
        let ends = self.expires?;
        let access = self.access.clone()?;
        now.checked_add(MARGIN).is_ok_and(|soon| soon < ends).then_some(access)
    }
}

fn secret(view: &View, id: ObjectId, field: &str) -> Result<Option<SecretString>, String> {
    inner::secret(view, id, field).map_err(|fault| format!("{field}: {}", fault.kind().name()))
}

fn unreadable(fault: &Fault) -> String {
    format!("the mail account cannot be read: {}", fault.kind().name())
}

/// Whether somebody has approved, and not taken it back.
pub(super) fn has_any(view: &View, id: ObjectId) -> bool {
    ["refresh_token", "access_token"]
        .iter()
        .any(|field| matches!(secret(view, id, field), Ok(Some(_))))
}

/// Whom the tokens of an account come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issuer {
    provider: ObjectId,
    client_id: String,
    token_endpoint: String,
}

impl Issuer {
    /// The one of an object's account.
    ///
    /// # Errors
    /// There is none, in words.
    pub(super) fn read(view: &View, id: ObjectId) -> Result<Self, String> {
        let object = view.get(&myself(), id).map_err(|fault| unreadable(&fault))?;
        let Some(chosen) = chosen(view, &object) else {
            return Err("no OAuth2 provider is chosen".to_owned());
        };
        let object = view.get(&myself(), chosen).map_err(|fault| {
            format!("the OAuth2 provider cannot be read: {}", fault.kind().name())
        })?;
        if !object.stub.def.is_builtin("OAuth2Provider") {
            return Err(format!("{} is no OAuth2Provider", object.stub.path));
        }
        Ok(Self::of(view, &object))
    }

    fn of(view: &View, provider: &Object) -> Self {
        Self {
            provider: provider.id(),
            client_id: text(view, provider, "client_id"),
            token_endpoint: text(view, provider, "token_endpoint"),
        }
    }

    fn provider(&self, view: &View) -> Result<Provider, String> {
        Ok(Provider {
            client_id: self.client_id.clone(),
            client_secret: secret(view, self.provider, "client_secret")?,
            token_endpoint: self.token_endpoint.clone(),
        })
    }

    /// What is kept beside its tokens: neither they nor the provider can be exchanged alone.
    pub(super) fn mark(&self, refresh: &SecretString) -> TokenMark {
        let mut hasher = blake3::Hasher::new_derive_key("kompira tokens of 1");
        hasher.update(&self.provider.0.to_be_bytes());
        for text in [&self.client_id, &self.token_endpoint, refresh.expose_secret()] {
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// The provider that an object names.
fn chosen(view: &View, object: &Object) -> Option<ObjectId> {
    match view.field(object, "oauth2_provider").as_deref() {
        Some(Value::Object(Ref::Object(id))) => Some(*id),
        _ => None,
    }
}

fn text(view: &View, object: &Object, field: &str) -> String {
    match view.field(object, field).as_deref() {
        Some(Value::Str(text)) => text.trim().to_owned(),
        _ => String::new(),
    }
}
