//! Schedules (rule: `tree/schedules`).

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::{ObjectId, ScheduleId, UserId};
use kompira_schema::limits::{DESCRIPTION_MAX, ELEMENTS_MAX};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::types::Executable;
use kompira_schema::value::Ref;

use super::list::missing;
use super::{Calendar, Schedule, ScheduleDraft, SchedulePatch, Times, Unit};
use crate::audit::{Class, Target, Verb};
use crate::store::{Counter, What};
use crate::tree::fault;
use crate::tree::txn::Txn;
use crate::tree::view::View;

/// Characters of a name or title.
pub(super) const NAME_CHARS_MAX: usize = 1024;

impl View {
    /// The coming runs of a schedule, at most `count`; none while it is switched off.
    #[must_use]
    pub fn upcoming_runs(&self, schedule: &Schedule, count: usize) -> Vec<Timestamp> {
        self.runs_after(schedule, self.inner.clock.now(), count)
    }

    /// The runs of a schedule after an instant, at most `count`; none while it is switched off.
    #[must_use]
    pub fn runs_after(
        &self,
        schedule: &Schedule,
        after: Timestamp,
        count: usize,
    ) -> Vec<Timestamp> {
        if schedule.disabled {
            return Vec::new();
        }
        Calendar::parse(&schedule.times)
            .map(|calendar| calendar.upcoming(after, &self.zone(), count))
            .unwrap_or_default()
    }

    /// Whether the schedule's user may run its job now: the user is active, the job is there, can
    /// be run, and the user has the right to. Else a run is left out.
    ///
    /// # Errors
    /// Why it cannot run: [`Kind::NotFound`], [`Kind::NoMethod`], [`Kind::Denied`].
    pub fn check_run(&self, schedule: &Schedule) -> Result<(), Fault> {
        let active = self.user(schedule.user).is_some_and(|user| user.active);
        if !active {
            let name = self.user_name(schedule.user);
            return Err(Fault::new(Kind::Denied, message!("schedule.inactive_user", user = name)));
        }
        let head = self.object_head(schedule.job)?;
        let path = self.path_of(schedule.job).map(|path| path.to_string()).unwrap_or_default();
        if !self.is_job(head.type_id)? {
            return Err(Fault::new(Kind::NoMethod, message!("schedule.no_job", path = path)));
        }
        let access = self.access_as(schedule.user, schedule.job)?;
        if access.execute { Ok(()) } else { Err(fault::denied("execute", &path)) }
    }

    fn access_as(&self, user: UserId, id: ObjectId) -> Result<crate::auth::Access, Fault> {
        let who = Caller {
            user,
            interface: kompira_schema::tree::Interface::Engine,
            remote: None,
            process: None,
            request: "scheduler".into(),
            exec: None,
        };
        self.access(&who, id)
    }

