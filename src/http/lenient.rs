//! Request bodies: JSON that may hold raw control characters inside its strings (documented).

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use serde_json::Value as Json;
use std::time::Duration;

use super::answer::Failure;

/// Most bytes of a JSON body. Attachments beyond it go through `.attachments`, which streams.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest silence of a client in the middle of its body.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Reads a JSON body; `None` when there is none.
///
/// # Errors
/// [`Failure::NotJson`] for another content type, `TooLarge`, `Timeout`, `BadRequest`.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Option<Json>, Failure> {
    let bytes = collect(headers, body, BODY_BYTES_MAX).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Failure::NotJson);
    }
    Ok(Some(parse(&bytes)?))
}

/// Reads a whole body of at most `most` bytes.
///
/// # Errors
/// `TooLarge`, `Timeout`, `BadRequest`.
pub async fn collect(headers: &HeaderMap, mut body: Body, most: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || Fault::new(Kind::TooLarge, message!("http.body_too_large", max = most));
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let said = said.and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
    if said > most {
        return Err(too_large().into());
    }
    let mut bytes = Vec::with_capacity(said.min(1 << 20));
    while let Some(frame) = next_frame(&mut body).await? {
        if bytes.len() + frame.len() > most {
            return Err(too_large().into());
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(bytes)
}

/// The next data of a body.
///
/// # Errors
/// `Timeout` after a silence of [`BODY_PAUSE_MAX`], `BadRequest` when the client breaks off.
pub async fn next_frame(body: &mut Body) -> Result<Option<axum::body::Bytes>, Failure> {
    loop {
        let frame = tokio::time::timeout(BODY_PAUSE_MAX, body.frame())
            .await
            .map_err(|_| Fault::new(Kind::Timeout, message!("http.body_slow")))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => {
                let fault = Fault::new(Kind::BadRequest, message!("http.body_broken"));
                return Err(fault.because(error).into());
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Parses JSON; control characters inside strings are taken as they are.
///
/// # Errors
/// `BadRequest` naming line and column.
pub fn parse(bytes: &[u8]) -> Result<Json, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bad = |error: serde_json::Error| {
        let fault = message!("http.bad_json", line = error.line(), column = error.column());
        Fault::new(Kind::BadRequest, fault).because(error)
    };
    match serde_json::from_slice(bytes) {
        Ok(json) => Ok(json),
        Err(first) => match escaped(bytes) {
            Some(escaped) => serde_json::from_slice(&escaped).map_err(bad),
            None => Err(bad(first)),
        },
    }
}

/// Escapes raw control characters inside strings; `None` when there are none.
fn escaped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let (mut inside, mut after_backslash, mut any) = (false, false, false);
    for &byte in bytes {
        if inside && byte < 0x20 {
            any = true;
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            after_backslash = false;
            continue;
        }
        match byte {
            b'"' if !after_backslash => inside = !inside,
            _ => {}
        }
        after_backslash = inside && byte == b'\\' && !after_backslash;
        out.push(byte);
    }
    any.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/bodies
    #[test]
    fn raw_control_characters_inside_strings_are_taken() {
        let json = parse(b"{\"a\": \"x\ny\tz\x01\", \"b\": \"\\\"\n\\\\\"}\n").unwrap();
        assert_eq!(json["a"], "x\ny\tz\u{1}");
        assert_eq!(json["b"], "\"\n\\");
    }

    // rule: http/bodies
    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(10_000);
        for bad in ["{", "{'a': 1}", "[1,]", "nul", "\"\u{1}", "{\"a\": 1} x", &deep] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().kind(), Kind::BadRequest, "{bad:.20}");
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().kind(), Kind::BadRequest);
    }
}
