//! Reading, listing and searching special objects (rules: `tree/special-find`,
//! `tree/special-visibility`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{GroupId, IncidentId, ObjectId, ScheduleId, TaskId, UserId};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::types::{Special, SpecialProperty, special};
use kompira_schema::validate::time;
use kompira_schema::value::{Dict, Ref, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Incident, Schedule, Task};
use crate::store::codec::unpack;
use crate::store::{self, Changed, What, keys};
use crate::tree::query::{Lookup, Scalar, Test, bad, scalars};
use crate::tree::txn::Txn;
use crate::tree::view::View;

/// A family of special objects whose rows are the tree's (processes are the engine's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `/scheduler`.
    Schedule,
    /// `/incident`.
    Incident,
    /// `/task`.
    Task,
    /// `/config/user`.
    User,
    /// `/config/group`.
    Group,
}

impl Family {
    /// The family below a root.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/scheduler" => Self::Schedule,
            "/incident" => Self::Incident,
            "/task" => Self::Task,
            "/config/user" => Self::User,
            "/config/group" => Self::Group,
            _ => return None,
        })
    }

    /// Name in the table of special objects.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "Schedule",
            Self::Incident => "Incident",
            Self::Task => "Task",
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Whether the newest stand first when no order is asked for.
    const fn newest_first(self) -> bool {
        matches!(self, Self::Incident | Self::Task)
    }
}

/// A search among special objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpecialQuery {
    /// `attribute[__lookup]` and the value compared with, joined by AND.
    pub conditions: Vec<(String, Value)>,
    /// `a,-b`.
    pub order_by: Option<String>,
    /// How many to skip.
    pub offset: usize,
    /// How many at most.
    pub limit: Option<usize>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The page, in order.
    pub refs: Vec<Ref>,
    /// How many match in all.
    pub total: usize,
}

/// Conditions and order of a search, read against the table of a family. The engine uses it for
/// processes.
pub struct Conditions {
    tests: Vec<(String, Test)>,
    order: Vec<(String, bool)>,
    newest_first: bool,
}

impl Conditions {
    /// Reads conditions and order for a family (`Process`, `Schedule`, …).
    ///
    /// # Errors
    /// [`Kind::BadRequest`] for an unknown attribute or lookup, or a value that does not fit.
    pub fn read(
        view: &View,
        family: &str,
        conditions: &[(String, Value)],
        order_by: Option<&str>,
    ) -> Result<Self, Fault> {
        let table: &Special = special()
            .iter()
            .find(|special| special.name == family)
            .ok_or_else(|| Fault::internal("a family that the table has not"))?;
        let mut tests = Vec::new();
        for (key, value) in conditions {
            let (name, lookup) = Lookup::split(key);
            let property = table
                .properties
                .iter()
                .find(|property| property.name == name && !property.lookups().is_empty())
                .ok_or_else(|| unknown(table, key))?;
            let allowed: Vec<Lookup> =
                property.lookups().into_iter().filter_map(Lookup::named).collect();
            if !allowed.contains(&lookup) {
                return Err(lookup.refused(key, &allowed));
            }
            // The manual gives `contains` to a truth value; it can only be all of it.
            let lookup = if property.type_text == "Boolean" && lookup == Lookup::Contains {
                Lookup::Exact
            } else {
                lookup
            };
            let mut read = |value: &Value| read_value(view, property, value);
            let kind = property.type_text.as_str();
            let test = Test::new(key, lookup, &[lookup], kind, value, &mut read)?;
            tests.push((property.name.clone(), test));
        }
        let mut order = Vec::new();
        let keys = order_by.unwrap_or_default().split(',').map(str::trim);
        for key in keys.filter(|key| !key.is_empty()) {
            let (name, down) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
            let known = name == "id"
                || table
                    .properties
                    .iter()
                    .any(|property| property.name == name && !property.lookups().is_empty());
            if !known {
                return Err(unknown(table, key));
            }
            order.push((name.to_owned(), down));
        }
        let newest_first = matches!(family, "Process" | "Incident" | "Task");
        Ok(Self { tests, order, newest_first })
    }

    /// Whether properties satisfy every condition.
    #[must_use]
    pub fn accept(&self, view: &View, properties: &Dict) -> bool {
        self.tests.iter().all(|(name, test)| test.accepts(&scalars(view, properties.get(name))))
    }

    /// Whether a condition looks at this property.
    #[must_use]
    pub fn looks_at(&self, property: &str) -> bool {
        self.tests.iter().any(|(name, _)| name == property)
    }

