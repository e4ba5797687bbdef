//! The ledger against a model of everything around it: outbox, library, broker, cuts and restarts.
//! Once exhaustively in a small world, once at random in a larger one.

use super::progress::{FIRST_PAUSE, LONGEST_PAUSE, SET_ASIDE};
use super::*;
use std::collections::{HashSet, VecDeque};
use std::ops::RangeInclusive;

/// Sequence numbers as bits: bit `n` is sequence `n`; bit 0 is unused.
type Set = u64;

fn set(ranges: &[RangeInclusive<u64>]) -> Set {
    ranges
        .iter()
        .flat_map(Clone::clone)
        .fold(0, |set, sequence| set | 1 << sequence)
}

fn upto(last: u64) -> Set {
    (2 << last) - 2
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    /// An event is stored.
    Store(Stream),
    Connect,
    Send,
    /// The library writes the oldest publish it was given.
    Write,
    /// The broker takes the n-th written publish.
    Accept(usize),
    Refuse(usize),
    /// The oldest answer is heard.
    Hear,
    Wait,
    Cut,
    /// The daemon dies; `stale`: the outbox forgets the latest acknowledgement.
    Restart {
        stale: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    ledger: Ledger,
    window: usize,
    batch: usize,
    /// Highest sequence numbers stored now, when the connection came up, and in the end.
    stored: [u64; 4],
    at_connect: [u64; 4],
    last: [u64; 4],
    /// Whether the broker has ever refused anything.
    refused: bool,
    /// What the outbox has deleted, and what it had deleted before its latest write.
    acked: [Set; 4],
    acked_before: [Set; 4],
    /// What the cloud has.
    cloud: [Set; 4],
    connected: bool,
    given: VecDeque<Batch>,
    written: Vec<(u16, Batch)>,
    answers: VecDeque<(u16, bool, Batch)>,
    last_id: u16,
    now: Duration,
    faults_left: [u8; 3],
}

impl World {
    /// `counts`: events stored at first, and in the end.
    fn new(window: usize, batch: usize, counts: [[u64; 4]; 2], faults_left: [u8; 3]) -> Self {
        Self {
            ledger: Ledger::default(),
            window,
            batch,
            stored: counts[0],
            at_connect: [0; 4],
            last: counts[1],
            refused: false,
            acked: [0; 4],
            acked_before: [0; 4],
            cloud: [0; 4],
            connected: false,
            given: VecDeque::new(),
            written: Vec::new(),
            answers: VecDeque::new(),
            last_id: 0,
            now: Duration::ZERO,
            faults_left,
        }
    }

    fn acts(&self) -> Vec<Act> {
        let [refusals, cuts, restarts] = self.faults_left;
        let mut acts = Vec::new();
        for stream in Stream::ALL {
            if self.stored[stream.index()] < self.last[stream.index()] {
                acts.push(Act::Store(stream));
            }
        }
        if self.connected {
            if self
                .ledger
                .clone()
                .next_route(self.stored, self.now)
                .is_some()
            {
                acts.push(Act::Send);
            }
            if !self.given.is_empty() {
                acts.push(Act::Write);
            }
            for position in 0..self.written.len() {
                acts.push(Act::Accept(position));
                if refusals > 0 {
                    acts.push(Act::Refuse(position));
                }
            }
            if !self.answers.is_empty() {
                acts.push(Act::Hear);
            }
            if self.ledger.wakes_at(self.now).is_some() {
                acts.push(Act::Wait);
            }
            if cuts > 0 {
                acts.push(Act::Cut);
            }
        } else {
            acts.push(Act::Connect);
        }
        if restarts > 0 {
            acts.push(Act::Restart { stale: false });
            acts.push(Act::Restart { stale: true });
        }
        acts
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Store(stream) => self.stored[stream.index()] += 1,
            Act::Connect => {
                // Everything below the lowest unacknowledged event.
                let acked = self
                    .acked
                    .map(|set| u64::from((set | 1).trailing_ones()) - 1);
                self.ledger.connected(self.window, acked, self.stored);
                self.at_connect = self.stored;
                (self.connected, self.last_id) = (true, 0);
            }
            Act::Send => self.send(),
            Act::Write => {
                let batch = self.given.pop_front().unwrap();
                self.last_id = self.last_id % u16::try_from(self.window).unwrap() + 1;
                let taken = self.written.iter().map(|(id, _)| *id);
                let taken: Vec<u16> = taken.chain(self.answers.iter().map(|a| a.0)).collect();
                assert!(!taken.contains(&self.last_id), "a packet id is used twice");
                self.ledger.written(self.last_id).unwrap();
                self.written.push((self.last_id, batch));
            }
            Act::Accept(position) => {
                let (id, batch) = self.written.remove(position);
                self.cloud[batch.route.stream.index()] |= set(&batch.ranges);
                self.answers.push_back((id, true, batch));
            }
            Act::Refuse(position) => {
                self.faults_left[0] -= 1;
                self.refused = true;
                let (id, batch) = self.written.remove(position);
                self.answers.push_back((id, false, batch));
            }
            Act::Hear => {
                let (id, accepted, batch) = self.answers.pop_front().unwrap();
                match self.ledger.acked(id, accepted, self.now).unwrap() {
                    Settled::Delivered(content) => {
                        assert!(accepted, "a refusal passed for a delivery");
                        assert_eq!(content, Content::Batch(batch.clone()), "wrong batch");
                        self.acked_before = self.acked;
                        self.acked[batch.route.stream.index()] |= set(&batch.ranges);
                    }
                    Settled::Refused(content) => {
                        assert!(!accepted, "a delivery passed for a refusal");
                        assert_eq!(content, Content::Batch(batch), "wrong batch");
                    }
                }
            }
            Act::Wait => self.now = self.ledger.wakes_at(self.now).unwrap(),
            Act::Cut => {
                self.faults_left[1] -= 1;
                self.disconnect();
            }
            Act::Restart { stale } => {
                self.faults_left[2] -= 1;
                self.disconnect();
                self.ledger = Ledger::default();
                if stale {
                    self.acked = self.acked_before;
                }
                self.acked_before = self.acked;
            }
        }
        self.check();
    }

    fn send(&mut self) {
        let route = self.ledger.next_route(self.stored, self.now).unwrap();
        let place = route.stream.index();
        let (after, end) = (self.ledger.cursor(route), self.ledger.end(route));
        let (acked, last) = (self.acked[place], self.stored[place].min(end));
        let mut batch = Batch {
            route,
            ranges: Vec::new(),
        };
        let wanted = (after + 1..=last).filter(|sequence| acked & 1 << sequence == 0);
        for sequence in wanted.take(self.batch) {
            batch.ranges.push(sequence..=sequence);
        }
        let Some((first, highest)) = batch.span() else {
            return self.ledger.skip(route, last);
        };
        let was_stored_before = highest <= self.at_connect[place];
        assert!(was_stored_before || first > self.at_connect[place] || self.refused);
        let same_lane = |batch: &&Batch| batch.route == route;
        let under_way = self.under_way().filter(same_lane).count();
        if self.ledger.progress(route).refusals > 0 {
            assert_eq!(under_way, 0, "not one at a time after a refusal");
        }
        let backfill = |batch: &&Batch| batch.route.lane == Lane::Backfill;
        if route.lane == Lane::Backfill {
            let most = self.window - self.window / 4;
            let under_way = self.under_way().filter(backfill).count();
            assert!(under_way < most, "no room left for live events");
        }
        match route.lane {
            Lane::Live => {
                let boundary = self.ledger.end(Route::backfill(route.stream));
                assert!(first > boundary, "the lanes overlap");
                assert!(!was_stored_before, "old events on the live lane");
            }
            Lane::Backfill => assert!(was_stored_before || self.refused, "new as backfill"),
        }
        self.ledger.sent(Content::Batch(batch.clone()), self.now);
        self.given.push_back(batch);
    }

    /// Whatever was on the wire and not accepted is gone: the broker keeps nothing for a publisher, whether
    /// it keeps the session or not.
    fn disconnect(&mut self) {
        self.ledger.cut(self.now);
        self.connected = false;
        self.given.clear();
        self.written.clear();
        self.answers.clear();
    }

    fn under_way(&self) -> impl Iterator<Item = &Batch> {
        self.given
            .iter()
            .chain(self.written.iter().map(|(_, batch)| batch))
            .chain(self.answers.iter().map(|(_, _, batch)| batch))
    }

    fn check(&self) {
        for (acked, cloud) in self.acked.iter().zip(self.cloud) {
            assert_eq!(acked & !cloud, 0, "deleted, but the cloud does not have it");
        }
        assert_eq!(self.ledger.in_flight(), self.under_way().count());
        assert!(self.ledger.in_flight() <= self.window, "window exceeded");
        // Both lanes keep the order of their stream, also across acknowledgements; only refused events come again.
        if !self.refused {
            let batches: Vec<&Batch> = self.given.iter().collect();
            for (place, later) in batches.iter().enumerate() {
                let mut earlier = batches[..place].iter();
                let ordered = |e: &&Batch| e.route != later.route || e.span() < later.span();
                assert!(earlier.all(ordered), "out of order");
            }
        }
        let mut seen: [Set; 4] = [0; 4];
        for batch in self.under_way() {
            let seen = &mut seen[batch.route.stream.index()];
            assert_eq!(*seen & set(&batch.ranges), 0, "under way twice");
            *seen |= set(&batch.ranges);
        }
    }

    fn is_finished(&self) -> bool {
        self.acked
            .iter()
            .zip(self.last)
            .all(|(acked, last)| *acked == upto(last))
    }

    /// From here on nothing goes wrong any more: everything must arrive.
    fn finish(&mut self) {
        self.faults_left = [0; 3];
        for _ in 0..2_000 {
            if self.is_finished() {
                return;
            }
            // Waiting is the last resort, as it is in the session.
            let acts = self.acts();
            let quick = acts.iter().find(|act| **act != Act::Wait);
            let act = *quick.or(acts.first()).expect("stuck");
            self.act(act);
        }
        panic!("not everything arrives");
    }
}

