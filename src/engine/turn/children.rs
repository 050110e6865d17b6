//! Children of `fork` and `pfor` (rule: `operations/children`).

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;

use super::{Turn, put_frame};
use crate::engine::channels;
use crate::engine::process::Status;
use crate::engine::row::{self, Row, Wait};
use crate::engine::vm::{Answer, Machine};
use crate::store::{Counter, Family, What};
use crate::tree::Txn;

impl Turn<'_> {
    /// Makes the next children, as many as there are places for. A refusal is the answer that the
    /// machine gets.
    pub(super) fn bear(
        &mut self,
        txn: &mut Txn,
        machine: &Machine,
        places: usize,
    ) -> Result<Option<Answer>, Fault> {
        let Some(Wait::Children { count, mut children }) = self.row.wait.clone() else {
            return Ok(None);
        };
        let until = count.min(children.len() + places);
        for index in children.len()..until {
            let child = match machine.child(index) {
                Ok(child) => child,
                Err(raise) if children.is_empty() => {
                    return Ok(Some(Answer::Refused(raise.message().to_owned())));
                }
                // Those that are there go on; the others count as ended abnormally.
                Err(raise) => {
                    self.console.push(&format!("{}\n", raise.message()));
                    children.resize(count, ProcessId(0));
                    break;
                }
            };
            let id = ProcessId(self.inner.tree.store().new_id(Counter::Process)?);
            let row = self.child_row(&child);
            channels::share(txn, &row.queues)?;
            let mut bytes = Vec::new();
            child.save(&mut bytes);
            put_frame(txn, id, &bytes)?;
            let key = row::process_key(id);
            txn.raw_put(Family::Process, &key, row::write(Family::Process, &key, &row)?);
            txn.raw_put(Family::Process, &row::active_key(id), Vec::new());
            txn.raw_put(Family::Process, &row::child_key(self.id(), id), Vec::new());
            txn.process_changed(id, What::Created);
            self.out.born.push(id);
            children.push(id);
        }
        self.dirty = true;
        self.row.wait = Some(Wait::Children { count, children });
        Ok(None)
    }

    fn child_row(&self, child: &Machine) -> Row {
        let now = self.inner.now();
        let mine = &self.row;
        let mut row = Row::new(mine.job, mine.user, now);
        row.current_job = Some(child.position().jobflow);
        row.status = Status::Ready;
        row.wait = None;
        row.started = Some(now);
        row.parent = Some(self.id());
        row.schedule = mine.schedule;
        row.invoker = mine.invoker;
        row.step_mode = mine.step_mode;
        row.checkpoint_mode = mine.checkpoint_mode;
        row.monitoring_mode = mine.monitoring_mode;
        // The parent's frame pins the same sources.
        row.programs.clone_from(&mine.programs);
        // And its copy of the frame may know the same channels.
        row.queues.clone_from(&mine.queues);
        row
    }

    /// All children and how many of the awaited ones ended ABORTED; one that was deleted counts.
    pub(super) fn gather(&self, txn: &Txn, children: &[ProcessId]) -> Result<Answer, Fault> {
        let mut aborted = 0;
        for &child in children {
            let key = row::process_key(child);
            let row: Option<Row> =
                row::read(Family::Process, &key, txn.raw_get(Family::Process, &key)?)?;
            aborted += u32::from(match row {
                None => true,
                Some(row) => row.parent == Some(self.id()) && row.status == Status::Aborted,
            });
        }
        let children = children.iter().copied().filter(|child| child.0 > 0).collect();
        Ok(Answer::Children { children, aborted })
    }
}
