use std::io::Write as _;

use kompira_schema::error::Kind;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn write(path: &std::path::Path, members: &[(&str, &[u8])]) -> Manifest {
    let mut writer = Writer::create(path).unwrap();
    for &(name, mut content) in members {
        writer.add(name, 0o644, &mut content).unwrap();
    }
    writer.finish(7, "2026-01-01T00:00:00Z".into(), "5abc13b1").unwrap()
}

/// A container written by hand, with a manifest that describes `named`.
fn craft(path: &std::path::Path, members: &[(&str, &[u8])], named: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = SimpleFileOptions::default();
    for (name, content) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    let members = named
        .iter()
        .map(|(name, content)| Member {
            name: (*name).to_owned(),
            size: content.len() as u64,
            blake3: blake3::hash(content).to_hex().to_string(),
        })
        .collect();
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        generator: "test".into(),
        created: String::new(),
        revision: 1,
        key_id: String::new(),
        members,
    };
    zip.start_file(MANIFEST, options).unwrap();
    zip.write_all(&serde_json::to_vec(&manifest).unwrap()).unwrap();
    zip.finish().unwrap();
}

// rule: operations/archive
#[test]
fn what_was_written_is_read_back_and_the_manifest_is_last() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    let large = vec![7; 300_000];
    let manifest = write(&path, &[("tree/ä日本", b"x"), ("tree/empty", b""), ("big", &large)]);
    assert_eq!(manifest.members.len(), 4 - 1);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.manifest(), &manifest);
    assert_eq!(reader.members("tree/").count(), 2);
    assert_eq!(reader.bytes("tree/ä日本", 10).unwrap(), b"x");
    assert_eq!(reader.bytes("big", 1 << 20).unwrap(), large);
    assert_eq!(reader.bytes("big", 10).unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(reader.bytes("none", 10).unwrap_err().kind(), Kind::NotFound);
    reader.verify(|_| ()).unwrap();
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
    let last = zip.len() - 1;
    assert_eq!(zip.by_index(last).unwrap().name().unwrap(), MANIFEST);
}

#[test]
fn an_empty_directory_is_a_member() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    let mut writer = Writer::create(&path).unwrap();
    writer.add_dir("tree/spare", 0o755).unwrap();
    writer.finish(1, String::new(), "").unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.members("").map(|m| m.name.as_str()).collect::<Vec<_>>(), ["tree/spare/"]);
    reader.verify(|_| ()).unwrap();
}

#[test]
fn an_archive_is_absent_or_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    let mut writer = Writer::create(&path).unwrap();
    writer.add("a", 0o644, &mut &b"x"[..]).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    write(&path, &[("a", b"x")]);
    assert_eq!(Writer::create(&path).map(|_| ()).unwrap_err().kind(), Kind::Exists);
}

#[test]
fn hostile_containers_are_refused_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    for name in
        ["../x", "/x", "a/../../x", "..././x/..", "a\\b", "C:\\x", "a//b", "./a", "a/.", "a//"]
    {
        craft(&path, &[(name, b"x")], &[(name, b"x")]);
        assert_eq!(Reader::open(&path).map(|_| ()).unwrap_err().kind(), Kind::Invalid, "{name}");
    }
    // More members than the manifest names, fewer, and none at all.
    craft(&path, &[("a", b"x"), ("b", b"y")], &[("a", b"x")]);
    assert_eq!(Reader::open(&path).map(|_| ()).unwrap_err().kind(), Kind::Invalid);
    craft(&path, &[("a", b"x")], &[("a", b"x"), ("b", b"y")]);
    assert_eq!(Reader::open(&path).map(|_| ()).unwrap_err().kind(), Kind::Invalid);
    std::fs::write(&path, b"PK not a zip").unwrap();
    assert_eq!(Reader::open(&path).map(|_| ()).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn a_lying_size_and_a_changed_byte_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    for (real, said) in [(&b"xx"[..], &b"x"[..]), (b"x", b"xx"), (b"x", b"y")] {
        craft(&path, &[("a", real)], &[("a", said)]);
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.verify(|_| ()).unwrap_err().kind(), Kind::Corrupt);
    }
    let path = dir.path().join("good.zip");
    write(&path, &[("a", &[b'x'; 1000])]);
    let good = std::fs::read(&path).unwrap();
    for index in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[index] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        // Either refused, or every byte that is read is the right one.
        if let Ok(mut reader) = Reader::open(&path)
            && let Ok(bytes) = reader.bytes("a", 10_000)
        {
            assert_eq!(bytes, [b'x'; 1000], "byte {index}");
        }
    }
}

#[test]
fn a_bomb_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    let zeros = vec![0; (RATIO_FREE_BYTES + (32 << 20)) as usize];
    craft(&path, &[("a", &zeros)], &[("a", &zeros)]);
    assert_eq!(Reader::open(&path).map(|_| ()).unwrap_err().kind(), Kind::TooLarge);
}
