//! What makes a job end abnormally.

use std::fmt;

use super::value::{Type, Value};

/// A runtime error on its way to the nearest `try` (rule: `language/abnormal-end`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raise(Box<str>);

impl Raise {
    /// A runtime error with that message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into().into_boxed_str())
    }

    /// The message as a jobflow sees it in `$ERROR`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }

    /// A binary operator met operands it has no meaning for.
    #[must_use]
    pub fn operands(operator: &str, left: Value, right: Value) -> Self {
        Self::new(format!(
            "Failed to execute binary operation: unsupported operand type(s) for {operator}: '{}' and '{}'",
            left.kind().name(),
            right.kind().name()
        ))
    }

    /// A prefix operator met an operand it has no meaning for.
    #[must_use]
    pub fn operand(operator: &str, value: Value) -> Self {
        Self::new(format!(
            "Failed to execute unary operation: bad operand type for {operator}: '{}'",
            value.kind().name()
        ))
    }

    /// A value is no `TYPE` and cannot become one.
    #[must_use]
    pub fn convert(value: &str, wanted: Type) -> Self {
        Self::new(format!("cannot convert '{value}' to {}", wanted.name()))
    }

    /// A value has no such property, method, field or key behind a dot.
    #[must_use]
    pub fn attribute(name: &str) -> Self {
        Self::new(format!("attribute not found: {name}"))
    }

    /// An argument has the wrong type.
    #[must_use]
    pub fn argument(function: &str, parameter: &str, value: Value) -> Self {
        Self::new(format!(
            "{function}() argument '{parameter}' cannot be '{}'",
            value.kind().name()
        ))
    }

    /// The process needs more memory than it may have.
    #[must_use]
    pub fn memory() -> Self {
        Self::new("memory limit exceeded")
    }

    /// A value contains values that contain values … too far down, or itself.
    #[must_use]
    pub fn nesting() -> Self {
        Self::new("value nested too deeply")
    }
}

impl fmt::Display for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raise {}
