//! Logs in objects: texts that only the server writes (rule: `tree/system-fields`).

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::types::Access;
use kompira_schema::value::Value;

use super::Txn;
use crate::store::What;
use crate::tree::fault;

impl Txn {
    /// Appends lines to a text field that only the server writes. Of more than `max` bytes the
    /// oldest lines go. The time of update stays: it tells of changes by people.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Denied`] without the right to write the object.
    pub fn append_log(
        &mut self,
        id: ObjectId,
        field: &str,
        lines: &str,
        max: usize,
    ) -> Result<(), Fault> {
        let before = self.view.object_head(id)?;
        if !self.view.access_of(&self.who, &before)?.write {
            return Err(fault::denied("write", &self.view.path_text(&before)));
        }
        let def = self.view.type_def(before.type_id)?;
        if def.field(field).is_none_or(|field| field.access != Access::System) {
            return Err(Fault::internal(format_args!("{field} is no field of the server's own")));
        }
        let old = self.view.body_of(id)?;
        let (mut head, mut body) = (before.clone(), old.clone());
        let mut text = match body.field(field) {
            Some(Value::Str(text)) => text.clone(),
            _ => String::new(),
        };
        text.push_str(lines);
        if text.len() > max {
            let start = text.ceil_char_boundary(text.len() - max);
            let line = text.get(start..).and_then(|rest| rest.find('\n'));
            text.drain(..line.map_or(start, |line| start + line + 1));
        }
        body.set_field(field, Value::Str(text));
        body.fields.sort_by_key(|(name, _)| def.field_index(name).unwrap_or(usize::MAX));
        head.ctime = self.now;
        self.save(Some((&before, &old)), &mut head, &body, &def)?;
        self.tell_at(&head, What::Record)
    }
}
