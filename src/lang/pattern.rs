//! Patterns: `r'…'`, `g'…'`, `e'…'` (rule: `language/patterns`).

use std::sync::{Arc, OnceLock};

use fancy_regex::{Regex, RegexBuilder};

use super::ast::PatternKind;

/// Steps of backtracking one match may take; bounds what a bad expression can cost (about 0.1 s).
const BACKTRACK_MAX: usize = 1_000_000;
/// Memory one compiled expression may take.
const COMPILED_MAX: usize = 4 << 20;

/// A pattern as a value.
#[derive(Debug, Clone)]
pub struct Pattern {
    kind: PatternKind,
    ignore_case: bool,
    text: Arc<str>,
    regex: Arc<OnceLock<Result<Regex, String>>>,
}

/// A successful match of a regular expression; offsets are bytes of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where the match starts.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Each group after the first, `None` if it took no part.
    pub groups: Vec<Option<(usize, usize)>>,
    /// The named groups, in order.
    pub names: Vec<(String, usize)>,
}

/// What a match found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Nothing.
    No,
    /// A glob or exact pattern fits.
    Yes,
    /// A regular expression fits.
    Found(Found),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.ignore_case == other.ignore_case && self.text == other.text
    }
}

impl Pattern {
    /// A pattern; a regular expression is compiled at its first use or by [`Pattern::check`].
    #[must_use]
    pub fn new(kind: PatternKind, text: impl Into<Arc<str>>, ignore_case: bool) -> Self {
        Self { kind, ignore_case, text: text.into(), regex: Arc::default() }
    }

    /// How it matches.
    #[must_use]
    pub const fn kind(&self) -> PatternKind {
        self.kind
    }

    /// Whether case is ignored.
    #[must_use]
    pub const fn ignore_case(&self) -> bool {
        self.ignore_case
    }

    /// The text between the quotes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes it holds, roughly.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.text.len() * 8 + 128
    }

    /// The pattern as it would be written.
    #[must_use]
    pub fn literal(&self) -> String {
        let quote = if self.text.contains('\'') && !self.text.contains('"') { '"' } else { '\'' };
        let suffix = if self.ignore_case { "i" } else { "" };
        format!("{}{quote}{}{quote}{suffix}", self.kind.letter(), self.text)
    }

    /// Compiles a regular expression.
    ///
    /// # Errors
    /// Why it is none, for message `invalid pattern: REASON`.
    pub fn check(&self) -> Result<(), String> {
        match self.kind {
            PatternKind::Regex => self.compiled().map(|_| ()),
            PatternKind::Glob | PatternKind::Exact => Ok(()),
        }
    }

    fn compiled(&self) -> Result<&Regex, String> {
        self.regex
            .get_or_init(|| {
                RegexBuilder::new(&translate(&self.text))
                    .case_insensitive(self.ignore_case)
                    .backtrack_limit(BACKTRACK_MAX)
                    .delegate_size_limit(COMPILED_MAX)
                    .build()
                    .map_err(|error| reason(&error.to_string()))
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Matches text.
    ///
    /// # Errors
    /// The regular expression is invalid or takes too many steps on this text.
    pub fn find(&self, subject: &str) -> Result<Match, String> {
        let fits = match self.kind {
            PatternKind::Exact => equal(&self.text, subject, self.ignore_case),
            PatternKind::Glob => glob(&self.text, subject, self.ignore_case),
            PatternKind::Regex => {
                let regex = self.compiled()?;
                let captures =
                    regex.captures(subject).map_err(|error| reason(&error.to_string()))?;
                return Ok(captures.map_or(Match::No, |captures| {
                    let whole = captures.get(0).map_or((0, 0), |span| (span.start(), span.end()));
                    let groups = (1..captures.len())
                        .map(|index| captures.get(index).map(|span| (span.start(), span.end())))
                        .collect();
                    let names = regex
                        .capture_names()
                        .enumerate()
                        .filter_map(|(index, name)| name.map(|name| (name.to_owned(), index)))
                        .collect();
                    Match::Found(Found { start: whole.0, end: whole.1, groups, names })
                }));
            }
        };
        Ok(if fits { Match::Yes } else { Match::No })
    }

    /// Whether text fits.
    ///
    /// # Errors
    /// As [`Pattern::find`].
    pub fn fits(&self, subject: &str) -> Result<bool, String> {
        match self.kind {
            PatternKind::Regex => {
                self.compiled()?.is_match(subject).map_err(|error| reason(&error.to_string()))
            }
            PatternKind::Glob | PatternKind::Exact => Ok(self.find(subject)? != Match::No),
        }
    }
}

/// Rewrites what Python's `re` spells otherwise: `\Z`, and `$`, which also fits before a last newline.
fn translate(text: &str) -> String {
    // With inline flags the meaning of `$` may change midway; it is left alone then.
    let multiline = text.contains("(?") && {
        text.match_indices("(?").any(|(at, _)| {
            text[at + 2..].chars().take_while(char::is_ascii_lowercase).any(|flag| flag == 'm')
        })
    };
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut class = false;
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('Z') if !class => out.push_str("\\z"),
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                }
                None => out.push('\\'),
            },
            '[' if !class => {
                class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            // Python takes these literally within a class.
            '[' | '&' | '~' if class => {
                out.push('\\');
                out.push(char);
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '$' if !class && !multiline => out.push_str("(?=\\n?\\z)"),
            other => out.push(other),
        }
    }
    out
}

