//! Kills the server at every point of every kind of statement, and lets the next one finish.
//!
//! Each program runs once undisturbed. Then a server is killed at the k-th hit of each fail point
//! of the engine, and from outside at regular times, until the program is through before its kill
//! comes; every second time the next server is killed as well, while it takes the processes up. The
//! last server has to bring it to the same end, or to say which command was in flight. See
//! RELIABILITY E1 in docs/architecture.md.

mod drive;
mod ghosts;
mod judge;
mod notes;
mod programs;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Statements;
use crate::client::{Client, PATIENCE};
use crate::random::Random;
use crate::scratch::Scratch;
use crate::server::{Begun, Server, Site, program};
use drive::{Begin, Came, Round};
use judge::{Killed, Left};
use notes::Notes;
use programs::{PROGRAMS, Program};

/// The points that a process passes on its way.
const POINTS: &[&str] = &[
    "engine.start.after_commit",
    "engine.turn.before_commit",
    "engine.turn.after_commit",
    "engine.command.before_sync",
    "engine.command.before_start",
    "engine.command.after_end",
    "engine.command.after_journal",
    OUTSIDE,
];
/// No point of the program: killed from outside, every [`TICK`] of its life.
const OUTSIDE: &str = "outside";
const TICK: Duration = Duration::from_millis(50);
/// Where the next server is killed in its turn.
const AGAIN: &str = "engine.recover.between@1";
/// No program passes a point so often.
const HITS_MAX: u64 = 300;
/// A random hit is below this.
const RANDOM_HITS: u64 = 10;

/// What was done, over all lanes.
#[derive(Debug, Default)]
struct Figures {
    kills: AtomicU64,
    /// The next server was killed, too.
    twice: AtomicU64,
    same: AtomicU64,
    interrupted: AtomicU64,
    /// The start was not answered, and there was no process.
    nothing: AtomicU64,
    wrong: AtomicU64,
    ghosts: AtomicU64,
}

/// A program in a mode.
#[derive(Debug, Clone, Copy)]
struct Piece {
    at: usize,
    checkpoint: bool,
}

/// One server at a time on one data directory.
struct Lane<'a> {
    arguments: &'a Statements,
    figures: &'a Figures,
    site: Site,
    token: String,
    notes: Notes,
    runs: &'a AtomicU64,
}

/// Whether all is as it should be.
pub(crate) fn run(arguments: &Statements) -> Result<bool, String> {
    let (scratch, root) = Scratch::make(&arguments.dir)?;
    let only = arguments.only.as_str();
    let modes = [false, true];
    let pieces: VecDeque<_> = (0..PROGRAMS.len())
        .filter(|&at| only.is_empty() || PROGRAMS.get(at).is_some_and(|one| one.name == only))
        .flat_map(|at| modes.map(|checkpoint| Piece { at, checkpoint }))
        .collect();
    if pieces.is_empty() {
        let names: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
        return Err(format!("no program {only:?}; there are {}", names.join(" ")));
    }
    let (queue, figures, runs) = (Mutex::new(pieces), Figures::default(), AtomicU64::new(1));
    let done: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..arguments.lanes.max(1))
            .map(|number| {
                let (root, queue, figures, runs) = (&root, &queue, &figures, &runs);
                scope.spawn(move || {
                    let place = root.join(format!("lane{number}"));
                    Lane::new(arguments, figures, runs, &place)?.all(queue)
                })
            })
            .collect();
        let ended = lanes.into_iter().map(|lane| lane.join());
        ended.map(|end| end.unwrap_or_else(|_| Err("a lane panicked".into()))).collect()
    });
    let clean = figures.summary();
    let done: Result<(), String> = done.into_iter().collect();
    scratch.end(done.map(|()| clean))
}

