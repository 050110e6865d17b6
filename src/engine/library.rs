//! Python libraries: whether they load, and calls of their functions (rules: `tree/libraries`,
//! `operations/python`).
//!
//! What is known of a library is kept in memory with all that loading it looked for. It holds as
//! long as looking for that would find the same, so that a change, a rename or a new neighbour
//! needs nobody who tells of it. Who asks is answered at once; a few threads load what is not known.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kompira_schema::catalogue::{Lang, render};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::value::{Dict, Value};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::inner::{Inner, myself};
use crate::remote::python::{
    BASE_PACKAGE, Call, Failure, Found, Kind, Loaded, Needs, Python, ROOT_PACKAGE, Surroundings,
    mark,
};
use crate::tree::{Importable, LibraryState, LibraryText, Object, View};

/// Libraries of which something is known. Reason: each costs its documentation.
const KNOWN_MAX: usize = 10_000;

/// Bytes of a module of the operator. Reason: it is looked at before each call.
const MODULE_BYTES_MAX: u64 = 1024 * 1024;

/// How long a failure is believed that may have its reason outside of the library, and what was
/// found of files.
const RETRY: Duration = Duration::from_secs(30);

/// How long somebody who wants to see a library waits until it is loaded.
const SETTLE: Duration = Duration::from_secs(5);

/// How long a request from outside waits for calls that were there before it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known, and who finds it out.
#[derive(Default)]
pub(super) struct Libraries {
    python: OnceLock<Python>,
    /// Where modules of the operator are.
    modules: OnceLock<PathBuf>,
    /// Held for a moment alone: whether something still holds is looked at outside.
    board: Mutex<Board>,
    /// Something more is known.
    told: Condvar,
    /// Something is to be loaded, or the engine stops.
    wanted: Condvar,
}

/// What is known, and what is to be.
#[derive(Default)]
struct Board {
    known: HashMap<ObjectId, Arc<Known>>,
    /// Rises with each library that is looked at.
    news: u64,
    waiting: BTreeSet<ObjectId>,
    /// Each at most once at a time.
    loading: HashSet<ObjectId>,
}

/// What is known of a library.
struct Known {
    kind: Kind,
    module: String,
    needs: Needs,
    loaded: Result<Loaded, Failure>,
    /// A revision at which it held.
    at: AtomicU64,
    /// When its needs were last looked at, if there are files among them: they change without a
    /// revision.
    looked: Option<Mutex<Instant>>,
    /// Until when it is believed, if not for ever.
    until: Option<Instant>,
}

impl Libraries {
    /// Takes Python into service; `false` if there is one already.
    pub(super) fn begin(&self, python: Python, modules: PathBuf) -> bool {
        let first = self.modules.set(modules).is_ok();
        self.python.set(python).is_ok() && first
    }

    fn modules(&self) -> &Path {
        self.modules.get().map_or_else(|| Path::new(""), PathBuf::as_path)
    }

    /// Lets the loading threads see that the engine stops.
    pub(super) fn close(&self) {
        let _board = self.board.lock();
        self.wanted.notify_all();
        self.told.notify_all();
    }

    /// What is known of a library, if it still holds.
    fn known(&self, view: &View, id: ObjectId, kind: Kind, module: &str) -> Option<Arc<Known>> {
        let known = self.board.lock().known.get(&id).cloned();
        known.filter(|known| known.holds((view, self.modules()), kind, module))
    }

    /// The next library to load; `None` when the engine stops.
    fn next(&self, inner: &Inner) -> Option<ObjectId> {
        let mut board = self.board.lock();
        let mut rested = false;
        while !inner.stopping() {
            let free = board.waiting.iter().find(|id| !board.loading.contains(id)).copied();
            if let Some(id) = free {
                board.waiting.remove(&id);
                board.loading.insert(id);
                return Some(id);
            }
            if !rested && board.loading.is_empty() {
                rested = true;
                let rest = || self.python.get().map(Python::rest);
                MutexGuard::unlocked(&mut board, rest);
                continue;
            }
            self.wanted.wait(&mut board);
        }
        None
    }

