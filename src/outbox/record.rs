//! How events lie in the store: up to twelve of one stream in one record. Pure.
//!
//! ```text
//! "FfR2" | stream u8 | epoch u32 | commit u32 | first u64 | count u8 | count × length u32 | header CRC u32
//!        | count × ( event CRC u32 | event bytes )
//! ```
//! Little-endian; CRC32C. An event's CRC also covers its stream and sequence number, so that bytes can
//! never be read as another event's. A record names itself, so it can be found again in a file whose
//! structure is lost. The epoch counts starts of the outbox: where two records claim the same number
//! (a torn tail that was written anew), the higher epoch is right. The commit counts within an epoch: a record
//! proves that all records of earlier commits were durable before it was written.

use crate::event::Stream;

/// Events in one record, at most.
pub const RECORD_EVENTS: usize = 12;
/// Size of a record, at most, unless a single event is bigger.
pub const RECORD_BYTES: usize = 4096;
/// Largest event that can be stored.
pub const EVENT_BYTES: usize = 256 * 1024;

/// What a record starts with.
pub const MAGIC: &[u8; 4] = b"FfR2";
const FIXED: usize = 4 + 1 + 4 + 4 + 8 + 1;
/// Bytes of the CRC before each event.
pub const CRC: usize = 4;

/// When a record was written: later is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Which start of the outbox.
    pub epoch: u32,
    /// Which of its commits; 0 in a segment that was written anew.
    pub commit: u32,
}

/// A record's content, borrowed from its bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub stream: Stream,
    pub turn: Turn,
    /// Sequence number of the first event.
    pub first: u64,
    /// The events in order; `None` where the bytes are damaged.
    pub events: Vec<Option<&'a [u8]>>,
}

impl<'a> Record<'a> {
    /// Every event with its sequence number.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, Option<&'a [u8]>)> + '_ {
        (self.first..).zip(self.events.iter().copied())
    }
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("it does not start like a record")]
    Magic,
    #[error("its header is damaged or cut off")]
    Header,
}

/// How many of the events, from the front, go into the next record; at least one when there is any.
#[must_use]
pub fn fit(events: &[Vec<u8>]) -> usize {
    let mut size = FIXED + CRC;
    let mut count = 0;
    for event in events.iter().take(RECORD_EVENTS) {
        size += 4 + CRC + event.len();
        if count > 0 && size > RECORD_BYTES {
            break;
        }
        count += 1;
    }
    count
}

