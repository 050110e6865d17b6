use proptest::prelude::*;

use super::render;

fn check(style: &str, pages: &[(&str, &str)]) {
    for (text, wanted) in pages {
        assert_eq!(render(style, text).trim(), *wanted, "{style}: {text}");
    }
}

// rule: tree/wiki
#[test]
fn creole_is_set() {
    check(
        "Creole",
        &[
            ("= One\n== Two ==", "<h1>One</h1>\n<h2>Two</h2>"),
            ("a **b** //c//\nd", "<p>a <strong>b</strong> <em>c</em>\nd</p>"),
            ("**//x//**", "<p><strong><em>x</em></strong></p>"),
            ("* a\n** b\n* c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
            ("# a\n# b", "<ol><li>a</li><li>b</li></ol>"),
            (
                "[[/home/x|Home]] [[http://a.b/c]]",
                "<p><a href=\"/home/x\" rel=\"nofollow noopener\">Home</a> <a href=\"http://a.b/c\" rel=\"nofollow noopener\">http://a.b/c</a></p>",
            ),
            ("{{a.png|pic}}", "<p><img src=\"a.png\" alt=\"pic\"></p>"),
            ("{{{\n<b> **x**\n}}}", "<pre>&lt;b&gt; **x**\n</pre>"),
            ("a {{{**b**}}}", "<p>a <code>**b**</code></p>"),
            (
                "|=a|=b|\n|c|[[x|y]]|",
                "<table><tbody><tr><th>a</th><th>b</th></tr><tr><td>c</td><td><a href=\"x\" rel=\"nofollow noopener\">y</a></td></tr></tbody></table>",
            ),
            ("----", "<hr>"),
            ("a\\\\b ~**c", "<p>a<br>b **c</p>"),
            (
                "http://a.b/c.",
                "<p><a href=\"http://a.b/c\" rel=\"nofollow noopener\">http://a.b/c</a>.</p>",
            ),
            ("**open", "<p>**open</p>"),
        ],
    );
}

// rule: tree/wiki
#[test]
fn textile_is_set() {
    check(
        "Textile",
        &[
            ("h2. Title\n\ntext", "<h2>Title</h2>\n<p>text</p>"),
            (
                "a *b* _c_ @<d>@ 2*3*4",
                "<p>a <strong>b</strong> <em>c</em> <code>&lt;d&gt;</code> 2*3*4</p>",
            ),
            (
                "-x- +y+ ^z^ ~w~ **b** __i__",
                "<p><del>x</del> <ins>y</ins> <sup>z</sup> <sub>w</sub> <b>b</b> <i>i</i></p>",
            ),
            (
                "\"label\":http://a.b/c.",
                "<p><a href=\"http://a.b/c\" rel=\"nofollow noopener\">label</a>.</p>",
            ),
            ("!a.png(alt)!", "<p><img src=\"a.png\" alt=\"alt\"></p>"),
            ("* a\n** b\n# c", "<ul><li>a<ul><li>b</li></ul></li></ul><ol><li>c</li></ol>"),
            ("bq. said", "<blockquote><p>said</p></blockquote>"),
            ("bc. if <x>", "<pre><code>if &lt;x&gt;</code></pre>"),
            ("|_. h|c|", "<table><tbody><tr><th>h</th><td>c</td></tr></tbody></table>"),
            ("one\ntwo", "<p>one<br>\ntwo</p>"),
            ("==*x*==", "<p>*x*</p>"),
        ],
    );
}

// rule: tree/wiki
#[test]
fn markdown_is_set() {
    check(
        "Markdown",
        &[
            (
                "# A\n\n*b* **c** `d`",
                "<h1>A</h1>\n<p><em>b</em> <strong>c</strong> <code>d</code></p>",
            ),
            ("~~x~~", "<p><del>x</del></p>"),
            (
                "|a|b|\n|-|-|\n|c|d|",
                "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n<tr><td>c</td><td>d</td></tr>\n</tbody></table>",
            ),
            ("[x](/home/y)", "<p><a href=\"/home/y\" rel=\"nofollow noopener\">x</a></p>"),
        ],
    );
}

// rule: tree/wiki
#[test]
fn no_page_brings_its_own_markup() {
    for (style, text) in [
        ("Markdown", "<script>x</script>\n\n<img src=x onerror=y>\n\na <b onclick=z>c</b>"),
        ("Markdown", "[x](javascript:alert(1)) ![y](data:text/html,z) <javascript:a>"),
        ("Markdown", "[x](JAVASCRIPT:alert(1)) [y](vbscript:z)"),
        ("Creole", "<script>x</script> [[javascript:alert(1)|x]] {{data:text/html,x|y}}"),
        ("Creole", "[[\"onmouseover=\"x|y]] [[a\" onclick=\"b]]"),
        ("Textile", "<script>x</script> \"x\":javascript:alert(1) !javascript:y!"),
        ("Textile", "p(\" onclick=\"x). y"),
    ] {
        let html = render(style, text);
        let lower = html.to_ascii_lowercase();
        for tag in lower.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default()) {
            let bare = tag.split('"').step_by(2).collect::<String>();
            let bad = ["script", "onclick", "onmouseover", "onerror", "iframe"];
            let bad = bad.iter().find(|bad| bare.contains(**bad));
            assert_eq!(bad, None, "{style} {text}: {html}");
            for bad in ["\"javascript", "\"data:", "\"vbscript"] {
                assert!(!tag.contains(bad), "{style} {text}: {html}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    // rule: tree/wiki
    #[test]
    fn every_page_ends_and_its_elements_are_closed(
        style in "Creole|Textile",
        text in "([*_/|#=\\[\\]{}!\"@~^<>&\\\\-]{0,3}[a-z :.]{0,3}\n?){0,40}",
    ) {
        let html = render(&style, &text);
        let mut open = Vec::new();
        let mut rest = html.as_str();
        while let Some(at) = rest.find('<') {
            let end = rest[at..].find('>').map(|end| at + end).unwrap();
            let tag = &rest[at + 1..end];
            let name = tag.trim_start_matches('/').split(' ').next().unwrap();
            match tag.starts_with('/') {
                true => prop_assert_eq!(open.pop(), Some(name.to_owned()), "{}", html),
                false if matches!(name, "br" | "hr" | "img") => {}
                false => open.push(name.to_owned()),
            }
            rest = &rest[end + 1..];
        }
        prop_assert!(open.is_empty(), "{}", html);
    }
}
