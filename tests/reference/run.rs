//! Random operations, the same on two faces.

use proptest::prelude::*;

pub(crate) const ENOENT: i32 = 2;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const ENOTDIR: i32 = 20;
pub(crate) const EISDIR: i32 = 21;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENOTEMPTY: i32 = 39;

/// What the operations play on. Failures are error numbers.
pub(crate) trait Face {
    fn write(&mut self, path: &str, data: &[u8]) -> Result<(), i32>;
    fn append(&mut self, path: &str, data: &[u8]) -> Result<(), i32>;
    fn truncate(&mut self, path: &str, size: u64) -> Result<(), i32>;
    fn read(&mut self, path: &str) -> Result<Vec<u8>, i32>;
    fn mkdir(&mut self, path: &str) -> Result<(), i32>;
    fn unlink(&mut self, path: &str) -> Result<(), i32>;
    fn rmdir(&mut self, path: &str) -> Result<(), i32>;
    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32>;
    /// Names, sorted.
    fn list(&mut self, path: &str) -> Result<Vec<String>, i32>;
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write(String, Vec<u8>),
    Append(String, Vec<u8>),
    Truncate(String, u64),
    Read(String),
    Mkdir(String),
    Unlink(String),
    Rmdir(String),
    Rename(String, String),
    List(String),
}

/// Names of objects with one suffix each (and of scratch): on them the mount is a plain file
/// system. `note` is of any kind that its content says.
const FILES: &[&str] = &[
    "flow.jobflow",
    "page.md",
    "tool.py",
    "run.sh",
    "list.csv",
    "photo.png",
    "note",
    "work.bak",
    ".x.swp",
    "4913",
    "note~",
];
const DIRS: &[&str] = &["", "a", "b", "a/c", "a/b", "日本"];

fn path() -> impl Strategy<Value = String> {
    (prop::sample::select(DIRS), prop::sample::select(FILES))
        .prop_map(|(dir, file)| join(dir, file))
}

fn join(dir: &str, file: &str) -> String {
    if dir.is_empty() { file.to_owned() } else { format!("{dir}/{file}") }
}

fn any_dir() -> impl Strategy<Value = String> {
    prop::sample::select(&DIRS[1..]).prop_map(str::to_owned)
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z\n]{0,20}".prop_map(String::into_bytes),
        1 => Just(b"#!/bin/sh\necho\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (60_000_usize..70_000).prop_map(|size| vec![b'x'; size]),
    ]
}

/// The limit of a jobflow's source is no matter of this model.
fn fitting(path: &str, data: Vec<u8>) -> Vec<u8> {
    if path.ends_with(".jobflow") && data.len() > 60_000 { b"text\n".to_vec() } else { data }
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (path(), data()).prop_map(|(path, data)| {
            let data = fitting(&path, data);
            Op::Write(path, data)
        }),
        2 => (path(), "[a-z\n]{0,20}").prop_map(|(path, text)| Op::Append(path, text.into_bytes())),
        1 => (path(), 0_u64..4).prop_map(|(path, size)| Op::Truncate(path, size)),
        3 => path().prop_map(Op::Read),
        4 => any_dir().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Unlink),
        1 => any_dir().prop_map(Op::Rmdir),
        // A suffix stays: another one would be another type.
        3 => (path(), prop::sample::select(DIRS)).prop_map(|(from, dir)| {
            let to = join(dir, from.rsplit('/').next().unwrap_or_default());
            Op::Rename(from, to)
        }),
        1 => (any_dir(), any_dir()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => prop::sample::select(DIRS).prop_map(|dir| Op::List(dir.to_owned())),
    ]
}

/// Names that are names of objects on every face.
const OBJECTS: &[&str] = &["note", "x_1", "フロー", "Z"];

