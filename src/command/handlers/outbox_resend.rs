//! `outbox.resend`: what the box still has of a range of a stream is published again as backfill, byte for byte, also what
//! the cloud has acknowledged: `{"stream": "count", "first": 1000, "last": 1999}`.
//!
//! The batches go out as answers do, beside the lanes of the events and outside their ledger: nothing here acknowledges or
//! un-acknowledges anything. One batch is under way at a time, so a live event waits for one of them at most. Done again
//! after a restart, from the range's beginning: the same events, the same bytes.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Call, Handler, Nature, Taken, Work};
use crate::command::response::Trouble;
use crate::event::Stream;
use crate::outbox::{Queue, RangeSet, Stored};
use crate::uplink::batch::{CONTENT_TYPE, PayloadLimit, pack};
use crate::uplink::desk::Answer;
use crate::uplink::encoding::Encoding;
use crate::uplink::route::Route;
use crate::uplink::topics::Topics;

/// Numbers in one command at most.
const MOST: u64 = 100_000;
/// Ranges in an answer at most: what is full of holes takes several commands.
const MOST_RANGES: usize = 200;
/// Events and bytes read at a time.
const READ: (usize, usize) = (500, 256 * 1024);
/// One batch, bytes: as in the backfill, so that a live event does not wait long on a slow line.
const BATCH_BYTES: usize = 32 * 1024;
/// The storage may be about to be reopened: so often it is tried again, after this pause.
const READ_TRIES: u32 = 30;
const READ_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub struct OutboxResend {
    pub queue: Arc<dyn Queue>,
    pub topics: Topics,
    /// One range at a time.
    pub one: Semaphore,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    stream: Stream,
    first: u64,
    last: u64,
}

/// What has been done of a range.
struct Account {
    args: Args,
    /// The stream's highest number.
    latest: u64,
    sent: RangeSet,
    /// Larger than the broker takes.
    too_large: RangeSet,
    /// Dealt with up to here.
    upto: u64,
}

impl Handler for OutboxResend {
    fn name(&self) -> &'static str {
        "outbox.resend"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: true,
            ordered: false,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            let args: Args = call.arguments()?;
            let latest = self.queue.stat(args.stream).last;
            check(args, latest)?;
            let Ok(_one) = self.one.try_acquire() else {
                let message =
                    "another range is being sent; wait for its answer, then sign this one again";
                return Err(Trouble::rejected("busy", message));
            };
            let mut account = Account {
                args,
                latest,
                sent: RangeSet::default(),
                too_large: RangeSet::default(),
                upto: args.first - 1,
            };
            self.resend(&call, &mut account)
                .await
                .map_err(|trouble| Trouble {
                    message: format!(
                        "up to {} of the range is done; {}",
                        account.upto, trouble.message
                    ),
                    ..trouble
                })?;
            Ok(account.result())
        })
    }
}

impl OutboxResend {
    async fn resend(&self, call: &Call, account: &mut Account) -> Result<(), Trouble> {
        let Args { stream, last, .. } = account.args;
        let end = last.min(account.latest);
        let route = Route::backfill(stream);
        let topic = self.topics.batch(route);
        let mut limit = PayloadLimit {
            target: BATCH_BYTES,
            most: usize::MAX,
        };
        while account.upto < end && !account.is_full() {
            let mut events = self.read(stream, account.upto).await?;
            events.retain(|event| event.sequence <= end);
            if events.is_empty() {
                account.upto = end;
            }
            while !events.is_empty() && !account.is_full() {
                let packed = pack(
                    route,
                    account.upto,
                    &events,
                    limit,
                    Encoding::Identity,
                    |_| false,
                );
                if !packed.payload.is_empty() {
                    let batch = Answer {
                        topic: topic.clone(),
                        content_type: CONTENT_TYPE,
                        correlation: None,
                        retain: false,
                        payload: packed.payload,
                    };
                    if let Taken::TooLarge(most) = call.publish(&batch).await? {
                        limit.most = most;
                        continue;
                    }
                }
                for range in packed.batch.ranges {
                    account.sent.insert(range);
                }
                for event in packed.oversized {
                    account.too_large.insert(event.sequence..=event.sequence);
                }
                account.upto = packed.upto;
                events.retain(|event| event.sequence > packed.upto);
            }
            (call.progress)(&format!(
                "{} events sent, up to {} of {last}",
                account.sent.total(),
                account.upto
            ));
        }
        Ok(())
    }

