//! Qualifiers: what a converted value must satisfy at every door.

use core::net::Ipv4Addr;

use serde_json::Number;

use crate::error::{Message, Problem};
use crate::field::{Choices, Elem, Shape};
use crate::limits::{
    ATTACHMENT_MAX, ATTACHMENT_NAME_MAX, BINARY_MAX, ELEMENTS_MAX, KEY_CHARS_MAX, PROBLEMS_MAX,
    TEXT_MAX,
};
use crate::message;
use crate::types::FieldDef;
use crate::value::{FileValue, Value};

pub(super) fn field(def: &FieldDef, value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut tell = |at: String, message| {
        if problems.len() < PROBLEMS_MAX {
            problems.push(Problem { at, message });
        }
    };
    let name = &def.name;
    match (def.field_type.shape, value) {
        (_, Value::Null) => {
            if def.field_type.qualifiers.no_empty {
                tell(name.clone(), message!("field.empty"));
            }
        }
        (Shape::One(_), value) => {
            if let Some(message) = one(def, value) {
                tell(name.clone(), message);
            }
        }
        (Shape::Array(_), Value::Array(list)) => {
            if list.len() > ELEMENTS_MAX {
                tell(name.clone(), too_many(list.len()));
            }
            for (index, item) in list.iter().enumerate() {
                if let Some(message) = one(def, item) {
                    tell(format!("{name}[{index}]"), message);
                }
            }
        }
        (Shape::Dictionary(_), Value::Dict(dict)) => {
            if dict.len() > ELEMENTS_MAX {
                tell(name.clone(), too_many(dict.len()));
            }
            for (key, item) in dict {
                let chars = key.chars().count();
                if chars > KEY_CHARS_MAX {
                    let message =
                        message!("field.key_too_long", count = chars, max = KEY_CHARS_MAX);
                    tell(name.clone(), message);
                } else if let Some(message) = one(def, item) {
                    tell(format!("{name}[{key}]"), message);
                }
            }
        }
        (shape, other) => {
            let message = message!("field.wrong_kind", wanted = shape, found = other.type_name());
            tell(name.clone(), message);
        }
    }
    problems
}

fn too_many(count: usize) -> Message {
    message!("field.too_many_elements", count = count, max = ELEMENTS_MAX)
}

/// What is wrong with one value that is already of its element type.
fn one(def: &FieldDef, value: &Value) -> Option<Message> {
    let said = &def.field_type.qualifiers;
    match value {
        Value::Null => said.no_empty.then(|| message!("field.empty")),
        Value::Int(number) => range(def, number, |bound| match bound.as_i64() {
            Some(bound) => number.cmp(&bound),
            None => compare(*number as f64, bound),
        }),
        Value::Float(number) => range(def, number, |bound| compare(*number, bound)),
        Value::Bytes(bytes) => (bytes.len() > BINARY_MAX)
            .then(|| message!("field.too_large", size = bytes.len(), max = BINARY_MAX)),
        Value::File(file) => attachment(file),
        Value::Str(text) => {
            if text.len() > TEXT_MAX {
                return Some(message!("field.too_large", size = text.len(), max = TEXT_MAX));
            }
            if text.contains('\0') {
                return Some(message!("field.nul"));
            }
            if text.is_empty() {
                // Every qualifier but two accepts the empty text.
                let least = said.min_length.unwrap_or(0);
                return if said.no_empty {
                    Some(message!("field.empty"))
                } else {
                    (least > 0)
                        .then(|| message!("field.too_short", text = "", count = 0, min = least))
                };
            }
            string(def, text)
        }
        _ => None,
    }
}

fn compare(number: f64, bound: &Number) -> std::cmp::Ordering {
    number.total_cmp(&bound.as_f64().unwrap_or(number))
}

fn range(
    def: &FieldDef,
    number: impl std::fmt::Display,
    against: impl Fn(&Number) -> std::cmp::Ordering,
) -> Option<Message> {
    let said = &def.field_type.qualifiers;
    if let Some(min) = said.min_value.as_ref().filter(|min| against(min).is_lt()) {
        return Some(message!("field.too_small", number = number, min = min));
    }
    let max = said.max_value.as_ref().filter(|max| against(max).is_gt())?;
    Some(message!("field.too_big", number = number, max = max))
}

