//! Mail channels, on mail servers of the tests and a clock that is moved by hand.

use super::*;
use crate::engine::inner::Kill;
use crate::remote::mailbox::Protocol;
use crate::remote::mailbox::tests::fake::{Fake, Moment};

const MAILS: [&str; 3] =
    ["Subject: one\r\n\r\n1\r\n", "Subject: two\r\n\r\n2\r\n", "Subject: three\r\n\r\n3\r\n"];

fn started() -> World {
    let world = World::new();
    begin(&world);
    world
}

fn begin(world: &World) {
    world.tree().know_receivers_by(world.engine().receivers());
    world.engine().run_mails().unwrap();
}

/// A mail channel for a server.
fn channel(world: &World, fake: &Fake, more: &[(&str, Value)]) -> ObjectId {
    let protocol = if fake.is_pop() { "POP3" } else { "IMAP4" };
    let mut fields = vec![
        ("serverName", Value::from("127.0.0.1")),
        ("port", Value::Int(fake.port().into())),
        ("protocol", protocol.into()),
        ("username", "tim".into()),
        ("password", "pass word".into()),
        ("disabled", Value::Bool(false)),
    ];
    fields.extend_from_slice(more);
    world.object("/root", "box", "MailChannel", &fields)
}

fn acts(job: ObjectId) -> [(&'static str, Value); 2] {
    [
        ("action_type", "ExecuteJobflow".into()),
        ("action_target", Value::Object(kompira_schema::value::Ref::Object(job))),
    ]
}

/// Moves the clock until something holds.
fn until(world: &World, what: &str, holds: impl Fn() -> bool) {
    world.until(what, || {
        world.clock.advance(Duration::from_secs(1));
        holds()
    });
}

/// Lets a mailbox be looked at some more times.
fn looks(world: &World, fake: &Fake, more: usize) {
    let before = fake.visits();
    world.until("the mailbox is looked at", || {
        world.clock.advance(Duration::from_secs(60));
        fake.visits() >= before + more
    });
}

fn queue(world: &World, channel: ObjectId) -> Vec<String> {
    let messages = world.tree().view().queue_messages(&root(), channel, 100).unwrap();
    let text = |message: Value| match message {
        Value::Str(text) => text,
        other => panic!("{other:?}"),
    };
    messages.into_iter().map(|(_, message)| text(message)).collect()
}

fn log(world: &World, channel: ObjectId) -> String {
    world.tree().view().mail_log(channel).unwrap()
}

fn set(world: &World, field: &str, value: Value) {
    world.object("/root", "box", "MailChannel", &[(field, value)]);
}

fn is_active(world: &World, process: ProcessId) -> bool {
    world.info(process).status.is_active()
}

// rule: operations/mail-channels
#[test]
fn a_receiver_that_waits_gets_the_mail_once() {
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let world = started();
        let fake = Fake::start(protocol, &MAILS[..1]);
        let id = channel(&world, &fake, &[]);
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(fake.visits(), 0, "nobody wants its mails");
        let job = world.jobflow("waits", "<./box> -> print($RESULT)");
        let process = world.start(job);
        until(&world, "the mail comes", || !is_active(&world, process));
        assert_eq!(world.console(process).lines().next(), Some("Subject: one"));
        until(&world, "it is gone", || fake.left().is_empty());
        until(&world, "that is known", || world.tree().view().mails_taken(id).unwrap().is_empty());
        assert_eq!(queue(&world, id), Vec::<String>::new());
        assert!(log(&world, id).contains("1 mails taken from 127.0.0.1"), "{}", log(&world, id));
    }
}

// rule: operations/mail-channels
#[test]
fn each_mail_starts_the_action_also_one_that_comes_later() {
    let world = started();
    let fake = Fake::start(Protocol::Imap, &MAILS);
    let job = world.jobflow("starts", "|mail| print(mail)");
    let id = channel(&world, &fake, &acts(job));
    let ran = || {
        let all = world.engine().list(&root(), &Filter::default(), None, 100).unwrap();
        let ended = all.iter().filter(|info| !info.status.is_active());
        let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
        let mut ran: Vec<String> = ended.map(|info| first(world.console(info.id))).collect();
        ran.sort();
        ran
    };
    until(&world, "they start", || ran() == ["Subject: one", "Subject: three", "Subject: two"]);
    fake.add("Subject: later\r\n\r\n");
    until(&world, "it starts", || ran().contains(&"Subject: later".to_owned()));
    assert_eq!(ran().len(), 4);
    assert_eq!(queue(&world, id), Vec::<String>::new());
}

