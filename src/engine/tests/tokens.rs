//! Accounts at providers of the tests, and a clock that is moved by hand.

use std::sync::atomic::AtomicUsize;

use jiff::{SignedDuration, Timestamp};
use kompira_schema::value::Ref;
use secrecy::ExposeSecret as _;

use super::*;
use crate::engine::tokens::{Issuer, fresh};
use crate::remote::mailbox::Protocol;
use crate::remote::mailbox::tests::fake::Fake;
use crate::remote::oauth2::Returned;
use crate::remote::trial::{Giver, wait};
use crate::tree::NewTokens;

/// A provider that counts: the first answer is `access-1` and `refresh-1`.
fn counting() -> Giver {
    let count = AtomicUsize::new(0);
    Giver::start(move |_| {
        let count = count.fetch_add(1, Ordering::SeqCst) + 1;
        let given = format!(
            r#"{{"access_token":"access-{count}","refresh_token":"refresh-{count}","expires_in":600}}"#
        );
        (200, given)
    })
}

fn provider(world: &World, giver: &Giver) -> ObjectId {
    let fields = [
        ("client_id", Value::from("kompira")),
        ("client_secret", "client-secret".into()),
        ("auth_endpoint", "https://example.com/auth".into()),
        ("token_endpoint", giver.url().into()),
        ("scope", Value::Array(vec!["mail".into()])),
    ];
    world.object("/root", "provider", "OAuth2Provider", &fields)
}

/// An account that logs in by a token.
fn account(world: &World, giver: &Giver, type_name: &str, more: &[(&str, Value)]) -> ObjectId {
    let provider = provider(world, giver);
    let mut fields = vec![
        ("use_oauth2", Value::Bool(true)),
        ("oauth2_provider", Value::Object(Ref::Object(provider))),
    ];
    fields.extend_from_slice(more);
    world.object("/root", "account", type_name, &fields)
}

fn give(world: &World, id: ObjectId, access: &str, refresh: &str, expires: Timestamp) {
    let issuer = Issuer::read(&world.tree().view(), id).unwrap();
    let of = issuer.mark(&refresh.to_owned().into());
    let tokens = NewTokens { access, refresh, expires, of };
    let given =
        world.tree().write(&root(), Durability::Lazy, |txn| txn.set_tokens(id, Some(tokens), None));
    given.unwrap();
}

fn now(world: &World) -> Timestamp {
    world.engine().inner.now()
}

fn held(world: &World, id: ObjectId, field: &str) -> String {
    world.tree().view().password(&root(), id, field, None).unwrap().to_string()
}

fn token(world: &World, id: ObjectId) -> Result<String, String> {
    wait(fresh(&world.engine().inner, id)).map(|token| token.expose_secret().to_owned())
}

// rule: operations/mail-oauth2
#[test]
fn a_token_that_has_ended_is_renewed_and_both_are_kept_sealed() {
    let (world, giver) = (World::new(), counting());
    let id = account(&world, &giver, "SmtpServer", &[]);
    assert!(token(&world, id).unwrap_err().contains(".authorize"));
    give(&world, id, "old", "refresh-0", now(&world) + SignedDuration::from_secs(61));
    assert_eq!(token(&world, id).unwrap(), "old");
    assert!(giver.heard().is_empty());
    let updated = world.tree().view().stub(&root(), id).unwrap().head.updated;
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(token(&world, id).unwrap(), "access-1");
    assert_eq!(token(&world, id).unwrap(), "access-1", "it lasts");
    assert_eq!(giver.heard().len(), 1);
    assert_eq!(giver.heard()[0]["refresh_token"], "refresh-0");
    assert_eq!(held(&world, id, "refresh_token"), "refresh-1");
    let object = world.tree().view().get(&root(), id).unwrap();
    for field in ["access_token", "refresh_token"] {
        assert!(matches!(object.fields.get(field), Some(Value::Sealed(_))), "{field}");
    }
    let ends = now(&world) + SignedDuration::from_secs(600);
    assert_eq!(object.fields.get("token_expires_at"), Some(&Value::Datetime(ends)));
    assert_eq!(object.stub.head.updated, updated, "nobody changed it");
    world.clock.advance(Duration::from_secs(541));
    assert_eq!(token(&world, id).unwrap(), "access-2");
    assert_eq!(giver.heard()[1]["refresh_token"], "refresh-1");
    // What the user may not see, nobody sees: it is no property of a language.
    let shown = format!("{:?}", world.tree().view().get(&root(), id).unwrap());
    assert!(!shown.contains("access-2") && !shown.contains("refresh-2"), "{shown}");
}

