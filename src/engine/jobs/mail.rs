//! `mailto` and the method `conn_check` of mail servers and mail channels (rules: `language/mailto`,
//! `language/conn-check`).

use kompira_schema::id::ObjectId;
use kompira_schema::limits::STRING_MAX;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, FileValue, Ref, Value};

use super::arguments::{Args, pairs, text};
use super::{Around, Job, Refusal, Run, done, failed};
use crate::engine::inner::{myself, secret};
use crate::engine::mails::Settings;
use crate::engine::vm::request::Outcome;
use crate::engine::{settings, tokens};
use crate::remote::mail::{self, Mail, Server};
use crate::remote::mailbox;
use crate::tree::{Object, View};

/// Most bytes of the attachments of one mail: as long as a String may be.
const FILES_BYTES_MAX: usize = STRING_MAX;

/// Who sends when nobody is named and no setting says it.
const NOBODY: &str = "webmaster@localhost";

pub(super) fn prepare(view: &View, who: &Caller, args: &Args<'_>) -> Result<Job, Refusal> {
    let (mail, files) = read(view, who, args).map_err(Refusal::Failed)?;
    let named = [&mail.to, &mail.cc, &mail.bcc, &mail.reply_to];
    for address in named.into_iter().flatten().chain([&mail.from]) {
        // Only `try` catches this: an address is the author's, not the server's.
        mail::check(address).map_err(Refusal::Error)?;
    }
    let as_string = args.flag("as_string").map_err(Refusal::Failed)?;
    let server = match as_string {
        true => None,
        false => Some(server(view, who, args).map_err(Refusal::Failed)?),
    };
    let shown = format!("mailto {}", mail.to.join(", "));
    let work = move |around: &Around| carry_out(around, mail, files, server.as_ref());
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}

/// `conn_check()` of a mail server.
pub(super) fn check(view: &View, who: &Caller, target: &Value) -> Result<Job, Refusal> {
    let Value::Object(Ref::Object(id)) = target else {
        return Err(Refusal::Error("conn_check() is a method of objects".to_owned()));
    };
    let object = view.get(who, *id).map_err(|fault| Refusal::Failed(unreadable(&fault)))?;
    let shown = format!("conn_check {}", object.stub.path);
    let name = object.stub.def.name.as_str();
    let no_method = || Refusal::Error(format!("{name} has no method conn_check()"));
    let run = if !object.stub.def.builtin {
        return Err(no_method());
    } else if name == "MailChannel" {
        let settings = Settings::read(view, &object).map_err(Refusal::Failed)?;
        ask(move |around| {
            around.wait(async {
                let account = settings.account(&around.inner).await?;
                mailbox::check(&account, around.inner.network()).await
            })
        })
    } else if name == "SmtpServer" {
        let way = of_object(view, &object).map_err(Refusal::Failed)?;
        ask(move |around| {
            around.wait(async {
                let server = way.server(around).await?;
                mail::greet(&server, around.inner.network()).await
            })
        })
    } else {
        return Err(no_method());
    };
    Ok(Job { shown, run })
}

/// A question to a server.
fn ask(question: impl FnOnce(&Around) -> Result<(), String> + Send + 'static) -> Run {
    Run::Thread(Box::new(move |around: &Around| match question(around) {
        Ok(()) => done(String::new()),
        Err(message) => failed(message),
    }))
}

fn unreadable(fault: &kompira_schema::error::Fault) -> String {
    format!("the mail server cannot be read: {}", fault.kind().name())
}

/// A mail server, and whose token logs in there.
pub(in crate::engine) struct Way {
    /// Without the token, when it logs in by one.
    server: Server,
    /// The object whose token it logs in by.
    token_of: Option<ObjectId>,
}

impl Way {
    /// The server with what logs in there; a token that has ended is renewed.
    async fn server(&self, around: &Around) -> Result<Server, String> {
        let mut server = self.server.clone();
        if let Some(id) = self.token_of {
            server.password = Some(tokens::fresh(&around.inner, id).await?);
        }
        Ok(server)
    }
}

/// The mail server of this machine.
fn local() -> Way {
    Way { server: on_this_machine(), token_of: None }
}

