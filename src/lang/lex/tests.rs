use super::*;
use proptest::prelude::*;

fn tokens(source: &str) -> (Vec<TokenKind>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let (tokens, _) = lex(source, &mut findings);
    let mut kinds: Vec<_> = tokens.into_iter().map(|token| token.kind).collect();
    assert_eq!(kinds.pop(), Some(TokenKind::End));
    (kinds, findings.into_vec())
}

fn texts(source: &str) -> Vec<String> {
    let mut findings = Findings::default();
    let (mut tokens, _) = lex(source, &mut findings);
    tokens.pop();
    tokens.iter().map(|token| token.span.text(source).to_owned()).collect()
}

fn first_error(source: &str) -> (String, String) {
    let (_, found) = tokens(source);
    let first = found.first().unwrap_or_else(|| panic!("no error in {source:?}"));
    assert_eq!(first.code, "K02", "{source:?}");
    (first.span.text(source).to_owned(), first.message.text(kompira_schema::catalogue::Lang::En))
}

fn text(source: &str) -> String {
    let (kinds, found) = tokens(source);
    assert_eq!(found, [], "{source:?}");
    match kinds.as_slice() {
        [TokenKind::Text(template)] => {
            template.segments.iter().map(super::super::ast::Segment::as_written).collect()
        }
        other => panic!("{source:?}: {other:?}"),
    }
}

fn segments(source: &str) -> usize {
    match tokens(source).0.as_slice() {
        [TokenKind::Text(template)] => template.segments.len(),
        [TokenKind::Pattern(pattern)] => pattern.text.segments.len(),
        other => panic!("{source:?}: {other:?}"),
    }
}

// rule: language/lexical
#[test]
fn the_longest_token_is_taken() {
    for (source, expected) in [
        ("=>> => = ==", vec!["=>>", "=>", "=", "=="]),
        ("->>-> -", vec!["->>", "->", "-"]),
        ("?????", vec!["??", "??", "?"]),
        ("***", vec!["**", "*"]),
        ("a=~b!~c!=d", vec!["a", "=~", "b", "!~", "c", "!=", "d"]),
        ("<<>>=", vec!["<<", ">>", "="]),
    ] {
        assert_eq!(texts(source), expected, "{source}");
    }
}

// rule: language/names
#[test]
fn names_are_words_that_do_not_begin_with_an_ascii_digit() {
    for name in ["x", "foo123", "結果", "__host__", "１番", "ー々", "_"] {
        assert_eq!(tokens(name).0, [TokenKind::Ident], "{name}");
    }
    assert_eq!(first_error("1st"), ("1st".into(), "invalid number".into()));
    assert_eq!(first_error("a・b").1, "invalid character '・'");
    assert_eq!(first_error("@id").1, "invalid character '@'");
}

// rule: language/source, [C-02]
#[test]
fn other_blanks_are_named_by_their_code_point_and_passed_over() {
    let (kinds, found) = tokens("a\u{3000}\u{3000}b");
    assert_eq!(kinds, [TokenKind::Ident, TokenKind::Ident]);
    assert_eq!(found.len(), 1);
    assert_eq!(first_error("a\u{a0}b").1, "invalid character 'U+00A0'");
    assert_eq!(tokens("a \t\x0c\n b").1, []);
}

// rule: language/source, [C-01]
#[test]
fn line_ends_become_one_character_and_the_byte_order_mark_goes() {
    assert_eq!(&*normalise("\u{feff}a\r\nb\rc\n"), "a\nb\nc\n");
    assert_eq!(&*normalise("a\n\r\n"), "a\n\n");
}

// rule: language/paths
#[test]
fn paths_are_one_token() {
    for path in ["./", "../", "./a", "../../a/b", "/a", "/a/../b", "/a/../", "/a/./b", "/root/case"]
    {
        assert_eq!(tokens(path).0, [TokenKind::Path], "{path}");
    }
    for (source, expected) in [
        ("/", vec!["/"]),
        ("/a/", vec!["/a", "/"]),
        ("a/b", vec!["a", "/b"]),
        ("a / b", vec!["a", "/", "b"]),
        ("a/2", vec!["a", "/", "2"]),
        ("a/(b)", vec!["a", "/", "(", "b", ")"]),
        ("a/$STATUS", vec!["a", "/", "$STATUS"]),
        ("./.add", vec!["./", ".", "add"]),
        ("/.find", vec!["/", ".", "find"]),
        ("./a.b", vec!["./a", ".", "b"]),
        ("..", vec![".", "."]),
        ("./../x/1", vec!["./../x", "/", "1"]),
    ] {
        assert_eq!(texts(source), expected, "{source}");
    }
}

// rule: language/strings
#[test]
fn a_triple_string_ends_with_the_last_three_of_a_run_of_quotes() {
    for (source, expected) in [
        ("''", ""),
        ("''''''", ""),
        ("'''''''", "'"),
        ("''''''''''", "''''"),
        ("'''a''b'''", "a''b"),
        ("'''it''''", "it'"),
        ("\"\"\"a\n\"b\"\n\"\"\"", "a\n\"b\"\n"),
        (r"'''\''''", "'"),
    ] {
        assert_eq!(text(source), expected, "{source}");
    }
}

