//! From control variables, node and account to a request for a job manager
//! (rule: `operations/control-variables`).
//!
//! A variable that is set wins, then the account, then the node, then the default.

use std::time::Duration;

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, Ref, Value};

use super::inner::myself;
use super::realm::{self, Areas};
use super::settings::{Show, command_line};
use super::vm::request::{Control, Request};
use crate::remote::{self, Data, Limits, Target, Work};
use crate::tree::{Object, View};

/// A request and how it is shown.
pub(super) struct Prepared {
    pub(super) request: remote::Request,
    /// The command line, or script and arguments.
    pub(super) shown: String,
    /// The line before its output, if settings want one.
    pub(super) echo: Option<String>,
}

/// An Object value.
pub(super) fn object(id: ObjectId) -> Value {
    Value::Object(Ref::Object(id))
}

/// How many processes may be inside a job at once; `None`: any number.
pub(super) fn multiplicity(view: &View, job: ObjectId) -> Result<Option<u32>, Fault> {
    Ok(multiplicity_of(view, &view.get(&myself(), job)?))
}

/// As [`multiplicity`], of an object at hand.
pub(super) fn multiplicity_of(view: &View, job: &Object) -> Option<u32> {
    match view.field(job, "multiplicity").as_deref() {
        Some(Value::Int(n)) if *n > 0 => Some(u32::try_from(*n).unwrap_or(u32::MAX)),
        _ => None,
    }
}

