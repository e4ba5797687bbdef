//! Reading durable events across the chain of segments. Every number is accounted for: it is in the batch
//! or known to be absent. Anything else is damage; the reader names the segment, the writer repairs it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layout::Kind;
use super::probe::probe;
use super::segment::{Batch, Segment, SegmentError};
use super::space;
use super::state::{Located, Place, Shared, Tail};
use super::{OutboxError, Stored};
use crate::event::Stream;

/// Up to a batch of the stream's events after `after`; see [`super::Queue::read`].
///
/// # Errors
/// [`OutboxError`]; it may pass.
pub fn read(
    shared: &Shared,
    dir: &Path,
    cache_bytes: u64,
    stream: Stream,
    mut after: u64,
    mut batch: Batch,
) -> Result<Vec<Stored>, OutboxError> {
    while !batch.is_full() {
        let place = match shared.state().locate(stream, after) {
            Located::End => break,
            Located::At(place) => place,
            Located::Closed => return Err(OutboxError::Closed),
            Located::Busy if batch.events.is_empty() => return Err(OutboxError::busy()),
            Located::Busy => break,
        };
        let before = batch.events.len();
        let mut outcome = match open(shared, dir, cache_bytes, &place) {
            Ok(Some(segment)) => segment.read(stream, after, place.until, &mut batch),
            // Dropped since it was located.
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        let whole = accounted(shared, stream, &mut after, place.until, before, &mut batch);
        if !whole && outcome.is_ok() {
            outcome = Err(SegmentError::Damaged(format!(
                "event {stream}/{} is missing",
                after + 1
            )));
        }
        match outcome {
            Ok(()) => {}
            // Dropped, or repaired already, while it was being read.
            Err(_) if !shared.state().holds(place.ordinal) => {}
            Err(SegmentError::Damaged(why)) => {
                let segment = Kind::Segment.path(dir, place.ordinal);
                tracing::warn!(segment = %segment.display(), why, "damage found while reading");
                shared.state().damaged.insert(place.ordinal);
                shared.wake.notify_one();
                if batch.events.is_empty() {
                    return Err(OutboxError::Corrupt(format!(
                        "{} is damaged ({why}); it is being repaired, read again in a moment",
                        segment.display()
                    )));
                }
                break;
            }
            Err(SegmentError::Io(error)) => {
                recover(shared, &place, &error);
                if batch.events.is_empty() {
                    return Err(OutboxError::io(dir, "read", error));
                }
                break;
            }
        }
    }
    Ok(batch.events)
}

/// sled keeps an error for as long as a database is open, and it writes while it opens: what failed once is opened
/// anew, with room where that was missing.
fn recover(shared: &Shared, place: &Place, error: &io::Error) {
    if space::is_full(error) {
        shared.wants_room.store(true, Ordering::Relaxed);
    }
    if place.head.is_some() {
        shared.state().damaged.insert(place.ordinal);
    } else {
        shared.tail().take_if(|tail| tail.ordinal == place.ordinal);
    }
    shared.wake.notify_one();
}

/// Cuts the batch at the first number that is neither in it nor known to be absent, and moves `after` to
/// the last number that is accounted for. False when something was missing.
fn accounted(
    shared: &Shared,
    stream: Stream,
    after: &mut u64,
    until: u64,
    before: usize,
    batch: &mut Batch,
) -> bool {
    let state = shared.state();
    let absent = &state.streams[stream].absent;
    let mut good = before;
    for event in batch.events.iter().skip(before) {
        if event.sequence <= *after || !absent.covers(*after + 1..=event.sequence - 1) {
            break;
        }
        *after = event.sequence;
        good += 1;
    }
    let whole = good == batch.events.len();
    batch.events.truncate(good);
    let was_full = batch.is_full();
    // Given up, though its bytes are still there.
    batch.retain(|sequence| !absent.contains(sequence));
    if whole && !was_full {
        if !absent.covers(*after + 1..=until) {
            return false;
        }
        *after = until;
    }
    whole
}

/// The segment to read from; `None` when it is gone.
fn open(
    shared: &Shared,
    dir: &Path,
    cache_bytes: u64,
    place: &Place,
) -> Result<Option<Arc<Segment>>, SegmentError> {
    if let Some(head) = &place.head {
        return Ok(Some(Arc::clone(head)));
    }
    let mut tail = shared.tail();
    if let Some(tail) = tail.as_mut().filter(|tail| tail.ordinal == place.ordinal) {
        tail.used = true;
        return Ok(Some(Arc::clone(&tail.segment)));
    }
    // One at a time: a sled database costs about nine threads.
    *tail = None;
    let path = Kind::Segment.path(dir, place.ordinal);
    let closed = shared.state().closed.get(&place.ordinal).cloned();
    let Some(closed) = closed else {
        return Ok(None);
    };
    let (segment, _) =
        probe(&path, cache_bytes, &closed.present)?.map_err(SegmentError::Damaged)?;
    let segment = Arc::new(segment);
    *tail = Some(Tail {
        ordinal: place.ordinal,
        segment: Arc::clone(&segment),
        used: true,
    });
    Ok(Some(segment))
}
