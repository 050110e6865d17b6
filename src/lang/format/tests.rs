use super::*;
use crate::lang::parse;
use proptest::prelude::*;

fn set(source: &str) -> String {
    format(source).unwrap_or_else(|found| panic!("{source}: {found:?}"))
}

/// The tree without places.
fn tree(source: &str) -> String {
    let tree = std::format!("{:?}", parse(source).program);
    let places = regex::Regex::new(r"span: \d+\.\.\d+").unwrap();
    places.replace_all(&tree, "").into_owned()
}

// rule: language/format
#[test]
fn blanks_are_set_anew() {
    for (source, expected) in [
        ("", ""),
        ("\n\n", ""),
        ("|a||b=1|print( a,b )", "|a| |b = 1| print(a, b)\n"),
        (
            "[x=1,y=-x]->[./a:1,*[ 2 ],k = 3,**{ }]",
            "[x = 1, y = -x] -> [./a: 1, *[2], k=3, **{}]\n",
        ),
        ("{x=1|{if x|[]}}", "{ x = 1 | { if x | [] } }\n"),
        ("{if|then:[] elif 2:[] else:[]}", "{ if | then: [] elif 2: [] else: [] }\n"),
        ("{case x|'a','b':[] [1]:[]else:[]}", "{ case x | 'a', 'b': [] [1]: [] else: [] }\n"),
        ("<./ch?'ok*':timeout=0>=>[]", "<./ch ? 'ok*': timeout=0> => []\n"),
        ("{fork|[]{[]}<>print()}", "{ fork | [] { [] } <> print() }\n"),
        ("[a+b*-c/ d%(e)>>x . y [ 'z' ]]", "[a + b * -c / d % (e) >> x.y['z']]\n"),
        ("['a'<<b:1]", "['a' << b: 1]\n"),
        ("[x={a = 1},y={'a' :1},z=1 .w]", "[x = {a=1}, y = {'a': 1}, z = 1 .w]\n"),
        ("[x=not a in[ 1 ]and-b<c]", "[x = not a in [1] and -b < c]\n"),
        ("[x=/ .find(),y=/ / 2]", "[x = /.find(), y = / / 2]\n"),
        ("  []   # one\r\n\r\n\r\n\r\n# two  \r\n-> []", "[]  # one\n\n# two\n-> []\n"),
        ("print('''a\n   b''',\n1)", "print('''a\n   b''',\n    1)\n"),
    ] {
        assert_eq!(set(source), expected, "{source}");
    }
}

// rule: language/format
#[test]
fn lines_are_indented_by_what_is_open() {
    let source = "\
|who|
# greet
{ for n in [1,
2] |
print(n) ->
{ if n == 2 |
then:
# two
['a'] ->
['b'] # tail
# last
else: []
# end
} }
-> { fork |
a() ->
b()
c()
}
-> { case who |
'x':
print({
a=1,
b=2
})
else: [] }
";
    let expected = "\
|who|
# greet
{ for n in [1,
    2] |
    print(n) ->
    { if n == 2 |
        then:
            # two
            ['a'] ->
            ['b']  # tail
        # last
        else: []
        # end
    } }
-> { fork |
    a() ->
        b()
    c()
}
-> { case who |
    'x':
        print({
            a=1,
            b=2
        })
    else: [] }
";
    assert_eq!(set(source), expected);
    assert_eq!(set(expected), expected);
}

#[test]
fn a_source_with_errors_is_left_alone() {
    let found = format("[x = ]").unwrap_err();
    assert_eq!(found[0].code, "K03");
}

/// Programs by the grammar.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b1",
        "結果",
        "./p",
        "/q/r",
        "../",
        "/ ",
        "$STATUS",
        "'t$a'",
        "'''q'\n'''",
        "b'\\x01'",
        "r'a+'i",
        "g'*'",
        "12",
        "1.5",
        "true",
        "null",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            inner.clone().prop_map(|e| std::format!("({e})")),
            inner.clone().prop_map(|e| std::format!("- {e}")),
            inner.prop_map(|e| std::format!("( not {e} )")),
            two.clone().prop_map(|(x, y)| std::format!("[{x},{y}]")),
            two.clone().prop_map(|(x, y)| std::format!("{{k={x} , l = {y}}}")),
            two.clone().prop_map(|(x, y)| std::format!("{{{x}:{y}}}")),
            (
                two.clone(),
                prop::sample::select(vec!["+", " - ", "*", " / ", "%", "=~", "==", "!="])
            )
                .prop_map(|((x, y), op)| std::format!("{x}{op} {y}")),
            (two.clone(), prop::sample::select(vec![" and ", " or ", "\nin ", " < "]))
                .prop_map(|((x, y), op)| std::format!("({x}{op}{y})")),
            two.prop_map(|(x, y)| std::format!("a . b [ {x} ] ( {y}, * a,k={x},** a )")),
        ]
    })
}

fn flow() -> impl Strategy<Value = String> {
    let job = prop_oneof![
        Just("[]".to_owned()),
        Just("<>".to_owned()),
        expression().prop_map(|e| std::format!("[x={e}]")),
        expression().prop_map(|e| std::format!("[({e})>>x.y[{e}]]")),
        expression().prop_map(|e| std::format!("[({e})<<{e} :{e},k={e}]")),
        expression().prop_map(|e| std::format!("< ({e}) ?? ({e}) : timeout=1>")),
        expression().prop_map(|e| std::format!("print({e}) # note\n")),
    ];
    job.prop_recursive(4, 24, 3, |inner| {
        let link = prop::sample::select(vec!["->", "\n=> ", "=>>", " ->>\n\n"]);
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (two.clone(), link.clone()).prop_map(|((x, y), link)| std::format!("{x}{link}{y}")),
            inner.clone().prop_map(|f| std::format!("{{x=1|{f}}}")),
            two.clone().prop_map(|(x, y)| std::format!("{{if a|then:{x} elif b:\n{y} else:{x}}}")),
            two.clone().prop_map(|(x, y)| std::format!("{{case|'a',1:{x} [1]:\n{y} else : {x}}}")),
            two.clone().prop_map(|(x, y)| std::format!("{{fork|{x} {y}\n}}")),
            two.prop_map(|(x, y)| std::format!("{{choice|<a>->{x} <>=>{y}}}")),
            inner.clone().prop_map(|f| std::format!("{{for v in a|\n{f}}}")),
            inner.clone().prop_map(|f| std::format!("{{while a|{f}\n# end\n}}")),
            inner.prop_map(|f| std::format!("{{session s|{f}}}=>{{try|{f}}}")),
        ]
    })
}

/// `KOMPIRA_PROGRAMS` says another number.
fn cases() -> u32 {
    std::env::var("KOMPIRA_PROGRAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_program_keeps_its_tree_and_setting_it_again_changes_nothing(source in flow()) {
        let parsed = parse(&source);
        prop_assert!(parsed.is_whole(), "{source}\n{:?}", parsed.diagnostics);
        let once = Printer::new(&parsed).print();
        prop_assert!(same_tokens(&parsed, &once), "{source}\n---\n{once}");
        prop_assert_eq!(tree(&source), tree(&once));
        prop_assert_eq!(&set(&once), &once);
    }
}
