//! Types as data: the built-in ones from `types/*.yaml`, users' own from their type objects.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use serde::Deserialize;

use crate::catalogue::Lang;
use crate::error::Fault;
use crate::field::{Elem, FieldType, Shape};
use crate::path::ObjectPath;
use crate::signature::Signature;
use crate::value::{Dict, Value};

mod factory;
mod load;
mod reference;
mod special;
#[cfg(test)]
mod tests;
mod type_object;

pub use factory::{Factory, InitialGroup, InitialObject, InitialUser, factory};
pub use reference::reference_markdown;
pub use special::{Special, SpecialProperty, special};
pub use type_object::{TypeObjectFields, check_type_object};

/// Where the built-in type objects live.
pub const TYPES_DIRECTORY: &str = "/system/types";

/// A text in the two languages of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Labels {
    /// English.
    pub en: String,
    /// Japanese; empty when there is none.
    #[serde(default)]
    pub ja: String,
}

impl Labels {
    /// The same text for both.
    #[must_use]
    pub fn same(text: &str) -> Self {
        Self { en: text.to_owned(), ja: text.to_owned() }
    }

    /// The text for `lang`; English when there is no Japanese one.
    #[must_use]
    pub fn of(&self, lang: Lang) -> &str {
        if lang == Lang::Ja && !self.ja.is_empty() { &self.ja } else { &self.en }
    }
}

/// What children an object of a type may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Container {
    /// None: it is no container.
    #[default]
    No,
    /// Any objects (Directory).
    Any,
    /// Objects of the type that this Object field names (Table).
    OfTypeIn(String),
    /// Special objects (Virtual).
    Virtual,
}

/// Who may create objects of a type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creatable {
    /// Whoever may write the container.
    #[default]
    Any,
    /// Privileged users.
    Root,
    /// Only the first start.
    No,
}

/// Whether objects of a type can be started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Executable {
    /// No.
    #[default]
    No,
    /// By `.execute` (Jobflow, ScriptJob).
    Yes,
    /// By `.submit` (Form).
    Submit,
}

/// Who writes a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Access {
    /// Whoever may write the object.
    #[default]
    #[serde(rename = "rw")]
    Write,
    /// The server alone; an import may carry it.
    #[serde(rename = "system")]
    System,
    /// As [`Access::Write`], but edit screens do not offer it.
    #[serde(rename = "ui-ro")]
    NotInForms,
}

/// What an object's file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// UTF-8 text of the representative field.
    Text,
    /// YAML: the whole record, or a map that is the representative field.
    #[default]
    Yaml,
    /// Bytes of the representative field.
    Binary,
    /// It is a directory.
    Directory,
}

/// How objects of a type look as files (rule: `files/forms`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct FileForm {
    /// The representative field: its value is the content of the file.
    #[serde(default, rename = "field")]
    pub representative: Option<String>,
    /// What the file holds.
    #[serde(default)]
    pub format: Format,
    /// Suffixes, without dot, that choose this type for a new file.
    #[serde(default)]
    pub suffixes: Vec<String>,
    /// Field that takes the suffix of a new file as data.
    #[serde(default)]
    pub suffix_from: Option<String>,
    /// File field that is the content when the object was made from a file of unknown kind.
    #[serde(default)]
    pub made_from_file: Option<String>,
}

/// A field of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDef {
    /// Its name, an identifier.
    pub name: String,
    /// Its type and qualifiers.
    pub field_type: FieldType,
    /// Its label.
    pub display_name: Labels,
    /// Who writes it.
    pub access: Access,
    /// Its meaning, for the manual.
    pub doc: String,
    /// Texts it may not hold.
    pub forbidden: Vec<String>,
    /// What the product takes for a value that was not entered, where that is no `default`.
    pub effective_default: Option<Value>,
}

impl FieldDef {
    /// A plain field of a user's type.
    #[must_use]
    pub fn new(name: &str, field_type: FieldType) -> Self {
        Self {
            name: name.to_owned(),
            field_type,
            display_name: Labels::same(name),
            access: Access::Write,
            doc: String::new(),
            forbidden: Vec::new(),
            effective_default: None,
        }
    }
}

/// A property that a type adds to the common ones; computed unless `access` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// What it is, as the manual writes it.
    #[serde(rename = "type")]
    pub type_text: String,
    /// Who writes it; `ro` when nobody.
    #[serde(default = "read_only")]
    pub access: String,
    /// Its meaning.
    pub doc: String,
}

fn read_only() -> String {
    "ro".to_owned()
}