/// The last line of an error: the library draws the expression above it.
fn reason(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn fold(char: char) -> char {
    let mut lower = char.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) => single,
        _ => char,
    }
}

fn equal(pattern: &str, subject: &str, ignore_case: bool) -> bool {
    if ignore_case {
        pattern.chars().map(fold).eq(subject.chars().map(fold))
    } else {
        pattern == subject
    }
}

/// Whether the whole of `subject` fits a glob: `*`, `?`, `[seq]`, `[!seq]`, no escapes.
#[must_use]
pub fn glob(pattern: &str, subject: &str, ignore_case: bool) -> bool {
    let fold = |char| if ignore_case { fold(char) } else { char };
    let mut at = pattern.chars();
    let mut rest = subject.chars();
    // Where to go on if the present attempt fails: behind the last `*`, one character later.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut pattern_next = at.clone();
        let mut subject_next = rest.clone();
        let fits = match pattern_next.next() {
            None if rest.as_str().is_empty() => return true,
            None => false,
            Some('*') => {
                at = pattern_next;
                retry = Some((at.clone(), rest.clone()));
                continue;
            }
            Some('?') => subject_next.next().is_some(),
            Some('[') => match class(pattern_next.as_str()) {
                Some((negated, members, after)) => {
                    pattern_next = after.chars();
                    subject_next
                        .next()
                        .is_some_and(|char| member(members, fold(char), fold) != negated)
                }
                None => subject_next.next() == Some('['),
            },
            Some(char) => subject_next.next().is_some_and(|held| fold(held) == fold(char)),
        };
        if fits {
            at = pattern_next;
            rest = subject_next;
            continue;
        }
        let Some((pattern_at, subject_at)) = &mut retry else { return false };
        if subject_at.next().is_none() {
            return false;
        }
        at = pattern_at.clone();
        rest = subject_at.clone();
    }
}

/// Splits what follows `[`: negated, members, what follows `]`.
fn class(text: &str) -> Option<(bool, &str, &str)> {
    let (negated, body) = text.strip_prefix('!').map_or((false, text), |body| (true, body));
    let first = body.chars().next()?;
    // A bracket in first place is a member.
    let end = first.len_utf8() + body[first.len_utf8()..].find(']')?;
    if first == ']' || end > 0 { Some((negated, &body[..end], &body[end + 1..])) } else { None }
}

fn member(members: &str, char: char, fold: impl Fn(char) -> char) -> bool {
    let members: Vec<char> = members.chars().collect();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            if (fold(members[at])..=fold(members[at + 2])).contains(&char) {
                return true;
            }
            at += 3;
        } else {
            if fold(members[at]) == char {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(kind: PatternKind, text: &str, ignore_case: bool, subject: &str) -> bool {
        Pattern::new(kind, text, ignore_case).fits(subject).unwrap()
    }

    // rule: language/patterns
    #[test]
    fn a_glob_fits_the_whole_text() {
        for (glob, subject, expected) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "A.TXT", false),
            ("", "", true),
            ("*", "a/b\nc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[ab", "[ab", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("日?語", "日本語", true),
            ("a\\*", "a\\x", true),
        ] {
            assert_eq!(fits(PatternKind::Glob, glob, false, subject), expected, "{glob} {subject}");
        }
        assert!(fits(PatternKind::Glob, "*.txt", true, "A.TXT"));
        assert!(fits(PatternKind::Glob, "[A-C]É", true, "bé"));
    }

    // rule: language/patterns
    #[test]
    fn a_regular_expression_is_searched_anywhere_with_the_features_of_python() {
        for (regex, subject, expected) in [
            (r"\d+", "abc 42", true),
            (r"^abc$", "abc\n", true),
            (r"^abc\Z", "abc\n", false),
            (r"(\w)\1", "hello", true),
            (r"(?P<x>a)(?P=x)", "aa", true),
            (r"foo(?=bar)", "foobar", true),
            (r"(?<!foo)bar", "foobar", false),
            (r"a+?b", "aaab", true),
            (r"(?i)ABC", "abc", true),
            (r"[[]", "[", true),
            (r"[]a]", "]", true),
            (r"[$]", "$", true),
            (r"日.語", "x日本語", true),
            (r"(?m)^b$", "a\nb\nc", true),
        ] {
            assert_eq!(
                fits(PatternKind::Regex, regex, false, subject),
                expected,
                "{regex} {subject}"
            );
        }
    }

    #[test]
    fn a_bad_expression_and_an_endless_one_are_errors() {
        assert!(Pattern::new(PatternKind::Regex, "(a", false).check().is_err());
        let slow = Pattern::new(PatternKind::Regex, r"(x+x+)+(?=y)y\1", false);
        assert!(slow.fits(&"x".repeat(64)).is_err());
    }

    #[test]
    fn a_literal_reads_back() {
        assert_eq!(Pattern::new(PatternKind::Regex, r"a\d", true).literal(), r"r'a\d'i");
        assert_eq!(Pattern::new(PatternKind::Glob, "it's", false).literal(), "g\"it's\"");
    }
}
