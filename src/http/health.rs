//! `/-/health`: for load balancers and service managers; no login, no data (rule: http/health).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::Service;
use super::answer;

/// The program runs and answers.
pub(super) fn live() -> Response {
    answer::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Everything has started and nothing is going down.
pub(super) fn ready(service: &Service) -> Response {
    if service.is_ready() {
        answer::json(StatusCode::OK, &json!({"status": "ok"}))
    } else {
        answer::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "unavailable"}))
    }
}
