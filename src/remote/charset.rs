//! Character codes of standard input, output and error.

use encoding_rs::{CoderResult, Decoder, Encoding};

/// A character code by the name an author gives it (`__encoding__`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// UTF-8.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);

    /// Finds a code by its name; names of the Python kind (`euc_jp`, `cp932`) are understood.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let plain = name.trim().to_ascii_lowercase().replace('_', "-");
        let label = match plain.as_str() {
            "" | "utf8" | "utf-8-sig" | "u8" => "utf-8",
            "cp932" | "ms932" | "mskanji" | "shiftjis" | "sjis" | "s-jis" => "shift_jis",
            "shift-jis" | "shift-jis-2004" => "shift_jis",
            "eucjp" | "ujis" | "u-jis" => "euc-jp",
            "euckr" | "cp949" => "euc-kr",
            "iso2022-jp" | "iso2022jp" => "iso-2022-jp",
            "cp936" => "gbk",
            "cp950" => "big5",
            "latin-1" | "latin1" | "l1" | "iso8859-1" => "iso-8859-1",
            "utf-16" | "utf16" | "utf-16-le" => "utf-16le",
            "utf-16-be" => "utf-16be",
            other => {
                if let Some(number) = other.strip_prefix("cp125") {
                    return Encoding::for_label(format!("windows-125{number}").as_bytes())
                        .map(Self);
                }
                other
            }
        };
        Encoding::for_label(label.as_bytes()).map(Self)
    }

    /// The name of the code, as standards write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Decodes the whole of an output; `None` when bytes do not fit the code. A byte order mark
    /// of UTF-8 or UTF-16 goes before the code (rule: `operations/output`).
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let (encoding, bytes) = match Encoding::for_bom(bytes) {
            Some((encoding, length)) => (encoding, bytes.get(length..).unwrap_or_default()),
            None => (self.0, bytes),
        };
        encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned)
    }

    /// Encodes text; `None` when a character has no place in the code.
    #[must_use]
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        // The encoding standard writes UTF-16 as UTF-8; commands that ask for it mean it.
        if self.0 == encoding_rs::UTF_16LE {
            return Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        if self.0 == encoding_rs::UTF_16BE {
            return Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
        let (bytes, _, failed) = self.0.encode(text);
        (!failed).then(|| bytes.into_owned())
    }

    /// Decodes piece by piece for showing: what does not fit becomes U+FFFD.
    #[must_use]
    pub fn stream(self) -> TextStream {
        TextStream(self.0.new_decoder())
    }
}

/// Text of an output that comes in pieces; a character may be torn between two.
pub struct TextStream(Decoder);

impl TextStream {
    /// Takes the next piece; `last` ends the stream.
    pub fn feed(&mut self, bytes: &[u8], last: bool) -> String {
        let mut text = String::with_capacity(bytes.len() + 16);
        let mut rest = bytes;
        loop {
            let (result, read, _) = self.0.decode_to_string(rest, &mut text, last);
            rest = rest.get(read..).unwrap_or_default();
            match result {
                CoderResult::InputEmpty => return text,
                CoderResult::OutputFull => text.reserve(rest.len() * 3 + 16),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_by_the_names_authors_use() {
        for (name, standard) in [
            ("utf-8", "UTF-8"),
            ("UTF8", "UTF-8"),
            ("cp932", "Shift_JIS"),
            ("shift_jis", "Shift_JIS"),
            ("euc_jp", "EUC-JP"),
            ("iso2022_jp", "ISO-2022-JP"),
            ("cp1252", "windows-1252"),
        ] {
            assert_eq!(Charset::find(name).map(Charset::name), Some(standard), "{name}");
        }
        assert_eq!(Charset::find("klingon"), None);
    }

    // rule: operations/output
    #[test]
    fn output_that_does_not_decode_is_told_and_shown_with_marks() {
        assert_eq!(Charset::UTF_8.decode(b"a\xffb"), None);
        assert_eq!(Charset::UTF_8.stream().feed(b"a\xffb", true), "a\u{fffd}b");
    }

    // rule: operations/output
    #[test]
    fn a_byte_order_mark_goes_before_the_code() {
        let sjis = Charset::find("cp932").unwrap();
        assert_eq!(sjis.decode(b"\xef\xbb\xbf\xe7\x9b\xa3").as_deref(), Some("監"));
    }

    #[test]
    fn a_character_torn_between_pieces_is_whole() {
        let mut stream = Charset::UTF_8.stream();
        assert_eq!(stream.feed(b"\xe7\x9b", false), "");
        assert_eq!(stream.feed(b"\xa3", false), "監");
    }

    #[test]
    fn text_that_has_no_place_in_the_code_is_refused() {
        let sjis = Charset::find("shift_jis").unwrap();
        assert_eq!(sjis.encode("監視").as_deref(), Some(&b"\x8a\xc4\x8e\x8b"[..]));
        assert_eq!(sjis.encode("😀"), None);
        assert_eq!(Charset::find("utf-16").unwrap().encode("a").as_deref(), Some(&b"a\0"[..]));
    }
}
