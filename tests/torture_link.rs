//! The uplink against a broker that fails in every way it can, by random schedules: nothing is lost, nothing is
//! acknowledged that the broker did not take, and in the end everything has arrived and nothing is left over.
//!
//! Tokio's clock is paused, so hours of waiting take no time. `FOOTFALL_SEED=n` runs one schedule alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/clerk.rs"]
mod clerk;
#[path = "common/faulty_broker.rs"]
mod faulty_broker;
#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/paused_rig.rs"]
mod paused_rig;
#[path = "common/scale.rs"]
mod scale;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clerk::Clerk;
use faulty_broker::plan::{Ending, Plan};
use faulty_broker::{FaultyBroker, State};
use footfall::config::schema;
use footfall::event::Stream;
use footfall::outbox::{OutboxError, Queue, Stored, StreamStat};
use footfall::system;
use footfall::uplink::LinkState;
use footfall::uplink::desk::Desk;
use memory_queue::MemoryQueue;
use paused_rig::{BASE, PATIENCE, Running, block_on};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// What a packet has besides its events, bytes; a little more.
const OVERHEAD: usize = 130;

/// The outbox, and a look at each acknowledgement at the moment it is made.
struct Witness {
    queue: Arc<MemoryQueue>,
    broker: Arc<Mutex<State>>,
    /// Acknowledged to the outbox, but not by the broker.
    wrong: Mutex<Vec<(Stream, u64)>>,
}

impl Queue for Witness {
    fn read(
        &self,
        stream: Stream,
        after: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        self.queue.read(stream, after, max_events, max_bytes)
    }

    fn ack(&self, stream: Stream, range: RangeInclusive<u64>) -> Result<(), OutboxError> {
        {
            let truth = &self.broker.lock().unwrap().truth;
            let keys = range.clone().map(|sequence| (stream, sequence));
            let missing =
                |key: &(Stream, u64)| !truth.acked.contains(key) || !truth.taken.contains_key(key);
            self.wrong.lock().unwrap().extend(keys.filter(missing));
        }
        self.queue.ack(stream, range)
    }

    fn is_acked(&self, stream: Stream, sequence: u64) -> bool {
        self.queue.is_acked(stream, sequence)
    }

    fn stat(&self, stream: Stream) -> StreamStat {
        self.queue.stat(stream)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.queue.changed()
    }
}

/// What outlives an uplink.
struct Shop {
    config: schema::Uplink,
    queue: Arc<Witness>,
    clerk: Option<Arc<Clerk>>,
    started: Instant,
}

impl Shop {
    fn start(&self) -> Running {
        let desk = self.clerk.clone().map(|clerk| clerk as Arc<dyn Desk>);
        paused_rig::start(&self.config, self.queue.clone(), desk, self.started)
    }
}

/// What a schedule came to.
#[derive(Default)]
struct Outcome {
    events: u64,
    connections: u64,
    publishes: u64,
    duplicates: u64,
    refused: u64,
    commands: u64,
    virtual_time: Duration,
    happened: BTreeMap<String, u64>,
}

struct Schedule {
    random: fastrand::Rng,
    plans: Vec<Plan>,
    commands: bool,
    /// Bytes of data in most events.
    size: usize,
}

impl Schedule {
    fn random(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let commands = random.bool();
        let plans: Vec<Plan> = (0..random.usize(1..9))
            .map(|_| Plan::random(&mut random, commands))
            .collect();
        let stalls =
            |plan: &Plan| plan.pause.is_some() || matches!(plan.end, Some((_, Ending::Stall)));
        // Enough that the TCP window fills up.
        let size = if plans.iter().any(stalls) && random.bool() {
            20_000
        } else {
            *random.choice(&[10, 10, 300, 1500]).unwrap()
        };
        Self {
            random,
            plans,
            commands,
            size,
        }
    }

    fn produce(&mut self, queue: &MemoryQueue, most: u64) {
        for stream in Stream::ALL {
            let count = self.random.u64(0..=most);
            let size = self.random.usize(0..=self.size);
            if count > 0 {
                queue.produce(stream, count, size);
            }
        }
    }

