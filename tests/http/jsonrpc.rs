//! `.jsonrpc` of safe libraries.

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

const SOURCE: &str = "import datetime\ndef add(a, b=1):\n    print('unheard')\n    return a + b\n\
    def fail():\n    raise ValueError('wrong')\ndef _hidden():\n    pass\n\
    def day():\n    return {'day': datetime.date(2024, 2, 29), 'bytes': b'abc'}\n";

fn call(method: &str, params: Json, id: Json) -> Json {
    json!({"jsonrpc": "2.0", "method": method, "params": params, "id": id})
}

fn code(answer: &Json) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

fn make(client: &Client, name: &str, kind: &str, source: &str) {
    let fields = json!({"libraryType": kind, "sourceText": source});
    client.create("/root", name, "Library", fields);
}

// rule: http/jsonrpc
#[test]
fn functions_of_a_safe_library_are_called_one_by_one_and_in_arrays() {
    let server = Server::start();
    let client = &server.client();
    make(client, "lib", "safe_source", SOURCE);
    let send = |body: &Json| client.post("/root/lib.jsonrpc", body).expect(200).json();
    let answer = send(&call("add", json!([1, 2]), json!(7)));
    assert_eq!(answer, json!({"jsonrpc": "2.0", "result": 3, "id": 7}));
    let answer = send(&call("add", json!({"a": "x", "b": "y"}), json!("n")));
    assert_eq!(answer, json!({"jsonrpc": "2.0", "result": "xy", "id": "n"}));
    let answer = send(&json!({"jsonrpc": "2.0", "method": "day", "id": null}));
    assert_eq!(answer["result"], json!({"day": "2024-02-29", "bytes": "YWJj"}));
    for (method, params, wanted) in [
        ("nothing", json!([]), -32601),
        ("_hidden", json!([]), -32601),
        ("datetime", json!([]), -32601),
        ("add", json!([]), -32602),
        ("add", json!([1, 2, 3]), -32602),
        ("add", json!({"c": 1}), -32602),
        ("fail", json!([]), -32000),
    ] {
        let answer = send(&call(method, params, json!(1)));
        assert_eq!(code(&answer), wanted, "{answer}");
        assert_eq!(answer["id"], 1);
    }
    let raised = send(&call("fail", json!([]), json!(1)));
    assert_eq!(raised["error"]["message"], "ValueError: wrong (/root/lib, line 6, in fail)");
    for wrong in [
        json!([]),
        json!(1),
        json!({"method": "add", "id": 1}),
        json!({"jsonrpc": "2.0", "method": 1, "id": 1}),
        json!({"jsonrpc": "2.0", "method": "add", "params": "x", "id": 1}),
        json!({"jsonrpc": "2.0", "method": "add", "params": [], "id": {}}),
        Json::Array(vec![call("add", json!([1]), json!(1)); 101]),
    ] {
        assert_eq!(code(&send(&wrong)), -32600, "{wrong}");
    }
    let kind = [("Content-Type", "application/json")];
    for text in ["{", "", "[1"] {
        let answer = client.send("POST", "/root/lib.jsonrpc", &kind, text.as_bytes());
        let answer = answer.expect(200).json();
        assert_eq!((code(&answer), &answer["id"]), (-32700, &Json::Null), "{text}");
    }
    let silent = json!({"jsonrpc": "2.0", "method": "add", "params": [1]});
    let many = send(&json!([
        call("add", json!([1]), json!(1)),
        silent,
        5,
        call("fail", json!([]), json!(2)),
    ]));
    assert_eq!(many[0], json!({"jsonrpc": "2.0", "result": 2, "id": 1}));
    assert_eq!((code(&many[1]), code(&many[2])), (-32600, -32000));
    assert_eq!((many[2]["id"].as_i64(), many.as_array().unwrap().len()), (Some(2), 3));
    assert_eq!(client.post("/root/lib.jsonrpc", &silent).expect(204).text(), "");
    client.post("/root/lib.jsonrpc", &json!([silent])).expect(204);
    let form = client.send("POST", "/root/lib.jsonrpc", &[("Content-Type", "text/plain")], b"{}");
    assert_eq!(form.status, 415);
}

// rule: http/jsonrpc
#[test]
fn only_safe_libraries_are_called_from_outside() {
    let server = Server::start();
    let client = &server.client();
    make(client, "open", "source", SOURCE);
    make(client, "broken", "safe_source", "import os\n");
    client.create("/root", "t", "Text", json!({"text": "x"}));
    let body = call("add", json!([1, 2]), json!(1));
    for path in ["/root/open", "/root/t", "/root", "/root/none"] {
        client.post(&format!("{path}.jsonrpc"), &body).expect(404);
    }
    let answer = client.post("/root/broken.jsonrpc", &body).expect(200).json();
    assert_eq!(code(&answer), -32000);
    let told = answer["error"]["message"].as_str().unwrap();
    assert!(told.contains("a safe library cannot import os"), "{told}");
    assert_eq!(client.get("/root/broken.jsonrpc").status, 405);
}
