//! Changes of sources.

use crate::lang::random::Dice;

/// What is put in: words, signs, halves of literals, characters of other scripts.
const PIECES: &[&str] = &[
    "and",
    "break",
    "case",
    "choice",
    "continue",
    "elif",
    "else",
    "false",
    "for",
    "fork",
    "if",
    "in",
    "not",
    "null",
    "or",
    "pfor",
    "session",
    "then",
    "true",
    "try",
    "while",
    "->",
    "=>",
    "->>",
    "=>>",
    ">>",
    "<<",
    "?",
    "??",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "<",
    ">",
    "|",
    ",",
    ":",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    "<=",
    ">=",
    "*",
    "**",
    "+",
    "-",
    "/",
    "%",
    ".",
    "..",
    "./",
    "../",
    "./a/b",
    "/",
    "'",
    "\"",
    "'''",
    "\"\"\"",
    "b'",
    "r'",
    "g'*'",
    "e'x'i",
    "r'(a+)+$'",
    "r'[",
    "\\",
    "\\x4",
    "$",
    "$$",
    "${",
    "${x}",
    "$RESULT",
    "$STATUS",
    "$OTHER",
    "'${$ERROR}'",
    "#",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\u{3000}",
    "\u{feff}",
    "\0",
    "結果",
    "・",
    "é",
    "👍",
    "1",
    "0",
    "007",
    "1.5",
    "1.",
    "1e5",
    "1.0e309",
    "99999999999999999999999",
    "9223372036854775807",
    "-9223372036854775808",
    "x",
    "y",
    "__host__",
    "__x__",
    "print(",
    "sleep(0)",
    "exit(",
    "return(",
    "abort(",
    "assert(",
    "self()",
    "detach()",
    "suspend()",
    "channel()",
    "now()",
    "current()",
    "int('1')",
    "float('1.5')",
    "string(",
    "length(",
    "range",
    "json_parse('[1, {\"a\": 2}]')",
    "json_dump(",
    "pattern('a', 'g')",
    "bytes(3)",
    "iprange('10.0.0.0/30')",
    "datetime('2024-01-01 00:00')",
    "timedelta(days=1)",
    "date('2024-01-01')",
    "'{:>5}'.format(1)",
    "'%a' % {a=1}",
    "mail_parse('A: b\\n\\nc')",
    "[x = 1]",
    "[]",
    "<>",
    "{ if x | [] }",
    "{ for i in 3 | [] }",
    "{ while false | [] }",
    "{ try | [] }",
    "{ fork | [] [] }",
    "{ pfor i in 2 | [] }",
    "{ case 1 | 1: [] }",
    "{ choice | <> -> [] }",
    "{ session s | [] }",
    "['ls']",
    "[./f: 1]",
    "|p|",
    "|p = 1|",
    ".split(',')",
    ".replace('a', 'b')",
    ".add_item(1)",
    ".get_keys()",
    "x.y",
    "x[0]",
    "x[-1]",
    "[a, b]",
    "{a=1}",
    "{'a': 1}",
    "*x",
    "**x",
];

const LENGTH_MAX: usize = 6_000;

/// A place between two characters.
fn place(dice: &mut Dice, text: &str) -> usize {
    let mut at = dice.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn range(dice: &mut Dice, text: &str) -> (usize, usize) {
    let start = place(dice, text);
    let mut end = (start + dice.below(40)).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    (start, end)
}

/// The source, changed in one to four places; `other` gives pieces.
pub(super) fn mutated(dice: &mut Dice, source: &str, other: &str) -> String {
    let mut text = source.to_owned();
    for _ in 0..=dice.below(4) {
        let at = place(dice, &text);
        match dice.below(9) {
            0..=2 => text.insert_str(at, dice.pick(PIECES)),
            3 => {
                let piece = std::format!(" {} ", dice.pick(PIECES));
                text.insert_str(at, &piece);
            }
            4 => {
                let (start, end) = range(dice, &text);
                text.replace_range(start..end, "");
            }
            5 => {
                let (start, end) = range(dice, other);
                text.insert_str(at, &other[start..end]);
            }
            6 => {
                let (start, end) = range(dice, &text);
                let piece = text[start..end].repeat(1 + dice.below(3));
                text.insert_str(at, &piece);
            }
            7 => {
                let cut = place(dice, other);
                text.truncate(at);
                text.push_str(&other[cut..]);
            }
            _ => {
                let (start, end) = range(dice, &text);
                let piece = dice.pick(PIECES);
                text.replace_range(start..end, piece);
            }
        }
        if text.len() > LENGTH_MAX {
            let mut cut = LENGTH_MAX;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            text.truncate(cut);
        }
    }
    text
}
