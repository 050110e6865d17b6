//! Texts for people, in English and Japanese.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::error::{Fault, Message, Problem};

#[cfg(test)]
mod tests;

/// A language of the product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// The language of a locale or `Accept-Language` text: Japanese when it is asked for before
    /// English, English otherwise. Weights (`;q=`) count, the order decides between equals.
    #[must_use]
    pub fn choose(text: &str) -> Self {
        let mut best = (Self::En, 0.0_f32);
        for part in text.split(',').take(32) {
            let mut pieces = part.split(';');
            let tag = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = pieces
                .find_map(|piece| piece.trim().strip_prefix("q=")?.trim().parse::<f32>().ok())
                .unwrap_or(1.0);
            let lang = match tag.split(['-', '_', '.']).next() {
                Some("ja") => Self::Ja,
                Some("en" | "c" | "posix" | "*") => Self::En,
                _ => continue,
            };
            if weight > best.1 {
                best = (lang, weight);
            }
        }
        best.0
    }

    /// `en` or `ja`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }
}

type Texts = HashMap<String, String>;

fn read(text: &'static str) -> Texts {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("catalogue: {error}"))
}

static EN: LazyLock<Texts> = LazyLock::new(|| read(include_str!("catalogue/en.yaml")));
static JA: LazyLock<Texts> = LazyLock::new(|| read(include_str!("catalogue/ja.yaml")));

/// All texts of a language by their keys, blanks not filled; a text that the language lacks is
/// English. In no order.
pub fn phrases(lang: Lang) -> impl Iterator<Item = (&'static str, &'static str)> {
    EN.iter().map(move |(key, text)| {
        let own = if lang == Lang::Ja { JA.get(key) } else { None };
        (key.as_str(), own.unwrap_or(text).as_str())
    })
}

/// The text of `message`: its `{blanks}` are filled, `{{` and `}}` are braces. A key that the
/// catalogue lacks (a test forbids it) shows as itself, with its arguments.
#[must_use]
pub fn render(message: &Message, lang: Lang) -> String {
    let text = match lang {
        Lang::Ja => JA.get(message.key).or_else(|| EN.get(message.key)),
        Lang::En => EN.get(message.key),
    };
    match text {
        Some(text) => fill(text, &message.args),
        None => {
            let args: Vec<_> =
                message.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if args.is_empty() {
                message.key.to_owned()
            } else {
                format!("{} ({})", message.key, args.join(", "))
            }
        }
    }
}

fn fill(text: &str, args: &[(&'static str, String)]) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        if let Some(tail) = after.strip_prefix("{{") {
            out.push('{');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix("}}") {
            out.push('}');
            rest = tail;
        } else if let Some((name, tail)) =
            after.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            if let Some((_, value)) = args.iter().find(|(arg, _)| *arg == name) {
                out.push_str(value);
            }
            rest = tail;
        } else {
            out.push_str(after);
            rest = "";
        }
    }
    out.push_str(rest);
    out
}

impl Message {
    /// The text for a person.
    #[must_use]
    pub fn text(&self, lang: Lang) -> String {
        render(self, lang)
    }
}

impl Problem {
    /// `field: what is wrong`.
    #[must_use]
    pub fn text(&self, lang: Lang) -> String {
        format!("{}: {}", self.at, self.message.text(lang))
    }
}

impl Fault {
    /// What the client is told: the message, then each problem, one line each.
    #[must_use]
    pub fn text(&self, lang: Lang) -> String {
        let mut out = self.told().text(lang);
        for problem in self.problems() {
            out.push('\n');
            out.push_str(&problem.text(lang));
        }
        out
    }
}