    /// A library was looked at; what is known of it now.
    fn looked(&self, id: ObjectId, known: Looked) {
        let mut board = self.board.lock();
        match known {
            Looked::Known(known) => {
                if board.known.len() >= KNOWN_MAX {
                    board.known.clear();
                }
                board.known.insert(id, known);
            }
            Looked::Gone => drop(board.known.remove(&id)),
            Looked::Nothing => {}
        }
        board.loading.remove(&id);
        board.news += 1;
        self.told.notify_all();
        // It may be wanted again.
        self.wanted.notify_all();
    }

    /// Ends the processes.
    pub(super) fn end(&self) {
        if let Some(python) = self.python.get() {
            python.stop();
        }
    }
}

/// What came of loading a library.
enum Looked {
    Known(Arc<Known>),
    /// There is no such object.
    Gone,
    /// It was known, or cannot be loaded now.
    Nothing,
}

/// The process that a library runs in, and the module it is; `None` for one that names no module.
fn module_of(library: &LibraryText) -> Option<(Kind, String)> {
    let own = || format!("{ROOT_PACKAGE}{}", library.path.replace('/', "."));
    match library.kind.as_str() {
        "source" => Some((Kind::Source, own())),
        "safe_source" => Some((Kind::Safe, own())),
        _ => {
            let module = &library.module;
            let legal = module.split('.').next().is_none_or(|first| first != "objects")
                && module.split('.').all(|part| Name::new(part).is_ok());
            legal.then(|| (Kind::Source, format!("{BASE_PACKAGE}.{module}")))
        }
    }
}

/// A module of the operator, or a directory of such, below `dir` (rule: `tree/library-modules`).
fn module_in(dir: &Path, name: &str) -> Option<Found> {
    let mut place = dir.to_owned();
    for part in name.split('.') {
        // Nothing leads out of the directory.
        place.push(Name::new(part).ok()?.as_str());
    }
    let file = place.with_extension("py");
    if !file.is_file() {
        return place.is_dir().then_some(Found::Package);
    }
    let mut source = String::new();
    let read = std::fs::File::open(&file)
        .and_then(|open| open.take(MODULE_BYTES_MAX + 1).read_to_string(&mut source));
    let fits = read.map(|bytes| bytes as u64 <= MODULE_BYTES_MAX);
    if !matches!(fits, Ok(true)) {
        tracing::warn!(file = %file.display(), ?fits, "a module cannot be read or is too large");
        return None;
    }
    Some(Found::Library { source, path: format!("{BASE_PACKAGE}.{name}") })
}

/// What the module `name` is for libraries of this kind: they import their own kind alone.
fn find((view, modules): (&View, &Path), kind: Kind, name: &str) -> Option<Found> {
    let in_tree = name.strip_prefix(ROOT_PACKAGE);
    let Some(path) = in_tree.filter(|_| is_in_tree(name)) else {
        let name = name.strip_prefix(BASE_PACKAGE)?.strip_prefix('.')?;
        return if kind == Kind::Source { module_in(modules, name) } else { None };
    };
    let path = ObjectPath::parse(&path.replace('.', "/")).ok()?;
    let own = |library: &LibraryText| {
        let is_text = library.kind != "module";
        is_text && module_of(library).is_some_and(|(held, _)| held == kind)
    };
    match view.importable(&myself(), &path) {
        Ok(Some(Importable::Container)) => Some(Found::Package),
        Ok(Some(Importable::Library(library))) if own(&library) => {
            Some(Found::Library { source: library.source, path: library.path })
        }
        Ok(_) => None,
        Err(fault) => {
            tracing::warn!(?fault, "a library cannot be read");
            None
        }
    }
}

