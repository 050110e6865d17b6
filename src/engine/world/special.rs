//! Special objects: processes, schedules, users, groups, incidents, tasks (rules:
//! `language/special-objects`, `operations/process-properties`).

mod find;
pub(super) mod methods;
mod update;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{GroupId, IncidentId, ProcessId, ScheduleId, TaskId, UserId};
use kompira_schema::value::{Ref, Value as Plain};

use super::World;
use crate::engine::console;
use crate::engine::process::Status;
use crate::engine::row::{self, Row};
use crate::engine::vm::heap::{Function, Receiver};
use crate::engine::vm::{Handle, Heap, Host as _, Raise, Value};
use crate::store::Family;

impl World<'_> {
    /// `/process/id_7` and its like, users and groups by name too (`/config/user/root`); `None`:
    /// no such place, `Some(None)`: nobody there.
    pub(super) fn find_special(&self, path: &str) -> Option<Option<Handle>> {
        let (root, name) = path.rsplit_once('/')?;
        let number: Option<u64> = name.strip_prefix("id_").and_then(|number| number.parse().ok());
        let found = match (root, number) {
            ("/process", Some(number)) => {
                let key = row::process_key(ProcessId(number));
                let there = self.txn.raw_get(Family::Process, &key).ok().flatten().is_some();
                there.then_some(Ref::Process(ProcessId(number)))
            }
            ("/scheduler", Some(number)) => self.seen(Ref::Schedule(ScheduleId(number))),
            ("/incident", Some(number)) => self.seen(Ref::Incident(IncidentId(number))),
            ("/task", Some(number)) => self.seen(Ref::Task(TaskId(number))),
            ("/config/user", Some(number)) => self.seen(Ref::User(UserId(number))),
            ("/config/group", Some(number)) => self.seen(Ref::Group(GroupId(number))),
            ("/config/user", None) if !name.is_empty() => {
                self.txn.user_by_name(name).map(|user| Ref::User(user.id))
            }
            ("/config/group", None) if !name.is_empty() => {
                self.txn.group_by_name(name).map(|group| Ref::Group(group.id))
            }
            _ => return None,
        };
        Some(found.map(Handle::from))
    }

    fn seen(&self, target: Ref) -> Option<Ref> {
        self.txn.sees_special(&self.who, target).unwrap_or(false).then_some(target)
    }

    /// The process itself, as it is now: it runs.
    fn own_row(&self) -> Row {
        let mut row = self.own.clone();
        row.status = Status::Running;
        row.wait = None;
        row
    }

    /// Whether the user may look at a process: his own, or for privileged users.
    pub(super) fn sees_process(&self, row: &Row) -> bool {
        row.user == self.who.user || self.txn.privileged(self.who.user)
    }

    /// Whether a special object is there and the user may look at it.
    pub(super) fn sees_special(&mut self, of: Ref) -> Result<bool, Raise> {
        let seen = match of {
            Ref::Process(id) => {
                self.stored_row(id).map(|row| row.is_some_and(|row| self.sees_process(&row)))
            }
            _ => self.txn.sees_special(&self.who, of),
        };
        seen.map_err(|fault| self.raise(&fault, "a special object"))
    }

    fn process_row(&mut self, id: ProcessId) -> Result<Row, Raise> {
        if id == self.slot.id {
            let mut row = self.own_row();
            if let Some((jobflow, line)) = self.here.take() {
                (row.current_job, row.line) = (Some(jobflow), line);
            }
            return Ok(row);
        }
        let path = format!("/process/id_{id}");
        // Another running one's last committed record is a turn old; memory knows no more.
        let key = row::process_key(id);
        let bytes =
            self.txn.raw_get(Family::Process, &key).map_err(|fault| self.raise(&fault, &path))?;
        let row: Option<Row> =
            row::read(Family::Process, &key, bytes).map_err(|fault| self.raise(&fault, &path))?;
        let row = row.ok_or_else(|| Raise::new(format!("object not found: {path}")))?;
        if !self.sees_process(&row) {
            return Err(Raise::new(format!("permission denied: {path}")));
        }
        Ok(row)
    }

    /// `special.name`: a property, or a method that is called with arguments.
    pub(super) fn special(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
    ) -> Result<Value, Raise> {
        let reference = target.reference().ok_or_else(|| Raise::attribute(name))?;
        if methods::has(reference, name) {
            return Ok(heap.function(Function::Method(Receiver(target.into()), name.into())));
        }
        if let Ref::Process(id) = reference {
            return self.process_property(heap, id, name);
        }
        if let (Ref::User(id), "auth_token") = (reference, name) {
            return self.token(heap, id);
        }
        let path = self.text(target);
        let seen = self.txn.sees_special(&self.who, reference);
        if !seen.map_err(|fault| self.raise(&fault, &path))? {
            return Err(Raise::new(format!("object not found: {path}")));
        }
        let properties = self.txn.special_properties(reference);
        let properties = properties.map_err(|fault| self.raise(&fault, &path))?;
        let value = properties.and_then(|mut properties| properties.shift_remove(name));
        value.map(|value| heap.import(&value)).ok_or_else(|| Raise::attribute(name))
    }

    /// The token of a user: his own, or for privileged users.
    fn token(&mut self, heap: &mut Heap, id: UserId) -> Result<Value, Raise> {
        if id != self.who.user && !self.txn.privileged(self.who.user) {
            return Err(Raise::new(format!("permission denied: /config/user/id_{id}")));
        }
        let token = self.txn.auth_token(id).map_err(|fault| self.raise(&fault, "auth_token"))?;
        Ok(token.map_or(Value::Null, |token| heap.str(token)))
    }

    fn process_property(
        &mut self,
        heap: &mut Heap,
        id: ProcessId,
        name: &str,
    ) -> Result<Value, Raise> {
        let row = self.process_row(id)?;
        let info = row.info(id, self.inner.now());
        let object = |id: Option<kompira_schema::id::ObjectId>| id.map_or(Value::Null, Value::from);
        let at = |heap: &mut Heap, at: Option<jiff::Timestamp>| match at {
            Some(at) => heap.import(&Plain::Datetime(at)),
            None => Value::Null,
        };
        Ok(match name {
            "id" | "pid" => number(id.0),
            "abspath" => heap.str(format!("/process/id_{id}")),
            "job" => Value::from(info.job),
            "current_job" => object(info.current_job),
            "user" => Ref::User(info.user).into(),
            "status" => heap.str(info.status.word()),
            "suspended" => Value::Bool(info.suspended),
            "started_time" => at(heap, info.started),
            "finished_time" => at(heap, info.finished),
            "elapsed_time" => heap.import(&Plain::Timedelta(info.elapsed)),
            "exit_status" => info.exit_status.map_or(Value::Null, Value::Int),
            "result" => heap.import(&info.result),
            "error" => heap.import(&info.error),
            "lineno" => Value::Int(i64::from(info.line)),
            "console" => {
                let text = self.console_of(id).map_err(|fault| self.raise(&fault, "console"))?;
                heap.str(text)
            }
            "schedule" => info.schedule.map_or(Value::Null, |id| Ref::Schedule(id).into()),
            "invoker" => object(info.invoker),
            "parent" => info.parent.map_or(Value::Null, |id| Ref::Process(id).into()),
            "children" => heap.lazy(super::query::process_children(id)),
            "checkpoint_mode" => Value::Bool(info.checkpoint_mode),
            "step_mode" => Value::Bool(info.step_mode),
            "monitoring_mode" => heap.str(info.monitoring_mode.word()),
            _ => return Err(Raise::attribute(name)),
        })
    }

    /// What a process has written; of the process itself also what this turn has not stored yet.
    fn console_of(&self, id: ProcessId) -> Result<String, Fault> {
        let stored = console::read(self.txn.snapshot(), id, 0)?.text;
        if id != self.slot.id {
            return Ok(stored);
        }
        Ok(console::join(stored, [self.written, &self.said.console]))
    }

    /// Deletes a process that has ended.
    pub(super) fn delete_process(&mut self, id: ProcessId) -> Result<(), Raise> {
        self.process_row(id)?;
        let path = format!("/process/id_{id}");
        let inner = self.inner;
        crate::engine::delete::delete(inner, self.txn, id).map_err(|fault| match fault.kind() {
            Kind::Busy => Raise::new(format!("the process is active: {path}")),
            _ => self.raise(&fault, &path),
        })
    }
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
