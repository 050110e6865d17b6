//! Rounds of measurements and the tables made of them.

use crate::statistics::{Latencies, extremes, median, spread};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One figure of one run.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Name of what was measured; the same in every run.
    pub(crate) metric: String,
    /// Unit of `rate`: more is better ("files/s", "MiB/s").
    pub(crate) unit: &'static str,
    /// How many operations (or units) were done.
    pub(crate) count: f64,
    /// What they took together, in seconds.
    pub(crate) seconds: f64,
    /// Median of one operation in microseconds, where single ones were timed.
    pub(crate) p50_us: Option<f64>,
    /// 99th percentile of one operation in microseconds.
    pub(crate) p99_us: Option<f64>,
}

impl Sample {
    pub(crate) fn new(
        metric: impl Into<String>,
        unit: &'static str,
        count: f64,
        seconds: f64,
    ) -> Self {
        Self { metric: metric.into(), unit, count, seconds, p50_us: None, p99_us: None }
    }

    /// Adds the percentiles of the single operations.
    pub(crate) fn with(mut self, latencies: &Latencies) -> Self {
        self.p50_us = latencies.percentile_us(0.5);
        self.p99_us = latencies.percentile_us(0.99);
        self
    }

    /// Units per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count / self.seconds.max(1e-9)
    }

    fn to_json(&self) -> Value {
        json!({"unit": self.unit, "n": self.count, "s": self.seconds, "rate": self.rate(),
               "p50us": self.p50_us, "p99us": self.p99_us})
    }
}

/// All figures of one variant in one round.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) round: u32,
    pub(crate) variant: String,
    pub(crate) samples: Vec<Sample>,
    /// What went wrong: a run with an entry here counts nowhere.
    pub(crate) errors: Vec<String>,
    /// Load average of the machine when the run began.
    pub(crate) load: f64,
}

/// The runs of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Report {
    runs: Vec<Run>,
}

impl Report {
    pub(crate) fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// True when at least one run counts.
    pub(crate) fn has_figures(&self) -> bool {
        self.good().next().is_some()
    }

    fn good(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.errors.is_empty())
    }

    /// Variants in the order of their first appearance.
    fn variants(&self) -> Vec<&str> {
        distinct(self.runs.iter().map(|run| run.variant.as_str()))
    }

    /// Metrics in the order of the workload, with their units.
    fn metrics(&self) -> Vec<(&str, &'static str)> {
        distinct(
            self.good().flat_map(|run| run.samples.iter().map(|s| (s.metric.as_str(), s.unit))),
        )
    }

    /// (round, rate) of every run that counts.
    fn rates(&self, metric: &str, variant: &str) -> Vec<(u32, f64)> {
        self.good()
            .filter(|run| run.variant == variant)
            .filter_map(|run| {
                let sample = run.samples.iter().find(|sample| sample.metric == metric)?;
                Some((run.round, sample.rate()))
            })
            .collect()
    }

    fn median(&self, metric: &str, variant: &str) -> Option<f64> {
        median(&values(&self.rates(metric, variant)))
    }

    /// Ratios of `base` to `other`, each within one round, sorted by round.
    fn ratios(&self, metric: &str, base: &str, other: &str) -> Vec<f64> {
        let others = self.rates(metric, other);
        self.rates(metric, base)
            .into_iter()
            .filter_map(|(round, rate)| {
                let (_, beside) = others.iter().find(|(at, _)| *at == round)?;
                (*beside > 0.0).then(|| rate / beside)
            })
            .collect()
    }

    /// The tables in Markdown: medians, spread, ratios of `base` to every other variant.
    pub(crate) fn to_markdown(&self, base: &str) -> String {
        let variants = self.variants();
        let metrics = self.metrics();
        let mut out = String::new();
        let heads = variants.join(" | ");
        let rule = "--:|".repeat(variants.len());
        let _ = writeln!(out, "Medians\n\n| metric | unit | {heads} |\n|---|---|{rule}");
        for (metric, unit) in &metrics {
            let cells = cells(&variants, |variant| self.median(metric, variant).map(figure));
            let _ = writeln!(out, "| {metric} | {unit} | {cells} |");
        }
        let _ = writeln!(out, "\nSpread: (max - min) / median, in per cent\n");
        let _ = writeln!(out, "| metric | {heads} |\n|---|{rule}");
        for (metric, _) in &metrics {
            let cells = cells(&variants, |variant| {
                spread(&values(&self.rates(metric, variant))).map(|s| format!("{s:.0}"))
            });
            let _ = writeln!(out, "| {metric} | {cells} |");
        }
        let others: Vec<&str> = variants.iter().copied().filter(|v| *v != base).collect();
        if variants.contains(&base) && !others.is_empty() {
            let _ = writeln!(out, "\n{base} / other in the same round: min / median / max\n");
            let _ = writeln!(out, "| metric | {} |", others.join(" | "));
            let _ = writeln!(out, "|---|{}", "---|".repeat(others.len()));
            for (metric, _) in &metrics {
                let cells = cells(&others, |other| ratio(&self.ratios(metric, base, other)));
                let _ = writeln!(out, "| {metric} | {cells} |");
            }
        }
        let _ = writeln!(out, "\n{}", self.counted());
        out
    }

    /// How many runs count, and which were thrown away.
    fn counted(&self) -> String {
        let counts: Vec<String> = self
            .variants()
            .iter()
            .map(|variant| {
                format!("{variant} {}", self.good().filter(|r| r.variant == *variant).count())
            })
            .collect();
        let mut out = format!("Runs without errors: {}", counts.join(", "));
        for run in self.runs.iter().filter(|run| !run.errors.is_empty()) {
            let _ = write!(
                out,
                "\nThrown away: round {} of {}: {} errors, first: {}",
                run.round,
                run.variant,
                run.errors.len(),
                run.errors.first().map_or("", String::as_str)
            );
        }
        out
    }

    /// Every run with every figure.
    pub(crate) fn to_json(&self) -> Value {
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|run| {
                let figures: serde_json::Map<String, Value> =
                    run.samples.iter().map(|s| (s.metric.clone(), s.to_json())).collect();
                json!({"round": run.round, "label": run.variant, "load": run.load,
                       "errors": run.errors, "m": figures})
            })
            .collect();
        json!({ "runs": runs })
    }
}

