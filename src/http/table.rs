//! The one table of endpoints (rule: http/table).
//!
//! It routes requests, says which verbs a resource takes, is written down as `docs/openapi.json`,
//! and the matrix of who may do what is checked against it. What has no row is no endpoint.

mod rows;

use std::sync::LazyLock;

use axum::http::Method;

use super::target::Target;

pub use rows::ROWS;

/// What a request is about. Each has exactly one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // named as in `ROWS`
pub enum Resource {
    Object,
    Children,
    Descendant,
    Execute,
    Send,
    Recv,
    Rename,
    Move,
    Copy,
    Attachment,
    AttachmentElement,
    Rendered,
    Processes,
    Process,
    ProcessChildren,
    Terminate,
    Suspend,
    Resume,
    Wait,
    Schedules,
    Schedule,
    Incidents,
    Incident,
    Worklogs,
    Tasks,
    Task,
    Cancel,
    Submit,
    Initialize,
    Push,
    Pull,
    Authorize,
    Authorized,
    Users,
    User,
    Groups,
    Group,
    Health,
    HealthLive,
    HealthReady,
    HealthActive,
    Phrases,
    Description,
    Metrics,
    Batch,
    History,
    HistoryAt,
    HistoryDiff,
    HistoryRestore,
    SubmitForm,
    JsonRpc,
    Status,
    Refs,
    Candidates,
    Console,
    Trace,
    ProcessCommand,
    Changes,
    Login,
    Logout,
    Token,
    TokenRevoke,
    Fsck,
    Backup,
    Restore,
    ExportDir,
    ImportDir,
}

/// A verb of HTTP that an endpoint may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Act {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Act {
    /// The word of the request line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The verb of a request; `HEAD` asks for what `GET` gives.
    #[must_use]
    pub fn of(method: &Method) -> Option<Self> {
        Some(match method.as_str() {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }
}

/// The body that a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None; one that is sent is not read.
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// JSON of this schema, or no body.
    MaybeJson(&'static str),
    /// Bytes.
    Bytes,
}

/// The body of a good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// None.
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// The envelope of a list of this schema.
    List(&'static str),
    /// Bytes of a media type.
    Bytes(&'static str),
}

/// Who may do it, for the description. What happens is decided by the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Everybody, without a login.
    Nobody,
    /// Whoever is logged in.
    Login,
    /// Whoever has the right on the object or owns the thing.
    Right(&'static str),
    /// Privileged users.
    Privilege,
    /// The server's owner over the private socket.
    Owner,
}

/// One verb of an endpoint.
#[derive(Debug)]
pub struct Verb {
    /// Which.
    pub act: Act,
    /// Name of the operation in the description, unique.
    pub name: &'static str,
    /// What it does, in a line.
    pub says: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Status of success.
    pub status: u16,
    /// What it gives.
    pub gives: Gives,
    /// Who may.
    pub need: Need,
    /// Names of query parameters besides `format` and `token`.
    pub query: &'static [&'static str],
}

/// One endpoint.
#[derive(Debug)]
pub struct Row {
    /// What it is about.
    pub resource: Resource,
    /// The path: `{path}` is an object, `{id}` a number, other braces a word.
    pub path: &'static str,
    /// Group in the description.
    pub tag: &'static str,
    /// Answers other things than JSON: what the client accepts is not asked.
    pub raw: bool,
    /// What it takes.
    pub verbs: &'static [Verb],
}

impl Row {
    /// The verb of a request, if the endpoint takes it.
    #[must_use]
    pub fn verb(&self, method: &Method) -> Option<&'static Verb> {
        let act = Act::of(method)?;
        self.verbs.iter().find(|verb| verb.act == act)
    }

    /// All verbs.
    #[must_use]
    pub fn acts(&self) -> Vec<Act> {
        self.verbs.iter().map(|verb| verb.act).collect()
    }
}

/// What a path was found to be.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    /// Its row.
    pub row: &'static Row,
    /// The number in the path, 0 if there is none.
    pub id: u64,
}

/// A path of the table, taken apart.
struct Pattern {
    row: &'static Row,
    /// Segments before the method.
    names: Vec<&'static str>,
    method: Option<&'static str>,
    /// Segments after the method.
    rest: usize,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| ROWS.iter().map(Pattern::new).collect());

impl Pattern {
    fn new(row: &'static Row) -> Self {
        let mut names: Vec<&str> = row.path.split('/').filter(|name| !name.is_empty()).collect();
        let dotted =
            names.iter().position(|name| name.contains('.') && !row.path.starts_with("/-/"));
        let (mut method, mut rest) = (None, 0);
        if let Some(at) = dotted {
            rest = names.len() - at - 1;
            names.truncate(at + 1);
            if let Some((name, word)) = names.pop().and_then(|last| last.split_once('.')) {
                // A method of the root follows no name.
                names.extend((!name.is_empty()).then_some(name));
                method = Some(word);
            }
        }
        Self { row, names, method, rest }
    }

