//! The cycles: start, load, kill, start again, judge.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kompira::base::failpoint::POINTS;
use serde_json::json;

use crate::Run;
use crate::client::{Client, PATIENCE};
use crate::judge::{self, Verdict};
use crate::load::{FLOW, FLOW_SOURCE, Load};
use crate::model::Model;
use crate::offline;
use crate::random::Random;
use crate::scratch::Scratch;
use crate::server::{Begun, Server, Site, clear_mount, program};

/// A point that is not passed within this time of load is not on the way of these clients.
const POINT_WITHIN: Duration = Duration::from_secs(8);
/// The longest life before a random kill.
const LIFE_MAX_MS: u64 = 1500;
/// HTTP clients at once.
const CLIENTS: u64 = 3;
/// The hits at which a point kills: the first, and some in the middle of things.
const HIT_STEP: u32 = 7;

struct Cycles<'a> {
    arguments: &'a Run,
    site: Site,
    load: Load,
    token: String,
    undisturbed: String,
    verdict: Verdict,
    kills: u32,
    cycle: u64,
}

/// Whether all is as it should be.
pub(crate) fn run(arguments: &Run) -> Result<bool, String> {
    let (scratch, root) = Scratch::make(&arguments.dir)?;
    let mount = (!arguments.no_mount).then(|| root.join("mount"));
    if let Some(mount) = &mount {
        std::fs::create_dir(mount).map_err(|error| error.to_string())?;
    }
    let site = Site {
        program: program(arguments.kompira.as_deref())?,
        data: root.join("data"),
        mount: mount.clone(),
        log: root.join("server.log"),
    };
    let load = Load {
        model: Model::new(&root.join("history"))?,
        versions: AtomicU64::new(1),
        operations: AtomicU64::new(0),
        hangs: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        mount: mount.clone(),
    };
    let mut cycles = Cycles {
        arguments,
        site,
        load,
        token: String::new(),
        undisturbed: String::new(),
        verdict: Verdict::default(),
        kills: 0,
        cycle: 0,
    };
    let done = cycles.all();
    if let Some(mount) = &mount {
        clear_mount(mount);
    }
    let clean = cycles.summary();
    scratch.end(done.map(|()| clean))
}

