//! Carries out an import: types, objects, fields.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use kompira_schema::error::{Fault, Kind, Message};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::layout::record;
use kompira_schema::limits;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::record::{Attachment, Carrier, Record};
use kompira_schema::tree::Caller;
use kompira_schema::types::{Container, Format, TypeDef};
use kompira_schema::validate::Source;
use kompira_schema::value::{Ref, Value};

use super::plan::{self, Planned};
use super::resolve::{At, Fitting, Pending, References};
use super::scan::{Found, read_text, unreadable};
use super::{Counters, Event, Options, Step};
use crate::secrets::Keys;
use crate::tree::{Content, Draft, Element, ImportOptions, Patch, Tree, Txn, View};

/// An import under way.
pub(super) struct Import<'a> {
    pub(super) tree: &'a Tree,
    pub(super) who: &'a Caller,
    pub(super) keys: &'a [&'a Keys],
    pub(super) options: &'a Options,
    /// Relative paths of all that is imported.
    pub(super) imported: &'a HashSet<String>,
    /// Which objects give way to one of another type.
    pub(super) replaces: Option<&'a dyn Fn(ObjectId) -> bool>,
    pub(super) counters: Counters,
    pub(super) told: &'a mut dyn FnMut(Event),
    /// Relative paths of what this run created: removed again if their fields do not fit.
    pub(super) created: HashSet<String>,
}

/// What became of an object in the first pass.
enum Place {
    /// Fields follow in the second pass.
    Written { id: ObjectId, new: bool },
    /// Left alone, with the line for the log.
    Left(String),
    /// A directory on the way: it says nothing of itself.
    Passed,
}

