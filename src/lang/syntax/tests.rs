use super::super::ast::{Expr, ExprKind};
use super::*;
use kompira_schema::catalogue::Lang;

fn whole(source: &str) -> Program {
    let parsed = parse(source);
    assert_eq!(parsed.diagnostics, [], "{source}");
    parsed.program
}

fn errors(source: &str) -> Vec<(&'static str, String)> {
    let parsed = parse(source);
    parsed.diagnostics.iter().map(|found| (found.code, found.message.text(Lang::En))).collect()
}

fn messages(source: &str) -> Vec<String> {
    errors(source).into_iter().map(|(_, message)| message).collect()
}

/// An expression with all its brackets.
fn shape(source: &str) -> String {
    let program = whole(&format!("[x = {source}]"));
    let flow = program.flow.unwrap();
    let JobKind::Assign(bindings) = &flow.steps[0].job.kind else { panic!("{source}") };
    show(&bindings[0].value)
}

fn show(expr: &Expr) -> String {
    let all = |items: &[Expr]| items.iter().map(show).collect::<Vec<_>>();
    match &expr.kind {
        ExprKind::Variable(name) | ExprKind::Path(name) => name.to_string(),
        ExprKind::Root => "/".into(),
        ExprKind::Integer(number) => number.to_string(),
        ExprKind::Paren(inside) => format!("p{}", show(inside)),
        ExprKind::Array(items) => format!("[{}]", all(items).join(" ")),
        ExprKind::Attribute(of, name) => format!("({}.{})", show(of), name.name),
        ExprKind::Index(of, index) => format!("({}[{}])", show(of), show(index)),
        ExprKind::Call(of, args) => format!("({}({}))", show(of), all(&args.positional).join(" ")),
        ExprKind::Unary(sign, of) => format!("({sign:?} {})", show(of)),
        ExprKind::Not(of) => format!("(not {})", show(of)),
        ExprKind::And(items) => format!("({})", all(items).join(" and ")),
        ExprKind::Or(items) => format!("({})", all(items).join(" or ")),
        ExprKind::Arithmetic(first, rest) => {
            let rest: String =
                rest.iter().map(|(op, item)| format!(" {} {}", op.text(), show(item))).collect();
            format!("({}{rest})", show(first))
        }
        ExprKind::Compare(first, rest) => {
            let rest: String =
                rest.iter().map(|(op, item)| format!(" {} {}", op.text(), show(item))).collect();
            format!("({}{rest})", show(first))
        }
        ExprKind::Member(first, rest) => {
            let word = |negated: bool| if negated { "not in" } else { "in" };
            let rest: String =
                rest.iter().map(|(no, item)| format!(" {} {}", word(*no), show(item))).collect();
            format!("({}{rest})", show(first))
        }
        other => format!("{other:?}"),
    }
}

// rule: language/expressions
#[test]
fn operators_bind_as_their_level_says() {
    for (source, expected) in [
        ("a or b and c or d", "(a or (b and c) or d)"),
        ("not a and b", "((not a) and b)"),
        ("not not a", "(not (not a))"),
        ("not a in b", "(not (a in b))"),
        ("a == b in c", "((a == b) in c)"),
        ("a in b not in c", "(a in b not in c)"),
        ("a < b + 1 <= c", "(a < (b + 1) <= c)"),
        ("a + b * c - d", "(a + (b * c) - d)"),
        ("-a * b", "((Minus a) * b)"),
        ("- -a.b[1](c)", "(Minus (Minus (((a.b)[1])(c))))"),
        ("(a < b) <= c", "(p(a < b) <= c)"),
        ("a / b", "(a / b)"),
        ("/ .x", "(/.x)"),
        ("/.find('x').y", "((/.find)"),
        ("[/, /a]", "[/ /a]"),
    ] {
        let found = shape(source);
        assert!(
            found == expected || (source.contains("find") && found.starts_with("(((/.find)")),
            "{source}: {found}"
        );
    }
    assert_eq!(messages("[x = a == not b]"), ["syntax error near 'not'"]);
}

