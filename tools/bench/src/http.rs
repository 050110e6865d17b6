//! The REST face beside a bare axum server, durable changes beside the tree alone, and the memory
//! of requests that wait.
//!
//! Both servers are processes of their own; this process only sends. All share the cores.

mod load;
pub(crate) mod peer;

use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::statistics::{median, spread};
use load::{Request, Target};
use peer::Child;

/// Seconds a wait lasts that nobody answers; longer than the measurement.
const WAIT_SECONDS: u64 = 600;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds; each measures every variant once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Connections that read at once.
    #[arg(long, value_delimiter = ',', default_value = "64,1")]
    connections: Vec<usize>,
    /// Connections, or threads, that change something at once.
    #[arg(long, value_delimiter = ',', default_value = "16,1")]
    writers: Vec<usize>,
    /// Requests that wait at once; 0: none.
    #[arg(long, default_value_t = 10_000)]
    waits: usize,
    /// Where the data lie while it runs: the disk that is measured.
    #[arg(long, default_value = ".")]
    dir: std::path::PathBuf,
}

/// Requests in a second, round by round.
#[derive(Debug, Default)]
struct Pair {
    ours: Vec<f64>,
    peer: Vec<f64>,
}

impl Pair {
    fn row(&self, name: &str, target: &str) {
        let ratios: Vec<f64> =
            self.ours.iter().zip(&self.peer).map(|(ours, peer)| 100.0 * ours / peer).collect();
        let number = |values: &[f64]| median(values).unwrap_or_default();
        println!(
            "{name:<34} {:>11.0} {:>11.0} {:>7.0} % {:>7.0} % {target:>9}",
            number(&self.ours),
            number(&self.peer),
            number(&ratios),
            spread(&ratios).unwrap_or_default(),
        );
    }
}

/// Measures and prints the table.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let dir = tempfile::tempdir_in(&arguments.dir).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    println!(
        "{:<34} {:>11} {:>11} {:>9} {:>9} {:>9}",
        "operation", "ours 1/s", "peer 1/s", "ratio", "spread", "target"
    );
    reads(arguments, &runtime, dir.path())?;
    writes(arguments, &runtime, dir.path())?;
    if arguments.waits > 0 {
        waits(arguments, &runtime, dir.path())?;
    }
    Ok(())
}

/// `GET` of an object by a user who is no administrator, beside the same JSON from axum.
fn reads(
    arguments: &Arguments,
    runtime: &tokio::runtime::Runtime,
    dir: &Path,
) -> Result<(), String> {
    let server = Child::kompira(&dir.join("reads"))?;
    let get = Request::get(peer::OBJECT, server.token());
    let answer = runtime.block_on(load::once(&server.target(), &get))?;
    let hello = Child::hello(&answer)?;
    let plain = Request::get("/hello", "");
    let seconds = Duration::from_secs(arguments.seconds);
    for &connections in &arguments.connections {
        let mut pair = Pair::default();
        let measure = |target: &Target, request: &Request| {
            let requests = vec![request.clone(); connections];
            runtime.block_on(load::rate(target, &requests, seconds))
        };
        for _ in 0..arguments.rounds {
            pair.peer.push(measure(&hello.target(), &plain)?);
            pair.ours.push(measure(&server.target(), &get)?);
        }
        let name = format!("GET, {} B, {connections} connections", answer.len());
        pair.row(&name, "70 %");
    }
    Ok(())
}

/// Durable `PATCH` of objects of its own for each connection, beside the same changes made by
/// threads of the server itself.
fn writes(
    arguments: &Arguments,
    runtime: &tokio::runtime::Runtime,
    dir: &Path,
) -> Result<(), String> {
    let mut server = Child::kompira(&dir.join("writes"))?;
    let seconds = Duration::from_secs(arguments.seconds);
    for &writers in &arguments.writers {
        let mut pair = Pair::default();
        let requests: Vec<Request> =
            (0..writers).map(|number| Request::patch(number, server.token())).collect();
        for _ in 0..arguments.rounds {
            pair.peer.push(server.direct(writers, arguments.seconds)?);
            pair.ours.push(runtime.block_on(load::rate(&server.target(), &requests, seconds))?);
        }
        pair.row(&format!("durable PATCH, {writers} at once"), "80 %");
    }
    Ok(())
}

/// Resident memory of the server while many requests wait for a message.
fn waits(
    arguments: &Arguments,
    runtime: &tokio::runtime::Runtime,
    dir: &Path,
) -> Result<(), String> {
    load::raise_descriptors()?;
    let server = Child::kompira(&dir.join("waits"))?;
    let before = server.resident()?;
    let wait = Request::wait(WAIT_SECONDS, server.token());
    let held = runtime.block_on(load::hold(&server.target(), &wait, arguments.waits))?;
    let status = Request::get("/-/status?attrs=waiting", server.root_token());
    let patience = std::time::Instant::now();
    let waiting = loop {
        let text = runtime.block_on(load::once(&server.target(), &status))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let waiting = json["waiting"].as_u64().unwrap_or_default();
        if waiting >= arguments.waits as u64 || patience.elapsed() > Duration::from_secs(60) {
            break waiting;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let after = server.resident()?;
    drop(held);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{waiting} waiting requests: {:.0} MiB resident, {:.0} MiB before, {:.1} KiB each \
         (target: < 200 MiB)",
        mib(after),
        mib(before),
        after.saturating_sub(before) as f64 / 1024.0 / waiting.max(1) as f64,
    );
    Ok(())
}
