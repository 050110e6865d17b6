//! Records as YAML files.

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Fault, Kind, Problem};
use crate::layout::yaml::{self, Node};
use crate::limits::PERMISSIONS_MAX;
use crate::message;
use crate::record::{GroupPermission, Record, UserPermission};
use crate::validate::time;
use crate::value::{Dict, Value};

#[cfg(test)]
mod tests;

/// Which keys a record file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    /// Display name, description, owner, permissions (the mount always has them).
    pub properties: bool,
    /// Times of creation and update.
    pub times: bool,
    /// The object's name: a display name equal to it is left out.
    pub name: &'a str,
    /// The representative field, which is a file of its own: left out of `fields`.
    pub representative: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// As the mount shows records: properties, no times.
    #[must_use]
    pub const fn mount(name: &'a str, representative: Option<&'a str>) -> Self {
        Self { properties: true, times: false, name, representative }
    }
}

/// The YAML text of a record (rule: `files/records`): keys in the documented order, permission
/// entries in theirs, whatever the order in `record`.
#[must_use]
pub fn to_yaml(record: &Record, options: &Options<'_>) -> String {
    yaml::emit(&to_node(record, options))
}

fn to_node(record: &Record, options: &Options<'_>) -> Node {
    let mut out = IndexMap::new();
    let mut put = |key: &str, node: Node| {
        out.insert(key.to_owned(), node);
    };
    let text = |text: &str| Node::Str(text.to_owned());
    if let Some(name) = &record.name {
        put("name", text(name));
    }
    put("type_object", text(&record.type_object));
    if options.properties {
        if let Some(label) = record.display_name.as_deref().filter(|label| *label != options.name) {
            put("display_name", text(label));
        }
        if let Some(description) = record.description.as_deref().filter(|text| !text.is_empty()) {
            put("description", text(description));
        }
        if let Some(owner) = &record.owner {
            put("owner", text(owner));
        }
        if let Some(entries) = &record.user_permissions {
            put("user_permissions", users(entries));
        }
        if let Some(entries) = &record.group_permissions {
            put("group_permissions", groups(entries));
        }
    }
    if options.times {
        for (key, at) in [("created", record.created), ("updated", record.updated)] {
            if let Some(at) = at {
                put(key, Node::Str(time::datetime_text(at)));
            }
        }
    }
    let fields =
        record.fields.iter().filter(|(name, _)| Some(name.as_str()) != options.representative);
    put("fields", Node::Map(fields.map(|(name, value)| (name.clone(), value.into())).collect()));
    if let Some(data) = &record.data {
        put(
            "data",
            Node::Map(data.iter().map(|(name, value)| (name.clone(), value.into())).collect()),
        );
    }
    for (key, value) in &record.extensions {
        put(key, value.into());
    }
    Node::Map(out)
}

fn flags(readable: bool, writable: bool, executable: bool) -> IndexMap<String, Node> {
    [("readable", readable), ("writable", writable), ("executable", executable)]
        .map(|(key, flag)| (key.to_owned(), Node::Bool(flag)))
        .into_iter()
        .collect()
}

fn users(entries: &IndexMap<String, UserPermission>) -> Node {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    Node::Map(
        sorted
            .into_iter()
            .map(|(name, p)| (name.clone(), Node::Map(flags(p.readable, p.writable, p.executable))))
            .collect(),
    )
}

fn groups(entries: &IndexMap<String, GroupPermission>) -> Node {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted
        .sort_by(|(a, left), (b, right)| right.priority.cmp(&left.priority).then_with(|| a.cmp(b)));
    Node::Map(
        sorted
            .into_iter()
            .map(|(name, p)| {
                let mut map = flags(p.readable, p.writable, p.executable);
                map.insert("priority".to_owned(), Node::Int(p.priority));
                (name.clone(), Node::Map(map))
            })
            .collect(),
    )
}

/// The record in a YAML text, and warnings (unknown keys).
///
/// # Errors
/// [`Kind::Invalid`] with the place: line and column, or the key.
pub fn from_yaml(text: &str) -> Result<(Record, Vec<Problem>), Fault> {
    from_node(yaml::parse(text)?)
}

/// As [`from_yaml`], from a document that is already read.
///
/// # Errors
/// [`Kind::Invalid`] with the keys.
pub fn from_node(node: Node) -> Result<(Record, Vec<Problem>), Fault> {
    let Node::Map(map) = node else {
        return Err(Fault::new(Kind::Invalid, message!("record.not_a_map")));
    };
    let mut reader =
        Reader { record: Record::default(), problems: Vec::new(), warnings: Vec::new() };
    let typed = map.contains_key("type_object");
    for (key, node) in map {
        reader.key(key, node);
    }
    if !typed {
        reader.problem("type_object", message!("record.no_type"));
    }
    if reader.problems.is_empty() {
        Ok((reader.record, reader.warnings))
    } else {
        Err(Fault::invalid(reader.problems))
    }
}

