//! Mailboxes on servers of this file's own.

pub(crate) mod fake;

use super::*;
use crate::remote::trial::{Authority, wait};
use fake::{Fake, Moment};

async fn open(account: &Account) -> Result<Mailbox, Trouble> {
    Mailbox::open(account, &Network::default()).await
}

fn checked(account: &Account) -> Result<(), String> {
    wait(check(account, &Network::default()))
}

/// Takes all that is there, as texts.
fn take(account: &Account) -> Result<Vec<String>, Trouble> {
    wait(async {
        let mut mailbox = open(account).await?;
        let listing = mailbox.list().await?;
        let mut taken = Vec::new();
        for mail in &listing.mails {
            if let Fetched::Mail(bytes) = mailbox.fetch(mail, MAIL_BYTES_MAX).await? {
                taken.push(String::from_utf8_lossy(&bytes).into_owned());
                mailbox.mark(mail).await?;
            }
        }
        mailbox.close().await?;
        Ok(taken)
    })
}

const MAILS: [&str; 3] =
    ["Subject: one\r\n\r\nfirst\r\n", "Subject: two\r\n\r\n.dot\r\n..two dots\r\n.\r\nend\r\n", ""];

fn both() -> [Fake; 2] {
    [Fake::start(Protocol::Imap, &MAILS), Fake::start(Protocol::Pop, &MAILS)]
}

// rule: operations/mail-channels
#[test]
fn mails_are_read_as_they_are_and_deleted() {
    for fake in both() {
        let account = fake.account();
        assert_eq!(take(&account).unwrap(), MAILS);
        assert_eq!(fake.left(), Vec::<String>::new());
        assert_eq!(take(&account).unwrap(), Vec::<String>::new(), "it is empty");
    }
}

// rule: operations/mail-channels
#[test]
fn a_mail_that_was_read_and_not_marked_stays() {
    for fake in both() {
        wait(async {
            let mut mailbox = open(&fake.account()).await.unwrap();
            let listing = mailbox.list().await.unwrap();
            assert!(listing.complete);
            let sizes: Vec<u64> = listing.mails.iter().map(|mail| mail.size).collect();
            assert_eq!(sizes, MAILS.map(|mail| mail.len() as u64));
            let names: std::collections::HashSet<_> =
                listing.mails.iter().map(|mail| mail.name.clone().unwrap()).collect();
            assert_eq!(names.len(), 3);
            mailbox.fetch(&listing.mails[0], MAIL_BYTES_MAX).await.unwrap();
            let gone = Listed { number: 77, name: None, size: 0 };
            assert_eq!(mailbox.fetch(&gone, MAIL_BYTES_MAX).await, Ok(Fetched::Gone));
            mailbox.close().await.unwrap();
        });
        assert_eq!(fake.left(), MAILS);
        assert!(!fake.state().seen.contains(&true), "reading sets no flag");
    }
}

// rule: operations/mail-channels
#[test]
fn unread_mails_are_marked_as_read_and_stay() {
    let fake = Fake::start(Protocol::Imap, &MAILS);
    fake.state().seen[1] = true;
    let account = Account { mode: Mode::UnseenAndSetSeen, ..fake.account() };
    assert_eq!(take(&account).unwrap(), [MAILS[0], MAILS[2]]);
    assert_eq!(fake.left(), MAILS);
    assert_eq!(take(&account).unwrap(), Vec::<String>::new());
}

// rule: operations/mail-channels
#[test]
fn deleting_counts_once_the_server_has_confirmed_it() {
    for (protocol, word) in [(Protocol::Imap, "EXPUNGE"), (Protocol::Pop, "QUIT")] {
        for uidplus in [true, false] {
            for moment in [Moment::Before, Moment::After] {
                let fake = Fake::start(protocol, &MAILS);
                fake.state().uidplus = uidplus;
                fake.state().hang_up = Some((word, moment));
                let lost = take(&fake.account()).unwrap_err();
                assert!(matches!(lost, Trouble::Broken(_)), "{lost:?}");
                let left = fake.left().len();
                assert_eq!(left, if moment == Moment::Before { 3 } else { 0 }, "{word}");
            }
        }
    }
}