// rule: operations/mail-oauth2
#[test]
fn a_copy_of_an_account_is_approved_for_itself() {
    let (world, giver) = (World::new(), counting());
    let id = account(&world, &giver, "MailChannel", &[("password", "kept".into())]);
    give(&world, id, "old", "refresh-0", now(&world));
    let dir = world.resolve("/root");
    let name = Name::new("copy").unwrap();
    let copied =
        world.tree().write(&root(), Durability::Lazy, |txn| txn.copy(id, dir, Some(&name)));
    let copy = copied.unwrap().value;
    assert_eq!(held(&world, copy, "password"), "kept");
    assert_eq!(held(&world, copy, "refresh_token"), "");
    let object = world.tree().view().get(&root(), copy).unwrap();
    assert!(!matches!(object.fields.get("token_expires_at"), Some(Value::Datetime(_))));
    assert!(token(&world, copy).is_err());
    assert_eq!(held(&world, id, "refresh_token"), "refresh-0");
}

// rule: operations/mail-oauth2
#[test]
fn many_who_need_a_token_have_it_renewed_once() {
    let (world, giver) = (World::new(), counting());
    let id = account(&world, &giver, "SmtpServer", &[]);
    give(&world, id, "old", "refresh-0", now(&world));
    let got: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| token(&world, id).unwrap())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(got, ["access-1"; 8]);
    assert_eq!(giver.heard().len(), 1);
}

// rule: operations/mail-oauth2
#[test]
fn a_renewal_goes_on_when_nobody_waits_for_it() {
    let world = World::new();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let (gate, inside) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let begun = Arc::clone(&inside);
    let giver = Giver::start(move |_| {
        begun.fetch_add(1, Ordering::SeqCst);
        let _ = gate.lock().recv();
        (200, r#"{"access_token":"a","refresh_token":"rotated"}"#.to_owned())
    });
    let id = account(&world, &giver, "SmtpServer", &[]);
    give(&world, id, "old", "refresh-0", now(&world));
    wait(async {
        let asked = fresh(&world.engine().inner, id);
        let gives_up = async {
            while inside.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            done = asked => panic!("{:?}", done.is_ok()),
            () = gives_up => {}
        }
    });
    go.send(()).unwrap();
    world.until("it is kept", || held(&world, id, "refresh_token") == "rotated");
}

/// A provider that answers each time it is told to.
fn held_back() -> (std::sync::mpsc::Sender<()>, Giver) {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let giver = Giver::start(move |_| {
        let _ = gate.lock().recv();
        (200, r#"{"access_token":"a","refresh_token":"r"}"#.to_owned())
    });
    (go, giver)
}

// rule: operations/mail-oauth2
#[test]
fn tokens_that_somebody_cleared_meanwhile_stay_cleared() {
    let world = World::new();
    let (go, giver) = held_back();
    let id = account(&world, &giver, "MailChannel", &[]);
    give(&world, id, "old", "refresh-0", now(&world));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| token(&world, id));
        world.until("it is asked for", || !giver.heard().is_empty());
        world.engine().clear_tokens(&root(), id).unwrap();
        go.send(()).unwrap();
        let told = asked.join().unwrap().unwrap_err();
        assert!(told.contains("was changed while"), "{told}");
    });
    assert_eq!(held(&world, id, "refresh_token"), "");
    assert_eq!(held(&world, id, "access_token"), "");
}

// rule: operations/mail-oauth2
#[test]
fn a_mail_channel_renews_its_token_and_fetches() {
    let world = World::new();
    world.tree().know_receivers_by(world.engine().receivers());
    // The mail server of the tests takes this one.
    let given = r#"{"access_token":"token","refresh_token":"next","expires_in":3600}"#;
    let giver = Giver::start(|_| (200, given.to_owned()));
    let fake = Fake::start(Protocol::Imap, &["Subject: one\r\n\r\n"]);
    let fields = [
        ("serverName", Value::from("127.0.0.1")),
        ("port", Value::Int(fake.port().into())),
        ("username", "tim".into()),
        ("disabled", Value::Bool(false)),
    ];
    let id = account(&world, &giver, "MailChannel", &fields);
    give(&world, id, "old", "refresh-0", now(&world));
    world.engine().run_mails().unwrap();
    let job = world.jobflow("waits", "<./account> -> print('mail')");
    let process = world.start(job);
    world.until("the mail comes", || {
        world.clock.advance(Duration::from_secs(1));
        !world.info(process).status.is_active()
    });
    assert_eq!(world.console(process), "mail\n");
    assert_eq!(giver.heard().len(), 1);
    assert_eq!(held(&world, id, "refresh_token"), "next");
    // conn_check takes the same way.
    let (_, console) = world.run("[./account.conn_check] -> print($STATUS)");
    assert_eq!(console, "0\n");
    assert_eq!(giver.heard().len(), 1);
}