/// One record's bytes. `events` holds at most [`RECORD_EVENTS`], each at most [`EVENT_BYTES`].
#[must_use]
pub fn encode(stream: Stream, turn: Turn, first: u64, events: &[Vec<u8>]) -> Vec<u8> {
    debug_assert!(!events.is_empty() && events.len() <= RECORD_EVENTS);
    let body: usize = events.iter().map(|event| CRC + event.len()).sum();
    let mut out = Vec::with_capacity(FIXED + 4 * events.len() + CRC + body);
    out.extend_from_slice(MAGIC);
    out.push(stream.index() as u8);
    out.extend_from_slice(&turn.epoch.to_le_bytes());
    out.extend_from_slice(&turn.commit.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    out.push(events.len() as u8);
    for event in events {
        out.extend_from_slice(&(event.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    for (sequence, event) in (first..).zip(events) {
        out.extend_from_slice(&event_crc(stream, sequence, event).to_le_bytes());
        out.extend_from_slice(event);
    }
    out
}

/// Reads the record at the start of `bytes`; what follows it is not looked at.
///
/// # Errors
/// [`RecordError`] where not even the header can be trusted.
pub fn parse(bytes: &[u8]) -> Result<Record<'_>, RecordError> {
    if !bytes.starts_with(MAGIC) {
        return Err(RecordError::Magic);
    }
    read(bytes).ok_or(RecordError::Header)
}

fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let stream = Stream::ALL.get(usize::from(*bytes.get(4)?)).copied()?;
    let turn = Turn {
        epoch: u32_at(bytes, 5)?,
        commit: u32_at(bytes, 9)?,
    };
    let first = u64::from_le_bytes(bytes.get(13..21)?.try_into().ok()?);
    let count = usize::from(*bytes.get(21)?);
    let header = FIXED + 4 * count;
    if u32_at(bytes, header)? != crc32c::crc32c(bytes.get(..header)?) {
        return None;
    }
    if count == 0 || count > RECORD_EVENTS || first == 0 {
        return None;
    }
    first.checked_add(count as u64)?;
    let mut events = Vec::with_capacity(count);
    let mut at = header + CRC;
    for (sequence, index) in (first..).zip(0..count) {
        let length = u32_at(bytes, FIXED + 4 * index)? as usize;
        let end = at.checked_add(CRC)?.checked_add(length)?;
        events.push(whole(
            stream,
            sequence,
            bytes.get(at..end).unwrap_or_default(),
        ));
        at = end;
    }
    Some(Record {
        stream,
        turn,
        first,
        events,
    })
}

/// The event in `bytes`, which are its CRC and itself; `None` where they are damaged or another event's.
#[must_use]
pub fn whole(stream: Stream, sequence: u64, bytes: &[u8]) -> Option<&[u8]> {
    let event = bytes.get(CRC..)?;
    (u32_at(bytes, 0) == Some(event_crc(stream, sequence, event))).then_some(event)
}

/// The key of a record in its stream's tree: keys sort as numbers do.
#[must_use]
pub const fn key(first: u64) -> [u8; 8] {
    first.to_be_bytes()
}

fn event_crc(stream: Stream, sequence: u64, event: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&[stream.index() as u8]);
    let crc = crc32c::crc32c_append(crc, &sequence.to_le_bytes());
    crc32c::crc32c_append(crc, event)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some_events() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=RECORD_EVENTS)
    }

    #[test]
    fn keys_sort_as_their_numbers_do() {
        assert!(key(255) < key(256) && key(256) < key(u64::MAX));
    }

    #[test]
    fn records_fill_up_to_twelve_events_or_four_kilobytes_and_always_take_one() {
        assert_eq!(fit(&vec![vec![0; 10]; 30]), RECORD_EVENTS);
        assert_eq!(fit(&vec![vec![0; 1000]; 30]), 4);
        assert_eq!(fit(&[vec![0; 100_000], vec![]]), 1);
        assert_eq!(fit(&[]), 0);
        for length in [1, 300, 340, 900, 2000, 5000] {
            let events = vec![vec![7; length]; 30];
            let record = encode(Stream::Count, Turn::default(), 1, &events[..fit(&events)]);
            assert!(record.len() <= RECORD_BYTES || fit(&events) == 1);
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(
            events in some_events(), stream in 0usize..4, epoch: u32, commit: u32, first in 1u64..u64::MAX - 20,
            tail in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let stream = Stream::ALL[stream];
            let turn = Turn { epoch, commit };
            let mut bytes = encode(stream, turn, first, &events);
            bytes.extend(tail);
            let record = parse(&bytes).unwrap();
            prop_assert!(record.events.iter().all(Option::is_some));
            prop_assert_eq!((record.stream, record.turn, record.first), (stream, turn, first));
            let read: Vec<_> = record.events.into_iter().flatten().collect();
            prop_assert_eq!(read, events);
        }

        #[test]
        fn one_flipped_bit_costs_at_most_one_event_or_the_whole_record_and_never_lies(
            events in some_events(), at: prop::sample::Index, bit in 0u8..8,
        ) {
            let mut bytes = encode(Stream::Count, Turn::default(), 1000, &events);
            let header = FIXED + 4 * events.len() + CRC;
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            match parse(&bytes) {
                Err(_) => prop_assert!(at < header),
                Ok(record) => {
                    prop_assert!(at >= header);
                    prop_assert_eq!(record.events.iter().filter(|e| e.is_none()).count(), 1);
                    for (read, written) in record.events.iter().zip(&events) {
                        prop_assert!(read.is_none_or(|bytes| bytes == written));
                    }
                }
            }
        }

        #[test]
        fn a_cut_record_never_lies(events in some_events(), at: prop::sample::Index) {
            let bytes = encode(Stream::Alarm, Turn::default(), 9, &events);
            if let Ok(record) = parse(&bytes[..at.index(bytes.len())]) {
                prop_assert!(record.events.iter().any(Option::is_none));
                for (read, written) in record.events.iter().zip(&events) {
                    prop_assert!(read.is_none_or(|bytes| bytes == written));
                }
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = parse(&bytes);
            if bytes.len() >= 4 {
                bytes[..4].copy_from_slice(MAGIC);
                prop_assert_eq!(parse(&bytes).is_ok(), false);
            }
        }
    }
}
