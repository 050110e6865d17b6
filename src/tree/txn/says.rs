//! Whether a record says more than the defaults (rule: `tree/bare`).

use std::sync::LazyLock;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::layout::content::to_bytes;
use kompira_schema::layout::names::{Made, Suffixes, rule};
use kompira_schema::types::{Access, Container, TypeDef, builtins};
use kompira_schema::value::Value;

use super::Txn;
use crate::store::Body;
use crate::tree::model::Head;
use crate::tree::value;
use crate::tree::view::View;

static SUFFIXES: LazyLock<Suffixes> =
    LazyLock::new(|| {
        Suffixes::new(builtins().iter().flat_map(|def| {
            def.file.suffixes.iter().map(|suffix| (suffix.clone(), def.name.clone()))
        }))
    });

impl View {
    /// Whether a bare object shows its record: it says more than making the same file again in
    /// the same container would give.
    #[must_use]
    pub fn shows_record(&self, head: &Head, parent: &Head) -> bool {
        head.says_more || head.owner != parent.owner || head.acl != parent.acl
    }
}

impl Txn {
    /// Whether the record of an object says more than its file, its name and its place, owner and
    /// permissions apart.
    pub(super) fn says_more(
        &self,
        head: &Head,
        body: &Body,
        def: &TypeDef,
        suffix: Option<&str>,
    ) -> Result<bool, Fault> {
        if !body.display_name.is_empty() || !body.description.is_empty() {
            return Ok(true);
        }
        Ok(self.type_says_more(head, body, def, suffix)?
            || self.fields_say_more(head, body, def, suffix)?)
    }

    fn type_says_more(
        &self,
        head: &Head,
        body: &Body,
        def: &TypeDef,
        suffix: Option<&str>,
    ) -> Result<bool, Fault> {
        if def.is_container() {
            return Ok(self.view().builtin("Directory") != Some(head.type_id));
        }
        if head.as_file || head.parent == ObjectId(0) {
            return Ok(false);
        }
        let around = self.view().type_of(head.parent)?;
        if matches!(around.container, Container::OfTypeIn(_)) {
            return Ok(false);
        }
        let Some(field) = def.representative() else { return Ok(true) };
        let bytes = match body.field(&field.name) {
            // The rule looks at text alone; a map is chosen by its suffix.
            Some(Value::Dict(_)) | None => Vec::new(),
            Some(stored) => to_bytes(stored),
        };
        let made = rule(false, suffix, &SUFFIXES, &bytes, |_| true);
        Ok(!(def.builtin && made == Made::Type(def.name.clone())))
    }

    fn fields_say_more(
        &self,
        head: &Head,
        body: &Body,
        def: &TypeDef,
        suffix: Option<&str>,
    ) -> Result<bool, Fault> {
        let own = def.file.made_from_file.as_deref().filter(|_| head.as_file);
        let content = own.or(def.file.representative.as_deref());
        let then = head.created.to_zoned(self.view().zone());
        let behaviour = self.view().inner.types.behaviour(head.type_id);
        let mut around = None;
        for (name, stored) in &body.fields {
            if Some(name.as_str()) == content {
                continue;
            }
            let Some(field) = def.field(name) else {
                if name.starts_with('.') {
                    return Ok(true);
                }
                continue;
            };
            if field.access == Access::System || *stored == value::initial(field, &then) {
                continue;
            }
            if behaviour.given(name, suffix).as_ref() == Some(stored) {
                continue;
            }
            let is_suffix = def.file.suffix_from.as_ref() == Some(name)
                && matches!((stored, suffix), (Value::Str(text), Some(suffix)) if text == suffix);
            if is_suffix {
                continue;
            }
            if def.is_container() && super::create::LISTING.contains(&name.as_str()) {
                let around = match &around {
                    Some(around) => around,
                    None => around.insert(self.view().body_of(head.parent)?),
                };
                if around.field(name) == Some(stored) {
                    continue;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}
