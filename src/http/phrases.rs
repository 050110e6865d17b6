//! `/.jsi18n.js`: the phrases of the product for scripts in a browser (rule: `http/phrases`).

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use kompira_schema::catalogue::{Lang, phrases};
use serde_json::{Map, Value as Json, json};

use super::route::Ask;

/// What a script calls: `gettext`, and `interpolate` for texts with blanks.
const FUNCTIONS: &str = include_str!("phrases.js");

static EN: LazyLock<Bytes> = LazyLock::new(|| text(Lang::En).into());
static JA: LazyLock<Bytes> = LazyLock::new(|| text(Lang::Ja).into());

/// The script in the language of `lang=`, else of `Accept-Language`.
pub(super) fn script(ask: &Ask) -> Response {
    let asked = ask.query.get("lang").map(str::to_owned);
    let header = || {
        let accepted = ask.headers.get(header::ACCEPT_LANGUAGE);
        accepted.and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let lang = Lang::choose(&asked.or_else(header).unwrap_or_default());
    let script = match lang {
        Lang::En => &EN,
        Lang::Ja => &JA,
    };
    let mut response = Body::from(Bytes::clone(script)).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CONTENT_LANGUAGE, lang.code()),
        (header::VARY, "Accept-Language"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The functions, with what they know put where they look for it.
fn text(lang: Lang) -> String {
    let english: Map<String, Json> =
        phrases(Lang::En).map(|(key, text)| (key.to_owned(), text.into())).collect();
    let mut texts = Map::new();
    for (key, text) in phrases(lang) {
        texts.insert(key.to_owned(), text.into());
        // Who has the English text finds it by that.
        if let Some(Json::String(source)) = english.get(key)
            && source != text
        {
            texts.insert(source.clone(), text.into());
        }
    }
    let told = json!({"language": lang.code(), "texts": texts}).to_string();
    // Inside a page `</script>` must not end the script.
    FUNCTIONS.replacen("CATALOGUE", &told.replace("</", "<\\/"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/phrases
    #[test]
    fn a_script_knows_every_phrase_by_its_key_and_by_its_english_text() {
        for lang in [Lang::En, Lang::Ja] {
            let text = text(lang);
            assert!(!text.contains("CATALOGUE") && !text.contains("</"), "{text}");
            let start = text.find('{').unwrap();
            let end = text.find(";\n").unwrap();
            let told: Json = serde_json::from_str(&text[start..end]).unwrap();
            assert_eq!(told["language"], lang.code());
            for (key, phrase) in phrases(lang) {
                assert_eq!(told["texts"][key], phrase, "{key}");
            }
            assert_eq!(told["texts"]["Hello"], Json::Null, "not made up");
        }
        let (key, own) = phrases(Lang::Ja).find(|(_, text)| !text.is_ascii()).unwrap();
        let english = phrases(Lang::En).find(|(found, _)| *found == key).unwrap().1;
        let by_english = format!("{}:{}", Json::from(english), Json::from(own));
        assert!(text(Lang::Ja).contains(&by_english.replace("</", "<\\/")), "{by_english}");
    }
}