// rule: operations/mail-channels
#[test]
fn an_account_logs_in_as_the_server_offers() {
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let fake = Fake::start(protocol, &MAILS);
        let right = fake.account();
        // The last one does not know the question.
        for (cram, knows) in [(false, true), (true, true), (false, false)] {
            fake.state().heard.clear();
            fake.state().cram = cram;
            fake.state().knows_capabilities = knows;
            assert_eq!(checked(&right), Ok(()));
            let heard = std::mem::take(&mut fake.state().heard).join("\n");
            assert_eq!(heard.contains("CRAM-MD5"), cram, "{heard}");
            assert_eq!(heard.contains("pass word"), !cram, "{heard}");
            let wrong = Account { secret: Some("no".to_owned().into()), ..fake.account() };
            let told = checked(&wrong).unwrap_err();
            assert!(told.contains("the mail server says: "), "{told}");
        }
        let token = |text: &str| Some(SecretString::from(text.to_owned()));
        let oauth2 = Account { oauth2: true, secret: token("token"), ..fake.account() };
        assert_eq!(checked(&oauth2), Ok(()));
        let expired = Account { secret: token("old"), ..oauth2 };
        assert!(checked(&expired).is_err());
        // Any bytes are a password.
        for word in ["a\"b\\c", "pässwörd", " "] {
            fake.state().password = word.to_owned();
            let odd = Account { secret: token(word), ..fake.account() };
            assert_eq!(checked(&odd), Ok(()), "{word}");
        }
    }
}

// rule: operations/mail-channels
#[test]
fn a_pop3_server_without_names_lists_numbers() {
    let fake = Fake::start(Protocol::Pop, &MAILS);
    fake.state().names = false;
    wait(async {
        let mut mailbox = open(&fake.account()).await.unwrap();
        let listing = mailbox.list().await.unwrap();
        assert!(listing.mails.iter().all(|mail| mail.name.is_none()));
    });
    assert_eq!(take(&fake.account()).unwrap(), MAILS);
}

// rule: operations/mail-channels
#[test]
fn lines_may_be_longer_than_any_limit_and_mails_may_not() {
    let long = format!("Subject: x\r\n\r\n{}\r\n.{}\r\n", "a".repeat(300_000), "b".repeat(200_000));
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let fake = Fake::start(protocol, &[&long, "Subject: y\r\n\r\n"]);
        fake.state().chatter = 1_000_000;
        assert_eq!(take(&fake.account()).unwrap(), [long.as_str(), "Subject: y\r\n\r\n"]);
        let huge = "x".repeat(MAIL_BYTES_MAX + 1);
        let fake = Fake::start(protocol, &[&huge, "Subject: y\r\n\r\n"]);
        assert_eq!(take(&fake.account()).unwrap(), ["Subject: y\r\n\r\n"]);
        assert_eq!(fake.left().len(), 1);
    }
}

// rule: operations/mail-channels
#[test]
fn a_mailbox_of_any_size_is_read_in_parts() {
    let mails = vec!["x"; LISTED_MAX + 5];
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let fake = Fake::start(protocol, &mails);
        let modes = match protocol {
            Protocol::Imap => &[Mode::AllAndDelete, Mode::UnseenAndSetSeen][..],
            Protocol::Pop => &[Mode::AllAndDelete][..],
        };
        for &mode in modes {
            let account = Account { mode, ..fake.account() };
            let listing = wait(async {
                let mut mailbox = open(&account).await.unwrap();
                mailbox.list().await.unwrap()
            });
            assert!(!listing.complete);
            assert!((1_000..=LISTED_MAX).contains(&listing.mails.len()));
        }
    }
}

