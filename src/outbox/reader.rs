//! Reading durable events across the chain of segments. Every number is accounted for: it is in the batch
//! or known to be absent. Anything else is damage; the reader names the segment, the writer repairs it.

use std::path::Path;
use std::sync::Arc;

use super::index::Index;
use super::layout::Kind;
use super::segment::{Batch, SegmentError};
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
        let mut outcome = match &place.head {
            Some(head) => head.read(stream, after, place.until, &mut batch),
            None => match sealed(shared, dir, place.ordinal) {
                Ok(Some(index)) => index.read(stream, after, place.until, &mut batch),
                // Dropped since it was located.
                Ok(None) => continue,
                Err(error) => Err(error),
            },
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
                recover(shared, &place);
                if batch.events.is_empty() {
                    return Err(OutboxError::io(dir, "read", error));
                }
                break;
            }
        }
    }
    Ok(batch.events)
}

/// What failed once is opened anew: sled keeps an error for as long as a database is open.
fn recover(shared: &Shared, place: &Place) {
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

/// The sealed segment to read from; `None` when it is gone.
fn sealed(shared: &Shared, dir: &Path, ordinal: u64) -> Result<Option<Arc<Index>>, SegmentError> {
    let mut tail = shared.tail();
    if let Some(tail) = tail.as_mut().filter(|tail| tail.ordinal == ordinal) {
        tail.used = true;
        return Ok(Some(Arc::clone(&tail.index)));
    }
    *tail = None;
    let closed = shared.state().closed.get(&ordinal).cloned();
    let Some(closed) = closed else {
        return Ok(None);
    };
    let index = Index::sealed(&Kind::Segment.path(dir, ordinal), &closed.present)?;
    let index = Arc::new(index);
    *tail = Some(Tail {
        ordinal,
        index: Arc::clone(&index),
        used: true,
    });
    Ok(Some(index))
}