// rule: operations/mail-channels
#[test]
fn a_connection_that_drops_between_reading_and_deleting_neither_loses_nor_doubles() {
    for (protocol, words) in
        [(Protocol::Imap, &["STORE", "EXPUNGE"][..]), (Protocol::Pop, &["DELE", "QUIT"][..])]
    {
        for &word in words {
            for moment in [Moment::Before, Moment::After] {
                for names in [protocol == Protocol::Imap, true] {
                    let world = started();
                    let fake = Fake::start(protocol, &MAILS);
                    fake.state().names = names;
                    fake.state().hang_up = Some((word, moment));
                    // The action can start nothing: the mails stay in the queue.
                    let id = channel(&world, &fake, &[("action_type", "ExecuteJobflow".into())]);
                    looks(&world, &fake, 1);
                    looks(&world, &fake, 2);
                    world.until("all are taken", || queue(&world, id).len() == 3);
                    assert_eq!(queue(&world, id), MAILS, "{word} {moment:?} {names}");
                    world.until("they are gone", || fake.left().is_empty());
                    looks(&world, &fake, 2);
                    assert!(world.tree().view().mails_taken(id).unwrap().is_empty(), "{word}");
                    assert_eq!(queue(&world, id), MAILS);
                    assert!(log(&world, id).contains("connection"));
                }
            }
        }
    }
}

// rule: operations/mail-channels
#[test]
fn a_server_that_is_killed_between_neither_loses_nor_doubles() {
    for protocol in [Protocol::Imap, Protocol::Pop] {
        for (at, kill) in [(1, Kill::Before), (1, Kill::After), (2, Kill::Before), (2, Kill::After)]
        {
            let mut world = World::new();
            let fake = Fake::start(protocol, &MAILS);
            let id = channel(&world, &fake, &[("action_type", "ExecuteJobflow".into())]);
            world.engine().inner.kill.arm(at, kill);
            begin(&world);
            looks(&world, &fake, 1);
            world.until("it is dead", || world.engine().inner.kill.dead());
            world.crash();
            begin(&world);
            looks(&world, &fake, 2);
            world.until("all are taken", || fake.left().is_empty());
            assert_eq!(queue(&world, id), MAILS, "{at} {kill:?}");
        }
    }
}

// rule: operations/mail-channels
#[test]
fn equal_mails_are_two_also_where_mails_have_no_names() {
    let world = started();
    let fake = Fake::start(Protocol::Pop, &[MAILS[0], MAILS[0], MAILS[1]]);
    fake.state().names = false;
    fake.state().hang_up = Some(("QUIT", Moment::Before));
    let id = channel(&world, &fake, &[("action_type", "ExecuteJobflow".into())]);
    looks(&world, &fake, 1);
    looks(&world, &fake, 2);
    world.until("they are gone", || fake.left().is_empty());
    assert_eq!(queue(&world, id), [MAILS[0], MAILS[0], MAILS[1]]);
}

// rule: operations/mail-channels
#[test]
fn a_channel_that_is_switched_off_fetches_nothing() {
    let world = started();
    let fake = Fake::start(Protocol::Imap, &MAILS);
    let off = [("disabled", Value::Bool(true)), ("action_type", "ExecuteJobflow".into())];
    let id = channel(&world, &fake, &off);
    for _ in 0..20 {
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(fake.visits(), 0);
    set(&world, "disabled", Value::Bool(false));
    until(&world, "mails come", || queue(&world, id).len() == 3);
}

// rule: operations/mail-channels
#[test]
fn a_failure_is_told_once_and_ends_the_waits_that_ask_for_it() {
    let world = started();
    let fake = Fake::start(Protocol::Imap, &MAILS);
    fake.state().password = "another".into();
    let id = channel(&world, &fake, &[]);
    let patient = world.jobflow("patient", "<./box> -> print('mail')");
    let patient = world.start(patient);
    let job = world.jobflow("asks", "<./box: detect_error=true> ->> print($STATUS, $ERROR)");
    let process = world.start(job);
    until(&world, "it ends", || !is_active(&world, process));
    assert_eq!(world.console(process), "-1 login: the mail server says: never\n");
    assert!(is_active(&world, patient));
    let tries = || fake.state().heard.iter().filter(|line| line.contains("LOGIN")).count();
    world.until("it is tried again", || {
        world.clock.advance(Duration::from_secs(60));
        tries() > 3
    });
    let told = log(&world, id);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.ends_with(" login: the mail server says: never\n"), "{told}");
    // Whoever changes it need not wait.
    set(&world, "password", "another".into());
    until(&world, "the mail comes", || !is_active(&world, patient));
    until(&world, "that is told", || log(&world, id).contains("3 mails taken"));
}

