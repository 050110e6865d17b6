//! Which form an answer takes: JSON or a page (rule: http/negotiation).

use axum::http::{HeaderMap, header};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// A page for a browser.
    Page,
    /// The client takes neither.
    Neither,
}

/// Chooses the form. `format` is the query's `format`; `by_token` says that a token or a local
/// command asks, for which `*/*` means JSON.
#[must_use]
pub fn choose(headers: &HeaderMap, format: Option<&str>, by_token: bool) -> Form {
    if format == Some("json") {
        return Form::Json;
    }
    let mut json: Option<f32> = None;
    let mut html: Option<f32> = None;
    let mut any: Option<f32> = None;
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            if kind.is_empty() {
                continue;
            }
            said = true;
            let q = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1.0), |q| q.trim().parse::<f32>().ok())
                .filter(|q| (0.0..=1.0).contains(q))
                .unwrap_or(0.0);
            let slot = match kind.as_str() {
                "application/json" | "application/*" => &mut json,
                "text/html" | "application/xhtml+xml" | "text/*" => &mut html,
                "*/*" => &mut any,
                _ => continue,
            };
            *slot = Some(slot.map_or(q, |old| old.max(q)));
        }
    }
    let takes = |q: Option<f32>| q.is_some_and(|q| q > 0.0);
    if takes(json) && json > html.filter(|&q| q > 0.0) {
        return Form::Json;
    }
    if takes(html) {
        return Form::Page;
    }
    match (said, takes(any)) {
        (false, _) | (true, true) if by_token => Form::Json,
        (false, _) | (true, true) => Form::Page,
        (true, false) => Form::Neither,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/negotiation
    #[test]
    fn json_wins_when_asked_for_and_a_browser_gets_a_page() {
        for (accept, format, by_token, form) in [
            (None, None, false, Form::Page),
            (None, None, true, Form::Json),
            (None, Some("json"), false, Form::Json),
            (Some("*/*"), None, false, Form::Page),
            (Some("*/*"), None, true, Form::Json),
            (Some("application/json"), None, false, Form::Json),
            (Some("application/*"), None, false, Form::Json),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), None, true, Form::Page),
            (Some("text/html;q=0.5, application/json"), None, false, Form::Json),
            (Some("text/html, application/json"), None, false, Form::Page),
            (Some("text/html;q=0, application/json;q=0.1"), None, false, Form::Json),
            (Some("image/png"), None, true, Form::Neither),
            (Some("image/png"), Some("json"), true, Form::Json),
            (Some("application/json;q=0"), None, true, Form::Neither),
            (Some("application/json;q=nonsense"), None, true, Form::Neither),
            (Some(",,;;"), None, true, Form::Json),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(choose(&headers, format, by_token), form, "{accept:?} {format:?}");
        }
    }
}
