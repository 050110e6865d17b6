//! Login passwords: argon2id, and never more than a few at once.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use kompira_schema::error::Fault;
use parking_lot::{Condvar, Mutex};

/// Most hashes computed at once: each takes 19 MiB, so more would let logins eat the memory.
const HASHES_AT_ONCE_MAX: usize = 4;
/// Compared against when the user is unknown, so that the answer takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRmb3JhbGw$fsXxRYvPEfwPpFWVYqmZVZ0WQ6L6iKnzL4W2NDWrSbY";

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

struct Turn;

impl Turn {
    fn take() -> Self {
        let (running, freed) = &RUNNING;
        let mut count = running.lock();
        freed.wait_while(&mut count, |count| *count >= HASHES_AT_ONCE_MAX);
        *count += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.0.lock() -= 1;
        RUNNING.1.notify_one();
    }
}

/// Hashes a password into a PHC string (argon2id, m=19 MiB, t=2, p=1). Takes tens of milliseconds.
///
/// # Errors
/// [`kompira_schema::error::Kind::Internal`] when the system gives no random bytes.
pub fn hash(clear: &str) -> Result<String, Fault> {
    let _turn = Turn::take();
    let hash = Argon2::default().hash_password(clear.as_bytes()).map_err(Fault::internal)?;
    Ok(hash.to_string())
}

/// Whether `clear` is the password of `stored`. Takes as long without a stored one (an unknown
/// user, or one that has no password), and is then never true.
#[must_use]
pub fn verify(clear: &str, stored: Option<&str>) -> bool {
    let _turn = Turn::take();
    let Ok(parsed) = PasswordHash::new(stored.unwrap_or(NOBODY)) else {
        return false;
    };
    let right = Argon2::default().verify_password(clear.as_bytes(), &parsed).is_ok();
    right && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_alone() {
        let stored = hash("ひみつ").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("ひみつ", Some(&stored)));
        assert!(!verify("ひみつ ", Some(&stored)));
        assert!(!verify("", Some("")));
        assert!(!verify("anything", None));
    }

    #[test]
    fn the_hash_for_nobody_is_well_formed() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
