//! Processes that sleep: how late they wake, what they cost while they sleep, and a restart.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kompira_schema::value::Value;

use super::world::World;
use crate::statistics::percentile;

/// Sleeps, and says how long it was to be. A sleep begins with the first turn: how long the start
/// took is another matter.
const SLEEPER: &str = "|seconds|\nsleep(seconds) -> return(seconds)";
/// Threads that start them.
const STARTERS: u64 = 16;

fn now() -> f64 {
    jiff::Timestamp::now().as_microsecond() as f64 / 1e6
}

/// A line of this process's status, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

/// Starts `count` sleepers that fall due evenly from `first` on over `over`; answers how long it
/// took.
fn start(world: &World, count: u64, first: f64, over: Duration) -> Result<Duration, String> {
    let job = world.object("sleeper", "Jobflow", "source", SLEEPER)?;
    let begin = Instant::now();
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..STARTERS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok::<_, String>(());
                        }
                        let due = first + over.as_secs_f64() * number as f64 / count as f64;
                        let seconds = Value::Float(due - now());
                        world.start(job, &[("seconds", seconds)])?;
                    }
                })
            })
            .collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    Ok(begin.elapsed())
}

/// Waits until nobody is active and prints how late they were.
fn lateness(world: &World, count: u64, patience: Duration) -> Result<(), String> {
    let until = Instant::now() + patience;
    while world.engine.count_active() > 0 {
        if Instant::now() > until {
            return Err(format!("{} sleepers did not wake", world.engine.count_active()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut late = Vec::new();
    let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
    world.processes(&mut |info| {
        if let (Value::Float(seconds), Some(started), Some(finished)) =
            (&info.result, info.started, info.finished)
        {
            let finished = finished.as_microsecond() as f64 / 1e6;
            let due = started.as_microsecond() as f64 / 1e6 + seconds;
            late.push((finished - due) * 1e3);
            first = first.min(due);
            last = last.max(finished);
        }
    })?;
    if late.len() as u64 != count {
        return Err(format!("{} of {count} sleepers came to a good end", late.len()));
    }
    let at = |share| percentile(&late, share).unwrap_or_default();
    println!(
        "late: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; all awake {:.2} s after the first was due",
        at(0.5),
        at(0.99),
        at(1.0),
        last - first
    );
    Ok(())
}

/// Sleepers that fall due `lead` from now on, evenly over `over`.
pub(super) fn due(dir: &Path, count: u64, lead: Duration, over: Duration) -> Result<(), String> {
    let world = World::open(dir, count as usize + 1_000)?;
    let before = resident();
    let first = now() + lead.as_secs_f64();
    let took = start(&world, count, first, over)?;
    println!(
        "{count} sleepers due over {} s: started in {:.2} s ({:.0}/s), {:.0} MiB more resident",
        over.as_secs_f64(),
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        resident() - before
    );
    if now() > first {
        println!("the first fell due before the last was started: figures are too high");
    }
    lateness(&world, count, lead + over + Duration::from_secs(60))?;
    world.close();
    Ok(())
}

/// Very many: memory while they sleep, a restart, and how late they wake.
pub(super) fn many(dir: &Path, count: u64, over: Duration) -> Result<(), String> {
    /// Time for one start, and for the restart.
    const EACH: Duration = Duration::from_micros(250);
    const RESTART: Duration = Duration::from_secs(45);
    let world = World::open(dir, count as usize + 1_000)?;
    let lead = EACH.saturating_mul(count as u32) + RESTART;
    let first = now() + lead.as_secs_f64();
    let took = start(&world, count, first, over)?;
    println!(
        "{count} sleepers started in {:.1} s ({:.0}/s); resident: {:.0} MiB",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        resident()
    );
    world.close();
    let world = World::open(dir, count as usize + 1_000)?;
    let (store, all) = world.opened;
    println!(
        "restarted in {:.2} s (of it the store {:.2} s), {} asleep; resident: {:.0} MiB",
        all.as_secs_f64(),
        store.as_secs_f64(),
        world.engine.count_active(),
        resident()
    );
    if now() > first {
        println!("the first fell due before the restart: figures are too high");
    }
    let left = Duration::from_secs_f64((first - now()).max(0.0));
    lateness(&world, count, left + over + Duration::from_secs(120))?;
    println!("resident at the end: {:.0} MiB", resident());
    world.close();
    Ok(())
}