/// A type: what its objects hold and can do.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDef {
    /// Last name of its path.
    pub name: String,
    /// Whether it is one of ours. Behaviour is bound to that, never to the name alone.
    pub builtin: bool,
    /// Its label.
    pub display_name: Labels,
    /// Its meaning, for the manual.
    pub doc: String,
    /// What children its objects may have.
    pub container: Container,
    /// Who may create objects of it.
    pub creatable: Creatable,
    /// The one path where its object lives.
    pub singleton: Option<ObjectPath>,
    /// The container below which alone its objects live.
    pub only_under: Option<ObjectPath>,
    /// Whether its objects can be started.
    pub executable: Executable,
    /// Whether the licence counts its objects.
    pub licence_counted: bool,
    /// Whether the manual advises against it.
    pub deprecated: bool,
    /// How its objects look as files.
    pub file: FileForm,
    /// Methods besides the common ones.
    pub methods: Vec<Signature>,
    /// Properties besides the common ones.
    pub properties: Vec<Property>,
    /// Operations that only screens and the HTTP API offer.
    pub actions: Vec<String>,
    fields: IndexMap<String, FieldDef>,
}

impl TypeDef {
    /// Whether it is our own type of this name. Another type may have the name, too.
    #[must_use]
    pub fn is_builtin(&self, name: &str) -> bool {
        self.builtin && self.name == name
    }

    /// The fields in the order of the type.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &FieldDef> {
        self.fields.values()
    }

    /// The field `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.get(name)
    }

    /// The place of the field `name` in the order of the type.
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.get_index_of(name)
    }

    /// The definition for values that are handed on and not stored: a password is text there.
    #[must_use]
    pub fn entered(mut self) -> Self {
        let clear = |elem| if elem == Elem::Password { Elem::String } else { elem };
        for field in self.fields.values_mut() {
            field.field_type.shape = match field.field_type.shape {
                Shape::One(elem) => Shape::One(clear(elem)),
                Shape::Array(elem) => Shape::Array(clear(elem)),
                Shape::Dictionary(elem) => Shape::Dictionary(clear(elem)),
            };
        }
        self
    }

    /// The field that is the content of the object's file.
    #[must_use]
    pub fn representative(&self) -> Option<&FieldDef> {
        self.field(self.file.representative.as_deref()?)
    }

    /// Whether objects of it have children.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.container != Container::No
    }

    /// The method `name`, common ones left out.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Signature> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// The property `name`, common ones left out.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// Reads a user's type from the fields of its type object, as leniently as an import demands:
    /// what is broken reads as `String`, what is missing is filled (rule: `objects/type-objects`).
    #[must_use]
    pub fn from_type_object(name: &str, fields: &Dict) -> Self {
        type_object::read(name, fields)
    }

    /// The fields of this type's own type object.
    #[must_use]
    pub fn type_object_fields(&self, lang: Lang) -> Dict {
        type_object::write(self.fields(), lang)
    }

    /// Checks the definition of fields in a type object, a Form or a Config that is being saved.
    ///
    /// # Errors
    /// With the problems of [`check_type_object`].
    pub fn check_definition(fields: &Dict) -> Result<(), Fault> {
        let problems = check_type_object(fields);
        if problems.is_empty() { Ok(()) } else { Err(Fault::invalid(problems)) }
    }
}

struct Builtins {
    list: Vec<Arc<TypeDef>>,
    by_name: HashMap<String, usize>,
    by_suffix: HashMap<String, usize>,
    common_properties: Vec<Property>,
    common_methods: Vec<Signature>,
}

static BUILTINS: LazyLock<Builtins> = LazyLock::new(load::load);

/// Every built-in type, in the order of the manual; Binary is the last.
#[must_use]
pub fn builtins() -> &'static [Arc<TypeDef>] {
    &BUILTINS.list
}

/// The built-in type `name`.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Arc<TypeDef>> {
    BUILTINS.list.get(*BUILTINS.by_name.get(name)?)
}

/// The built-in type that a new file with `suffix` (no dot) becomes.
#[must_use]
pub fn by_suffix(suffix: &str) -> Option<&'static Arc<TypeDef>> {
    BUILTINS.list.get(*BUILTINS.by_suffix.get(suffix)?)
}

/// The path of a built-in type's object.
#[must_use]
pub fn builtin_path(def: &TypeDef) -> String {
    format!("{TYPES_DIRECTORY}/{}", def.name)
}

/// The properties that every object has.
#[must_use]
pub fn common_properties() -> &'static [Property] {
    &BUILTINS.common_properties
}

/// The methods that every object has.
#[must_use]
pub fn common_methods() -> &'static [Signature] {
    &BUILTINS.common_methods
}
