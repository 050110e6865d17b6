use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::error::Kind;

fn map<const N: usize>(pairs: [(&str, Node); N]) -> Node {
    Node::Map(pairs.into_iter().map(|(key, node)| (key.to_owned(), node)).collect())
}

fn text(text: &str) -> Node {
    Node::Str(text.to_owned())
}

// rule: files/yaml
#[test]
fn the_canonical_form_is_block_style() {
    let node = map([
        ("type_object", text("/system/types/X")),
        ("empty", map([])),
        ("none", Node::Seq(vec![])),
        (
            "list",
            Node::Seq(vec![text("a"), Node::Int(1), map([("k", text("v")), ("l", Node::Null)])]),
        ),
        ("deep", Node::Seq(vec![Node::Seq(vec![Node::Int(1), Node::Int(2)]), Node::Seq(vec![])])),
        ("fields", map([("x", map([("z", Node::Float(1.0))]))])),
    ]);
    let written = "type_object: /system/types/X\nempty: {}\nnone: []\nlist:\n  - a\n  - 1\n  - k: v\n    l: null\n\
                   deep:\n  - - 1\n    - 2\n  - []\nfields:\n  x:\n    z: 1.0\n";
    assert_eq!(emit(&node), written);
    assert_eq!(parse(written).unwrap(), node);
}

// rule: files/yaml
#[test]
fn texts_that_a_reader_could_mistake_are_quoted() {
    let one = |value: &str| emit(&text(value)).trim_end_matches('\n').to_owned();
    for bare in [
        "a",
        "日本語",
        "/a/b",
        "Hall B, row 4",
        "192.0.2.11",
        "https://x.example/in",
        "a b",
        "v1",
        "Warn above (%)",
        "it's",
        "user:sato",
        "kfs1$5abc$AA_-",
        "1 apple",
        "a:b",
    ] {
        assert_eq!(one(bare), bare);
    }
    for quoted in [
        "",
        "yes",
        "No",
        "ON",
        "off",
        "~",
        "null",
        "NULL",
        "True",
        "y",
        "N",
        "1",
        "-1",
        "+1",
        "1_000",
        "0x1F",
        "0o7",
        "0b1",
        "1:20",
        "12:30:45",
        "1.5",
        ".5",
        "1.",
        "1e3",
        "1E-3",
        ".inf",
        "-.INF",
        ".nan",
        "2024-01-02",
        "2024-01-02T03:04:05Z",
        "2024-01-02 03:04:05",
        "=",
        "<<",
        " a",
        "a ",
        "- a",
        "-",
        "? a",
        ": a",
        "a: b",
        "a #b",
        "a#b",
        "#a",
        "[a",
        "{a",
        "a:",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "'a'",
        "\"a",
        "%a",
        "@a",
        "`a",
        "...",
        "---",
        "Integer#{\"min_value\":1}",
        "-v",
    ] {
        let written = one(quoted);
        assert!(written.starts_with('\'') && written.ends_with('\''), "{quoted:?} → {written}");
    }
    assert_eq!(one("it's: x"), "'it''s: x'");
    assert_eq!(one("a\tb"), "\"a\\tb\"");
    assert_eq!(one("a\r\nb\r\n"), "\"a\\r\\nb\\r\\n\"");
    assert_eq!(one("\u{85}\u{2028}\u{feff}\0"), "\"\\x85\\u2028\\uFEFF\\0\"");
}

// rule: files/yaml
#[test]
fn lines_are_literal_blocks_with_nothing_lost() {
    let one = |value: &str| emit(&map([("k", text(value))]));
    assert_eq!(one("a\nb\n"), "k: |\n  a\n  b\n");
    assert_eq!(one("a\nb"), "k: |-\n  a\n  b\n");
    assert_eq!(one("a\n\n"), "k: |+\n  a\n\n");
    assert_eq!(one("  a\nb"), "k: |2-\n    a\n  b\n");
    assert_eq!(one("\n\na\n"), "k: |2\n\n\n  a\n");
    assert_eq!(one("a \n\tb\n"), "k: |\n  a \n  \tb\n");
    assert_eq!(one("\n"), "k: \"\\n\"\n");
    assert_eq!(one("a\r\nb"), "k: \"a\\r\\nb\"\n");
}