    /// Puts rows (number, properties) in order; ties go by number.
    pub fn sort<T>(&self, view: &View, rows: &mut Vec<(u64, Dict, T)>) {
        if self.order.is_empty() {
            rows.sort_by_key(|(id, ..)| *id);
            if self.newest_first {
                rows.reverse();
            }
            return;
        }
        let keyed = |dict: &Dict| -> Vec<Option<Scalar>> {
            let first = |name: &String| scalars(view, dict.get(name)).into_iter().next();
            self.order.iter().map(|(name, _)| first(name)).collect()
        };
        let mut with: Vec<_> =
            std::mem::take(rows).into_iter().map(|row| (keyed(&row.1), row)).collect();
        with.sort_by(|(left, a), (right, b)| {
            for ((left, right), (_, down)) in left.iter().zip(right).zip(&self.order) {
                let order = crate::tree::query::compare_keys(left.as_ref(), right.as_ref());
                let order = if *down { order.reverse() } else { order };
                if order.is_ne() {
                    return order;
                }
            }
            a.0.cmp(&b.0)
        });
        rows.extend(with.into_iter().map(|(_, row)| row));
    }
}

/// The failure that a family has no such property to search and sort by.
fn unknown(table: &Special, key: &str) -> Fault {
    let known: Vec<_> = table
        .properties
        .iter()
        .filter(|property| !property.lookups().is_empty())
        .map(|property| property.name.as_str())
        .collect();
    bad(message!("find.unknown", key = key, known = known.join(", ")))
}

