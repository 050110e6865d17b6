//! The REST face of a real server: files are objects of type Text, directories are Directories.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::run::{EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, Face};
use crate::support::Client;

/// The operations play below this object.
pub(crate) struct Http {
    client: Client,
    base: String,
}

/// What stands at a path.
enum Found {
    Dir,
    Text { text: String, etag: String },
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Http {
    /// Makes an empty directory `name` below `/root` and plays there.
    pub(crate) fn new(client: Client, name: &str) -> Self {
        client.create("/root", name, "Directory", json!({}));
        Self { client, base: format!("/root/{name}") }
    }

    /// The object's path.
    fn at(&self, path: &str) -> String {
        if path.is_empty() { self.base.clone() } else { format!("{}/{path}", self.base) }
    }

    /// The same in a URL.
    fn url(&self, path: &str) -> String {
        let escape = |byte: u8| match byte {
            b'/' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        self.at(path).bytes().map(escape).collect()
    }

    /// What is there: over HTTP what is below a text is as missing as anything else.
    fn find(&self, path: &str) -> Result<Found, i32> {
        let reply = self.client.get(&self.url(path));
        if reply.status == 404 {
            let parent = split(path).0;
            return Err(if parent.is_empty() { ENOENT } else { self.why_missing(parent) });
        }
        let etag = reply.header("etag").expect("an object has an ETag").to_owned();
        let object = reply.expect(200).json();
        Ok(match object["type_object"].as_str() {
            Some("/system/types/Directory") => Found::Dir,
            Some("/system/types/Text") => {
                Found::Text { text: object["fields"]["text"].as_str().unwrap().to_owned(), etag }
            }
            other => panic!("{path} is a {other:?}"),
        })
    }

    fn why_missing(&self, parent: &str) -> i32 {
        match self.find(parent) {
            Ok(Found::Text { .. }) => ENOTDIR,
            Ok(Found::Dir) => ENOENT,
            Err(error) => error,
        }
    }

    fn need_dir(&self, path: &str) -> Result<(), i32> {
        match self.find(path)? {
            Found::Dir => Ok(()),
            Found::Text { .. } => Err(ENOTDIR),
        }
    }

    fn create(&self, path: &str, kind: &str, fields: &Json) {
        let (parent, name) = split(path);
        let body =
            json!({"name": name, "type_object": format!("/system/types/{kind}"), "fields": fields});
        self.client.post(&self.url(parent), &body).expect(201);
    }

    fn save(&self, path: &str, text: &str, etag: &str) {
        let body = json!({"fields": {"text": text}}).to_string();
        let headers = [("Content-Type", "application/json"), ("If-Match", etag)];
        self.client.send("PATCH", &self.url(path), &headers, body.as_bytes()).expect(200);
    }

    /// What a file becomes, made if it is missing.
    fn put(&self, path: &str, change: impl FnOnce(String) -> String) -> Result<(), i32> {
        match self.find(path) {
            Ok(Found::Dir) => Err(EISDIR),
            Ok(Found::Text { text, etag }) => {
                self.save(path, &change(text), &etag);
                Ok(())
            }
            Err(_) => {
                self.need_dir(split(path).0)?;
                self.create(path, "Text", &json!({"text": change(String::new())}));
                Ok(())
            }
        }
    }

    fn children(&self, path: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut page = 1;
        loop {
            // A small page, so that there are several.
            let url = format!("{}.children?page={page}&page_size=3&attrs=abspath", self.url(path));
            let list = self.client.get(&url).expect(200).json();
            for child in list["results"].as_array().unwrap() {
                names.insert(split(child["abspath"].as_str().unwrap()).1.to_owned());
            }
            if list["next"].is_null() {
                assert_eq!(list["count"], names.len(), "{path}");
                return names;
            }
            page += 1;
        }
    }

    fn remove(&self, path: &str) {
        self.client.delete(&self.url(path)).expect(204);
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8(data.to_vec()).expect("these operations write text")
}

impl Face for Http {
    fn write(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        self.put(path, |_| text(data))
    }

    fn append(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        self.put(path, |old| old + &text(data))
    }

    fn truncate(&mut self, path: &str, size: u64) -> Result<(), i32> {
        let Found::Text { text, etag } = self.find(path)? else { return Err(EISDIR) };
        let size = usize::try_from(size).unwrap();
        assert!(size <= text.len(), "a text cannot be made longer by nothing");
        self.save(path, &text[..size], &etag);
        Ok(())
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, i32> {
        match self.find(path)? {
            Found::Dir => Err(EISDIR),
            Found::Text { text, .. } => Ok(text.into_bytes()),
        }
    }

    fn mkdir(&mut self, path: &str) -> Result<(), i32> {
        self.need_dir(split(path).0)?;
        if self.find(path).is_ok() {
            return Err(EEXIST);
        }
        self.create(path, "Directory", &json!({}));
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), i32> {
        match self.find(path)? {
            Found::Dir => Err(EISDIR),
            Found::Text { .. } => {
                self.remove(path);
                Ok(())
            }
        }
    }

    fn rmdir(&mut self, path: &str) -> Result<(), i32> {
        self.need_dir(path)?;
        if !self.children(path).is_empty() {
            return Err(ENOTEMPTY);
        }
        self.remove(path);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        let (dir, name) = split(to);
        self.need_dir(split(from).0)?;
        self.need_dir(dir)?;
        let node = self.find(from)?;
        if from == to {
            return Ok(());
        }
        let (source, target) = (self.at(from), self.url(dir));
        let body = json!({"object": source, "name": name});
        if matches!(node, Found::Dir) && to.starts_with(&format!("{from}/")) {
            // The server itself refuses this one, and changes nothing.
            self.client.post(&format!("{target}.move"), &body).expect(400);
            return Err(EINVAL);
        }
        if from.starts_with(&format!("{to}/")) {
            return Err(ENOTEMPTY);
        }
        match (&node, self.find(to)) {
            (_, Err(_)) => {}
            (Found::Text { .. }, Ok(Found::Dir)) => return Err(EISDIR),
            (Found::Dir, Ok(Found::Text { .. })) => return Err(ENOTDIR),
            (Found::Dir, Ok(Found::Dir)) if !self.children(to).is_empty() => return Err(ENOTEMPTY),
            (_, Ok(_)) => {
                // A name in use is never replaced over HTTP: its client has to delete it.
                self.client.post(&format!("{target}.move"), &body).expect(400);
                self.remove(to);
            }
        }
        if split(from).0 == dir {
            self.client
                .post(&format!("{}.rename", self.url(from)), &json!({"name": name}))
                .expect(200);
        } else {
            self.client.post(&format!("{target}.move"), &body).expect(200);
        }
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>, i32> {
        self.need_dir(path)?;
        Ok(self.children(path).into_iter().collect())
    }
}
