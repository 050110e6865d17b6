//! The tree on its store beside RocksDB alone: the same rows, families, threads and syncs.

mod scale;
mod server;
mod world;

use std::time::{Duration, Instant};

use clap::Args;
use kompira::store::keys;
use kompira::store::kv::Family;

use crate::raw::{Raw, bytes, written};
use crate::statistics::{median, spread};
use world::World;

/// Objects a list asks for at once, as a directory stream of the mount does.
const PAGE: usize = 1000;
/// Pages of 25, and finds, in a round.
const PAGES: u64 = 1000;
const FINDS: u64 = 100;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Numbers of objects in the directories that are read.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    objects: Vec<u64>,
    /// Rounds; each measures every variant once.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Durable puts of one thread in a round; sixteen threads do eight times as many.
    #[arg(long, default_value_t = 500)]
    puts: u64,
    /// Reads in a round.
    #[arg(long, default_value_t = 20_000)]
    reads: u64,
    /// Numbers of objects of the stores that are compared with each other; 0: none
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,1000000")]
    scale: Vec<u64>,
    /// The program whose start on those stores is measured
    #[arg(long)]
    kompira: Option<std::path::PathBuf>,
    /// Where the data lie while it runs: the disk that is measured.
    #[arg(long, default_value = ".")]
    dir: std::path::PathBuf,
}

/// One compared pair: operations in a second, round by round.
#[derive(Debug, Default)]
struct Pair {
    ours: Vec<f64>,
    raw: Vec<f64>,
}

impl Pair {
    fn row(&self, name: &str, target: &str) {
        let ratios: Vec<f64> =
            self.ours.iter().zip(&self.raw).map(|(ours, raw)| 100.0 * ours / raw).collect();
        let number = |values: &[f64]| median(values).unwrap_or_default();
        println!(
            "{name:<34} {:>11.0} {:>11.0} {:>7.0} % {:>7.0} % {target:>9}",
            number(&self.ours),
            number(&self.raw),
            number(&ratios),
            spread(&ratios).unwrap_or_default(),
        );
    }
}

/// Measures and prints the table.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let dir = tempfile::tempdir_in(&arguments.dir).map_err(|error| error.to_string())?;
    println!(
        "{:<34} {:>11} {:>11} {:>9} {:>9} {:>9}",
        "operation", "tree 1/s", "raw 1/s", "ratio", "spread", "target"
    );
    puts(arguments, dir.path())?;
    for &count in &arguments.objects {
        reads(arguments, &dir.path().join(format!("read{count}")), count)?;
    }
    renames_of(arguments, dir.path())?;
    if arguments.scale.iter().all(|&size| size > 0) && !arguments.scale.is_empty() {
        scale::run(arguments, dir.path())?;
    }
    Ok(())
}

fn renames_of(arguments: &Arguments, dir: &std::path::Path) -> Result<(), String> {
    let largest = arguments.objects.iter().copied().max().unwrap_or(1);
    renames(arguments, &dir.join("rename"), largest)
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Runs `work` in so many threads, `each` times in each.
fn in_threads(
    threads: u64,
    each: u64,
    work: impl Fn(u64) -> Result<(), String> + Sync,
) -> Result<f64, String> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || (thread * each..(thread + 1) * each).try_for_each(work))
            })
            .collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(rate(threads * each, start.elapsed()))
}

fn puts(arguments: &Arguments, dir: &std::path::Path) -> Result<(), String> {
    // What one creation writes, audit entry included: read off a store that keeps its entries.
    let model = World::open(&dir.join("model"), false)?;
    let folder = model.folder("bench")?;
    model.create(folder, "n0000000000")?;
    let before = model.tree.view().snapshot().clone();
    model.create(folder, "n0000000001")?;
    let rows = written(&before, model.tree.view().snapshot())?;
    println!("one creation is {} rows, {} bytes", rows.len(), bytes(&rows));

    let world = World::open(&dir.join("ours"), true)?;
    let raw = Raw::open(&dir.join("raw"))?;
    let folder = world.folder("bench")?;
    for (threads, each) in [(1, arguments.puts), (16, arguments.puts / 2)] {
        let mut pair = Pair::default();
        for round in 0..arguments.rounds as u64 {
            pair.ours.push(in_threads(threads, each, |number| {
                world.create(folder, &format!("t{threads}r{round:03}n{number:07}"))
            })?);
            pair.raw.push(in_threads(threads, each, |_| raw.put(&rows))?);
        }
        pair.row(&format!("durable put, {threads} threads"), "70 %");
    }
    Ok(())
}

