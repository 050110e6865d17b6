//! Forms and the selected rows of tables (rules: `tree/forms`, `tree/table-related`).

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::validate::Source;
use kompira_schema::value::{Dict, Ref, Value};

use super::Txn;
use super::fields::Intake;
use crate::audit::{Class, Verb};
use crate::tree::model::Object;
use crate::tree::{fault, value};

/// The parameter of a form that takes the selected rows of a Table.
const OBJECTS: &str = "objects";

/// What a submission leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Submission {
    /// The values became a message of this channel, in this commit.
    Sent {
        /// The channel.
        channel: ObjectId,
        /// Number of the message.
        number: u64,
    },
    /// A process of this jobflow is to be started with these parameters.
    Start {
        /// The jobflow.
        job: ObjectId,
        /// Values by parameter.
        params: Dict,
        /// What stands as the process's invoker.
        invoker: ObjectId,
    },
}

impl Txn {
    /// Checks the values entered in a Form and sends them to its Channel, or says which process is
    /// to be started. `rows`: the rows selected in a Table, for the parameter `objects`.
    ///
    /// The caller needs read on the form, and write on the channel or execute on the jobflow.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with one problem for each value that does not fit; [`Kind::Denied`];
    /// [`Kind::NoMethod`] for what is no Form; [`Kind::NotFound`] when its target is gone.
    pub fn submit_form(
        &mut self,
        id: ObjectId,
        values: Dict,
        source: Source,
        rows: Option<&[ObjectId]>,
    ) -> Result<Submission, Fault> {
        self.trying(Class::Object, Verb::Execute, |view| view.audit_target(id));
        let form = self.view.get(&self.who, id)?;
        if self.view.builtin("Form") != Some(form.stub.head.type_id) {
            return Err(Fault::new(Kind::NoMethod, message!("form.none", path = form.stub.path)));
        }
        let Some(Value::Object(Ref::Object(target))) = form.fields.get("submitObject") else {
            return Err(Fault::new(
                Kind::NotFound,
                message!("form.no_target", path = form.stub.path),
            ));
        };
        let target = *target;
        let def = value::definition(&form.stub.head.name, &form.fields).entered();
        let now = self.now.to_zoned(self.view.zone());
        let mut all = Dict::new();
        for field in def.fields() {
            if !values.contains_key(&field.name) {
                all.insert(field.name.clone(), value::initial(field, &now));
            }
        }
        all.extend(values);
        let base = form.stub.head.parent;
        let intake = Intake { source, lenient: false, base };
        let mut converted = self.convert(&def, id, all, &Dict::new(), intake, "form.")?;
        if let Some(rows) = rows {
            let rows = rows.iter().map(|row| Value::Object(Ref::Object(*row))).collect();
            converted.insert(OBJECTS.to_owned(), Value::Array(rows));
        }
        let head = self.view.object_head(target)?;
        if self.view.builtin("Channel") == Some(head.type_id) {
            let message = Value::Dict(converted);
            // One operation, one audit entry: that of the sending.
            self.attempt = None;
            let number = self.queue_push(target, &message)?;
            return Ok(Submission::Sent { channel: target, number });
        }
        let parameters = self.runnable(target)?;
        let mut params = Dict::new();
        let mut problems = Vec::new();
        for (name, default) in parameters {
            match converted.swap_remove(&name) {
                Some(value) => {
                    params.insert(name, value);
                }
                None if default == Value::Null => {
                    let message = message!("form.no_value", parameter = name);
                    problems.push(Problem { at: name, message });
                }
                None => {}
            }
        }
        if !problems.is_empty() {
            return Err(Fault::invalid(problems));
        }
        // One operation, one audit entry: that of the process.
        self.attempt = None;
        Ok(Submission::Start { job: target, params, invoker: id })
    }

    /// What "execute" on selected rows of a Table leads to: the related jobflow gets them as its
    /// first parameter, the related form in `objects` (with `values` for its own fields).
    ///
    /// # Errors
    /// As [`Txn::submit_form`]; [`Kind::NotFound`] when the table has no related object;
    /// [`Kind::WrongType`] for a row that is not of this table.
    pub fn submit_rows(
        &mut self,
        table: ObjectId,
        rows: &[ObjectId],
        values: Dict,
        source: Source,
    ) -> Result<Submission, Fault> {
        let object: Object = self.view.get(&self.who, table)?;
        let path = object.stub.path.clone();
        let Some(Value::Object(Ref::Object(target))) = object.fields.get("relatedObject") else {
            return Err(Fault::new(Kind::NotFound, message!("table.no_related", path = path)));
        };
        for &row in rows {
            let head = self.view.object_head(row)?;
            if head.parent != table {
                return Err(fault::wrong_type(&self.view.path_text(&head), &path));
            }
        }
        let head = self.view.object_head(*target)?;
        if self.view.builtin("Form") == Some(head.type_id) {
            return self.submit_form(*target, values, source, Some(rows));
        }
        let first = self.runnable(*target)?.into_iter().next();
        let Some((first, _)) = first else {
            let told = message!("table.no_parameter", path = self.view.path_text(&head));
            return Err(Fault::new(Kind::Invalid, told));
        };
        let rows = rows.iter().map(|row| Value::Object(Ref::Object(*row))).collect();
        let params = Dict::from_iter([(first, Value::Array(rows))]);
        Ok(Submission::Start { job: *target, params, invoker: table })
    }

    /// The parameters of a jobflow that the caller may run, with their defaults.
    fn runnable(&self, job: ObjectId) -> Result<Dict, Fault> {
        let head = self.view.object_head(job)?;
        let path = self.view.path_text(&head);
        self.view.need_of(&self.who, &head, |access| access.execute, "execute")?;
        let body = self.view.body_of(job)?;
        if self.view.builtin("Jobflow") != Some(head.type_id) {
            return Err(Fault::new(Kind::NoMethod, message!("schedule.no_job", path = path)));
        }
        match body.field("parameters") {
            Some(Value::Dict(parameters)) => Ok(parameters.clone()),
            _ => Ok(Dict::new()),
        }
    }
}
