//! The safe reader.

use std::cell::Cell;
use std::fmt;

use indexmap::IndexMap;
use indexmap::map::Entry;
use num_bigint::BigInt;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Node;
use crate::error::{Fault, Kind};
use crate::limits::{RECORD_DEPTH_MAX, RECORD_MAX, RECORD_NODES_MAX};
use crate::message;

pub(super) fn document(text: &str) -> Result<Node, Fault> {
    if text.len() > RECORD_MAX {
        return Err(Fault::new(
            Kind::TooLarge,
            message!("yaml.too_large", size = text.len(), max = RECORD_MAX),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The reader beneath ends at NUL on some paths; YAML forbids it anyway.
    if let Some(at) = text.find('\0') {
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        return Err(bad(line, column, "NUL character"));
    }
    let budget = Budget { nodes: Cell::new(RECORD_NODES_MAX), bytes: Cell::new(2 * RECORD_MAX) };
    let seed = Seed { budget: &budget, depth: RECORD_DEPTH_MAX };
    let input = serde_yaml::Deserializer::from_str(text);
    seed.deserialize(input).map_err(|error| {
        let at = error.location();
        let (line, column) = at.map_or((1, 1), |at| (at.line(), at.column()));
        let text = error.to_string();
        let why = text.split(" at line ").next().unwrap_or(&text);
        bad(line, column, why)
    })
}

fn bad(line: usize, column: usize, why: &str) -> Fault {
    Fault::new(Kind::Invalid, message!("yaml.bad", line = line, column = column, why = why))
}

/// What is left of the whole document's allowance. Aliases are paid for each time.
struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    fn pay<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        let (nodes, left) = (self.nodes.get().checked_sub(1), self.bytes.get().checked_sub(bytes));
        match (nodes, left) {
            (Some(nodes), Some(left)) => {
                self.nodes.set(nodes);
                self.bytes.set(left);
                Ok(())
            }
            _ => Err(E::custom("too many values")),
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Seed<'_> {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Node, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null, a list or a mapping (tags are not read)")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Node, D::Error> {
        self.deserialize(input)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(Node::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(i64::try_from(number).map_or_else(|_| Node::Big(BigInt::from(number)), Node::Int))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(Node::Big(BigInt::from(number)))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(Node::Big(BigInt::from(number)))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
        self.budget.pay(0)?;
        Ok(Node::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        self.budget.pay(text.len())?;
        Ok(Node::Str(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Node, E> {
        self.budget.pay(text.len())?;
        Ok(Node::Str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Node, A::Error> {
        self.budget.pay(0)?;
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = input.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Node::Seq(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Node, A::Error> {
        self.budget.pay(0)?;
        let below = self.below()?;
        let mut map = IndexMap::new();
        // A key is its text: `404: gone` has the key `404`.
        while let Some(key) = input.next_key::<String>()? {
            self.budget.pay(key.len())?;
            match map.entry(key) {
                Entry::Vacant(entry) => entry.insert(input.next_value_seed(below)?),
                Entry::Occupied(entry) => {
                    return Err(de::Error::custom(format_args!("key {:?} twice", entry.key())));
                }
            };
        }
        Ok(Node::Map(map))
    }
}
