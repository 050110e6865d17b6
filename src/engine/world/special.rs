//! Special objects: processes, users, groups (rule: `operations/process-properties`).

use kompira_schema::error::Kind;
use kompira_schema::id::{GroupId, IncidentId, ProcessId, ScheduleId, TaskId, UserId};
use kompira_schema::value::{Ref, Value as Plain};

use super::World;
use crate::engine::console;
use crate::engine::process::{Modes, Monitoring, Status};
use crate::engine::row::{self, Row};
use crate::engine::slot::Order;
use crate::engine::vm::heap::{Function, Receiver};
use crate::engine::vm::{Handle, Heap, Raise, Value};
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

    /// The entries of a virtual container.
    pub(super) fn list_special(&mut self, path: &str) -> Result<Option<Vec<Handle>>, Raise> {
        Ok(match path {
            "/config/user" => {
                Some(self.txn.users().iter().map(|user| Ref::User(user.id).into()).collect())
            }
            "/config/group" => {
                Some(self.txn.groups().iter().map(|group| Ref::Group(group.id).into()).collect())
            }
            "/process" => {
                let mine = (!self.txn.privileged(self.who.user)).then_some(self.who.user);
                let mut found = Vec::new();
                let range = row::processes_before(None);
                self.txn
                    .snapshot()
                    .scan(
                        Family::Process,
                        &range,
                        crate::store::Direction::Forward,
                        &mut |key, bytes| {
                            let row: Option<Row> =
                                crate::store::codec::unpack(Family::Process, key, bytes).ok();
                            if let (Some(row), Some((id, _))) =
                                (row, crate::store::keys::split_u64(key))
                                && mine.is_none_or(|mine| mine == row.user)
                            {
                                found.push(Ref::Process(ProcessId(id)).into());
                            }
                            std::ops::ControlFlow::Continue(())
                        },
                    )
                    .map_err(|fault| self.raise(&fault, path))?;
                Some(found)
            }
            _ => None,
        })
    }

    fn process_row(&mut self, id: ProcessId) -> Result<Row, Raise> {
        let path = format!("/process/id_{id}");
        // A running one's last committed record is a turn old; memory knows no more.
        let key = row::process_key(id);
        let bytes =
            self.txn.raw_get(Family::Process, &key).map_err(|fault| self.raise(&fault, &path))?;
        let row: Option<Row> =
            row::read(Family::Process, &key, bytes).map_err(|fault| self.raise(&fault, &path))?;
        let row = row.ok_or_else(|| Raise::new(format!("object not found: {path}")))?;
        if row.user != self.who.user && !self.txn.privileged(self.who.user) {
            return Err(Raise::new(format!("permission denied: {path}")));
        }
        Ok(row)
    }

    /// `special.name`.
    pub(super) fn special(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
    ) -> Result<Value, Raise> {
        match target.reference() {
            Some(Ref::Process(id)) => self.process_property(heap, target, id, name),
            Some(Ref::User(id)) => self.user_property(heap, id, name),
            Some(Ref::Group(id)) => {
                let group = self.txn.group(id).ok_or_else(|| Raise::attribute(name))?;
                match name {
                    "name" => Ok(heap.str(group.name.as_str())),
                    "is_ldap_group" => Ok(Value::Bool(group.ldap)),
                    "users" => {
                        let users = self.txn.members(id);
                        let users = users.iter().map(|user| Ref::User(user.id).into()).collect();
                        Ok(heap.array(users))
                    }
                    _ => Err(Raise::attribute(name)),
                }
            }
            _ => Err(Raise::attribute(name)),
        }
    }

    fn user_property(&mut self, heap: &mut Heap, id: UserId, name: &str) -> Result<Value, Raise> {
        let user = self.txn.user(id).ok_or_else(|| Raise::attribute(name))?;
        Ok(match name {
            "id" => number(id.0),
            "username" => heap.str(user.username.as_str()),
            "first_name" => heap.str(user.first_name.as_str()),
            "last_name" => heap.str(user.last_name.as_str()),
            "full_name" => heap.str(format!("{} {}", user.first_name, user.last_name).trim()),
            "email" => heap.str(user.email.as_str()),
            "environment" => user.environment.map_or(Value::Null, Value::from),
            "home_directory" => user.home.map_or(Value::Null, Value::from),
            "groups" => {
                let groups = self.txn.groups_of(id);
                heap.array(groups.into_iter().map(|group| Ref::Group(group).into()).collect())
            }
            "is_active" => Value::Bool(user.active),
            "is_ldap_user" => Value::Bool(user.ldap),
            "enable_restapi" => Value::Bool(user.token_hash.is_some()),
            "last_login" => match user.last_login {
                Some(at) => heap.import(&Plain::Datetime(at)),
                None => Value::Null,
            },
            _ => return Err(Raise::attribute(name)),
        })
    }

    fn process_property(
        &mut self,
        heap: &mut Heap,
        target: Handle,
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
            // It is being asked by itself, so it runs; its record is that of the last turn.
            "status" if id == self.slot.id => heap.str(Status::Running.word()),
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
                let text = console::read(self.txn.snapshot(), id, 0)
                    .map_err(|fault| self.raise(&fault, "console"))?;
                heap.str(text.text)
            }
            "schedule" => info.schedule.map_or(Value::Null, |id| Ref::Schedule(id).into()),
            "invoker" => object(info.invoker),
            "parent" => info.parent.map_or(Value::Null, |id| Ref::Process(id).into()),
            "children" => heap.lazy(super::query::process_children(id)),
            "checkpoint_mode" => Value::Bool(info.checkpoint_mode),
            "step_mode" => Value::Bool(info.step_mode),
            "monitoring_mode" => heap.str(info.monitoring_mode.word()),
            "delete" => heap.function(Function::Method(Receiver(target.into()), "delete".into())),
            _ => return Err(Raise::attribute(name)),
        })
    }

    /// `[value >> special.name]`.
    pub(super) fn put_special(
        &mut self,
        target: Handle,
        name: &str,
        value: &Plain,
    ) -> Result<(), Raise> {
        let Some(Ref::Process(id)) = target.reference() else { return Err(Raise::attribute(name)) };
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
        // Modes are the engine's own: they take effect at the next turn of that process.
        if let Some(slot) = self.inner.slot(id) {
            self.inner.order(&slot, order);
        }
        Ok(())
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