// rule: operations/mail-channels
#[test]
fn the_log_keeps_its_newest_lines_and_makes_no_versions() {
    let world = World::new();
    let fake = Fake::start(Protocol::Imap, &[]);
    let id = channel(&world, &fake, &[]);
    let rev = world.tree().view().stub(&root(), id).unwrap().head.rev;
    let add = |line: &str, size| {
        let lines = [line.to_owned()];
        let added =
            world.tree().write(&root(), Durability::Lazy, |txn| txn.log_mail(id, &lines, size));
        added.unwrap();
    };
    add("first", 20);
    add("second", 20);
    assert_eq!(log(&world, id), "first\nsecond\n");
    add("third", 18);
    assert_eq!(log(&world, id), "second\nthird\n");
    let object = world.tree().view().get(&root(), id).unwrap();
    assert_eq!(object.fields.get("log"), Some(&Value::from("second\nthird\n")));
    assert_eq!(object.stub.head.rev, rev);
    add("none", 0);
    assert_eq!(log(&world, id), "");
}

// rule: operations/mail-channels
#[test]
fn a_mail_that_is_too_large_stays_and_is_told_once() {
    let world = started();
    let huge = "x".repeat(crate::remote::mailbox::MAIL_BYTES_MAX + 1);
    let fake = Fake::start(Protocol::Pop, &[&huge, MAILS[0]]);
    let id = channel(&world, &fake, &[("action_type", "ExecuteJobflow".into())]);
    looks(&world, &fake, 4);
    world.until("the other one is taken", || queue(&world, id) == [MAILS[0]]);
    assert_eq!(fake.left().len(), 1);
    let told = log(&world, id);
    assert_eq!(told.matches("stays on the server: it is too large").count(), 1, "{told}");
    assert!(!fake.state().heard.contains(&"RETR 1".to_owned()), "it is not even read");
}

// rule: operations/mail-channels
#[test]
fn names_that_are_slow_to_find_stop_no_other_mailbox() {
    let world = World::new();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let (held, asked) = (Mutex::new(held), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let names = crate::remote::Names::with(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        // Until the test ends.
        let _ = held.lock().recv();
        Err(std::io::Error::other("no such name"))
    });
    let network = crate::remote::Network { names, ..Default::default() };
    assert!(world.engine().inner.network.set(network).is_ok());
    let action = ("action_type", Value::from("ExecuteJobflow"));
    for number in 0..8 {
        let fields = [
            ("serverName", Value::from("slow.test")),
            ("disabled", Value::Bool(false)),
            action.clone(),
        ];
        world.object("/root", &format!("slow{number}"), "MailChannel", &fields);
    }
    begin(&world);
    until(&world, "all names are asked for", || asked.load(Ordering::SeqCst) == 8);
    let fake = Fake::start(Protocol::Imap, &MAILS);
    let id = channel(&world, &fake, &[action]);
    until(&world, "mails come", || queue(&world, id).len() == 3);
    drop(let_go);
}

// rule: operations/mail-channels
#[test]
fn a_server_that_understates_its_mails_is_read_all_the_same() {
    let large = format!("Subject: large\r\n\r\n{}\r\n", "x".repeat(300_000));
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let world = started();
        let fake = Fake::start(protocol, &[&large, MAILS[0]]);
        fake.state().understates = true;
        let id = channel(&world, &fake, &[("action_type", "ExecuteJobflow".into())]);
        looks(&world, &fake, 1);
        world.until("both are taken", || queue(&world, id) == [large.as_str(), MAILS[0]]);
        world.until("they are gone", || fake.left().is_empty());
    }
}

// rule: operations/mail-channels
#[test]
fn a_mail_that_does_not_come_in_time_stops_no_other() {
    for (protocol, named) in [(Protocol::Imap, true), (Protocol::Pop, true), (Protocol::Pop, false)]
    {
        let world = World::new();
        let patience =
            crate::remote::Patience { fetch: Duration::from_millis(100), ..Default::default() };
        let network = crate::remote::Network { patience, ..Default::default() };
        assert!(world.engine().inner.network.set(network).is_ok());
        begin(&world);
        // Of one size.
        let fake = Fake::start(protocol, &MAILS[..2]);
        let (first, second) = match fake.is_pop() {
            true => ("RETR 1", "RETR 2"),
            false => ("FETCH 11 (UID BODY", "FETCH 12 (UID BODY"),
        };
        fake.state().stalls = Some(first);
        fake.state().names = named;
        let id = channel(&world, &fake, &[("action_type", "ExecuteJobflow".into())]);
        let asked =
            |word: &str| fake.state().heard.iter().filter(|line| line.contains(word)).count();
        until(&world, "the next one is asked for", || asked(second) > 0);
        assert_eq!(asked(first), 1);
        let told = log(&world, id);
        assert!(told.contains("stays on the server: a mail did not come in time"), "{told}");
    }
}
