use super::*;
use crate::lang::syntax::parse;
use kompira_schema::catalogue::Lang;

fn errors(source: &str) -> Vec<(&'static str, String)> {
    check(&parse(source))
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| (found.code, found.message.text(Lang::En)))
        .collect()
}

fn fine(source: &str) {
    assert_eq!(errors(source), [], "{source}");
}

fn wrong(source: &str, code: &'static str, message: &str) {
    assert_eq!(errors(source), [(code, message.to_owned())], "{source}");
}

// rule: language/errors, K05
#[test]
fn break_and_continue_stand_in_loops() {
    wrong("break", "K05", "'break' outside loop");
    wrong("{ pfor i in 3 | continue }", "K05", "'continue' outside loop");
    wrong("{ for i in 3 | { fork | break } }", "K05", "'break' outside loop");
    wrong("{ session s | continue }", "K05", "'continue' outside loop");
    fine("{ for i in 3 | { try | { if i | then: break else: continue } } }");
    fine("{ while 1 | { session s | continue } }");
    fine("{ session s | { case s | 1: break } }");
}

// rule: language/errors, K06
#[test]
fn keys_and_bindings_stand_once() {
    wrong("print({a=1, a=2})", "K06", "duplicate key: a");
    wrong("[a = 1, a = 2]", "K06", "duplicate key: a");
    wrong("{ a = 1, a = 2 | [] }", "K06", "duplicate key: a");
    fine("print({'a': 1, 'a': 2})");
}

// rule: language/errors, K07
#[test]
fn parameters_and_named_arguments_stand_once() {
    wrong("|a| |a| []", "K07", "duplicate parameter: a");
    wrong("[./a: x=1, x=2]", "K07", "duplicate argument: x");
}

// rule: language/definite-assignment, K08
#[test]
fn variables_are_assigned_before_they_are_read() {
    for source in [
        "[x = x]",
        "print(x)",
        "|x = x|",
        "{ if true | [x = 1] } -> print(x)",
        "{ if 1 | then: [x = 1] elif 2: [] else: [x = 1] } -> print(x)",
        "{ while 1 | [x = 1] } -> print(x)",
        "{ for i in 3 | [x = 1] } -> print(x)",
        "{ try | [x = 1] } -> print(x)",
        "{ fork | [x = 1] } -> print(x)",
        "{ pfor i in 3 | [x = 1] } -> print(x)",
        "{ x = 1 | [x = 2] } -> print(x)",
        "{ for x in 3 | [] } -> print(x)",
        "{ session x | [] } -> print(x)",
        "{ case 1 | 1: [x = 1] else: [] } -> print(x)",
        "{ choice | <a> -> [] } -> print(x)",
        "[1 >> x.y]",
        "[./a << x]",
        "<x>",
        "{ x = y, y = 1 | [] } -> print(x)",
        "{ case x | 1: [] }",
        "[a = length] -> [length: x]",
    ] {
        let found = errors(source);
        assert!(
            !found.is_empty() && found.iter().all(|(code, _)| *code == "K08"),
            "{source}: {found:?}"
        );
    }
    wrong("[x = x]", "K08", "undefined variable: x");
}

// rule: language/definite-assignment
#[test]
fn what_every_path_assigns_is_assigned() {
    for source in [
        "|x| |y = x| print(y)",
        "[x = 1, y = x] -> print(y)",
        "[1 >> x] -> print(x)",
        "{ x = 1, y = x | print(y) -> [z = y] } -> print(z)",
        "{ if 1 | then: [x = 1] elif 2: [x = 2] else: [x = 3] } -> print(x)",
        "{ case 1 | 1: [x = 1] 2: [x = 2] } -> print(x)",
        "[a = channel()] -> { choice | <a> -> [x = 1] <> -> [x = 2] } -> print(x)",
        "{ session s | [x = s] } -> print(x)",
        "{ if 1 | then: [x = 1] else: exit() } -> print(x)",
        "{ for i in 3 | { if i | then: [x = 1] else: continue } -> print(x, i) }",
        "{ while 1 | { if 1 | then: return() elif 2: self() else: [x = 1] } -> print(x) }",
        "{ if 1 | then: abort() else: return() } -> print(x)",
        "print('$x ${x}', r'${x}')",
        "{ fork | [x = 1] -> print(x) [x = 2] -> print(x) }",
    ] {
        fine(source);
    }
}

