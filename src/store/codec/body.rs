//! The body of an object: texts and fields.

use std::collections::BTreeSet;

use kompira_schema::id::BlobHash;
use kompira_schema::value::{Ref, Value};
use serde::{Deserialize, Serialize};

/// All of an object that its header does not hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// The display name.
    #[serde(default)]
    pub display_name: String,
    /// The description.
    #[serde(default)]
    pub description: String,
    /// Field name and value, in the order of the type; a missing field reads as its default.
    #[serde(default)]
    pub fields: Vec<(String, Value)>,
}

impl Body {
    /// The value of a field, if it is set.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// Sets a field, keeping its place.
    pub fn set_field(&mut self, name: &str, value: Value) {
        match self.fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }
}

/// The blobs that these values hold.
pub fn blobs_of<'a>(values: impl IntoIterator<Item = &'a Value>) -> BTreeSet<BlobHash> {
    let mut found = BTreeSet::new();
    walk(values, &mut |value| {
        if let Value::File(file) = value {
            found.insert(file.hash);
        }
    });
    found
}

/// What these values refer to.
pub fn references_of<'a>(values: impl IntoIterator<Item = &'a Value>) -> BTreeSet<Ref> {
    let mut found = BTreeSet::new();
    walk(values, &mut |value| {
        if let Value::Object(target) = value {
            found.insert(*target);
        }
    });
    found
}

/// Visits values and what they contain; an explicit stack, since values may be deep.
fn walk<'a>(values: impl IntoIterator<Item = &'a Value>, visit: &mut dyn FnMut(&Value)) {
    let mut stack: Vec<&Value> = values.into_iter().collect();
    while let Some(value) = stack.pop() {
        visit(value);
        match value {
            Value::Array(items) => stack.extend(items),
            Value::Dict(items) => stack.extend(items.values()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::{pack, unpack};
    use crate::store::kv::Family;
    use kompira_schema::id::ObjectId;
    use kompira_schema::value::FileValue;

    fn sample() -> Body {
        let file = FileValue { name: "a.bin".into(), size: 3, hash: BlobHash::of(b"abc") };
        Body {
            display_name: "表示名".into(),
            fields: vec![
                ("text".into(), Value::from("x\r\ny")),
                ("files".into(), Value::Array(vec![Value::File(file)])),
                ("ref".into(), Value::Object(Ref::Object(ObjectId(4)))),
                ("time".into(), Value::Datetime(jiff::Timestamp::UNIX_EPOCH)),
                ("span".into(), Value::Timedelta(jiff::SignedDuration::from_micros(-1_500))),
                ("big".into(), Value::Big("123456789012345678901234567890".parse().unwrap())),
                ("float".into(), Value::Float(0.1)),
                ("bytes".into(), Value::Bytes(vec![0, 255])),
            ],
            ..Body::default()
        }
    }

    #[test]
    fn a_body_reads_back() {
        let bytes = pack(Family::Body, b"k", &sample()).unwrap();
        assert_eq!(unpack::<Body>(Family::Body, b"k", &bytes).unwrap(), sample());
    }

    #[test]
    fn blobs_and_references_are_found_at_any_depth() {
        let body = sample();
        let values = || body.fields.iter().map(|(_, value)| value);
        assert_eq!(blobs_of(values()), BTreeSet::from([BlobHash::of(b"abc")]));
        assert_eq!(references_of(values()), BTreeSet::from([Ref::Object(ObjectId(4))]));
    }
}
