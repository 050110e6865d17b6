//! The representative field and the file that holds it.

use crate::error::{Fault, Kind};
use crate::layout::yaml::{self, Node};
use crate::limits::{BINARY_MAX, TEXT_MAX};
use crate::message;
use crate::types::Format;
use crate::value::{Dict, Value};

/// The bytes of a file that shows `value` (rule: `files/content`): text as it is, bytes as they
/// are, a dictionary as canonical YAML. What is empty, null or absent is an empty file.
#[must_use]
pub fn to_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Str(text) => text.clone().into_bytes(),
        Value::Bytes(bytes) => bytes.clone(),
        Value::Null => Vec::new(),
        Value::Dict(dict) if dict.is_empty() => Vec::new(),
        other => yaml::emit(&Node::from(other)).into_bytes(),
    }
}

/// The value that the content of a file means; the field's own conversion comes after.
///
/// # Errors
/// [`Kind::Invalid`] for text that is not UTF-8 or holds NUL (with its line) and for YAML that is
/// no mapping; [`Kind::TooLarge`].
pub fn from_bytes(format: Format, bytes: Vec<u8>) -> Result<Value, Fault> {
    let max = if format == Format::Binary { BINARY_MAX } else { TEXT_MAX };
    if bytes.len() > max {
        let told = message!("field.too_large", size = bytes.len(), max = max);
        return Err(Fault::new(Kind::TooLarge, told));
    }
    match format {
        Format::Binary | Format::Directory => Ok(Value::Bytes(bytes)),
        Format::Text => text(bytes).map(Value::Str),
        Format::Yaml => match yaml::parse(&text(bytes)?)? {
            Node::Null => Ok(Value::Dict(Dict::new())),
            map @ Node::Map(_) => Ok(map.into()),
            _ => Err(Fault::new(Kind::Invalid, message!("content.not_a_map"))),
        },
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Fault> {
    let line_of =
        |bytes: &[u8], at: usize| bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        Fault::new(Kind::Invalid, message!("content.not_utf8", line = line))
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => {
            let line = line_of(text.as_bytes(), at);
            Err(Fault::new(Kind::Invalid, message!("content.nul", line = line)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: files/content
    #[test]
    fn a_text_is_its_file_byte_for_byte() {
        for text in ["", "a", "a\r\nb\n", "\u{feff}x", "日本\n\n"] {
            let value = from_bytes(Format::Text, text.into()).unwrap();
            assert_eq!(to_bytes(&value), text.as_bytes());
        }
        assert_eq!(to_bytes(&from_bytes(Format::Binary, vec![0, 255]).unwrap()), [0, 255]);
        assert_eq!(to_bytes(&Value::Null), b"");
    }

    // rule: files/content
    #[test]
    fn a_dictionary_is_a_yaml_mapping() {
        let written = "REGION: tokyo-2\nMAX_HOSTS: '24'\nBANNER: \"first line\\r\\nsecond line\"\n";
        let value = from_bytes(Format::Yaml, written.into()).unwrap();
        let Value::Dict(dict) = &value else { panic!("{value:?}") };
        assert_eq!(dict["BANNER"], Value::from("first line\r\nsecond line"));
        assert_eq!(to_bytes(&value), written.as_bytes());
        let empty = from_bytes(Format::Yaml, Vec::new()).unwrap();
        assert_eq!((&empty, to_bytes(&empty)), (&Value::Dict(Dict::new()), Vec::new()));
    }

    // rule: files/content
    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        let refused = |format, bytes: &[u8]| {
            let fault = from_bytes(format, bytes.to_vec()).unwrap_err();
            (
                fault.told().key,
                fault.told().args.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            refused(Format::Text, b"a\nb\xff\n"),
            ("content.not_utf8", vec!["2".to_owned()])
        );
        assert_eq!(refused(Format::Text, b"a\n\n\0"), ("content.nul", vec!["3".to_owned()]));
        assert_eq!(refused(Format::Yaml, b"- a\n").0, "content.not_a_map");
        assert_eq!(refused(Format::Yaml, b"a: [\n").0, "yaml.bad");
        let over = vec![b'x'; TEXT_MAX + 1];
        assert_eq!(from_bytes(Format::Text, over).unwrap_err().kind(), Kind::TooLarge);
        assert!(from_bytes(Format::Text, vec![b'x'; TEXT_MAX]).is_ok());
    }
}