impl Import<'_> {
    /// Both passes; types with their fields before all others.
    pub(super) fn run(&mut self, found: &[Found], step: &mut Step<'_>) -> Result<(), Fault> {
        let order = self.order(found);
        let mut written = Vec::new();
        for &index in &order {
            let Some(one) = found.get(index) else { continue };
            let at = plan::relative(&one.path);
            match self.place(one, step) {
                Ok((Place::Written { id, new }, planned)) => {
                    if is_type(&planned) {
                        self.fill(one, &planned, id, new, step)?;
                    } else {
                        written.push((index, planned, id, new));
                    }
                }
                Ok((Place::Left(_) | Place::Passed, _)) => {}
                Err(fault) => self.fail(&at, fault),
            }
        }
        for (index, planned, id, new) in written {
            if let Some(one) = found.get(index) {
                self.fill(one, &planned, id, new, step)?;
            }
        }
        Ok(())
    }

    /// Types first, then path order; a container always stands before what is in it, and the
    /// containers of types come just in time.
    fn order(&self, found: &[Found]) -> Vec<usize> {
        let typed = |one: &Found| {
            let said = one.record.as_ref().map(|record| record.type_object.as_str());
            let said = said.map(str::to_owned).or_else(|| {
                // A type object is one YAML file: its record is the file.
                let file = one.file.as_deref().filter(|_| one.record.is_none())?;
                let text = read_text(file, limits::FIELD_TYPE_MAX as u64 * 16).ok()?;
                // Reading a record is dear: few files are types, and these say so.
                let may_be = text.contains("TypeObject");
                let (record, _) = may_be.then(|| record::from_yaml(&text).ok()).flatten()?;
                Some(record.type_object)
            });
            said.is_some_and(|path| path == TYPE_OBJECT)
        };
        let types: HashSet<usize> = found
            .iter()
            .enumerate()
            .filter(|(_, one)| typed(one))
            .map(|(index, _)| index)
            .collect();
        let above: HashSet<&[Name]> = types
            .iter()
            .filter_map(|&index| found.get(index))
            .flat_map(|one| (1..one.path.len()).filter_map(|length| one.path.get(..length)))
            .collect();
        let rank = |index: usize| {
            let path = found.get(index).map(|one| one.path.as_slice()).unwrap_or_default();
            if above.contains(path) {
                0
            } else if types.contains(&index) {
                1
            } else {
                2
            }
        };
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by_key(|&index| (rank(index), found.get(index).map(|one| &one.path)));
        order
    }

    /// First pass: the object is there, with its content and without other fields.
    fn place(&mut self, one: &Found, step: &mut Step<'_>) -> Result<(Place, Planned), Fault> {
        let relative = plan::relative(&one.path);
        let target = self.target(&one.path)?;
        let mut outcome = None;
        let mut replaced = false;
        let mut parents = Vec::new();
        let content_of = |planned: &Planned, def: &TypeDef| self.content(one, planned, def);
        step(&mut |txn| {
            parents.clear();
            replaced = false;
            let parent = self.parents(txn, one, &mut parents)?;
            let table = table_type(txn, self.who, parent)?;
            let planned = plan::plan(one, table.as_deref(), &self.references())?;
            let (type_id, def) = plan::type_of(txn, &planned.type_path)?;
            if one.dir && !def.is_container() {
                return Err(Fault::new(
                    Kind::WrongType,
                    message!("import.not_a_container_type", name = def.name),
                ));
            }
            let existing = match txn.find_path(&target)? {
                Some(id)
                    if self.replaces.is_some_and(|replaces| replaces(id))
                        && gives_way(txn, id, type_id)? =>
                {
                    txn.delete(id)?;
                    replaced = true;
                    None
                }
                existing => existing,
            };
            let place = match existing {
                None => {
                    let mut draft = self.draft(one, &planned, content_of(&planned, &def)?);
                    self.row_type(txn, &planned, &def, &mut draft);
                    let name = one.path.last().ok_or_else(|| Fault::internal("no name"))?;
                    let id = txn.create(parent, name, type_id, draft)?;
                    Place::Written { id, new: true }
                }
                Some(id) => {
                    let head = txn.head(id)?;
                    let left = self.left(&head, one, &relative, &target);
                    if let Some(place) = left {
                        outcome = Some((place, planned));
                        return Ok(());
                    }
                    if head.type_id != type_id {
                        let told = message!("import.other_type", path = target);
                        return Err(Fault::new(Kind::WrongType, told));
                    }
                    Place::Written { id, new: false }
                }
            };
            outcome = Some((place, planned));
            Ok(())
        })?;
        self.counters.created += parents.len() as u64;
        if replaced {
            let line = format!("{target}: was of another type, deleted and made anew");
            (self.told)(Event::Line(line));
        }
        let (place, planned) = outcome.ok_or_else(|| Fault::internal("a step that did not run"))?;
        for told in &planned.odd {
            self.warn(&relative, told.clone());
        }
        match &place {
            Place::Written { new: true, .. } => {
                self.created.insert(relative);
            }
            Place::Left(line) => {
                self.counters.skipped += 1;
                (self.told)(Event::Line(line.clone()));
            }
            Place::Written { .. } | Place::Passed => {}
        }
        Ok((place, planned))
    }

    /// Why an object that exists is left alone, if it is.
    fn left(
        &self,
        head: &crate::tree::Head,
        one: &Found,
        relative: &str,
        target: &ObjectPath,
    ) -> Option<Place> {
        if one.dir && one.record.is_none() {
            return Some(Place::Passed);
        }
        let config_only = self.options.update_config && one.record.is_some();
        if !self.options.overwrite {
            let line = format!("{relative}: import is skipped: \"{target}\" already exists.");
            return Some(Place::Left(line));
        }
        // The built-in types are those of this program, whatever the source says.
        let built_in = head.factory && target.as_str().starts_with("/system/types/");
        if built_in || head.factory && !self.options.restore && !config_only {
            let line = format!("{relative}: import is skipped: \"{target}\" is protected.");
            return Some(Place::Left(line));
        }
        None
    }

    /// The container of an object; missing ones are made as plain directories.
    fn parents(
        &self,
        txn: &mut Txn,
        one: &Found,
        made: &mut Vec<ObjectId>,
    ) -> Result<ObjectId, Fault> {
        let mut at = txn.resolve(&self.options.origin)?;
        let directory = plan::type_of(txn, &ObjectPath::parse(DIRECTORY)?)?.0;
        let above = one.path.len().saturating_sub(1);
        for (index, name) in one.path.iter().take(above).enumerate() {
            if let Some(child) = txn.child(at, name.as_str())?.filter(|entry| entry.is_object()) {
                at = child.id;
                continue;
            }
            let path = plan::relative(one.path.get(..=index).unwrap_or_default());
            // Its own record is in this import and failed: no plain directory stands in for it.
            if self.imported.contains(&path) && !self.created.contains(&path) {
                let told = message!("import.parent_failed", path = path);
                return Err(Fault::new(Kind::NotFound, told));
            }
            at = txn.create(at, name, directory, Draft { bare: true, ..Draft::default() })?;
            made.push(at);
        }
        Ok(at)
    }

    /// A Table prescribes the type of its rows from its first moment: they come before its fields.
    fn row_type(&self, view: &View, planned: &Planned, def: &TypeDef, draft: &mut Draft) {
        let Container::OfTypeIn(field) = &def.container else { return };
        let Some(Value::Str(text)) =
            planned.record.as_ref().and_then(|record| record.fields.get(field))
        else {
            return;
        };
        let path = self.references().absolute(text);
        if ObjectPath::parse(&path).is_ok_and(|path| view.resolve(&path).is_ok()) {
            draft.fields.insert(field.clone(), Value::Str(path));
            draft.source = Some(Source::Record);
        }
    }

    fn draft(&self, one: &Found, planned: &Planned, content: Option<Content>) -> Draft {
        Draft {
            content,
            suffix: one.suffix.clone(),
            bare: planned.record.is_none(),
            mode: one.mode,
            owner: self.options.user,
            created: planned.record.as_ref().and_then(|record| record.created),
            ..Draft::default()
        }
    }

    /// The bytes of the object's own file, with the line ends that are wanted.
    fn content(
        &self,
        one: &Found,
        planned: &Planned,
        def: &TypeDef,
    ) -> Result<Option<Content>, Fault> {
        let Some(file) = one.file.as_deref().filter(|_| planned.has_content) else {
            return Ok(None);
        };
        if def.representative().is_none() {
            return self.blob(file).map(Some);
        }
        Ok(Some(match def.file.format {
            Format::Text => {
                let text = read_text(file, limits::TEXT_MAX as u64)?;
                Content::from(self.options.linesep.apply(&text).as_ref())
            }
            _ => {
                let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
                Content::from(bytes.as_slice())
            }
        }))
    }

    fn blob(&self, file: &Path) -> Result<Content, Fault> {
        let mut open = File::open(file).map_err(|error| unreadable(file, &error))?;
        let (hash, size) = self.tree.store().blobs().put(&mut open, limits::ATTACHMENT_MAX)?;
        Ok(Content::Blob { hash, size })
    }

    /// Second pass: fields, properties, attachments. A failure counts, and removes what the first
    /// pass made.
    fn fill(
        &mut self,
        one: &Found,
        planned: &Planned,
        id: ObjectId,
        new: bool,
        step: &mut Step<'_>,
    ) -> Result<(), Fault> {
        let relative = plan::relative(&one.path);
        let target = self.target(&one.path)?;
        let mut fields = Vec::new();
        let mut warnings = Vec::new();
        let filled = step(&mut |txn| {
            (fields, warnings) = self.fill_one(txn, one, planned, id, new)?;
            Ok(())
        });
        if let Err(fault) = filled {
            self.fail(&relative, fault);
            if new {
                self.created.remove(&relative);
                step(&mut |txn| txn.delete(id))?;
            }
            return Ok(());
        }
        for told in warnings {
            self.warn(&relative, told);
        }
        let done = if new { "created" } else { "updated" };
        if new {
            self.counters.created += 1;
        } else {
            self.counters.updated += 1;
        }
        (self.told)(Event::Line(format!(
            "import object: imported \"{relative}\" to \"{target}\" ({done})"
        )));
        let names = fields.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        (self.told)(Event::Line(format!("import fields: {target}: [{names}]")));
        Ok(())
    }

    fn fill_one(
        &self,
        txn: &mut Txn,
        one: &Found,
        planned: &Planned,
        id: ObjectId,
        new: bool,
    ) -> Result<(Vec<String>, Vec<Message>), Fault> {
        let def = txn.type_def(txn.head(id)?.type_id)?;
        let mut names = Vec::new();
        if planned.has_content {
            names.extend(def.representative().map(|field| field.name.clone()));
        }
        if planned.has_content && !new {
            let content = self.content(one, planned, &def)?;
            txn.update(id, None, Patch { content, ..Patch::default() })?;
        }
        let Some(record) = &planned.record else { return Ok((names, Vec::new())) };
        let mut record = record.clone();
        let (mut warnings, pending) = self.fit(txn, &mut record, &def);
        self.owner(txn, &mut record, &mut warnings);
        names.extend(record.fields.keys().cloned());
        names.extend(pending.iter().map(|file| file.field.clone()));
        names.dedup();
        txn.apply_record(id, None::<Rev>, &record, self.record_options(new))?;
        for file in pending {
            self.attach(txn, one, id, &file, &mut warnings)?;
        }
        Ok((names, warnings))
    }

    fn fit(&self, view: &View, record: &mut Record, def: &TypeDef) -> (Vec<Message>, Vec<Pending>) {
        let mut fitting = Fitting {
            view,
            references: self.references(),
            keys: self.keys,
            warnings: Vec::new(),
            pending: Vec::new(),
        };
        fitting.record(record, def);
        record.type_object = fitting.references.absolute(&record.type_object);
        (fitting.warnings, fitting.pending)
    }

    /// Leaves in the record only an owner that is wanted and known.
    fn owner(&self, view: &View, record: &mut Record, warnings: &mut Vec<Message>) {
        let recorded = record.owner.take().filter(|_| self.options.owner_mode);
        record.owner = match recorded {
            Some(name) if view.user_by_name(&name).is_some() => Some(name),
            Some(name) => {
                warnings.push(message!("import.unknown_owner", name = name));
                self.options.user.map(|user| view.user_name(user))
            }
            None => self.options.user.map(|user| view.user_name(user)),
        };
    }

    fn record_options(&self, new: bool) -> ImportOptions {
        ImportOptions {
            owner: true,
            now_updated: self.options.now_updated,
            config_data: new || self.options.update_config,
            restore: self.options.restore || self.options.update_config,
            ..ImportOptions::default()
        }
    }

    fn attach(
        &self,
        txn: &mut Txn,
        one: &Found,
        id: ObjectId,
        pending: &Pending,
        warnings: &mut Vec<Message>,
    ) -> Result<(), Fault> {
        let content = match &pending.file.carrier {
            Carrier::Data(data) => Content::from(data.as_slice()),
            Carrier::Path(path) => {
                let name = one.path.last().map(Name::as_str).unwrap_or_default();
                match self.companion(one, path) {
                    Some(file) => self.blob(&file)?,
                    None => {
                        let field = &pending.field;
                        warnings.push(message!(
                            "import.no_attachment",
                            name = name,
                            field = field,
                            path = path
                        ));
                        return Ok(());
                    }
                }
            }
            Carrier::Ref(_) | Carrier::Omitted | Carrier::Here => return Ok(()),
        };
        check(&pending.file, &content, warnings);
        let element = match &pending.at {
            At::Whole => Element::Whole,
            At::Index(index) => Element::Index(*index),
            At::Key(key) => Element::Key(key),
        };
        txn.set_attachment(id, &pending.field, element, Some((&pending.file.name, content)))
    }

    /// The file of an attachment: a plain file below the companion directory, reached without links.
    fn companion(&self, one: &Found, path: &str) -> Option<std::path::PathBuf> {
        let inside = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        let companion = path.starts_with('.') && path.contains(".files/");
        if !inside || !companion {
            return None;
        }
        let mut place = one.base.clone();
        for part in path.split('/') {
            place.push(part);
            if std::fs::symlink_metadata(&place).ok()?.is_symlink() {
                return None;
            }
        }
        place.is_file().then_some(place)
    }

    fn references(&self) -> References<'_> {
        References { origin: &self.options.origin, imported: self.imported }
    }

    fn target(&self, path: &[Name]) -> Result<ObjectPath, Fault> {
        path.iter().try_fold(self.options.origin.clone(), |at, name| at.join(name))
    }

    pub(super) fn warn(&mut self, at: &str, told: Message) {
        self.counters.warning += 1;
        (self.told)(Event::Warning { at: at.to_owned(), told });
    }

    pub(super) fn fail(&mut self, at: &str, fault: Fault) {
        self.counters.error += 1;
        (self.told)(Event::Error { at: at.to_owned(), fault });
    }
}