impl Figures {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn summary(&self) -> bool {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        println!(
            "crashkit statements kills={} twice={} same={} interrupted={} nothing={} wrong={} ghosts={}",
            of(&self.kills),
            of(&self.twice),
            of(&self.same),
            of(&self.interrupted),
            of(&self.nothing),
            of(&self.wrong),
            of(&self.ghosts),
        );
        of(&self.wrong) + of(&self.ghosts) == 0
    }
}

impl<'a> Lane<'a> {
    fn new(
        arguments: &'a Statements,
        figures: &'a Figures,
        runs: &'a AtomicU64,
        place: &Path,
    ) -> Result<Self, String> {
        std::fs::create_dir(place).map_err(|error| error.to_string())?;
        let site = Site {
            program: program(arguments.kompira.as_deref())?,
            data: place.join("data"),
            mount: None,
            log: place.join("server.log"),
        };
        let notes = Notes::new(place.join("steps"))?;
        let mut server = site.serve()?;
        let token = site.token()?;
        server.kill();
        Ok(Self { arguments, figures, site, token, notes, runs })
    }

    fn all(&self, queue: &Mutex<VecDeque<Piece>>) -> Result<(), String> {
        loop {
            let piece = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
            let Some(piece) = piece else { return Ok(()) };
            let Some(program) = PROGRAMS.get(piece.at) else { return Ok(()) };
            self.piece(piece, program).map_err(|why| {
                format!("{}, checkpoint {}: {why}", program.name, piece.checkpoint)
            })?;
        }
    }

    /// A program in one mode through all of its kills.
    fn piece(&self, piece: Piece, program: &Program) -> Result<(), String> {
        let calm = self.calm(program, piece.checkpoint)?;
        let mut kills = 0;
        if self.arguments.sample > 0 {
            let mode = u64::from(piece.checkpoint);
            let mut random = Random::new(self.arguments.seed, piece.at as u64 * 2 + mode);
            for _ in 0..self.arguments.sample {
                let point = random.below(POINTS.len() as u64) as usize;
                let point = POINTS.get(point).copied().unwrap_or(OUTSIDE);
                let hit = 1 + random.below(RANDOM_HITS);
                kills += u64::from(self.killed(piece, program, &calm, point, hit)?);
            }
        } else {
            let every = self.arguments.every.max(1);
            for (number, point) in POINTS.iter().enumerate() {
                let shift = (piece.at + number + usize::from(piece.checkpoint)) as u64 % every;
                let mut hit = 1 + shift;
                while self.killed(piece, program, &calm, point, hit)? {
                    if hit > HITS_MAX {
                        return Err(format!("{point} is passed without end"));
                    }
                    kills += 1;
                    hit += every;
                }
            }
        }
        let mode = if piece.checkpoint { "checkpoint" } else { "default" };
        println!("{:<18} {mode:<10} {kills} kills", program.name);
        Ok(())
    }

    /// How the program ends when it is left alone.
    fn calm(&self, program: &Program, checkpoint: bool) -> Result<Left, String> {
        let mut server = self.site.serve()?;
        let client = self.client(&server);
        let round = Round::prepare(program, self.number(), &self.notes, &client)?;
        round.start(&client, checkpoint)?;
        let came = round.drive(&mut server, &client, PATIENCE)?;
        if came != Came::Ended {
            return Err(format!("undisturbed: {came:?}"));
        }
        let left = round.left(&client, &self.notes)?;
        let mut steps = left.steps.clone();
        steps.sort_unstable();
        steps.dedup();
        if steps.is_empty() || steps.len() != left.steps.len() {
            return Err(format!("undisturbed, it leaves {left:?}"));
        }
        if self.arguments.verbose {
            eprintln!("{}: {left:?}", program.name);
        }
        server.kill();
        Ok(left)
    }

