//! The description of the API as OpenAPI 3.1, made from the table (rule: http/openapi).

mod schemas;

use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use super::table::{Gives, Need, ROWS, Row, Takes, Verb};

/// The description; it is the same for every server of a version.
pub static DOCUMENT: LazyLock<Json> = LazyLock::new(document);

/// The text that is committed and answered.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", *DOCUMENT)
}

fn document() -> Json {
    let mut paths = Map::new();
    for row in ROWS {
        let mut entry = Map::new();
        let parameters = of_path(row.path);
        if !parameters.is_empty() {
            entry.insert("parameters".into(), parameters.into());
        }
        for verb in row.verbs {
            entry.insert(verb.act.word().to_lowercase(), operation(row, verb));
        }
        paths.insert(row.path.to_owned(), Json::Object(entry));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kompira-fs",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Objects are addressed by their path: {path} stands for one or more \
                names with slashes between them, and for nothing in the case of the root. \
                HEAD is taken wherever GET is, OPTIONS everywhere.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"tokenInUrl": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "Token KEY"},
                "tokenInUrl": {"type": "apiKey", "in": "query", "name": "token"},
                "session": {"type": "apiKey", "in": "cookie", "name": "kompira_session",
                    "description": "What changes something also needs X-CSRFToken."},
            },
            "schemas": schemas::all(),
        },
    })
}

/// The parameters that stand in braces.
fn of_path(path: &str) -> Vec<Json> {
    let mut found = Vec::new();
    for piece in path.split('{').skip(1) {
        let name = piece.split('}').next().unwrap_or_default();
        let schema = match name {
            "id" | "number" => json!({"type": "integer", "minimum": 0}),
            _ => json!({"type": "string"}),
        };
        found.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    found
}

fn operation(row: &Row, verb: &Verb) -> Json {
    let mut map = Map::new();
    map.insert("operationId".into(), verb.name.into());
    map.insert("summary".into(), verb.says.into());
    map.insert("tags".into(), json!([row.tag]));
    map.insert("x-needs".into(), needs(verb.need).into());
    if verb.need == Need::Nobody {
        map.insert("security".into(), json!([]));
    }
    let mut parameters: Vec<Json> = verb.query.iter().map(|name| of_query(name)).collect();
    // What pages and orders also filters.
    if verb.query.contains(&"order_by") {
        parameters.push(json!({
            "name": "filters", "in": "query", "style": "form", "explode": true,
            "description": "ATTRIBUTE, ATTRIBUTE__LOOKUP, field:NAME, field:NAME__LOOKUP",
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        }));
    }
    if !parameters.is_empty() {
        map.insert("parameters".into(), parameters.into());
    }
    if let Some((content, required)) = takes(verb.takes) {
        map.insert("requestBody".into(), json!({"required": required, "content": content}));
    }
    map.insert("responses".into(), responses(row, verb));
    Json::Object(map)
}

fn needs(need: Need) -> &'static str {
    match need {
        Need::Nobody => "nothing",
        Need::Login => "login",
        Need::Right(right) => right,
        Need::Privilege => "privilege",
        Need::Owner => "private socket",
    }
}

fn of_query(name: &str) -> Json {
    let schema = match name {
        "attrs" => json!({"type": "array", "items": {"type": "string"}}),
        "page_size" => json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 25}),
        "from" | "rev" | "to" | "id" => json!({"type": "integer", "minimum": 0}),
        "follow" | "explain" => json!({"type": "boolean"}),
        _ => json!({"type": "string"}),
    };
    json!({"name": name, "in": "query", "schema": schema})
}

fn takes(takes: Takes) -> Option<(Json, bool)> {
    Some(match takes {
        Takes::Nothing => return None,
        Takes::Json(name) => (json!({"application/json": {"schema": schemas::of(name)}}), true),
        Takes::MaybeJson(name) => {
            (json!({"application/json": {"schema": schemas::of(name)}}), false)
        }
        Takes::Bytes => (json!({"application/octet-stream": {"schema": {}}}), true),
    })
}

fn responses(row: &Row, verb: &Verb) -> Json {
    let mut map = Map::new();
    let mut good = Map::from_iter([("description".to_owned(), Json::from(verb.says))]);
    let content = match verb.gives {
        Gives::Nothing => None,
        Gives::Json(name) => Some(json!({"application/json": {"schema": schemas::of(name)}})),
        Gives::List(name) => Some(json!({"application/json": {"schema": schemas::list(name)}})),
        Gives::Bytes(kind) => Some(json!({kind: {"schema": {}}})),
    };
    if let Some(content) = content {
        good.insert("content".into(), content);
    }
    map.insert(verb.status.to_string(), Json::Object(good));
    let mut failures = vec![(429, "Too many requests"), (503, "Overloaded or going down")];
    if verb.need != Need::Nobody {
        failures.push((401, "Not logged in"));
    }
    if !matches!(verb.need, Need::Nobody | Need::Login) {
        failures.push((403, "Not permitted"));
    }
    if row.path.contains('{') {
        failures.push((404, "There is no such thing"));
    }
    if verb.takes != Takes::Nothing || !verb.query.is_empty() {
        failures.push((400, "What was sent is wrong; by field"));
    }
    if verb.takes != Takes::Nothing {
        failures.push((413, "The body is too large"));
    }
    failures.sort_unstable();
    for (status, text) in failures {
        let schema = schemas::of("Failure");
        map.insert(
            status.to_string(),
            json!({"description": text, "content": {"application/json": {"schema": schema}}}),
        );
    }
    Json::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed description. `KOMPIRA_BLESS=1` writes it anew.
    // rule: http/openapi
    #[test]
    fn the_committed_description_is_of_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        if std::env::var_os("KOMPIRA_BLESS").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == text(),
            "docs/openapi.json is not current: run this test with KOMPIRA_BLESS=1"
        );
    }

    // rule: http/openapi
    #[test]
    fn every_schema_that_is_named_is_there_and_used() {
        let text = text();
        let mut named: Vec<&str> = text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        named.sort_unstable();
        named.dedup();
        let schemas = schemas::all();
        let mut defined: Vec<&str> =
            schemas.as_object().unwrap().keys().map(String::as_str).collect();
        defined.sort_unstable();
        assert_eq!(named, defined);
    }
}
