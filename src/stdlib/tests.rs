use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::signature;

use super::builtins;
use crate::engine::vm::sandbox::{Node, Sandbox};
use crate::engine::vm::{Arguments, Machine, Options, Pause, Type};
use crate::lang::compile;

/// Runs a jobflow at `/t/main`; the console, and the error after a `!` if it ended abnormally.
fn run(source: &str) -> String {
    let mut world = Sandbox::new();
    let compiled = compile(source);
    assert!(compiled.program.is_some(), "{source}: {:?}", compiled.diagnostics);
    world.now = "2024-02-03T04:05:06.789Z".parse::<Timestamp>().unwrap();
    world.add("/t/main", Node::Jobflow(compiled.program, None));
    world.add_channel("/t/ch");
    let main = world.jobflow("/t/main").unwrap();
    let mut machine =
        Machine::start(main, &Arguments::default(), Arc::new(builtins()), &Options::default())
            .unwrap();
    for _ in 0..1_000 {
        if let Pause::Ended(end) = machine.run(100_000, &mut world) {
            let console = world.console.trim_end_matches('\n').to_owned();
            return match console.split_once("aborted at line ") {
                Some((_, error)) if !end.done => {
                    let error = error.split_once(": ").map_or(error, |(_, error)| error);
                    format!("!{error}")
                }
                _ => console,
            };
        }
    }
    panic!("{source} does not end");
}

/// Each expression as `print` shows it; an error begins with `!`.
fn all(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(run(&format!("print({expression})")), *expected, "{expression}");
    }
}

// rule: language/built-in-functions
#[test]
fn every_signature_has_a_body_and_its_parameters() {
    let table = builtins();
    for function in signature::functions() {
        let number = table.find(&function.name).unwrap_or_else(|| panic!("{}", function.name));
        let built = table.get(number).unwrap();
        let names: Vec<_> = built.parameters.iter().map(|it| it.name).collect();
        let wanted: Vec<_> = function.params.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, wanted);
    }
    for of in [
        Type::String,
        Type::Binary,
        Type::Pattern,
        Type::Array,
        Type::Dictionary,
        Type::LazyArray,
        Type::Datetime,
        Type::Date,
        Type::Time,
        Type::Timedelta,
        Type::File,
    ] {
        for method in signature::methods(of.name()) {
            assert!(table.find_method(of, &method.name).is_some(), "{}.{}", of.name(), method.name);
        }
        for property in signature::properties(of.name()) {
            // The machine itself reads these parts of a File.
            let own = of == Type::File && property != "url";
            assert!(own || table.find_property(of, property).is_some(), "{}.{property}", of.name());
        }
    }
}

// rule: language/functions
#[test]
fn numbers_are_converted() {
    all(&[
        ("int(), int(' 42 '), int('-7'), int(3.9), int(-3.9), int(5)", "0 42 -7 3 -3 5"),
        ("int('99999999999999999999')", "99999999999999999999"),
        ("int('1.5')", "!cannot convert '1.5' to Integer"),
        ("int('')", "!cannot convert '' to Integer"),
        ("int(true)", "!cannot convert 'true' to Integer"),
        ("int('１')", "!cannot convert '１' to Integer"),
        ("float(), float('1.5'), float(2), float(' 1e3 '), float('inf')", "0.0 1.5 2.0 1000.0 inf"),
        ("float('x')", "!cannot convert 'x' to Float"),
        ("int(1, 2)", "!int() takes at most 1 arguments"),
        ("int(y=1)", "!int() got an unexpected keyword argument 'y'"),
        ("type()", "!type() missing argument 'obj'"),
    ]);
}

// rule: language/functions
#[test]
fn values_tell_their_type_length_and_text() {
    all(&[
        (
            "type(1), type(1.0), type(''), type(b''), type(null), type([]), type({})",
            "Integer Float String Binary Null Array Dictionary",
        ),
        (
            "type(r'a'), type(true), type(/), type(''.join), type(now())",
            "Pattern Boolean Object Function Datetime",
        ),
        ("length('日本'), length(b'abc'), length([1]), length({a=1}), length(./)", "2 3 1 1 2"),
        ("length(1)", "!'Integer' has no length"),
        ("string([1, 'a']) + string('b')", "[1, 'a']b"),
        ("has_key({a=1}, 'a'), has_key({a=1}, 'b'), has_key({'x': 1}, 1)", "true false false"),
        ("has_key(1, 'a')", "!has_key() argument 'obj' cannot be 'Integer'"),
    ]);
}

