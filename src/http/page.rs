//! What a browser sees until there are pages: the JSON, readable and escaped.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::lenient::BODY_BYTES_MAX;
use super::route::Answer;
use kompira_schema::error::Fault;

/// Wraps a JSON answer as a page; other answers stay as they are.
pub(super) async fn of(response: Response) -> Answer {
    let json = response.headers().get(header::CONTENT_TYPE);
    if json.is_none_or(|kind| kind != "application/json") {
        return Ok(response);
    }
    let (mut head, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(Fault::internal)?;
    let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(Fault::internal)?;
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>kompira</title>\
         <style>body{{font:14px/1.5 monospace;margin:2em}}</style><pre>{}</pre>\n",
        escaped(&format!("{json:#}"))
    );
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(Response::from_parts(head, Body::from(page)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/negotiation
    #[tokio::test]
    async fn nothing_stored_becomes_markup() {
        let json = serde_json::json!({"display_name": "<script>alert(1)</script>&"});
        let page = of(super::super::answer::json(axum::http::StatusCode::OK, &json)).await.unwrap();
        let bytes = axum::body::to_bytes(page.into_body(), 1 << 16).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;"), "{text}");
        assert!(!text.contains("<script"), "{text}");
    }
}
