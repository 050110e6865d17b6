//! `/-/metrics`: what is counted, as OpenMetrics text (rule: http/metrics).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kompira_schema::error::Fault;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::route::{Answer, Ask};
use super::service::privileged;

/// Upper bounds of the times of requests, in seconds.
const SECONDS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];
/// What `encode` writes.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a request was and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    /// Name of the operation in the table; `none` when nothing was found.
    operation: &'static str,
    /// Status of the answer.
    status: u16,
}

/// What is counted while the server runs.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<Labels, Counter>,
    seconds: Histogram,
    in_flight: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Histogram::new(SECONDS),
            in_flight: Gauge::default(),
        }
    }
}

/// A request that runs; it is counted as such until this is dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<Metrics>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

impl Metrics {
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.in_flight.inc();
        Running(Arc::clone(self))
    }

    pub(super) fn end(&self, operation: &'static str, status: StatusCode, took: Duration) {
        let labels = Labels { operation, status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// The gauges that are looked up when somebody asks.
fn gauges(ask: &Ask) -> Vec<(&'static str, &'static str, i64)> {
    let service = &ask.service;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let up = service.clock.now().duration_since(service.about.started);
    let mut found = vec![
        ("store_revision", "Revision of the latest commit", whole(service.tree.store().rev().0)),
        (
            "store_healthy",
            "1 while the store takes writes",
            service.tree.store().health().is_ok().into(),
        ),
        ("http_waiting", "Requests that wait for a change", whole(service.hub.waiting() as u64)),
        ("up_seconds", "Seconds since the start", up.as_secs()),
    ];
    if let Some(engine) = &service.engine {
        let active = engine.count_active() as u64;
        found.push(("processes_active", "Processes that have not ended", whole(active)));
    }
    if let Some(bytes) = resident() {
        found.push(("resident_bytes", "Resident memory", whole(bytes)));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        found.push(("open_files", "Open descriptors", whole(open.count() as u64)));
    }
    found
}

/// Resident memory of this process in bytes.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// `GET /-/metrics`, for privileged users.
pub(super) fn scrape(ask: &Ask) -> Answer {
    privileged(ask)?;
    let metrics = &ask.service.metrics;
    let mut registry = Registry::with_prefix("kompira");
    registry.register("http_requests", "Requests that were answered", metrics.requests.clone());
    registry.register("http_seconds", "Times to the head of the answer", metrics.seconds.clone());
    registry.register("http_in_flight", "Requests at work", metrics.in_flight.clone());
    for (name, help, value) in gauges(ask) {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    let mut text = String::new();
    encode(&mut text, &registry).map_err(Fault::internal)?;
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/metrics
    #[test]
    fn a_request_is_counted_by_operation_and_status() {
        let metrics = Arc::new(Metrics::default());
        let running = metrics.begin();
        assert_eq!(metrics.in_flight.get(), 1);
        drop(running);
        metrics.end("getObject", StatusCode::OK, Duration::from_millis(2));
        metrics.end("getObject", StatusCode::OK, Duration::from_millis(3));
        let labels = Labels { operation: "getObject", status: 200 };
        assert_eq!(metrics.requests.get_or_create(&labels).get(), 2);
        assert_eq!(metrics.in_flight.get(), 0);
    }
}
