//! A client that knows nothing but the description: whatever it sends, no answer is a `5xx`.
//!
//! `KOMPIRA_CALLS` says how many requests (2000), `KOMPIRA_SEED` which ones (1).

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::support::{Client, Server};

/// Numbers that look like chance and are the same every time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What is likely to be there, and what is likely to hurt.
const PATHS: &[&str] = &[
    "/",
    "/root",
    "/home",
    "/system",
    "/system/types/Text",
    "/system/types/Directory",
    "/system/config",
    "/system/info",
    "/config/license",
    "/config/realm",
    "/p/text",
    "/p/flow",
    "/p/channel",
    "/p/table",
    "/p/file",
    "/p/form",
    "/p/wiki",
    "/p/made",
    "/p/gone",
    "/p",
    "/process/id_1",
    "/config/user/id_1",
];
const TEXTS: &[&str] = &[
    "",
    "x",
    "made",
    "root",
    "other",
    "true",
    "0",
    "-1",
    "1,2",
    "5,1",
    "99999999999999999999999",
    "1e400",
    "NaN",
    "2025-02-30T00:00:00Z",
    "2025-02-11T05:20:30Z",
    "日本語",
    "\u{0}\u{1}\u{7f}",
    "\u{202e}abc",
    "a/b",
    "../../etc/passwd",
    "%",
    "(",
    "[[[",
    "(a+)+$",
    "{{ 7 * 7 }}",
    "{% for i in range(10) %}{{ i }}{% endfor %}",
    "print('x')",
    "|a = 1|\n[[[",
    "mon-fri",
    "*/5",
    "POST",
    "DELETE",
    "eA==",
    "'; drop table objects; --",
];
const KEYS: &[&str] = &[
    "name",
    "id",
    "owner",
    "status",
    "abspath",
    "display_name",
    "description",
    "created",
    "updated",
    "type_object",
    "parent_object",
    "field:text",
    "field:attached1",
    "field:message_queue",
    "started_time",
    "username",
    "job",
    "hour",
    "text",
    "fields",
    "source",
    "nonsense",
];
const LOOKUPS: &[&str] = &[
    "",
    "__exact",
    "__iexact",
    "__contains",
    "__startswith",
    "__iendswith",
    "__regex",
    "__iregex",
    "__gt",
    "__lte",
    "__in",
    "__range",
    "__isnull",
    "__nonsense",
    "__",
    "__gt__lt",
];

/// What would end the test, change the server's own files or take for ever.
const LEFT_OUT: &[&str] =
    &["changes", "revokeTokens", "backup", "restore", "exportDir", "importDir", "fsck"];

struct Caller {
    chance: Chance,
    document: Json,
}

impl Caller {
    fn path(&mut self) -> String {
        (*self.chance.of(PATHS)).to_owned()
    }

    fn text(&mut self) -> String {
        match self.chance.below(20) {
            0 => "x".repeat(1 + self.chance.below(3000)),
            1..=6 => self.path(),
            _ => (*self.chance.of(TEXTS)).to_owned(),
        }
    }

