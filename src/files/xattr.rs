//! Extended attributes `user.kompira.*`: read by name, never listed (rule: `files/xattrs`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::message;
use kompira_schema::tree::{Change, Ino, XattrMode};

use super::ask::{Ask, invalid, never};
use super::find::Form;
use super::place::Place;
use crate::tree::{Content, Patch};

/// The kernel passes on no more.
const VALUE_MAX: usize = 65_536;

const PREFIX: &str = "user.kompira.";

fn none() -> Fault {
    Fault::new(Kind::NoAttribute, message!("files.no_attribute"))
}

impl Ask<'_> {
    pub(super) fn get_xattr(&self, ino: Ino, name: &str) -> Result<Vec<u8>, Fault> {
        let name = name.strip_prefix(PREFIX).ok_or_else(none)?;
        if name == "last_error" {
            let errors = self.files.errors.lock();
            let ino = self.files.alias(ino);
            let found = errors.iter().find(|(at, _)| *at == ino).ok_or_else(none)?;
            return Ok(found.1.clone().into_bytes());
        }
        let id = match self.place(ino)? {
            Place::Object(id) | Place::Record(id) => id,
            Place::Companion(_)
            | Place::User(_)
            | Place::Group(_)
            | Place::Process(_)
            | Place::Node(_) => return Err(none()),
        };
        if self
            .files
            .drafts
            .of(ino)
            .is_some_and(|draft| matches!(draft.state.lock().goal, super::draft::Goal::New(_)))
        {
            return Err(none());
        }
        let head = self.view.head(id)?;
        let scratch = head.type_id.0 == 0 || head.demoted;
        let text = match name {
            "id" => id.to_string(),
            "blake3" => self.hash(id)?.to_string(),
            _ if scratch => return Err(none()),
            "type" => self.view.path_of(head.type_id).ok_or_else(none)?.as_str().to_owned(),
            "owner" => self.view.user_name(head.owner),
            "display_name" => self.view.stub(self.who, id)?.display_name,
            "description" => self.view.stub(self.who, id)?.description,
            "errors" => {
                let mut report = self.view.compile_report(self.who, id)?.ok_or_else(none)?;
                report.truncate(report.floor_char_boundary(VALUE_MAX));
                report
            }
            _ => return Err(none()),
        };
        Ok(text.into_bytes())
    }

    fn hash(&self, id: ObjectId) -> Result<BlobHash, Fault> {
        let head = self.view.head(id)?;
        match self.form_of(&head)? {
            Form::Dir => Err(none()),
            Form::Yaml => Ok(BlobHash::of(&self.render(id, false, &head)?)),
            Form::Content => match self.view.content(self.who, id)? {
                Content::Inline(bytes) => Ok(BlobHash::of(&bytes)),
                Content::Blob { hash, .. } => Ok(hash),
            },
        }
    }

    pub(super) fn set_xattr(
        &mut self,
        ino: Ino,
        name: &str,
        value: &[u8],
        _mode: XattrMode,
    ) -> Result<(), Fault> {
        let Some(name) = name.strip_prefix(PREFIX) else {
            return Err(Fault::new(Kind::NoMethod, message!("files.no_attribute")));
        };
        let (Place::Object(id) | Place::Record(id)) = self.place(ino)? else { return Err(never()) };
        let text = std::str::from_utf8(value).map_err(|_| invalid())?.to_owned();
        let patch = match name {
            "display_name" => Patch { display_name: Some(text), ..Patch::default() },
            "description" => Patch { description: Some(text), ..Patch::default() },
            "owner" => {
                let user = self.view.user_by_name(&text).ok_or_else(invalid)?;
                Patch { owner: Some(user.id), ..Patch::default() }
            }
            _ => return Err(never()),
        };
        let done = self.commit_with(|txn| txn.update(id, None, patch.clone()))?;
        self.files.rebase(Place::Object(id).ino(), done.rev);
        self.files.told.tell(vec![Change::Content(Place::Record(id).ino())]);
        Ok(())
    }

    pub(super) fn remove_xattr(&mut self, ino: Ino, name: &str) -> Result<(), Fault> {
        match name.strip_prefix(PREFIX) {
            Some("description") => self.set_xattr(ino, name, b"", XattrMode::Set),
            Some("last_error") => {
                let ino = self.files.alias(ino);
                self.files.errors.lock().retain(|(at, _)| *at != ino);
                Ok(())
            }
            _ => Err(none()),
        }
    }
}
