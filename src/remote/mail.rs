//! Mail of jobflows: composing it and handing it to a server (rule: `language/mailto`).

mod guard;
mod smtp;

use std::time::Duration;

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{
    ContentDisposition, ContentId, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use secrecy::SecretString;

use super::Charset;
pub use smtp::{greet, send};

/// A mail.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// The sender.
    pub from: String,
    /// Receivers that are named.
    pub to: Vec<String>,
    /// Receivers of a copy.
    pub cc: Vec<String>,
    /// Receivers of a copy that nobody else sees.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Vec<String>,
    /// What it is about.
    pub subject: String,
    /// Plain text.
    pub text: Option<String>,
    /// HTML.
    pub html: Option<String>,
    /// Attached files: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Files stand inside the text, not behind it.
    pub inline: bool,
    /// The character that starts a mark for the number of an inline file.
    pub placeholder: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// `Message-ID`s of the mails it answers, the oldest first.
    pub answers: Vec<String>,
    /// Charset of the text.
    pub charset: String,
    /// When it is written, as mails say it.
    pub date: String,
    /// The part of `Message-ID` and of the numbers of files that no other mail has.
    pub token: String,
}

/// A server that takes mail.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// `None` is 25, 587 with TLS, 465 with SSL.
    pub port: Option<u16>,
    /// Log in as.
    pub user: Option<String>,
    /// Log in with; with `oauth2` the access token.
    pub password: Option<SecretString>,
    /// Between two answers; `None` is the system's.
    pub timeout: Option<Duration>,
    /// Encrypt after a greeting.
    pub tls: bool,
    /// Encrypt from the start.
    pub ssl: bool,
    /// Log in by XOAUTH2.
    pub oauth2: bool,
}

/// Whether a text is an address as mails have them.
///
/// # Errors
/// Why it is none.
pub fn check(address: &str) -> Result<(), String> {
    mailbox(address).map(drop)
}

fn mailbox(address: &str) -> Result<Mailbox, String> {
    address.parse().map_err(|_| format!("invalid mail address: {address}"))
}

/// Writes a mail as it goes over the wire.
///
/// # Errors
/// A bad address or header, a charset that cannot hold the text, nothing to send.
pub fn compose(mail: &Mail) -> Result<(Envelope, Vec<u8>), String> {
    let mut builder = Message::builder()
        .from(mailbox(&mail.from)?)
        .subject(mail.subject.clone())
        .message_id(Some(format!("<{}@{}>", mail.token, domain(&mail.from))))
        .user_agent(concat!("kompira-fs ver ", env!("CARGO_PKG_VERSION")).to_owned());
    for address in &mail.to {
        builder = builder.to(mailbox(address)?);
    }
    for address in &mail.cc {
        builder = builder.cc(mailbox(address)?);
    }
    for address in &mail.bcc {
        builder = builder.bcc(mailbox(address)?);
    }
    for address in &mail.reply_to {
        builder = builder.reply_to(mailbox(address)?);
    }
    if let Some(last) = mail.answers.last() {
        builder = builder.in_reply_to(last.clone()).references(mail.answers.join(" "));
    }
    let mut all = mail.headers.clone();
    all.push(("Date".to_owned(), mail.date.clone()));
    for (name, value) in all {
        let bad = || format!("'{name}' is no name of a header");
        let header = HeaderName::new_from_ascii(name.clone()).map_err(|_| bad())?;
        if value.contains(['\r', '\n']) {
            return Err(format!("the value of the header '{name}' cannot be sent"));
        }
        builder = builder.raw_header(HeaderValue::new(header, value));
    }
    let message = match content(mail)? {
        Content::One(part) => builder.singlepart(part),
        Content::Many(parts) => builder.multipart(parts),
    };
    let message = message.map_err(|error| error.to_string())?;
    Ok((message.envelope().clone(), message.formatted()))
}