fn reads(arguments: &Arguments, dir: &std::path::Path, count: u64) -> Result<(), String> {
    let world = World::open(&dir.join("ours"), true)?;
    world.hosts()?;
    let folder = world.filled("many", count)?;
    // The copy is the same files, opened by RocksDB alone.
    world.checkpoint(&dir.join("raw"))?;
    let raw = Raw::open(&dir.join("raw").join("db"))?;
    let (mut get, mut list, mut find) = (Pair::default(), Pair::default(), Pair::default());
    let mut page = Pair::default();
    for round in 0..arguments.rounds as u64 {
        let paths = world.paths("many", count, arguments.reads, round);
        let start = Instant::now();
        for path in &paths {
            world.read(path)?;
        }
        get.ours.push(rate(paths.len() as u64, start.elapsed()));
        let keyed: Vec<_> =
            paths.iter().map(|path| world.keys_of(path)).collect::<Result<_, _>>()?;
        let start = Instant::now();
        for (family, key) in keyed.iter().flatten() {
            raw.get(*family, key)?.ok_or("a row is missing")?;
        }
        get.raw.push(rate(paths.len() as u64, start.elapsed()));

        let start = Instant::now();
        let listed = world.list(folder, PAGE)?;
        list.ours.push(rate(listed, start.elapsed()));
        let start = Instant::now();
        let listed_raw = raw_list(&raw, &keys::object(folder))?;
        list.raw.push(rate(listed_raw, start.elapsed()));
        if (listed, listed_raw) != (count, count) {
            return Err(format!("listed {listed} and {listed_raw} of {count}"));
        }

        let names = World::spread(count, PAGES, round);
        let start = Instant::now();
        for name in &names {
            world.page(folder, name, scale::PAGE)?;
        }
        page.ours.push(rate(PAGES, start.elapsed()));
        let start = Instant::now();
        for name in &names {
            raw_page(&raw, &keys::dirent(folder, name), scale::PAGE)?;
        }
        page.raw.push(rate(PAGES, start.elapsed()));

        let start = Instant::now();
        for _ in 0..FINDS {
            world.find_hosts(scale::PAGE)?;
        }
        find.ours.push(rate(FINDS, start.elapsed()));
        let start = Instant::now();
        for _ in 0..FINDS {
            raw_find(&raw, &world.hosts_prefix())?;
        }
        find.raw.push(rate(FINDS, start.elapsed()));
    }
    get.row(&format!("get by path (depth 3) of {count}"), "50 %");
    list.row(&format!("list with headers of {count}"), "");
    page.row(&format!("page of 25 with headers of {count}"), "");
    find.row(&format!("find by type among {count}"), "");
    Ok(())
}

fn raw_list(raw: &Raw, prefix: &[u8]) -> Result<u64, String> {
    let mut found = 0;
    let mut page = Vec::with_capacity(PAGE);
    let mut failed = None;
    raw.scan(Family::Dirent, prefix, &mut |_, value| {
        page.extend(value.get(16..24).map(<[u8]>::to_vec));
        if page.len() == PAGE {
            match raw.multi_get(Family::Head, &page) {
                Ok(count) => found += count as u64,
                Err(error) => failed = Some(error),
            }
            page.clear();
        }
    })?;
    found += raw.multi_get(Family::Head, &page)? as u64;
    failed.map_or(Ok(found), Err)
}

/// The entries behind a key, and the header of each.
fn raw_page(raw: &Raw, after: &[u8], page: usize) -> Result<(), String> {
    let mut ids = Vec::with_capacity(page);
    raw.scan_from(Family::Dirent, after, &mut |_, value| {
        ids.extend(value.get(16..24).map(<[u8]>::to_vec));
        ids.len() < page
    })?;
    raw.multi_get(Family::Head, &ids).map(drop)
}

/// The rows of an index, and the header of each.
fn raw_find(raw: &Raw, prefix: &[u8]) -> Result<usize, String> {
    let mut ids = Vec::new();
    raw.scan(Family::Index, prefix, &mut |key, _| {
        ids.extend(key.get(key.len().saturating_sub(8)..).map(<[u8]>::to_vec));
    })?;
    raw.multi_get(Family::Head, &ids)
}

fn renames(arguments: &Arguments, dir: &std::path::Path, count: u64) -> Result<(), String> {
    let world = World::open(dir, true)?;
    let folders = [("one", world.filled("one", 1)?), ("many", world.filled("many", count)?)];
    let mut medians = [Vec::new(), Vec::new()];
    for round in 0..arguments.rounds {
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..arguments.puts.min(200) {
            for ((name, folder), times) in folders.iter().zip(&mut times) {
                let start = Instant::now();
                world.rename(*folder, &format!("{name}_{round}_{turn}"))?;
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        for (times, medians) in times.iter().zip(&mut medians) {
            medians.extend(median(times));
        }
    }
    let [one, many] = medians;
    let ratios: Vec<f64> = many.iter().zip(&one).map(|(many, one)| many / one).collect();
    println!(
        "{:<34} {:>8.0} us {:>8.0} us {:>7.2} x {:>7.0} % {:>9}",
        format!("rename of 1 / of {count} objects"),
        median(&one).unwrap_or_default(),
        median(&many).unwrap_or_default(),
        median(&ratios).unwrap_or_default(),
        spread(&ratios).unwrap_or_default(),
        "1.20 x",
    );
    Ok(())
}