fn attachment(file: &FileValue) -> Option<Message> {
    if file.name.is_empty() || file.name.contains(['/', '\0']) {
        return Some(message!("file.bad_name", name = file.name.escape_debug()));
    }
    if file.name.len() > ATTACHMENT_NAME_MAX {
        let (size, max) = (file.name.len(), ATTACHMENT_NAME_MAX);
        return Some(message!("file.name_too_long", size = size, max = max));
    }
    (file.size > ATTACHMENT_MAX)
        .then(|| message!("field.too_large", size = file.size, max = ATTACHMENT_MAX))
}

fn string(def: &FieldDef, text: &str) -> Option<Message> {
    let said = &def.field_type.qualifiers;
    if def.forbidden.iter().any(|word| word == text) {
        return Some(message!("field.forbidden", text = brief(text)));
    }
    match def.field_type.elem() {
        Elem::String => {
            if said.min_length.is_some() || said.max_length.is_some() {
                let count = text.chars().count() as u64;
                if let Some(min) = said.min_length.filter(|&min| count < min) {
                    let text = brief(text);
                    return Some(message!(
                        "field.too_short",
                        text = text,
                        count = count,
                        min = min
                    ));
                }
                if let Some(max) = said.max_length.filter(|&max| count > max) {
                    let text = brief(text);
                    return Some(message!("field.too_long", text = text, count = count, max = max));
                }
            }
            let pattern = said.pattern.as_ref()?;
            match pattern.matches(text) {
                Some(true) => None,
                Some(false) => {
                    let pattern = pattern.as_str();
                    Some(message!("field.no_match", text = brief(text), pattern = pattern))
                }
                None => Some(message!("field.pattern_too_slow", pattern = pattern.as_str())),
            }
        }
        Elem::Enum => match &said.choices {
            Choices::Fixed(list) if !list.iter().any(|choice| choice.data == text) => {
                let list: Vec<_> =
                    list.iter().take(20).map(|choice| choice.data.as_str()).collect();
                Some(message!("field.not_a_choice", text = brief(text), choices = list.join(", ")))
            }
            _ => None,
        },
        Elem::IPAddress => text
            .parse::<Ipv4Addr>()
            .is_err()
            .then(|| message!("field.not_an_address", text = brief(text))),
        Elem::EMail => {
            (!is_email(text)).then(|| message!("field.not_an_email", text = brief(text)))
        }
        Elem::URL if said.allows_scheme("ssh") && is_scp_address(text) => None,
        Elem::URL => match scheme(text) {
            None => Some(message!("field.not_a_url", text = brief(text))),
            Some(scheme) => {
                let scheme = scheme.to_ascii_lowercase();
                (!said.allows_scheme(&scheme)).then(|| {
                    let schemes = said.scheme_list().join(", ");
                    message!("field.bad_scheme", text = brief(text), schemes = schemes)
                })
            }
        },
        _ => None,
    }
}

/// A value as a message shows it: its beginning, on one line.
pub(super) fn brief(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown.replace("\\'", "'").replace("\\\"", "\"")
}

/// `scheme` of `scheme:…` when the rest could be an address.
pub(super) fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let first = scheme.chars().next()?.is_ascii_alphabetic();
    let legal = scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let rest_legal = !rest.is_empty() && !rest.contains(|c: char| c.is_control() || c == ' ');
    (first && legal && rest_legal).then_some(scheme)
}

/// `user@host:path`, the short form of an `ssh` address.
fn is_scp_address(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
    };
    let plain = |c: char| !c.is_control() && c != ' ';
    word(user) && word(host) && !path.is_empty() && path.chars().all(plain)
}

/// `local@domain` as mail servers take it: a dotted local part (or a quoted one) of at most 64
/// characters, and a domain of labels.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let local_ok = match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => !quoted.contains(['"', '\\']) && !quoted.contains(char::is_control),
        None => local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let domain_ok = match literal {
        Some(address) => address.parse::<Ipv4Addr>().is_ok(),
        None => domain.len() <= 255 && domain.split('.').all(label),
    };
    !local.is_empty() && local.chars().count() <= 64 && local_ok && domain_ok
}
