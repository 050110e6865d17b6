//! Random operations against a tree that is a map from path to content.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::check::Depth;

/// What the model knows of an object: `None` is a directory.
type Model = BTreeMap<String, Option<String>>;

#[derive(Debug, Clone)]
enum Op {
    MakeDir(usize, usize),
    MakeText(usize, usize, String),
    Save(usize, String),
    Rename(usize, usize),
    Move(usize, usize, usize),
    Copy(usize, usize, usize),
    Delete(usize),
    Away(usize, usize),
    Back(usize, String),
    Replace(usize, String),
}

const NAMES: [&str; 5] = ["a", "b", "c", "監視", "x1"];

fn op() -> impl Strategy<Value = Op> {
    let (place, name) = (0..50_usize, 0..NAMES.len());
    prop_oneof![
        3 => (place.clone(), name.clone()).prop_map(|(p, n)| Op::MakeDir(p, n)),
        4 => (place.clone(), name.clone(), "[a-c監é ]{0,8}").prop_map(|(p, n, t)| Op::MakeText(p, n, t)),
        3 => (place.clone(), "[a-c監é ]{0,8}").prop_map(|(p, t)| Op::Save(p, t)),
        2 => (place.clone(), name.clone()).prop_map(|(p, n)| Op::Rename(p, n)),
        3 => (place.clone(), place.clone(), name.clone()).prop_map(|(p, d, n)| Op::Move(p, d, n)),
        2 => (place.clone(), place.clone(), name.clone()).prop_map(|(p, d, n)| Op::Copy(p, d, n)),
        2 => place.clone().prop_map(Op::Delete),
        1 => (place.clone(), name).prop_map(|(p, n)| Op::Away(p, n)),
        1 => (place.clone(), "[a-c監é ]{0,8}").prop_map(|(p, t)| Op::Back(p, t)),
        2 => (place, "[a-c監é ]{0,8}").prop_map(|(p, t)| Op::Replace(p, t)),
    ]
}

struct Run {
    world: World,
    model: Model,
    /// Old place of each object that an editor renamed away.
    away: BTreeMap<ObjectId, String>,
}

