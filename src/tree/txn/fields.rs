//! Values from outside on their way into an object.

use jiff::Zoned;
use kompira_schema::error::{Fault, Kind, Message, Problem};
use kompira_schema::id::{
    BlobHash, GroupId, IncidentId, ObjectId, ProcessId, ScheduleId, TaskId, UserId,
};
use kompira_schema::layout::content;
use kompira_schema::limits::{ATTACHMENT_MAX, BINARY_MAX, TEXT_MAX};
use kompira_schema::message;
use kompira_schema::record::{Attachment, Carrier};
use kompira_schema::types::{Access, Format, TypeDef};
use kompira_schema::validate::{Context, Outside, Source, convert_fields};
use kompira_schema::value::{Dict, FileValue, Ref, Value};

use super::Txn;
use crate::secrets::{Keys, Place};
use crate::store::INLINE_MAX;
use crate::tree::model::Content;
use crate::tree::view::View;

/// What a conversion asks the tree.
struct Doors<'a> {
    view: &'a View,
    /// The object that will hold the values.
    id: ObjectId,
    /// Where relative references start.
    base: ObjectId,
    /// Before the name of a field in the place of a password: `data.` for a Config.
    prefix: &'static str,
    /// What is stored now.
    old: &'a Dict,
    blobs: Vec<(BlobHash, Vec<u8>)>,
    failed: Option<Fault>,
}

impl Outside for Doors<'_> {
    fn reference(&mut self, text: &str) -> Option<Ref> {
        self.view.find_reference(text, self.base)
    }

    fn password(&mut self, at: &str, text: &str, verbatim: bool) -> Result<Value, Message> {
        let opened;
        let clear = if !verbatim && Keys::is_exported(text) {
            opened = self.view.inner.keys.import(text);
            opened
                .as_ref()
                .map(|clear| clear.as_str())
                .ok_or_else(|| message!("secrets.other_key"))?
        } else {
            text
        };
        if clear.is_empty() {
            return Ok(Value::Str(String::new()));
        }
        let field = format!("{}{at}", self.prefix);
        let place = Place { object: self.id, field: &field };
        self.view.inner.keys.seal(clear, place).map(Value::Sealed).map_err(|fault| {
            let told = fault.told().clone();
            self.failed = Some(fault);
            told
        })
    }

    fn attachment(&mut self, at: &str, file: Attachment) -> Result<Value, Message> {
        let kept = stored_file(self.old, at);
        if let Carrier::Data(data) = file.carrier {
            let hash = BlobHash::of(&data);
            let size = data.len() as u64;
            if size > ATTACHMENT_MAX {
                return Err(message!("file.too_large", max = ATTACHMENT_MAX));
            }
            self.blobs.push((hash, data));
            return Ok(Value::File(FileValue { name: file.name, size, hash }));
        }
        // The bytes are not here: those that are named by their hash, or those that are stored.
        if let Some(hash) = file.blake3 {
            if let Some(kept) = kept.filter(|kept| kept.hash == hash) {
                return Ok(Value::File(FileValue { name: file.name, ..kept.clone() }));
            }
            if let Ok(size) = self.view.blob_size(hash) {
                return Ok(Value::File(FileValue { name: file.name, size, hash }));
            }
        }
        match kept {
            Some(kept) => Ok(Value::File(FileValue { name: file.name, ..kept.clone() })),
            None => Ok(Value::Null),
        }
    }

    fn attached_name(&self, at: &str) -> Option<String> {
        stored_file(self.old, at).map(|kept| kept.name.clone())
    }
}

/// The File that is stored at `field`, `field[2]` or `field[key]`.
fn stored_file<'a>(old: &'a Dict, at: &str) -> Option<&'a FileValue> {
    let found = match at.split_once('[') {
        None => old.get(at)?,
        Some((field, rest)) => {
            let element = rest.strip_suffix(']')?;
            match old.get(field)? {
                Value::Array(items) => items.get(element.parse::<usize>().ok()?)?,
                Value::Dict(items) => items.get(element)?,
                _ => return None,
            }
        }
    };
    match found {
        Value::File(file) => Some(file),
        _ => None,
    }
}

/// How values come in.
#[derive(Clone, Copy)]
pub(super) struct Intake {
    pub(super) source: Source,
    pub(super) lenient: bool,
    /// Where relative references start.
    pub(super) base: ObjectId,
}

impl Intake {
    pub(super) fn new(source: Option<Source>, base: ObjectId) -> Self {
        Self { source: source.unwrap_or(Source::Language), lenient: false, base }
    }
}

impl Txn {
    /// Converts and checks fields for `id` (rule: `tree/validation`).
    pub(super) fn convert(
        &mut self,
        def: &TypeDef,
        id: ObjectId,
        fields: Dict,
        old: &Dict,
        intake: Intake,
        prefix: &'static str,
    ) -> Result<Dict, Fault> {
        if fields.is_empty() {
            return Ok(fields);
        }
        let now: Zoned = self.now.to_zoned(self.view.zone());
        let mut outside = Doors {
            view: &self.view,
            id,
            base: intake.base,
            prefix,
            old,
            blobs: Vec::new(),
            failed: None,
        };
        let mut context = Context::new(intake.source, &now, &mut outside);
        context.lenient = intake.lenient;
        let done = convert_fields(def, fields, &mut context);
        let warnings = context.warnings;
        let Doors { blobs, failed, .. } = outside;
        if let Some(fault) = failed {
            return Err(fault);
        }
        let fields = done.map_err(Fault::invalid)?;
        for (hash, bytes) in blobs {
            self.add_blob(hash, bytes)?;
        }
        self.warnings.extend(warnings);
        Ok(fields)
    }

