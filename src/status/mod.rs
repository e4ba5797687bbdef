//! The technician's page, the API and the health checks, over HTTP.

mod page;
mod report;
pub mod tally;
mod today;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

pub use report::{Report, Sources};
pub use today::Today;

/// Every address the daemon answers.
pub fn routes(sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/api/v1/status", get(status))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here; the page is at /\n") })
        .with_state(sources)
}

async fn index(State(sources): State<Arc<Sources>>) -> Response {
    // Nothing on the page comes from elsewhere, so nothing elsewhere may be loaded by it.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page::render(&sources.report()).into_string()).into_response()
}

async fn status(State(sources): State<Arc<Sources>>) -> Json<Report> {
    Json(sources.report())
}

async fn ready(State(sources): State<Arc<Sources>>) -> Response {
    let report = sources.report();
    if report.ready {
        return "ready\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        report.not_ready.join("\n") + "\n",
    )
        .into_response()
}
