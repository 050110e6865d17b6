//! Makes a record fit the tree it is imported into: references, principals, passwords, fields.

use std::collections::HashSet;

use kompira_schema::error::{Fault, Kind, Message};
use kompira_schema::field::Elem;
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::record::{Attachment, Carrier, Record};
use kompira_schema::types::{Access, TypeDef};
use kompira_schema::value::{Dict, Value};

use crate::secrets::Keys;
use crate::tree::View;

/// Where references of records point (rule: `files/references`).
pub(super) struct References<'a> {
    /// Target of the import.
    pub(super) origin: &'a ObjectPath,
    /// Paths of this import's objects below the origin, without leading `/`.
    pub(super) imported: &'a HashSet<String>,
}

impl References<'_> {
    /// The absolute path that a recorded reference means here.
    pub(super) fn absolute(&self, text: &str) -> String {
        let joined = |rest: &str| match self.origin.is_root() {
            true => format!("/{rest}"),
            false => format!("{}/{rest}", self.origin),
        };
        if text.starts_with("user:") || text.starts_with("group:") {
            return text.to_owned();
        }
        match text.strip_prefix('/') {
            None => joined(text),
            Some(rest) if !self.origin.is_root() && self.imported.contains(rest) => joined(rest),
            Some(_) => text.to_owned(),
        }
    }
}

/// An attachment that is to be stored after the record.
pub(super) struct Pending {
    pub(super) field: String,
    pub(super) at: At,
    pub(super) file: Attachment,
}

/// Which part of a field.
pub(super) enum At {
    Whole,
    Index(usize),
    Key(String),
}

/// Takes out of a record what the tree would refuse or must be done apart; what is lost is told.
pub(super) struct Fitting<'a> {
    pub(super) view: &'a View,
    pub(super) references: References<'a>,
    /// Keys that may open Password texts, the key in use first.
    pub(super) keys: &'a [&'a Keys],
    pub(super) warnings: Vec<Message>,
    pub(super) pending: Vec<Pending>,
}