fn on_this_machine() -> Server {
    Server {
        host: "localhost".to_owned(),
        port: None,
        user: None,
        password: None,
        timeout: Some(std::time::Duration::from_secs(60)),
        tls: false,
        ssl: false,
        oauth2: false,
    }
}

fn read(view: &View, who: &Caller, args: &Args<'_>) -> Result<(Mail, Vec<FileValue>), String> {
    let from = match args.text("from")?.filter(|from| !from.is_empty()) {
        Some(from) => from,
        None => sender(view, who),
    };
    let mut mail = Mail {
        from,
        to: args.texts("to")?,
        cc: args.texts("cc")?,
        bcc: args.texts("bcc")?,
        reply_to: args.texts("reply_to")?,
        subject: args.get("subject").map(text).unwrap_or_default(),
        text: args.get("body").map(text),
        html: args.get("html_content").map(text),
        inline: args.flag("inline_content")?,
        placeholder: args.text("placeholder")?.unwrap_or_else(|| "%".to_owned()),
        headers: args.dict("headers")?.map(pairs).unwrap_or_default(),
        charset: args.text("charset")?.unwrap_or_else(|| "UTF-8".to_owned()),
        ..Mail::default()
    };
    let all = args.flag("reply_to_all")?;
    match args.get("parents") {
        None => {}
        Some(Value::Dict(parent)) => answer(&mut mail, parent, all),
        Some(Value::Array(parents)) => {
            for parent in parents {
                let Value::Dict(parent) = parent else { return Err(args.wrong("parents", parent)) };
                answer(&mut mail, parent, all);
            }
        }
        Some(other) => return Err(args.wrong("parents", other)),
    }
    if mail.text.is_none() && mail.html.is_none() {
        return Err("mailto(): a mail needs body or html_content".to_owned());
    }
    if mail.to.is_empty() && mail.cc.is_empty() && mail.bcc.is_empty() {
        return Err("mailto(): nobody to send to".to_owned());
    }
    let files = match args.get("attach_files") {
        None => Vec::new(),
        Some(Value::File(file)) => vec![file.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::File(file) => Ok(file.clone()),
                other => Err(args.wrong("attach_files", other)),
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(args.wrong("attach_files", other)),
    };
    Ok((mail, files))
}

/// The user's address, else the server's.
fn sender(view: &View, who: &Caller) -> String {
    let own = view.user(who.user).map(|user| user.email.to_string());
    own.filter(|address| !address.is_empty()).unwrap_or_else(|| system_sender(view))
}

/// The administrator's address, else nobody's.
pub(in crate::engine) fn system_sender(view: &View) -> String {
    match settings::value(view, "adminEmail") {
        Some(Value::Str(address)) if !address.is_empty() => address,
        _ => NOBODY.to_owned(),
    }
}

fn header<'a>(mail: &'a Dict, name: &str) -> Option<&'a str> {
    mail.iter().find_map(|(key, value)| match value {
        Value::Str(text) if key.eq_ignore_ascii_case(name) && !text.is_empty() => {
            Some(text.as_str())
        }
        _ => None,
    })
}

/// Makes the mail an answer to a mail that was read.
fn answer(mail: &mut Mail, parent: &Dict, all: bool) {
    let older = header(parent, "References").into_iter().flat_map(str::split_whitespace);
    let own = header(parent, "Message-ID");
    for id in older.chain(own) {
        if !mail.answers.iter().any(|held| held == id) {
            mail.answers.push(id.to_owned());
        }
    }
    let add = |to: &mut Vec<String>, name: &str| {
        for address in addresses(header(parent, name).unwrap_or_default()) {
            if !to.contains(&address) {
                to.push(address);
            }
        }
    };
    let back = if header(parent, "Reply-To").is_some() { "Reply-To" } else { "From" };
    add(&mut mail.to, back);
    if all {
        add(&mut mail.to, "To");
        add(&mut mail.cc, "Cc");
    }
}

/// The addresses of a header; commas inside quotes part nothing.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                found.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    found.push(current);
    found.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}