impl Cycles<'_> {
    fn all(&mut self) -> Result<(), String> {
        self.prepare()?;
        if self.arguments.points {
            self.points()?;
        }
        for _ in 0..self.arguments.kills {
            let mut random = Random::new(self.arguments.seed, self.cycle);
            let life = Duration::from_millis(random.below(LIFE_MAX_MS));
            self.one("", life)?;
        }
        Ok(())
    }

    /// The first start: a token, the containers, and how the jobflow ends when left alone.
    fn prepare(&mut self) -> Result<(), String> {
        let mut server = self.site.serve()?;
        self.token = self.site.token()?;
        let client = self.client(&server);
        let create = |name: &str, kind: &str, fields: serde_json::Value| {
            let kind = format!("/system/types/{kind}");
            let body = json!({"name": name, "type_object": kind, "fields": fields});
            match client.json("POST", "/home", &body) {
                Ok(reply) if reply.status == 201 => Ok(()),
                other => Err(format!("/home/{name} cannot be made: {other:?}")),
            }
        };
        create("crash", "Directory", json!({}))?;
        create("crashm", "Directory", json!({}))?;
        create("crashflow", "Jobflow", json!({"source": FLOW_SOURCE}))?;
        let started = client.json("POST", &format!("{FLOW}.execute"), &json!({}));
        let started = started.map_err(|lost| format!("{lost:?}"))?;
        let path: String =
            serde_json::from_slice(&started.body).map_err(|error| error.to_string())?;
        let ended = client.json("POST", &format!("{path}.wait"), &json!({"timeout": 50}));
        let ended = ended.map_err(|lost| format!("{lost:?}"))?;
        let ended: serde_json::Value =
            serde_json::from_slice(&ended.body).map_err(|error| error.to_string())?;
        if ended.get("status").and_then(serde_json::Value::as_str) != Some("DONE") {
            return Err(format!("the jobflow ends so when left alone: {ended}"));
        }
        let console = ended.get("console").and_then(serde_json::Value::as_str);
        self.undisturbed = console.unwrap_or_default().to_owned();
        if !server.stop() {
            self.verdict.hang += 1;
        }
        Ok(())
    }

    fn points(&mut self) -> Result<(), String> {
        let only = &self.arguments.only;
        for point in POINTS.iter().filter(|point| point.contains(only.as_str())) {
            if point.starts_with(offline::NOT_HERE) {
                println!(
                    "{point:<34} only in the tests of the store: a new store is of no older format"
                );
                continue;
            }
            let mut killed = 0;
            for turn in 0..self.arguments.hits {
                // Some things happen once in the life of a server.
                let rare = ["backup.", "store.open.", "engine.recover."];
                let step =
                    if rare.iter().any(|start| point.starts_with(start)) { 0 } else { HIT_STEP };
                let hit = 1 + turn * step;
                if point.starts_with("store.open.") {
                    killed += u32::from(self.first_start(&format!("{point}@{hit}"))?);
                    continue;
                }
                if point.starts_with("engine.recover.") {
                    killed += u32::from(self.recovery(&format!("{point}@{hit}"))?);
                    continue;
                }
                if offline::passes(point) {
                    // Each piece of the work passes the point once; a purge is one piece.
                    let hit = if point.starts_with("store.purge.") { 1 } else { 1 + turn };
                    killed += u32::from(self.offline(&format!("{point}@{hit}"))?);
                    continue;
                }
                if !self.one(&format!("{point}@{hit}"), POINT_WITHIN)? {
                    // Not passed so often: later hits are not either.
                    break;
                }
                killed += 1;
            }
            println!("{point:<34} {killed} of {} kills", self.arguments.hits);
        }
        Ok(())
    }

    /// Kills the very first start on an empty directory; the second has to succeed.
    fn first_start(&mut self, armed: &str) -> Result<bool, String> {
        self.cycle += 1;
        let mut site = self.site.clone();
        site.data = self.site.data.with_file_name(format!("fresh{}", self.cycle));
        site.mount = None;
        let died = matches!(site.start(armed)?, Begun::Ended(_));
        self.kills += u32::from(died);
        match site.start("")? {
            Begun::Serving(mut server) => {
                self.verdict.add(judge::fsck(&site)?);
                server.kill();
            }
            Begun::Ended(_) => self.verdict.loss += 1,
            Begun::Hung => self.verdict.hang += 1,
        }
        Ok(died)
    }

    /// Load, then work on the store at rest that is killed, then the rest of that work; whether it
    /// was killed. The server that is started then has to find everything.
    fn offline(&mut self, armed: &str) -> Result<bool, String> {
        self.one("", Duration::from_millis(LIFE_MAX_MS))?;
        let killed = offline::run(&self.site, armed)?;
        self.kills += u32::from(killed);
        if offline::run(&self.site, "")? {
            self.verdict.loss += 1;
        }
        self.one("", Duration::ZERO)?;
        Ok(killed)
    }

    /// Kills a server in the middle of its processes, then the next one while it takes them up
    /// again; whether that one was killed.
    fn recovery(&mut self, armed: &str) -> Result<bool, String> {
        self.cycle += 1;
        let mut server = self.site.serve()?;
        self.under_load(&mut server, "", Duration::from_millis(LIFE_MAX_MS));
        self.one(armed, POINT_WITHIN)
    }

    /// One cycle; whether the server died by itself (at its point) before `life` was over.
    fn one(&mut self, armed: &str, life: Duration) -> Result<bool, String> {
        self.cycle += 1;
        let begun = Instant::now();
        let died = match self.site.start(armed)? {
            Begun::Ended(_) => true,
            Begun::Hung => {
                self.verdict.hang += 1;
                false
            }
            Begun::Serving(mut server) => self.under_load(&mut server, armed, life),
        };
        self.kills += u32::from(died || armed.is_empty());
        self.load.model.sync()?;
        let lived = begun.elapsed();
        let start = Instant::now();
        let mut server = self.site.serve()?;
        let restart = start.elapsed();
        let client = self.client(&server);
        let mut verdict = judge::keys(&self.load, &client);
        verdict.add(judge::processes(&self.load, &client, &self.undisturbed));
        // Starts that were not answered belong to nobody; they end all the same.
        if !judge::at_rest(&client, PATIENCE) {
            eprintln!("crashkit: a process is active that nobody knows");
            verdict.process += 1;
        }
        verdict.add(judge::fsck(&self.site)?);
        if !server.stop() {
            verdict.hang += 1;
        }
        if self.arguments.verbose || !verdict.is_clean() {
            let (lived, restart) = (lived.as_millis(), restart.as_millis());
            let cycle = self.cycle;
            eprintln!(
                "cycle {cycle} {armed:?} died={died} lived={lived}ms restart={restart}ms {verdict:?}"
            );
        }
        self.verdict.add(verdict);
        Ok(died)
    }

    /// Lets the clients at the server until it dies or its time is over; whether it died.
    fn under_load(&self, server: &mut Server, armed: &str, life: Duration) -> bool {
        let (seed, cycle) = (self.arguments.seed, self.cycle);
        let client = self.client(server);
        let load = &self.load;
        load.stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (client, random) = (&client, Random::new(seed, cycle * 10 + number));
                scope.spawn(move || load.http(client, random, number));
            }
            let random = Random::new(seed, cycle * 10 + 8);
            scope.spawn(move || load.files(random));
            let (client, random) = (&client, Random::new(seed, cycle * 10 + 9));
            scope.spawn(move || load.jobs(client, random));
            let side = self.side_work(armed);
            let end = Instant::now() + life;
            let died = loop {
                if server.has_ended() {
                    break true;
                }
                if Instant::now() >= end {
                    break false;
                }
                std::thread::sleep(Duration::from_millis(5));
            };
            load.stop.store(true, Ordering::Relaxed);
            // At random: now, in the middle of everything.
            if !server.kill() {
                eprintln!("crashkit: the killed server was not gone: its mount had to be aborted");
                load.hangs.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(mut side) = side {
                let _ = side.kill();
                let _ = side.wait();
            }
            died
        })
    }

    /// Points that only a backup passes need one.
    fn side_work(&self, armed: &str) -> Option<std::process::Child> {
        if !armed.starts_with("backup.") {
            return None;
        }
        let to = self.site.data.with_file_name(format!("backup{}.zip", self.cycle));
        let mut command = self.site.command(&["backup"]);
        command.arg(to).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().ok()
    }

    fn client(&self, server: &Server) -> Client {
        Client { address: server.address.clone(), token: self.token.clone() }
    }

    fn summary(&self) -> bool {
        let mut verdict = self.verdict;
        verdict.hang += self.load.hangs.load(Ordering::Relaxed);
        println!(
            "crashkit seed={} kills={} ops={} refused={} loss={} lie={} hang={} fsck={} process={}",
            self.arguments.seed,
            self.kills,
            self.load.operations.load(Ordering::Relaxed),
            self.load.errors.load(Ordering::Relaxed),
            verdict.loss,
            verdict.lie,
            verdict.hang,
            verdict.fsck,
            verdict.process,
        );
        verdict.is_clean()
    }
}
