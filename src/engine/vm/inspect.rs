//! What a machine holds, in short texts for people (rule: `operations/trace`).

use super::machine::{Machine, linked};
use super::value::Value;

/// Characters of a value that is shown.
const SHOWN_MAX: usize = 200;
/// Elements of a container that are shown.
const ELEMENTS_MAX: usize = 8;
/// Containers inside each other that are shown.
const DEPTH_MAX: usize = 3;

/// The topmost frame, as a person looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Jobflows that are called, itself included.
    pub depth: usize,
    /// `$STATUS`
    pub status: String,
    /// `$RESULT`
    pub result: String,
    /// `$ERROR`
    pub error: String,
    /// Variables that have a value, in the order of their registers.
    pub variables: Vec<(String, String)>,
}

impl Machine {
    /// Looks at the topmost frame.
    #[must_use]
    pub fn look(&self) -> Look {
        let Some(frame) = self.frames.last() else { return Look::default() };
        let unit = linked(&self.programs, frame.program);
        let held = |register: usize| {
            self.stack.get(frame.base as usize + register).copied().unwrap_or_default()
        };
        let variables = unit.program.variables.iter().filter_map(|(register, name)| {
            let value = held(*register as usize);
            (!value.is_absent()).then(|| (name.to_string(), self.sketch(value)))
        });
        Look {
            depth: self.frames.len(),
            status: self.sketch(held(0)),
            result: self.sketch(held(1)),
            error: self.sketch(held(2)),
            variables: variables.collect(),
        }
    }

    fn sketch(&self, value: Value) -> String {
        let mut out = String::new();
        self.draw(&mut out, value, 0);
        match out.char_indices().nth(SHOWN_MAX) {
            Some((at, _)) => format!("{}…", out.get(..at).unwrap_or_default()),
            None => out,
        }
    }

    fn draw(&self, out: &mut String, value: Value, depth: usize) {
        let heap = &self.heap;
        if out.len() > SHOWN_MAX * 4 {
            return;
        }
        match value {
            Value::Absent | Value::Null => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if truth { "true" } else { "false" }),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Float(number) => out.push_str(&number.to_string()),
            Value::Str(_) => {
                let text = heap.as_str(value).unwrap_or_default();
                let head: String = text.chars().take(SHOWN_MAX).collect();
                out.push_str(&format!("{head:?}"));
            }
            Value::Array(_) => {
                let items = heap.as_array(value).unwrap_or_default();
                out.push('[');
                if depth < DEPTH_MAX {
                    for (at, item) in items.iter().take(ELEMENTS_MAX).enumerate() {
                        if at > 0 {
                            out.push_str(", ");
                        }
                        self.draw(out, *item, depth + 1);
                    }
                }
                if items.len() > ELEMENTS_MAX || (depth >= DEPTH_MAX && !items.is_empty()) {
                    out.push_str(&format!(", … {} in all", items.len()));
                }
                out.push(']');
            }
            Value::Dict(_) => {
                let Some(dict) = heap.as_dict(value) else { return };
                out.push('{');
                if depth < DEPTH_MAX {
                    for (at, (key, item)) in dict.iter().take(ELEMENTS_MAX).enumerate() {
                        if at > 0 {
                            out.push_str(", ");
                        }
                        self.draw(out, key, depth + 1);
                        out.push_str(": ");
                        self.draw(out, item, depth + 1);
                    }
                }
                let count = dict.iter().count();
                if count > ELEMENTS_MAX || (depth >= DEPTH_MAX && count > 0) {
                    out.push_str(&format!(", … {count} in all"));
                }
                out.push('}');
            }
            Value::Bytes(_) => {
                let count = heap.as_bytes(value).map_or(0, <[u8]>::len);
                out.push_str(&format!("Binary of {count} bytes"));
            }
            Value::Date(date) => out.push_str(&date.to_string()),
            Value::Time(time) => out.push_str(&time.to_string()),
            Value::Datetime(_) => {
                let at = heap.as_datetime(value).map(ToString::to_string);
                out.push_str(&at.unwrap_or_default());
            }
            Value::Big(_) => {
                let number = heap.as_integer(value).map(|number| number.to_string());
                out.push_str(&number.unwrap_or_default());
            }
            Value::Ref(kind, id) => out.push_str(&format!("{kind:?} {id}")),
            _ => out.push_str(value.kind().name()),
        }
    }
}
