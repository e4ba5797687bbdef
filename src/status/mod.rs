//! The technician's page, the API, the metrics and the health checks, over HTTP.
//!
//! ```text
//!  listener ─► routes ─┬─ auth      who may see what: PIN, sessions, callers on the box
//!                      ├─ pages     HTML, rendered here; i18n has every text
//!                      ├─ live      the same HTML again, pushed when it changes
//!                      ├─ api       the report as JSON, and its OpenAPI description
//!                      └─ metrics   the report for Prometheus
//!                           ▲
//!                        report ◄── today ◄── tally; host; roster, outbox, uplink
//! ```
//!
//! Nothing on a page comes from elsewhere, and everything works without a script: it only makes numbers move.

pub mod api;
pub mod auth;
mod host;
mod i18n;
mod listener;
mod live;
mod metrics;
mod pages;
mod report;
mod routes;
pub mod tally;
mod today;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use auth::Access;
pub use report::{Report, Sources};
pub use today::Today;

/// Makes a diagnostics bundle. Blocks.
pub type Diagnostics = Arc<dyn Fn() -> std::io::Result<Vec<u8>> + Send + Sync>;

/// Everything that answers a request.
pub struct Site {
    sources: Arc<Sources>,
    gate: auth::Gate,
    diagnostics: Option<Diagnostics>,
    /// One bundle at a time.
    collecting: Arc<Semaphore>,
    /// Places for pages that are live.
    live: Arc<Semaphore>,
    /// Becomes true when the daemon leaves.
    stop: watch::Receiver<bool>,
}

impl Site {
    /// A site that shows `sources` to whom `access` allows, until `stop` becomes true.
    #[must_use]
    pub fn new(
        sources: Arc<Sources>,
        access: Access,
        diagnostics: Option<Diagnostics>,
        stop: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let clock = Arc::clone(&sources.clock);
        Arc::new(Self {
            sources,
            diagnostics,
            collecting: Arc::new(Semaphore::new(1)),
            gate: auth::Gate::new(access, clock),
            live: Arc::new(Semaphore::new(live::MOST)),
            stop,
        })
    }

    /// Answers on `listener` until the daemon leaves.
    ///
    /// # Errors
    /// I/O of the listener.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        let mut stop = self.stop.clone();
        let routes = routes::routes(self).into_make_service_with_connect_info::<listener::Peer>();
        axum::serve(listener::Limited::new(listener), routes)
            .with_graceful_shutdown(async move { drop(stop.wait_for(|stop| *stop).await) })
            .await
    }
}
