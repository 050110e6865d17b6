//! What an IMAP server says: a line, with blocks of bytes between its parts.

use super::super::wire::{LINE_MAX, Wire, shown};
use super::super::{SAYS, Trouble};

/// Stands in the text where a block was.
const BLOCK: u8 = 0;

/// Blocks that are kept of one response: a mail is one, the others are of no interest.
const BLOCKS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Response {
    text: Vec<u8>,
    /// `None`: one that was too large.
    blocks: Vec<Option<Vec<u8>>>,
    cut: bool,
}

impl Response {
    pub(super) async fn read(wire: &mut Wire) -> Result<Self, Trouble> {
        let mut response = Self::default();
        let mut left = wire.most;
        loop {
            let line = wire.line().await?;
            response.cut |= line.cut;
            let room = LINE_MAX.saturating_sub(response.text.len());
            response.cut |= line.text.len() > room;
            // A zero byte cannot be sent, but for our own mark.
            let kept = line.text.iter().take(room).map(|&byte| byte.max(1));
            response.text.extend(kept);
            let Some(size) = announced(&line.tail) else { return Ok(response) };
            let keep = if response.blocks.len() < BLOCKS_MAX { left } else { 0 };
            let block = wire.block(size, keep).await?;
            left = left.saturating_sub(block.as_ref().map_or(0, Vec::len));
            if response.text.len() < LINE_MAX && response.blocks.len() < BLOCKS_MAX {
                let begin = response.text.iter().rposition(|&byte| byte == b'{');
                response.text.truncate(begin.unwrap_or(response.text.len()));
                response.text.push(BLOCK);
                response.blocks.push(block);
            }
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }

    /// The text after `+`, when the server waits for something.
    pub(super) fn challenge(&self) -> Option<&[u8]> {
        self.text.strip_prefix(b"+").map(<[u8]>::trim_ascii)
    }

    pub(super) fn is_bye(&self) -> bool {
        self.text.starts_with(b"* ") && self.words().nth(1) == Some(b"BYE")
    }

    /// How the command with this tag ended, if this says it.
    pub(super) fn end(&self, tag: &str, name: &str) -> Option<Result<(), Trouble>> {
        let rest = self.text.strip_prefix(tag.as_bytes())?.strip_prefix(b" ")?;
        let (word, why) = match rest.iter().position(u8::is_ascii_whitespace) {
            Some(at) => rest.split_at(at),
            None => (rest, &b""[..]),
        };
        let told = || format!("{name}: {SAYS}{}", shown(why));
        Some(match word.to_ascii_uppercase().as_slice() {
            b"OK" => Ok(()),
            b"NO" | b"BAD" => Err(Trouble::Refused(told())),
            _ => Err(Trouble::Broken(told())),
        })
    }

    /// The number of `* 12 EXISTS`.
    pub(super) fn count(&self, word: &str) -> Option<u32> {
        let mut words = self.words();
        let (star, count, kind) = (words.next()?, words.next()?, words.next()?);
        (star == b"*" && kind.eq_ignore_ascii_case(word.as_bytes())).then(|| number(count))?
    }

    /// The code between brackets, as in `* OK [UIDVALIDITY 3]`.
    fn bracket(&self) -> Option<&[u8]> {
        let begin = self.text.iter().position(|&byte| byte == b'[')?;
        let rest = self.text.get(begin + 1..)?;
        rest.get(..rest.iter().position(|&byte| byte == b']')?)
    }

    pub(super) fn code(&self, word: &str) -> Option<u32> {
        let mut words = self.bracket()?.split(u8::is_ascii_whitespace);
        let found = words.next()?.eq_ignore_ascii_case(word.as_bytes());
        found.then(|| number(words.next()?))?
    }

    pub(super) fn has_code(&self, word: &str) -> bool {
        let code = self.bracket().and_then(|code| code.split(u8::is_ascii_whitespace).next());
        code.is_some_and(|code| code.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Adds the numbers of `* SEARCH 2 84`; whether some were left out.
    pub(super) fn found(&self, into: &mut Vec<u32>, max: usize) -> bool {
        let mut words = self.words();
        if words.next() != Some(b"*")
            || !words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"SEARCH"))
        {
            return false;
        }
        let mut found: Vec<u32> = words.filter_map(number).collect();
        if self.cut {
            // It may be a part of one.
            found.pop();
        }
        let cut = self.cut || found.len() > max.saturating_sub(into.len());
        found.truncate(max.saturating_sub(into.len()));
        into.append(&mut found);
        cut
    }

    /// The inside of `* 1 FETCH (…)`.
    fn items(&self) -> Option<&[u8]> {
        let mut words = self.words();
        let (star, _, kind) = (words.next()?, words.next()?, words.next()?);
        if star != b"*" || !kind.eq_ignore_ascii_case(b"FETCH") {
            return None;
        }
        self.text.get(self.text.iter().position(|&byte| byte == b'(')? + 1..)
    }

    /// The number that follows a word of a FETCH.
    pub(super) fn item(&self, word: &str) -> Option<u32> {
        let items = self.items()?;
        let mut words = items.split(|byte| b" ()".contains(byte)).filter(|word| !word.is_empty());
        words.find(|found| found.eq_ignore_ascii_case(word.as_bytes()))?;
        number(words.next()?)
    }

    /// The mail of a FETCH; inside, `None` is one that is too large.
    pub(super) fn body(&mut self) -> Option<Option<Vec<u8>>> {
        const WORD: &[u8] = b"BODY[]";
        let items = self.items()?;
        let at = items.windows(WORD.len()).position(|part| part.eq_ignore_ascii_case(WORD))?;
        let (before, rest) = items.split_at(at);
        let rest = rest.get(WORD.len()..)?.trim_ascii_start();
        match rest.first()? {
            &BLOCK => {
                let place = before.iter().filter(|&&byte| byte == BLOCK).count();
                self.blocks.get_mut(place).map(std::mem::take)
            }
            b'"' => Some(Some(unquoted(rest.get(1..)?))),
            _ => rest.get(..3)?.eq_ignore_ascii_case(b"NIL").then(|| Some(Vec::new())),
        }
    }
}

fn number(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    out
}

/// The size of the block that follows a line which ends in `{123}`.
fn announced(tail: &[u8]) -> Option<usize> {
    let inside = tail.strip_suffix(b"}")?;
    let begin = inside.iter().rposition(|&byte| byte == b'{')?;
    let digits = inside.get(begin + 1..)?;
    let size = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    size.parse().ok()
}