/// Operations that every face has, on texts in directories.
pub(crate) fn plain_op() -> impl Strategy<Value = Op> {
    let file = || {
        (prop::sample::select(DIRS), prop::sample::select(OBJECTS))
            .prop_map(|(dir, file)| join(dir, file))
    };
    // A directory may also be meant where a file is, and the other way round.
    let any = move || prop_oneof![3 => file(), 1 => any_dir()];
    let text = || {
        prop_oneof![
            6 => "[a-z\r\n世]{0,20}",
            1 => Just("行\n".repeat(30_000)),
        ]
    };
    prop_oneof![
        6 => (any(), text()).prop_map(|(path, text)| Op::Write(path, text.into_bytes())),
        2 => (any(), "[a-z\n]{0,20}").prop_map(|(path, text)| Op::Append(path, text.into_bytes())),
        3 => any().prop_map(Op::Read),
        4 => any_dir().prop_map(Op::Mkdir),
        1 => file().prop_map(Op::Mkdir),
        2 => any().prop_map(Op::Unlink),
        1 => any().prop_map(Op::Rmdir),
        3 => (any(), any()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => any().prop_map(Op::List),
    ]
}

/// What an operation answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Bytes(Vec<u8>),
    Names(Vec<String>),
    Failed(i32),
}

pub(crate) fn play(face: &mut dyn Face, op: &Op) -> Answer {
    let done = match op {
        Op::Write(path, data) => face.write(path, data),
        Op::Append(path, data) => face.append(path, data),
        Op::Truncate(path, size) => face.truncate(path, *size),
        Op::Mkdir(path) => face.mkdir(path),
        Op::Unlink(path) => face.unlink(path),
        Op::Rmdir(path) => face.rmdir(path),
        Op::Rename(from, to) => face.rename(from, to),
        Op::Read(path) => return face.read(path).map_or_else(Answer::Failed, Answer::Bytes),
        Op::List(path) => return face.list(path).map_or_else(Answer::Failed, Answer::Names),
    };
    done.map_or_else(Answer::Failed, |()| Answer::Done)
}

/// All paths with their bytes, directories without.
pub(crate) fn all(face: &mut dyn Face) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        for name in face.list(&dir).unwrap_or_default() {
            let path = join(&dir, &name);
            match face.read(&path) {
                Ok(bytes) => found.push((path, Some(bytes))),
                Err(_) => {
                    found.push((path.clone(), None));
                    dirs.push(path);
                }
            }
        }
    }
    found.sort();
    found
}

/// Plays the operations on both and compares every answer and the end.
pub(crate) fn compare(model: &mut dyn Face, real: &mut dyn Face, ops: &[Op]) {
    for (step, op) in ops.iter().enumerate() {
        let (wanted, got) = (play(model, op), play(real, op));
        assert!(got == wanted, "step {step} {op:?}: got {got:?}, not {wanted:?}");
    }
    assert_eq!(all(real), all(model), "at the end");
}

mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::faces::{Calls, Disk};
    use super::super::http::Http;
    use super::super::model::Model;
    use super::*;
    use crate::files::driver::Mount;
    use crate::support::Server;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 48,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_model_is_a_file_system(ops in prop::collection::vec(op(), 1..60)) {
            let dir = tempfile::tempdir().unwrap();
            compare(&mut Model::default(), &mut Disk(dir.path().to_owned()), &ops);
        }

        // rule: files/plain
        #[test]
        fn files_over_objects_are_the_model(ops in prop::collection::vec(op(), 1..60)) {
            compare(&mut Model::default(), &mut Calls(Mount::new()), &ops);
        }
    }

    // rule: http/objects
    #[test]
    fn objects_over_http_are_the_model() {
        let server = Server::start();
        let places = AtomicU32::new(0);
        let config = ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() };
        proptest!(config, |(ops in prop::collection::vec(plain_op(), 1..60))| {
            let name = format!("place{}", places.fetch_add(1, Ordering::Relaxed));
            compare(&mut Model::default(), &mut Http::new(server.client(), &name), &ops);
        });
    }
}
