//! Incidents (rule: `tree/incidents`).

use kompira_schema::error::Fault;
use kompira_schema::error::Problem;
use kompira_schema::id::{IncidentId, UserId};
use kompira_schema::limits::ELEMENTS_MAX;
use kompira_schema::message;
use kompira_schema::value::Ref;

use super::list::missing;
use super::schedule::{at, check_name, check_text};
use super::{Incident, IncidentDraft, IncidentPatch, IncidentStatus, WorkLog};
use crate::audit::{Class, Verb};
use crate::store::{Counter, What};
use crate::tree::fault;
use crate::tree::txn::Txn;

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Creates an incident; every user may.
    pub fn create_incident(&mut self, draft: IncidentDraft) -> Result<IncidentId, Fault> {
        self.trying(Class::Incident, Verb::Create, |_| at("/incident"));
        let name = draft.name.clone();
        self.trying_with("create_name", || name.as_str().into());
        let id = IncidentId(self.store_id(Counter::Incident)?);
        let row = Incident {
            id,
            name: String::new(),
            device: String::new(),
            service: String::new(),
            owner: self.caller().user,
            status: IncidentStatus::Opened,
            created: self.now(),
            closed: None,
            worklogs: Vec::new(),
            alerts: draft.alerts,
        };
        let mut patch = draft.rest;
        patch.name = Some(draft.name);
        let row = self.patched_incident(row, patch)?;
        self.put_special(Ref::Incident(id), &row, What::Created)?;
        self.tried();
        Ok(id)
    }

    /// Changes an incident; every user may. Closing sets the time, reopening takes it away.
    pub fn update_incident(&mut self, id: IncidentId, patch: IncidentPatch) -> Result<(), Fault> {
        let before = self.tried_incident(id, Verb::Update)?;
        let row = self.patched_incident(before.clone(), patch)?;
        if row != before {
            self.put_special(Ref::Incident(id), &row, What::Record)?;
        }
        self.tried();
        Ok(())
    }

    /// Adds an entry to the log of an incident; without a user it is the caller's. The number of
    /// the entry.
    pub fn add_worklog(
        &mut self,
        id: IncidentId,
        user: Option<UserId>,
        description: &str,
    ) -> Result<WorkLog, Fault> {
        let mut row = self.tried_incident(id, Verb::Update)?;
        let user = user.unwrap_or_else(|| self.caller().user);
        let mut problems: Vec<Problem> = self.check_user("user", user).into_iter().collect();
        problems.extend(check_name("description", description).filter(|_| description.is_empty()));
        problems.extend(check_text("description", description));
        if row.worklogs.len() >= ELEMENTS_MAX {
            let count = row.worklogs.len();
            let message = message!("special.too_many", count = count, max = ELEMENTS_MAX);
            problems.push(Problem { at: "worklogs".into(), message });
        }
        if !problems.is_empty() {
            return Err(Fault::invalid(problems));
        }
        let entry = WorkLog {
            id: row.worklogs.last().map_or(1, |last| last.id + 1),
            user,
            description: description.to_owned(),
            created: self.now(),
        };
        row.worklogs.push(entry.clone());
        self.put_special(Ref::Incident(id), &row, What::Record)?;
        self.tried();
        Ok(entry)
    }

    /// Deletes an incident: its owner and privileged callers.
    pub fn delete_incident(&mut self, id: IncidentId) -> Result<(), Fault> {
        let row = self.tried_incident(id, Verb::Delete)?;
        if row.owner != self.caller().user && !self.is_privileged() {
            return Err(fault::denied("privilege", &format!("/incident/id_{id}")));
        }
        self.remove_special(Ref::Incident(id));
        self.tried();
        Ok(())
    }

    fn tried_incident(&mut self, id: IncidentId, verb: Verb) -> Result<Incident, Fault> {
        let path = format!("/incident/id_{id}");
        self.trying(Class::Incident, verb, |_| at(&path));
        self.incident(id)?.ok_or_else(|| missing(&path))
    }

    fn patched_incident(&self, mut row: Incident, patch: IncidentPatch) -> Result<Incident, Fault> {
        let mut problems = Vec::new();
        if let Some(name) = patch.name {
            problems.extend(check_name("name", &name));
            row.name = name;
        }
        for (field, place, text) in [
            ("device", &mut row.device, patch.device),
            ("service", &mut row.service, patch.service),
        ] {
            if let Some(text) = text {
                problems.extend(check_text(field, &text));
                *place = text;
            }
        }
        if let Some(owner) = patch.owner.filter(|owner| *owner != row.owner) {
            problems.extend(self.check_user("owner", owner));
            row.owner = owner;
        }
        if let Some(status) = patch.status {
            row.status = status;
            row.closed = match status {
                IncidentStatus::Closed => row.closed.or_else(|| Some(self.now())),
                IncidentStatus::Opened | IncidentStatus::Working => None,
            };
        }
        if problems.is_empty() { Ok(row) } else { Err(Fault::invalid(problems)) }
    }
}
