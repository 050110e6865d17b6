//! Reads `types/*.yaml`. They are part of the program: a fault in one is found by every test run.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{
    Access, Builtins, Container, Creatable, Executable, FieldDef, FileForm, Labels, Property,
    TypeDef,
};
use crate::field::{FieldType, Qualifiers};
use crate::layout::json;
use crate::path::ObjectPath;
use crate::signature::Signature;

macro_rules! files {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("../../types/", $name, ".yaml")))),*] };
}

/// In the order of the manual.
const FILES: [(&str, &str); 29] = files! {
    "TypeObject" "Directory" "License" "Virtual" "Jobflow" "Channel" "Wiki" "ScriptJob"
    "Environment" "Template" "Table" "Realm" "AttachedFile" "NodeInfo" "AccountInfo" "Repository"
    "MailChannel" "Form" "Config" "Library" "MailTemplate" "Text" "SystemInfo" "NodeType"
    "CustomStyle" "OAuth2Provider" "SmtpServer" "LdapServer" "Binary"
};

const COMMON: &str = include_str!("../../types/common.yaml");

#[derive(Deserialize)]
struct TypeFile {
    name: String,
    display_name: Labels,
    doc: String,
    #[serde(default)]
    container: Option<String>,
    creatable: Creatable,
    #[serde(default)]
    singleton: Option<String>,
    #[serde(default)]
    only_under: Option<String>,
    #[serde(default)]
    executable: Json,
    #[serde(default)]
    licence_counted: bool,
    #[serde(default)]
    deprecated: bool,
    file: FileForm,
    fields: Vec<FieldFile>,
    #[serde(default)]
    methods: Vec<Signature>,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(default)]
    actions: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct FieldFile {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    display_name: Labels,
    #[serde(default)]
    qualifiers: Map<String, Json>,
    #[serde(default)]
    access: Access,
    #[serde(default)]
    doc: String,
    #[serde(default)]
    forbidden_values: Vec<String>,
    #[serde(default)]
    effective_default: Option<Json>,
}

#[derive(Deserialize)]
struct CommonFile {
    properties: Vec<Property>,
    methods: Vec<Signature>,
}

pub(super) fn load() -> Builtins {
    let list: Vec<_> =
        FILES.iter().map(|(name, text)| std::sync::Arc::new(one(name, text))).collect();
    let by_name = list.iter().enumerate().map(|(at, def)| (def.name.clone(), at)).collect();
    let by_suffix = list
        .iter()
        .enumerate()
        .flat_map(|(at, def)| def.file.suffixes.iter().map(move |suffix| (suffix.clone(), at)))
        .collect();
    let common: CommonFile = parse("common", COMMON);
    Builtins {
        list,
        by_name,
        by_suffix,
        common_properties: common.properties,
        common_methods: common.methods,
    }
}

/// Reads an embedded file.
pub(super) fn parse<'a, T: Deserialize<'a>>(name: &str, text: &'a str) -> T {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("types/{name}.yaml: {error}"))
}

/// Reads a path of an embedded file.
pub(super) fn path(text: &str) -> ObjectPath {
    ObjectPath::parse(text).unwrap_or_else(|_| panic!("types: {text} is no path"))
}

impl From<FieldFile> for FieldDef {
    fn from(file: FieldFile) -> Self {
        let mut field_type = FieldType::parse(&file.type_name)
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", file.name));
        field_type.qualifiers = Qualifiers::from_map(file.qualifiers, field_type.shape)
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", file.name));
        Self {
            name: file.name,
            field_type,
            display_name: file.display_name,
            access: file.access,
            doc: file.doc,
            forbidden: file.forbidden_values,
            effective_default: file.effective_default.as_ref().map(json::to_value),
        }
    }
}

fn one(name: &str, text: &str) -> TypeDef {
    let file: TypeFile = parse(name, text);
    assert_eq!(file.name, name, "types/{name}.yaml names another type");
    let fields: IndexMap<_, _> =
        file.fields.into_iter().map(|field| (field.name.clone(), FieldDef::from(field))).collect();
    TypeDef {
        name: file.name,
        builtin: true,
        display_name: file.display_name,
        doc: file.doc,
        container: match file.container.as_deref() {
            None => Container::No,
            Some("any") => Container::Any,
            Some("virtual") => Container::Virtual,
            Some(field) => Container::OfTypeIn(field.to_owned()),
        },
        creatable: file.creatable,
        singleton: file.singleton.as_deref().map(path),
        only_under: file.only_under.as_deref().map(path),
        executable: match &file.executable {
            Json::Bool(true) => Executable::Yes,
            Json::String(_) => Executable::Submit,
            _ => Executable::No,
        },
        licence_counted: file.licence_counted,
        deprecated: file.deprecated,
        file: file.file,
        methods: file.methods,
        properties: file.properties,
        actions: file.actions,
        fields,
    }
}
