//! `/-/health`: for load balancers and service managers; no login, no data (rule: http/health).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::Service;
use super::answer;

/// The program runs and answers.
pub async fn live() -> Response {
    answer::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Everything has started and nothing is going down.
pub async fn ready(State(service): State<Service>) -> Response {
    if service.is_ready() {
        answer::json(StatusCode::OK, &json!({"status": "ok"}))
    } else {
        answer::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "unavailable"}))
    }
}