// rule: language/functions
#[test]
fn patterns_are_made_and_matched() {
    all(&[
        (
            "pattern('a+', mode='i'), pattern('*', 'g'), 'xAa' =~ pattern('a+', 'r', 'i')",
            "r'a+'i g'*' true",
        ),
        (
            "r'日(?P<x>.)(y)?'.match('a日本')",
            "{group='日本', groups=['本', null], groupdict={x='本'}, start=1, end=3}",
        ),
        (
            "r'a'.match('b'), g'a*'.match('abc'), e'1'.match(1), r'1'.match(1)",
            "false true true false",
        ),
        ("pattern(1)", "!pattern() argument 'pattern' cannot be 'Integer'"),
        ("pattern('a', 'z')", "!unknown kind of pattern: z"),
    ]);
    assert!(run("print(pattern('('))").starts_with("!invalid pattern: "));
}

// rule: language/functions
#[test]
fn bytes_and_text_become_each_other() {
    all(&[
        (
            "bytes(), bytes(2), bytes('é'), bytes([65, 255]), bytes(b'x')",
            r"b'' b'\x00\x00' b'\xc3\xa9' b'A\xff' b'x'",
        ),
        ("bytes([256])", "!bytes must be integers from 0 to 255"),
        ("bytes(99999999999)", "!memory limit exceeded"),
        (
            "encode('日', 'cp932'), decode(b'\\x93\\xfa', 'cp932'), '日'.encode('euc_jp').decode('euc_jp')",
            r"b'\x93\xfa' 日 日",
        ),
        ("b'\\xff'.decode()", "!the data does not fit encoding 'utf-8'"),
        ("'a'.encode('x-none')", "!unknown encoding: x-none"),
        ("b'\\x00\\xab'.hex()", "00ab"),
    ]);
}

// rule: language/string-methods
#[test]
fn texts_are_searched_and_cut() {
    all(&[
        (
            "'日本日本'.find('本'), '日本日本'.rfind('本'), 'abc'.find('c', -1), 'abc'.find('', 4), 'abc'.find('b', 0, 1)",
            "1 3 2 -1 -1",
        ),
        (
            "'abc'.startswith('b', 1), 'abc'.endswith(['x', 'bc']), 'abc'.endswith('b', end=2), ''.startswith('')",
            "true true true true",
        ),
        (
            "'aXbXc'.replace('X', '--'), 'aaa'.replace('a', 'b', 2), 'ab'.replace('', '.')",
            "a--b--c bba .a.b.",
        ),
        (
            "'a,b,,c'.split(','), 'a,b,c'.split(',', 1), ' a  b '.split(), 'a b  c '.split(null, 1)",
            "['a', 'b', '', 'c'] ['a', 'b,c'] ['a', 'b'] ['a', 'b  c ']",
        ),
        (
            "'a,b,c'.rsplit(',', 1), ' a b  c '.rsplit(null, 1), ''.split(), ''.split(',')",
            "['a,b', 'c'] [' a b', 'c'] [] ['']",
        ),
        ("'a'.split('')", "!empty separator"),
        (
            "'a\\nb\\r\\n\\nc'.splitlines(), 'a\\nb\\r\\n'.splitlines(true)",
            "['a', 'b', '', 'c'] ['a\\n', 'b\\r\\n']",
        ),
        ("'  a '.strip(), 'xyax'.strip('yx'), 'ÄSS'.lower(), 'straße'.upper()", "a a äss STRASSE"),
        ("', '.join(['a', 'b']), '-'.join([])", "a, b "),
        ("','.join([1])", "!join() argument 'list' cannot be 'Integer'"),
    ]);
}

