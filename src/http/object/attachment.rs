//! `.attachments`: the bytes of an attachment, streamed (rule: http/attachments).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::field::{Elem, Shape};
use kompira_schema::message;
use kompira_schema::value::{FileValue, Value};

use super::range::{self, Wanted};
use super::{check_base, if_match, with_etag};
use crate::http::answer::{self, Failure};
use crate::http::lenient;
use crate::http::route::{Answer, Ask, nothing};
use crate::http::stream;
use crate::tree::{Content, Element, Object, Txn};

/// Pieces that wait for the store.
const PIECES_MAX: usize = 16;

/// `GET`, `PUT`, `DELETE` of `<path>.attachments/<field>[/<index or key>]`.
pub(super) async fn handle(ask: &Arc<Ask>, body: Body) -> Answer {
    match ask.method {
        Method::PUT => put(ask, body).await,
        Method::DELETE => ask.blocking(|ask| write(ask, None)).await,
        _ => get(ask).await,
    }
}

/// The place that the URL names.
fn place(ask: &Ask) -> (&str, Option<&str>) {
    let mut rest = ask.target.rest.iter().map(String::as_str);
    (rest.next().unwrap_or_default(), rest.next())
}

/// The attachment that is there now.
fn present<'a>(value: &'a Value, element: Option<&str>) -> Option<&'a FileValue> {
    let value = match (value, element) {
        (value, None) => value,
        (Value::Array(list), Some(index)) => list.get(index.parse::<usize>().ok()?)?,
        (Value::Dict(dict), Some(key)) => dict.get(key)?,
        _ => return None,
    };
    match value {
        Value::File(file) => Some(file),
        _ => None,
    }
}

/// Whether a field is for one attachment.
fn holds_a_file(object: &Object, field: &str) -> bool {
    let def = object.stub.def.field(field);
    def.is_some_and(|def| def.field_type.shape == Shape::One(Elem::File))
}

async fn get(ask: &Arc<Ask>) -> Answer {
    let (file, rev) = match ask
        .blocking(|ask| {
            let view = ask.service.tree.view();
            let id = view.resolve(&ask.target.path)?;
            let object = view.get(&ask.who, id)?;
            let (field, element) = place(ask);
            let value = view.field(&object, field).ok_or_else(nothing)?;
            let rev = object.stub.head.rev;
            match present(&value, element) {
                Some(file) => Ok((Some(file.clone()), rev)),
                None if element.is_none() && holds_a_file(&object, field) => Ok((None, rev)),
                None => Err(nothing()),
            }
        })
        .await?
    {
        (Some(file), rev) => (file, rev),
        // The field is there, and empty.
        (None, rev) => return Ok(with_etag(answer::nothing(), rev)),
    };
    let part = range::wanted(&ask.headers, file.size, rev);
    let (status, from, len) = match part {
        Wanted::All => (StatusCode::OK, 0, file.size),
        Wanted::Part { from, to } => (StatusCode::PARTIAL_CONTENT, from, to - from),
        Wanted::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let blobs = ask.service.tree.store().blobs();
    let reader = range::Reader::new(blobs, file.hash, from);
    let body = match (&ask.method, len) {
        // Nobody reads it.
        (&Method::HEAD, _) | (_, 0) => Body::empty(),
        _ => stream::body(&ask.service.pool, reader, len, ()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = part.content_range(file.size) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    // Never shown in place: a stored page must not run with our origin.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(value) = HeaderValue::from_str(&disposition(&file.name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(with_etag(response, rev))
}

/// `attachment; filename*=UTF-8''…`.
fn disposition(name: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, KEEP))
}

async fn put(ask: &Arc<Ask>, mut body: Body) -> Answer {
    let most = ask.service.max_upload;
    let said = ask.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let said = said.and_then(|text| text.parse::<u64>().ok());
    let too_large = || Fault::new(Kind::TooLarge, message!("http.body_too_large", max = most));
    if said.is_some_and(|said| said > most) {
        return Err(too_large().into());
    }
    // Whoever may not write does not get to send a gigabyte first.
    ask.blocking(|ask| {
        let view = ask.service.tree.view();
        let id = view.resolve(&ask.target.path)?;
        if view.access(&ask.who, id)?.write {
            return Ok(());
        }
        Err(Fault::new(Kind::Denied, message!("http.denied_write")).into())
    })
    .await?;
    let (pieces, received) = tokio::sync::mpsc::channel::<Bytes>(PIECES_MAX);
    let (broken, asked) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), Arc::clone(ask));
    let (whole, pool) = (Arc::clone(&broken), ask.service.pool.clone());
    let storing = tokio::spawn(async move {
        pool.wait(move || -> Result<Answer, Failure> {
            let mut reader = Pieces { received, piece: Bytes::new(), broken: whole };
            let (hash, size) = asked.service.tree.store().blobs().put(&mut reader, most)?;
            Ok(write(&asked, Some(Content::Blob { hash, size })))
        })
        .await
    });
    let received = loop {
        match lenient::next_frame(&mut body).await {
            Ok(Some(frame)) => {
                // A storing side that has failed says why below.
                if pieces.send(frame).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(failure) => {
                broken.store(true, std::sync::atomic::Ordering::Release);
                break Err(failure);
            }
        }
    };
    drop(pieces);
    let stored = storing.await.map_err(Fault::internal)?;
    received?;
    stored?
}

