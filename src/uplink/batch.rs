//! Puts stored events into one payload, `[e1,e2,...]`, byte for byte as they were stored.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::encoding::Encoding;
use super::route::Route;
use crate::event::Stream;
use crate::outbox::Stored;

/// The payload's content type: the JSON batch format of CloudEvents 1.0.
pub const CONTENT_TYPE: &str = "application/cloudevents-batch+json";

/// Oversized events that are remembered one by one.
const MOST_TOLD: usize = 1000;
/// `[` and `]`.
const BRACKETS: usize = 2;

/// Which events one publish carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    pub route: Route,
    /// Exactly the sequence numbers inside, ascending, consecutive ones joined.
    pub ranges: Vec<RangeInclusive<u64>>,
}

impl Batch {
    /// How many events are inside.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end() - range.start() + 1)
            .sum()
    }

    /// First and last sequence number; `None` for an empty batch.
    #[must_use]
    pub fn span(&self) -> Option<(u64, u64)> {
        Some((*self.ranges.first()?.start(), *self.ranges.last()?.end()))
    }

    fn push(&mut self, sequence: u64) {
        match self.ranges.last_mut() {
            Some(last) if last.end() + 1 == sequence => *last = *last.start()..=sequence,
            _ => self.ranges.push(sequence..=sequence),
        }
    }
}

/// How large a payload may be, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLimit {
    /// What a batch should not exceed before compression; a single event may.
    pub target: usize,
    /// What nothing may exceed, because the broker would close the connection.
    pub most: usize,
}

/// One payload and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub batch: Batch,
    /// Empty when the batch is.
    pub payload: Vec<u8>,
    /// How `payload` is encoded.
    pub encoding: Encoding,
    /// Events that no payload can hold, set aside.
    pub oversized: Vec<Oversized>,
    /// Everything up to here has been dealt with.
    pub upto: u64,
}

/// An event that is larger than the broker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Oversized {
    pub stream: Stream,
    pub sequence: u64,
    /// The event's size.
    pub bytes: usize,
    /// The largest event the broker takes.
    pub limit: usize,
}

/// Which oversized events have been reported; bounded.
#[derive(Debug, Default)]
pub(super) struct ToldOversized {
    told: BTreeSet<(Stream, u64)>,
    /// By stream, everything up to here counts as reported: so many are oversized that each alone is no news.
    upto: [u64; 4],
}

impl ToldOversized {
    /// True the first time.
    pub(super) fn is_news(&mut self, event: &Oversized) -> bool {
        let (stream, sequence) = (event.stream, event.sequence);
        let news = sequence > self.upto[stream.index()] && self.told.insert((stream, sequence));
        if self.told.len() > MOST_TOLD
            && let Some((stream, lowest)) = self.told.pop_first()
        {
            self.upto[stream.index()] = lowest;
        }
        news
    }
}

