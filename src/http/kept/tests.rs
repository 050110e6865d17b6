//! Whatever changes, a kept answer is what would be answered if nothing were kept.

use std::sync::atomic::AtomicBool;

use axum::http::{Request, StatusCode};
use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::path::Name;
use kompira_schema::value::{Dict, Ref, Value};
use proptest::prelude::*;

use super::*;
use crate::auth::{Acl, Rights, User, UserEntry};
use crate::base::clock::Fake;
use crate::base::shutdown::Shutdown;
use crate::http::{About, Hub, Parts, Peer, Pool, Rates, Service, route};
use crate::secrets::Keys;
use crate::store::{Durability, Store};
use crate::tree::{Draft, Options, Patch, Txn, UserDraft, UserPatch};

const USERS: usize = 2;
const OBJECTS: usize = 3;

struct World {
    service: Service,
    runtime: tokio::runtime::Runtime,
    kind: ObjectId,
    dir: ObjectId,
    users: Vec<UserId>,
    tokens: Vec<String>,
    objects: Vec<ObjectId>,
    /// Where objects were.
    paths: Vec<String>,
    asked: usize,
}

fn root() -> Caller {
    Caller {
        user: User::ROOT,
        interface: Interface::Api,
        remote: None,
        process: None,
        request: "test".into(),
        exec: None,
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn texts(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|text| Value::from(*text)).collect())
}

fn kind_fields(kinds: &[&str]) -> Dict {
    Dict::from_iter([
        ("fieldNames".to_owned(), texts(&["text", "other", "when"])),
        ("fieldTypes".to_owned(), texts(kinds)),
    ])
}

