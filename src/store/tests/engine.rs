//! The memory engine is the model of the disk engine.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::options;
use crate::store::kv::{Direction, Family, KeyRange, Kv, KvRead, Write, WriteSet};
use crate::store::lock::DataLock;
use crate::store::memory::Memory;
use crate::store::rocks::Rocks;
use crate::store::room::Room;

#[derive(Debug, Clone)]
enum Op {
    Write(WriteSet),
    Snapshot,
    Compare(usize, Family, KeyRange, bool),
    Get(usize, Family, Vec<u8>),
    Reopen,
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Dirent), Just(Family::Meta), Just(Family::Change)]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4)
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded)
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        6 => (family(), key(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(family, key, value)| Write::Put(family, key, value)),
        2 => (family(), key()).prop_map(|(family, key)| Write::Delete(family, key)),
        1 => (family(), key(), key()).prop_map(|(family, a, b)| {
            let (start, end) = if a <= b { (a, b) } else { (b, a) };
            Write::DeleteRange(family, start, end)
        }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let range = (bound(), bound()).prop_map(|(start, end)| KeyRange { start, end });
    prop_oneof![
        6 => prop::collection::vec(write(), 1..6).prop_map(|writes| Op::Write(WriteSet { writes })),
        2 => Just(Op::Snapshot),
        4 => (any::<usize>(), family(), range, any::<bool>())
            .prop_map(|(at, family, range, back)| Op::Compare(at, family, range, back)),
        3 => (any::<usize>(), family(), key()).prop_map(|(at, family, key)| Op::Get(at, family, key)),
        1 => Just(Op::Reopen),
    ]
}

fn rows(
    read: &dyn KvRead,
    family: Family,
    range: &KeyRange,
    back: bool,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let direction = if back { Direction::Reverse } else { Direction::Forward };
    let mut rows = Vec::new();
    read.scan(family, range, direction, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < 20 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .unwrap();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_answer_alike(ops in prop::collection::vec(op(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let lock = DataLock::take(dir.path(), "test").unwrap();
            let room = Arc::new(Room::new(dir.path(), 0));
            Rocks::open(&dir.path().join("db"), lock, room, &options()).unwrap()
        };
        let (memory, mut rocks) = (Memory::default(), Some(open()));
        let mut pairs: Vec<(Arc<dyn KvRead>, Arc<dyn KvRead>)> = Vec::new();
        for op in ops {
            let disk = rocks.as_ref().unwrap();
            pairs.push((memory.snapshot(), disk.snapshot()));
            match op {
                Op::Write(set) => {
                    memory.write(&set, false).unwrap();
                    disk.write(&set, false).unwrap();
                    pairs.pop();
                }
                Op::Snapshot => {}
                Op::Compare(at, family, range, back) => {
                    let (a, b) = &pairs[at % pairs.len()];
                    prop_assert_eq!(rows(&**a, family, &range, back), rows(&**b, family, &range, back));
                }
                Op::Get(at, family, key) => {
                    let (a, b) = &pairs[at % pairs.len()];
                    let keys: [&[u8]; 3] = [&key, b"\x01", b"none"];
                    prop_assert_eq!(a.get(family, &key).unwrap(), b.get(family, &key).unwrap());
                    let many: Vec<Option<Bytes>> = b.multi_get(family, &keys).unwrap();
                    prop_assert_eq!(a.multi_get(family, &keys).unwrap(), many);
                }
                Op::Reopen => {
                    pairs.clear();
                    disk.sync().unwrap();
                    drop(rocks.take());
                    rocks = Some(open());
                }
            }
        }
    }
}