/// Whether a module is an object, and no file.
fn is_in_tree(name: &str) -> bool {
    name.strip_prefix(ROOT_PACKAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Known {
    /// What is known now, at revision `rev`.
    fn new(
        (kind, module): (Kind, String),
        needs: Needs,
        loaded: Result<Loaded, Failure>,
        rev: u64,
        until: Option<Instant>,
    ) -> Self {
        let has_files = needs.iter().any(|(name, _)| !is_in_tree(name));
        let looked = has_files.then(|| Mutex::new(Instant::now()));
        Self { kind, module, needs, loaded, at: AtomicU64::new(rev), looked, until }
    }

    /// Whether it still holds.
    fn holds(&self, from: (&View, &Path), kind: Kind, module: &str) -> bool {
        self.holds_at(from, kind, module, Instant::now())
    }

    fn holds_at(&self, from: (&View, &Path), kind: Kind, module: &str, now: Instant) -> bool {
        let view = from.0;
        if self.until.is_some_and(|until| now >= until) {
            return false;
        }
        if self.kind != kind || self.module != module {
            return false;
        }
        let is_old = |looked: &Mutex<Instant>| now.duration_since(*looked.lock()) >= RETRY;
        let is_old = self.looked.as_ref().is_some_and(is_old);
        if self.at.load(Ordering::Relaxed) == view.rev().0 && !is_old {
            return true;
        }
        let same =
            self.needs.iter().all(|(name, held)| mark(find(from, kind, name).as_ref()) == *held);
        if same {
            self.at.store(view.rev().0, Ordering::Relaxed);
            if let Some(looked) = &self.looked {
                *looked.lock() = now;
            }
        }
        same
    }
}

/// What is known of a library now, for whoever looks at it.
pub(super) fn state(inner: &Inner, view: &View, object: &Object) -> LibraryState {
    let no = |document: String| LibraryState { executable: false, document: Some(document) };
    let Some(library) = view.library_of(object) else { return no(String::new()) };
    let Some((kind, module)) = module_of(&library) else {
        return no(render(&message!("library.module"), Lang::En));
    };
    let libraries = &inner.libraries;
    if let Some(known) = libraries.known(view, object.id(), kind, &module) {
        return match &known.loaded {
            Ok(loaded) => LibraryState { executable: true, document: loaded.document.clone() },
            Err(failure) => no(explain("", failure)),
        };
    }
    libraries.board.lock().waiting.insert(object.id());
    libraries.wanted.notify_one();
    no(render(&message!("library.loading"), Lang::En))
}

/// Waits until it is known whether a library loads, but not long.
pub(super) fn settle(inner: &Inner, id: ObjectId) {
    let until = Instant::now() + SETTLE;
    let view = inner.tree.view();
    let Ok(object) = view.get(&myself(), id) else { return };
    let Some(library) = view.library_of(&object) else { return };
    let Some((kind, module)) = module_of(&library) else { return };
    let libraries = &inner.libraries;
    loop {
        let news = libraries.board.lock().news;
        if libraries.known(&view, id, kind, &module).is_some() {
            return;
        }
        let mut board = libraries.board.lock();
        while board.news == news {
            if libraries.told.wait_until(&mut board, until).timed_out() || inner.stopping() {
                return;
            }
        }
    }
}

/// Loads what is asked for until the engine stops; one of [`LOADERS`] threads.
pub(super) fn run(inner: &Arc<Inner>) {
    while let Some(id) = inner.libraries.next(inner) {
        let looked = load(inner, id);
        inner.libraries.looked(id, looked);
    }
}

/// Loads a library unless it is known.
fn load(inner: &Inner, id: ObjectId) -> Looked {
    let view = inner.tree.view();
    let Ok(object) = view.get(&myself(), id) else { return Looked::Gone };
    let (Some(library), Some(python)) = (view.library_of(&object), inner.libraries.python.get())
    else {
        return Looked::Nothing;
    };
    let Some((kind, module)) = module_of(&library) else { return Looked::Nothing };
    if inner.libraries.known(&view, id, kind, &module).is_some() {
        return Looked::Nothing;
    }
    let from = (&view, inner.libraries.modules());
    let mut around = Around {
        from,
        kind,
        listener: &Listener { print: &|_| {}, is_cancelled: &|| inner.stopping(), patience: None },
    };
    let (needs, loaded) = python.load(kind, &module, &mut around);
    if loaded == Err(Failure::Cancelled) {
        return Looked::Nothing;
    }
    if let Err(failure) = &loaded {
        tracing::info!("{} does not load: {}", library.path, explain("", failure));
    }
    // An ordinary library may lack a package, a file or a server; a safe one reaches none.
    let passing = match &loaded {
        Ok(_) => false,
        Err(Failure::NoPython(_) | Failure::Lost(_)) => true,
        Err(_) => kind == Kind::Source,
    };
    // A process that was lost has no list: the library itself is in it at least.
    let needs = match needs.is_empty() {
        true => vec![(module.clone(), mark(find(from, kind, &module).as_ref()))],
        false => needs,
    };
    let until = if passing { Instant::now().checked_add(RETRY) } else { None };
    Looked::Known(Arc::new(Known::new((kind, module), needs, loaded, view.rev().0, until)))
}

/// Who hears what a call says.
pub(super) struct Listener<'a> {
    /// What is printed.
    pub(super) print: &'a dyn Fn(&str),
    /// Whether nobody waits for it any more.
    pub(super) is_cancelled: &'a dyn Fn() -> bool,
    /// How long it may wait for its turn; `None`: as long as it takes.
    pub(super) patience: Option<Duration>,
}

struct Around<'a> {
    from: (&'a View, &'a Path),
    kind: Kind,
    listener: &'a Listener<'a>,
}

