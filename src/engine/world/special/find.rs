//! Searches among special objects (rules: `language/special-objects`, `tree/special-find`).

use std::ops::ControlFlow;

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;
use kompira_schema::value::{Dict, Ref, Value as Plain};

use super::super::World;
use super::methods::below;
use crate::engine::row::{self, Row};
use crate::engine::vm::{Handle, Raise};
use crate::store::{Direction, Family as Table, codec, keys};
use crate::tree::special::{Conditions, Family, SpecialQuery};

impl World<'_> {
    /// The entries of a virtual container; `None`: it is none.
    pub(in crate::engine::world) fn list_special(
        &mut self,
        path: &str,
    ) -> Result<Option<Vec<Handle>>, Raise> {
        if below(path).is_none() {
            return Ok(None);
        }
        self.search_special(path, &SpecialQuery::default()).map(Some)
    }

    /// The entries of a virtual container that a query finds.
    pub(in crate::engine::world) fn search_special(
        &mut self,
        path: &str,
        query: &SpecialQuery,
    ) -> Result<Vec<Handle>, Raise> {
        let found = match Family::at(path) {
            Some(family) => {
                self.txn.find_special(&self.who, family, query).map(|listed| listed.refs)
            }
            None => self.search_processes(query),
        };
        let found = found.map_err(|fault| self.raise(&fault, path))?;
        Ok(found.into_iter().map(Handle::from).collect())
    }

    fn search_processes(&self, query: &SpecialQuery) -> Result<Vec<Ref>, Fault> {
        let order = query.order_by.as_deref();
        let conditions = Conditions::read(self.txn, "Process", &query.conditions, order)?;
        let mine = (!self.txn.privileged(self.who.user)).then_some(self.who.user);
        let snapshot = self.txn.snapshot();
        let consoles = conditions.looks_at("console");
        let mut rows = Vec::new();
        let range = row::processes_before(None);
        let plain = query.conditions.is_empty() && order.is_none();
        snapshot.try_scan::<Fault>(Table::Process, &range, Direction::Forward, |key, bytes| {
            let row: Row = codec::unpack(Table::Process, key, bytes).map_err(Fault::from)?;
            if let Some((id, _)) = keys::split_u64(key)
                && mine.is_none_or(|mine| mine == row.user)
            {
                let row = if ProcessId(id) == self.slot.id { self.own_row() } else { row };
                let mut properties = match plain {
                    true => Dict::new(),
                    false => self.process_properties(ProcessId(id), &row),
                };
                if consoles {
                    let text = self.console_of(ProcessId(id))?;
                    properties.insert("console".into(), Plain::Str(text));
                }
                // One that this turn deleted is still in the snapshot.
                if conditions.accept(self.txn, &properties)
                    && self.txn.raw_get(Table::Process, key)?.is_some()
                {
                    rows.push((id, properties, Ref::Process(ProcessId(id))));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        conditions.sort(self.txn, &mut rows);
        let limit = query.limit.unwrap_or(usize::MAX);
        Ok(rows.into_iter().skip(query.offset).take(limit).map(|(_, _, found)| found).collect())
    }

    /// What processes can be searched by.
    fn process_properties(&self, id: ProcessId, row: &Row) -> Dict {
        let info = row.info(id, self.inner.now());
        let object = |of: Option<_>| of.map_or(Plain::Null, |id| Plain::Object(Ref::Object(id)));
        let at = |at: Option<_>| at.map_or(Plain::Null, Plain::Datetime);
        let number = Plain::Int(i64::try_from(id.0).unwrap_or(i64::MAX));
        let pairs = [
            ("id", number.clone()),
            ("pid", number),
            ("abspath", format!("/process/id_{id}").into()),
            ("elapsed_time", Plain::Timedelta(info.elapsed)),
            ("exit_status", info.exit_status.map_or(Plain::Null, Plain::Int)),
            ("step_mode", Plain::Bool(info.step_mode)),
            ("checkpoint_mode", Plain::Bool(info.checkpoint_mode)),
            ("monitoring_mode", info.monitoring_mode.word().into()),
            ("job", Plain::Object(Ref::Object(info.job))),
            ("current_job", object(info.current_job)),
            ("user", Plain::Object(Ref::User(info.user))),
            ("status", info.status.word().into()),
            ("suspended", Plain::Bool(info.suspended)),
            ("started_time", at(info.started)),
            ("finished_time", at(info.finished)),
            ("lineno", Plain::Int(i64::from(info.line))),
            ("schedule", info.schedule.map_or(Plain::Null, |id| Plain::Object(Ref::Schedule(id)))),
            ("invoker", object(info.invoker)),
            ("parent", info.parent.map_or(Plain::Null, |id| Plain::Object(Ref::Process(id)))),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