/// The body as a reader for the store.
struct Pieces {
    received: tokio::sync::mpsc::Receiver<Bytes>,
    piece: Bytes,
    broken: Arc<std::sync::atomic::AtomicBool>,
}

impl std::io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.received.blocking_recv() {
                Some(piece) => self.piece = piece,
                None if self.broken.load(std::sync::atomic::Ordering::Acquire) => {
                    return Err(std::io::ErrorKind::ConnectionAborted.into());
                }
                None => return Ok(0),
            }
        }
        let len = buffer.len().min(self.piece.len());
        let head = self.piece.split_to(len);
        if let Some(target) = buffer.get_mut(..len) {
            target.copy_from_slice(&head);
        }
        Ok(len)
    }
}

/// Replaces or removes the attachment.
fn write(ask: &Ask, content: Option<Content>) -> Answer {
    let base = if_match(&ask.headers)?;
    let (field, element) = place(ask);
    let removes = content.is_none();
    let given = file_name(&ask.headers);
    ask.write(|txn: &mut Txn| {
        let id = txn.resolve(&ask.target.path)?;
        check_base(base, txn.head(id)?.rev)?;
        let object = txn.get(&ask.who, id)?;
        let missing = || Fault::new(Kind::NotFound, message!("http.nothing_there"));
        let value = txn.field(&object, field).ok_or_else(missing)?.into_owned();
        let now = present(&value, element).cloned();
        if removes && now.is_none() {
            return Err(missing());
        }
        let name = given
            .clone()
            .or_else(|| now.map(|file| file.name))
            .unwrap_or_else(|| element.unwrap_or(field).to_owned());
        let at = match (&value, element) {
            (Value::Array(_), Some(index)) => Element::Index(index.parse().map_err(|_| missing())?),
            (_, Some(key)) => Element::Key(key),
            (_, None) => Element::Whole,
        };
        txn.set_attachment(id, field, at, content.clone().map(|content| (name.as_str(), content)))
    })?;
    let view = ask.service.tree.view();
    let rev = view.head(view.resolve(&ask.target.path)?)?.rev;
    let mut response = answer::nothing();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(with_etag(response, rev))
}

/// The file name of `Content-Disposition`, without any directories.
fn file_name(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_DISPOSITION)?;
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let parameter = |name: &str| {
        text.split(';').map(str::trim).find_map(|part| part.strip_prefix(name)).map(str::trim)
    };
    let name = match parameter("filename*=UTF-8''").or_else(|| parameter("filename*=utf-8''")) {
        Some(encoded) => {
            percent_encoding::percent_decode_str(encoded).decode_utf8().ok()?.into_owned()
        }
        None => parameter("filename=")?.trim_matches('"').to_owned(),
    };
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    (!last.is_empty() && !last.contains('\0')).then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/attachments
    #[test]
    fn a_file_name_comes_without_directories() {
        for (text, name) in [
            ("attachment; filename=\"a b.pem\"", Some("a b.pem")),
            ("attachment; filename*=UTF-8''%E4%B8%96.txt; filename=x", Some("世.txt")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"c:\\\\x\\\\y\"", Some("y")),
            ("attachment; filename=\"\"", None),
            ("inline", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_DISPOSITION, text.parse().unwrap());
            assert_eq!(file_name(&headers).as_deref(), name, "{text}");
        }
        assert_eq!(disposition("a\"b\n世"), "attachment; filename*=UTF-8''a%22b%0A%E4%B8%96");
    }
}