// rule: language/format-method
#[test]
fn templates_are_filled() {
    all(&[
        (
            "'{}-{}|{{}}'.format(1, 'b'), '{1}{0}'.format(1, 2), '{n}'.format(n=[1])",
            "1-b|{} 21 [1]",
        ),
        (
            "'{0[k]}{0[1]}{1[0]}{2.year}'.format({'k': 'v', '1': 2}, ['x'], datetime('2024-01-01 00:00'))",
            "v2x2024",
        ),
        (
            "'[{:>5}|{:<4}|{:^5}|{:*^5}|{:05d}|{:=+5}]'.format('a', 'b', 'c', 'd', 42, 7)",
            "[    a|b   |  c  |**d**|00042|+   7]",
        ),
        (
            "'{:b} {:o} {:x} {:X} {:#x} {:c} {:,} {:_x}'.format(5, 8, 255, 255, 255, 65, 1234567, 1048576)",
            "101 10 ff FF 0xff A 1,234,567 10_0000",
        ),
        (
            "'{:.2f} {:8.3f} {:e} {:.0e} {:g} {:g} {:g} {:%} {:.1%}'.format(1.005, -2.5, 12345.678, 15.0, 100000.0, 1000000.0, 0.00001, 0.5, 0.123)",
            "1.00   -2.500 1.234568e+04 2e+01 100000 1e+06 1e-05 50.000000% 12.3%",
        ),
        (
            "'{:+} {: } {:.3} {:10.4g}| {:010.2f} {:,.2f}'.format(1, 1, 'abcdef', 3.14159, -1.5, 1234.5)",
            "+1  1 abc      3.142| -000001.50 1,234.50",
        ),
        (
            "'{:.3}'.format(12.0), '{:{w}}|'.format('a', w=3), '{:>{}}'.format('a', 3)",
            "12.0 a  |   a",
        ),
        (
            "'{:,}'.format(99999999999999999999), '{:d}'.format(-5), '{:08,}'.format(1234)",
            "99,999,999,999,999,999,999 -5 0,001,234",
        ),
        ("'{}'.format()", "!format() missing argument '0'"),
        ("'{x}'.format(y=1)", "!format() missing argument 'x'"),
        ("'{'.format(1)", "!unclosed '{' in format"),
        ("'}'.format(1)", "!single '}' in format"),
        ("'{}{0}'.format(1)", "!format mixes numbered and plain blanks"),
        ("'{:d}'.format('a')", "!invalid format: d"),
        ("'{:99999999999}'.format(1)", "!format too wide: 99999999999"),
    ]);
}

// rule: language/container-methods
#[test]
fn arrays_and_dictionaries_change_in_place() {
    for (source, expected) in [
        (
            "[a = [1, 2, 3]] -> [a.del_item: 0] -> [p = a.pop_item()] -> [a.add_item: [9]] -> print(a, p)",
            "[2, [9]] 3",
        ),
        ("[a = [1, 2]] -> [p = a.pop_item(-2)] -> print(a, p)", "[2] 1"),
        ("[a = []] -> [a.pop_item]", "!array index out of range: -1"),
        ("[a = [1]] -> [a.del_item: 5]", "!array index out of range: 5"),
        (
            "[d = {a=1, b=2}] -> [d.del_item: 'a'] -> print(d, d.get_item('a'), d.get_item('b', 9), d.get_keys())",
            "{b=2} null 2 ['b']",
        ),
        ("[d = {a=1}] -> print(d.pop_item('a'), d.pop_item('a', null), d)", "1 null {}"),
        ("[d = {}] -> [d.pop_item: 'a']", "!key not found: a"),
        ("[d = {}] -> [d.del_item: 1]", "!key not found: 1"),
        ("[d = {}] -> [d.get_item: []]", "!'Array' cannot be a dictionary key"),
    ] {
        assert_eq!(run(source), expected, "{source}");
    }
}

