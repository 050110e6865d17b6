//! `urlopen` (rule: `language/urlopen`).

use std::path::Path;

use kompira_schema::value::{Dict, Value};

use super::arguments::{Args, json, pairs};
use super::{Around, Job, Refusal, Run, done, failed};
use crate::engine::vm::request::Outcome;
use crate::remote::web::{self, Body, Part, RESPONSE_BYTES_MAX, Request, Response};

/// Most bytes of files that one request sends: as many as may come back.
const FILES_BYTES_MAX: usize = RESPONSE_BYTES_MAX;

pub(super) fn prepare(args: &Args<'_>) -> Result<Job, Refusal> {
    let (request, fields, files) = read(args).map_err(Refusal::Failed)?;
    let shown = format!("urlopen {} {}", request.method, request.url);
    let work = move |around: &Around| carry_out(around, request, fields, files);
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}

/// A file that is to be sent, before it is read.
enum Source {
    Data(Vec<u8>),
    Path(String),
    Blob(kompira_schema::value::FileValue),
}

/// Field, file name and content.
type Files = Vec<(String, String, Source)>;

/// Form fields that go with files.
type Fields = Vec<(String, String)>;

fn read(args: &Args<'_>) -> Result<(Request, Fields, Files), String> {
    let url = args.text("url")?.ok_or("urlopen(): 'url' cannot be null")?;
    let as_json = match args.text("encode")? {
        None => false,
        Some(word) if word == "json" => true,
        Some(word) => return Err(format!("urlopen(): encode cannot be '{word}'")),
    };
    let files = args.get("files").map(|given| files(args, given)).transpose()?.unwrap_or_default();
    if as_json && !files.is_empty() {
        return Err("urlopen(): files cannot be sent as JSON".to_owned());
    }
    let mut fields = Vec::new();
    let body = match args.get("data") {
        None => Body::Empty,
        Some(Value::Str(text)) => {
            let kind =
                if as_json { "application/json" } else { "application/x-www-form-urlencoded" };
            Body::Bytes(text.clone().into_bytes(), Some(kind.to_owned()))
        }
        Some(Value::Bytes(bytes)) => {
            Body::Bytes(bytes.clone(), as_json.then(|| "application/json".to_owned()))
        }
        Some(value @ (Value::Dict(_) | Value::Array(_))) if as_json => {
            Body::Bytes(json(value).into_bytes(), Some("application/json".to_owned()))
        }
        Some(Value::Dict(dict)) => {
            fields = pairs(dict);
            if files.is_empty() { form(&fields) } else { Body::Empty }
        }
        Some(other) => return Err(args.wrong("data", other)),
    };
    if !files.is_empty() && matches!(body, Body::Bytes(..)) {
        return Err("urlopen(): data beside files is a Dictionary".to_owned());
    }
    let method = match args.text("http_method")? {
        None if args.get("data").is_some() || !files.is_empty() => "POST".to_owned(),
        None => "GET".to_owned(),
        Some(method) => method.to_ascii_uppercase(),
    };
    if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "DELETE" | "HEAD") {
        return Err(format!("urlopen(): the method '{method}' is not supported"));
    }
    let login = match (args.text("user")?, args.text("password")?) {
        (None, None) => None,
        (user, password) => Some((user.unwrap_or_default(), password.unwrap_or_default())),
    };
    let _ = args.flag("quiet")?;
    let request = Request {
        method,
        url,
        params: args.pairs("params")?,
        headers: args.pairs("headers")?,
        cookies: args.pairs("cookies")?,
        login,
        body,
        timeout: args.seconds("timeout")?,
        verify: args.flag("verify")?,
        charset: args.text("charset")?,
        binary: args.flag("binary")?,
        proxies: args.pairs("proxies")?,
    };
    Ok((request, fields, files))
}

fn form(fields: &[(String, String)]) -> Body {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend([quoted(name), "=".to_owned(), quoted(value)]);
    }
    Body::Bytes(text.into_bytes(), Some("application/x-www-form-urlencoded".to_owned()))
}

/// A text inside a form: blanks are `+`.
fn quoted(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');
    utf8_percent_encode(text, KEPT).to_string().replace(' ', "+")
}