/// What a property is compared with. `Some(None)`: nothing that exists.
fn read_value(view: &View, property: &SpecialProperty, value: &Value) -> Option<Option<Scalar>> {
    let reference = |text: &str| view.find_reference(text, ObjectId::ROOT);
    match (property.type_text.as_str(), value) {
        ("String", Value::Str(text)) => Some(Some(Scalar::Text(text.clone()))),
        ("Integer", Value::Int(number)) => Some(Some(Scalar::Int(*number))),
        ("Integer", Value::Str(text)) => {
            text.trim().parse().ok().map(|number| Some(Scalar::Int(number)))
        }
        ("Boolean", Value::Bool(truth)) => Some(Some(Scalar::Bool(*truth))),
        ("Boolean", Value::Str(text)) => match text.as_str() {
            "true" | "True" | "1" => Some(Some(Scalar::Bool(true))),
            "false" | "False" | "0" => Some(Some(Scalar::Bool(false))),
            _ => None,
        },
        ("Datetime", Value::Datetime(at)) => Some(Some(Scalar::Instant(*at))),
        ("Datetime", Value::Str(text)) => {
            time::parse_datetime(text, &view.zone()).map(|at| Some(Scalar::Instant(at)))
        }
        ("User", Value::Str(name)) => {
            let user = view.user_by_name(name).map(|user| Ref::User(user.id));
            Some(user.or_else(|| reference(name)).map(Scalar::Ref))
        }
        ("Process", Value::Str(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let id = text.parse().ok().map(kompira_schema::id::ProcessId);
            Some(id.map(|id| Scalar::Ref(Ref::Process(id))))
        }
        ("User" | "Object" | "Process" | "Schedule", Value::Object(target)) => {
            Some(Some(Scalar::Ref(*target)))
        }
        ("Object" | "Process" | "Schedule", Value::Str(path)) => {
            Some(reference(path).map(Scalar::Ref))
        }
        _ => None,
    }
}

impl View {
    /// A schedule; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn schedule(&self, id: ScheduleId) -> Result<Option<Schedule>, Fault> {
        self.special_row(Ref::Schedule(id))
    }

    /// An incident.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Incident>, Fault> {
        self.special_row(Ref::Incident(id))
    }

    /// A task; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn task(&self, id: TaskId) -> Result<Option<Task>, Fault> {
        self.special_row(Ref::Task(id))
    }

    /// All schedules by number; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn schedules(&self) -> Result<Vec<Schedule>, Fault> {
        self.rows(store::Family::Special, b"s")
    }

    /// All incidents by number.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn incidents(&self) -> Result<Vec<Incident>, Fault> {
        self.rows(store::Family::Special, b"i")
    }

    /// All tasks by number; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn tasks(&self) -> Result<Vec<Task>, Fault> {
        self.rows(store::Family::Special, b"t")
    }

    /// Whether a caller sees a special object of the tree (rule: `tree/special-visibility`); one
    /// that does not exist is not seen.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn sees_special(&self, who: &Caller, target: Ref) -> Result<bool, Fault> {
        let all = self.privileged(who.user);
        Ok(match target {
            Ref::Schedule(id) => self.schedule(id)?.is_some_and(|row| all || row.user == who.user),
            Ref::Task(id) => self.task(id)?.is_some_and(|row| self.concerns(who.user, &row)),
            Ref::Incident(id) => self.incident(id)?.is_some(),
            Ref::User(id) => self.user(id).is_some(),
            Ref::Group(id) => self.group(id).is_some(),
            Ref::Object(_) | Ref::Process(_) => false,
        })
    }

    /// Finds the special objects of a family that the caller sees (rule: `tree/special-find`).
    ///
    /// # Errors
    /// [`Kind::BadRequest`] for an unknown attribute or lookup, or a value that does not fit.
    pub fn find_special(
        &self,
        who: &Caller,
        family: Family,
        query: &SpecialQuery,
    ) -> Result<Listed, Fault> {
        let order = query.order_by.as_deref();
        let conditions = Conditions::read(self, family.name(), &query.conditions, order)?;
        let mut rows = Vec::new();
        for (id, target, properties) in self.visible(who, family)? {
            if conditions.accept(self, &properties) {
                rows.push((id, properties, target));
            }
        }
        conditions.sort(self, &mut rows);
        debug_assert_eq!(conditions.newest_first, family.newest_first());
        let total = rows.len();
        let limit = query.limit.unwrap_or(usize::MAX);
        let refs =
            rows.into_iter().skip(query.offset).take(limit).map(|(_, _, target)| target).collect();
        Ok(Listed { refs, total })
    }

    fn visible(&self, who: &Caller, family: Family) -> Result<Vec<(u64, Ref, Dict)>, Fault> {
        let all = self.privileged(who.user);
        let dict = |target| Ok::<_, Fault>(self.special_properties(target)?.unwrap_or_default());
        Ok(match family {
            Family::Schedule => self
                .schedules()?
                .into_iter()
                .filter(|row| all || row.user == who.user)
                .map(|row| (row.id.0, Ref::Schedule(row.id), self.schedule_properties(&row)))
                .collect(),
            Family::Incident => self
                .incidents()?
                .into_iter()
                .map(|row| {
                    (row.id.0, Ref::Incident(row.id), super::property::incident_properties(&row))
                })
                .collect(),
            Family::Task => self
                .tasks()?
                .into_iter()
                .filter(|row| self.concerns(who.user, row))
                .map(|row| (row.id.0, Ref::Task(row.id), super::property::task_properties(&row)))
                .collect(),
            Family::User => {
                let of = |id: UserId| Ok((id.0, Ref::User(id), dict(Ref::User(id))?));
                self.users().iter().map(|user| of(user.id)).collect::<Result<_, Fault>>()?
            }
            Family::Group => {
                let groups = self.groups();
                let of = |id: GroupId| Ok((id.0, Ref::Group(id), dict(Ref::Group(id))?));
                groups.iter().map(|group| of(group.id)).collect::<Result<_, Fault>>()?
            }
        })
    }

    fn special_row<T: DeserializeOwned>(&self, target: Ref) -> Result<Option<T>, Fault> {
        let key = keys::reference(target);
        let Some(bytes) = self.reads.get(store::Family::Special, &key)? else { return Ok(None) };
        Ok(Some(unpack(store::Family::Special, &key, &bytes)?))
    }
}

impl Txn {
    pub(super) fn put_special<T: Serialize>(
        &mut self,
        target: Ref,
        row: &T,
        what: What,
    ) -> Result<(), Fault> {
        let key = keys::reference(target);
        self.raw_expect(store::Family::Special, &key);
        self.put_row(store::Family::Special, &key, row)?;
        self.tell_principal(Changed { subject: target, what, place: None, old: None });
        Ok(())
    }

    pub(super) fn remove_special(&mut self, target: Ref) {
        let key = keys::reference(target);
        self.raw_expect(store::Family::Special, &key);
        self.raw_delete(store::Family::Special, &key);
        let what = What::Removed;
        self.tell_principal(Changed { subject: target, what, place: None, old: None });
    }
}

/// There is no special object of that path.
pub(super) fn missing(path: &str) -> Fault {
    Fault::new(Kind::NotFound, message!("tree.not_found", path = path))
}