fn domain(address: &str) -> String {
    let (_, domain) = address.rsplit_once('@').unwrap_or_default();
    let domain = domain.trim_end_matches('>');
    if domain.is_empty() { "localhost".to_owned() } else { domain.to_owned() }
}

enum Content {
    One(SinglePart),
    Many(MultiPart),
}

fn content(mail: &Mail) -> Result<Content, String> {
    let ids: Vec<String> = (1..=mail.files.len())
        .map(|number| format!("{}.{number}@{}", mail.token, domain(&mail.from)))
        .collect();
    let fill = |text: &str| if mail.inline { marks(mail, &ids, text) } else { text.to_owned() };
    let part = |text: &str, kind: &str| -> Result<SinglePart, String> {
        let charset = Charset::find(&mail.charset)
            .ok_or_else(|| format!("unknown encoding: {}", mail.charset))?;
        // Lines of a mail end so; a bare line end would be one byte among others.
        let lines = fill(text).replace("\r\n", "\n").replace('\n', "\r\n");
        let bytes = charset
            .encode(&lines)
            .ok_or_else(|| format!("the text does not fit {}", mail.charset))?;
        let kind = format!("text/{kind}; charset={}", mail.charset);
        let kind = ContentType::parse(&kind).map_err(|error| error.to_string())?;
        Ok(SinglePart::builder().header(kind).body(Body::new(bytes)))
    };
    let text = match (&mail.text, &mail.html) {
        (None, None) => return Err("a mail needs body or html_content".to_owned()),
        (Some(text), None) => Content::One(part(text, "plain")?),
        (None, Some(html)) => Content::One(part(html, "html")?),
        (Some(text), Some(html)) => Content::Many(
            MultiPart::alternative()
                .singlepart(part(text, "plain")?)
                .singlepart(part(html, "html")?),
        ),
    };
    if mail.files.is_empty() {
        return Ok(text);
    }
    let parts = if mail.inline { MultiPart::related() } else { MultiPart::mixed() };
    let mut parts = match text {
        Content::One(part) => parts.singlepart(part),
        Content::Many(inner) => parts.multipart(inner),
    };
    for ((name, data), id) in mail.files.iter().zip(&ids) {
        let mut file = SinglePart::builder().header(media_type(name)?);
        file = if mail.inline {
            file.header(ContentDisposition::inline_with_name(name))
                .header(ContentId::from(format!("<{id}>")))
        } else {
            file.header(ContentDisposition::attachment(name))
        };
        let body = Body::new_with_encoding(data.clone(), ContentTransferEncoding::Base64)
            .map_err(|_| format!("{name} cannot be encoded"))?;
        parts = parts.singlepart(file.body(body));
    }
    Ok(Content::Many(parts))
}

/// The media type that a name says.
fn media_type(name: &str) -> Result<ContentType, String> {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    let kind = match suffix.as_deref() {
        Some("txt" | "log" | "csv" | "md") => "text/plain",
        Some("html" | "htm") => "text/html",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("svg") => "image/svg+xml",
        Some("pdf") => "application/pdf",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("zip") => "application/zip",
        Some("gz") => "application/gzip",
        _ => "application/octet-stream",
    };
    ContentType::parse(kind).map_err(|error| error.to_string())
}

/// Puts the numbers of inline files where `%{Content-ID#n}` and `%{Content-ID:name}` stand.
fn marks(mail: &Mail, ids: &[String], text: &str) -> String {
    let start = format!("{}{{Content-ID", mail.placeholder);
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&start) {
        out.push_str(before);
        let id = after.split_once('}').and_then(|(mark, tail)| {
            let place = if let Some(number) = mark.strip_prefix('#') {
                number.parse::<usize>().ok()?.checked_sub(1)?
            } else {
                let name = mark.strip_prefix(':')?;
                mail.files.iter().position(|(held, _)| held == name)?
            };
            Some((ids.get(place)?, tail))
        });
        match id {
            Some((id, tail)) => {
                out.push_str(id);
                rest = tail;
            }
            None => {
                out.push_str(&start);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
