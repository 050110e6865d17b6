//! What server and helper tell each other over their socket.
//!
//! Server to helper: one [`Start`] frame, one frame of standard input, then nothing; for a session
//! [`TYPED`] and a frame of input, again and again. A further byte means "end it", the end of the stream means that the server is gone. Helper to server:
//! [`Report`] frames. A frame is a big-endian `u32` length and that many bytes.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::remote::{COMMAND_BYTES_MAX, INPUT_BYTES_MAX};

/// Most bytes of a frame of JSON: a script, its arguments and settings, escaped.
const JSON_BYTES_MAX: usize = 16 * COMMAND_BYTES_MAX;

/// Most bytes of the input frame: text may grow when it is encoded.
const BYTES_MAX: usize = 2 * INPUT_BYTES_MAX;

/// What the helper is to run. Secrets travel here and never in arguments or environment.
#[derive(Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) work: Work,
    /// Working directory of the server for local jobs.
    pub(super) home: String,
    /// Where temporary scripts lie.
    pub(super) temp: String,
    /// As the author wrote it.
    pub(super) dir: Option<String>,
    /// The whole environment, but for what the account gives.
    pub(super) env: Vec<(String, String)>,
    pub(super) shell: String,
    pub(super) use_shell: bool,
    pub(super) use_pty: bool,
    /// Input comes until the end is asked for.
    #[serde(default)]
    pub(super) session: bool,
    pub(super) has_input: bool,
    pub(super) sudo: bool,
    pub(super) password: Option<String>,
    pub(super) user: Option<String>,
    pub(super) memory: Option<u64>,
    pub(super) processes: Option<u64>,
    pub(super) files: Option<u64>,
}

impl Drop for Start {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.password);
    }
}

/// A command line or a script.
#[derive(Serialize, Deserialize)]
pub(super) enum Work {
    Command { line: String },
    Script { source: String, arguments: Vec<String> },
}

/// What the helper says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The command runs.
    Started,
    /// It could not be started.
    Failed { message: String },
    /// It ended: exit status, or 128 + N for signal N.
    Exited { status: i32 },
}

/// The byte before a frame of bytes that are typed into a session.
pub(super) const TYPED: u8 = b'I';

/// The byte that asks the helper to end the command.
pub(super) const END: u8 = b'K';

pub(super) fn write_json<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let bytes = Zeroizing::new(serde_json::to_vec(value)?);
    write_bytes(to, &bytes)
}

pub(super) fn write_bytes(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(bytes)
}

pub(super) fn read_json<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let bytes = Zeroizing::new(read(from, JSON_BYTES_MAX)?);
    Ok(serde_json::from_slice(&bytes)?)
}

pub(super) fn read_bytes(from: &mut impl Read) -> io::Result<Vec<u8>> {
    read(from, BYTES_MAX)
}

fn read(from: &mut impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
