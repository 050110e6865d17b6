//! Bodies of mails.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be missing, and stray bits too: mails are sloppy.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Undoes a transfer encoding; what it cannot read stays as it is.
pub(super) fn decode(body: &[u8], encoding: &str) -> Vec<u8> {
    match encoding {
        "base64" => {
            let plain: Vec<u8> =
                body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            LENIENT.decode(&plain).unwrap_or_else(|_| body.to_vec())
        }
        "quoted-printable" => quoted_printable(body),
        _ => body.to_vec(),
    }
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'=' {
            out.push(*first);
            continue;
        }
        match behind {
            [b'\r', b'\n', tail @ ..] | [b'\n', tail @ ..] => rest = tail,
            [high, low, tail @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => out.push(b'='),
            },
            _ => out.push(b'='),
        }
    }
    out
}

/// The parts between lines of `--boundary`.
pub(super) fn pieces<'b>(body: &'b [u8], boundary: &str) -> Vec<&'b [u8]> {
    let mark = format!("--{boundary}");
    let mut pieces = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if let Some(tail) = line.strip_prefix(mark.as_bytes()) {
            let tail = tail.trim_ascii();
            if tail.is_empty() || tail == b"--" {
                if let Some(start) = start {
                    pieces.push(without_line_end(body.get(start..at).unwrap_or_default()));
                }
                start = tail.is_empty().then_some(at + line.len());
                if tail == b"--" {
                    break;
                }
            }
        }
        at += line.len();
    }
    if let Some(start) = start.filter(|start| *start < body.len()) {
        pieces.push(without_line_end(body.get(start..).unwrap_or_default()));
    }
    pieces
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(piece: &[u8]) -> &[u8] {
    let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
    piece.strip_suffix(b"\r").unwrap_or(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: language/mail
    #[test]
    fn encodings_are_undone_and_parts_found() {
        assert_eq!(decode(b"5pel\r\n5pys", "base64"), "日本".as_bytes());
        assert_eq!(decode(b"a=3D=\r\nb=E3=81=82=zz=", "quoted-printable"), "a=bあ=zz=".as_bytes());
        assert_eq!(decode(b"%%", "base64"), b"%%");
        let body = b"preface\r\n--x\r\none\r\n--xy\r\n--x\r\ntwo\r\n--x--\r\nrest";
        assert_eq!(pieces(body, "x"), [&b"one\r\n--xy"[..], b"two"]);
        assert_eq!(pieces(b"--x\nopen", "x"), [b"open"]);
    }
}
