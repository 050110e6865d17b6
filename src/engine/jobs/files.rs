//! `download`, `upload`, `put`, `get`, `reboot` (rule: `language/transfer`).

use std::path::{Path, PathBuf};

use kompira_schema::id::ObjectId;
use kompira_schema::limits::ATTACHMENT_MAX;
use kompira_schema::tree::Caller;
use kompira_schema::value::{FileValue, Ref, Value};

use super::arguments::Args;
use super::{Around, Job, Refusal, Run, done, failed};
use crate::engine::control;
use crate::engine::realm::Areas;
use crate::engine::vm::request::{Control, Outcome};
use crate::remote::copy;
use crate::store::Durability;
use crate::tree::{Content, Element, View};

/// The content of an attachment.
pub(super) fn content(around: &Around, file: &FileValue, max: usize) -> Result<Vec<u8>, String> {
    let size = usize::try_from(file.size).unwrap_or(usize::MAX);
    if size > max {
        return Err(format!("{} is longer than {} MB", file.name, max >> 20));
    }
    let bytes = around.inner.tree.view().blob_read(file.hash, 0, size);
    Ok(bytes.map_err(|fault| format!("{}: {}", file.name, fault.kind().name()))?.to_vec())
}

/// A path as the job manager's host takes it; relative ones start at its root, as the service does.
fn place(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

pub(super) fn download(args: &Args<'_>) -> Result<Job, Refusal> {
    let read = || -> Result<(FileValue, String), String> {
        let file = match args.get("from_file") {
            Some(Value::File(file)) => file.clone(),
            other => return Err(args.wrong("from_file", other.unwrap_or(&Value::Null))),
        };
        let to = args.text("to_path")?;
        Ok((file, to.ok_or_else(|| args.wrong("to_path", &Value::Null))?))
    };
    let (file, to) = read().map_err(Refusal::Failed)?;
    let shown = format!("download {} {to}", file.name);
    let work = move |around: &Around| match write_out(around, &file, &to) {
        Ok(path) => done(path),
        Err(message) => failed(message),
    };
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}

fn write_out(around: &Around, file: &FileValue, to: &str) -> Result<String, String> {
    let mut path = place(to);
    if path.is_dir() || to.ends_with('/') {
        let name = Path::new(&file.name).file_name().ok_or("the file has no name")?;
        path.push(name);
    }
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut reader = around
        .inner
        .tree
        .store()
        .blobs()
        .open_reader(&file.hash)
        .map_err(|fault| told(&fault.kind().name()))?;
    let mut out = std::fs::File::create(&path).map_err(|error| told(&error))?;
    std::io::copy(&mut reader, &mut out).map_err(|error| told(&error))?;
    Ok(path.to_string_lossy().into_owned())
}

pub(super) fn upload(args: &Args<'_>) -> Result<Job, Refusal> {
    let read = || -> Result<(String, ObjectId, String), String> {
        let null = &Value::Null;
        let from = args.text("from_path")?.ok_or_else(|| args.wrong("from_path", null))?;
        let object = match args.get("to_object") {
            Some(Value::Object(Ref::Object(id))) => *id,
            other => return Err(args.wrong("to_object", other.unwrap_or(null))),
        };
        let field = args.text("to_field")?.ok_or_else(|| args.wrong("to_field", null))?;
        Ok((from, object, field))
    };
    let (from, object, field) = read().map_err(Refusal::Failed)?;
    let subscript = match args.get("to_subscript") {
        None => None,
        Some(Value::Str(key)) => Some(Value::Str(key.clone())),
        Some(Value::Int(index)) => Some(Value::Int(*index)),
        Some(other) => return Err(Refusal::Failed(args.wrong("to_subscript", other))),
    };
    let shown = format!("upload {from}");
    let work = move |around: &Around| match take_in(around, &from, object, &field, subscript) {
        Ok(name) => done(name),
        Err(message) => failed(message),
    };
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}

fn take_in(
    around: &Around,
    from: &str,
    object: ObjectId,
    field: &str,
    subscript: Option<Value>,
) -> Result<String, String> {
    use kompira_schema::field::Shape;
    let path = place(from);
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let name = path.file_name().ok_or_else(|| told(&"it has no name"))?;
    let name = name.to_string_lossy().into_owned();
    let mut open = std::fs::File::open(&path).map_err(|error| told(&error))?;
    if !open.metadata().is_ok_and(|about| about.is_file()) {
        return Err(told(&"it is no file"));
    }
    let tree = &around.inner.tree;
    let (hash, size) = tree
        .store()
        .blobs()
        .put(&mut open, ATTACHMENT_MAX)
        .map_err(|fault| told(&fault.kind().name()))?;
    let written = tree.write(&around.who, Durability::Lazy, |txn| {
        let def = txn.type_of(object)?;
        let shape = def.field(field).map(|field| field.field_type.shape);
        let key;
        let element = match (&shape, &subscript) {
            (Some(Shape::Array(_)), Some(Value::Int(index))) => {
                Element::Index(usize::try_from(*index).unwrap_or(usize::MAX))
            }
            (Some(Shape::Array(_)), _) => Element::Index(usize::MAX),
            (Some(Shape::Dictionary(_)), Some(Value::Str(at))) => Element::Key(at),
            (Some(Shape::Dictionary(_)), Some(other)) => {
                key = super::arguments::text(other);
                Element::Key(&key)
            }
            (Some(Shape::Dictionary(_)), None) => Element::Key(&name),
            _ => Element::Whole,
        };
        txn.set_attachment(object, field, element, Some((&name, Content::Blob { hash, size })))
    });
    match written {
        Ok(_) => Ok(name),
        Err(fault) => Err(crate::engine::world::explain(&fault, field)),
    }
}

pub(super) fn transfer(
    from: (&View, &Areas<'_>),
    who: &Caller,
    args: &Args<'_>,
    control: &Control,
    put: bool,
) -> Result<Job, Refusal> {
    let read = || -> Result<(String, String), String> {
        let null = &Value::Null;
        let local = args.text("local_path")?.ok_or_else(|| args.wrong("local_path", null))?;
        let remote = args.text("remote_path")?.ok_or_else(|| args.wrong("remote_path", null))?;
        Ok((local, remote))
    };
    let (local, remote) = read().map_err(Refusal::Failed)?;
    let request = control::context(from, who, control).map_err(Refusal::Lost)?;
    let connection = request.target.connection();
    if connection != "local" {
        let message = format!("connection type '{connection}' is not available here");
        return Err(Refusal::Lost(message));
    }
    let word = if put { "put" } else { "get" };
    let (from, to) = if put { (local, remote) } else { (remote, local) };
    let shown = format!("{word} {from} {to}");
    let work = move |around: &Around| {
        // The far side starts at `__dir__` or the login directory.
        let far = request.dir.map_or_else(home, PathBuf::from);
        let root = PathBuf::from("/");
        let (from_base, to_base) = if put { (root, far) } else { (far, root) };
        let cancelled = || around.cancelled.is_asked();
        match copy::copy(&from, &from_base, &to, &to_base, &cancelled) {
            Ok(paths) => done(Value::Array(paths.into_iter().map(Value::Str).collect())),
            Err(message) => failed(message),
        }
    };
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}

/// The login directory of the account the server runs as.
fn home() -> PathBuf {
    let account = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok().flatten();
    account.map_or_else(|| PathBuf::from("/"), |account| account.dir)
}

pub(super) fn reboot(args: &Args<'_>) -> Result<Job, Refusal> {
    let _ = args.seconds("wait").map_err(Refusal::Failed)?;
    Ok(Job { shown: "reboot".to_owned(), run: Run::Command })
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(message) | Refusal::Error(message) => failed(message),
            Refusal::Lost(message) => Self { status: -1, result: "".into(), error: message.into() },
        }
    }
}