impl Fitting<'_> {
    /// Fits the fields (and, for a Config, the data) of a record.
    pub(super) fn record(&mut self, record: &mut Record, def: &TypeDef) {
        self.principals(record);
        let fields = std::mem::take(&mut record.fields);
        record.fields = self.dict(fields, def);
        if let Some(data) = record.data.take() {
            let own = TypeDef::from_type_object("data", &record.fields);
            record.data = Some(self.dict(data, &own));
        }
    }

    fn principals(&mut self, record: &mut Record) {
        if let Some(entries) = &mut record.user_permissions {
            entries.retain(|name, _| {
                let known = self.view.user_by_name(name).is_some();
                if !known {
                    self.warnings.push(message!("import.unknown_user", name = name));
                }
                known
            });
        }
        if let Some(entries) = &mut record.group_permissions {
            entries.retain(|name, _| {
                let known = self.view.group_by_name(name).is_some();
                if !known {
                    self.warnings.push(message!("import.unknown_group", name = name));
                }
                known
            });
        }
    }

    fn dict(&mut self, fields: Dict, def: &TypeDef) -> Dict {
        let mut fitted = Dict::with_capacity(fields.len());
        for (name, value) in fields {
            let Some(field) = def.field(&name) else {
                self.warnings.push(message!("import.unknown_field", field = name));
                continue;
            };
            // Written by the server alone: compiled code, logs, tokens.
            if field.access == Access::System {
                continue;
            }
            let elem = field.field_type.shape.elem();
            if let Some(value) = self.value(&name, elem, value) {
                fitted.insert(name, value);
            }
        }
        fitted
    }

    /// `None`: the field is left as it is, or follows as an attachment.
    fn value(&mut self, field: &str, elem: Elem, value: Value) -> Option<Value> {
        match elem {
            Elem::Object => Some(self.each(value, &mut |me, item| me.reference(field, item))),
            Elem::Password => Some(self.each(value, &mut |me, item| me.password(field, item))),
            Elem::File => self.files(field, value),
            _ => Some(value),
        }
    }

    fn each(&mut self, value: Value, fit: &mut dyn FnMut(&mut Self, Value) -> Value) -> Value {
        match value {
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| fit(self, item)).collect())
            }
            // `{plain: …}` is one password, everything else a dictionary of them.
            Value::Dict(items) if !is_plain(&items) => {
                Value::Dict(items.into_iter().map(|(key, item)| (key, fit(self, item))).collect())
            }
            single => fit(self, single),
        }
    }

    fn reference(&mut self, field: &str, value: Value) -> Value {
        let Value::Str(text) = value else { return value };
        if text.is_empty() {
            return Value::Null;
        }
        let path = self.references.absolute(&text);
        let known = if let Some(name) = path.strip_prefix("user:") {
            self.view.user_by_name(name).is_some()
        } else if let Some(name) = path.strip_prefix("group:") {
            self.view.group_by_name(name).is_some()
        } else {
            ObjectPath::parse(&path).is_ok_and(|path| self.view.resolve(&path).is_ok())
        };
        if known {
            return Value::Str(path);
        }
        self.warnings.push(message!("import.dangling", field = field, path = path));
        Value::Null
    }

    fn password(&mut self, field: &str, value: Value) -> Value {
        let Value::Str(text) = &value else { return value };
        if !Keys::is_exported(text) {
            return value;
        }
        let opened = self.keys.iter().find_map(|keys| keys.import(text));
        match opened {
            // Marked as clear, since it may look like a ciphertext itself.
            Some(clear) => {
                Value::Dict(Dict::from_iter([("plain".to_owned(), Value::Str(clear.to_string()))]))
            }
            None => {
                let kid = text.split('$').nth(1).unwrap_or_default();
                self.warnings.push(message!("import.unknown_key", field = field, kid = kid));
                Value::Null
            }
        }
    }

    fn files(&mut self, field: &str, value: Value) -> Option<Value> {
        match value {
            Value::Null => Some(Value::Null),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.file(field, At::Index(index), item);
                }
                Some(Value::Array(Vec::new()))
            }
            Value::Dict(items) if !items.contains_key("name") => {
                for (key, item) in &items {
                    self.file(field, At::Key(key.clone()), item);
                }
                Some(Value::Dict(Dict::new()))
            }
            single => {
                self.file(field, At::Whole, &single);
                None
            }
        }
    }

    fn file(&mut self, field: &str, at: At, value: &Value) {
        match Attachment::from_value(value) {
            // The object's own file: its content comes with it.
            Ok(Attachment { carrier: Carrier::Here, .. }) => {}
            Ok(Attachment { carrier: Carrier::Omitted, name, .. }) => {
                self.warnings.push(message!("import.omitted", field = field, name = name));
            }
            Ok(file) => self.pending.push(Pending { field: field.to_owned(), at, file }),
            Err(told) => self.warnings.push(told),
        }
    }
}

fn is_plain(items: &Dict) -> bool {
    items.len() == 1 && items.contains_key("plain")
}

/// The failure for a type that is not in the tree.
pub(super) fn no_type(path: &str) -> Fault {
    Fault::new(Kind::NotFound, message!("import.no_type", path = path))
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: files/references
    #[test]
    fn references_follow_the_import() {
        let imported = HashSet::from(["home/sato/ops/prod_env".to_owned()]);
        let lab = ObjectPath::parse("/lab").unwrap();
        let references = References { origin: &lab, imported: &imported };
        for (recorded, here) in [
            ("ops/prod_env", "/lab/ops/prod_env"),
            ("/home/sato/ops/prod_env", "/lab/home/sato/ops/prod_env"),
            ("/system/types/Text", "/system/types/Text"),
            ("user:sato", "user:sato"),
        ] {
            assert_eq!(references.absolute(recorded), here);
        }
        let root = ObjectPath::root();
        let references = References { origin: &root, imported: &imported };
        assert_eq!(references.absolute("a/b"), "/a/b");
        assert_eq!(references.absolute("/a/b"), "/a/b");
    }
}
