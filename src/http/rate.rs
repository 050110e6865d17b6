//! How often somebody may ask (rule: http/rates).
//!
//! Two limits: bad tokens by address, always; requests by user, when the configuration says so.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use kompira_schema::id::UserId;
use parking_lot::Mutex;

/// Bad tokens of one address in a row.
const BAD_BURST: f64 = 20.0;
/// Bad tokens of one address per second after that.
const BAD_RATE: f64 = 1.0;
/// Addresses or users that are remembered.
const KNOWN_MAX: usize = 10_000;

/// Who asked how often.
#[derive(Debug)]
pub struct Rates {
    bad: Mutex<Buckets<IpAddr>>,
    users: Option<(f64, Mutex<Buckets<UserId>>)>,
}

impl Rates {
    /// At most `per_second` requests of one user per second, twice as many at once; 0 is no limit.
    #[must_use]
    pub fn new(per_second: u64) -> Self {
        #[allow(clippy::cast_precision_loss)] // nobody limits to 2⁵³ requests
        let rate = per_second as f64;
        Self { bad: Mutex::default(), users: (per_second > 0).then(|| (rate, Mutex::default())) }
    }

    /// A bad token came from there; `Err`: too many, with the seconds to wait.
    pub(super) fn bad_token(&self, from: IpAddr, now: Duration) -> Result<(), u64> {
        self.bad.lock().take(from, BAD_RATE, BAD_BURST, now)
    }

    /// A request of a user; `Err`: too many, with the seconds to wait.
    pub(super) fn request(&self, user: UserId, now: Duration) -> Result<(), u64> {
        match &self.users {
            Some((rate, users)) => users.lock().take(user, *rate, rate * 2.0, now),
            None => Ok(()),
        }
    }
}

/// A bucket for each key: one request takes a drop, time gives new ones.
#[derive(Debug)]
struct Buckets<K>(HashMap<K, Bucket>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    drops: f64,
    at: Duration,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Buckets<K> {
    fn take(&mut self, key: K, rate: f64, burst: f64, now: Duration) -> Result<(), u64> {
        let filled = |bucket: &Bucket| {
            let gained = now.saturating_sub(bucket.at).as_secs_f64() * rate;
            (bucket.drops + gained).min(burst)
        };
        if self.0.len() >= KNOWN_MAX && !self.0.contains_key(&key) {
            // Who has waited long enough is as good as unknown.
            self.0.retain(|_, bucket| filled(bucket) < burst);
            if self.0.len() >= KNOWN_MAX {
                self.0.clear();
            }
        }
        let bucket = self.0.entry(key).or_insert(Bucket { drops: burst, at: now });
        let drops = filled(bucket);
        bucket.at = now;
        if drops >= 1.0 {
            bucket.drops = drops - 1.0;
            return Ok(());
        }
        bucket.drops = drops;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at least 1, small
        let seconds = ((1.0 - drops) / rate).ceil().max(1.0) as u64;
        Err(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/rates
    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let rates = Rates::new(5);
        let (one, two) = (UserId(1), UserId(2));
        let start = Duration::from_secs(100);
        for _ in 0..10 {
            rates.request(one, start).unwrap();
        }
        assert_eq!(rates.request(one, start), Err(1));
        rates.request(two, start).unwrap();
        let later = start + Duration::from_millis(400);
        rates.request(one, later).unwrap();
        rates.request(one, later).unwrap();
        assert!(rates.request(one, later).is_err());
        let free = Rates::new(0);
        assert!((0..10_000).all(|_| free.request(one, start).is_ok()));
    }

    // rule: http/rates
    #[test]
    fn what_is_remembered_is_bounded() {
        let mut buckets = Buckets::default();
        for number in 0..3 * KNOWN_MAX {
            let _ = buckets.take(number, 1.0, 2.0, Duration::ZERO);
        }
        assert!(buckets.0.len() <= KNOWN_MAX);
    }
}
