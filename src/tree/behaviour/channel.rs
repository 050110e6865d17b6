//! Channel: its messages live in the family `queue`, not in its record (rule: `tree/channels`).

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::value::{Dict, Value};

use super::Behaviour;
use crate::tree::handle::Receiver;
use crate::tree::model::{Object, Stub};
use crate::tree::txn::Txn;
use crate::tree::view::View;

/// Messages and receivers that reading the object shows, the oldest.
const SHOWN_MAX: usize = 1000;

pub(super) struct Channel;

impl Behaviour for Channel {
    fn after_read(&self, view: &View, object: &mut Object) -> Result<(), Fault> {
        let waiting = view.first_receivers(object.id(), SHOWN_MAX);
        if !waiting.is_empty() && object.stub.def.field("event_queue").is_some() {
            let shown = waiting.into_iter().map(shown).collect();
            object.fields.insert("event_queue".to_owned(), Value::Array(shown));
        }
        const FIELD: &str = "message_queue";
        if object.stub.def.field(FIELD).is_some() && view.queue(object.id())?.count > 0 {
            let messages = view.messages(object.id(), SHOWN_MAX)?;
            let values = messages.into_iter().map(|(_, message)| message).collect();
            object.fields.insert(FIELD.to_owned(), Value::Array(values));
        }
        Ok(())
    }

    fn properties(&self, view: &View, stub: &Stub) -> Result<Dict, Fault> {
        let count = i64::try_from(view.queue(stub.head.id)?.count).unwrap_or(i64::MAX);
        let waiting = view.receivers(stub.head.id);
        Ok(Dict::from_iter([
            ("message_count".to_owned(), Value::Int(count)),
            ("event_count".to_owned(), Value::Int(waiting)),
        ]))
    }

    fn after_copy(&self, txn: &mut Txn, from: ObjectId, to: ObjectId) -> Result<(), Fault> {
        txn.copy_queue(from, to)
    }

    fn after_delete(&self, txn: &mut Txn, id: ObjectId) -> Result<(), Fault> {
        txn.drop_queue(id)
    }
}

/// A receiver as the field shows it: who it is, as JSON.
fn shown(receiver: Receiver) -> Value {
    let (kind, number) = match receiver {
        Receiver::Process(id) => ("process", id.0),
        Receiver::Request(number) => ("request", number),
    };
    Value::Bytes(format!("{{\"{kind}\": {number}}}").into_bytes())
}
