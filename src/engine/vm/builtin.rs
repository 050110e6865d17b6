//! The table through which built-in functions, methods and properties reach the machine.

use std::collections::HashMap;
use std::sync::Arc;

use kompira_schema::id::ObjectId;

use super::heap::Heap;
use super::host::{Given, Host};
use super::raise::Raise;
use super::value::{Type, Value};
use crate::lang::program::Shape;

/// What a built-in works with.
pub struct Context<'a> {
    /// The memory of the process.
    pub heap: &'a mut Heap,
    /// The world.
    pub host: &'a mut dyn Host,
    /// The jobflow that calls, for relative paths.
    pub jobflow: ObjectId,
    /// All built-ins, for those that look others up.
    pub builtins: &'a Builtins,
}

/// A built-in's body: one value for each parameter, in order. A method's receiver comes first.
pub type Body = fn(&mut Context<'_>, &[Value]) -> Result<Value, Raise>;

/// A built-in function or method.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, without a method's receiver.
    pub parameters: &'static [Parameter],
    /// What it does.
    pub body: Body,
}

/// A parameter of a built-in.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is when left out.
    pub default: Default,
}

/// What a parameter is when left out.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// It may not be.
    Required,
    /// [`Value::Absent`], so that the body can tell.
    Absent,
    /// `null`
    Null,
    /// A Boolean.
    Bool(bool),
    /// An Integer.
    Int(i64),
    /// A Float.
    Float(f64),
    /// A String.
    Text(&'static str),
    /// Takes all further positional arguments as an Array.
    Rest,
    /// Takes all further named arguments as a Dictionary.
    Names,
}

/// A property of a value.
pub type Property = fn(&mut Context<'_>, Value) -> Result<Value, Raise>;

/// All built-ins.
#[derive(Default)]
pub struct Builtins {
    functions: Vec<Builtin>,
    by_name: HashMap<&'static str, usize>,
    methods: Vec<Builtin>,
    methods_by_name: HashMap<Type, HashMap<&'static str, usize>>,
    properties: HashMap<Type, HashMap<&'static str, Property>>,
}

impl Builtins {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function; a later one of the same name takes its place.
    pub fn function(&mut self, builtin: Builtin) -> &mut Self {
        self.by_name.insert(builtin.name, self.functions.len());
        self.functions.push(builtin);
        self
    }

    /// Adds a method of a type.
    pub fn method(&mut self, of: Type, builtin: Builtin) -> &mut Self {
        self.methods_by_name.entry(of).or_default().insert(builtin.name, self.methods.len());
        self.methods.push(builtin);
        self
    }

    /// Adds a property of a type.
    pub fn property(&mut self, of: Type, name: &'static str, property: Property) -> &mut Self {
        self.properties.entry(of).or_default().insert(name, property);
        self
    }

    /// The number of a function.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The function of that number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&Builtin> {
        self.functions.get(number)
    }

    /// A method of a type.
    #[must_use]
    pub fn find_method(&self, of: Type, name: &str) -> Option<&Builtin> {
        self.method_at(self.method_number(of, name)?)
    }

    /// The number of a method.
    #[must_use]
    pub fn method_number(&self, of: Type, name: &str) -> Option<usize> {
        self.methods_by_name.get(&of)?.get(name).copied()
    }

    /// The method of that number.
    #[must_use]
    pub fn method_at(&self, number: usize) -> Option<&Builtin> {
        self.methods.get(number)
    }

    /// A property of a type.
    #[must_use]
    pub fn find_property(&self, of: Type, name: &str) -> Option<Property> {
        self.properties.get(&of)?.get(name).copied()
    }

    /// Names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }
}

impl std::fmt::Debug for Builtins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builtins")
            .field("functions", &self.functions.len())
            .field("methods", &self.methods.len())
            .field("properties", &self.properties.len())
            .finish()
    }
}

impl Builtin {
    /// Whether positional arguments of that number are already in the order of the parameters.
    pub(super) fn fits(&self, shape: &Shape) -> bool {
        shape.is_plain()
            && shape.positional as usize == self.parameters.len()
            && !self
                .parameters
                .iter()
                .any(|held| matches!(held.default, Default::Rest | Default::Names))
    }

    /// Puts arguments in the order of the parameters.
    ///
    /// # Errors
    /// The texts of `language/calls`: unknown, doubly given, missing, too many.
    pub fn bind(
        &self,
        heap: &mut Heap,
        given: &Given,
        receiver: Option<Value>,
    ) -> Result<Vec<Value>, Raise> {
        let mut values: Vec<Value> = receiver.into_iter().collect();
        let first = values.len();
        let mut positional = given.positional.iter();
        let mut taken = vec![false; given.named.len()];
        let mut names = None;
        for (index, parameter) in self.parameters.iter().enumerate() {
            match parameter.default {
                Default::Rest => {
                    let rest = heap.array(positional.by_ref().copied().collect());
                    values.push(rest);
                    continue;
                }
                Default::Names => {
                    names = Some(first + index);
                    values.push(Value::Absent);
                    continue;
                }
                _ => {}
            }
            let by_place = positional.next().copied();
            let by_name = given.named.iter().position(|(name, _)| **name == *parameter.name);
            if let Some(place) = by_name {
                taken[place] = true;
            }
            let value = match (by_place, by_name) {
                (Some(_), Some(_)) => return Err(twice(self.name, parameter.name)),
                (Some(value), None) => value,
                (None, Some(place)) => given.named[place].1,
                (None, None) => match parameter.default {
                    Default::Required => return Err(missing(self.name, parameter.name)),
                    Default::Absent | Default::Rest | Default::Names => Value::Absent,
                    Default::Null => Value::Null,
                    Default::Bool(truth) => Value::Bool(truth),
                    Default::Int(number) => Value::Int(number),
                    Default::Float(number) => Value::Float(number),
                    Default::Text(text) => heap.str(text),
                },
            };
            values.push(value);
        }
        if positional.next().is_some() {
            return Err(too_many(self.name, self.parameters.len()));
        }
        let left = given
            .named
            .iter()
            .zip(&taken)
            .filter(|(_, taken)| !**taken)
            .map(|(argument, _)| argument);
        if let Some(place) = names {
            let dict = heap.dict(super::dict::Dict::new());
            for (name, value) in left {
                heap.dict_set_str(dict, name, *value);
            }
            values[place] = dict;
        } else if let Some((name, _)) = left.into_iter().next() {
            return Err(unexpected(self.name, name));
        }
        Ok(values)
    }
}

/// `NAME() got multiple values for argument 'K'`
#[must_use]
pub fn twice(function: &str, parameter: &str) -> Raise {
    Raise::new(format!("{function}() got multiple values for argument '{parameter}'"))
}

/// `NAME() missing argument 'K'`
#[must_use]
pub fn missing(function: &str, parameter: &str) -> Raise {
    Raise::new(format!("{function}() missing argument '{parameter}'"))
}

/// `NAME() takes at most N arguments`
#[must_use]
pub fn too_many(function: &str, most: usize) -> Raise {
    Raise::new(format!("{function}() takes at most {most} arguments"))
}

/// `NAME() got an unexpected keyword argument 'K'`
#[must_use]
pub fn unexpected(function: &str, name: &str) -> Raise {
    Raise::new(format!("{function}() got an unexpected keyword argument '{name}'"))
}

/// What [`Machine`](super::machine::Machine) shares with all others of the server.
pub type Shared = Arc<Builtins>;
