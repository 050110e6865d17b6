//! The engine on a store on disk: durable processes in a second, and how late sleepers wake.
//!
//! A process is started, journaled and waited for through the engine itself; HTTP is measured
//! elsewhere. Its commands are answered at once by a thread of this program.

mod sleepers;
mod world;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use rustix::time::{ClockId, clock_gettime};

use crate::statistics::{median, spread};
use world::World;

/// Three commands, each journaled before it begins and when it has ended.
const COMMANDS: &str = "['one'] -> ['two'] -> ['three']";
/// Three changes of the tree.
const WRITES: &str = "['1' >> ./data.text] -> ['2' >> ./data.text] -> ['3' >> ./data.text]";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Parts to measure (all but `million`)
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Rounds of the rates.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each rate in a round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Sleepers of `spread` and `burst`.
    #[arg(long, default_value_t = 10_000)]
    sleepers: u64,
    /// Sleepers of `million`, and the seconds over which they fall due.
    #[arg(long, default_value_t = 1_000_000)]
    many: u64,
    /// Seconds over which the sleepers of `million` fall due.
    #[arg(long, default_value_t = 600)]
    over: u64,
    /// Where the data lie while it runs: the disk that is measured.
    #[arg(long, default_value = ".")]
    dir: std::path::PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Three-step processes in a second, one at a time and 32 at once.
    Rates,
    /// Sleepers that fall due at 500 a second.
    Spread,
    /// Sleepers that fall due at one moment.
    Burst,
    /// Very many sleepers: memory, a restart, and how late they wake.
    Million,
}

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let load = std::fs::read_to_string("/proc/loadavg").map_err(text)?;
    println!("load before: {}", load.trim());
    let wanted = |part| {
        if arguments.parts.is_empty() {
            part != Part::Million
        } else {
            arguments.parts.contains(&part)
        }
    };
    let dir = tempfile::tempdir_in(&arguments.dir).map_err(text)?;
    if wanted(Part::Rates) {
        rates(arguments, &dir.path().join("rates"))?;
    }
    if wanted(Part::Spread) {
        let lead = Duration::from_secs(8);
        let over = Duration::from_millis(arguments.sleepers * 2);
        sleepers::due(&dir.path().join("spread"), arguments.sleepers, lead, over)?;
    }
    if wanted(Part::Burst) {
        let lead = Duration::from_secs(10);
        sleepers::due(&dir.path().join("burst"), arguments.sleepers, lead, Duration::ZERO)?;
    }
    if wanted(Part::Million) {
        let over = Duration::from_secs(arguments.over);
        sleepers::many(&dir.path().join("many"), arguments.many, over)?;
    }
    Ok(())
}

fn rates(arguments: &Arguments, dir: &std::path::Path) -> Result<(), String> {
    let world = World::open(dir, 10_000)?;
    world.object("data", "Text", "text", "0")?;
    let jobs = [
        ("three commands", world.object("commands", "Jobflow", "source", COMMANDS)?),
        ("three changes", world.object("writes", "Jobflow", "source", WRITES)?),
        ("no step", world.object("nothing", "Jobflow", "source", "[]")?),
    ];
    println!("| process | at once | processes/s | spread | syncs each | processor time each |");
    println!("| --- | --: | --: | --: | --: | --: |");
    for (name, job) in jobs {
        for at_once in [1, 32] {
            let (mut rates, mut syncs, mut costs) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..arguments.rounds {
                let (before, begin) = (world.store.syncs(), Instant::now());
                let spent = processor_time();
                let until = begin + Duration::from_secs_f64(arguments.seconds);
                let done = closed_loop(at_once, until, || world.run(job))?;
                rates.push(done as f64 / begin.elapsed().as_secs_f64());
                costs.push((processor_time() - spent).as_secs_f64() * 1e6 / done.max(1) as f64);
                syncs.push((world.store.syncs() - before) as f64 / done.max(1) as f64);
            }
            println!(
                "| {name} | {at_once} | {:.0} | {:.0} % | {:.2} | {:.0} µs |",
                median(&rates).unwrap_or_default(),
                spread(&rates).unwrap_or_default(),
                median(&syncs).unwrap_or_default(),
                median(&costs).unwrap_or_default(),
            );
        }
    }
    world.close();
    Ok(())
}

/// Of all threads of this program so far.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// Runs `work` again and again in so many threads; answers how often.
fn closed_loop(
    threads: usize,
    until: Instant,
    work: impl Fn() -> Result<(), String> + Sync,
) -> Result<u64, String> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0;
                    while Instant::now() < until {
                        work()?;
                        done += 1;
                    }
                    Ok::<u64, String>(done)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
            .sum()
    })
}