    /// Whether objects of a type can be run as a job.
    fn is_job(&self, type_id: ObjectId) -> Result<bool, Fault> {
        Ok(self.type_def(type_id)?.executable == Executable::Yes)
    }
}

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Creates a schedule; without a user it runs as the caller.
    pub fn create_schedule(&mut self, draft: ScheduleDraft) -> Result<ScheduleId, Fault> {
        self.trying(Class::Schedule, Verb::Create, |_| at("/scheduler"));
        let name = draft.name.clone();
        self.trying_with("create_name", || name.as_str().into());
        let id = ScheduleId(self.store_id(Counter::Schedule)?);
        let mut times = Times::default();
        if let Some(once) = draft.once {
            times = Times::once(once, &self.zone());
        }
        let blank = Schedule {
            id,
            name: String::new(),
            description: String::new(),
            user: self.caller().user,
            job: ObjectId(0),
            parameters: Vec::new(),
            times,
            disabled: false,
            since: self.now(),
        };
        let mut patch = draft.rest;
        patch.name = Some(draft.name);
        patch.job = draft.job.or(patch.job);
        if draft.once.is_some() {
            patch.times.clear();
        }
        if patch.job.is_none() {
            let problem = Problem { at: "job".into(), message: message!("field.required") };
            return Err(Fault::invalid(vec![problem]));
        }
        let empty = patch.times.iter().all(|(_, text)| text.is_empty()) && draft.once.is_none();
        let before = (draft.times_later && empty).then(|| blank.clone());
        let row = self.patched_schedule(blank, patch, before.as_ref())?;
        self.put_special(Ref::Schedule(id), &row, What::Created)?;
        self.tried();
        Ok(id)
    }

    /// Changes a schedule: its user and privileged callers.
    pub fn update_schedule(&mut self, id: ScheduleId, patch: SchedulePatch) -> Result<(), Fault> {
        let row = self.own_schedule(id, Verb::Update)?;
        let before = row.clone();
        let row = self.patched_schedule(row, patch, Some(&before))?;
        if row != before {
            self.put_special(Ref::Schedule(id), &row, What::Record)?;
        }
        self.tried();
        Ok(())
    }

    /// Deletes a schedule: its user and privileged callers. What it started goes on.
    pub fn delete_schedule(&mut self, id: ScheduleId) -> Result<(), Fault> {
        self.own_schedule(id, Verb::Delete)?;
        self.remove_special(Ref::Schedule(id));
        self.tried();
        Ok(())
    }

    fn own_schedule(&mut self, id: ScheduleId, verb: Verb) -> Result<Schedule, Fault> {
        let path = format!("/scheduler/id_{id}");
        self.trying(Class::Schedule, verb, |_| at(&path));
        let row = self.schedule(id)?;
        let row = row.ok_or_else(|| missing(&path))?;
        if row.user != self.caller().user && !self.is_privileged() {
            return Err(fault::denied("privilege", &path));
        }
        Ok(row)
    }

    fn patched_schedule(
        &self,
        mut row: Schedule,
        patch: SchedulePatch,
        before: Option<&Schedule>,
    ) -> Result<Schedule, Fault> {
        let mut problems = Vec::new();
        if let Some(name) = patch.name {
            problems.extend(check_name("name", &name));
            row.name = name;
        }
        if let Some(text) = patch.description {
            problems.extend(check_text("description", &text));
            row.description = text;
        }
        if let Some(user) = patch.user.filter(|user| *user != row.user) {
            if !self.is_privileged() {
                return Err(fault::denied("privilege", &format!("/config/user/id_{user}")));
            }
            problems.extend(self.check_user("user", user));
            row.user = user;
        }
        if let Some(job) = patch.job.filter(|job| *job != row.job) {
            problems.extend(self.check_job(job)?);
            row.job = job;
        }
        if let Some(parameters) = patch.parameters {
            let size: usize = parameters.iter().map(String::len).sum();
            if parameters.len() > ELEMENTS_MAX {
                let count = parameters.len();
                let message = message!("special.too_many", count = count, max = ELEMENTS_MAX);
                problems.push(Problem { at: "parameters".into(), message });
            } else if size > DESCRIPTION_MAX {
                let message = message!("special.too_long", count = size, max = DESCRIPTION_MAX);
                problems.push(Problem { at: "parameters".into(), message });
            }
            row.parameters = parameters;
        }
        for (unit, text) in patch.times {
            row.times.set(unit, text);
        }
        row.disabled = patch.disabled.unwrap_or(row.disabled);
        if before.is_none_or(|before| before.times != row.times || before.disabled != row.disabled)
        {
            if let Err(found) = Calendar::parse(&row.times) {
                problems.extend(found);
            }
            row.since = self.now();
        }
        if problems.is_empty() { Ok(row) } else { Err(Fault::invalid(problems)) }
    }

    fn check_job(&self, job: ObjectId) -> Result<Option<Problem>, Fault> {
        let head = self.object_head(job)?;
        let path = self.path_of(job).map(|path| path.to_string()).unwrap_or_default();
        let access = self.access_of(self.caller(), &head)?;
        if !access.read {
            return Err(fault::denied("read", &path));
        }
        if self.is_job(head.type_id)? {
            return Ok(None);
        }
        let message = message!("schedule.no_job", path = path);
        Ok(Some(Problem { at: "job".into(), message }))
    }

    pub(super) fn check_user(&self, field: &str, user: UserId) -> Option<Problem> {
        let message = message!("user.missing", id = user);
        self.user(user).is_none().then(|| Problem { at: field.into(), message })
    }
}

impl SchedulePatch {
    /// Sets a part of the expression.
    #[must_use]
    pub fn at(mut self, unit: Unit, text: &str) -> Self {
        self.times.push((unit, text.to_owned()));
        self
    }
}

/// A name is a line of text, not empty.
pub(super) fn check_name(field: &str, text: &str) -> Option<Problem> {
    let count = text.chars().count();
    let message = if text.trim().is_empty() {
        message!("field.required")
    } else if count > NAME_CHARS_MAX {
        message!("special.too_long", count = count, max = NAME_CHARS_MAX)
    } else {
        return None;
    };
    Some(Problem { at: field.into(), message })
}

/// A longer text.
pub(super) fn check_text(field: &str, text: &str) -> Option<Problem> {
    let count = text.len();
    let message = message!("special.too_long", count = count, max = DESCRIPTION_MAX);
    (count > DESCRIPTION_MAX).then(|| Problem { at: field.into(), message })
}

/// A special object or its root, for the audit.
pub(super) fn at(path: &str) -> Target {
    Target { path: Some(path.to_owned()), kind: None }
}