// rule: language/json
#[test]
fn json_is_read_and_written() {
    all(&[
        (
            r#"json_parse('{"a": [1, -2.5, true, null, "x"], "b": {}}')"#,
            "{a=[1, -2.5, true, null, 'x'], b={}}",
        ),
        (
            r#"json_parse(' 12345678901234567890 '), json_parse('1E2'), json_parse(b'"\xe9"'.decode('latin-1').encode())"#,
            "12345678901234567890 100.0 é",
        ),
        (r#"json_parse('"\\u65e5\\ud83d\\ude00\\n"')"#, "日😀"),
        (r#"json_parse('"a\tb"'), json_parse('[NaN, -Infinity]')"#, "a\tb [nan, -inf]"),
        (r#"json_parse('"a\tb"', strict=true)"#, "!invalid JSON at line 1 column 3"),
        (r#"json_parse('[1,\n 2,]')"#, "!invalid JSON at line 2 column 4"),
        ("json_parse('01')", "!invalid JSON at line 1 column 3"),
        ("json_parse('')", "!invalid JSON at line 1 column 1"),
        ("json_parse('[' * 10000)", "!value nested too deeply"),
        (
            "json_dump({a=[1, 1.5, true, null], é='\"\\\\\\n\\x01'})",
            r#"{"a": [1, 1.5, true, null], "\u00e9": "\"\\\n\u0001"}"#,
        ),
        (
            "json_dump('日😀'), json_dump('日', false), json_dump({1: [], 2: {}}, indent=2)",
            "\"\\u65e5\\ud83d\\ude00\" \"日\" {\n  \"1\": [],\n  \"2\": {}\n}",
        ),
        (
            "json_dump([1, [2]], indent=0), json_dump([1], indent='--')",
            "[\n1,\n[\n2\n]\n] [\n--1\n]",
        ),
        (
            "json_dump([date('2024-01-02'), timedelta(seconds=1.5), /t/ch, datetime('2024-01-02 03:04:05Z')])",
            r#"["2024-01-02", 1.5, "/t/ch", "2024-01-02T03:04:05+00:00"]"#,
        ),
        ("json_dump(b'a')", "!'Binary' cannot be written as JSON"),
    ]);
    assert_eq!(
        run("[a = []] -> [a.add_item: a] -> print(json_dump(a))"),
        "!value nested too deeply"
    );
}

// rule: language/dates
#[test]
fn dates_are_made_taken_apart_and_shown() {
    all(&[
        ("now(), now().isoformat()", "2024-02-03 04:05:06.789000+00:00 2024-02-03T04:05:06Z"),
        (
            "datetime('2024-02-28 23:30', zone='Asia/Tokyo'), datetime('2024-02-28T23:30:01.5+02:00')",
            "2024-02-28 23:30:00+09:00 2024-02-28 23:30:01.500000+02:00",
        ),
        (
            "datetime('28.02.2024', '%d.%m.%Y'), datetime(date('2024-01-02'), time('03:04'))",
            "2024-02-28 00:00:00+00:00 2024-01-02 03:04:00+00:00",
        ),
        (
            "datetime('yesterday'), date('in 3 days'), time('1 hour ago')",
            "2024-02-02 00:00:00+00:00 2024-02-06 03:05:06.789000",
        ),
        (
            "date(now()), time(now()), date('2024-12-31').weekday, time('10:20:30').minute",
            "2024-02-03 04:05:06.789000 1 20",
        ),
        (
            "now().year, now().month, now().day, now().hour, now().weekday, now().date, now().time",
            "2024 2 3 4 5 2024-02-03 04:05:06.789000",
        ),
        (
            "timedelta(1, hours=2, seconds=-1), timedelta(days=0.5), timedelta()",
            "1 day, 1:59:59 12:00:00 0:00:00",
        ),
        (
            "timedelta(seconds=-1).days, timedelta(seconds=-1).seconds, timedelta(microseconds=-1).microseconds, timedelta(hours=1).total_seconds",
            "-1 86399 999999 3600.0",
        ),
        (
            "now().format('%Y年%m月 %q %%'), date('2024-01-02').format('%a %j'), time('15:00').format('%I%p')",
            "2024年02月 %q % Tue 002 03PM",
        ),
        ("datetime('x')", "!cannot convert 'x' to Datetime"),
        ("datetime('2024-01-01 00:00', zone='Moon')", "!unknown time zone: Moon"),
        ("date('2024-02-30')", "!cannot convert '2024-02-30' to Date"),
        ("timedelta(days='1')", "!timedelta() argument 'days' cannot be 'String'"),
        ("timedelta(days=99999999999)", "!date value out of range"),
    ]);
}

// rule: language/functions
#[test]
fn objects_are_found() {
    all(&[
        (
            "path('ch'), path('/t', 'ch'), path(['x', '/t'], './ch'), path(./ch)",
            "/t/ch /t/ch /t/ch /t/ch",
        ),
        ("path('none')", "!object not found: /t/none"),
        ("path()", "!path() missing argument 'str_or_obj'"),
        ("path(1)", "!path() argument 'parts' cannot be 'Integer'"),
        ("current()", "/process/id_1"),
        ("user('nobody')", "!user not found: nobody"),
        ("group('a/b')", "!group not found: a/b"),
        ("user(1.5)", "!user() argument 'user' cannot be 'Float'"),
        (
            "length(iprange('10.0.0.0/24')), iprange('10.0.0.3/30')",
            "256 ['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.0.0.3']",
        ),
        ("iprange('10.0.0.0/4')", "!network too large: 10.0.0.0/4"),
        ("iprange('host')", "!cannot convert 'host' to a network"),
    ]);
}

// rule: language/mail
#[test]
fn a_mail_is_taken_apart() {
    let source = r#"
[m = mail_parse('''From: a@example.com
Subject: =?utf-8?B?5pel5pys?=
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9
--x
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="a.bin"
Content-Transfer-Encoding: base64

AAE=
--x--
''')] ->
print(m.Subject, m['Is-Multipart'], m.Filename, length(m.Body)) ->
print(m.Body[0].Body, m.Body[0].Filename, m.Body[1].Body, m.Body[1].Filename)
"#;
    assert_eq!(run(source), "日本 true null 2\ncafé null b'\\x00\\x01' a.bin");
}

/// The examples of the language whose output needs only what is pure.
#[test]
fn the_documented_examples_print_what_they_should() {
    for (source, expected) in [
        (
            include_str!("../../tests/lang/ok/e43_dates.kf"),
            "2024-03-01T00:30:00Z 1 4 90000.0 2024/03/01 00:30 true",
        ),
        (
            include_str!("../../tests/lang/ok/e44_string_methods.kf"),
            "a-b x,y ['a', 'b,c']\n2 3 -1 x a-bX\nc3a9 あ true ['a', 'b', 'c']",
        ),
        (
            include_str!("../../tests/lang/ok/e45_json_and_types.kf"),
            "{\"a\": [1, 2.5, null, true], \"日\": \"本\"}\ny Dictionary Float Binary Null false",
        ),
        (
            include_str!("../../tests/lang/ok/e46_print_keywords_a_function_as_a_job.kf"),
            "12\nprint() got an unexpected keyword argument 'sep'\nstatus 1\n43",
        ),
        (
            include_str!("../../tests/lang/ok/e09_patterns.kf"),
            "web-042 ['web', '042'] {h='web'} 4 11\nfalse true true false",
        ),
        (
            include_str!("../../tests/lang/ok/e14_arrays_and_dictionaries.kf"),
            "[1, 'two', 'foo', [4]] [4]\n{'k': 5, 'my key': 6} dflt ['k', 'my key']",
        ),
    ] {
        assert_eq!(run(source), expected, "{source}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn json_comes_back(text in "[a-zé日😀\\\\\"\n\t/]{0,20}", number: i64, float in -1e9..1e9f64) {
        let literal = text.chars().map(|c| match c {
            '\\' => "\\\\".to_owned(),
            '\'' => "\\'".to_owned(),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            c => c.to_string(),
        }).collect::<String>();
        let source = format!(
            "[v = {{k='{literal}', n=[({number}), ({float:?})]}}] -> print(json_parse(json_dump(v)) == v)"
        );
        proptest::prop_assert_eq!(run(&source), "true");
    }
}
