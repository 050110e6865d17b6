//! Names and absolute paths of objects.

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::error::{Fault, Kind};
use crate::message;

/// Most characters of an object name. Source: object model, names.
pub const NAME_CHARS_MAX: usize = 128;
/// Most characters of an absolute path. Source: object model, names.
pub const PATH_CHARS_MAX: usize = 1024;

/// Whether `c` may stand in an object name or identifier (rule: `objects/names`).
#[must_use]
pub fn is_word_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    use GeneralCategory as G;
    matches!(
        c.general_category(),
        G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter
            | G::DecimalNumber
            | G::LetterNumber
            | G::OtherNumber
    )
}

/// A legal object name: an identifier in NFC of 1 to 128 characters. The root has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Normalises `text` to NFC and checks it.
    ///
    /// # Errors
    /// [`Kind::BadName`] or [`Kind::NameTooLong`].
    pub fn new(text: &str) -> Result<Self, Fault> {
        let text: String = if text.is_ascii() { text.to_owned() } else { text.nfc().collect() };
        let Some(first) = text.chars().next() else {
            return Err(Fault::new(Kind::BadName, message!("name.empty")));
        };
        if first.is_ascii_digit() {
            return Err(Fault::new(Kind::BadName, message!("name.digit_first", name = text)));
        }
        if let Some(bad) = text.chars().find(|&c| !is_word_char(c)) {
            return Err(Fault::new(
                Kind::BadName,
                message!("name.bad_char", name = text, char = bad.escape_debug()),
            ));
        }
        let count = text.chars().count();
        if count > NAME_CHARS_MAX {
            return Err(Fault::new(
                Kind::NameTooLong,
                message!("name.too_long", count = count, max = NAME_CHARS_MAX),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// An absolute path of legal names; `/` is the root. No trailing slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath(Arc<str>);

impl ObjectPath {
    /// The path `/`.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads an absolute path: no `//`, no `.` or `..`, no trailing slash but for the root.
    ///
    /// # Errors
    /// [`Kind::BadName`] or [`Kind::NameTooLong`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(Fault::new(Kind::BadName, message!("path.not_absolute", path = text)));
        };
        if rest.is_empty() {
            return Ok(Self::root());
        }
        let mut path = Self::root();
        for name in rest.split('/') {
            path = path.join(&Name::new(name)?)?;
        }
        Ok(path)
    }

    /// The path of a child.
    ///
    /// # Errors
    /// [`Kind::NameTooLong`] past 1,024 characters.
    pub fn join(&self, name: &Name) -> Result<Self, Fault> {
        let text = if self.is_root() { format!("/{name}") } else { format!("{}/{name}", self.0) };
        let count = text.chars().count();
        if count > PATH_CHARS_MAX {
            return Err(Fault::new(
                Kind::NameTooLong,
                message!("path.too_long", count = count, max = PATH_CHARS_MAX),
            ));
        }
        Ok(Self(text.into()))
    }

    /// Whether this is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The names from the root down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.names().next_back()
    }

    /// The container's path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (head, _) = self.0.rsplit_once('/').filter(|_| !self.is_root())?;
        Some(if head.is_empty() { Self::root() } else { Self(head.into()) })
    }

    /// Whether `self` is `other` or lies below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root()
            || self
                .0
                .strip_prefix(&*other.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: objects/names
    #[test]
    fn a_name_is_an_identifier_of_any_language() {
        for good in ["a", "_", "__x__", "if", "監視", "ー々", "１位", &"監".repeat(128)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "a.b", "a-b", "a b", "・", "a/b", "a\0", "~", "か\u{3099}\u{3099}"]
        {
            assert_eq!(Name::new(bad).map_err(|f| f.kind()), Err(Kind::BadName), "{bad}");
        }
        assert_eq!(
            Name::new(&"a".repeat(129)).map_err(|f| f.kind()),
            Err(Kind::NameTooLong),
            "one past the limit"
        );
    }

    // rule: objects/names
    #[test]
    fn a_name_is_normalised_to_nfc() {
        assert_eq!(Name::new("か\u{3099}").unwrap().as_str(), "が");
    }

    #[test]
    fn a_path_has_no_empty_and_no_dot_elements() {
        for bad in ["", "a", "//", "/a/", "/a//b", "/..", "/a/../b", "/."] {
            assert!(ObjectPath::parse(bad).is_err(), "{bad}");
        }
        let path = ObjectPath::parse("/a/b/c").unwrap();
        assert_eq!(path.name(), Some("c"));
        assert_eq!(path.parent().unwrap().as_str(), "/a/b");
        assert!(path.is_within(&ObjectPath::parse("/a/b").unwrap()));
        assert!(!path.is_within(&ObjectPath::parse("/a/bc").unwrap()));
        assert_eq!(ObjectPath::root().parent(), None);
    }
}
