//! Character encodings by the names jobflows use (rule: language/encodings).

use encoding_rs::Encoding;

/// How text becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Ascii,
    Latin1,
    Utf8Sig,
    /// With a byte order mark; little endian when writing.
    Utf16,
    Utf16Le,
    Utf16Be,
    Other(&'static Encoding),
}

fn find(name: &str) -> Option<Codec> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    Some(match name.as_str() {
        "ascii" | "us-ascii" => Codec::Ascii,
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" => Codec::Latin1,
        "utf-8-sig" => Codec::Utf8Sig,
        "utf-16" | "utf16" => Codec::Utf16,
        "utf-16-le" | "utf-16le" => Codec::Utf16Le,
        "utf-16-be" | "utf-16be" => Codec::Utf16Be,
        "cp932" | "ms932" | "mskanji" | "shiftjis" | "s-jis" => {
            Codec::Other(encoding_rs::SHIFT_JIS)
        }
        "eucjp" | "ujis" => Codec::Other(encoding_rs::EUC_JP),
        "iso2022-jp" | "iso2022jp" => Codec::Other(encoding_rs::ISO_2022_JP),
        other => match other.strip_prefix("cp") {
            Some(page) => {
                let label = format!("windows-{page}");
                Codec::Other(Encoding::for_label(label.as_bytes())?)
            }
            None => Codec::Other(Encoding::for_label(other.as_bytes())?),
        },
    })
}

/// Why nothing was converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// No such encoding.
    Unknown,
    /// The data does not fit the encoding.
    Data,
}

/// Bytes to text.
pub(super) fn decode(bytes: &[u8], name: &str) -> Result<String, Refused> {
    let text = match find(name).ok_or(Refused::Unknown)? {
        Codec::Ascii if bytes.is_ascii() => String::from_utf8(bytes.to_vec()).ok(),
        Codec::Ascii => None,
        Codec::Latin1 => Some(bytes.iter().copied().map(char::from).collect()),
        Codec::Utf8Sig => {
            let plain = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            String::from_utf8(plain.to_vec()).ok()
        }
        Codec::Utf16 => match bytes {
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            _ => utf16(bytes, u16::from_le_bytes),
        },
        Codec::Utf16Le => utf16(bytes, u16::from_le_bytes),
        Codec::Utf16Be => utf16(bytes, u16::from_be_bytes),
        Codec::Other(encoding) => encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned),
    };
    text.ok_or(Refused::Data)
}

fn utf16(bytes: &[u8], word: fn([u8; 2]) -> u16) -> Option<String> {
    let (words, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    char::decode_utf16(words.iter().map(|pair| word(*pair))).collect::<Result<_, _>>().ok()
}

/// Text to bytes.
pub(super) fn encode(text: &str, name: &str) -> Result<Vec<u8>, Refused> {
    let bytes = match find(name).ok_or(Refused::Unknown)? {
        Codec::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
        Codec::Latin1 => text.chars().map(|c| u8::try_from(c).ok()).collect(),
        Codec::Utf8Sig => Some([b"\xef\xbb\xbf", text.as_bytes()].concat()),
        Codec::Utf16 => {
            let marked = std::iter::once(0xfeff).chain(text.encode_utf16());
            Some(marked.flat_map(u16::to_le_bytes).collect())
        }
        Codec::Utf16Le => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Codec::Utf16Be => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Codec::Other(encoding) => {
            let (bytes, used, failed) = encoding.encode(text);
            // An encoding that only reads would be replaced by UTF-8.
            (!failed && used == encoding).then(|| bytes.into_owned())
        }
    };
    bytes.ok_or(Refused::Data)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: language/encodings
    #[test]
    fn text_comes_back_from_every_encoding() {
        for (name, text) in [
            ("utf-8", "a日本"),
            ("UTF_8", "é"),
            ("shift_jis", "日本"),
            ("cp932", "～①"),
            ("euc_jp", "日本"),
            ("iso2022_jp", "日本"),
            ("latin-1", "é\u{80}"),
            ("ascii", "a"),
            ("utf-16", "a😀"),
            ("utf-16-be", "a😀"),
            ("utf-8-sig", "x"),
            ("cp1252", "€"),
        ] {
            let bytes = encode(text, name).unwrap();
            assert_eq!(decode(&bytes, name).as_deref(), Ok(text), "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(decode(b"\xff", "utf-8"), Err(Refused::Data));
        assert_eq!(decode(b"\xe3", "ascii"), Err(Refused::Data));
        assert_eq!(decode(b"abc", "utf-16"), Err(Refused::Data));
        assert_eq!(encode("é", "ascii"), Err(Refused::Data));
        assert_eq!(encode("한", "shift_jis"), Err(Refused::Data));
        assert_eq!(encode("a", "klingon"), Err(Refused::Unknown));
    }
}
