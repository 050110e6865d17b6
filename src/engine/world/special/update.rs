//! Writable properties of special objects (rule: `language/special-objects`).

use kompira_schema::error::Fault;
use kompira_schema::id::{ProcessId, UserId};
use kompira_schema::value::{Ref, Value as Plain};

use super::super::World;
use crate::engine::inner::caller;
use crate::engine::process::{Modes, Monitoring};
use crate::engine::slot::Order;
use crate::engine::vm::{Handle, Host as _, Raise};
use crate::tree::Txn;
use crate::tree::principals::UserPatch;
use crate::tree::special::{IncidentPatch, IncidentStatus, SchedulePatch, Unit};

impl World<'_> {
    /// `[value >> special.name]`.
    pub(in crate::engine::world) fn put_special(
        &mut self,
        target: Handle,
        name: &str,
        value: &Plain,
    ) -> Result<(), Raise> {
        match target.reference() {
            Some(Ref::Process(id)) => self.put_process(id, name, value),
            Some(Ref::Schedule(id)) => {
                let patch = schedule(name, value)?;
                self.change_special(target, |txn| txn.update_schedule(id, patch))
            }
            Some(Ref::User(id)) => {
                let patch = user(name, value)?;
                self.change_special(target, |txn| txn.update_user(id, patch))
            }
            Some(Ref::Incident(id)) => {
                let patch = incident(name, value)?;
                self.change_special(target, |txn| txn.update_incident(id, patch))
            }
            _ => Err(Raise::attribute(name)),
        }
    }

    /// Does something that may write to a special object, and counts it.
    pub(super) fn change_special<T>(
        &mut self,
        target: Handle,
        work: impl FnOnce(&mut Txn) -> Result<T, Fault>,
    ) -> Result<T, Raise> {
        self.said.writes += 1;
        work(self.txn).map_err(|fault| {
            let path = self.text(target);
            self.raise(&fault, &path)
        })
    }

    fn put_process(&mut self, id: ProcessId, name: &str, value: &Plain) -> Result<(), Raise> {
        let row = self.process_row(id)?;
        let wrong = || Raise::new(format!("{name} cannot be {}", value.type_name()));
        let order = match (name, value) {
            ("checkpoint_mode", Plain::Bool(on)) => {
                Order::Set(Modes { checkpoint: Some(*on), ..Modes::default() })
            }
            ("step_mode", Plain::Bool(on)) => {
                Order::Set(Modes { step: Some(*on), ..Modes::default() })
            }
            ("monitoring_mode", Plain::Str(word)) => {
                let mode = Monitoring::parse(word).ok_or_else(wrong)?;
                Order::Set(Modes { monitoring: Some(mode), ..Modes::default() })
            }
            ("user", Plain::Object(Ref::User(user))) if self.txn.privileged(self.who.user) => {
                Order::User(*user)
            }
            ("user", Plain::Object(Ref::User(_))) => {
                return Err(Raise::new(format!("permission denied: /process/id_{id}")));
            }
            ("checkpoint_mode" | "step_mode" | "monitoring_mode" | "user", _) => {
                return Err(wrong());
            }
            _ => return Err(Raise::attribute(name)),
        };
        if !row.status.is_active() {
            return Err(Raise::new(format!("the process has ended: /process/id_{id}")));
        }
        if id == self.slot.id {
            // At once: the next command already heeds them.
            self.said.writes += 1;
            match order {
                Order::Set(modes) => self.own.set(modes),
                Order::User(user) => {
                    self.own.user = user;
                    self.who = caller(user, id);
                }
                Order::Terminate | Order::Suspend | Order::Resume(_) => {}
            }
            return Ok(());
        }
        // They take effect at the next turn of that process.
        if let Some(slot) = self.inner.slot(id) {
            self.inner.order(&slot, order);
        }
        Ok(())
    }
}

fn wrong(name: &str, value: &Plain) -> Raise {
    Raise::new(format!("{name} cannot be of type {}", value.type_name()))
}

fn text(name: &str, value: &Plain) -> Result<String, Raise> {
    match value {
        Plain::Str(text) => Ok(text.clone()),
        other => Err(wrong(name, other)),
    }
}

fn some_user(name: &str, value: &Plain) -> Result<UserId, Raise> {
    match value {
        Plain::Object(Ref::User(id)) => Ok(*id),
        other => Err(wrong(name, other)),
    }
}

fn flag(name: &str, value: &Plain) -> Result<bool, Raise> {
    match value {
        Plain::Bool(on) => Ok(*on),
        other => Err(wrong(name, other)),
    }
}

/// Parameters of a schedule: each is a text in the notation of the language.
pub(super) fn parameters(name: &str, value: &Plain) -> Result<Vec<String>, Raise> {
    match value {
        Plain::Array(items) => items.iter().map(|item| text(name, item)).collect(),
        other => Err(wrong(name, other)),
    }
}

fn schedule(name: &str, value: &Plain) -> Result<SchedulePatch, Raise> {
    let mut patch = SchedulePatch::default();
    match name {
        "name" => patch.name = Some(text(name, value)?),
        "description" => patch.description = Some(text(name, value)?),
        "user" => patch.user = Some(some_user(name, value)?),
        "job" => match value {
            Plain::Object(Ref::Object(job)) => patch.job = Some(*job),
            other => return Err(wrong(name, other)),
        },
        "parameters" => patch.parameters = Some(parameters(name, value)?),
        "disabled" => patch.disabled = Some(flag(name, value)?),
        _ => {
            let unit = Unit::named(name).ok_or_else(|| Raise::attribute(name))?;
            let text = match value {
                Plain::Int(number) => number.to_string(),
                Plain::Null => String::new(),
                other => text(name, other)?,
            };
            patch.times.push((unit, text));
        }
    }
    Ok(patch)
}

fn user(name: &str, value: &Plain) -> Result<UserPatch, Raise> {
    let mut patch = UserPatch::default();
    let object = || match value {
        Plain::Null => Ok(None),
        Plain::Object(Ref::Object(id)) => Ok(Some(*id)),
        other => Err(wrong(name, other)),
    };
    match name {
        "email" => patch.email = Some(text(name, value)?),
        "environment" => patch.environment = Some(object()?),
        "home_directory" => patch.home = Some(object()?),
        "enable_restapi" => patch.enable_restapi = Some(flag(name, value)?),
        _ => return Err(Raise::attribute(name)),
    }
    Ok(patch)
}

fn incident(name: &str, value: &Plain) -> Result<IncidentPatch, Raise> {
    let mut patch = IncidentPatch::default();
    match name {
        "name" => patch.name = Some(text(name, value)?),
        "device" => patch.device = Some(text(name, value)?),
        "service" => patch.service = Some(text(name, value)?),
        "owner" => patch.owner = Some(some_user(name, value)?),
        "status" => {
            let word = text(name, value)?;
            let status = IncidentStatus::parse(&word);
            patch.status =
                Some(status.ok_or_else(|| Raise::new(format!("status cannot be {word}")))?);
        }
        _ => return Err(Raise::attribute(name)),
    }
    Ok(patch)
}