#[test]
fn floats_are_floats_to_every_reader() {
    let one = |number| emit(&Node::Float(number)).trim_end().to_owned();
    assert_eq!(one(1.0), "1.0");
    assert_eq!(one(-0.5), "-0.5");
    assert_eq!(one(1e300), "1.0e+300");
    assert_eq!(one(1.5e-9), "1.5e-9");
    assert_eq!(one(f64::INFINITY), ".inf");
}

// rule: files/yaml-reading
#[test]
fn hand_written_yaml_is_read() {
    let read = parse(
        "\u{feff}# note\na: {b: 1, c: [x, 'y']}\n404: gone\nd: !!str 12\ne: >\n  f\n  g\nh: yes\ni: 2024-01-02\n",
    );
    let want = map([
        ("a", map([("b", Node::Int(1)), ("c", Node::Seq(vec![text("x"), text("y")]))])),
        ("404", text("gone")),
        ("d", text("12")),
        ("e", text("f g\n")),
        ("h", text("yes")),
        ("i", text("2024-01-02")),
    ]);
    assert_eq!(read.unwrap(), want);
    assert_eq!(parse("").unwrap(), Node::Null);
    assert_eq!(parse("a: &x [1]\nb: *x\n").unwrap(), parse("a: [1]\nb: [1]\n").unwrap());
    assert_eq!(parse("18446744073709551615").unwrap(), Node::Big(BigInt::from(u64::MAX)));
}

fn refused(document: &str) -> (Kind, Vec<String>) {
    let fault = parse(document).unwrap_err();
    (fault.kind(), fault.told().args.iter().map(|(_, value)| value.clone()).collect())
}

// rule: files/yaml-reading
#[test]
fn bad_yaml_is_refused_with_its_place() {
    let (kind, args) = refused("a: 1\nb: }\nc: 2\n");
    assert_eq!(kind, Kind::Invalid);
    assert_eq!(args[..2], ["2", "4"], "{args:?}");
    let (_, args) = refused("a: 1\nb: 2\na: 3\n");
    assert!(args[2].contains("\"a\" twice"), "{args:?}");
    assert_eq!(refused("a: 1\n---\nb: 1\n").0, Kind::Invalid);
    assert_eq!(refused("a: !thing x\n").0, Kind::Invalid);
    assert_eq!(refused("a: b\0c\n").1[..2], ["1", "5"]);
    assert_eq!(refused("\"\\xZZ\"").0, Kind::Invalid);
}

// rule: files/yaml-reading
#[test]
fn a_hostile_document_costs_little() {
    assert_eq!(refused(&"[".repeat(100_000)).0, Kind::Invalid);
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    assert!(parse(&nested(RECORD_DEPTH)).is_ok());
    assert_eq!(refused(&nested(RECORD_DEPTH + 1)).0, Kind::Invalid);
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for n in 1..9 {
        let below = format!("*a{}", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", [below.as_str(); 9].join(",")));
    }
    assert_eq!(refused(&bomb).0, Kind::Invalid);
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(2_000_000), vec!["*a"; 100].join(","));
    assert_eq!(refused(&long).0, Kind::Invalid);
    let over = " ".repeat(crate::limits::RECORD_MAX + 1);
    assert_eq!(refused(&over).0, Kind::TooLarge);
}

const RECORD_DEPTH: usize = crate::limits::RECORD_DEPTH_MAX;

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 _.:,#'\"~!|>%@\\-\\[\\]{}&*?=<`\\\\+/]{0,12}",
        "[ \\t\\na-c:#-]{0,24}",
        "\\PC{0,16}",
        any::<String>().prop_map(|s| s.chars().take(24).collect()),
        "[\\n\\r\\t \u{85}\u{a0}\u{2028}\u{feff}x]{0,12}",
        "[0-9._:eExXoOTZ+ -]{1,12}",
        Just("x".repeat(2_000)),
    ]
}

