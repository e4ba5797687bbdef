//! Live updates by server-sent events: the live part of a page, rendered anew whenever it differs from what was sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::Site;
use super::i18n::Lang;
use super::pages::Page;

/// Pages that are live at once.
pub const MOST: usize = 8;
/// How often the state is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A sign of life, so that the connection is not taken for a silent one.
const SIGN: Duration = Duration::from_secs(10);

/// The updates of `page` for as long as the visitor may see it, the daemon runs and the place `permit` is held.
pub fn updates(
    site: Arc<Site>,
    page: Page,
    lang: Lang,
    headers: HeaderMap,
    permit: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _permit = permit;
        let mut stop = site.stop.clone();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sent = String::new();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sender.closed() => return,
                _ = tick.tick() => {}
            }
            if site.gate.asks() && !site.gate.knows(&headers, false) {
                return;
            }
            let now = page
                .live(lang.texts(), &site.sources.report())
                .into_string();
            if now == sent {
                continue;
            }
            let event = Event::default().data(&now);
            sent = now;
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                result = sender.send(Ok(event)) => if result.is_err() { return },
            }
        }
    });
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(SIGN))
}
