//! What all looks at mailboxes together may hold of mails (rule: `operations/mail-channels`).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::remote::mailbox::MAIL_BYTES_MAX;

/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// Most pieces of all. Ours: four mails of the largest size.
const PIECES_MAX: usize = 4 * MAIL_BYTES_MAX.div_ceil(PIECE);

/// Room for mails that are being read and put away.
pub(super) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PIECES_MAX)))
    }
}

/// Room that is given back when it is dropped.
pub(super) struct Reserved {
    bytes: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Reserved {
    /// How much it is.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Budget {
    /// Waits for room for a mail of that size, and a little more: servers count line ends as they
    /// like. Who waits longest is first. Nobody may hold some and wait for more.
    pub(super) async fn reserve(&self, bytes: usize) -> Reserved {
        let pieces = (bytes / PIECE + 1 + bytes / PIECE / 16).min(MAIL_BYTES_MAX.div_ceil(PIECE));
        let count = u32::try_from(pieces).unwrap_or(u32::MAX);
        // It is never closed.
        let permit = Arc::clone(&self.0).acquire_many_owned(count).await.ok();
        Reserved { bytes: (pieces * PIECE).min(MAIL_BYTES_MAX), _permit: permit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::trial::wait;

    // rule: operations/mail-channels
    #[test]
    fn four_of_the_largest_fill_it_and_the_next_waits() {
        let budget = Budget::default();
        wait(async {
            let mut held = Vec::new();
            for _ in 0..4 {
                let room = budget.reserve(MAIL_BYTES_MAX).await;
                assert_eq!(room.bytes(), MAIL_BYTES_MAX);
                held.push(room);
            }
            let (mut small, mut polled) = (Box::pin(budget.reserve(1)), 0);
            tokio::select! {
                biased;
                _ = &mut small => panic!("there is no room"),
                () = std::future::ready(()) => polled += 1,
            }
            assert_eq!(polled, 1);
            held.pop();
            assert!(small.await.bytes() >= 1);
        });
    }
}
