//! Reading a path pattern (rule: `tree/glob`).

use kompira_schema::error::Fault;
use kompira_schema::message;
use kompira_schema::value::Value;

use crate::tree::query::test::bad;

/// Characters of a pattern.
const PATTERN_MAX: usize = 4096;
/// Elements of its path: no path of the tree has more.
const ELEMENTS_MAX: usize = 512;

/// A level of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    /// One level, by a pattern of its name.
    Name(String),
    /// Any number of levels, none too.
    Deep,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    /// Levels above the object; `None`: anywhere below the receiver.
    pub(super) path: Option<Vec<Element>>,
    pub(super) name: String,
    pub(super) type_name: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) attributes: Vec<(String, Value)>,
    pub(super) fields: Vec<(String, Value)>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Reads a pattern.
pub(super) fn parse(text: &str) -> Result<Parsed, Fault> {
    let count = text.chars().count();
    if count > PATTERN_MAX {
        return Err(bad(message!("glob.too_long", count = count, max = PATTERN_MAX)));
    }
    let mut reader = Reader { text, at: 0 };
    let mut parsed = Parsed::default();
    let mut path = Vec::new();
    let mut anchored = false;
    loop {
        let word = reader.word()?;
        if reader.take('/') {
            anchored = true;
            match word.as_str() {
                // A leading slash alone: the receiver itself.
                "" if path.is_empty() && reader.text[..reader.at].trim_start() == "/" => {}
                "" => return Err(reader.wrong()),
                "**" => path.push(Element::Deep),
                _ => path.push(Element::Name(word)),
            }
            if path.len() > ELEMENTS_MAX {
                return Err(bad(message!("glob.too_deep", max = ELEMENTS_MAX)));
            }
            continue;
        }
        parsed.name = word;
        break;
    }
    if parsed.name.is_empty() {
        return Err(reader.wrong());
    }
    parsed.path = anchored.then_some(path);
    if reader.take('.') {
        parsed.type_name = Some(reader.filled_word()?);
    }
    if reader.take('@') {
        parsed.owner = Some(reader.filled_word()?);
    }
    if reader.take('(') {
        parsed.attributes = reader.conditions(')')?;
    }
    if reader.take('[') {
        parsed.fields = reader.conditions(']')?;
    }
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.wrong());
    }
    Ok(parsed)
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn wrong(&self) -> Fault {
        let place = self.text.get(..self.at).unwrap_or_default().chars().count() + 1;
        bad(message!("glob.bad", place = place))
    }

    /// A pattern of one name: up to a separator. A bracket with `=` outside quotes begins
    /// conditions, any other is a class of characters.
    fn word(&mut self) -> Result<String, Fault> {
        self.blanks();
        let mut word = String::new();
        while let Some(next) = self.peek() {
            match next {
                '/' | '.' | '@' | '(' | ')' | ']' => break,
                '[' => {
                    let (group, conditions) = self.bracket()?;
                    if conditions {
                        break;
                    }
                    word.push_str(&group);
                    self.at += group.len();
                }
                _ if next.is_whitespace() => {
                    self.blanks();
                    break;
                }
                _ => {
                    word.push(next);
                    self.at += next.len_utf8();
                }
            }
        }
        Ok(word)
    }

    fn filled_word(&mut self) -> Result<String, Fault> {
        let word = self.word()?;
        if word.is_empty() { Err(self.wrong()) } else { Ok(word) }
    }

    /// The bracket group that begins here, and whether it holds conditions.
    fn bracket(&self) -> Result<(String, bool), Fault> {
        let mut group = String::new();
        let mut quote = None;
        let mut conditions = false;
        for (place, next) in self.rest().chars().enumerate() {
            group.push(next);
            match (quote, next) {
                (Some(open), _) if next == open => quote = None,
                (Some(_), _) => {}
                // Quotes are quotes in conditions alone.
                (None, '"' | '\'') if conditions => quote = Some(next),
                (None, '=') => conditions = true,
                // As in every glob, a bracket that comes first belongs to the class.
                (None, ']') if place > 1 && !(place == 2 && group.starts_with("[!")) => {
                    return Ok((group, conditions));
                }
                _ => {}
            }
        }
        Err(self.wrong())
    }

    fn conditions(&mut self, close: char) -> Result<Vec<(String, Value)>, Fault> {
        let mut found = Vec::new();
        loop {
            self.blanks();
            let rest = self.rest();
            let length = rest
                .find(|next: char| !(next.is_alphanumeric() || next == '_'))
                .unwrap_or(rest.len());
            let key = rest.get(..length).unwrap_or_default().to_owned();
            if key.is_empty() {
                return Err(self.wrong());
            }
            self.at += length;
            if !self.take('=') {
                return Err(self.wrong());
            }
            found.push((key, self.value()?));
            if self.take(close) {
                return Ok(found);
            }
            if !self.take(',') {
                return Err(self.wrong());
            }
        }
    }

    /// A quoted text (a backslash takes the next character as it is), a number, `true`, `false`.
    fn value(&mut self) -> Result<Value, Fault> {
        self.blanks();
        if let Some(quote) = self.peek().filter(|next| matches!(next, '"' | '\'')) {
            self.at += 1;
            let mut text = String::new();
            while let Some(next) = self.peek() {
                self.at += next.len_utf8();
                match next {
                    '\\' => {
                        let Some(escaped) = self.peek() else { break };
                        self.at += escaped.len_utf8();
                        text.push(escaped);
                    }
                    _ if next == quote => return Ok(Value::Str(text)),
                    _ => text.push(next),
                }
            }
            return Err(self.wrong());
        }
        let rest = self.rest();
        let length = rest
            .find(|next: char| next.is_whitespace() || matches!(next, ',' | ')' | ']'))
            .unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match (word.parse::<i64>(), word.parse::<f64>()) {
                (Ok(number), _) => Value::Int(number),
                (_, Ok(number)) if number.is_finite() => Value::Float(number),
                _ => return Err(self.wrong()),
            },
        };
        self.at += length;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> String {
        match parse(text) {
            Ok(p) => format!(
                "{:?} {} {:?} {:?} {:?} {:?}",
                p.path.map(|path| path
                    .into_iter()
                    .map(|element| match element {
                        Element::Name(name) => name,
                        Element::Deep => "**".into(),
                    })
                    .collect::<Vec<_>>()
                    .join("/")),
                p.name,
                p.type_name.unwrap_or_default(),
                p.owner.unwrap_or_default(),
                p.attributes,
                p.fields
            ),
            Err(fault) => fault.told().key.to_owned(),
        }
    }

    // rule: tree/glob
    #[test]
    fn each_part_of_a_pattern_is_read() {
        for (text, wanted) in [
            ("web*", r#"None web* "" "" [] []"#),
            ("a/b*", r#"Some("a") b* "" "" [] []"#),
            ("/b", r#"Some("") b "" "" [] []"#),
            ("/a/**/b?", r#"Some("a/**") b? "" "" [] []"#),
            ("*.Jobflow@root", r#"None * "Jobflow" "root" [] []"#),
            ("x[0-9][!a]", r#"None x[0-9][!a] "" "" [] []"#),
            (
                "*[source__contains='a]b', n=3]",
                r#"None * "" "" [] [("source__contains", Str("a]b")), ("n", Int(3))]"#,
            ),
            (
                "* . Text @ sato (display_name=\"x\\\"y\")\n [ ok = true ]",
                r#"None * "Text" "sato" [("display_name", Str("x\"y"))] [("ok", Bool(true))]"#,
            ),
            ("d[b1][f=-1.5]", r#"None d[b1] "" "" [] [("f", Float(-1.5))]"#),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
        for text in [
            "",
            "/",
            "a//b",
            "a/",
            "*.",
            "*@",
            "*()",
            "*[x=]",
            "*[x='a]",
            "[ab",
            "a b",
            "*[=1]",
            "*(a=1",
            "*(a=1 b=2)",
            "a]",
        ] {
            assert_eq!(words(text), "glob.bad", "{text}");
        }
        assert_eq!(words(&"x".repeat(5000)), "glob.too_long");
        assert_eq!(words(&"x/".repeat(600)), "glob.too_deep");
    }

    proptest! {
        // rule: tree/glob
        #[test]
        fn no_text_breaks_the_reader(text in "[a-z*?/.@()\\[\\]='\", \\\\!]{0,24}|\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
