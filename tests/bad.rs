//! Each documented rule broken once: over HTTP and by file. The message names the field, the value,
//! the rule and what to do.

mod by_file;
mod over_http;

/// A value that its field does not take: field, type, value as JSON, parts of the message.
const VALUES: &[(&str, &str, &str, &[&str])] = &[
    ("word", "Integer", r#""x1""#, &["'x1'", "no integer", "42"]),
    ("part", "Integer", "1.5", &["'1.5'", "no integer"]),
    ("huge", "Integer", r#""9223372036854775808""#, &["9223372036854775808", "64-bit"]),
    ("port", r#"Integer#{"max_value":65535}"#, "65536", &["65536", "too big", "at most 65535"]),
    ("count", r#"Integer#{"min_value":0}"#, "-1", &["-1", "too small", "at least 0"]),
    ("rate", r#"Float#{"max_value":1}"#, "1.25", &["1.25", "at most 1"]),
    ("ratio", "Float", r#""half""#, &["'half'", "no number", "1.5"]),
    ("code", r#"String#{"max_length":3}"#, r#""abcd""#, &["'abcd'", "4 characters", "at most 3"]),
    ("tag", r#"String#{"min_length":2}"#, r#""a""#, &["'a'", "1 characters", "at least 2"]),
    ("slug", r#"String#{"pattern":"[a-z]+"}"#, r#""A1""#, &["'A1'", "pattern [a-z]+"]),
    ("mail", "EMail", r#""nobody""#, &["'nobody'", "no mail address", "NAME@DOMAIN"]),
    ("addr", "IPAddress", r#""300.1.1.1""#, &["'300.1.1.1'", "no IPv4 address", "192.0.2.1"]),
    ("page", "URL", r#""gopher://x""#, &["'gopher://x'", "scheme", "http, https, ftp, ftps"]),
    ("link", "URL", r#""nowhere""#, &["'nowhere'", "no URL", "SCHEME://"]),
    ("kind", r#"Enum#{"enum":["a","b"]}"#, r#""c""#, &["'c'", "not one of", "a, b"]),
    ("must", r#"Enum#{"enum":["a"],"no_empty":true}"#, r#""""#, &["empty", "give a value"]),
    ("host", "Object", r#""/no/such""#, &["no object", "'/no/such'"]),
    ("day", "Date", r#""31.12.2031""#, &["'31.12.2031'", "no date", "YYYY-MM-DD"]),
    (
        "at",
        "Datetime",
        r#""some day""#,
        &["'some day'", "no date with time", "YYYY-MM-DD HH:MM:SS"],
    ),
    ("hour", "Time", r#""25:00""#, &["'25:00'", "no time", "HH:MM:SS"]),
    ("bytes", "Binary", r#""?""#, &["'?'", "no BASE64"]),
    ("list", "Array<Integer>", r#"[1, "x"]"#, &["'x'", "no integer"]),
    ("hosts", "Dictionary<IPAddress>", r#"{"k": "x"}"#, &["'x'", "no IPv4 address"]),
    ("low", r#"Float#{"min_value":0.5}"#, "0.25", &["0.25", "too small", "at least 0.5"]),
    ("less", "Integer", "-9223372036854775809", &["64-bit"]),
    ("inf", "Float", r#""inf""#, &["'inf'", "no number", "1.5"]),
    ("bare", r#"String#{"strip":true,"min_length":1}"#, r#""  ""#, &["0 characters", "at least 1"]),
    ("shell", r#"URL#{"schemes":["ssh","git"]}"#, r#""http://x""#, &["'http://x'", "ssh, git"]),
    ("there", r#"Object#{"no_empty":true}"#, "null", &["empty", "give a value"]),
    ("paper", r#"File#{"no_empty":true}"#, "null", &["empty", "give a value"]),
    ("paths", "Array<Object>", r#"["/no/such"]"#, &["no object", "'/no/such'"]),
    ("choices", r#"Array<Enum>#{"enum":["a"]}"#, r#"["b"]"#, &["'b'", "not one of", "a"]),
    ("keys", r#"Dictionary#{"max_length":1}"#, r#"{"k": "ab"}"#, &["'ab'", "at most 1"]),
    ("null", "String", r#""a\u0000b""#, &["NUL", "remove it"]),
    ("attached", "File", r#"{"name": "a/b", "data": ""}"#, &["'a/b'", "no file name"]),
    ("unnamed", "File", r#"{"data": ""}"#, &["'name'"]),
    ("many", "Array", r#"{"a": "b"}"#, &["Array", "Dictionary"]),
    ("lines", "Text", r#"{"a": "b"}"#, &["String", "Dictionary"]),
];

/// Fields of a built-in type that its rules refuse: type, fields as JSON, field, parts.
const FIELDS: &[(&str, &str, &str, &[&str])] = &[
    ("Text", r#"{"ext": "update"}"#, "ext", &["'update'", "operation", "choose another"]),
    ("Text", r#"{"colour": "red"}"#, "colour", &["no field 'colour'", "leave it out"]),
    (
        "SmtpServer",
        r#"{"use_tls": true, "use_ssl": true}"#,
        "use_ssl",
        &["use_tls", "exclude", "switch one"],
    ),
    ("SmtpServer", r#"{"use_oauth2": true}"#, "oauth2_provider", &["provider", "choose one"]),
    ("MailChannel", r#"{"use_oauth2": true}"#, "oauth2_provider", &["provider", "choose one"]),
    ("LdapServer", r#"{"server_url": "http://x"}"#, "server_url", &["'http://x'", "ldap, ldaps"]),
    ("NodeInfo", r#"{"port": 65536}"#, "port", &["65536", "at most 65535"]),
    ("Repository", r#"{"repositoryType": "svn"}"#, "repositoryType", &["'svn'", "git, mercurial"]),
    (
        "TypeObject",
        r#"{"fieldNames": ["a-b"], "fieldTypes": ["String"]}"#,
        "fieldNames",
        &["'a-b'", "no identifier", "letters"],
    ),
    (
        "TypeObject",
        r#"{"fieldNames": ["a", "a"], "fieldTypes": ["String", "String"]}"#,
        "fieldNames",
        &["'a'", "twice", "rename"],
    ),
    (
        "TypeObject",
        r#"{"fieldNames": ["a"], "fieldTypes": []}"#,
        "fieldTypes",
        &["0 elements", "1 field names"],
    ),
    (
        "TypeObject",
        r#"{"fieldNames": ["a"], "fieldTypes": ["Colour"]}"#,
        "fieldTypes",
        &["'Colour'", "no field type", "String"],
    ),
    ("TypeObject", r#"{"fieldNames": ["a"], "fieldTypes": ["String#{"]}"#, "fieldTypes", &["JSON"]),
    (
        "Form",
        r#"{"fieldNames": ["a"], "fieldTypes": ["Enum#{\"enum\":{\"switch\":\"$[b]\"}}"]}"#,
        "fieldTypes",
        &["'switch'", "'case'"],
    ),
    (
        "Config",
        r#"{"fieldNames": ["a"], "fieldTypes": ["String#{\"pattern\":\"(\"}"]}"#,
        "fieldTypes",
        &["regular expression"],
    ),
];

fn holds(text: &str, field: &str, parts: &[&str]) {
    for part in std::iter::once(&field).chain(parts) {
        assert!(text.contains(part), "{field}: no {part:?} in {text}");
    }
}