impl Surroundings for Around<'_> {
    fn find(&mut self, module: &str) -> Option<Found> {
        find(self.from, self.kind, module)
    }

    fn print(&mut self, text: &str) {
        (self.listener.print)(text);
    }

    fn is_cancelled(&self) -> bool {
        (self.listener.is_cancelled)()
    }
}

/// A function of a library to be called.
pub(super) struct Wanted {
    /// The library.
    pub(super) id: ObjectId,
    /// Its text.
    pub(super) text: LibraryText,
    /// Name of the function.
    pub(super) function: String,
    /// Arguments by position.
    pub(super) arguments: Vec<Value>,
    /// Arguments by name.
    pub(super) named: Dict,
}

/// Calls a function; a failure comes with the name of the function.
pub(super) fn call(
    inner: &Inner,
    wanted: Wanted,
    listener: &Listener<'_>,
) -> Result<Value, (String, Failure)> {
    let Wanted { id, text, function, arguments, named } = wanted;
    let fail = |failure| Err((function.clone(), failure));
    let Some((kind, module)) = module_of(&text) else {
        return fail(Failure::Raised(render(&message!("library.module"), Lang::En)));
    };
    let Some(python) = inner.libraries.python.get() else {
        return fail(Failure::NoPython(render(&message!("library.not_run"), Lang::En)));
    };
    // As it is now, also for its imports.
    let view = inner.tree.view();
    if let Some(known) = inner.libraries.known(&view, id, kind, &module)
        && let Err(failure) = &known.loaded
    {
        // One that does not load is not tried with every call.
        return fail(failure.clone());
    }
    let order = Call {
        module,
        function: function.clone(),
        positional: arguments,
        named,
        zone: view.zone(),
    };
    let from = (&view, inner.libraries.modules());
    let mut around = Around { from, kind, listener };
    python.call(kind, &order, listener.patience, &mut around).map_err(|failure| (function, failure))
}

/// Calls a function for a request from outside.
pub(super) fn call_for_a_stranger(
    inner: &Inner,
    (id, text): (ObjectId, LibraryText),
    function: &str,
    arguments: Vec<Value>,
    named: Dict,
) -> Result<Value, Failure> {
    let listener =
        Listener { print: &|_| {}, is_cancelled: &|| inner.stopping(), patience: Some(PATIENCE) };
    let wanted = Wanted { id, text, function: function.to_owned(), arguments, named };
    call(inner, wanted, &listener).map_err(|(_, failure)| failure)
}

/// A failure in words, of the function of that name.
pub(super) fn explain(function: &str, failure: &Failure) -> String {
    match failure {
        Failure::NoPython(why) => render(&message!("library.no_python", reason = why), Lang::En),
        Failure::NoFunction => format!("attribute not found: {function}"),
        Failure::Raised(text)
        | Failure::Arguments(text)
        | Failure::Value(text)
        | Failure::Lost(text) => text.clone(),
        Failure::Busy => "the libraries are busy".to_owned(),
        Failure::Cancelled => "cancelled".to_owned(),
    }
}

#[cfg(test)]
mod tests;
