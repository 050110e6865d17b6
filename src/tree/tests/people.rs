use super::*;
use std::time::Duration;

fn draft(username: &str) -> UserDraft {
    UserDraft {
        username: username.into(),
        password: Some("pass-word".to_owned().into()),
        rest: UserPatch::default(),
    }
}

// rule: tree/users
#[test]
fn a_user_gets_a_home_of_its_own() {
    let world = world();
    let id = world.write(&root(), |txn| txn.create_user(draft("sato"))).unwrap();
    let who = caller(id);
    let home = world.id("/home/sato");
    assert_eq!(world.tree.view().user(id).unwrap().home, Some(home));
    world.create(&who, "/home/sato/x", "Text", &[]).unwrap();
    assert_eq!(kind_of(world.create(&guest(), "/home/sato/y", "Text", &[])), Some(Kind::Denied));
    assert_eq!(
        kind_of(world.write(&root(), |txn| txn.create_user(draft("sato")))),
        Some(Kind::Exists)
    );
    assert_eq!(
        kind_of(world.write(&guest(), |txn| txn.create_user(draft("eve")))),
        Some(Kind::Denied)
    );
    let bad = world.write(&root(), |txn| txn.create_user(draft("a-b")));
    assert_eq!(kind_of(bad), Some(Kind::BadName));
    let long = world.write(&root(), |txn| txn.create_user(draft(&"x".repeat(31))));
    assert_eq!(kind_of(long), Some(Kind::NameTooLong));
    let own = UserPatch { email: Some("s@example.com".into()), ..UserPatch::default() };
    world.write(&who, |txn| txn.update_user(id, own.clone())).unwrap();
    let raised =
        UserPatch { groups: Some(vec![crate::auth::Group::WHEEL]), ..UserPatch::default() };
    let denied = world.write(&who, |txn| txn.update_user(id, raised.clone()));
    assert_eq!(kind_of(denied), Some(Kind::Denied));
    world.write(&root(), |txn| txn.update_user(id, raised.clone())).unwrap();
    assert!(world.tree.view().privileged(id));
    assert_eq!(
        kind_of(world.write(&root(), |txn| txn.delete_user(User::GUEST))),
        Some(Kind::Protected)
    );
    world.write(&root(), |txn| txn.delete_user(id)).unwrap();
    assert!(world.tree.view().user_by_name("sato").is_none());
    assert_eq!(kind_of(world.create(&who, "/home/sato/z", "Text", &[])), Some(Kind::Denied));
}

// rule: tree/tokens
#[test]
fn tokens_open_the_door_until_they_are_revoked() {
    let world = world();
    let token = world.write(&root(), |txn| txn.create_token(User::ROOT, "test")).unwrap();
    assert_eq!(world.tree.view().authenticate(&token).unwrap().id, User::ROOT);
    assert_eq!(kind_of(world.tree.view().authenticate("x")), Some(Kind::Unauthenticated));
    let on = UserPatch { enable_restapi: Some(true), ..UserPatch::default() };
    world.write(&root(), |txn| txn.update_user(User::ROOT, on.clone())).unwrap();
    let shown = world.tree.view().auth_token(User::ROOT).unwrap().unwrap();
    assert_eq!(world.tree.view().authenticate(&shown).unwrap().id, User::ROOT);
    assert_eq!(world.write(&root(), |txn| txn.revoke_tokens(User::ROOT)).unwrap(), 2);
    assert!(world.tree.view().authenticate(&token).is_err());
    assert_eq!(world.tree.view().auth_token(User::ROOT).unwrap(), None);
}

// rule: tree/login-lock
#[test]
fn three_wrong_passwords_lock_the_pair_of_user_and_address() {
    let world = world();
    let login = |clear: &str, remote: &str| {
        let who = Caller { remote: Some(remote.into()), ..guest() };
        world.tree.login("root", clear, &who)
    };
    assert_eq!(login("root-password", "192.0.2.1").unwrap(), User::ROOT);
    for _ in 0..3 {
        assert_eq!(kind_of(login("wrong", "192.0.2.1")), Some(Kind::Unauthenticated));
    }
    assert!(login("root-password", "192.0.2.1").is_err(), "locked");
    assert!(login("root-password", "192.0.2.2").is_ok(), "another address");
    world.clock.advance(Duration::from_secs(30 * 60));
    assert!(login("root-password", "192.0.2.1").is_ok());
    assert!(world.tree.login("admin", "", &guest()).is_err(), "inactive, without a password");
    world.tree.flush_audit();
    let lines = world.audit.lock();
    assert!(lines.iter().any(|line| line.contains(r#""invalid_password":"w***""#)));
    assert!(!lines.iter().any(|line| line.contains("wrong")));
}

// rule: tree/audit
#[test]
fn what_is_done_and_what_is_refused_is_written_to_the_audit() {
    let world = world();
    world.create(&root(), "/root/t", "Text", &[]).unwrap();
    let _ = world.create(&guest(), "/root/u", "Text", &[]);
    let mut engine = root();
    engine.interface = Interface::Engine;
    world.create(&engine, "/root/by_engine", "Text", &[]).unwrap();
    world.tree.flush_audit();
    let lines = world.audit.lock();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains(r#""target_path":"/root""#) && lines[0].contains(r#""create_name":"t""#)
    );
    assert!(lines[0].contains(r#""permit":"allowed","result":"succeeded""#));
    assert!(
        lines[1].contains(r#""user":"guest""#)
            && lines[1].contains(r#""permit":"denied","result":"failed""#)
    );
}