/// The server that is named, or set, or on this machine.
fn server(view: &View, who: &Caller, args: &Args<'_>) -> Result<Way, String> {
    match args.given("smtp_server") {
        Some(Value::Null) => Ok(local()),
        None => system_server(view),
        Some(named @ (Value::Str(_) | Value::Object(Ref::Object(_)))) => find(view, who, named),
        Some(other) => Err(args.wrong("smtp_server", other)),
    }
}

/// The server that is set, or on this machine.
pub(in crate::engine) fn system_server(view: &View) -> Result<Way, String> {
    match settings::value(view, "smtpServer") {
        Some(named) => find(view, &myself(), &named),
        None => Ok(local()),
    }
}

fn find(view: &View, who: &Caller, named: &Value) -> Result<Way, String> {
    let id = match named {
        Value::Str(path) if path.is_empty() => return Ok(local()),
        Value::Object(Ref::Object(id)) => *id,
        Value::Str(path) => kompira_schema::path::ObjectPath::parse(path)
            .and_then(|at| view.find_path(&at))
            .ok()
            .flatten()
            .ok_or_else(|| format!("no mail server: {path}"))?,
        _ => return Ok(local()),
    };
    let object = view.get(who, id).map_err(|fault| unreadable(&fault))?;
    if !object.stub.def.is_builtin("SmtpServer") {
        return Err(format!("{} is no SmtpServer", object.stub.path));
    }
    of_object(view, &object)
}

fn of_object(view: &View, object: &Object) -> Result<Way, String> {
    let mut server = on_this_machine();
    let field = |name: &str| view.field(object, name).map(std::borrow::Cow::into_owned);
    let text = |name: &str| match field(name) {
        Some(Value::Str(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let on = |name: &str| matches!(field(name), Some(Value::Bool(true)));
    if let Some(host) = text("hostname") {
        server.host = host;
    }
    server.port = match field("port") {
        Some(Value::Int(port)) => u16::try_from(port).ok().filter(|&port| port > 0),
        _ => None,
    };
    server.user = text("username");
    server.tls = on("use_tls");
    server.ssl = on("use_ssl");
    server.oauth2 = on("use_oauth2");
    if !server.oauth2 {
        server.password = secret(view, object.id(), "password")
            .map_err(|fault| format!("password of the mail server: {}", fault.kind().name()))?;
    } else if !tokens::has_any(view, object.id()) {
        return Err(tokens::NONE.to_owned());
    }
    let token_of = server.oauth2.then(|| object.id());
    server.timeout = match field("timeout") {
        Some(Value::Int(seconds)) if seconds > 0 => {
            Some(std::time::Duration::from_secs(seconds.unsigned_abs()))
        }
        _ => None,
    };
    Ok(Way { server, token_of })
}

fn carry_out(
    around: &Around,
    mut mail: Mail,
    files: Vec<FileValue>,
    server: Option<&Way>,
) -> Outcome {
    let work = || -> Result<String, String> {
        let mut left = FILES_BYTES_MAX;
        for file in files {
            let data = super::files::content(around, &file, left)?;
            left -= data.len();
            mail.files.push((file.name, data));
        }
        match server {
            None => {
                stamp(around, &mut mail)?;
                let (_, bytes) = mail::compose(&mail)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Some(server) => hand_over(around, mail, server).map(|()| String::new()),
        }
    };
    match work() {
        Ok(text) => done(text),
        Err(message) => failed(message),
    }
}

/// Sends a mail.
pub(in crate::engine) fn hand_over(
    around: &Around,
    mut mail: Mail,
    way: &Way,
) -> Result<(), String> {
    stamp(around, &mut mail)?;
    let (envelope, bytes) = mail::compose(&mail)?;
    around.wait(async {
        let server = way.server(around).await?;
        mail::send(&server, around.inner.network(), &envelope, &bytes).await
    })
}

/// Says when the mail is written, and by what it is known.
fn stamp(around: &Around, mail: &mut Mail) -> Result<(), String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    mail.token = format!("{:032x}", u128::from_be_bytes(random));
    let zone = around.inner.tree.view().zone();
    mail.date = around.inner.now().to_zoned(zone).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
    Ok(())
}
