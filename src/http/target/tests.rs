use super::*;

fn parsed(raw: &str) -> (String, Option<String>, Vec<String>) {
    let target = Target::parse(raw).unwrap_or_else(|fault| panic!("{raw}: {fault:?}"));
    (target.path.as_str().to_owned(), target.method, target.rest)
}

// rule: http/paths
#[test]
fn a_path_is_an_object_and_perhaps_a_method() {
    for (raw, path, method) in [
        ("/", "/", None),
        ("", "/", None),
        ("//", "/", None),
        ("/.children", "/", Some("children")),
        ("/.descendant", "/", Some("descendant")),
        ("/home/mika/night_check", "/home/mika/night_check", None),
        ("/home//mika/", "/home/mika", None),
        ("/home.children", "/home", Some("children")),
        ("/home.children/", "/home", Some("children")),
        ("/app/flow.execute", "/app/flow", Some("execute")),
        ("/process/id_12.wait", "/process/id_12", Some("wait")),
        ("/home/%E4%B8%96%E7%95%8C", "/home/世界", None),
        ("/home/%e4%b8%96%e7%95%8c.children", "/home/世界", Some("children")),
        ("/h%6Fme", "/home", None),
        // NFD arrives, NFC is meant.
        ("/caf%65%CC%81", "/café", None),
    ] {
        let (found, found_method, rest) = parsed(raw);
        assert_eq!((found.as_str(), found_method.as_deref()), (path, method), "{raw}");
        assert!(rest.is_empty());
    }
}

// rule: http/attachments
#[test]
fn attachments_alone_take_more_segments() {
    let (path, method, rest) = parsed("/a/b.attachments/attached1/x%20y.pem");
    assert_eq!((path.as_str(), method.as_deref()), ("/a/b", Some("attachments")));
    assert_eq!(rest, ["attached1", "x y.pem"]);
    assert_eq!(Target::parse("/a.children/b").unwrap_err().kind(), Kind::NotFound);
}

// rule: http/paths (RELIABILITY I4)
#[test]
fn nothing_leads_outside() {
    let not_found = [
        "/..",
        "/../",
        "/../../etc/passwd",
        "/home/../root",
        "/home/..",
        "/./home",
        "/.",
        "/home/.",
        "/%2e%2e",
        "/%2e%2e/",
        "/%2E%2E/etc",
        "/home/%2e%2e/root",
        "/%2e",
        "/home/%2e",
        "/.%2e",
        "/%2e.",
        "/%2e%2e%2f",
        "/%2e%2e%2fetc",
        "/..%2f..%2fetc",
        "/home%2froot",
        "/%2F",
        "/%2fetc",
        "/%252e%252e",
        "/%252e%252e%252fetc",
        "/%25252e",
        "/home%252froot",
        "/..%5c..",
        "/%5c",
        "/%5C%5C",
        "/home%5croot",
        "/a%00b",
        "/%00",
        "/home%00.children",
        "/a%0ab",
        "/a%0d%0aX:1",
        "/%7f",
        "/a%1b[2J",
        "/...",
        "/....",
        "/home/...",
        "/..;/",
        "/..;a=b/x",
        "/home;a",
        "/a b",
        "/a%20b",
        "/~root",
        "/-",
        "/home/-",
        "/c:",
        "/c:/windows",
        "/a:b",
        "/*",
        "/1a",
        "/%EF%BC%8F",
        "/%E2%80%A5",
        "/%EF%BC%8E%EF%BC%8E",
        "/a%E2%80%8Bb",
        "/a%E2%80%AEb",
        "/a..children",
        "/a.",
        "/a.b.c",
        "/home/.children",
        "/a.children/..",
        "/a.x/../b",
    ];
    for raw in not_found {
        let fault = Target::parse(raw).expect_err(raw);
        assert_eq!(fault.kind(), Kind::NotFound, "{raw}");
    }
    let bad_request = [
        "/%",
        "/%2",
        "/%zz",
        "/%c0%ae%c0%ae",
        "/%c0%af",
        "/%e0%80%af",
        "/%f0%80%80%af",
        "/%ff",
        "/%c3%28",
        "/%ed%a0%80",
        "/%u002e",
        "/home/%",
        "/a.attachments/f/%",
        "/%fe%fe%ff%ff",
    ];
    for raw in bad_request {
        assert_eq!(Target::parse(raw).expect_err(raw).kind(), Kind::BadRequest, "{raw}");
    }
    assert!(not_found.len() + bad_request.len() >= 60);
}

// rule: http/paths
#[test]
fn lengths_are_held() {
    let longest = format!("/{}", "a".repeat(128));
    assert!(Target::parse(&longest).is_ok());
    assert_eq!(Target::parse(&format!("{longest}a")).unwrap_err().kind(), Kind::NameTooLong);
    let deep = "/abc".repeat(256);
    assert!(Target::parse(&deep).is_ok());
    assert_eq!(Target::parse(&format!("{deep}/a")).unwrap_err().kind(), Kind::NameTooLong);
    let endless = "/a".repeat(RAW_BYTES_MAX);
    assert_eq!(Target::parse(&endless).unwrap_err().kind(), Kind::NameTooLong);
}