    fn takes_method(&self, method: Option<&str>) -> bool {
        match (self.method, method) {
            (None, None) => true,
            (Some(pattern), Some(_)) if pattern.starts_with('{') => true,
            (Some(pattern), Some(method)) => pattern == method,
            _ => false,
        }
    }

    /// The number in the names, if they fit.
    fn fits(&self, names: &[&str]) -> Option<u64> {
        if self.names.as_slice() == ["{path}"] {
            return Some(0);
        }
        if names.len() != self.names.len() {
            return None;
        }
        let mut id = 0;
        for (pattern, name) in self.names.iter().zip(names) {
            match *pattern {
                "id_{id}" => id = number(name)?,
                "{number}" => id = digits(name)?,
                word if word == *name => {}
                _ => return None,
            }
        }
        Some(id)
    }
}

/// `id_31` → 31.
fn number(member: &str) -> Option<u64> {
    digits(member.strip_prefix("id_")?)
}

fn digits(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Virtual roots: what is below them is no object.
const ROOTS: &[&[&str]] = &[
    &["process"],
    &["scheduler"],
    &["incident"],
    &["task"],
    &["config", "user"],
    &["config", "group"],
];

/// The endpoint of an object's or virtual object's path; `None`: there is none.
#[must_use]
pub fn find(target: &Target) -> Option<Hit> {
    let names = target.names();
    let mut method = target.method.as_deref();
    let is_virtual = ROOTS.iter().any(|root| names.starts_with(root));
    // A virtual root has no other children than its members.
    if matches!(method, Some("children" | "descendant")) && ROOTS.contains(&names.as_slice()) {
        method = None;
    }
    PATTERNS.iter().filter(|pattern| !pattern.row.path.starts_with("/-/")).find_map(|pattern| {
        let of_objects = matches!(pattern.names.as_slice(), [] | ["{path}"]);
        if of_objects == is_virtual
            || !pattern.takes_method(method)
            || pattern.rest != target.rest.len()
        {
            return None;
        }
        pattern.fits(&names).map(|id| Hit { row: pattern.row, id })
    })
}

/// The endpoint of a service path below `/-/`; `own` is what follows.
#[must_use]
pub fn find_own(own: &str) -> Option<Hit> {
    let names: Vec<&str> = std::iter::once("-").chain(own.split('/')).collect();
    PATTERNS
        .iter()
        .filter(|pattern| pattern.row.path.starts_with("/-/"))
        .find_map(|pattern| pattern.fits(&names).map(|id| Hit { row: pattern.row, id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(Resource, u64)> {
        let hit = match path.strip_prefix("/-/") {
            Some(own) => find_own(own),
            None => find(&Target::parse(path).ok()?),
        };
        hit.map(|hit| (hit.row.resource, hit.id))
    }

    // rule: http/table
    #[test]
    fn paths_lead_to_their_rows() {
        for (path, resource, id) in [
            ("/", Resource::Object, 0),
            ("/root/x", Resource::Object, 0),
            ("/config", Resource::Object, 0),
            ("/.children", Resource::Children, 0),
            ("/.jsi18n.js", Resource::Phrases, 0),
            ("/a/b.execute", Resource::Execute, 0),
            ("/a/b.jsonrpc", Resource::JsonRpc, 0),
            ("/a/b.authorize", Resource::Authorize, 0),
            ("/-/oauth2", Resource::Authorized, 0),
            ("/a/b.html", Resource::Rendered, 0),
            ("/a/b.attachments/f", Resource::Attachment, 0),
            ("/a/b.attachments/f/0", Resource::AttachmentElement, 0),
            ("/process", Resource::Processes, 0),
            ("/process.children", Resource::Processes, 0),
            ("/config/group.descendant", Resource::Groups, 0),
            ("/process/id_31", Resource::Process, 31),
            ("/process/id_31.wait", Resource::Wait, 31),
            ("/config/user/id_1", Resource::User, 1),
            ("/-/health", Resource::Health, 0),
            ("/-/console/7", Resource::Console, 7),
            ("/-/token/revoke", Resource::TokenRevoke, 0),
        ] {
            assert_eq!(found(path), Some((resource, id)), "{path}");
        }
        for path in [
            "/process/x",
            "/a.jsi18n.js",
            "/process/id_031",
            "/process/id_1.nothing",
            "/-/nothing",
            "/-/console/x",
            "/process/id_1/x",
            "/config/user/root",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    // rule: http/members
    #[test]
    fn a_member_of_a_virtual_root_has_one_spelling() {
        assert_eq!(number("id_31"), Some(31));
        for bad in ["id_", "id_031", "id_-1", "id_1x", "31", "id_99999999999999999999", "ID_1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    // rule: http/table
    #[test]
    fn operations_have_names_of_their_own() {
        let mut names: Vec<_> =
            ROWS.iter().flat_map(|row| row.verbs.iter().map(|verb| verb.name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let mut resources: Vec<_> = ROWS.iter().map(|row| format!("{:?}", row.resource)).collect();
        resources.sort_unstable();
        resources.dedup();
        assert_eq!(resources.len(), ROWS.len());
    }
}
