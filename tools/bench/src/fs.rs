//! `kompira-bench fs`: one small-file workload on any folder, several folders side by side.

mod body;
mod machine;
mod peers;
mod probe;
mod programs;
mod seq;
mod settings;
mod small;
mod workload;

pub(crate) use settings::Arguments;

use crate::report::{Report, Run, load};
use peers::Place;
use serde_json::json;
use settings::Settings;

/// Runs the rounds and prints the tables, or JSON.
///
/// # Errors
/// A setting that cannot be, a peer that does not mount, or no run without errors.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let settings = Settings::new(arguments)?;
    let mut places = arguments.places()?;
    let base = arguments.base.clone().unwrap_or_else(|| places[0].label().to_owned());
    let mut report = Report::default();
    for round in 0..arguments.rounds {
        // The order moves by one each round: a slow drift of the machine meets all alike.
        places.rotate_left(usize::from(round > 0));
        for place in &mut places {
            let run = measure(place, round, &settings);
            eprintln!("round {round}: {}: {}", run.variant, said(&run));
            report.add(run);
        }
    }
    let machine = machine::describe(&places);
    if arguments.json {
        let mut all = report.to_json();
        all["machine"] = json!(machine);
        all["settings"] = settings.to_json();
        all["base"] = json!(base);
        println!("{all}");
    } else {
        println!("{}\n\n{}", machine.join("\n"), report.to_markdown(&base));
    }
    if report.has_figures() { Ok(()) } else { Err("no run was free of errors".to_owned()) }
}

/// One round of one place, on a file system mounted for it where it is a peer.
fn measure(place: &mut Place, round: u32, settings: &Settings) -> Run {
    let load = load();
    let (samples, errors) = match place.start() {
        Ok(directory) => workload::run(&directory, settings),
        Err(text) => (Vec::new(), vec![text]),
    };
    let mut errors = errors;
    if let Err(text) = place.stop() {
        errors.push(text);
    }
    Run { round, variant: place.label().to_owned(), samples, errors, load }
}

fn said(run: &Run) -> String {
    match run.errors.first() {
        None => {
            let seconds: f64 = run.samples.iter().map(|sample| sample.seconds).sum();
            format!("{seconds:.1} s")
        }
        Some(first) => format!("{} errors, thrown away; first: {first}", run.errors.len()),
    }
}