// rule: language/errors, K09, K10, [C-28]
#[test]
fn only_what_exists_is_called() {
    wrong("pritn(1)", "K09", "undefined function: pritn");
    wrong("[x = nothing(1)]", "K09", "undefined function: nothing");
    wrong("[f = 1] -> f(1)", "K09", "undefined function: f");
    wrong("[x = sleep(1)]", "K10", "'sleep' is not a function");
    fine("[f = ''.join] -> [x = f([])] -> length(x)");
    let found = check(&parse("pritn(1)"));
    let help = found[0].help.as_ref().map(|help| help.text(Lang::En));
    assert_eq!(help.as_deref(), Some("did you mean 'print'?"));
}

// rule: language/errors, K12
#[test]
fn a_sequence_ends_at_4096_jobs() {
    let jobs = |count: usize| vec!["[]"; count].join("->");
    fine(&jobs(SEQUENCE_MAX));
    wrong(&jobs(SEQUENCE_MAX + 1), "K12", "too many jobs in a sequence");
    fine(&format!("{{ {} }}->{}", jobs(SEQUENCE_MAX), jobs(SEQUENCE_MAX - 1)));
}

// rule: language/errors, K13
#[test]
fn constant_regular_expressions_are_checked() {
    let found = errors("[x = r'a(b']");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.starts_with("invalid pattern: "), "{found:?}");
    fine("[x = r'(?P<a>b)(?=c)(?<!d)\\1'i, y = g'(', z = e'(']");
    fine("[x = r'(${y}']");
}

// rule: language/errors, K14
#[test]
fn a_session_does_not_stand_in_a_session() {
    wrong("{ session a | { session b | [] } }", "K14", "nested session");
    fine("{ session a | [] } -> { session b | [] }");
}

// rule: language/control-variables, [C-04]
#[test]
fn an_unknown_control_variable_is_a_warning() {
    let found = check(&parse("[__hots__ = 'a', __host__ = 'b']"));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, found[0].severity), ("W01", Severity::Warning));
    let help = found[0].help.as_ref().map(|help| help.text(Lang::En));
    assert_eq!(help.as_deref(), Some("did you mean '__host__'?"));
}

#[test]
fn a_syntax_error_brings_no_errors_about_variables() {
    assert_eq!(errors("[x = ] -> print(x) -> break").len(), 2);
}

/// The table E48 of the language specification.
#[test]
fn the_documented_errors_are_found() {
    for (source, message) in [
        ("break", "'break' outside loop"),
        ("{ pfor i in 3 | continue }", "'continue' outside loop"),
        ("print({a=1, a=2})", "duplicate key: a"),
        ("[x = x]", "undefined variable: x"),
        ("{ if true | [a = 1] } -> print(a)", "undefined variable: a"),
        ("|a| |a| []", "duplicate parameter: a"),
        ("[x = sleep(1)]", "'sleep' is not a function"),
        ("print($FOO)", "undefined special variable: $FOO"),
        ("[for = 1]", "syntax error near 'for'"),
        ("[a = 7, b = 2] -> print(a/b)", "syntax error near '/b': put a space after '/' to divide"),
        ("print('a)", "unterminated string"),
    ] {
        let parsed = parse(source);
        let errors = super::super::diagnose::errors(&check(&parsed), &parsed.source, Lang::En);
        let errors: Vec<_> = errors.into_iter().collect();
        assert_eq!(errors, [("1".to_owned(), message.to_owned())], "{source}");
    }
}
