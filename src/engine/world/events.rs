//! Looking for events (rule: `operations/events`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ProcessId;
use kompira_schema::value::{Ref, Value as Plain};

use super::World;
use crate::engine::row::{self, Row};
use crate::engine::vm::request::{Awaited, Received, Source};
use crate::store::Family;

impl World<'_> {
    /// The first event that is there; with `due`, what is late counts as a time-out.
    pub(in crate::engine) fn poll(
        &mut self,
        awaited: &[Awaited],
        due: bool,
    ) -> Result<Option<Received>, Fault> {
        for (alternative, one) in awaited.iter().enumerate() {
            let received = |source: usize, status: i64, message: Plain, id: Option<u64>| Received {
                alternative,
                source,
                status,
                message,
                id,
                error: String::new(),
            };
            if one.always {
                return Ok(Some(received(0, 0, Plain::Null, None)));
            }
            for (place, source) in one.sources.iter().enumerate() {
                match *source {
                    Source::Reference(Ref::Process(id)) => {
                        if self.has_ended(id)? {
                            let message = Plain::Object(Ref::Process(id));
                            return Ok(Some(received(place, 0, message, Some(id.0))));
                        }
                    }
                    Source::Reference(Ref::Object(channel)) => match self.receive(channel, one)? {
                        None => {}
                        Some(Ok((id, message))) => {
                            return Ok(Some(received(place, 0, message, Some(id))));
                        }
                        Some(Err(error)) => {
                            let lost = received(place, -1, Plain::Null, None);
                            return Ok(Some(Received { error, ..lost }));
                        }
                    },
                    Source::Reference(_) | Source::Queue(_) => {
                        let lost = received(place, -1, Plain::Null, None);
                        let error = "this source of events is not available yet".to_owned();
                        return Ok(Some(Received { error, ..lost }));
                    }
                }
            }
        }
        // The earliest deadline is the one that was set.
        let now = self.inner.now();
        let late = awaited
            .iter()
            .enumerate()
            .filter_map(|(alternative, one)| Some((one.deadline?, alternative)))
            .min()
            .filter(|(deadline, _)| due || *deadline <= now);
        Ok(late.map(|(_, alternative)| Received {
            alternative,
            source: 0,
            status: 1,
            message: Plain::Null,
            id: None,
            error: String::new(),
        }))
    }

    fn has_ended(&self, id: ProcessId) -> Result<bool, Fault> {
        let key = row::process_key(id);
        let row: Option<Row> =
            row::read(Family::Process, &key, self.txn.raw_get(Family::Process, &key)?)?;
        Ok(row.is_none_or(|row| !row.status.is_active()))
    }

    /// Takes a message of a channel; an error ends the wait as lost.
    fn receive(
        &mut self,
        channel: kompira_schema::id::ObjectId,
        awaited: &Awaited,
    ) -> Result<Option<Result<(u64, Plain), String>>, Fault> {
        if awaited.guard.is_some() || awaited.peek {
            let error = "guards and peek_mode are not available yet".to_owned();
            return Ok(Some(Err(error)));
        }
        match self.txn.queue_pop(channel, 0) {
            Ok((id, message)) => {
                self.said.writes += 1;
                Ok(Some(Ok((id, message))))
            }
            Err(fault) if fault.kind() == Kind::NoMessage => Ok(None),
            Err(fault)
                if matches!(fault.kind(), Kind::NotFound | Kind::Denied | Kind::NoMethod) =>
            {
                Ok(Some(Err(super::explain(&fault, &self.path(channel)))))
            }
            Err(fault) => Err(fault),
        }
    }
}
