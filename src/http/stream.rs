//! Bodies that are read piece by piece: no answer is held in memory.

use std::io::Read;

use axum::body::{Body, Bytes};
use kompira_schema::error::Fault;
use tokio_stream::wrappers::ReceiverStream;

use super::pool::Pool;

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const PIECES_MAX: usize = 8;

/// A body that `reader` fills on a thread of the pool, at most `most` bytes. What is `kept` is
/// dropped after the last of it.
pub(super) fn body<K: Send + 'static>(
    pool: &Pool,
    reader: impl Read + Send + 'static,
    most: u64,
    kept: K,
) -> Body {
    let (pieces, received) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(PIECES_MAX);
    let pool = pool.clone();
    let overloaded = pieces.clone();
    tokio::spawn(async move {
        let copied = pool.wait(move || -> Result<(), Fault> {
            let _kept = kept;
            let mut reader = reader.take(most);
            loop {
                let mut piece = vec![0_u8; PIECE];
                let sent = match reader.read(&mut piece) {
                    Ok(0) => return Ok(()),
                    Ok(read) => {
                        piece.truncate(read);
                        pieces.blocking_send(Ok(Bytes::from(piece)))
                    }
                    // The length was promised: breaking off tells the client.
                    Err(error) => pieces.blocking_send(Err(error)),
                };
                if sent.is_err() {
                    return Ok(());
                }
            }
        });
        if let Err(fault) = copied.await {
            tracing::warn!(target: "kompira::http", ?fault, "an answer breaks off");
            let _gone = overloaded.send(Err(std::io::Error::other("no place to read"))).await;
        }
    });
    Body::from_stream(ReceiverStream::new(received))
}
