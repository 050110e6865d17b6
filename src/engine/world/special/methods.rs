//! Methods of special objects and of the places they live in (rule: `language/special-objects`).

use kompira_schema::id::ObjectId;
use kompira_schema::signature::Signature;
use kompira_schema::types::{Special, special};
use kompira_schema::value::{Ref, Value as Plain};

use super::super::World;
use super::super::method::Bound;
use super::update::parameters;
use crate::engine::vm::{Given, Handle, Heap, Raise, RefKind, Value};
use crate::tree::special::{ScheduleDraft, SchedulePatch, TaskDraft};

/// The families of special objects, by the kind of their references.
fn family(of: Ref) -> Option<&'static Special> {
    let name = match of {
        Ref::Object(_) => return None,
        Ref::Process(_) => "Process",
        Ref::Schedule(_) => "Schedule",
        Ref::User(_) => "User",
        Ref::Group(_) => "Group",
        Ref::Incident(_) => "Incident",
        Ref::Task(_) => "Task",
    };
    special().iter().find(|family| family.name == name)
}

/// Whether special objects of that kind have a method of that name.
pub(super) fn has(of: Ref, name: &str) -> bool {
    family(of).is_some_and(|family| family.methods.iter().any(|method| method.name == name))
}

/// The family that lives below a virtual container.
pub(in crate::engine::world) fn below(path: &str) -> Option<&'static Special> {
    special().iter().find(|family| family.root.path == path)
}

/// Whether special objects of that kind live there.
pub(in crate::engine::world) fn lives_in(of: Ref, place: &Special) -> bool {
    family(of).is_some_and(|family| family.name == place.name)
}

/// A method of a virtual container.
pub(in crate::engine::world) fn of_root(path: &str, name: &str) -> Option<&'static Signature> {
    below(path)?.root_methods.iter().find(|method| method.name == name)
}

impl World<'_> {
    /// Calls a method of a special object.
    pub(in crate::engine::world) fn special_method(
        &mut self,
        target: Handle,
        name: &str,
        given: &Given,
    ) -> Result<Value, Raise> {
        let reference = target.reference().filter(|&of| has(of, name));
        let reference = reference.ok_or_else(|| Raise::attribute(name))?;
        Bound::new(given, name, &[], 0)?;
        match (reference, name) {
            (Ref::Process(id), "delete") => self.delete_process(id)?,
            (Ref::Schedule(id), "delete") => {
                self.change_special(target, |txn| txn.delete_schedule(id))?;
            }
            (Ref::Incident(id), "delete") => {
                self.change_special(target, |txn| txn.delete_incident(id))?;
            }
            (Ref::Task(id), "delete") => self.change_special(target, |txn| txn.delete_task(id))?,
            (Ref::Task(id), "close") => {
                self.change_special(target, |txn| txn.submit_task(id, None))?;
            }
            _ => return Err(Raise::attribute(name)),
        }
        Ok(Value::Null)
    }

    /// `/scheduler.add(…)`, `/task.add(…)`.
    pub(in crate::engine::world) fn add_special(
        &mut self,
        heap: &mut Heap,
        dir: ObjectId,
        path: &str,
        given: &Given,
    ) -> Result<Value, Raise> {
        let root = Handle { kind: RefKind::Object, id: dir.0 };
        let signature = of_root(path, "add").ok_or_else(|| Raise::attribute("add"))?;
        let names: Vec<&str> = signature.params.iter().map(|param| param.name.as_str()).collect();
        let required = signature.params.iter().filter(|param| !param.optional).count();
        let bound = Bound::new(given, "add", &names, required)?;
        let mut values = Vec::with_capacity(names.len());
        for place in 0..names.len() {
            values.push(match bound.get(place) {
                Some(value) => heap.export(self, value)?,
                None => Plain::Null,
            });
        }
        let mut values = names.iter().copied().zip(values);
        let mut next = || values.next().unwrap_or(("", Plain::Null));
        if path == "/scheduler" {
            let draft = ScheduleDraft {
                name: text(next())?,
                job: match next() {
                    (_, Plain::Object(Ref::Object(job))) => Some(job),
                    (name, other) => return Err(wrong(name, &other)),
                },
                rest: SchedulePatch {
                    parameters: match next() {
                        (_, Plain::Null) => None,
                        (name, value) => Some(parameters(name, &value)?),
                    },
                    ..SchedulePatch::default()
                },
                times_later: true,
                once: match next() {
                    (_, Plain::Null) => None,
                    (_, Plain::Datetime(at)) => Some(at),
                    (name, other) => return Err(wrong(name, &other)),
                },
            };
            let id = self.change_special(root, |txn| txn.create_schedule(draft))?;
            return Ok(Ref::Schedule(id).into());
        }
        let mut draft = TaskDraft {
            name: text(next())?,
            title: text(next())?,
            message: text(next())?,
            ..TaskDraft::default()
        };
        let (name, users) = next();
        for user in items(name, users)? {
            match user {
                Plain::Object(Ref::User(id)) => draft.assigned_users.push(id),
                other => return Err(wrong(name, &other)),
            }
        }
        let (name, groups) = next();
        for group in items(name, groups)? {
            match group {
                Plain::Object(Ref::Group(id)) => draft.assigned_groups.push(id),
                other => return Err(wrong(name, &other)),
            }
        }
        draft.action_text = match next() {
            (_, Plain::Null) => None,
            other => Some(text(other)?),
        };
        let id = self.change_special(root, |txn| txn.create_task(draft))?;
        Ok(Ref::Task(id).into())
    }
}

fn wrong(name: &str, value: &Plain) -> Raise {
    Raise::new(format!("{name} cannot be of type {}", value.type_name()))
}

fn text((name, value): (&str, Plain)) -> Result<String, Raise> {
    match value {
        Plain::Str(text) => Ok(text),
        Plain::Null => Ok(String::new()),
        other => Err(wrong(name, &other)),
    }
}

fn items(name: &str, value: Plain) -> Result<Vec<Plain>, Raise> {
    match value {
        Plain::Array(items) => Ok(items),
        Plain::Null => Ok(Vec::new()),
        other => Err(wrong(name, &other)),
    }
}
