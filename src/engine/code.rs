//! Byte code of jobflows: compiled once for each source, pinned by the processes that run it.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::lang::program::{CodeHash, Program};
use crate::store::{Family, Snapshot};

use super::row;

/// Compiled sources kept in memory.
const KEPT: usize = 1_000;

/// A source and what it compiles to.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) program: Arc<Program>,
    pub(super) source: Arc<str>,
}

/// All compiled sources.
pub(super) struct Codes(Cache<CodeHash, Code>);

impl Codes {
    pub(super) fn new() -> Self {
        Self(Cache::new(KEPT))
    }

    /// The code of a source; `None` if it does not compile.
    pub(super) fn compile(&self, source: &str) -> Option<Code> {
        let hash = CodeHash::of(source);
        self.0
            .get_or_insert_with(&hash, || {
                let program = crate::lang::compile(source).program.ok_or(())?;
                Ok::<_, ()>(Code { program, source: source.into() })
            })
            .ok()
    }

    /// Code that was compiled before, or that a process is pinned to.
    pub(super) fn find(&self, snapshot: &Snapshot, hash: CodeHash) -> Result<Code, String> {
        if let Some(code) = self.0.get(&hash) {
            return Ok(code);
        }
        let source = snapshot
            .get(Family::Frame, &row::pinned_key(hash))
            .map_err(|fault| fault.told().key.to_owned())?
            .ok_or("the source is lost")?;
        let source = std::str::from_utf8(&source).map_err(|_| "the source is damaged")?;
        if CodeHash::of(source) != hash {
            return Err("the source was compiled by another version".to_owned());
        }
        self.compile(source).ok_or_else(|| "the source does not compile".to_owned())
    }
}
