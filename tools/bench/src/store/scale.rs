//! A small store beside a large one, in one run: what must not grow with the number of objects.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::server::Server;
use super::world::World;
use super::{Arguments, rate};
use crate::raw::Raw;
use crate::statistics::{median, spread};

/// Objects of the page that a client asks for.
pub(super) const PAGE: usize = 25;
/// Objects that are read again and again: what somebody works with, in a store of any size.
const FEW: u64 = 1000;
/// Pages, and finds, in a round.
const PAGES: u64 = 1000;
const FINDS: u64 = 200;
/// What is asked of a server by HTTP.
const REQUESTS: u64 = 3000;
/// A server that is not ready by then is broken.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Operations in a second, round by round, for each size.
struct Metric {
    name: &'static str,
    /// The target: how slow, as a multiple of the base, the largest may be.
    target: &'static str,
    /// Which size is the base of the comparison.
    base: usize,
    rates: Vec<Vec<f64>>,
}

impl Metric {
    fn new(name: &'static str, target: &'static str, base: usize, sizes: usize) -> Self {
        Self { name, target, base: base.min(sizes - 1), rates: vec![Vec::new(); sizes] }
    }

    fn print(&self) {
        print!("{:<26}", self.name);
        for rates in &self.rates {
            print!(" {:>11.0}", median(rates).unwrap_or_default());
        }
        let (Some(base), Some(last)) = (self.rates.get(self.base), self.rates.last()) else {
            return println!();
        };
        let ratios: Vec<f64> = last.iter().zip(base).map(|(last, base)| last / base).collect();
        let (ratio, around) = (median(&ratios), spread(&ratios));
        let (ratio, around) = (ratio.unwrap_or_default(), around.unwrap_or_default());
        println!(" {ratio:>8.2} {around:>7.0} %   {}", self.target);
    }
}

/// Measures and prints.
pub(super) fn run(arguments: &Arguments, dir: &Path) -> Result<(), String> {
    let sizes = &arguments.scale;
    println!(
        "\none run over stores of different size, the last beside its base; 1/s, reads by the"
    );
    println!("processor time of the reading thread: other work on the machine does not count");
    print!("{:<26}", "operation");
    for size in sizes {
        print!(" {size:>11}");
    }
    println!(" {:>8} {:>9}   target", "ratio", "spread");
    let place = |size: &u64| dir.join(format!("scale{size}"));
    let mut worlds = Vec::new();
    let mut load = Metric::new("batch load", "20,000 objects/s", 0, sizes.len());
    let mut cost = Metric::new("batch load, processor time", "of all threads", 0, sizes.len());
    for (at, size) in sizes.iter().enumerate() {
        let world = World::open(&place(size), true)?;
        world.hosts()?;
        let (start, spent) = (Instant::now(), time(ClockId::ProcessCPUTime));
        let folder = world.filled("many", *size)?;
        push(&mut load, at, rate(*size, start.elapsed()));
        push(&mut cost, at, rate(*size, time(ClockId::ProcessCPUTime) - spent));
        // A copy writes out what lies in memory: small stores are read from files too, as after a
        // start. RocksDB alone reads the same files.
        let copy = dir.join(format!("copy{size}"));
        world.checkpoint(&copy)?;
        let raw = Raw::open(&copy.join("db"))?;
        worlds.push((world, raw, folder, *size));
    }
    load.print();
    cost.print();

    let mut few = Metric::new("get, the same 1,000 names", ">= 0.80 of the first", 0, sizes.len());
    let mut get = Metric::new("get, all names alike", ">= 0.80 of the first", 0, sizes.len());
    let mut alone = Metric::new("  its rows, RocksDB alone", "", 0, sizes.len());
    let mut page = Metric::new("page of 25 with headers", ">= 0.77 of the second", 1, sizes.len());
    let mut first =
        Metric::new("first page of 25, counted", ">= 0.77 of the second", 1, sizes.len());
    let mut find = Metric::new("find by type, page of 25", ">= 0.77 of the second", 1, sizes.len());
    for round in 0..arguments.rounds as u64 {
        for turn in 0..worlds.len() {
            let at = (turn + round as usize) % worlds.len();
            let Some((world, raw, folder, size)) = worlds.get(at) else { continue };
            let paths = world.some_paths("many", *size, FEW);
            for path in &paths {
                world.read(path)?;
            }
            let turns = arguments.reads / FEW;
            let start = time(ClockId::ThreadCPUTime);
            for _ in 0..turns {
                for path in &paths {
                    world.read(path)?;
                }
            }
            push(&mut few, at, rate(turns * FEW, time(ClockId::ThreadCPUTime) - start));
            let paths = world.paths("many", *size, arguments.reads, round);
            let start = time(ClockId::ThreadCPUTime);
            for path in &paths {
                world.read(path)?;
            }
            push(&mut get, at, rate(paths.len() as u64, time(ClockId::ThreadCPUTime) - start));
            let keyed: Vec<_> =
                paths.iter().map(|path| world.keys_of(path)).collect::<Result<_, _>>()?;
            let start = time(ClockId::ThreadCPUTime);
            for (family, key) in keyed.iter().flatten() {
                raw.get(*family, key)?.ok_or("a row is missing")?;
            }
            push(&mut alone, at, rate(paths.len() as u64, time(ClockId::ThreadCPUTime) - start));
            let start = time(ClockId::ThreadCPUTime);
            for name in World::spread(*size, PAGES, round) {
                world.page(*folder, &name, PAGE)?;
            }
            push(&mut page, at, rate(PAGES, time(ClockId::ThreadCPUTime) - start));
            let start = time(ClockId::ThreadCPUTime);
            for _ in 0..PAGES {
                world.first_page(*folder, PAGE)?;
            }
            push(&mut first, at, rate(PAGES, time(ClockId::ThreadCPUTime) - start));
            let start = time(ClockId::ThreadCPUTime);
            for _ in 0..FINDS {
                world.find_hosts(PAGE)?;
            }
            push(&mut find, at, rate(FINDS, time(ClockId::ThreadCPUTime) - start));
        }
    }
    few.print();
    get.print();
    alone.print();
    page.print();
    first.print();
    find.print();
    println!("resident memory of this process, all sizes open twice: {} MiB", resident("self"));
    drop(worlds);

    let Some(program) = &arguments.kompira else {
        println!("no server measured: name one with --kompira");
        return Ok(());
    };
    for size in sizes {
        served(program, &place(size), *size)?;
    }
    Ok(())
}

fn time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

fn push(metric: &mut Metric, at: usize, rate: f64) {
    if let Some(rates) = metric.rates.get_mut(at) {
        rates.push(rate);
    }
}

/// How long a server takes to be ready, and its memory after requests over all objects.
fn served(program: &Path, data: &Path, size: u64) -> Result<(), String> {
    let start = Instant::now();
    let server = Server::start(program, data, READY_WITHIN)?;
    let ready = start.elapsed();
    let names = World::spread(size, REQUESTS, 7);
    let start = Instant::now();
    for name in &names {
        server.get(&format!("/home/many/{name}?format=json"))?;
    }
    let rate = rate(names.len() as u64, start.elapsed());
    let list = Instant::now();
    server.get("/home/many.children?format=json&page_size=25")?;
    let list = list.elapsed();
    println!(
        "server on {size:>8} objects: ready in {:.2} s, resident {} MiB after {REQUESTS} GETs \
         ({rate:.0}/s); .children page of 25 in {:.1} ms",
        ready.as_secs_f64(),
        resident(&server.process().to_string()),
        list.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// Resident memory of a process in MiB.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
