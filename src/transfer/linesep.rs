//! Line ends of representative text files, on their way out and in.

use std::borrow::Cow;

/// What line ends become (rule: `files/line-ends`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineSep {
    /// LF: also what `os_linesep` means here.
    Lf,
    /// CR LF: how imports store text unless told otherwise.
    Crlf,
    /// As they are.
    NoChange,
}

impl LineSep {
    /// Reads the option's word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "os_linesep" | "lf" => Some(Self::Lf),
            "crlf" => Some(Self::Crlf),
            "no_change" => Some(Self::NoChange),
            _ => None,
        }
    }

    /// Rewrites CR LF, LF and lone CR; adds no final line end and removes none.
    #[must_use]
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        let end = match self {
            Self::NoChange => return Cow::Borrowed(text),
            Self::Lf if !text.contains('\r') => return Cow::Borrowed(text),
            Self::Lf => "\n",
            Self::Crlf => "\r\n",
        };
        let mut out = String::with_capacity(text.len() + text.len() / 16);
        let mut rest = text;
        while let Some(at) = rest.find(['\r', '\n']) {
            let (line, tail) = rest.split_at(at);
            out.push_str(line);
            out.push_str(end);
            let length = if tail.starts_with("\r\n") { 2 } else { 1 };
            rest = tail.split_at(length).1;
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // rule: files/line-ends
    #[test]
    fn all_three_line_ends_are_recognised() {
        let mixed = "a\r\nb\nc\rd\r\r\n\n";
        assert_eq!(LineSep::Lf.apply(mixed), "a\nb\nc\nd\n\n\n");
        assert_eq!(LineSep::Crlf.apply(mixed), "a\r\nb\r\nc\r\nd\r\n\r\n\r\n");
        assert_eq!(LineSep::NoChange.apply(mixed), mixed);
        assert_eq!(LineSep::Crlf.apply("no end"), "no end");
    }

    proptest! {
        #[test]
        fn crlf_and_back_is_lf(text in "[a\r\n]{0,40}") {
            let lf = LineSep::Lf.apply(&text).into_owned();
            let crlf = LineSep::Crlf.apply(&text).into_owned();
            prop_assert_eq!(LineSep::Crlf.apply(&lf).into_owned(), crlf.as_str());
            prop_assert_eq!(LineSep::Lf.apply(&crlf).into_owned(), lf);
        }
    }
}
