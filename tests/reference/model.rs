//! What a directory of bare objects is: a map from paths to bytes.

use std::collections::BTreeMap;

use super::run::{EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, Face};

/// A file or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Dir,
    File(Vec<u8>),
}

/// The model. Paths are relative to where the operations play, `""` is that place.
#[derive(Debug, Default)]
pub(crate) struct Model(BTreeMap<String, Node>);

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Model {
    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.0.get(path) == Some(&Node::Dir)
    }

    /// The first part of the path that is missing or a file says which error it is.
    fn need_parent(&self, path: &str) -> Result<(), i32> {
        let parent = parent(path);
        if self.is_dir(parent) {
            return Ok(());
        }
        let mut at = String::new();
        for part in parent.split('/') {
            if !at.is_empty() {
                at.push('/');
            }
            at.push_str(part);
            match self.0.get(&at) {
                None => return Err(ENOENT),
                Some(Node::File(_)) => return Err(ENOTDIR),
                Some(Node::Dir) => {}
            }
        }
        Ok(())
    }

    fn has_children(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        self.0.keys().any(|key| key.starts_with(&prefix))
    }

    fn file(&mut self, path: &str) -> Result<&mut Vec<u8>, i32> {
        self.need_parent(path)?;
        match self.0.get_mut(path) {
            None => Err(ENOENT),
            Some(Node::Dir) => Err(EISDIR),
            Some(Node::File(bytes)) => Ok(bytes),
        }
    }
}

impl Face for Model {
    fn write(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        self.need_parent(path)?;
        if self.is_dir(path) {
            return Err(EISDIR);
        }
        self.0.insert(path.to_owned(), Node::File(data.to_vec()));
        Ok(())
    }

    fn append(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        self.need_parent(path)?;
        self.0.entry(path.to_owned()).or_insert(Node::File(Vec::new()));
        self.file(path)?.extend_from_slice(data);
        Ok(())
    }

    fn truncate(&mut self, path: &str, size: u64) -> Result<(), i32> {
        self.file(path)?.resize(usize::try_from(size).unwrap(), 0);
        Ok(())
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, i32> {
        self.file(path).cloned()
    }

    fn mkdir(&mut self, path: &str) -> Result<(), i32> {
        self.need_parent(path)?;
        if self.0.contains_key(path) {
            return Err(EEXIST);
        }
        self.0.insert(path.to_owned(), Node::Dir);
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), i32> {
        self.file(path)?;
        self.0.remove(path);
        Ok(())
    }

    fn rmdir(&mut self, path: &str) -> Result<(), i32> {
        self.need_parent(path)?;
        match self.0.get(path) {
            None => Err(ENOENT),
            Some(Node::File(_)) => Err(ENOTDIR),
            Some(Node::Dir) if self.has_children(path) => Err(ENOTEMPTY),
            Some(Node::Dir) => {
                self.0.remove(path);
                Ok(())
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        self.need_parent(from)?;
        self.need_parent(to)?;
        let node = self.0.get(from).cloned().ok_or(ENOENT)?;
        if from == to {
            return Ok(());
        }
        if node == Node::Dir && to.starts_with(&format!("{from}/")) {
            return Err(EINVAL);
        }
        if from.starts_with(&format!("{to}/")) {
            return Err(ENOTEMPTY);
        }
        match (&node, self.0.get(to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(EISDIR),
            (Node::Dir, Some(Node::File(_))) => return Err(ENOTDIR),
            (Node::Dir, Some(Node::Dir)) if self.has_children(to) => return Err(ENOTEMPTY),
            _ => {}
        }
        self.0.remove(to);
        let below = format!("{from}/");
        let moved: Vec<String> =
            self.0.keys().filter(|key| *key == from || key.starts_with(&below)).cloned().collect();
        for key in moved {
            if let Some(node) = self.0.remove(&key) {
                self.0.insert(format!("{to}{}", &key[from.len()..]), node);
            }
        }
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>, i32> {
        self.need_parent(path)?;
        match self.0.get(path) {
            None if !path.is_empty() => return Err(ENOENT),
            Some(Node::File(_)) => return Err(ENOTDIR),
            _ => {}
        }
        let names = self.0.keys().filter(|key| parent(key) == path && !key.is_empty());
        let mut names: Vec<String> =
            names.map(|key| key.rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        Ok(names)
    }
}