    /// Kills the server at one hit of a point; `false`: the program was through before it.
    fn killed(
        &self,
        piece: Piece,
        program: &Program,
        calm: &Left,
        point: &str,
        hit: u64,
    ) -> Result<bool, String> {
        let outside = point == OUTSIDE;
        let armed = if outside { String::new() } else { format!("{point}@{hit}") };
        let context = format!("{}, {point}@{hit}, checkpoint {}", program.name, piece.checkpoint);
        let mut server = match self.site.start(&armed)? {
            Begun::Serving(server) => server,
            Begun::Ended(status) => return Err(format!("{context}: no start: {status}")),
            Begun::Hung => return Err(format!("{context}: the server does not start")),
        };
        let client = self.client(&server);
        let round = Round::prepare(program, self.number(), &self.notes, &client)?;
        let begin = round.start(&client, piece.checkpoint)?;
        let life = if outside { TICK * u32::try_from(hit).unwrap_or(1) } else { PATIENCE };
        match round.drive(&mut server, &client, life)? {
            Came::Ended => {
                server.kill();
                return Ok(false);
            }
            Came::Out if !outside => return Err(format!("{context}: it does not end")),
            _ => {}
        }
        server.kill();
        Figures::count(&self.figures.kills);
        self.no_ghosts(0, &context);
        let noted = self.notes.steps(round.run);
        let mut server = self.next((hit + piece.at as u64).is_multiple_of(2))?;
        let client = self.client(&server);
        let came = round.drive(&mut server, &client, PATIENCE)?;
        match (came, begin) {
            (Came::Ended, _) => {}
            (Came::Nothing, Begin::Unknown) if noted.is_empty() => {
                Figures::count(&self.figures.nothing);
                server.kill();
                return Ok(true);
            }
            (came, _) => {
                let left = round.left(&client, &self.notes)?;
                self.complain(&context, &[format!("{came:?} after the restart: {left:?}")]);
                server.kill();
                return Ok(true);
            }
        }
        let left = round.left(&client, &self.notes)?;
        let counter = if left.ends.iter().any(|end| end.interrupted().is_some()) {
            &self.figures.interrupted
        } else {
            &self.figures.same
        };
        Figures::count(counter);
        let mut resumed = None;
        if left.ends.first().is_some_and(|end| end.interrupted().is_some()) {
            round.resume(&client)?;
            round.drive(&mut server, &client, PATIENCE)?;
            resumed = Some(round.left(&client, &self.notes)?);
        }
        if !crate::judge::at_rest(&client, ghosts::GONE_WITHIN) {
            self.complain(&context, &["a process is active that nobody knows".to_owned()]);
        }
        self.no_ghosts(server.pid(), &context);
        server.kill();
        let checkpoint = piece.checkpoint;
        let or = program.or;
        let killed = Killed { calm, or, checkpoint, noted, left, resumed };
        let wrong = judge::wrong(&killed);
        if !wrong.is_empty() {
            self.complain(&context, &wrong);
        }
        Ok(true)
    }

    /// The server after a killed one; with `again` one is killed in between, if it passes the point.
    fn next(&self, again: bool) -> Result<Server, String> {
        if again {
            match self.site.start(AGAIN)? {
                Begun::Ended(_) => Figures::count(&self.figures.twice),
                // It had nothing to take up, and cannot be killed there any more.
                Begun::Serving(server) => return Ok(server),
                Begun::Hung => return Err("the next server does not start".into()),
            }
        }
        self.site.serve()
    }

    fn no_ghosts(&self, server: u32, context: &str) {
        let left = ghosts::wait(&self.site.data, self.notes.dir(), server, ghosts::GONE_WITHIN);
        for one in &left {
            Figures::count(&self.figures.ghosts);
            eprintln!("crashkit: {context}: still there: {one}");
        }
    }

    fn complain(&self, context: &str, wrong: &[String]) {
        Figures::count(&self.figures.wrong);
        eprintln!("crashkit: {context}:");
        for one in wrong {
            eprintln!("  {one}");
        }
    }

    fn number(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    fn client(&self, server: &Server) -> Client {
        Client { address: server.address.clone(), token: self.token.clone() }
    }
}