// rule: language/strings
#[test]
fn escapes_stand_for_characters_and_unknown_ones_stay() {
    assert_eq!(text(r#"'\\\'\"\a\b\f\n\r\t\v'"#), "\\'\"\x07\x08\x0c\n\r\t\x0b");
    assert_eq!(text(r"'\101\0\377\x41'"), "A\0\u{ff}A");
    assert_eq!(text(r"'\18'"), "\u{1}8");
    assert_eq!(text(r"'\d\u0041'"), r"\d\u0041");
    assert_eq!(text("'''\\\n'''"), "\\\n");
}

// rule: language/strings, [C-09]
#[test]
fn incomplete_escapes_and_unterminated_strings_are_errors() {
    assert_eq!(first_error(r"'a\x4'"), (r"\x".into(), "invalid escape".into()));
    assert_eq!(first_error(r"'\x+1'").1, "invalid escape");
    assert_eq!(first_error(r"'\400'").1, "invalid escape");
    for source in ["'a", "\"a\nb\"", "'''a''", r"'\'", "b'a", "r'a\\'", "g\"\n\""] {
        assert_eq!(first_error(source).1, "unterminated string", "{source}");
    }
}

// rule: language/interpolation
#[test]
fn blanks_are_names_and_status_variables_only() {
    for (source, count) in [
        ("'$a'", 1),
        ("'$a$b'", 2),
        ("'x$a'", 2),
        ("'${a}b'", 2),
        ("'${$STATUS}'", 1),
        ("'${$OTHER}'", 1),
        ("'$$a'", 1),
        ("'$5 $ $'", 1),
        ("'$for ${if}'", 1),
        ("'${a.b}${a'", 1),
        (r"'\x24a\044b'", 1),
        ("'$品名が'", 1),
        ("r'^ab$'", 1),
        ("r'$a$$'", 1),
        ("r'${a}'", 1),
        ("g'${a}x'", 2),
    ] {
        assert_eq!(segments(source), count, "{source}");
    }
    assert_eq!(text("'$$HOME ${a.b} $5'"), "$HOME ${a.b} $5");
    assert_eq!(text(r"'\x24a'"), "$a");
}

// rule: language/binary
#[test]
fn binary_literals_hold_bytes() {
    assert_eq!(tokens(r"b'\x01a\377\q'").0, [TokenKind::Binary(b"\x01a\xff\\q"[..].into())]);
    assert_eq!(first_error("b'é'").1, "invalid character 'é'");
    assert_eq!(texts("B'a' xb'a'"), ["B", "'a'", "xb", "'a'"]);
}

// rule: language/patterns, [C-12]
#[test]
fn patterns_are_raw_and_take_a_suffix_only_when_it_stands_alone() {
    let read = |source: &str| match tokens(source).0.as_slice() {
        [TokenKind::Pattern(pattern)] => {
            (pattern.text.constant().unwrap_or("?").to_owned(), pattern.ignore_case)
        }
        other => panic!("{source:?}: {other:?}"),
    };
    assert_eq!(read(r"r'\d'"), (r"\d".into(), false));
    assert_eq!(read(r"r'\''i"), (r"\'".into(), true));
    assert_eq!(read(r#"e"a\\""#), (r"a\\".into(), false));
    assert_eq!(texts("g'a'in"), ["g'a'", "in"]);
    assert_eq!(texts("g'a' i"), ["g'a'", "i"]);
}

// rule: language/numbers
#[test]
fn numbers_are_decimal_and_whole_ones_unbounded() {
    let big = "123456789012345678901234567890";
    assert_eq!(tokens(big).0, [TokenKind::Integer(big.parse().unwrap())]);
    for (source, value) in [("9.E5", 9e5), ("1.", 1.0), ("007.5", 7.5), ("1.5e-3", 0.0015)] {
        assert_eq!(tokens(source).0, [TokenKind::Float(value)], "{source}");
    }
    for source in ["1e5", "007", "12ab", "1.5x", "1.0e", "1１", "9.9e999"] {
        assert_eq!(first_error(source).1, "invalid number", "{source}");
    }
    assert_eq!(texts(".5"), [".", "5"]);
}

#[test]
fn a_comment_ends_with_its_line() {
    let mut findings = Findings::default();
    let source = "a # one\n'# no' #two";
    let (_, comments) = lex(source, &mut findings);
    let found: Vec<_> = comments.iter().map(|comment| comment.span.text(source)).collect();
    assert_eq!(found, ["# one", "#two"]);
}

proptest! {
    #[test]
    fn any_text_is_cut_into_tokens_in_order(source in "\\PC{0,200}|[-=>'\"$x1./\\\\{} \n#b]{0,200}") {
        let source = normalise(&source);
        let mut findings = Findings::default();
        let (tokens, _) = lex(&source, &mut findings);
        let mut end = 0;
        for token in &tokens {
            prop_assert!(token.span.start >= end && token.span.end >= token.span.start);
            prop_assert!(source.get(token.span.start as usize..token.span.end as usize).is_some());
            end = token.span.end;
        }
    }
}
