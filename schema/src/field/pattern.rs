//! The qualifier `pattern`.

use std::fmt;

use crate::error::{Fault, Kind};
use crate::limits::{PATTERN_SIZE_MAX, PATTERN_STEPS_MAX};
use crate::message;

/// A compiled `pattern`, bounded in size and steps.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: fancy_regex::Regex,
}

impl Pattern {
    /// Compiles `text` so that it matches whole values.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when it is no regular expression or too large.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let regex = fancy_regex::RegexBuilder::new(&format!("^(?:{text})\\z"))
            .backtrack_limit(PATTERN_STEPS_MAX)
            .delegate_size_limit(PATTERN_SIZE_MAX)
            .delegate_dfa_size_limit(PATTERN_SIZE_MAX)
            .build()
            .map_err(|error| {
                Fault::new(Kind::Invalid, message!("qualifier.bad_pattern", why = error))
            })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Whether the whole of `value` matches; `None` when that takes too many steps.
    #[must_use]
    pub fn matches(&self, value: &str) -> Option<bool> {
        self.regex.is_match(value).ok()
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
