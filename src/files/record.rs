//! Records as files: reading what was written, keeping what was refused.

use bytes::Bytes;
use kompira_schema::catalogue::Lang;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::layout::names;
use kompira_schema::layout::record;
use kompira_schema::layout::yaml::{self, Node};
use kompira_schema::limits::TEXT_MAX;
use kompira_schema::message;
use kompira_schema::record::Record;
use kompira_schema::tree::{Change, Ino, NodeKind};

use super::ask::Ask;
use super::draft::{Draft, Goal, State};
use super::place::Place;
use super::{ERRORS_MAX, Shared, WRITTEN_MAX, Written};
use crate::tree::Content;

const TYPE_KEY: &str = "type_object";
/// Largest text that is remembered as it was written.
const WRITTEN_BYTES_MAX: usize = 256 << 10;

/// Whether a file's content is a full record. A `.yaml` file with a line that begins like one is
/// taken for a record even if it is broken, so that a slip is told and not made a Text.
pub(super) fn is_record(bytes: &[u8], suffix: Option<&str>) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if suffix.is_some() {
        return text.lines().any(|line| line.starts_with("type_object:"));
    }
    matches!(yaml::parse(text), Ok(Node::Map(map)) if matches!(map.get(TYPE_KEY), Some(Node::Str(_))))
}

/// Reads a record from YAML.
pub(super) fn read_record(text: &str) -> Result<Record, Fault> {
    record::from_yaml(text).map(|(record, _)| record)
}

/// Reads a record from the bytes of a file; `given` is its type when it names none.
pub(super) fn record_text(bytes: &[u8], given: Option<&str>) -> Result<Record, Fault> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Fault::new(Kind::Invalid, message!("files.not_utf8")))?;
    let Some(given) = given else { return read_record(text) };
    let mut node = yaml::parse(text)?;
    if node == Node::Null {
        node = Node::Map(indexmap::IndexMap::new());
    }
    if let Node::Map(map) = &mut node
        && !map.contains_key(TYPE_KEY)
    {
        map.insert(TYPE_KEY.to_owned(), Node::Str(given.to_owned()));
    }
    record::from_node(node).map(|(record, _)| record)
}

impl Ask<'_> {
    /// Keeps the text of a refused save as `.NAME.rejected`, with the reason in its first line
    /// (rule: `files/rejected`).
    pub(super) fn refuse(&mut self, draft: &Draft, state: &mut State, fault: &Fault) {
        self.files.note(draft.ino, fault);
        let Some((dir, file)) = self.home(state) else { return };
        let Ok(text) = state.buffer.read(0, TEXT_MAX) else { return };
        let mut kept = format!("# {}\n", reason(fault)).into_bytes();
        kept.extend_from_slice(&text);
        state.refused = true;
        if let Err(error) = self.keep(dir, &names::rejected(&file), kept) {
            tracing::warn!(kind = error.kind().name(), file, "the refused text could not be kept");
        }
    }

    fn keep(&mut self, dir: ObjectId, file: &str, text: Vec<u8>) -> Result<(), Fault> {
        self.renew();
        let content = match text.len() {
            0..=crate::store::INLINE_MAX => Content::Inline(Bytes::from(text)),
            size => {
                let hash = self.files.tree.store().blobs().put_bytes(&text)?;
                Content::Blob { hash, size: size as u64 }
            }
        };
        let old = self.view.child(dir, file)?;
        self.commit_with(|txn| match &old {
            Some(entry) => txn.scratch_write(entry.id, None, content.clone()),
            None => txn
                .scratch_create(dir, file, NodeKind::File, None, 0o600, content.clone())
                .map(|_| ()),
        })?;
        let dir = Place::Object(dir).ino();
        self.files.told.tell(vec![match old {
            Some(entry) => Change::Content(Place::Object(entry.id).ino()),
            None => Change::Name { dir, name: file.to_owned() },
        }]);
        Ok(())
    }

    /// A later save of the same open file was good: what was refused on the way is of no use.
    pub(super) fn forget_refused(&mut self, state: &mut State) {
        state.refused = false;
        let Some(id) = state.goal.object() else { return };
        let Ok(head) = self.view.head(id) else { return };
        let file = names::rejected(&head.name);
        if let Ok(Some(entry)) = self.view.child(head.parent, &file) {
            let gone = self.commit_with(|txn| txn.scratch_delete(entry.id));
            if gone.is_ok() {
                let dir = Place::Object(head.parent).ino();
                self.files.told.tell(vec![Change::Name { dir, name: file }]);
            }
        }
    }

    /// Directory and name of the file that a draft is of.
    fn home(&self, state: &State) -> Option<(ObjectId, String)> {
        match &state.goal {
            Goal::New(new) => {
                let name = match &new.kind {
                    super::draft::NewKind::Object { name, .. } => name.as_str(),
                    super::draft::NewKind::Scratch => &new.file,
                };
                Some((new.dir, name.to_owned()))
            }
            goal => {
                let id = goal.object()?;
                match self.view.head(id) {
                    Ok(head) => Some((head.parent, head.name)),
                    Err(_) => state.home.clone(),
                }
            }
        }
    }
}

/// The reason in one line.
pub(super) fn reason(fault: &Fault) -> String {
    let mut text = kompira_schema::catalogue::render(fault.told(), Lang::En);
    for problem in fault.problems() {
        text.push_str("; ");
        text.push_str(&problem.at);
        text.push_str(": ");
        text.push_str(&kompira_schema::catalogue::render(&problem.message, Lang::En));
    }
    text.replace(['\n', '\r'], " ")
}

impl Shared {
    /// Keeps why the last operation on a node failed, for `user.kompira.last_error`.
    pub(super) fn note(&self, ino: Ino, fault: &Fault) {
        let mut errors = self.errors.lock();
        errors.retain(|(at, _)| *at != ino);
        if errors.len() >= ERRORS_MAX {
            errors.pop_front();
        }
        errors.push_back((ino, reason(fault)));
    }

    /// Keeps a text as it was written: a rename of this file over another means these bytes.
    pub(super) fn remember(&self, ino: Ino, rev: Rev, text: Bytes) {
        let Some(Place::Object(id)) = Place::of(ino) else { return };
        if text.len() > WRITTEN_BYTES_MAX {
            return;
        }
        let mut written = self.written.lock();
        written.retain(|had| had.id != id);
        if written.len() >= WRITTEN_MAX {
            written.pop_front();
        }
        written.push_back(Written { id, rev, text });
    }

    /// The text as it was written, if nobody changed the object since.
    pub(super) fn written(&self, id: ObjectId, rev: Rev) -> Option<Bytes> {
        let written = self.written.lock();
        written.iter().find(|had| had.id == id && had.rev == rev).map(|had| had.text.clone())
    }
}
