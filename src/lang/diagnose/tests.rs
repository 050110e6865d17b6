use super::*;
use crate::lang::{check, parse};
use kompira_schema::catalogue::Lang;

fn shown(source: &str, lang: Lang) -> String {
    let parsed = parse(source);
    render_all(&check(&parsed), &parsed.source, "deploy.jobflow", Look { lang, plain: true })
}

// rule: language/errors
#[test]
fn a_finding_shows_its_line_with_a_caret_and_what_to_do() {
    let text = shown("[x = 1]\n-> print(x/y)", Lang::En);
    for part in [
        "error[K03]: syntax error near '/y'",
        "deploy.jobflow:2:11",
        "2 | -> print(x/y)",
        "^^",
        "help: '/' followed by a name is an object path",
    ] {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_finding_is_told_in_japanese_too() {
    let text = shown("print(未定義)", Lang::Ja);
    assert!(text.contains("エラー[K08]: 未定義の変数です: 未定義"), "{text}");
}

#[test]
fn an_unclosed_bracket_is_pointed_at() {
    let text = shown("{ if 1 |\n  print(1)", Lang::En);
    assert!(text.contains("'{' was opened here"), "{text}");
    assert!(text.contains("syntax error near the end"), "{text}");
}

// rule: language/errors
#[test]
fn the_first_error_of_a_line_stands_in_the_field_errors() {
    let parsed = parse("print(a, b)\n-> print(c) -> [__foo__ = 1]");
    let found: Vec<_> = errors(&check(&parsed), &parsed.source, Lang::En).into_iter().collect();
    assert_eq!(
        found,
        [
            ("1".to_owned(), "undefined variable: a".to_owned()),
            ("2".to_owned(), "undefined variable: c".to_owned()),
        ]
    );
}

#[test]
fn json_counts_lines_and_columns_from_one() {
    let parsed = parse("['あ'] ->\n  print(x)");
    let json = to_json(&check(&parsed), &parsed.source, Lang::En);
    let first = &json[0];
    assert_eq!(first["code"], "K08");
    assert_eq!(first["severity"], "error");
    assert_eq!((&first["line"], &first["column"]), (&2.into(), &9.into()));
    assert_eq!((&first["end_line"], &first["end_column"]), (&2.into(), &10.into()));
}

#[test]
fn a_second_error_at_one_place_is_dropped_and_their_number_is_bounded() {
    let text = "[x = ] -> ".repeat(500) + "[]";
    assert_eq!(parse(&text).diagnostics.len(), DIAGNOSTICS_MAX);
}

proptest::proptest! {
    #[test]
    fn any_source_can_be_shown(source in "[\\[\\]{}|()<>='a\\$ \n\tあ→\u{7}-]{0,80}") {
        let parsed = parse(&source);
        let all = check(&parsed);
        for plain in [true, false] {
            let _ = render_all(&all, &parsed.source, "x", Look { lang: Lang::Ja, plain });
        }
        let _ = to_json(&all, &parsed.source, Lang::En);
    }
}