#[test]
fn in_a_small_world_no_order_of_send_ack_refusal_cut_and_restart_loses_an_event() {
    let worlds = [
        World::new(2, 1, [[0, 1, 0, 0], [0, 2, 0, 0]], [1, 1, 1]),
        World::new(2, 1, [[0, 1, 0, 0], [0, 3, 0, 0]], [1, 1, 0]),
        World::new(3, 1, [[0, 2, 0, 0], [0, 3, 0, 0]], [1, 1, 0]),
        World::new(2, 2, [[1, 1, 0, 0], [1, 2, 0, 0]], [1, 1, 0]),
        World::new(3, 2, [[0, 2, 0, 0], [0, 5, 0, 0]], [0, 1, 1]),
        World::new(1, 1, [[0, 1, 0, 0], [0, 2, 0, 0]], [2, 1, 1]),
        // Live events alone, some of them refused while others are under way.
        World::new(4, 1, [[0, 0, 0, 0], [0, 3, 0, 0]], [1, 0, 0]),
    ];
    let mut visited: HashSet<World> = HashSet::new();
    let mut open: Vec<World> = worlds.into();
    while let Some(world) = open.pop() {
        for act in world.acts() {
            let mut next = world.clone();
            next.act(act);
            if visited.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    println!("{} states", visited.len());
    assert!(visited.len() > 50_000, "the search has become too small");
    for world in visited {
        world.clone().finish();
    }
}

#[test]
fn in_a_large_world_random_faults_lose_nothing() {
    for seed in 0..300 {
        let result = std::panic::catch_unwind(|| {
            let mut random = fastrand::Rng::with_seed(seed);
            let first = Stream::ALL.map(|_| random.u64(0..20));
            let last = first.map(|first| first + random.u64(0..20));
            let (window, batch) = (random.usize(1..7), random.usize(1..6));
            let mut world = World::new(window, batch, [first, last], [10, 10, 4]);
            for _ in 0..400 {
                let acts = world.acts();
                let Some(act) = random.choice(&acts) else {
                    break;
                };
                // Faults are rarer than progress.
                let fault = matches!(act, Act::Cut | Act::Restart { .. } | Act::Refuse(_));
                if !fault || random.u8(0..10) == 0 {
                    world.act(*act);
                }
            }
            world.finish();
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}

const EVENTS: u64 = 1_000_000;
const ALL_WAITING: [u64; 4] = [EVENTS; 4];

fn batch(stream: Stream, range: RangeInclusive<u64>) -> Content {
    Content::Batch(Batch {
        route: Route::live(stream),
        ranges: vec![range],
    })
}

fn connected(window: usize) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.connected(window, [0; 4], [0; 4]);
    ledger
}

/// Sends one event of whatever is next; it is written as packet `id`.
fn send(ledger: &mut Ledger, id: u16, now: Duration) -> Stream {
    let route = ledger.next_route(ALL_WAITING, now).unwrap();
    let next = ledger.cursor(route) + 1;
    let batch = Batch {
        route,
        ranges: vec![next..=next],
    };
    ledger.sent(Content::Batch(batch), now);
    ledger.written(id).unwrap();
    route.stream
}

/// Everything waits since before the connection.
fn with_backlog(window: usize) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.connected(window, [0; 4], ALL_WAITING);
    ledger
}

/// The next one is sent as packet 1 and taken at once.
fn deliver(ledger: &mut Ledger, last: [u64; 4]) -> Route {
    let now = Duration::ZERO;
    let route = ledger.next_route(last, now).unwrap();
    let next = ledger.cursor(route) + 1;
    let ranges = vec![next..=next];
    ledger.sent(Content::Batch(Batch { route, ranges }), now);
    ledger.written(1).unwrap();
    ledger.acked(1, true, now).unwrap();
    route
}

#[test]
fn given_a_backlog_everywhere_each_stream_gets_its_share_and_alarms_go_first() {
    let mut ledger = connected(1);
    let mut order = Vec::new();
    for _ in 0..30 {
        order.push(send(&mut ledger, 1, Duration::ZERO));
        ledger.acked(1, true, Duration::ZERO).unwrap();
    }
    let count = |stream| order.iter().filter(|sent| **sent == stream).count();
    assert_eq!(Stream::ALL.map(count), [16, 8, 4, 2]);
    assert!(order[..8].iter().all(|stream| *stream == Stream::Alarm));
}

#[test]
fn given_only_the_lowest_stream_waits_it_goes_at_once_and_an_alarm_overtakes_it() {
    let mut ledger = connected(8);
    let only_diagnostic = [0, 0, 0, EVENTS];
    for sequence in 1..=3 {
        let next = ledger.next_route(only_diagnostic, Duration::ZERO);
        assert_eq!(next, Some(Route::live(Stream::Diagnostic)));
        ledger.sent(
            batch(Stream::Diagnostic, sequence..=sequence),
            Duration::ZERO,
        );
    }
    let with_alarm = [1, 0, 0, EVENTS];
    assert_eq!(
        ledger.next_route(with_alarm, Duration::ZERO),
        Some(Route::live(Stream::Alarm))
    );
}

#[test]
fn a_late_oldest_ack_holds_the_window_so_that_no_packet_id_comes_twice() {
    let mut ledger = connected(2);
    send(&mut ledger, 1, Duration::ZERO);
    send(&mut ledger, 2, Duration::ZERO);
    ledger.acked(2, true, Duration::ZERO).unwrap();
    assert_eq!((ledger.in_flight(), ledger.has_room()), (1, false));
    ledger.acked(1, true, Duration::ZERO).unwrap();
    assert!(ledger.has_room());
}

#[test]
fn answers_to_publishes_that_were_never_made_are_a_confusion_not_a_delivery() {
    let mut ledger = connected(2);
    assert_eq!(ledger.written(1), Err(Confusion::Unknown(1)));
    ledger.sent(batch(Stream::Count, 1..=1), Duration::ZERO);
    let early = ledger.acked(1, true, Duration::ZERO);
    assert_eq!(early, Err(Confusion::Unsolicited(1)));
    ledger.written(1).unwrap();
    ledger.acked(1, true, Duration::ZERO).unwrap();
    let twice = ledger.acked(1, true, Duration::ZERO);
    assert_eq!(twice, Err(Confusion::Unsolicited(1)));
    // Also while the window still holds what is done.
    for id in [2, 1] {
        ledger.sent(batch(Stream::Count, 1..=1), Duration::ZERO);
        ledger.written(id).unwrap();
    }
    ledger.acked(1, true, Duration::ZERO).unwrap();
    let twice = ledger.acked(1, true, Duration::ZERO);
    assert_eq!(twice, Err(Confusion::Unsolicited(1)));
}

#[test]
fn a_cut_returns_every_unacknowledged_event_and_no_other() {
    let mut ledger = connected(4);
    ledger.sent(Content::State, Duration::ZERO);
    ledger.sent(batch(Stream::Count, 1..=10), Duration::ZERO);
    ledger.sent(batch(Stream::Interval, 1..=5), Duration::ZERO);
    for id in 1..=2 {
        ledger.written(id).unwrap();
    }
    ledger.acked(2, true, Duration::ZERO).unwrap();
    assert_eq!(ledger.cut(Duration::ZERO), 5);
    assert_eq!((ledger.in_flight(), ledger.has_room()), (0, false));
}

mod answers;
mod lanes;
mod refusals;