    async fn run(mut self) -> Outcome {
        let largest = self
            .plans
            .iter()
            .filter_map(|plan| plan.limits.maximum_packet);
        let largest = largest
            .min()
            .map_or(usize::MAX, |most| most as usize - OVERHEAD);
        let broker = FaultyBroker::start(BASE, self.plans.clone()).await;
        let queue = Arc::new(MemoryQueue::default());
        let shop = Shop {
            config: schema::Uplink {
                broker: Some(format!("mqtt://127.0.0.1:{}", broker.port)),
                batch_events: self.random.usize(1..20),
                inflight: self.random.u16(1..25),
                keep_alive_s: self.random.u16(5..90),
                ..schema::Uplink::default()
            },
            queue: Arc::new(Witness {
                queue: queue.clone(),
                broker: broker.share(),
                wrong: Mutex::default(),
            }),
            clerk: self.commands.then(Arc::<Clerk>::default),
            started: Instant::now(),
        };
        self.produce(&queue, 60);
        let mut running = shop.start();
        let mut restarts = self.random.u8(0..3);
        while !broker.is_healthy() {
            self.produce(&queue, 2);
            sleep(Duration::from_millis(self.random.u64(0..8000))).await;
            if restarts > 0 && self.random.u8(0..30) == 0 {
                restarts -= 1;
                if self.random.bool() {
                    running.stop().await;
                } else {
                    running.abort().await;
                }
                running = shop.start();
            }
            assert!(shop.started.elapsed() < PATIENCE, "the faults never end");
        }
        self.produce(&queue, 8);
        let drained = || {
            let status = running.status.borrow();
            status.state == LinkState::Connected && status.in_flight == 0 && queue.pending() == 0
        };
        let waited = timeout(PATIENCE, async {
            while !drained() {
                sleep(Duration::from_millis(100)).await;
            }
        });
        if waited.await.is_err() {
            let (pending, status) = (queue.pending(), running.status.borrow());
            panic!("not drained: {pending} pending, {:?}", *status);
        }
        if let Some(clerk) = &shop.clerk {
            timeout(
                PATIENCE,
                clerk.until_all_is_answered(|| {
                    let state = broker.state();
                    state
                        .session
                        .owed()
                        .all(|command| state.truth.answered.contains(&command))
                }),
            )
            .await
            .expect("every command is answered");
        }
        let last = running.stop().await;
        assert_eq!((last.state, last.in_flight), (LinkState::Stopped, 0));
        sleep(Duration::from_secs(1)).await; // the goodbye is on its way
        let outcome = judge(&broker.state(), &shop, largest);
        broker.stop().await;
        let Shop { queue: witness, .. } = shop;
        drop(witness);
        assert_eq!(
            Arc::strong_count(&queue),
            1,
            "somebody still holds the outbox"
        );
        // The library's task is told to end when its connection is dropped; it ends at its next turn.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let alive = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        assert_eq!(alive, 0, "tasks are left over");
        outcome
    }
}

fn judge(state: &State, shop: &Shop, largest: usize) -> Outcome {
    let (truth, queue) = (&state.truth, &shop.queue.queue);
    assert_eq!(truth.broken_rules, [""; 0]);
    assert_eq!(
        *shop.queue.wrong.lock().unwrap(),
        [],
        "acknowledged, not taken"
    );
    let mut events = 0;
    for stream in Stream::ALL {
        for sequence in 1..=queue.stat(stream).last {
            let produced = queue.event(stream, sequence).unwrap();
            let key = (stream, sequence);
            let taken = truth.taken.get(&key);
            let taken = taken.unwrap_or_else(|| panic!("{key:?} is missing"));
            assert_eq!(taken.as_bytes(), produced, "{key:?} has other bytes");
            assert!(truth.acked.contains(&key), "{key:?} was never acknowledged");
            events += 1;
        }
    }
    assert_eq!(
        truth.taken.len() as u64,
        events,
        "taken, but never produced"
    );
    for (lane, order) in &truth.order {
        let stream = Stream::ALL[lane.0];
        // What was refused, or too large for one of the connections, comes later.
        let on_time = order.iter().copied().filter(|sequence| {
            let size = queue.event(stream, *sequence).unwrap().len();
            !truth.refused.contains(&(stream, *sequence)) && size <= largest
        });
        assert!(on_time.is_sorted(), "{lane:?} out of order: {order:?}");
    }
    assert_eq!(truth.state.as_deref(), Some(r#"{"online":false}"#));
    assert!(truth.goodbyes > 0, "left without a goodbye");
    Outcome {
        events,
        connections: truth.connections,
        publishes: truth.publishes,
        duplicates: truth.duplicates,
        refused: truth.refused.len() as u64,
        commands: truth.answered.len() as u64,
        virtual_time: shop.started.elapsed(),
        happened: truth.happened.clone(),
    }
}

fn run(seed: u64) -> Outcome {
    fastrand::seed(seed); // the uplink draws its waits from it
    block_on(Schedule::random(seed).run())
}

#[test]
fn given_a_broker_that_fails_in_every_way_nothing_is_lost_and_nothing_is_left_over() {
    if let Some(seed) = std::env::var("FOOTFALL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let schedule = Schedule::random(seed);
        println!("seed {seed}: {:#?}", schedule.plans);
        run(seed);
        return;
    }
    let rounds = scale::rounds(100, 5000);
    let mut sum = Outcome::default();
    let mut warm = 0;
    for seed in 0..rounds as u64 {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed)));
        let outcome = outcome.unwrap_or_else(|_| panic!("again alone: FOOTFALL_SEED={seed}"));
        sum.events += outcome.events;
        sum.connections += outcome.connections;
        sum.publishes += outcome.publishes;
        sum.duplicates += outcome.duplicates;
        sum.refused += outcome.refused;
        sum.commands += outcome.commands;
        sum.virtual_time += outcome.virtual_time;
        for (kind, times) in outcome.happened {
            *sum.happened.entry(kind).or_default() += times;
        }
        if seed == rounds as u64 / 5 {
            warm = system::rss_bytes();
        }
    }
    let grown = system::rss_bytes().saturating_sub(warm);
    println!(
        "{rounds} schedules: {} events, {} connections, {} publishes, {} duplicates, {} refused events, {} commands, {:?} of \
         virtual time, {} kinds of fault; memory grew by {} KiB",
        sum.events,
        sum.connections,
        sum.publishes,
        sum.duplicates,
        sum.refused,
        sum.commands,
        sum.virtual_time,
        sum.happened.len(),
        grown / 1024
    );
    for (kind, times) in &sum.happened {
        println!("  {times:5} {kind}");
    }
    assert!(grown < 32 << 20, "memory grew by {grown} bytes");
}