fn fields(list: &[(&str, Value)]) -> Dict {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
        let keys = Arc::new(Keys::from_text("a key of the tests"));
        let options =
            Options { initial_password: Some("root-password".into()), ..Options::default() };
        let (tree, _) =
            Tree::new(Store::memory(), Arc::clone(&keys), Arc::clone(&clock) as _, options)
                .unwrap();
        let shutdown = Shutdown::new();
        let service = Service::new(Parts {
            hub: Hub::start(tree.store(), &shutdown).unwrap(),
            tree,
            keys,
            engine: None,
            repositories: None,
            clock,
            shutdown,
            pool: Pool::default(),
            ready: AtomicBool::new(true),
            max_upload: 1 << 20,
            kept: Kept::default(),
            metrics: Arc::default(),
            rates: Rates::new(0),
            about: About::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut world = Self {
            service,
            runtime,
            kind: ObjectId(0),
            dir: ObjectId(0),
            users: Vec::new(),
            tokens: Vec::new(),
            objects: Vec::new(),
            paths: Vec::new(),
            asked: 0,
        };
        world.furnish();
        world
    }

    fn furnish(&mut self) {
        let done = self.write(|txn| {
            let builtin = |txn: &Txn, name| txn.builtin(name).unwrap();
            let (directory, kinds) = (builtin(txn, "Directory"), builtin(txn, "TypeObject"));
            let top = txn.create(ObjectId::ROOT, &name("t"), directory, Draft::default())?;
            let dir = txn.create(top, &name("d"), directory, Draft::default())?;
            let fields = kind_fields(&["String", "Object", "Datetime"]);
            let kind =
                txn.create(top, &name("Kind"), kinds, Draft { fields, ..Draft::default() })?;
            let mut users = Vec::new();
            for number in 0..USERS {
                let username = format!("user{number}");
                // Nobody logs in: no time goes into hashing.
                let rest = UserPatch { password_hash: Some(None), ..UserPatch::default() };
                users.push(txn.create_user(UserDraft { username, password: None, rest })?);
            }
            let mut objects = Vec::new();
            for number in 0..OBJECTS {
                let place = if number == 0 { top } else { dir };
                let name = name(&format!("x{number}"));
                objects.push(txn.create(place, &name, kind, Draft::default())?);
            }
            Ok((dir, kind, users, objects))
        });
        (self.dir, self.kind, self.users, self.objects) = done.unwrap();
        for index in 0..USERS {
            let token = self.new_token(index);
            self.tokens.push(token);
        }
        self.tokens.push(self.write(|txn| txn.create_token(User::ROOT, "")).unwrap().to_string());
    }

    fn write<T>(&self, work: impl FnMut(&mut Txn) -> Result<T, Fault>) -> Result<T, Fault> {
        self.service.tree.write(&root(), Durability::Lazy, work).map(|done| done.value)
    }

    fn new_token(&self, index: usize) -> String {
        self.write(|txn| txn.create_token(self.users[index], "")).unwrap().to_string()
    }

    fn get(&self, target: &str, token: &str) -> (StatusCode, HeaderMap, Bytes) {
        let request = Request::get(target).header("authorization", format!("Token {token}"));
        let head = request.body(()).unwrap().into_parts().0;
        let peer = Peer::Local { uid: None };
        self.runtime.block_on(async {
            let answer = route::answer_to(self.service.clone(), peer, head, Body::empty()).await;
            let (mut head, body) = answer.into_parts();
            head.headers.remove("x-request-id");
            (head.status, head.headers, axum::body::to_bytes(body, 1 << 20).await.unwrap())
        })
    }

    /// Asks for all objects where they are and where they were, twice each, and once so that
    /// nothing can be kept.
    fn look(&mut self) {
        let view = self.service.tree.view();
        for id in self.objects.iter().chain([&self.dir, &self.kind]) {
            let path = view.path_of(*id).unwrap().as_str().to_owned();
            if !self.paths.contains(&path) {
                self.paths.push(path);
            }
        }
        for path in &self.paths {
            for token in &self.tokens {
                self.asked += 1;
                let anew = self.get(&format!("{path}?asked={}", self.asked), token);
                for _ in 0..2 {
                    assert_eq!(self.get(path, token), anew, "{path}");
                }
            }
        }
    }

    fn turn(&self, id: ObjectId, names: [&str; 2]) -> Name {
        let path = self.service.tree.view().path_of(id).unwrap();
        name(if path.name() == Some(names[0]) { names[1] } else { names[0] })
    }

    /// What does not fit the type as it now is, changes nothing.
    fn update(&self, id: ObjectId, patch: &Patch) {
        let _refused = self.write(|txn| txn.update(id, None, patch.clone()));
    }

    fn make(&mut self, step: Step) {
        let object = |index: u8| self.objects[usize::from(index) % OBJECTS];
        let user = |index: u8| usize::from(index) % USERS;
        let set = |id, list: &[(&str, Value)]| {
            self.update(id, &Patch { fields: fields(list), ..Patch::default() });
        };
        match step {
            Step::Text(a, b) => set(object(a), &[("text", Value::from(b.to_string().as_str()))]),
            Step::Refer(a, b) => {
                set(object(a), &[("other", Value::Object(Ref::Object(object(b))))])
            }
            Step::Rename(a) => {
                let index = usize::from(a) % OBJECTS;
                let to = self.turn(object(a), [&format!("x{index}"), &format!("y{index}")]);
                self.write(|txn| txn.rename(object(a), &to)).unwrap();
            }
            Step::RenameDir => {
                let to = self.turn(self.dir, ["d", "e"]);
                self.write(|txn| txn.rename(self.dir, &to)).unwrap();
            }
            Step::RenameKind => {
                let to = self.turn(self.kind, ["Kind", "Sort"]);
                self.write(|txn| txn.rename(self.kind, &to)).unwrap();
            }
            Step::Again(a) => {
                let (old, index) = (object(a), usize::from(a) % OBJECTS);
                let head = self.service.tree.view().head(old).unwrap();
                self.write(|txn| txn.delete(old)).unwrap();
                let new = self.write(|txn| {
                    txn.create(head.parent, &name(&head.name), self.kind, Draft::default())
                });
                self.objects[index] = new.unwrap();
            }
            Step::Grant(a, b, bits) => {
                let rights =
                    Rights { read: bits & 1 > 0, write: bits & 2 > 0, execute: bits & 4 > 0 };
                let entry = UserEntry { user: self.users[user(b)], rights };
                let acl = Some(Acl { users: vec![entry], ..Acl::default() });
                self.update(object(a), &Patch { acl, ..Patch::default() });
            }
            Step::Own(a, b) => {
                let owner = Some(self.users[user(b)]);
                self.update(object(a), &Patch { owner, ..Patch::default() });
            }
            Step::UserName(a) => {
                let (plain, other) = (format!("user{}", user(a)), format!("else{}", user(a)));
                let id = self.users[user(a)];
                let now = self.service.tree.view().user_name(id);
                let username = Some(if now == plain { other } else { plain });
                self.person(id, &UserPatch { username, ..UserPatch::default() });
            }
            Step::Active(a) => {
                let id = self.users[user(a)];
                let active = self.service.tree.view().user(id).map(|user| !user.active);
                self.person(id, &UserPatch { active, ..UserPatch::default() });
            }
            Step::Privilege(a) => {
                let id = self.users[user(a)];
                let view = self.service.tree.view();
                let wheel = view.group_by_name("wheel").unwrap().id;
                let groups = if view.privileged(id) { Vec::new() } else { vec![wheel] };
                self.person(id, &UserPatch { groups: Some(groups), ..UserPatch::default() });
            }
            Step::Token(a) => {
                let id = self.users[user(a)];
                self.write(|txn| txn.revoke_tokens(id)).unwrap();
                self.look();
                self.tokens[user(a)] = self.new_token(user(a));
            }
            Step::Retype(bits) => {
                let kinds = [
                    if bits & 1 > 0 { "String" } else { "Datetime" },
                    if bits & 2 > 0 { "Object" } else { "Password" },
                    if bits & 4 > 0 { "Datetime" } else { "Array<String>" },
                ];
                self.update(self.kind, &Patch { fields: kind_fields(&kinds), ..Patch::default() });
            }
        }
    }

    fn person(&self, id: UserId, patch: &UserPatch) {
        self.write(|txn| txn.update_user(id, patch.clone())).unwrap();
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Text(u8, u8),
    Refer(u8, u8),
    Rename(u8),
    RenameDir,
    RenameKind,
    Again(u8),
    Grant(u8, u8, u8),
    Own(u8, u8),
    UserName(u8),
    Active(u8),
    Privilege(u8),
    Token(u8),
    Retype(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Text(a, b)),
        (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Refer(a, b)),
        any::<u8>().prop_map(Step::Rename),
        Just(Step::RenameDir),
        Just(Step::RenameKind),
        any::<u8>().prop_map(Step::Again),
        (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(a, b, c)| Step::Grant(a, b, c)),
        (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Own(a, b)),
        any::<u8>().prop_map(Step::UserName),
        any::<u8>().prop_map(Step::Active),
        any::<u8>().prop_map(Step::Privilege),
        any::<u8>().prop_map(Step::Token),
        any::<u8>().prop_map(Step::Retype),
    ]
}

// rule: http/kept-answers
#[test]
fn an_answer_is_kept_for_one_user_until_something_of_it_changes() {
    let mut world = World::new();
    world.look();
    let answer = world.get("/t/x0", &world.tokens[USERS]);
    assert_eq!(answer.0, StatusCode::OK, "{answer:?}");
    let kept = || world.service.kept.0.len();
    let before = kept();
    world.get("/t/x0", &world.tokens[USERS]);
    assert_eq!(kept(), before, "it was kept before");
    world.get("/t/x0?format=json", &world.tokens[USERS]);
    assert_eq!(kept(), before + 1, "another question has an answer of its own");
    world.get("/system/info", &world.tokens[USERS]);
    assert_eq!(kept(), before + 1, "what shows the time of day is not kept");
    let uri = Uri::from_static("/t/x0");
    let service = world.service.clone();
    let find = |user| {
        let who = Caller { user, ..root() };
        service.kept.find(&service.tree, &who, &uri)
    };
    assert!(find(User::ROOT).is_some() && find(User::ADMIN).is_none());
    world.make(Step::Text(1, 1));
    assert!(find(User::ROOT).is_some(), "another object changed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    // rule: http/kept-answers
    #[test]
    fn a_kept_answer_is_the_one_that_would_be_given_anew(
        steps in proptest::collection::vec(step(), 1..10)
    ) {
        let mut world = World::new();
        world.look();
        for step in steps {
            world.make(step);
            world.look();
        }
    }
}