    async fn read(&self, stream: Stream, after: u64) -> Result<Vec<Stored>, Trouble> {
        let mut tries = 0;
        loop {
            let queue = Arc::clone(&self.queue);
            let (events, bytes) = READ;
            let read = spawn_blocking(move || queue.read(stream, after, events, bytes)).await;
            let why = match read {
                Ok(Ok(events)) => return Ok(events),
                Ok(Err(why)) => why.to_string(),
                Err(why) => why.to_string(),
            };
            tries += 1;
            if tries == READ_TRIES {
                let message = format!("the stored events cannot be read: {why}");
                return Err(Trouble::failed("storage", message));
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
    }
}

/// Refuses what makes no sense, before anything is sent.
fn check(args: Args, latest: u64) -> Result<(), Trouble> {
    let Args {
        stream,
        first,
        last,
    } = args;
    let wrong = |message| Err(Trouble::rejected("args", message));
    if first == 0 || last < first {
        return wrong("args: expected 1 <= first <= last".to_owned());
    }
    if last - first >= MOST {
        return wrong(format!(
            "args: {MOST} numbers at most; sign several commands"
        ));
    }
    if first > latest {
        return wrong(format!(
            "args.first: the stream {stream} has come to {latest} so far"
        ));
    }
    Ok(())
}

impl Account {
    fn is_full(&self) -> bool {
        self.sent.iter().count() + self.too_large.iter().count() >= MOST_RANGES
    }

    fn result(&self) -> Value {
        let pairs = |set: &RangeSet| -> Vec<[u64; 2]> {
            set.iter()
                .map(|range| [*range.start(), *range.end()])
                .collect()
        };
        let mut here = self.sent.clone();
        here.extend(&self.too_large);
        let gone: RangeSet = here
            .missing_in(self.args.first..=self.upto)
            .into_iter()
            .collect();
        json!({
            "stream": self.args.stream,
            "first": self.args.first,
            "upto": self.upto,
            "latest": self.latest,
            "events": self.sent.total(),
            "sent": pairs(&self.sent),
            "gone": pairs(&gone),
            "too_large": pairs(&self.too_large),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::sync::Mutex;

    use jiff::tz::TimeZone;
    use tokio::sync::{oneshot, watch};

    use super::*;
    use crate::command::id::CommandId;
    use crate::command::tray::Posted;
    use crate::event::Identity;
    use crate::outbox::{OutboxError, StreamStat};

    /// A stream of which some numbers are gone. It must never be acknowledged.
    struct Shelf {
        stored: Vec<u64>,
        last: u64,
    }

    fn bytes(sequence: u64) -> Vec<u8> {
        format!(
            r#"{{"sequence" : "{sequence}", "x": "{}"}}"#,
            "y".repeat(40)
        )
        .into_bytes()
    }

    impl Queue for Shelf {
        fn read(
            &self,
            _: Stream,
            after: u64,
            most: usize,
            _: usize,
        ) -> Result<Vec<Stored>, OutboxError> {
            let after = self.stored.iter().filter(|sequence| **sequence > after);
            let stored = |sequence: &u64| Stored {
                sequence: *sequence,
                bytes: bytes(*sequence),
            };
            Ok(after.take(most).map(stored).collect())
        }

        fn ack(&self, _: Stream, _: RangeInclusive<u64>) -> Result<(), OutboxError> {
            panic!("nothing is acknowledged by sending it again")
        }

        fn is_acked(&self, _: Stream, _: u64) -> bool {
            true
        }

        fn stat(&self, _: Stream) -> StreamStat {
            StreamStat {
                last: self.last,
                acked: self.last,
                pending: 0,
            }
        }

        fn changed(&self) -> watch::Receiver<u64> {
            watch::channel(0).1
        }
    }

    type Sent = Arc<Mutex<Vec<Answer>>>;

    /// Runs the command against a broker that takes payloads of up to `most` bytes.
    async fn resend(
        stored: Vec<u64>,
        last: u64,
        args: Value,
        most: usize,
    ) -> (Sent, super::super::Outcome) {
        let identity = Identity {
            tenant: "t".into(),
            store: "s".into(),
            box_id: "b".into(),
            boot_id: String::new(),
            zone: TimeZone::UTC,
        };
        let handler = OutboxResend {
            queue: Arc::new(Shelf { stored, last }),
            topics: Topics::new(&identity).unwrap(),
            one: Semaphore::new(1),
        };
        let sent = Sent::default();
        let taken = Arc::clone(&sent);
        let Value::Object(args) = args else { panic!() };
        let outcome = handler.run(Call {
            id: CommandId::from_random([1; 16]),
            args,
            progress: Box::new(|_| {}),
            post: Box::new(move |answer| {
                let (tell, heard) = oneshot::channel();
                let fits = answer.payload.len() <= most;
                let posted = if fits {
                    Posted::Delivered
                } else {
                    Posted::TooLarge(most)
                };
                if fits {
                    taken.lock().unwrap().push(answer);
                }
                tell.send(posted).unwrap();
                heard
            }),
        });
        let outcome = outcome.await;
        (sent, outcome)
    }

    fn range(first: u64, last: u64) -> Value {
        json!({"stream": "count", "first": first, "last": last})
    }

    #[tokio::test]
    async fn what_is_stored_goes_out_with_its_own_bytes_and_what_is_gone_is_named() {
        let stored = (40..=60).chain(71..=2000).collect();
        let (sent, outcome) = resend(stored, 2000, range(1, 9000), usize::MAX).await;
        let result = outcome.unwrap();
        assert_eq!(result["sent"], json!([[40, 60], [71, 2000]]));
        assert_eq!(result["gone"], json!([[1, 39], [61, 70]]));
        assert_eq!(
            (&result["upto"], &result["latest"]),
            (&json!(2000), &json!(2000))
        );
        assert_eq!(result["events"], 1951);
        let sent = sent.lock().unwrap();
        assert!(sent.len() > 1 && sent.iter().all(|batch| batch.payload.len() <= BATCH_BYTES));
        assert!(
            sent.iter()
                .all(|batch| batch.topic == "footfall/v1/t/s/b/backfill/count" && !batch.retain)
        );
        let joined: Vec<u8> = sent
            .iter()
            .flat_map(|batch| [&batch.payload[1..batch.payload.len() - 1], b","].concat())
            .collect();
        let expected: Vec<u8> = (40..=60)
            .chain(71..=2000)
            .flat_map(|sequence| [bytes(sequence), b",".to_vec()].concat())
            .collect();
        assert!(joined == expected, "not the stored bytes, in order");
    }

    #[tokio::test]
    async fn a_broker_that_takes_little_gets_small_batches_and_an_event_it_never_takes_is_named() {
        let (sent, outcome) = resend((1..=20).collect(), 20, range(5, 9), 200).await;
        assert_eq!(outcome.unwrap()["sent"], json!([[5, 9]]));
        assert!(sent.lock().unwrap().len() > 1);
        let (sent, outcome) = resend((1..=20).collect(), 20, range(5, 9), 30).await;
        let result = outcome.unwrap();
        assert_eq!(
            (&result["events"], &result["too_large"]),
            (&json!(0), &json!([[5, 9]]))
        );
        assert_eq!(result["gone"], json!([]), "they are not gone");
        assert!(sent.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_stream_full_of_holes_is_answered_up_to_where_it_came() {
        let stored: Vec<u64> = (1..=2000).filter(|sequence| sequence % 2 == 0).collect();
        let (_, outcome) = resend(stored, 2000, range(1, 2000), 200).await;
        let result = outcome.unwrap();
        let upto = result["upto"].as_u64().unwrap();
        assert!(
            upto < 2000 && result["sent"].as_array().unwrap().len() >= MOST_RANGES,
            "{upto}"
        );
    }

    #[tokio::test]
    async fn a_range_that_makes_no_sense_is_refused_before_anything_is_sent() {
        for args in [
            range(0, 5),
            range(6, 5),
            range(21, 30),
            range(1, 1 + MOST),
            json!({"stream": "counts", "first": 1, "last": 2}),
            json!({"stream": "count", "first": 1}),
            json!({"stream": "count", "first": -1, "last": 2}),
        ] {
            let (sent, outcome) = resend((1..=20).collect(), 20, args.clone(), usize::MAX).await;
            assert_eq!(outcome.unwrap_err().code, "args", "{args}");
            assert!(sent.lock().unwrap().is_empty());
        }
    }
}
