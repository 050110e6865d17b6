//! Threads for what blocks: store reads and commits, waits for a process.

use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use tokio::sync::Semaphore;

/// Most requests that work on the store at once. A read takes microseconds and a commit waits for
/// one sync that it shares, so more threads would add memory and no speed.
const WORKING_MAX: usize = 64;
/// Most requests that wait for a process or follow a console at once; each holds a thread.
const WAITING_MAX: usize = 256;
/// Longest wait for a place among the working ones before the client is told to come back.
const QUEUE_TIME_MAX: Duration = Duration::from_secs(10);

/// Bounded places on blocking threads.
#[derive(Debug, Clone)]
pub struct Pool {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            working: Arc::new(Semaphore::new(WORKING_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }
}

fn overloaded() -> Fault {
    Fault::new(Kind::Unavailable, message!("http.overloaded"))
}

impl Pool {
    /// Runs `work` on a blocking thread.
    ///
    /// # Errors
    /// `Unavailable` when all places stay taken; `Internal` when `work` panics; what it answers.
    pub async fn run<T: Send + 'static, E: From<Fault> + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let place = Arc::clone(&self.working).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(QUEUE_TIME_MAX, place).await else {
            return Err(overloaded().into());
        };
        spawn(place, work).await
    }

    /// Runs `work` that may wait long; these have places of their own.
    ///
    /// # Errors
    /// As [`Pool::run`], without queueing.
    pub async fn wait<T: Send + 'static, E: From<Fault> + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| overloaded())?;
        spawn(place, work).await
    }
}

async fn spawn<T: Send + 'static, E: From<Fault> + Send + 'static>(
    place: tokio::sync::OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let span = tracing::Span::current();
    let task = tokio::task::spawn_blocking(move || {
        // The place is held until the work is over, also when the client has gone.
        let _place = place;
        span.in_scope(work)
    });
    task.await.unwrap_or_else(|error| Err(Fault::internal(error).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_work_is_an_internal_fault_and_frees_its_place() {
        let pool = Pool::default();
        for _ in 0..WORKING_MAX + 1 {
            let fault = pool.run::<(), Fault>(|| panic!("on purpose")).await.unwrap_err();
            assert_eq!(fault.kind(), Kind::Internal);
        }
        assert_eq!(pool.run(|| Ok::<_, Fault>(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn waits_have_places_of_their_own_and_are_bounded() {
        let pool = Pool::default();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(parking_lot::Mutex::new(held));
        let waits: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let (pool, held) = (pool.clone(), Arc::clone(&held));
                tokio::spawn(async move {
                    pool.wait(move || {
                        let _ = held.lock().recv();
                        Ok::<_, Fault>(())
                    })
                    .await
                })
            })
            .collect();
        while pool.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let fault = pool.wait(|| Ok::<_, Fault>(())).await.unwrap_err();
        assert_eq!(fault.kind(), Kind::Unavailable);
        assert_eq!(pool.run(|| Ok::<_, Fault>(7)).await, Ok(7));
        drop(release);
        for wait in waits {
            wait.await.unwrap().unwrap();
        }
    }
}