fn below(path: &str, top: &str) -> bool {
    path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn join(dir: &str, name: &str) -> String {
    format!("{dir}/{name}")
}

impl Run {
    fn pick(&self, at: usize) -> String {
        let at = at % self.model.len();
        self.model.keys().nth(at).unwrap().clone()
    }

    /// Whether an object may stand at `path`: its container is a directory and the name is free.
    fn free(&self, path: &str) -> Result<(), Kind> {
        match self.model.get(parent(path)) {
            Some(None) => {}
            _ => return Err(Kind::NotContainer),
        }
        if self.model.contains_key(path) { Err(Kind::Exists) } else { Ok(()) }
    }

    fn expect<T>(&self, done: Result<T, Fault>, wanted: Result<(), Kind>) -> bool {
        let found = done.map(|_| ()).map_err(|fault| fault.kind());
        assert_eq!(found, wanted);
        wanted.is_ok()
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::MakeDir(place, name) => {
                let path = join(&self.pick(place), NAMES[name]);
                let wanted = self.free(&path);
                let done = self.world.create(&root(), &path, "Directory", &[]);
                if self.expect(done, wanted) {
                    self.model.insert(path, None);
                }
            }
            Op::MakeText(place, name, text) => {
                let path = join(&self.pick(place), NAMES[name]);
                let wanted = self.free(&path);
                let fields = [("text", Value::from(text.as_str()))];
                let done = self.world.create(&root(), &path, "Text", &fields);
                if self.expect(done, wanted) {
                    self.model.insert(path, Some(text));
                }
            }
            Op::Save(place, text) => {
                let path = self.pick(place);
                let is_text = self.model[&path].is_some();
                let done = self.world.update(&root(), &path, &[("text", text.as_str().into())]);
                let wanted = if is_text { Ok(()) } else { Err(Kind::Invalid) };
                if self.expect(done, wanted) {
                    self.model.insert(path, Some(text));
                }
            }
            Op::Rename(place, name) => {
                let path = self.pick(place);
                self.relocate(&path, join(parent(&path), NAMES[name]), true);
            }
            Op::Move(place, dest, name) => {
                let path = self.pick(place);
                self.relocate(&path, join(&self.pick(dest), NAMES[name]), false);
            }
            Op::Copy(place, dest, name) => self.copy(&self.pick(place), &self.pick(dest), name),
            Op::Delete(place) => {
                let path = self.pick(place);
                let id = self.world.id(&path);
                let wanted = if path == "/user" { Err(Kind::Busy) } else { Ok(()) };
                if path == "/user" {
                    return;
                }
                let done = self.world.write(&root(), |txn| txn.delete(id));
                if self.expect(done, wanted) {
                    self.model.retain(|other, _| !below(other, &path));
                    let view = self.world.tree.view();
                    self.away.retain(|id, _| view.head(*id).is_ok());
                }
            }
            Op::Away(place, name) => self.away(&self.pick(place), name),
            Op::Back(at, text) => self.back(at, &text),
            Op::Replace(place, text) => {
                let path = self.pick(place);
                if self.model[&path].is_none() {
                    return;
                }
                let (id, dir) = (self.world.id(&path), self.world.id(parent(&path)));
                let done = self.world.write(&root(), |txn| {
                    let temp = txn.scratch_create(
                        dir,
                        "4913",
                        NodeKind::File,
                        None,
                        0o644,
                        text.as_str().into(),
                    )?;
                    txn.replace(temp, id)
                });
                let wanted = if text.contains('\0') { Err(Kind::Invalid) } else { Ok(()) };
                if self.expect(done, wanted) {
                    self.model.insert(path, Some(text));
                }
            }
        }
    }

    fn relocate(&mut self, from: &str, to: String, rename: bool) {
        if from == "/user" {
            return;
        }
        let (id, dest) = (self.world.id(from), self.world.id(parent(&to)));
        let wanted = if from == to {
            Ok(())
        } else if self.model[parent(&to)].is_some() {
            Err(Kind::NotContainer)
        } else if self.model[from].is_none() && below(&to, from) {
            Err(Kind::Cycle)
        } else {
            self.free(&to)
        };
        let new = name(to.rsplit_once('/').unwrap().1);
        let done = self.world.write(&root(), |txn| {
            if rename { txn.rename(id, &new) } else { txn.move_to(id, dest, Some(&new), None) }
        });
        if self.expect(done, wanted) && from != to {
            let moved: Vec<_> =
                self.model.keys().filter(|path| below(path, from)).cloned().collect();
            for path in moved {
                let content = self.model.remove(&path).unwrap();
                self.model.insert(format!("{to}{}", &path[from.len()..]), content);
            }
            assert_eq!(self.world.id(&to), id, "a move keeps identity");
        }
    }

    fn copy(&mut self, from: &str, dest: &str, name_at: usize) {
        let to = join(dest, NAMES[name_at]);
        let (id, dir) = (self.world.id(from), self.world.id(dest));
        let wanted = if self.model[dest].is_some() {
            Err(Kind::NotContainer)
        } else if self.model[from].is_none() && below(dest, from) {
            Err(Kind::Cycle)
        } else {
            self.free(&to)
        };
        let done = self.world.write(&root(), |txn| txn.copy(id, dir, Some(&name(NAMES[name_at]))));
        if self.expect(done, wanted) {
            let copied: Vec<_> = self
                .model
                .iter()
                .filter(|(path, _)| below(path, from))
                .map(|(path, content)| (format!("{to}{}", &path[from.len()..]), content.clone()))
                .collect();
            self.model.extend(copied);
        }
    }

    fn away(&mut self, path: &str, name_at: usize) {
        if self.model[path].is_none() {
            return;
        }
        let (id, dir) = (self.world.id(path), self.world.id(parent(path)));
        let backup = format!("{}~", NAMES[name_at]);
        self.world.write(&root(), |txn| txn.object_to_scratch(id, dir, &backup)).unwrap();
        self.model.remove(path);
        let view = self.world.tree.view();
        let path = path.to_owned();
        self.away.retain(|other, old| view.head(*other).is_ok() && *old != path);
        self.away.insert(id, path);
    }

    fn back(&mut self, at: usize, text: &str) {
        let Some((&id, path)) = self.away.iter().nth(at % self.away.len().max(1)) else { return };
        let path = path.clone();
        // The container may have been moved meanwhile: the object comes back where it was.
        let view = self.world.tree.view();
        let Some(dir) = self.world.find(parent(&path)) else { return };
        if view.former(dir, path.rsplit_once('/').unwrap().1).unwrap() != Some(id) {
            return;
        }
        let wanted = self.free(&path);
        let wanted = match wanted {
            Ok(()) if text.contains('\0') => Err(Kind::Invalid),
            other => other,
        };
        let done = self.world.write(&root(), |txn| txn.readopt(id, None, text.into()));
        if self.expect(done, wanted) {
            assert_eq!(self.world.id(&path), id);
            self.model.insert(path, Some(text.to_owned()));
            self.away.remove(&id);
        }
    }

    fn compare(&self) {
        let view = self.world.tree.view();
        let mut found = Model::new();
        let mut open = vec![("/user".to_owned(), self.world.id("/user"))];
        while let Some((path, id)) = open.pop() {
            let object = view.get(&root(), id).unwrap();
            assert_eq!(object.stub.path, path);
            let text = match view.field(&object, "text") {
                Some(value) => match &*value {
                    Value::Str(text) => Some(text.clone()),
                    other => panic!("{other:?}"),
                },
                None => None,
            };
            let children = view.children(&root(), id, None, usize::MAX).unwrap();
            assert_eq!(view.child_count(id).unwrap(), children.len(), "{path}");
            for entry in children {
                open.push((join(&path, &entry.name), entry.id));
            }
            found.insert(path, text);
        }
        assert_eq!(found, self.model);
        let report = self.world.tree.store().check(Depth::Rows).unwrap();
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    // rule: tree/model
    #[test]
    fn random_operations_leave_what_a_simple_map_would(ops in proptest::collection::vec(op(), 1..40)) {
        let world = world();
        for path in ["/user/data/nodes", "/user/data/accounts", "/user/data"] {
            let id = world.id(path);
            world.write(&root(), |txn| txn.delete(id)).unwrap();
        }
        let model = Model::from([("/user".to_owned(), None)]);
        let mut run = Run { world, model, away: BTreeMap::new() };
        for op in ops {
            run.apply(op);
            // Each number of children is remembered before the next change.
            let view = run.world.tree.view();
            for path in run.model.keys() {
                view.child_count(run.world.id(path)).unwrap();
            }
        }
        run.compare();
    }
}

// rule: tree/model
#[test]
fn writers_at_once_lose_nothing_and_cannot_make_a_cycle() {
    let world = world();
    world.create(&root(), "/user/a", "Directory", &[]).unwrap();
    world.create(&root(), "/user/b", "Directory", &[]).unwrap();
    let (a, b, text) = (world.id("/user/a"), world.id("/user/b"), world.kind("Text"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let tree = world.tree.clone();
            scope.spawn(move || {
                for count in 0..50 {
                    let new = name(&format!("t{thread}_{count}"));
                    let make = |txn: &mut Txn| txn.create(a, &new, text, Draft::default());
                    tree.write(&root(), Durability::Lazy, make).unwrap();
                }
            });
        }
        for (from, to) in [(a, b), (b, a)] {
            let tree = world.tree.clone();
            scope.spawn(move || {
                for _ in 0..20 {
                    let _ = tree
                        .write(&root(), Durability::Lazy, |txn| txn.move_to(from, to, None, None));
                }
            });
        }
    });
    let view = world.tree.view();
    let path = view.path_of(a).expect("still below the root").to_string();
    assert_eq!(
        view.children(&root(), a, None, usize::MAX).unwrap().len() % 200,
        usize::from(path == "/user/a" && view.path_of(b).unwrap().to_string() == "/user/a/b")
    );
    let report = world.tree.store().check(Depth::Rows).unwrap();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}

/// Not a test of a rule: what a lazily committed create costs on one thread.
#[test]
#[ignore = "a measurement"]
fn measure_creates() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &crate::store::Options::default()).unwrap();
    let world = world_over(store);
    let (dir, text) = (world.id("/user"), world.kind("Text"));
    let mut who = root();
    who.interface = Interface::Fs;
    let start = std::time::Instant::now();
    const COUNT: u32 = 20_000;
    for count in 0..COUNT {
        let new = name(&format!("t{count}"));
        let draft = || Draft { content: Some("hello".into()), bare: true, ..Draft::default() };
        world
            .tree
            .write(&who, Durability::Lazy, |txn| txn.create(dir, &new, text, draft()))
            .unwrap();
    }
    let each = start.elapsed() / COUNT;
    println!("create: {each:?} each, {:.0}/s", 1.0 / each.as_secs_f64());
    let start = std::time::Instant::now();
    for count in 0..COUNT {
        let path = ObjectPath::parse(&format!("/user/t{count}")).unwrap();
        let view = world.tree.view();
        let id = view.resolve(&path).unwrap();
        view.get(&who, id).unwrap();
    }
    println!("get by path: {:?} each", start.elapsed() / COUNT);
}