// rule: operations/mail-channels
#[test]
fn a_server_that_is_silent_or_talks_nonsense_is_left() {
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let fake = Fake::start(protocol, &MAILS);
        fake.state().silent = true;
        let account = Account { timeout: Some(Duration::from_millis(50)), ..fake.account() };
        assert_eq!(checked(&account).unwrap_err(), "the mail server was silent for 0.05 seconds");
        let fake = Fake::start(protocol, &MAILS);
        fake.state().greeting = Some("HTTP/1.1 400 Bad Request\r\n");
        let told = checked(&fake.account()).unwrap_err();
        assert!(told.starts_with("this is no "), "{told}");
        let account = Account { tls: true, ..fake.account() };
        assert!(checked(&account).unwrap_err().starts_with("cannot connect to 127.0.0.1"));
    }
}

// rule: operations/mail-channels
#[test]
fn ports_are_those_of_the_protocols() {
    let fake = Fake::start(Protocol::Imap, &[]);
    let port = |protocol, tls| Account { protocol, tls, port: None, ..fake.account() }.port();
    assert_eq!((port(Protocol::Imap, false), port(Protocol::Imap, true)), (143, 993));
    assert_eq!((port(Protocol::Pop, false), port(Protocol::Pop, true)), (110, 995));
}

// rule: operations/mail-tls
#[test]
fn mails_come_over_an_encrypted_connection_from_a_server_that_is_trusted() {
    let (known, other) = (Authority::new(), Authority::new());
    for protocol in [Protocol::Imap, Protocol::Pop] {
        let fake = Fake::start(protocol, &MAILS);
        let port = Some(known.front("127.0.0.1", fake.port()));
        let good = Account { tls: true, port, ..fake.account() };
        assert_eq!(wait(check(&good, &known.network())), Ok(()));
        for (authority, name, why) in [
            (&other, "127.0.0.1", "signed by no authority that this machine trusts"),
            (&known, "mail.example.com", "for another name"),
        ] {
            let fake = Fake::start(protocol, &MAILS);
            let port = Some(authority.front(name, fake.port()));
            let account = Account { tls: true, port, ..fake.account() };
            let told = wait(check(&account, &known.network())).unwrap_err();
            assert!(told.contains("its certificate is not accepted: "), "{told}");
            assert!(told.contains(why), "{told}");
            assert!(fake.state().heard.is_empty());
        }
    }
}

// rule: operations/mail-channels
#[test]
fn a_mail_that_is_larger_than_asked_for_is_passed_over() {
    for fake in both() {
        wait(async {
            let mut mailbox = open(&fake.account()).await.unwrap();
            let listing = mailbox.list().await.unwrap();
            let mail = &listing.mails[0];
            let most = MAILS[0].len();
            assert_eq!(mailbox.fetch(mail, most - 1).await, Ok(Fetched::TooLarge));
            let whole = Fetched::Mail(MAILS[0].into());
            assert_eq!(mailbox.fetch(mail, most).await, Ok(whole));
        });
    }
}

/// What finds an address at which nobody is asked.
fn elsewhere() -> Network {
    let names =
        crate::remote::Names::with(|_| Ok(vec![std::net::Ipv4Addr::new(192, 0, 2, 1).into()]));
    Network { names, ..Network::default() }
}

// rule: operations/mail-tls
#[test]
fn a_token_is_not_sent_in_the_clear() {
    for fake in both() {
        let account =
            Account { oauth2: true, secret: Some("token".to_owned().into()), ..fake.account() };
        assert_eq!(checked(&account), Ok(()));
        let far = Account { host: "mail.test".into(), ..account };
        let told = wait(check(&far, &elsewhere())).unwrap_err();
        assert_eq!(told, "the OAuth2 token would be sent in the clear: switch SSL on");
    }
}

// rule: operations/mail-oauth2
#[test]
fn a_server_that_repeats_a_secret_is_told_without_it() {
    let fake = Fake::start(Protocol::Imap, &[]);
    fake.state().greeting = Some("* BYE cGFzcyB3b3Jk and pass%20word and pass word\r\n");
    let told = checked(&fake.account()).unwrap_err();
    assert_eq!(told.matches("***").count(), 3, "{told}");
    assert!(!told.contains("pass"), "{told}");
}