/// Whether a text is a whole record: a YAML map with a `type_object` (rule: `files/creation`).
#[must_use]
pub fn is_record(content: &[u8]) -> bool {
    std::str::from_utf8(content)
        .ok()
        .filter(|text| text.contains("type_object"))
        .and_then(|text| yaml::parse(text).ok())
        .is_some_and(|node| {
            matches!(&node, Node::Map(map) if matches!(map.get("type_object"), Some(Node::Str(_))))
        })
}

struct Reader {
    record: Record,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, at: &str, message: crate::error::Message) {
        self.problems.push(Problem { at: at.to_owned(), message });
    }

    fn key(&mut self, key: String, node: Node) {
        match key.as_str() {
            "path" => self.record.path = self.text(&key, node),
            "name" => self.record.name = self.text(&key, node),
            "type_object" => self.record.type_object = self.text(&key, node).unwrap_or_default(),
            "display_name" => self.record.display_name = self.text(&key, node),
            "description" => self.record.description = self.text(&key, node),
            "owner" => self.record.owner = self.text(&key, node),
            "user_permissions" => self.record.user_permissions = self.users(&key, node),
            "group_permissions" => self.record.group_permissions = self.groups(&key, node),
            "created" => self.record.created = self.time(&key, node),
            "updated" => self.record.updated = self.time(&key, node),
            "fields" => self.record.fields = self.dict(&key, node).unwrap_or_default(),
            "data" => self.record.data = self.dict(&key, node),
            "extra_properties" => self.record.extra_properties = self.dict(&key, node),
            _ if key.starts_with("x_") => {
                self.record.extensions.insert(key, node.into());
            }
            _ => self
                .warnings
                .push(Problem { message: message!("record.unknown_key", key = key), at: key }),
        }
    }

    /// A text; numbers and truth values as they are written, null is nothing.
    fn text(&mut self, at: &str, node: Node) -> Option<String> {
        match node {
            Node::Str(text) => Some(text),
            Node::Int(number) => Some(number.to_string()),
            Node::Null => None,
            _ => {
                self.problem(at, message!("record.not_text"));
                None
            }
        }
    }

    fn time(&mut self, at: &str, node: Node) -> Option<Timestamp> {
        let text = self.text(at, node)?;
        let read = time::parse_datetime(&text, &TimeZone::UTC);
        if read.is_none() {
            self.problem(at, message!("field.not_a_datetime", text = text));
        }
        read
    }

    fn dict(&mut self, at: &str, node: Node) -> Option<Dict> {
        match Value::from(node) {
            Value::Dict(dict) => Some(dict),
            Value::Null => None,
            _ => {
                self.problem(at, message!("record.not_a_map_at"));
                None
            }
        }
    }

    fn entries(&mut self, at: &str, node: Node) -> Option<IndexMap<String, Node>> {
        match node {
            Node::Map(map) if map.len() <= PERMISSIONS_MAX => Some(map),
            Node::Map(map) => {
                let (count, max) = (map.len(), PERMISSIONS_MAX);
                self.problem(at, message!("record.too_many_permissions", count = count, max = max));
                None
            }
            Node::Null => None,
            _ => {
                self.problem(at, message!("record.not_a_map_at"));
                None
            }
        }
    }

    fn users(&mut self, at: &str, node: Node) -> Option<IndexMap<String, UserPermission>> {
        let groups = self.groups(at, node)?;
        let users = groups.into_iter().map(|(name, p)| {
            let GroupPermission { readable, writable, executable, .. } = p;
            (name, UserPermission { readable, writable, executable })
        });
        Some(users.collect())
    }

    fn groups(&mut self, at: &str, node: Node) -> Option<IndexMap<String, GroupPermission>> {
        let mut out = IndexMap::new();
        for (name, node) in self.entries(at, node)? {
            let mut entry = GroupPermission::default();
            let here = format!("{at}[{name}]");
            for (flag, node) in self.entries(&here, node).unwrap_or_default() {
                let inner = format!("{here}.{flag}");
                match (flag.as_str(), node) {
                    ("readable", Node::Bool(truth)) => entry.readable = truth,
                    ("writable", Node::Bool(truth)) => entry.writable = truth,
                    ("executable", Node::Bool(truth)) => entry.executable = truth,
                    ("priority", Node::Int(number)) => entry.priority = number,
                    ("readable" | "writable" | "executable", _) => {
                        self.problem(&inner, message!("record.not_a_flag"));
                    }
                    ("priority", other) => {
                        let text = format!("{other:?}").chars().take(80).collect::<String>();
                        self.problem(&inner, message!("field.not_an_integer", text = text));
                    }
                    _ => self.warnings.push(Problem {
                        message: message!("record.unknown_key", key = flag),
                        at: inner,
                    }),
                }
            }
            out.insert(name, entry);
        }
        Some(out)
    }
}
