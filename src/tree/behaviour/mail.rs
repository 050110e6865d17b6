//! Mail servers and mail channels: rules between their fields (rule: `tree/mail-servers`).

use kompira_schema::error::{Fault, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::value::{Dict, Value};

use super::channel::Channel;
use super::{Behaviour, Saving};
use crate::tree::model::{Object, Stub};
use crate::tree::txn::Txn;
use crate::tree::view::View;

pub(super) struct SmtpServer;

impl Behaviour for SmtpServer {
    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        let mut problems = provider(saving);
        if is_on(saving, "use_tls") && is_on(saving, "use_ssl") {
            let message = message!("mail.tls_and_ssl");
            problems.push(Problem { at: "use_ssl".into(), message });
        }
        told(saving, problems)
    }

    fn after_delete(&self, txn: &mut Txn, id: ObjectId) -> Result<(), Fault> {
        txn.drop_tokens(id);
        Ok(())
    }
}

/// A channel that is fed from a mailbox.
pub(super) struct MailChannel;

impl Behaviour for MailChannel {
    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        let problems = provider(saving);
        told(saving, problems)
    }

    fn after_read(&self, view: &View, object: &mut Object) -> Result<(), Fault> {
        Channel.after_read(view, object)?;
        let log = view.mail_log(object.id())?;
        if !log.is_empty() {
            object.fields.insert("log".to_owned(), log.into());
        }
        Ok(())
    }

    fn properties(&self, view: &View, stub: &Stub) -> Result<Dict, Fault> {
        Channel.properties(view, stub)
    }

    fn after_copy(&self, txn: &mut Txn, from: ObjectId, to: ObjectId) -> Result<(), Fault> {
        Channel.after_copy(txn, from, to)
    }

    fn after_delete(&self, txn: &mut Txn, id: ObjectId) -> Result<(), Fault> {
        Channel.after_delete(txn, id)?;
        txn.drop_tokens(id);
        txn.drop_mails(id)
    }
}

fn is_on(saving: &Saving<'_>, field: &str) -> bool {
    saving.fields.get(field) == Some(&Value::Bool(true))
}

/// `use_oauth2` needs to know with whom.
fn provider(saving: &Saving<'_>) -> Vec<Problem> {
    let given = matches!(saving.fields.get("oauth2_provider"), Some(Value::Object(_)));
    if !is_on(saving, "use_oauth2") || given {
        return Vec::new();
    }
    let message = message!("mail.no_provider");
    vec![Problem { at: "oauth2_provider".into(), message }]
}

fn told(saving: &Saving<'_>, problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() || saving.lenient { Ok(()) } else { Err(problems) }
}