const TYPE_OBJECT: &str = "/system/types/TypeObject";
const DIRECTORY: &str = "/system/types/Directory";

fn is_type(planned: &Planned) -> bool {
    planned.type_path.as_str() == TYPE_OBJECT
}

/// Whether an object is of another type and nothing is lost with it but itself.
fn gives_way(view: &View, id: ObjectId, wanted: ObjectId) -> Result<bool, Fault> {
    let head = view.head(id)?;
    Ok(head.type_id != wanted && !head.factory && !view.type_def(head.type_id)?.is_container())
}

/// Path of the type that a container prescribes, if it is a Table with one.
fn table_type(view: &View, who: &Caller, container: ObjectId) -> Result<Option<String>, Fault> {
    let def = view.type_def(view.head(container)?.type_id)?;
    let Container::OfTypeIn(field) = &def.container else { return Ok(None) };
    let object = view.get(who, container)?;
    Ok(match view.field(&object, field).as_deref() {
        Some(Value::Object(Ref::Object(id))) => Some(view.type_path(*id)),
        _ => None,
    })
}

/// Size and hash are advice: hand-edited files are legitimate.
fn check(file: &Attachment, content: &Content, warnings: &mut Vec<Message>) {
    let hash = match content {
        Content::Blob { hash, .. } => *hash,
        Content::Inline(bytes) => kompira_schema::id::BlobHash::of(bytes),
    };
    let same = file.blake3.is_none_or(|said| said == hash)
        && file.size.is_none_or(|said| said == content.size());
    if !same {
        warnings.push(message!("import.other_bytes", name = file.name));
    }
}