/// Packs as many of `events` (ascending, all after `after`) as fit; `skip` tells which the cloud has already. Compresses
/// the payload if `encoding` says so and it becomes smaller; an event that only fits compressed goes alone.
#[must_use]
pub fn pack(
    route: Route,
    after: u64,
    events: &[Stored],
    limit: PayloadLimit,
    encoding: Encoding,
    skip: impl Fn(u64) -> bool,
) -> Packed {
    let largest_event = limit.most.saturating_sub(BRACKETS);
    let mut packed = Packed {
        batch: Batch {
            route,
            ranges: Vec::new(),
        },
        payload: Vec::new(),
        encoding: Encoding::Identity,
        oversized: Vec::new(),
        upto: after,
    };
    for event in events {
        if event.sequence <= packed.upto {
            continue; // out of order: sending it twice in one batch would hide the fault
        }
        if skip(event.sequence) {
            packed.upto = event.sequence;
            continue;
        }
        let size = event.bytes.len();
        if size > largest_event {
            let alone = encoding.apply([b"[", &event.bytes[..], b"]"].concat());
            let fits = alone.0.len() <= limit.most;
            if fits && !packed.payload.is_empty() {
                break;
            }
            packed.upto = event.sequence;
            if fits {
                (packed.payload, packed.encoding) = alone;
                packed.batch.push(event.sequence);
                return packed;
            }
            packed.oversized.push(Oversized {
                stream: route.stream,
                sequence: event.sequence,
                bytes: size,
                limit: largest_event,
            });
            continue;
        }
        if packed.payload.is_empty() {
            packed.payload.reserve(size + BRACKETS);
            packed.payload.push(b'[');
        } else if packed.payload.len() + size + BRACKETS > limit.target.min(limit.most) {
            break;
        } else {
            packed.payload.push(b',');
        }
        packed.payload.extend_from_slice(&event.bytes);
        packed.batch.push(event.sequence);
        packed.upto = event.sequence;
    }
    if !packed.payload.is_empty() {
        packed.payload.push(b']');
        (packed.payload, packed.encoding) = encoding.apply(packed.payload);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::encoding::expand;

    fn stored(sequence: u64, text: &str) -> Stored {
        Stored {
            sequence,
            bytes: text.as_bytes().to_vec(),
        }
    }

    const WIDE: PayloadLimit = PayloadLimit {
        target: 1000,
        most: 1000,
    };

    #[test]
    fn a_payload_holds_the_stored_bytes_unchanged_even_odd_spacing() {
        let events = [stored(4, r#"{"a" : 1.0}"#), stored(5, r#"{"b":"ä"}"#)];
        let packed = pack(
            Route::live(Stream::Count),
            3,
            &events,
            WIDE,
            Encoding::Identity,
            |_| false,
        );
        assert_eq!(packed.payload, r#"[{"a" : 1.0},{"b":"ä"}]"#.as_bytes());
        assert_eq!(packed.batch.ranges, [4..=5]);
        assert_eq!((packed.batch.events(), packed.upto), (2, 5));
    }

    #[test]
    fn holes_and_acknowledged_events_split_the_ranges_so_that_only_what_was_sent_is_acknowledged() {
        let events: Vec<_> = [2, 3, 7, 8, 9].map(|s| stored(s, "{}")).into();
        let packed = pack(
            Route::live(Stream::Count),
            1,
            &events,
            WIDE,
            Encoding::Identity,
            |sequence| sequence == 8,
        );
        assert_eq!(packed.batch.ranges, [2..=3, 7..=7, 9..=9]);
        assert_eq!(packed.batch.span(), Some((2, 9)));
    }

    #[test]
    fn a_batch_stops_before_the_target_but_one_large_event_still_goes_alone() {
        let limit = PayloadLimit {
            target: 10,
            most: 40,
        };
        let events = [
            stored(1, "{\"a\":1234567890}"),
            stored(2, "{}"),
            stored(3, "{}"),
            stored(4, "{}"),
            stored(5, "{}"),
        ];
        let first = pack(
            Route::live(Stream::Count),
            0,
            &events,
            limit,
            Encoding::Identity,
            |_| false,
        );
        assert_eq!((first.batch.ranges, first.upto), (vec![1..=1], 1));
        let second = pack(
            Route::live(Stream::Count),
            1,
            &events,
            limit,
            Encoding::Identity,
            |_| false,
        );
        assert_eq!(second.payload, b"[{},{},{}]");
        assert_eq!(second.upto, 4);
    }

    #[test]
    fn an_event_larger_than_the_broker_takes_is_set_aside_and_the_rest_goes_on() {
        let limit = PayloadLimit {
            target: 100,
            most: 12,
        };
        let events = [
            stored(1, "{\"a\":1234567890}"),
            stored(2, "{}"),
            stored(3, "{\"a\":1234}"),
        ];
        let packed = pack(
            Route::live(Stream::Alarm),
            0,
            &events,
            limit,
            Encoding::Identity,
            |_| false,
        );
        assert_eq!(packed.oversized.len(), 1);
        assert_eq!(packed.oversized[0].sequence, 1);
        assert_eq!(packed.oversized[0].limit, 10);
        assert_eq!(packed.payload, b"[{}]");
        assert!(packed.payload.len() <= limit.most);
    }

    #[test]
    fn a_compressed_batch_names_exactly_the_events_it_holds() {
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(60));
        let events: Vec<_> = [2, 3, 5].map(|s| stored(s, &text)).into();
        let route = Route::live(Stream::Count);
        let plain = pack(route, 1, &events, WIDE, Encoding::Identity, |_| false);
        let packed = pack(route, 1, &events, WIDE, Encoding::Zstd, |_| false);
        assert_eq!(packed.encoding, Encoding::Zstd);
        assert!(packed.payload.len() < plain.payload.len());
        assert_eq!(expand(&packed.payload, 1000).unwrap(), plain.payload);
        assert_eq!((packed.batch, packed.upto), (plain.batch, plain.upto));
    }

    #[test]
    fn what_is_sent_decides_whether_an_event_is_too_large() {
        let limit = PayloadLimit {
            target: 100,
            most: 60,
        };
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(500));
        let noise: String = (0..500)
            .map(|turn: u32| char::from(b'0' + (turn.pow(3) % 79) as u8))
            .collect();
        let events = [
            stored(1, "{}"),
            stored(2, &large),
            stored(3, &noise),
            stored(4, "{}"),
        ];
        let route = Route::live(Stream::Count);
        let next = |after| pack(route, after, &events, limit, Encoding::Zstd, |_| false);
        let first = next(0);
        assert_eq!((first.payload, first.upto), (b"[{}]".to_vec(), 1));
        let second = next(1);
        assert_eq!((second.batch.ranges, second.upto), (vec![2..=2], 2));
        assert!(second.payload.len() <= limit.most);
        assert_eq!(
            expand(&second.payload, 1000).unwrap(),
            format!("[{large}]").as_bytes()
        );
        let third = next(2);
        assert_eq!(
            (third.oversized[0].sequence, third.batch.ranges),
            (3, vec![4..=4])
        );
    }

    #[test]
    fn nothing_new_gives_an_empty_payload_and_events_out_of_order_are_never_repeated() {
        let events = [stored(3, "{}"), stored(3, "{}"), stored(2, "{}")];
        assert!(
            pack(
                Route::live(Stream::Count),
                3,
                &events,
                WIDE,
                Encoding::Identity,
                |_| false
            )
            .payload
            .is_empty()
        );
        let packed = pack(
            Route::live(Stream::Count),
            2,
            &events,
            WIDE,
            Encoding::Identity,
            |_| false,
        );
        assert_eq!(packed.payload, b"[{}]");
    }
}