    /// Keeps small content for this commit, stores large content now.
    pub(super) fn add_blob(&mut self, hash: BlobHash, bytes: Vec<u8>) -> Result<(), Fault> {
        if bytes.len() > INLINE_MAX {
            self.view.inner.store.blobs().put_bytes(&bytes)?;
        } else {
            self.blobs.insert(hash, bytes.into());
        }
        Ok(())
    }

    /// Small content that this transaction has added and the store does not know yet.
    #[must_use]
    pub fn added_blob(&self, hash: BlobHash) -> Option<bytes::Bytes> {
        self.blobs.get(&hash).cloned()
    }

    /// An attachment of this content.
    pub(super) fn file_value(&mut self, name: &str, content: Content) -> Result<FileValue, Fault> {
        let (hash, size) = match content {
            Content::Blob { hash, size } => (hash, size),
            Content::Inline(bytes) => {
                let hash = BlobHash::of(&bytes);
                let size = bytes.len() as u64;
                self.add_blob(hash, bytes.to_vec())?;
                (hash, size)
            }
        };
        if size > ATTACHMENT_MAX {
            let told = message!("file.too_large", max = ATTACHMENT_MAX);
            return Err(Fault::new(Kind::TooLarge, told));
        }
        Ok(FileValue { name: name.to_owned(), size, hash })
    }

    /// The field and value that file content means for a type; `as_file` when it is the
    /// attachment that an object is made from.
    pub(super) fn content_value(
        &mut self,
        def: &TypeDef,
        content: Content,
        file_name: &str,
    ) -> Result<(String, Value), Fault> {
        if let Some(field) = def.representative() {
            let limit = if def.file.format == Format::Binary { BINARY_MAX } else { TEXT_MAX };
            let bytes = self.view.read_whole(content, limit)?;
            let value = content::from_bytes(def.file.format, bytes.to_vec()).map_err(|fault| {
                let problem = Problem { at: field.name.clone(), message: fault.told().clone() };
                fault.with_problems(vec![problem])
            })?;
            return Ok((field.name.clone(), value));
        }
        let Some(field) = def.file.made_from_file.clone() else {
            return Err(Fault::new(Kind::NoMethod, message!("tree.no_content")));
        };
        Ok((field, Value::File(self.file_value(file_name, content)?)))
    }
}

impl View {
    /// The reference that a text means; `None` when there is no such thing.
    pub(in crate::tree) fn find_reference(&self, text: &str, base: ObjectId) -> Option<Ref> {
        if let Some(name) = text.strip_prefix("user:") {
            return Some(Ref::User(self.user_by_name(name)?.id));
        }
        if let Some(name) = text.strip_prefix("group:") {
            return Some(Ref::Group(self.group_by_name(name)?.id));
        }
        if let Some((root, number)) = text.rsplit_once("/id_")
            && let Ok(number) = number.parse::<u64>()
        {
            let special = match root {
                "/config/user" => self.user(UserId(number)).map(|user| Ref::User(user.id)),
                "/config/group" => self.group(GroupId(number)).map(|group| Ref::Group(group.id)),
                "/process" => Some(Ref::Process(ProcessId(number))),
                "/scheduler" => Some(Ref::Schedule(ScheduleId(number))),
                "/task" => Some(Ref::Task(TaskId(number))),
                "/incident" => Some(Ref::Incident(IncidentId(number))),
                _ => None,
            };
            if special.is_some() {
                return special;
            }
        }
        self.resolve_from(base, text).ok().map(Ref::Object)
    }

    /// Bytes of a stored blob.
    pub(in crate::tree) fn blob_size(&self, hash: BlobHash) -> Result<u64, Fault> {
        self.inner.store.blobs().size(&hash)
    }

    /// All of some content, if it is no longer than `limit`.
    pub(in crate::tree) fn read_whole(
        &self,
        content: Content,
        limit: usize,
    ) -> Result<bytes::Bytes, Fault> {
        let size = content.size();
        let size = usize::try_from(size).ok().filter(|size| *size <= limit).ok_or_else(|| {
            Fault::new(Kind::TooLarge, message!("tree.content_too_large", size = size, max = limit))
        })?;
        match content {
            Content::Inline(bytes) => Ok(bytes),
            Content::Blob { hash, .. } => self.blob_read(hash, 0, size),
        }
    }
}

fn is_system(def: &TypeDef, name: &str) -> bool {
    def.field(name).is_some_and(|field| field.access == Access::System)
}

/// Without fields that only the server writes when they come back with what a client of HTTP was
/// given; from anyone else they are refused (rule: `tree/system-fields`).
pub(super) fn writable(def: &TypeDef, fields: &Dict, source: Source) -> Result<Dict, Fault> {
    let mut fields = fields.clone();
    if source == Source::Json {
        fields.retain(|name, _| !is_system(def, name));
    }
    refuse_system(def, &fields)?;
    Ok(fields)
}

/// Fields that only the server writes may not come from a caller.
pub(super) fn refuse_system(def: &TypeDef, fields: &Dict) -> Result<(), Fault> {
    match fields.keys().find(|name| is_system(def, name)) {
        Some(name) => Err(Fault::new(Kind::Protected, message!("tree.system_field", field = name))),
        None => Ok(()),
    }
}