// rule: language/grammar, [C-13]
#[test]
fn the_bracket_of_an_event_is_split_off_longer_tokens() {
    for source in ["<./ch>=>print()", "<./ch>->print()", "<>=>>print()", "<a>>=print()"] {
        let parsed = parse(source);
        let expected = usize::from(source.contains(">>="));
        assert_eq!(parsed.diagnostics.len(), expected, "{source}: {:?}", parsed.diagnostics);
    }
    let flow = whole("<./ch>=>print()").flow.unwrap();
    assert_eq!(flow.steps[0].then.map(|then| then.connector), Some(Connector::Failure));
}

// rule: language/events, [C-14]
#[test]
fn comparisons_in_an_event_need_brackets() {
    whole("<./ch ? (a > b) : timeout=[1 < 2]>");
    whole("<./ch ?? 'x' : 1, peek_mode=true>");
    assert_eq!(messages("<./ch ? a < b>").len(), 1);
}

#[test]
fn every_form_of_job_is_read() {
    for source in [
        "",
        "|a|",
        "|a| |b = a * 2| -> []",
        "|a| => print(a)",
        "[]",
        "[x = 1, y = x]",
        "['a' >> x]",
        "['a' >> ./x.y['z'][0].w]",
        "['cmd']",
        "['cmd' << 'in']",
        "[./a << 'in' : 1, *[2], x=3, **{y=4}]",
        "[./a: *x, y=1]",
        "[./a: **x]",
        "[a.b: 1]",
        "<>",
        "print()",
        "{ print() }",
        "{ x = 1, y = x | print(y) }",
        "{ if | print() }",
        "{ if 1 | then: print() elif 2: [] -> [] elif 3: [] else: [] }",
        "{ case | 'a', 'b': [] r'c': [] -> [] else: [] }",
        "{ case x | [1]: [] [2]: [] {a=1}: [] }",
        "{ for x in [1] | continue -> break }",
        "{ while true | [] }",
        "{ choice | <a> -> [] <b ? 'x' : 1> => [] -> [] <> ->> [] }",
        "{ fork | [] -> [] [] {[]} <> print() }",
        "{ pfor x in 3 | [] }",
        "{ session s | <s> -> [s.send: 'x'] }",
        "{ try | [] } =>> []",
        "[x = {}, y = {a=1}, z = {'a': 1, 2: []}]",
    ] {
        whole(source);
    }
}

// rule: language/errors, [C-15]
#[test]
fn what_the_grammar_does_not_know_is_an_error() {
    for (source, code, message) in [
        ("[for = 1]", "K04", "syntax error near 'for'"),
        ("[x = for]", "K04", "syntax error near 'for'"),
        ("[x = a.if]", "K04", "syntax error near 'if'"),
        ("|not|", "K04", "syntax error near 'not'"),
        ("{}", "K03", "syntax error near '}'"),
        ("[a, b]", "K03", "syntax error near ','"),
        ("[./a:]", "K03", "syntax error near ']'"),
        ("print(1,)", "K03", "syntax error near ')'"),
        ("print(x=1, 2)", "K03", "syntax error near '2'"),
        ("print(**a, 2)", "K03", "syntax error near ','"),
        ("print(*a, *b)", "K03", "syntax error near '*'"),
        ("print('a' 'b')", "K03", "syntax error near ''b''"),
        ("print(1).x", "K03", "syntax error near '.'"),
        ("{ if x | [] else: [] }", "K03", "syntax error near 'else'"),
        ("{ case x | }", "K03", "syntax error near '}'"),
        ("[x = 1", "K03", "syntax error near the end of the program"),
        ("x", "K03", "syntax error near the end of the program"),
        ("[] ->", "K03", "syntax error near the end of the program"),
        ("|a b|", "K03", "syntax error near 'b'"),
        ("print(a/b)", "K03", "syntax error near '/b': put a space after '/' to divide"),
        ("print($FOO)", "K11", "undefined special variable: $FOO"),
        ("print('a)", "K02", "unterminated string"),
        ("[1 >> /]", "K03", "syntax error near '/'"),
    ] {
        let found = errors(source);
        assert_eq!(found.first(), Some(&(code, message.to_owned())), "{source}: {found:?}");
    }
}

