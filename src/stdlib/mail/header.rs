//! Headers of mails.

use super::super::codec;
use super::transfer;

/// Most headers of one part, and longest value; the rest is dropped.
const HEADERS_MAX: usize = 1_000;
const VALUE_MAX: usize = 64 << 10;

/// Names and values, unfolded, and the body behind them.
pub(super) fn read(data: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, next) = rest.split_at(end);
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return (headers, next);
        }
        if text.starts_with([' ', '\t']) {
            if let Some((_, value)) =
                headers.last_mut().filter(|(_, value)| value.len() < VALUE_MAX)
            {
                value.push(' ');
                value.push_str(text.trim());
            }
        } else if let Some((name, value)) = text.split_once(':') {
            if headers.len() < HEADERS_MAX && !name.contains(' ') {
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        } else if !text.starts_with("From ") {
            // No header: the body begins without an empty line.
            return (headers, rest);
        }
        rest = next;
    }
    (headers, rest)
}

/// `value; name=text; name="text"`
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// In small letters.
    pub(super) value: String,
    all: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn read(text: &str) -> Self {
        let mut pieces = Vec::new();
        let (mut piece, mut quoted, mut escaped) = (String::new(), false, false);
        for c in text.chars() {
            match c {
                _ if escaped => {
                    piece.push(c);
                    escaped = false;
                }
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ';' if !quoted => pieces.push(std::mem::take(&mut piece)),
                c => piece.push(c),
            }
        }
        pieces.push(piece);
        let mut pieces = pieces.into_iter();
        let value = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
        let all = pieces
            .filter_map(|piece| {
                let (name, text) = piece.split_once('=')?;
                Some((name.trim().to_ascii_lowercase(), text.trim().to_owned()))
            })
            .collect();
        Self { value, all }
    }

    /// A parameter; `name*=charset'lang'%XX` and `name*0=… name*1=…` are put together (RFC 2231).
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let find =
            |wanted: &str| self.all.iter().find(|(key, _)| key == wanted).map(|(_, text)| text);
        if let Some(text) = find(name) {
            return Some(text.clone());
        }
        if let Some(text) = find(&format!("{name}*")) {
            return Some(extended(text));
        }
        let mut joined = String::new();
        let mut encoded = false;
        for index in 0..self.all.len() {
            match (find(&format!("{name}*{index}")), find(&format!("{name}*{index}*"))) {
                (Some(text), _) => joined.push_str(text),
                (None, Some(text)) => {
                    encoded = true;
                    joined.push_str(text);
                }
                (None, None) => break,
            }
        }
        if joined.is_empty() {
            return None;
        }
        Some(if encoded { extended(&joined) } else { joined })
    }
}

fn extended(text: &str) -> String {
    let mut parts = text.splitn(3, '\'');
    let (Some(charset), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return text.to_owned();
    };
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(rest).collect();
    let charset = if charset.is_empty() { "utf-8" } else { charset };
    codec::decode(&bytes, charset).unwrap_or_else(|_| text.to_owned())
}

/// Replaces `=?charset?B?…?=` and `=?charset?Q?…?=` (RFC 2047); blanks between two of them go.
pub(super) fn decode_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, behind) = rest.split_at(at);
        let Some((decoded, tail)) = word(behind) else {
            out.push_str(before);
            out.push_str("=?");
            rest = behind.get(2..).unwrap_or_default();
            after_word = false;
            continue;
        };
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&decoded);
        rest = tail;
        after_word = true;
    }
    out.push_str(rest);
    out
}

fn word(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix("=?")?;
    let (charset, inner) = inner.split_once('?')?;
    let (kind, inner) = inner.split_once('?')?;
    let (content, tail) = inner.split_once("?=")?;
    if content.contains(' ') {
        return None;
    }
    let bytes = match kind {
        "B" | "b" => transfer::decode(content.as_bytes(), "base64"),
        "Q" | "q" => transfer::decode(content.replace('_', " ").as_bytes(), "quoted-printable"),
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default();
    Some((codec::decode(&bytes, charset).ok()?, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: language/mail
    #[test]
    fn encoded_words_and_parameters_become_text() {
        assert_eq!(decode_words("=?utf-8?B?5pel5pys?= =?UTF-8?Q?=E8=AA=9E_a?= b"), "日本語 a b");
        assert_eq!(decode_words("a =?x?= b =?utf-8?Z?a?="), "a =?x?= b =?utf-8?Z?a?=");
        let found = Parameters::read("Attachment; filename*0=\"a;\"; filename*1=b; x=1");
        assert_eq!(
            (found.value.as_str(), found.get("filename")),
            ("attachment", Some("a;b".into()))
        );
        let found = Parameters::read("a; filename*=utf-8'ja'%E6%97%A5.txt");
        assert_eq!(found.get("filename"), Some("日.txt".into()));
        assert_eq!(found.get("name"), None);
    }
}