    fn url(&mut self, pattern: &str) -> String {
        let mut url = String::new();
        let mut pieces = pattern.split('{');
        url.push_str(pieces.next().unwrap());
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap();
            let value = match name {
                "path" => self.path().trim_start_matches('/').to_owned(),
                "id" | "number" => match self.chance.below(8) {
                    0 => "0".into(),
                    1 => "18446744073709551615".into(),
                    2 => "99".into(),
                    3 => escaped(&self.text()),
                    other => (other - 3).to_string(),
                },
                "field" => (*self.chance.of(&["attached1", "text", "fields", "gone"])).to_owned(),
                "element" => (*self.chance.of(&["0", "1", "-1", "x", "4294967296"])).to_owned(),
                "view" => (*self.chance.of(&["render", "txt", "md", "nonsense"])).to_owned(),
                _ => escaped(&self.text()),
            };
            url.push_str(&value);
            url.push_str(rest);
        }
        url
    }

    fn query(&mut self, operation: &Json) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            let joint = if query.is_empty() { '?' } else { '&' };
            let _ = write!(query, "{joint}{}={}", escaped(name), escaped(value));
        };
        let none = Vec::new();
        for parameter in operation["parameters"].as_array().unwrap_or(&none) {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] != "query" || self.chance.one_in(2) {
                continue;
            }
            match name {
                "filters" => {
                    for _ in 0..=self.chance.below(3) {
                        let key = format!("{}{}", self.chance.of(KEYS), self.chance.of(LOOKUPS));
                        add(&key, &self.text());
                    }
                }
                "follow" => {}
                "order_by" => {
                    let sign = if self.chance.one_in(2) { "-" } else { "" };
                    add(name, &format!("{sign}{}", self.chance.of(KEYS)));
                }
                "page" | "page_size" | "rev" | "from" | "to" | "id" => {
                    let number = *self.chance.of(&["1", "2", "0", "-1", "last", "7", "x", "99999"]);
                    add(name, number);
                }
                "path" => add(name, &self.path()),
                _ => add(name, &self.text()),
            }
        }
        query
    }

    fn schema(&self, schema: &Json) -> Json {
        match schema["$ref"].as_str() {
            Some(name) => {
                let name = name.rsplit('/').next().unwrap();
                self.document["components"]["schemas"][name].clone()
            }
            None => schema.clone(),
        }
    }

    /// A value that fits the schema, or, now and then, one that does not.
    fn value(&mut self, schema: &Json, depth: usize) -> Json {
        let schema = self.schema(schema);
        if self.chance.one_in(12) || depth > 5 {
            return self.anything(depth);
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.chance.of(words).clone();
        }
        let kind = match &schema["type"] {
            Json::Array(kinds) => self.chance.of(kinds).clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("string") => self.text().into(),
            Some("integer") => (self.chance.below(6) as i64 - 1).into(),
            Some("number") => json!(0.01 * self.chance.below(3) as f64),
            Some("boolean") => self.chance.one_in(2).into(),
            Some("null") => Json::Null,
            Some("array") => {
                let many = self.chance.below(3);
                (0..many).map(|_| self.value(&schema["items"], depth + 1)).collect()
            }
            Some("object") => Json::Object(self.object(&schema, depth)),
            _ => self.anything(depth),
        }
    }

    fn object(&mut self, schema: &Json, depth: usize) -> Map<String, Json> {
        let mut map = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if self.chance.one_in(4) {
                continue;
            }
            let value = match name.as_str() {
                "name" | "username" => (*self.chance.of(&["made", "a1", "x", "1x", ""])).into(),
                "type_object" => {
                    let types = ["Text", "Jobflow", "Channel", "Table", "Wiki", "AttachedFile"];
                    format!("/system/types/{}", self.chance.of(&types)).into()
                }
                "path" => self.path().into(),
                "method" => (*self.chance.of(&["POST", "PUT", "PATCH", "DELETE", "GET"])).into(),
                // A wait costs time and finds nothing.
                "timeout" => json!(*self.chance.of(&[0.0, 0.01, -1.0])),
                _ => self.value(schema, depth + 1),
            };
            map.insert(name.clone(), value);
        }
        if schema["properties"].is_null() {
            for _ in 0..self.chance.below(3) {
                let key = (*self.chance.of(KEYS)).to_owned();
                map.insert(key, self.anything(depth + 1));
            }
        }
        map
    }

    fn anything(&mut self, depth: usize) -> Json {
        match self.chance.below(if depth > 4 { 6 } else { 9 }) {
            0 => Json::Null,
            1 => true.into(),
            2 => i64::MIN.into(),
            3 => json!(1e308),
            4 | 5 => self.text().into(),
            6 => json!({"name": self.text(), "data": self.text()}),
            7 => (0..self.chance.below(3)).map(|_| self.anything(depth + 1)).collect(),
            _ => {
                let key = (*self.chance.of(KEYS)).to_owned();
                Json::Object(Map::from_iter([(key, self.anything(depth + 1))]))
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02X}");
        out
    })
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// Makes what is not there, or not there any more.
fn furnish(client: &Client) {
    if client.get("/p").status == 404 {
        client.create("/", "p", "Directory", json!({}));
    }
    for (name, kind, fields) in [
        ("text", "Text", json!({"text": "x", "ext": "txt", "contentType": "text/plain"})),
        ("flow", "Jobflow", json!({"source": "print('x')"})),
        ("channel", "Channel", json!({})),
        ("table", "Table", json!({"typeObject": "/system/types/Text"})),
        ("file", "AttachedFile", json!({"attached1": {"name": "f", "data": "eA=="}})),
        ("form", "Form", json!({})),
        ("wiki", "Wiki", json!({"wikitext": "= x ="})),
    ] {
        if client.get(&format!("/p/{name}")).status == 404 {
            client.create("/p", name, kind, fields);
        }
    }
}

fn begin(client: &Client) {
    furnish(client);
    let flow = json!({"name": "s", "job": "/p/flow", "hour": "1"});
    client.post("/scheduler", &flow).expect(201);
    client.post("/incident", &json!({"name": "i"})).expect(201);
    client.post("/p/flow.execute", &json!({})).expect(200);
}

// rule: http/errors, http/openapi
#[test]
fn no_request_ends_in_an_error_of_the_server() {
    let server = Server::start();
    let client = server.client();
    begin(&client);
    let document = client.get("/-/openapi.json").expect(200).json();
    let mut operations = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            let left_out =
                operation["operationId"].as_str().is_none_or(|name| LEFT_OUT.contains(&name));
            if !left_out {
                operations.push((path.clone(), verb.to_uppercase(), operation.clone()));
            }
        }
    }
    assert!(operations.len() > 60);
    let mut caller = Caller { chance: Chance(number("KOMPIRA_SEED", 1)), document };
    let mut seen = std::collections::BTreeMap::<u16, u64>::new();
    for call in 0..number("KOMPIRA_CALLS", 2000) {
        if call % 50 == 49 {
            furnish(&client);
        }
        let (path, verb, operation) = operations[caller.chance.below(operations.len())].clone();
        let url = caller.url(&path) + &caller.query(&operation);
        let content = &operation["requestBody"]["content"];
        let (kind, body) = if content["application/json"].is_object() {
            let schema = content["application/json"]["schema"].clone();
            let mut body = caller.value(&schema, 0).to_string().into_bytes();
            if caller.chance.one_in(30) {
                body.truncate(body.len() / 2);
            }
            ("application/json", body)
        } else {
            ("application/octet-stream", caller.text().into_bytes())
        };
        let what = || format!("call {call}: {verb} {url} {}", String::from_utf8_lossy(&body));
        let reply = client.send(&verb, &url, &[("Content-Type", kind)], &body);
        assert!(reply.status < 500, "{}: {} {}", what(), reply.status, reply.text());
        if reply.status < 300 {
            let documented = &operation["responses"][reply.status.to_string()];
            assert!(documented.is_object(), "{} is not described: {}", reply.status, what());
        } else {
            assert!(reply.json().is_object(), "{}: {}", what(), reply.text());
        }
        *seen.entry(reply.status).or_default() += 1;
    }
    println!("{seen:?}");
    assert!(seen[&200] > 0 && seen[&400] > 0 && seen[&404] > 0);
    client.get("/-/health").expect(200);
    assert_eq!(server.client().get("/-/status").expect(200).json()["store"], "ok");
}
