//! Time as the server sees it: the wall clock for what people read, a monotonic clock for waits.
//!
//! Nothing below `app` asks the system for the time; tests turn the hands of a [`Fake`].

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Condvar, Mutex};

/// A clock. All clones of one `Arc` show the same time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, cut to the microsecond that the tree keeps. May jump either way.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Blocks the calling thread until `alarm` rings or [`Clock::monotonic`] reaches `until`
    /// (`None`: only the alarm ends the wait). A ring that came before the call counts.
    fn wait(&self, alarm: &Arc<Alarm>, until: Option<Duration>) -> Woken;

    /// Blocks the calling thread for `time`.
    fn sleep(&self, time: Duration) {
        let alarm = Arc::new(Alarm::default());
        self.wait(&alarm, Some(self.monotonic().saturating_add(time)));
    }
}

/// Why a [`Clock::wait`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody called [`Alarm::ring`]; the alarm is set again.
    Rung,
    /// The time came.
    Time,
}

/// Wakes one waiting thread before its time. Rings are not counted: many are one.
#[derive(Debug, Default)]
pub struct Alarm {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Alarm {
    /// Ends the present or the next [`Clock::wait`] on this alarm.
    pub fn ring(&self) {
        *self.rung.lock() = true;
        self.bell.notify_all();
    }
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct System {
    start: Instant,
}

impl System {
    /// A system clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for System {
    fn now(&self) -> Timestamp {
        cut(Timestamp::now())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait(&self, alarm: &Arc<Alarm>, until: Option<Duration>) -> Woken {
        let deadline = until.and_then(|until| self.start.checked_add(until));
        let mut rung = alarm.rung.lock();
        loop {
            if std::mem::take(&mut *rung) {
                return Woken::Rung;
            }
            match deadline {
                None => alarm.bell.wait(&mut rung),
                Some(deadline) => {
                    if alarm.bell.wait_until(&mut rung, deadline).timed_out() && !*rung {
                        return Woken::Time;
                    }
                }
            }
        }
    }
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct Fake {
    hands: Mutex<Hands>,
}

#[derive(Debug)]
struct Hands {
    now: Timestamp,
    monotonic: Duration,
    waiting: Vec<Weak<Alarm>>,
}

impl Fake {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let hands = Hands { now: cut(now), monotonic: Duration::ZERO, waiting: Vec::new() };
        Self { hands: Mutex::new(hands) }
    }

    /// Moves both clocks forward and wakes whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock();
        hands.monotonic = hands.monotonic.saturating_add(by);
        let signed = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        hands.now = hands.now.checked_add(signed).unwrap_or(Timestamp::MAX);
        wake(hands);
    }

    /// Moves the wall clock alone, as an operator or NTP does.
    pub fn set_wall(&self, now: Timestamp) {
        let mut hands = self.hands.lock();
        hands.now = cut(now);
        wake(hands);
    }

    /// How many threads wait on this clock; lets a test advance only when the other side sleeps.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.hands.lock().waiting.iter().filter(|alarm| alarm.strong_count() > 0).count()
    }
}

/// Lets every waiter look at the clock again.
fn wake(mut hands: parking_lot::MutexGuard<'_, Hands>) {
    hands.waiting.retain(|alarm| alarm.strong_count() > 0);
    let waiting: Vec<_> = hands.waiting.iter().filter_map(Weak::upgrade).collect();
    drop(hands);
    for alarm in waiting {
        // Taking the lock makes sure that a waiter is either before its check or asleep.
        let _rung = alarm.rung.lock();
        alarm.bell.notify_all();
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        self.hands.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.hands.lock().monotonic
    }

    fn wait(&self, alarm: &Arc<Alarm>, until: Option<Duration>) -> Woken {
        let mine = Arc::downgrade(alarm);
        self.hands.lock().waiting.push(mine.clone());
        let mut rung = alarm.rung.lock();
        let woken = loop {
            if std::mem::take(&mut *rung) {
                break Woken::Rung;
            }
            if until.is_some_and(|until| self.hands.lock().monotonic >= until) {
                break Woken::Time;
            }
            alarm.bell.wait(&mut rung);
        };
        drop(rung);
        let mut hands = self.hands.lock();
        if let Some(at) = hands.waiting.iter().position(|other| other.ptr_eq(&mine)) {
            hands.waiting.swap_remove(at);
        }
        woken
    }
}

/// Cuts what is finer than a microsecond: fields and times of objects hold no more.
fn cut(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2025-03-02T12:00:00.1234567Z".parse().unwrap()
    }

    #[test]
    fn times_are_cut_to_the_microsecond() {
        assert_eq!(Fake::at(noon()).now().to_string(), "2025-03-02T12:00:00.123456Z");
        assert_eq!(System::new().now().subsec_nanosecond() % 1000, 0);
    }

    #[test]
    fn a_fake_clock_wakes_a_sleeper_when_its_time_comes_and_not_before() {
        let clock = Arc::new(Fake::at(noon()));
        let (done, ended) = std::sync::mpsc::channel();
        let sleeper = {
            let clock = Arc::clone(&clock);
            std::thread::spawn(move || {
                clock.sleep(Duration::from_secs(10));
                done.send(clock.monotonic()).unwrap();
            })
        };
        while clock.waiting() == 0 {
            std::thread::yield_now();
        }
        clock.advance(Duration::from_secs(9));
        assert!(ended.try_recv().is_err());
        clock.advance(Duration::from_secs(1));
        assert_eq!(ended.recv().unwrap(), Duration::from_secs(10));
        sleeper.join().unwrap();
        assert_eq!(clock.waiting(), 0);
    }

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let alarm = Arc::new(Alarm::default());
        alarm.ring();
        let clock = System::new();
        assert_eq!(clock.wait(&alarm, None), Woken::Rung);
        assert_eq!(clock.wait(&alarm, Some(clock.monotonic())), Woken::Time);
    }

    #[test]
    fn the_wall_clock_may_go_back_and_the_monotonic_clock_stays() {
        let clock = Fake::at(noon());
        clock.advance(Duration::from_secs(1));
        clock.set_wall("2020-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(clock.monotonic(), Duration::from_secs(1));
        assert!(clock.now() < noon());
    }
}