fn nodes() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::Int),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Node::Float),
        texts().prop_map(Node::Str),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Node::Seq),
            prop::collection::vec((texts(), inner), 0..5)
                .prop_map(|pairs| Node::Map(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    // rule: files/yaml
    #[test]
    fn what_is_written_reads_back(node in nodes()) {
        let written = emit(&node);
        prop_assert!(written.ends_with('\n'));
        let back = parse(&written).map_err(|fault| TestCaseError::fail(format!("{fault:?}\n{written}")))?;
        prop_assert_eq!(&back, &node, "{}", written);
        prop_assert_eq!(emit(&back), written);
    }

    #[test]
    fn the_reader_never_panics(text in "[\\[\\]{}:,&*!|>'\"#% \\n\\t-ab0-9\u{0}-\u{ff}]{0,80}") {
        let _ = parse(&text);
    }
}

/// Has `python` read YAML documents (split by NUL) and write them as JSON lines.
fn python(program: &str, input: &str) -> Option<String> {
    let probe = Command::new("python3").args(["-c", "import yaml"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: python3 with PyYAML is not here");
        return None;
    }
    let mut child = Command::new("python3")
        .args(["-c", program])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

fn samples(count: usize) -> Vec<Node> {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = nodes();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Whether a reader of YAML 1.1 takes some character of it for a line break and folds it.
fn has_old_breaks(node: &Node) -> bool {
    let old = |text: &str| text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    match node {
        Node::Str(text) => old(text),
        Node::Seq(list) => list.iter().any(has_old_breaks),
        Node::Map(map) => map.iter().any(|(key, item)| old(key) || has_old_breaks(item)),
        _ => false,
    }
}

/// Reads JSON with the exact floats that `serde_json` gives only with a feature.
fn assert_same(read: &serde_json::Value, want: &serde_json::Value, written: &str) {
    use serde_json::Value as Json;
    match (read, want) {
        (Json::Number(a), Json::Number(b)) if b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!(read.is_f64() && (a - b).abs() <= b.abs() * 1e-15, "{a} {b} {written}");
        }
        (Json::Array(a), Json::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{written}");
            a.iter().zip(b).for_each(|(a, b)| assert_same(a, b, written));
        }
        (Json::Object(a), Json::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{written}");
            a.values().zip(b.values()).for_each(|(a, b)| assert_same(a, b, written));
        }
        _ => assert_eq!(read, want, "{written}"),
    }
}

fn json(node: &Node) -> serde_json::Value {
    crate::layout::json::from_value(&Value::from(node.clone()), &mut |_| None)
}

// rule: files/yaml
#[test]
fn pyyaml_reads_what_we_write() {
    let nodes = samples(1_500);
    let input: Vec<_> = nodes.iter().map(emit).collect();
    let program = "import sys, yaml, json\n\
        for d in sys.stdin.buffer.read().decode('utf-8').split('\\0'):\n\
        \x20   print(json.dumps(yaml.safe_load(d)))";
    let Some(output) = python(program, &input.join("\0")) else { return };
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), nodes.len());
    for ((node, written), line) in nodes.iter().zip(&input).zip(lines) {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_same(&read, &json(node), written);
    }
}

// rule: files/yaml-reading
#[test]
fn we_read_what_pyyaml_writes() {
    let mut nodes = samples(1_000);
    nodes.retain(|node| !has_old_breaks(node));
    let input: Vec<_> = nodes.iter().map(|node| json(node).to_string()).collect();
    for options in ["", ", allow_unicode=True", ", default_flow_style=True"] {
        let program = format!(
            "import sys, yaml, json\n\
             out = [yaml.safe_dump(json.loads(l), sort_keys=False{options}) for l in sys.stdin.buffer.read().decode('utf-8').split('\\n')]\n\
             sys.stdout.write('\\0'.join(out))"
        );
        let Some(output) = python(&program, &input.join("\n")) else { return };
        for (node, written) in nodes.iter().zip(output.split('\0')) {
            let read = parse(written).unwrap_or_else(|fault| panic!("{fault:?}\n{written}"));
            assert_same(&json(&read), &json(node), written);
        }
    }
}

// rule: files/yaml-reading
#[test]
fn binary_tags_are_read_as_their_base64_text() {
    let want = map([("a", text("AP8=")), ("b", text("AP\n8=\n"))]);
    assert_eq!(parse("a: !!binary AP8=\nb: !!binary |\n  AP\n  8=\n").unwrap(), want);
    assert_eq!(
        parse("a: !!str 1\nb: !!int '7'\n").unwrap(),
        map([("a", text("1")), ("b", Node::Int(7))])
    );
    for other in ["!local x", "- !ref [a]", "a: !map {}"] {
        assert_eq!(refused(other).0, Kind::Invalid, "{other}");
    }
}
