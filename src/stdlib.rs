//! Built-in functions, and methods and properties of values (rule: language/functions).
//!
//! What is called how stands in [`kompira_schema::signature`] alone; here is what it does.

use std::sync::OnceLock;

use kompira_schema::signature::{self, Param, Signature, Take};

use crate::engine::vm::builtin::{Body, Builtin, Builtins, Default, Parameter, Property};
use crate::engine::vm::{Raise, Type};

mod argument;
mod bytes;
mod codec;
mod container;
mod convert;
mod date;
mod json;
mod mail;
mod matching;
mod network;
mod object;
mod text;
#[cfg(test)]
mod tests;

pub use date::moment;

type Functions = &'static [(&'static str, Body)];
type Methods = &'static [(Type, &'static str, Body)];
type Properties = &'static [(Type, &'static str, Property)];

const FUNCTIONS: &[Functions] = &[
    convert::FUNCTIONS,
    bytes::FUNCTIONS,
    date::FUNCTIONS,
    json::FUNCTIONS,
    mail::FUNCTIONS,
    network::FUNCTIONS,
    object::FUNCTIONS,
];

const METHODS: &[Methods] = &[
    text::METHODS,
    bytes::METHODS,
    container::METHODS,
    matching::METHODS,
    date::METHODS,
    object::METHODS,
];

const PROPERTIES: &[Properties] = &[date::PROPERTIES, object::PROPERTIES];

/// Everything built in, for the machine.
#[must_use]
pub fn builtins() -> Builtins {
    let mut builtins = Builtins::new();
    for (name, body) in FUNCTIONS.iter().copied().flatten() {
        let found = signature::function(name).expect("each function has a signature");
        builtins.function(Builtin { name, parameters: parameters(found), body: *body });
    }
    for (of, name, body) in METHODS.iter().copied().flatten() {
        let found = signature::method(of.name(), name).expect("each method has a signature");
        builtins.method(*of, Builtin { name, parameters: parameters(found), body: *body });
    }
    for (of, name, property) in PROPERTIES.iter().copied().flatten() {
        builtins.property(*of, name, *property);
    }
    builtins
}

/// The parameters of a signature as the machine wants them; made once and kept.
fn parameters(of: &'static Signature) -> &'static [Parameter] {
    static MADE: OnceLock<
        std::sync::Mutex<std::collections::HashMap<usize, &'static [Parameter]>>,
    > = OnceLock::new();
    // A signature lives as long as the program, so its address names it.
    let key = std::ptr::from_ref(of).addr();
    let made = MADE.get_or_init(std::sync::Mutex::default);
    let mut made = made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    made.entry(key).or_insert_with(|| {
        let all: Vec<_> = of.params.iter().map(parameter).collect();
        Box::leak(all.into_boxed_slice())
    })
}

fn parameter(param: &'static Param) -> Parameter {
    let default = match (param.take, param.default.as_deref()) {
        (Take::Rest, _) => Default::Rest,
        (Take::Keywords, _) => Default::Names,
        (Take::One, None) if param.optional => Default::Absent,
        (Take::One, None) => Default::Required,
        (Take::One, Some(literal)) => written(literal),
    };
    Parameter { name: &param.name, default }
}

/// The default a signature writes as a jobflow would.
fn written(literal: &'static str) -> Default {
    let quoted = literal.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    match (literal, quoted) {
        (_, Some(text)) => Default::Text(text),
        ("null", _) => Default::Null,
        ("true", _) => Default::Bool(true),
        ("false", _) => Default::Bool(false),
        (number, _) => match (number.parse(), number.parse()) {
            (Ok(whole), _) => Default::Int(whole),
            (_, Ok(float)) => Default::Float(float),
            _ => Default::Absent,
        },
    }
}

/// A runtime error with that text.
fn raise<T>(text: impl Into<String>) -> Result<T, Raise> {
    Err(Raise::new(text))
}