// rule: language/errors, [C-79]
#[test]
fn reading_goes_on_at_connectors_and_closing_brackets() {
    for (source, lines) in [
        ("[x = ] ->\n[y = 1 +] =>\nprint(1,) -> []", vec![1, 2, 3]),
        ("{ if x |\n[a = ] -> [b = ] }\n-> [c =]", vec![2, 2, 3]),
        ("print(a b) -> print(c)", vec![1]),
        ("{ for x in [1 |\n print(1) } -> [c d]", vec![1, 2]),
        ("|a b|\n|c =|\nprint(,)", vec![1, 2, 3]),
        ("[x = {a=1 b=2}] -> [\ny =]", vec![1, 2]),
        ("[] []\n-> [x =]", vec![1, 2]),
        ("}\n-> [x =]", vec![1, 2]),
    ] {
        let parsed = parse(source);
        let places = Lines::new(&parsed.source);
        let found: Vec<_> =
            parsed.diagnostics.iter().map(|found| places.line(found.span.start)).collect();
        assert_eq!(found, lines, "{source}: {:?}", messages(source));
    }
}

// rule: language/limits, K15
#[test]
fn nesting_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("[x = {}1{}]", open.repeat(depth), close.repeat(depth))
    };
    let max = NESTING_MAX as usize;
    whole(&nested("(", ")", max));
    for source in [
        nested("(", ")", max + 1),
        nested("(", ")", 10_000),
        nested("[", "]", 10_000),
        nested("-", "", 10_000),
        nested("not ", "", 10_000),
        nested("a(", ")", 10_000),
        nested("{a=", "}", 10_000),
        format!("{}[]{}", "{ ".repeat(10_000), "}".repeat(10_000)),
        "{ try | ".repeat(8_000),
        "(".repeat(10_000),
        format!("[x = {}", "(".repeat(10_000)),
        format!("[x = a{}]", ".b".repeat(10_000)),
        format!("[1 >> a{}]", ".b".repeat(10_000)),
        format!("[x = {}a{}]", "(".repeat(200), ".b.b)".repeat(200)),
    ] {
        let found = errors(&source);
        let short: String = source.chars().take(20).collect();
        assert!(found.len() <= 2, "{short}: {found:?}");
        assert!(
            found.iter().any(|(code, _)| *code == "K15") || source.starts_with("(("),
            "{short}: {found:?}"
        );
    }
    whole(&format!("{}[]{}", "{ ".repeat(max), "}".repeat(max)));
    whole(&format!("[x = a{}]", " + 1".repeat(10_000)));
    whole(&format!("[x = a{}]", " and 1".repeat(8_000)));
}

// rule: language/limits, K01
#[test]
fn a_source_ends_at_65536_characters() {
    let fits = format!("[x = '{}']", "あ".repeat(SOURCE_CHARS_MAX - 8));
    assert_eq!(fits.chars().count(), SOURCE_CHARS_MAX);
    whole(&fits);
    // Counted after line ends are normalised.
    whole(&format!("{}\r\n", " ".repeat(SOURCE_CHARS_MAX - 1)));
    assert_eq!(errors(&format!("{fits} ")), [("K01", "program too long".to_owned())]);
}

#[test]
fn places_count_lines_and_characters_from_one() {
    let source = "あ\nbc";
    let lines = Lines::new(source);
    assert_eq!(lines.place(source, 0), Place { line: 1, column: 1 });
    assert_eq!(lines.place(source, 3), Place { line: 1, column: 2 });
    assert_eq!(lines.place(source, 5), Place { line: 2, column: 2 });
    assert_eq!(lines.place(source, 6), Place { line: 2, column: 3 });
}

mod any {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_is_read_without_a_panic(source in "\\PC{0,300}") {
            let _ = parse(&source);
        }

        #[test]
        fn bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn words_are_read_without_a_panic(words in prop::collection::vec(
            prop::sample::select(vec![
                "[", "]", "{", "}", "(", ")", "<", ">", "|", "->", "=>", "->>", "=>>", ":", ",",
                "=", ">>", "<<", "?", "*", "**", "-", "/", ".", "a", "'s'", "1", "./p", "if", "case",
                "then", "else", "for", "in", "fork", "choice", "try", "not", "break", ">=", "\n",
            ]),
            0..80,
        )) {
            let parsed = parse(&words.join(" "));
            // Whole programs hold no invalid parts.
            if parsed.is_whole() {
                let invalid = format!("{:?}", parsed.program).contains("Invalid");
                prop_assert!(!invalid);
            }
        }
    }
}
