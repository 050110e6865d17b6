//! Login lock-out (rule: `tree/login-lock`).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// When a pair of user and address is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRule {
    /// Failures in a row that lock; 0: never.
    pub limit: u32,
    /// How long; zero: until released by hand.
    pub time: SignedDuration,
}

impl Default for LockRule {
    /// 3 failures, 30 minutes.
    fn default() -> Self {
        Self { limit: 3, time: SignedDuration::from_mins(30) }
    }
}

/// Failed logins of one user from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many in a row.
    pub count: u32,
    /// The last one.
    pub last: Timestamp,
}

impl Failures {
    /// Whether the pair is locked at `now`.
    #[must_use]
    pub fn locked(&self, rule: LockRule, now: Timestamp) -> bool {
        rule.limit > 0
            && self.count >= rule.limit
            && (rule.time.is_zero() || now.duration_since(self.last) < rule.time)
    }

    /// After one more failure at `now`. An expired lock starts anew.
    #[must_use]
    pub fn after(old: Option<Self>, rule: LockRule, now: Timestamp) -> Self {
        let expired = old.is_some_and(|old| old.count >= rule.limit && !old.locked(rule, now));
        let count = old.filter(|_| !expired).map_or(0, |old| old.count);
        Self { count: count.saturating_add(1), last: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: tree/login-lock
    #[test]
    fn three_failures_lock_for_thirty_minutes() {
        let rule = LockRule::default();
        let start = Timestamp::UNIX_EPOCH;
        let at = |minutes| start + SignedDuration::from_mins(minutes);
        let two = Failures::after(Some(Failures::after(None, rule, start)), rule, start);
        assert!(!two.locked(rule, start));
        let three = Failures::after(Some(two), rule, start);
        assert!(three.locked(rule, at(29)));
        assert!(!three.locked(rule, at(30)));
        assert_eq!(Failures::after(Some(three), rule, at(30)).count, 1, "starts anew");
        let never = LockRule { limit: 0, ..rule };
        assert!(!three.locked(never, start));
        let for_ever = LockRule { time: SignedDuration::ZERO, ..rule };
        assert!(three.locked(for_ever, at(100_000)));
    }
}
