//! What the first start creates.

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;

use super::load::{FieldFile, parse, path};
use super::type_object::write;
use super::{FieldDef, Labels, TypeObjectFields};
use crate::catalogue::Lang;
use crate::layout::json;
use crate::path::ObjectPath;
use crate::value::{Dict, Value};

/// The initial tree, users and groups (rule: `objects/first-start`). Type objects come besides:
/// one per entry of [`super::builtins`], in [`super::TYPES_DIRECTORY`].
#[derive(Debug)]
pub struct Factory {
    /// In an order in which each container comes before its children.
    pub objects: Vec<InitialObject>,
    /// In the order of their numbers: root is 1, admin 2, guest 3.
    pub users: Vec<InitialUser>,
    /// In the order of their numbers: other is 1, wheel 2.
    pub groups: Vec<InitialGroup>,
    /// Fields of the settings object `/system/config`, with their defaults.
    pub system_config: Vec<FieldDef>,
}

/// An object of the initial tree.
#[derive(Debug)]
pub struct InitialObject {
    /// Where.
    pub path: ObjectPath,
    /// Name of the built-in type.
    pub type_name: String,
    /// Its label; the name when there is none.
    pub display_name: Labels,
    /// Name of the owner; `root` when `None`.
    pub owner: Option<String>,
    /// Fields; references as path text, labels of `/system/config` in English.
    pub fields: Dict,
    /// Whether it may not be deleted, renamed or moved, and imports leave it alone.
    pub protected: bool,
}

/// A user of the first start.
#[derive(Debug, Deserialize)]
pub struct InitialUser {
    /// Login name.
    pub username: String,
    #[serde(default)]
    password: Option<String>,
    /// Whether the user may log in.
    pub is_active: bool,
    /// Path of the home directory.
    pub home_directory: String,
    /// Names of groups.
    pub groups: Vec<String>,
}

impl InitialUser {
    /// Whether a password is generated and told once; otherwise there is none until one is set.
    #[must_use]
    pub fn password_generated(&self) -> bool {
        self.password.is_some()
    }
}

/// A group of the first start.
#[derive(Debug, Deserialize)]
pub struct InitialGroup {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub doc: String,
}

#[derive(Deserialize)]
struct FactoryFile {
    initial_objects: Vec<ObjectFile>,
    initial_users: Vec<InitialUser>,
    initial_groups: Vec<InitialGroup>,
    system_config: Vec<FieldFile>,
    nodetypes: Vec<NodeTypeFile>,
    styles: Vec<StyleFile>,
}

#[derive(Deserialize)]
struct ObjectFile {
    path: String,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    display_name: Option<Labels>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    fields: IndexMap<String, Json>,
    #[serde(default)]
    protected: bool,
}

#[derive(Deserialize)]
struct NodeTypeFile {
    name: String,
    display_name: Labels,
    conntypes: Json,
}

#[derive(Deserialize)]
struct StyleFile {
    name: String,
    display_name: Labels,
    fields: IndexMap<String, Json>,
}

static FACTORY: LazyLock<Factory> = LazyLock::new(load);

/// The initial objects, users and groups.
#[must_use]
pub fn factory() -> &'static Factory {
    &FACTORY
}

fn dict(fields: &IndexMap<String, Json>) -> Dict {
    fields.iter().map(|(name, value)| (name.clone(), json::to_value(value))).collect()
}

fn load() -> Factory {
    let file: FactoryFile = parse("factory", include_str!("../../types/factory.yaml"));
    let system_config: Vec<FieldDef> = file.system_config.into_iter().map(FieldDef::from).collect();
    let mut objects = Vec::new();
    for object in file.initial_objects {
        let at = path(&object.path);
        let mut fields = dict(&object.fields);
        if object.path == "/system/config" {
            fields = write(system_config.iter(), Lang::En);
            fields.shift_remove(TypeObjectFields::EXTEND);
        }
        let (nodetypes, styles) =
            (object.path == "/system/nodetypes", object.path == "/system/styles");
        objects.push(InitialObject {
            display_name: object
                .display_name
                .unwrap_or_else(|| Labels::same(at.name().unwrap_or_default())),
            path: at,
            type_name: object.type_name,
            owner: object.owner,
            fields,
            protected: object.protected,
        });
        if nodetypes {
            objects.extend(file.nodetypes.iter().map(|node| InitialObject {
                path: path(&format!("/system/nodetypes/{}", node.name)),
                type_name: "NodeType".to_owned(),
                display_name: node.display_name.clone(),
                owner: None,
                fields: Dict::from_iter([(
                    "conntypes".to_owned(),
                    json::to_value(&node.conntypes),
                )]),
                protected: true,
            }));
        }
        if styles {
            objects.extend(file.styles.iter().map(|style| InitialObject {
                path: path(&format!("/system/styles/{}", style.name)),
                type_name: "CustomStyle".to_owned(),
                display_name: style.display_name.clone(),
                owner: None,
                fields: dict(&style.fields),
                protected: true,
            }));
        }
    }
    Factory { objects, users: file.initial_users, groups: file.initial_groups, system_config }
}

impl Factory {
    /// The stored values of `/system/config` at the first start: the defaults of its fields.
    #[must_use]
    pub fn system_config_data(&self) -> Dict {
        self.system_config
            .iter()
            .filter_map(|field| {
                let default = field.field_type.qualifiers.default_json(field.field_type.shape)?;
                Some((field.name.clone(), json::to_value(default)))
            })
            .collect::<IndexMap<String, Value>>()
    }
}