/// Makes a request ready, as `who`.
///
/// # Errors
/// Why it cannot be carried out: the text of `$ERROR`.
pub(super) fn prepare(
    (view, areas): (&View, &Areas<'_>),
    who: &Caller,
    request: &Request,
    show: &Show,
    now: Timestamp,
) -> Result<Prepared, String> {
    let (work, input, control, shown, kind) = match request {
        Request::Command { command, input, control } => {
            let work = Work::Command { line: command.clone() };
            (work, input, control, command.clone(), "COMMAND")
        }
        Request::Script { script, arguments, input, control, .. } => {
            let (work, shown) = self::script(view, *script, arguments)?;
            (work, input, control, shown, "SCRIPT")
        }
        Request::Session { control } => {
            let work = Work::Command { line: String::new() };
            (work, &None, control, "<SESSION>".to_owned(), "SESSION")
        }
        // With the local node the machine goes down, and this server with it.
        Request::Builtin { name, control, .. } if name == "reboot" => {
            let work = Work::Command { line: name.clone() };
            (work, &None, control, name.clone(), "REBOOT")
        }
        _ => return Err("no command".to_owned()),
    };
    let mut request = context((view, areas), who, control)?;
    request.work = work;
    if kind == "REBOOT" {
        request.sudo = true;
        request.dir = None;
    }
    if kind == "SESSION" {
        request.session = true;
        // On this machine a session is a shell with a terminal.
        request.use_pty |= request.target.connection() == "local";
    }
    request.input = match input {
        None | Some(Value::Null) => None,
        Some(Value::Bytes(bytes)) => Some(Data::Bytes(bytes.clone())),
        Some(Value::Str(text)) => Some(Data::Text(text.clone())),
        Some(other) => return Err(format!("{} cannot be standard input", other.type_name())),
    };
    let echo = show.command.as_ref().map(|format| {
        let target = &request.target;
        let local = target.connection() == "local";
        let port = target.port.map(|port| port.to_string()).unwrap_or_default();
        let host = target.host.as_deref().filter(|_| !local).unwrap_or("localhost");
        let user = target.user.as_deref().filter(|_| !local).unwrap_or("kompira");
        command_line(
            format,
            &[
                ("now", &now.to_zoned(view.zone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()),
                ("jobtype", kind),
                ("conntype", target.connection()),
                ("hostname", host),
                ("port", &port),
                ("username", user),
                ("sudomark", if request.sudo { "#" } else { "$" }),
                ("command", &shown),
            ],
        )
    });
    Ok(Prepared { request, shown, echo })
}

/// The control context of a job, with no work yet (rule: `operations/control-variables`).
///
/// # Errors
/// A variable of a wrong type, an object that cannot be read: the text of `$ERROR`.
pub(super) fn context(
    (view, areas): (&View, &Areas<'_>),
    who: &Caller,
    control: &Control,
) -> Result<remote::Request, String> {
    let read = Reader { view, areas, who, control };
    let node = read.object("__node__", "NodeInfo")?;
    let mut request = remote::Request::command("");
    request.target = read.target(node.as_ref())?;
    request.sudo = read.flag("__sudo__")?.unwrap_or(false);
    request.dir = read.text("__dir__")?;
    request.shell = read
        .text("__shell__")?
        .or_else(|| node.as_ref().and_then(|node| text_of(view, node, "shell")))
        .unwrap_or_else(|| "/bin/bash".to_owned());
    let of_node = node
        .as_ref()
        .map(|node| matches!(view.field(node, "use_shell").as_deref(), Some(Value::Bool(true))));
    request.use_shell = read.flag("__use_shell__")?.or(of_node).unwrap_or(true);
    request.use_pty = read.flag("__use_pty__")?.unwrap_or(false);
    request.encoding = read.text("__encoding__")?.unwrap_or_else(|| "utf-8".to_owned());
    request.raw_stdout = read.flag("__raw_stdout__")?.unwrap_or(false);
    request.raw_stderr = read.flag("__raw_stderr__")?.unwrap_or(false);
    request.timeout = read.timeout()?;
    request.limits = Limits::default();
    read.realm(&mut request.target, node.as_ref())?;
    if request.target.connection() != "local" && request.target.host.is_none() {
        return Err("no host to connect to".to_owned());
    }
    Ok(request)
}

fn script(view: &View, id: ObjectId, arguments: &[String]) -> Result<(Work, String), String> {
    let told = |fault: Fault| format!("the script cannot be read: {}", fault.kind().name());
    let object = view.get(&myself(), id).map_err(told)?;
    let source = text_of(view, &object, "source").unwrap_or_default().replace("\r\n", "\n");
    let ext = text_of(view, &object, "ext").unwrap_or_default();
    let mut shown = object.stub.path;
    if !ext.is_empty() {
        shown.extend([".", &ext]);
    }
    for argument in arguments {
        shown.extend([" ", argument]);
    }
    Ok((Work::Script { source, ext, arguments: arguments.to_vec() }, shown))
}

/// A text field that is not empty.
fn text_of(view: &View, object: &Object, field: &str) -> Option<String> {
    match view.field(object, field).as_deref() {
        Some(Value::Str(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn reference_of(view: &View, object: &Object, field: &str) -> Option<ObjectId> {
    match view.field(object, field).as_deref() {
        Some(Value::Object(Ref::Object(id))) => Some(*id),
        _ => None,
    }
}

fn port_of(value: &Value) -> Option<u16> {
    match value {
        Value::Int(port) => u16::try_from(*port).ok().filter(|&port| port > 0),
        _ => None,
    }
}

/// Reads control variables; a wrong type is told with the variable's name.
struct Reader<'a> {
    view: &'a View,
    areas: &'a Areas<'a>,
    who: &'a Caller,
    control: &'a Control,
}

impl Reader<'_> {
    fn set(&self, name: &str) -> Option<&Value> {
        self.control.get(name).filter(|value| !matches!(value, Value::Null))
    }

    fn wrong(name: &str, value: &Value) -> String {
        format!("{name} cannot be of type {}", value.type_name())
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.set(name) {
            None => Ok(None),
            Some(Value::Str(text)) if text.is_empty() => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.clone())),
            Some(other) => Err(Self::wrong(name, other)),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.set(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Self::wrong(name, other)),
        }
    }

    fn timeout(&self) -> Result<Option<Duration>, String> {
        let seconds = match self.set("__timeout__") {
            None => return Ok(None),
            #[expect(clippy::cast_precision_loss, reason = "years are precise enough")]
            Some(Value::Int(seconds)) => *seconds as f64,
            Some(Value::Float(seconds)) => *seconds,
            Some(other) => return Err(Self::wrong("__timeout__", other)),
        };
        Ok(Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero()))
    }

    /// An object of a built-in type that `who` may read.
    fn object(&self, name: &str, wanted: &str) -> Result<Option<Object>, String> {
        match self.set(name) {
            None => Ok(None),
            Some(Value::Object(Ref::Object(id))) => self.open(name, *id, wanted).map(Some),
            Some(other) => Err(Self::wrong(name, other)),
        }
    }

    fn open(&self, name: &str, id: ObjectId, wanted: &str) -> Result<Object, String> {
        let object = self.view.get(self.who, id).map_err(|fault| match fault.kind() {
            Kind::Denied => format!("{name}: permission denied"),
            Kind::NotFound => format!("{name}: object not found"),
            other => format!("{name}: {}", other.name()),
        })?;
        if !object.stub.def.is_builtin(wanted) {
            return Err(format!("{name}: {} is no {wanted}", object.stub.path));
        }
        Ok(object)
    }

    fn target(&self, node: Option<&Object>) -> Result<Target, String> {
        let view = self.view;
        let mut target = match node {
            Some(node) => self.of_node(node, true)?,
            None => Target { use_cache: true, ..Target::default() },
        };
        if let Some(account) = self.object("__account__", "AccountInfo")? {
            self.sign_in(&mut target, &account)?;
        }
        let set = |name| self.text(name);
        if let Some(host) = set("__host__")? {
            target.host = Some(host);
            // Without a node's word on it, a host is asked by ssh.
            if node.is_none() {
                target.connection = None;
            }
        }
        target.connection = set("__conntype__")?.or(target.connection);
        target.user = set("__user__")?.or(target.user);
        if let Some(password) = set("__password__")? {
            target.password = Some(password.into());
        }
        target.key_file = set("__keyfile__")?.or(target.key_file);
        if let Some(passphrase) = set("__passphrase__")? {
            target.passphrase = Some(passphrase.into());
        }
        target.port = match self.set("__port__") {
            None => target.port,
            Some(port) => {
                Some(port_of(port).ok_or_else(|| "__port__ is no port number".to_owned())?)
            }
        };
        match self.set("__proxy__") {
            None => {}
            Some(Value::Str(host)) => {
                let proxy = Target { host: Some(host.clone()), ..Target::default() };
                target.proxy = Some(Box::new(proxy));
            }
            Some(Value::Object(Ref::Object(id))) => {
                let proxy = self.open("__proxy__", *id, "NodeInfo")?;
                target.proxy = Some(Box::new(self.of_node(&proxy, false)?));
            }
            Some(other) => return Err(Self::wrong("__proxy__", other)),
        }
        target.use_cache = self.flag("__use_cache__")?.unwrap_or(true);
        target.winrs_auth = set("__winrs_auth_type__")?;
        target.winrs_scheme = set("__winrs_scheme__")?;
        target.winrs_tls10 = self.flag("__winrs_use_tlsv1_0__")?.unwrap_or(false);
        let _ = view;
        Ok(target)
    }

    /// What a node object says; its own proxy too, if `with_proxy` (one step is enough: a proxy
    /// of a proxy is none).
    fn of_node(&self, node: &Object, with_proxy: bool) -> Result<Target, String> {
        let view = self.view;
        let mut target = Target {
            host: text_of(view, node, "ipaddr").or_else(|| text_of(view, node, "hostname")),
            connection: text_of(view, node, "conntype"),
            port: view.field(node, "port").as_deref().and_then(port_of),
            use_cache: true,
            ..Target::default()
        };
        if let Some(account) = reference_of(view, node, "account") {
            let account = self.open("account of the node", account, "AccountInfo")?;
            self.sign_in(&mut target, &account)?;
        }
        if let (true, Some(proxy)) = (with_proxy, reference_of(view, node, "proxy")) {
            let proxy = self.open("proxy of the node", proxy, "NodeInfo")?;
            target.proxy = Some(Box::new(self.of_node(&proxy, false)?));
        }
        Ok(target)
    }

    /// Takes over an account. Who may read it may use its secrets, though not see them.
    fn sign_in(&self, target: &mut Target, account: &Object) -> Result<(), String> {
        let view = self.view;
        let secret = |field: &str| {
            view.password(&myself(), account.id(), field, None)
                .map(|text| Some(text.as_str().to_owned()).filter(|text| !text.is_empty()))
                .map_err(|fault| format!("{field} of the account: {}", fault.kind().name()))
        };
        target.user = text_of(view, account, "user");
        target.password = secret("password")?.map(Into::into);
        target.passphrase = secret("passphrase")?.map(Into::into);
        if let Some(Value::File(file)) = view.field(account, "keyfile").as_deref() {
            /// An ssh key is a few KB.
            const KEY_MAX: usize = 64 * 1024;
            let bytes = view
                .blob_read(file.hash, 0, KEY_MAX)
                .map_err(|fault| format!("keyfile of the account: {}", fault.kind().name()))?;
            let key = String::from_utf8(bytes.to_vec())
                .map_err(|_| "keyfile of the account: no text".to_owned())?;
            target.key = Some(key.into());
        }
        Ok(())
    }

    /// The management area: named, or found by the host.
    fn realm(&self, target: &mut Target, node: Option<&Object>) -> Result<(), String> {
        let name = match self.set("__realm__") {
            None => {
                let names = self.names(target, node);
                target.realm = Some(realm::of_host(self.areas, &names)?);
                return Ok(());
            }
            Some(Value::Str(name)) => name.clone(),
            Some(Value::Object(Ref::Object(id))) => {
                let realm = self.open("__realm__", *id, "Realm")?;
                realm.stub.head.name
            }
            Some(other) => return Err(Self::wrong("__realm__", other)),
        };
        let path = format!("/config/realm/{name}");
        let found = kompira_schema::path::ObjectPath::parse(&path)
            .and_then(|path| self.view.find_path(&path))
            .ok()
            .flatten()
            .ok_or_else(|| format!("no such realm: {name}"))?;
        let realm = self.open("__realm__", found, "Realm")?;
        let fields: &Dict = &realm.fields;
        if matches!(fields.get("disabled"), Some(Value::Bool(true))) {
            return Err(format!("the realm {name} is disabled"));
        }
        target.realm = Some(name);
        Ok(())
    }

    /// What the host is known by: its address and, of a node, its host name.
    fn names(&self, target: &Target, node: Option<&Object>) -> Vec<String> {
        let named = node.filter(|_| self.set("__host__").is_none());
        let of_node = named.and_then(|node| text_of(self.view, node, "hostname"));
        let mut names: Vec<_> = target.host.iter().cloned().chain(of_node).collect();
        names.dedup();
        names
    }
}