// rule: operations/mail-oauth2
#[test]
fn a_token_that_cannot_be_renewed_is_told_without_secrets() {
    let world = World::new();
    let told = r#"{"error":"invalid_grant","error_description":"refresh-0 of client-secret"}"#;
    let giver = Giver::start(|_| (400, told.to_owned()));
    let id = account(&world, &giver, "SmtpServer", &[]);
    give(&world, id, "old", "refresh-0", now(&world));
    let (_, console) = world.run("[./account.conn_check] => print($STATUS, $ERROR)");
    assert_eq!(console, "1 the OAuth2 provider gives no token: invalid_grant (*** of ***)\n");
    assert_eq!(held(&world, id, "refresh_token"), "refresh-0");
}

/// The words of an address's query.
fn word(url: &str, name: &str) -> String {
    let url = reqwest::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

fn returned(state: &str) -> Returned {
    Returned::read(&format!("http://localhost/?state={state}&code=the-code"))
}

// rule: http/oauth2
#[test]
fn an_approval_brings_the_first_tokens_once() {
    let (world, giver) = (World::new(), counting());
    let id = account(&world, &giver, "MailChannel", &[]);
    let begun = world.engine().authorize(&root(), id, "http://here/-/oauth2").unwrap();
    assert!(begun.url.starts_with("https://example.com/auth?response_type=code&client_id=kompira"));
    assert_eq!(word(&begun.url, "redirect_uri"), "http://here/-/oauth2");
    let state = word(&begun.url, "state");
    let path = wait(world.engine().authorized(returned(&state), User::ROOT, None)).unwrap();
    assert_eq!(path.as_str(), "/root/account");
    let form = &giver.heard()[0];
    assert_eq!((&*form["grant_type"], &*form["code"]), ("authorization_code", "the-code"));
    assert_eq!(form["redirect_uri"], "http://here/-/oauth2");
    assert_eq!(held(&world, id, "access_token"), "access-1");
    assert_eq!(held(&world, id, "refresh_token"), "refresh-1");
    let again = wait(world.engine().authorized(returned(&state), User::ROOT, None)).unwrap_err();
    assert_eq!(again.kind(), Kind::BadRequest);
    assert_eq!(giver.heard().len(), 1);
}

// rule: http/oauth2
#[test]
fn nobody_ends_an_approval_that_is_not_his() {
    let (world, giver) = (World::new(), counting());
    let id = account(&world, &giver, "MailChannel", &[]);
    let engine = world.engine();
    let state = || word(&engine.authorize(&root(), id, "http://x/").unwrap().url, "state");
    let end = |state: &str, by: UserId, of: Option<ObjectId>| {
        wait(engine.authorized(returned(state), by, of)).map_err(|fault| fault.kind())
    };
    let first = state();
    for forged in ["", "0", &"0".repeat(64)] {
        assert_eq!(end(forged, User::ROOT, None), Err(Kind::BadRequest));
    }
    // Of another object, of another user; it is not used up by that.
    assert_eq!(end(&first, User::ROOT, Some(ObjectId(1))), Err(Kind::BadRequest));
    assert_eq!(end(&first, UserId(77), Some(id)), Err(Kind::BadRequest));
    assert_eq!(end(&first, UserId(77), None), Err(Kind::BadRequest));
    assert!(giver.heard().is_empty());
    assert!(end(&first, User::ROOT, Some(id)).is_ok());
    // The last one counts, for a while.
    let (third, fourth) = (state(), state());
    assert_eq!(end(&third, User::ROOT, None), Err(Kind::BadRequest));
    world.clock.advance(crate::engine::tokens::APPROVAL_TIME_MAX);
    assert_eq!(end(&fourth, User::ROOT, None), Err(Kind::BadRequest));
    assert_eq!(giver.heard().len(), 1);
    let fifth = state();
    let denied = Returned::read(&format!("?state={fifth}&error=access_denied"));
    let told = wait(engine.authorized(denied, User::ROOT, None)).unwrap_err();
    assert_eq!(told.kind(), Kind::Outside);
    let last = state();
    assert!(end(&last, User::ROOT, Some(id)).is_ok());
}

// rule: http/oauth2
#[test]
fn an_approval_says_what_its_provider_lacks() {
    let (world, giver) = (World::new(), counting());
    let id = account(&world, &giver, "MailChannel", &[]);
    for field in ["client_id", "auth_endpoint", "token_endpoint"] {
        provider(&world, &giver);
        world.object("/root", "provider", "OAuth2Provider", &[(field, "".into())]);
        let fault = world.engine().authorize(&root(), id, "http://x/").unwrap_err();
        assert_eq!(fault.kind(), Kind::Invalid);
        let told = fault.problems()[0].message.text(kompira_schema::catalogue::Lang::En);
        assert!(told.contains(field), "{told}");
    }
    let text = world.object("/root", "text", "Text", &[]);
    let fault = world.engine().authorize(&root(), text, "http://x/").unwrap_err();
    assert_eq!(fault.kind(), Kind::NoMethod);
    // A code alone is not enough: the next token must be had without anybody.
    let short = Giver::start(|_| (200, r#"{"access_token":"a"}"#.to_owned()));
    provider(&world, &short);
    let state = word(&world.engine().authorize(&root(), id, "http://x/").unwrap().url, "state");
    let ended = world.engine().authorized(returned(&state), User::ROOT, None);
    assert_eq!(wait(ended).unwrap_err().kind(), Kind::Outside);
    assert_eq!(held(&world, id, "access_token"), "");
}

// rule: operations/mail-oauth2
#[test]
fn tokens_go_to_no_provider_but_the_one_that_gave_them() {
    let (world, giver, other) = (World::new(), counting(), counting());
    let id = account(&world, &giver, "SmtpServer", &[]);
    let state = word(&world.engine().authorize(&root(), id, "http://x/").unwrap().url, "state");
    wait(world.engine().authorized(returned(&state), User::ROOT, None)).unwrap();
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(token(&world, id).unwrap(), "access-2");
    let set = |field: &str, value: Value| {
        world.object("/root", "provider", "OAuth2Provider", &[(field, value)]);
    };
    for ended in [false, true] {
        if ended {
            world.clock.advance(Duration::from_secs(600));
        }
        for (field, there, then) in [
            ("token_endpoint", other.url(), giver.url()),
            ("client_id", "another".to_owned(), "kompira".to_owned()),
        ] {
            set(field, there.into());
            let told = token(&world, id).unwrap_err();
            assert!(told.contains("approve again"), "{told}");
            set(field, then.into());
        }
    }
    assert_eq!((giver.heard().len(), other.heard().len()), (2, 0));
    assert_eq!(token(&world, id).unwrap(), "access-3");
    // Nor to another one that is chosen, and nothing is left of an account that is deleted.
    let fields = [("token_endpoint", Value::from(other.url()))];
    let second = world.object("/root", "second", "OAuth2Provider", &fields);
    let chosen = [("oauth2_provider", Value::Object(Ref::Object(second)))];
    world.object("/root", "account", "SmtpServer", &chosen);
    assert!(token(&world, id).unwrap_err().contains("approve again"));
    assert!(other.heard().is_empty());
    assert!(world.tree().view().token_mark(id).unwrap().is_some());
    world.tree().write(&root(), Durability::Lazy, |txn| txn.delete(id)).unwrap();
    assert_eq!(world.tree().view().token_mark(id).unwrap(), None);
}

// rule: http/oauth2
#[test]
fn a_code_goes_to_no_provider_but_the_one_that_was_asked() {
    let (world, giver, other) = (World::new(), counting(), counting());
    let id = account(&world, &giver, "MailChannel", &[]);
    let state = word(&world.engine().authorize(&root(), id, "http://x/").unwrap().url, "state");
    provider(&world, &other);
    let ended = wait(world.engine().authorized(returned(&state), User::ROOT, None));
    assert_eq!(ended.unwrap_err().kind(), Kind::BadRequest);
    assert!(giver.heard().is_empty() && other.heard().is_empty());
}

// rule: http/oauth2
#[test]
fn what_is_taken_back_while_it_is_redeemed_does_not_come() {
    for anew in [false, true] {
        let world = World::new();
        let (go, giver) = held_back();
        let id = account(&world, &giver, "MailChannel", &[]);
        let engine = world.engine();
        let begin = || word(&engine.authorize(&root(), id, "http://x/").unwrap().url, "state");
        let state = begin();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| wait(engine.authorized(returned(&state), User::ROOT, None)));
            world.until("it is asked for", || !giver.heard().is_empty());
            if anew {
                begin();
            } else {
                engine.clear_tokens(&root(), id).unwrap();
            }
            go.send(()).unwrap();
            assert_eq!(asked.join().unwrap().unwrap_err().kind(), Kind::BadRequest);
        });
        assert_eq!(held(&world, id, "refresh_token"), "");
    }
}
