//! Field types: `TYPE`, `TYPE#{qualifiers}`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Fault, Kind};
use crate::limits::FIELD_TYPE_MAX;
use crate::message;

mod pattern;
mod qualifier;
mod refer;
#[cfg(test)]
mod tests;

pub use pattern::Pattern;
pub use qualifier::{Choice, Choices, Qualifiers, Restriction};
pub use refer::{CasePattern, Reference, Source, Switch};

macro_rules! elems {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one value of a field is (rule: `objects/field-types`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Elem { $($(#[$doc])* $name,)* }

        impl Elem {
            /// Every element type, in the order of the manual.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written in a type object.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

elems! {
    /// One line of text.
    String,
    /// Several lines of text.
    Text,
    /// Many lines of text.
    LargeText,
    /// Text that is sealed at rest and hidden.
    Password,
    /// Bytes.
    Binary,
    /// A signed 64-bit number.
    Integer,
    /// A finite number.
    Float,
    /// A truth value.
    Boolean,
    /// One of a list of texts.
    Enum,
    /// An attachment.
    File,
    /// A reference.
    Object,
    /// An instant.
    Datetime,
    /// A calendar day.
    Date,
    /// A time of day.
    Time,
    /// An IPv4 address.
    IPAddress,
    /// A mail address.
    EMail,
    /// An address with an allowed scheme.
    URL,
}

impl Elem {
    /// Whether `Array<…>` and `Dictionary<…>` of it exist.
    #[must_use]
    pub const fn in_containers(self) -> bool {
        !matches!(self, Self::Text | Self::LargeText)
    }

    /// Whether its value is a text.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Self::String
                | Self::Text
                | Self::LargeText
                | Self::Password
                | Self::Enum
                | Self::IPAddress
                | Self::EMail
                | Self::URL
        )
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|elem| elem.name() == name)
    }
}

/// One value, or a container of them. There is no deeper nesting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A single value.
    One(Elem),
    /// `Array<T>`; `Array` is `Array<String>`.
    Array(Elem),
    /// `Dictionary<T>`; `Dictionary` is `Dictionary<String>`.
    Dictionary(Elem),
}

impl Shape {
    /// The type of the single values.
    #[must_use]
    pub const fn elem(self) -> Elem {
        match self {
            Self::One(elem) | Self::Array(elem) | Self::Dictionary(elem) => elem,
        }
    }

    fn named(name: &str) -> Option<Self> {
        let inner = |rest: &str| {
            if rest.is_empty() {
                return Some(Elem::String);
            }
            let name = rest.strip_prefix('<')?.strip_suffix('>')?;
            Elem::named(name.trim()).filter(|elem| elem.in_containers())
        };
        if let Some(rest) = name.strip_prefix("Array") {
            inner(rest).map(Self::Array)
        } else if let Some(rest) = name.strip_prefix("Dictionary") {
            inner(rest).map(Self::Dictionary)
        } else {
            Elem::named(name).map(Self::One)
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(elem) => f.write_str(elem.name()),
            Self::Array(Elem::String) => f.write_str("Array"),
            Self::Array(elem) => write!(f, "Array<{}>", elem.name()),
            Self::Dictionary(Elem::String) => f.write_str("Dictionary"),
            Self::Dictionary(elem) => write!(f, "Dictionary<{}>", elem.name()),
        }
    }
}

/// The type of a field: its shape and its qualifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldType {
    /// What is stored.
    pub shape: Shape,
    /// What is said about it.
    pub qualifiers: Qualifiers,
}

impl FieldType {
    /// A type without qualifiers.
    #[must_use]
    pub fn plain(shape: Shape) -> Self {
        Self { shape, qualifiers: Qualifiers::default() }
    }

    /// Reads `TYPE`, `TYPE#{…}`, `TYPE {…}` or `TYPE{…}` (rule: `objects/field-type-strings`).
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an unknown type, unreadable JSON, JSON that is no object, a qualifier
    /// whose value has the wrong form, or a text over the limit.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > FIELD_TYPE_MAX {
            return Err(Fault::new(
                Kind::Invalid,
                message!("field.type_too_long", size = text.len(), max = FIELD_TYPE_MAX),
            ));
        }
        let (name, json) = match text.find(['#', '{']) {
            None => (text, None),
            Some(at) => {
                let (name, rest) = text.split_at(at);
                (name, Some(rest.strip_prefix('#').unwrap_or(rest)))
            }
        };
        let name = name.trim();
        let Some(shape) = Shape::named(name) else {
            return Err(Fault::new(Kind::Invalid, message!("field.unknown_type", name = name)));
        };
        let qualifiers = match json {
            None => Qualifiers::default(),
            Some(json) => Qualifiers::parse(json, shape)?,
        };
        Ok(Self { shape, qualifiers })
    }

    /// As [`FieldType::parse`], but what cannot be read is an unqualified `String`: for types that
    /// arrive through an import (rule: `objects/field-type-strings`).
    #[must_use]
    pub fn parse_lenient(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| Self::plain(Shape::One(Elem::String)))
    }

    /// The type of the single values.
    #[must_use]
    pub const fn elem(&self) -> Elem {
        self.shape.elem()
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.fmt(f)?;
        if self.qualifiers.is_empty() { Ok(()) } else { write!(f, "#{}", self.qualifiers) }
    }
}

impl FromStr for FieldType {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
    }
}
