//! Tasks (rule: `tree/tasks`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{TaskId, UserId};
use kompira_schema::message;
use kompira_schema::value::{Ref, Value};

use super::list::missing;
use super::schedule::{at, check_name, check_text};
use super::{Task, TaskDraft, TaskStatus};
use crate::audit::{Class, Verb};
use crate::store::{Counter, What};
use crate::tree::fault;
use crate::tree::txn::Txn;

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Creates a task, owned by the caller.
    pub fn create_task(&mut self, draft: TaskDraft) -> Result<TaskId, Fault> {
        self.trying(Class::Task, Verb::Create, |_| at("/task"));
        let mut problems = Vec::new();
        problems.extend(check_name("name", &draft.name));
        let action_text = draft.action_text.unwrap_or_else(|| "OK".to_owned());
        for (field, text) in
            [("title", &draft.title), ("message", &draft.message), ("action_text", &action_text)]
        {
            problems.extend(check_text(field, text));
        }
        for &user in &draft.assigned_users {
            problems.extend(self.check_user("assigned_users", user));
        }
        for &group in &draft.assigned_groups {
            if self.group(group).is_none() {
                let message = message!("group.missing", id = group);
                let at = "assigned_groups".to_owned();
                problems.push(kompira_schema::error::Problem { at, message });
            }
        }
        if !problems.is_empty() {
            return Err(Fault::invalid(problems));
        }
        let id = TaskId(self.store_id(Counter::Task)?);
        let row = Task {
            id,
            name: draft.name,
            title: draft.title,
            message: draft.message,
            action_text,
            result: Value::Null,
            status: TaskStatus::Waiting,
            owner: self.caller().user,
            assigned_users: draft.assigned_users,
            assigned_groups: draft.assigned_groups,
            created: self.now(),
            closed: None,
        };
        self.put_special(Ref::Task(id), &row, What::Created)?;
        self.tried();
        Ok(id)
    }

    /// A process begins to wait for the answer: WAITING becomes ONGOING. The task as it is then.
    pub fn offer_task(&mut self, id: TaskId) -> Result<Task, Fault> {
        let mut row = self.seen_task(id)?;
        if row.status == TaskStatus::Waiting {
            row.status = TaskStatus::Ongoing;
            self.put_special(Ref::Task(id), &row, What::Record)?;
        }
        Ok(row)
    }

    /// Answers a task: its owner, its assignees and privileged callers; `None` answers `OK`.
    pub fn submit_task(&mut self, id: TaskId, result: Option<Value>) -> Result<(), Fault> {
        self.end_task(id, TaskStatus::Done, result.unwrap_or_else(|| Value::from("OK")))
    }

    /// Gives a task up: its owner, its assignees and privileged callers.
    pub fn cancel_task(&mut self, id: TaskId) -> Result<(), Fault> {
        self.end_task(id, TaskStatus::Canceled, Value::Null)
    }

    fn end_task(&mut self, id: TaskId, status: TaskStatus, result: Value) -> Result<(), Fault> {
        self.trying(Class::Task, Verb::Update, |_| at(&format!("/task/id_{id}")));
        let mut row = self.seen_task(id)?;
        if !row.status.is_open() {
            let told = message!("task.ended", id = id, status = row.status.word());
            return Err(Fault::new(Kind::Busy, told));
        }
        row.status = status;
        row.result = result;
        row.closed = Some(self.now());
        self.put_special(Ref::Task(id), &row, What::Record)?;
        self.tried();
        Ok(())
    }

    /// Deletes a task: its owner and privileged callers. Who waits for it learns that it is gone.
    pub fn delete_task(&mut self, id: TaskId) -> Result<(), Fault> {
        let path = format!("/task/id_{id}");
        self.trying(Class::Task, Verb::Delete, |_| at(&path));
        let row = self.task(id)?.ok_or_else(|| missing(&path))?;
        if row.owner != self.caller().user && !self.is_privileged() {
            return Err(fault::denied("privilege", &path));
        }
        self.remove_special(Ref::Task(id));
        self.tried();
        Ok(())
    }

    /// A task that concerns the caller.
    fn seen_task(&self, id: TaskId) -> Result<Task, Fault> {
        let path = format!("/task/id_{id}");
        let row = self.task(id)?.ok_or_else(|| missing(&path))?;
        if self.concerns(self.caller().user, &row) {
            return Ok(row);
        }
        Err(fault::denied("read", &path))
    }
}

impl crate::tree::View {
    /// Whether a task is the user's: owner, assignee, member of an assigned group, privileged.
    pub(super) fn concerns(&self, user: UserId, task: &Task) -> bool {
        task.owner == user
            || task.assigned_users.contains(&user)
            || self.privileged(user)
            || self.groups_of(user).iter().any(|group| task.assigned_groups.contains(group))
    }
}
