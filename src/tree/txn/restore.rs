//! Taking back an earlier version (rule: `tree/history-restore`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::message;
use kompira_schema::types::Access;
use kompira_schema::value::{Dict, Value};

use super::Txn;
use super::create::in_order;
use crate::audit::{Class, Verb};
use crate::store::What;
use crate::tree::behaviour::Saving;
use crate::tree::fault;
use crate::tree::model::Head;
use crate::tree::value::DATA;

impl Txn {
    /// Gives an object the fields, texts and data it had at a revision: a change like any other,
    /// with a version of its own. Name, place, owner and permissions stay. With a base revision
    /// only if nobody changed it since.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when that version is not kept; [`Kind::WrongType`] when it was of another
    /// type; [`Kind::Denied`] without write (a Config's data: execute); [`Kind::Stale`];
    /// [`Kind::Invalid`] when the rules of the type refuse it now.
    pub fn restore_version(
        &mut self,
        id: ObjectId,
        rev: Rev,
        base: Option<Rev>,
    ) -> Result<(), Fault> {
        let before = self.view.object_head(id)?;
        self.trying(Class::Object, Verb::Update, |view| view.audit_target(id));
        self.trying_with("restored_revision", || rev.0.into());
        if base.is_some_and(|base| base != before.rev) {
            return Err(fault::stale());
        }
        let access = self.view.access_of(&self.who, &before)?;
        let path = self.view.path_text(&before);
        if !access.write {
            return Err(fault::denied("write", &path));
        }
        if self.view.inner.types.is_builtin(id) {
            return Err(fault::protected(&path));
        }
        let version = self.view.version_at(id, rev)?;
        if version.head.type_id != before.type_id {
            let found = self.view.type_path(version.head.type_id);
            return Err(fault::wrong_type(&found, &path));
        }
        let def = self.view.type_def(before.type_id)?;
        let entry = self.view.entry_of(&before)?.ok_or_else(|| fault::gone(id))?;
        let old = self.view.body_of(id)?;
        let system =
            |name: &str| def.field(name).is_some_and(|field| field.access == Access::System);
        let was: Dict =
            old.fields.iter().filter(|(name, _)| !name.starts_with('.')).cloned().collect();
        // What the server writes is not restored: it follows from the rest, or is of today.
        let mut fields: Dict = version
            .body
            .fields
            .iter()
            .filter(|(name, _)| def.field(name).is_some() && !system(name))
            .cloned()
            .collect();
        fields.extend(
            was.iter()
                .filter(|(name, _)| system(name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let behaviour = self.view.inner.types.behaviour(before.type_id);
        let mut saving = Saving {
            view: &self.view,
            id,
            old: Some(&was),
            fields: &mut fields,
            lenient: false,
            suffix: None,
        };
        behaviour.before_write(&mut saving).map_err(Fault::invalid)?;
        let mut body = old.clone();
        let data = |body: &crate::store::Body| body.field(DATA).cloned();
        let hidden: Vec<(String, Value)> =
            old.fields.iter().filter(|(name, _)| name.starts_with('.')).cloned().collect();
        body.fields = in_order(&def, fields);
        body.fields.extend(hidden);
        if behaviour.has_data() && data(&version.body) != data(&old) {
            if !access.execute {
                return Err(fault::denied("execute", &path));
            }
            let restored = data(&version.body).unwrap_or_else(|| Value::Dict(Dict::new()));
            body.set_field(DATA, restored);
        }
        if access.own {
            body.display_name.clone_from(&version.body.display_name);
            body.description.clone_from(&version.body.description);
        } else if (&body.display_name, &body.description)
            != (&version.body.display_name, &version.body.description)
        {
            return Err(fault::denied("owner", &path));
        }
        if body == old {
            return Err(Fault::new(Kind::Exists, message!("history.same", rev = rev.0)));
        }
        let mut head = before.clone();
        head.as_file = Head::new(id, version.head).as_file;
        head.updated = self.now;
        head.mtime = self.now;
        head.ctime = self.now;
        head.says_more = self.says_more(&head, &body, &def, entry.suffix.as_deref())?;
        self.save(Some((&before, &old)), &mut head, &body, &def)?;
        self.change_entry(&head, &entry, None)?;
        self.tell_at(&head, What::Content)?;
        self.tried();
        Ok(())
    }
}