fn files(args: &Args<'_>, given: &Value) -> Result<Files, String> {
    let bad = || "urlopen(): files is a Dictionary, or an Array of [field, file]".to_owned();
    let mut all = Vec::new();
    match given {
        Value::Dict(dict) => {
            for (field, value) in dict {
                all.push(file(args, field, value)?);
            }
        }
        Value::Array(items) => {
            for item in items {
                let Value::Array(pair) = item else { return Err(bad()) };
                let [Value::Str(field), value] = pair.as_slice() else { return Err(bad()) };
                all.push(file(args, field, value)?);
            }
        }
        _ => return Err(bad()),
    }
    Ok(all)
}

fn file(args: &Args<'_>, field: &str, value: &Value) -> Result<(String, String, Source), String> {
    let data = |value: Option<&Value>| match value {
        Some(Value::Str(text)) => Ok(text.clone().into_bytes()),
        Some(Value::Bytes(bytes)) => Ok(bytes.clone()),
        _ => Err("urlopen(): a file is {name, data}, [name, data], a path or a File".to_owned()),
    };
    let (name, source) = match value {
        Value::Str(path) => {
            let name = Path::new(path).file_name().unwrap_or_default();
            (name.to_string_lossy().into_owned(), Source::Path(path.clone()))
        }
        Value::File(file) => (file.name.clone(), Source::Blob(file.clone())),
        Value::Dict(parts) => {
            let name = parts.get("name").map(super::arguments::text).unwrap_or_default();
            (name, Source::Data(data(parts.get("data"))?))
        }
        Value::Array(parts) => {
            let name = parts.first().map(super::arguments::text).unwrap_or_default();
            (name, Source::Data(data(parts.get(1))?))
        }
        other => return Err(args.wrong("files", other)),
    };
    Ok((field.to_owned(), name, source))
}

fn carry_out(
    around: &Around,
    mut request: Request,
    fields: Vec<(String, String)>,
    files: Files,
) -> Outcome {
    if !files.is_empty() {
        match load(around, files) {
            Ok(parts) => request.body = Body::Form(fields, parts),
            Err(message) => return failed(message),
        }
    }
    match around.wait(web::fetch(&request)) {
        Ok(response) => done(shown(response)),
        Err(message) => failed(message),
    }
}

fn load(around: &Around, files: Files) -> Result<Vec<Part>, String> {
    let mut left = FILES_BYTES_MAX;
    let mut parts = Vec::with_capacity(files.len());
    for (field, name, source) in files {
        let data = match source {
            Source::Data(data) => data,
            Source::Path(path) => {
                let size =
                    std::fs::metadata(&path).map_err(|error| format!("{path}: {error}"))?.len();
                if size > left as u64 {
                    return Err(too_large());
                }
                std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?
            }
            Source::Blob(file) => super::files::content(around, &file, left)?,
        };
        left = left.checked_sub(data.len()).ok_or_else(too_large)?;
        parts.push(Part { field, name, data });
    }
    Ok(parts)
}

fn too_large() -> String {
    format!("the files are longer than {} MB", FILES_BYTES_MAX >> 20)
}

fn shown(response: Response) -> Value {
    let words = |pairs: Vec<(String, String)>| -> Value {
        Value::Dict(pairs.into_iter().map(|(name, value)| (name, Value::Str(value))).collect())
    };
    let binary = response.text.is_none();
    let (text, encoding) = match response.text {
        Some((text, encoding)) => (text, Value::Str(encoding)),
        None => (String::new(), Value::Null),
    };
    let content = Value::Bytes(response.content);
    let body = if binary { content.clone() } else { Value::Str(text.clone()) };
    let history = response.history.into_iter().map(|(code, url)| {
        Value::Dict(Dict::from_iter([
            ("code".to_owned(), Value::Int(code.into())),
            ("url".to_owned(), Value::Str(url)),
        ]))
    });
    let entries = [
        ("url", Value::Str(response.url)),
        ("name", Value::Null),
        ("code", Value::Int(response.code.into())),
        ("version", Value::Int(response.version.into())),
        ("text", Value::Str(text)),
        ("content", content),
        ("body", body),
        ("encoding", encoding),
        ("headers", words(response.headers)),
        ("cookies", words(response.cookies)),
        ("history", Value::Array(history.collect())),
        ("binary", Value::Bool(binary)),
    ];
    Value::Dict(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