/// Load average of the last minute; 0 where the system does not tell.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn values(rates: &[(u32, f64)]) -> Vec<f64> {
    rates.iter().map(|(_, rate)| *rate).collect()
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

fn cells(columns: &[&str], cell: impl Fn(&str) -> Option<String>) -> String {
    let cells: Vec<String> =
        columns.iter().map(|column| cell(column).unwrap_or_else(|| "–".to_owned())).collect();
    cells.join(" | ")
}

fn ratio(ratios: &[f64]) -> Option<String> {
    let (low, high) = extremes(ratios)?;
    Some(format!("{low:.2} / {:.2} / {high:.2}", median(ratios)?))
}

/// A number as people read it: thousands in groups, small ones with one digit after the point.
fn figure(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(round: u32, variant: &str, rate: f64, errors: &[&str]) -> Run {
        Run {
            round,
            variant: variant.to_owned(),
            samples: vec![Sample::new("create", "files/s", rate, 1.0)],
            errors: errors.iter().map(|text| (*text).to_owned()).collect(),
            load: 0.0,
        }
    }

    #[test]
    fn ratios_pair_figures_of_the_same_round_only() {
        let mut report = Report::default();
        for (round, ours, theirs) in [(0, 20.0, 10.0), (1, 30.0, 10.0), (2, 80.0, 20.0)] {
            report.add(run(round, "ours", ours, &[]));
            report.add(run(round, "theirs", theirs, &[]));
        }
        report.add(run(3, "ours", 999.0, &[]));
        assert!(report.to_markdown("ours").contains("| create | 2.00 / 3.00 / 4.00 |"));
    }

    #[test]
    fn a_run_with_an_error_counts_nowhere_and_is_said() {
        let mut report = Report::default();
        report.add(run(0, "ours", 10.0, &[]));
        report.add(run(1, "ours", 9_000_000.0, &["content of obj7"]));
        let text = report.to_markdown("ours");
        assert!(text.contains("| create | files/s | 10.0 |"), "{text}");
        assert!(text.contains("Thrown away: round 1 of ours: 1 errors, first: content of obj7"));
    }

    #[test]
    fn figures_are_grouped_by_thousands() {
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(figure(1_234_567.0), "1,234,567");
        assert_eq!(figure(999.6), "1,000");
    }
}
