use std::fs;
use std::io::Read;
use std::time::Duration;

use kompira_schema::error::Kind;
use kompira_schema::id::{BlobHash, ObjectId, Rev};

use super::{on_both, options};
use crate::store::{Durability, INLINE_MAX, Store};

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn content_of_any_size_reads_back_whole_and_in_parts() {
    on_both(|store| {
        for len in [0, 1, INLINE_MAX, INLINE_MAX + 1, 128 << 10, (128 << 10) + 1, 700_000] {
            let data = content(len);
            let (hash, size) = store.blobs().put(&mut data.as_slice(), len as u64).unwrap();
            assert_eq!((hash, size), (BlobHash::of(&data), len as u64));
            assert_eq!(store.blobs().size(&hash).unwrap(), len as u64);
            assert_eq!(store.blobs().read(&hash, 0, usize::MAX).unwrap(), data);
            for (offset, count) in [(0, 10), (len / 2, 200_000), (len, 5), (len + 7, 5)] {
                let end = (offset + count).min(len);
                let expected = data.get(offset.min(len)..end.max(offset.min(len))).unwrap();
                let got = store.blobs().read(&hash, offset as u64, count).unwrap();
                assert_eq!(got, expected, "{len} {offset} {count}");
            }
            let mut all = Vec::new();
            store.blobs().open_reader(&hash).unwrap().read_to_end(&mut all).unwrap();
            assert_eq!(all, data);
        }
    });
}

#[test]
fn one_byte_over_the_limit_is_refused() {
    on_both(|store| {
        for limit in [10_u64, INLINE_MAX as u64, 300_000] {
            let data = content(usize::try_from(limit).unwrap() + 1);
            let fault = store.blobs().put(&mut data.as_slice(), limit).unwrap_err();
            assert_eq!(fault.kind(), Kind::TooLarge);
            assert!(store.blobs().read(&BlobHash::of(&data), 0, 1).is_err());
            let fits = &data[..data.len() - 1];
            store.blobs().put(&mut { fits }, limit).unwrap();
        }
        assert_eq!(
            store.batch(&store.snapshot()).put_blob(&content(INLINE_MAX + 1)).unwrap_err().kind(),
            Kind::TooLarge
        );
    });
}

#[test]
fn damage_is_noticed_in_the_part_that_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let data = content(400_000);
    let hash = store.blobs().put_bytes(&data).unwrap();
    let hex = hash.to_string();
    let path = dir.path().join("blobs").join(&hex[..2]).join(&hex[2..]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(store.blobs().read(&hash, 0, 1000).unwrap(), &data[..1000]);
    let fault = store.blobs().read(&hash, 299_990, 100).unwrap_err();
    assert_eq!(fault.kind(), Kind::Corrupt);
    assert!(store.blobs().open_reader(&hash).unwrap().read_to_end(&mut Vec::new()).is_err());
    fs::write(&path, &data[..200_000]).unwrap();
    assert_eq!(store.blobs().read(&hash, 390_000, 1).unwrap_err().kind(), Kind::Corrupt);
    // Stored again, it is whole again.
    store.blobs().put_bytes(&data).unwrap();
    assert_eq!(store.blobs().read(&hash, 0, usize::MAX).unwrap(), data);
}

#[test]
fn the_sweep_takes_what_nobody_holds_after_the_grace_period() {
    on_both(|store| {
        let held = store.blobs().put_bytes(&content(100_000)).unwrap();
        let small = store.blobs().put_bytes(b"held").unwrap();
        let loose = store.blobs().put_bytes(&content(100_001)).unwrap();
        let loose_small = store.blobs().put_bytes(b"loose").unwrap();
        let mut batch = store.batch(&store.snapshot());
        batch.hold_blob(held, ObjectId(1), Rev(0));
        batch.hold_blob(small, ObjectId(1), Rev(4));
        store.commit(batch, Durability::Lazy).unwrap();
        assert_eq!(store.blobs().sweep(Duration::from_secs(60)).unwrap(), 0);
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(store.blobs().sweep(Duration::ZERO).unwrap(), 2);
        for hash in [loose, loose_small] {
            assert_eq!(store.blobs().read(&hash, 0, 1).unwrap_err().kind(), Kind::NotFound);
        }
        for hash in [held, small] {
            store.blobs().read(&hash, 0, 1).unwrap();
        }
    });
}

#[test]
fn what_a_kill_left_half_written_is_cleared_and_swept() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = dir.path().join("blobs");
    drop(Store::open(dir.path(), &options()).unwrap());
    let nameless = BlobHash::of(b"file without row").to_string();
    fs::create_dir_all(blobs.join(&nameless[..2])).unwrap();
    let file = blobs.join(&nameless[..2]).join(&nameless[2..]);
    fs::write(&file, b"file without row").unwrap();
    fs::write(blobs.join("new").join("7"), b"half").unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(!blobs.join("new").join("7").exists());
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(store.blobs().sweep(Duration::ZERO).unwrap(), 1);
    assert!(!file.exists());
}
