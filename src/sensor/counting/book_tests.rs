use jiff::tz::TimeZone;

use super::*;
use crate::clock::{Clock, FakeClock};
use crate::hours::HoursSettings;
use crate::sensor::vision::count::line::LineSettings;
use crate::sensor::vision::count::scene::SceneSettings;
use crate::sensor::vision::count::zone::ZoneSettings;
use crate::sensor::vision::track::{Settings, Tracker};
use crate::sensor::vision::{Detection, Rect};

const SIZE: (u32, u32) = (640, 480);
const PERIODS: Periods = Periods {
    sums: Duration::from_secs(60),
    maps: Duration::from_secs(300),
};

/// A camera with a door in the middle, a shelf on the right of it and a till beyond; two classes.
struct Rig {
    clock: FakeClock,
    tracker: Tracker,
    scene: Scene,
    book: Book,
    told: Vec<Body>,
}

fn identity() -> Identity {
    Identity {
        tenant: "t".into(),
        store: "s".into(),
        box_id: "b".into(),
        boot_id: "0".into(),
        zone: TimeZone::UTC,
    }
}

impl Rig {
    fn new(at: &str) -> Self {
        let clock = FakeClock::at(at.parse().unwrap());
        let area = |left: f32, right: f32| ZoneSettings {
            points: vec![[left, 0.3], [right, 0.3], [right, 0.9], [left, 0.9]],
            half_band: 0.15,
            dwell: Duration::from_secs(3),
            longest: Duration::from_secs(600),
        };
        let scene = SceneSettings {
            lines: vec![LineSettings {
                points: vec![[0.3, 1.0], [0.3, 0.0]],
                mode: Default::default(),
                half_band: 0.15,
            }],
            zones: vec![area(0.4, 0.6), area(0.7, 0.95)],
            ..SceneSettings::default()
        };
        let zone = |id: &str, queue| ZoneNames {
            id: id.into(),
            queue,
            dwell: Duration::from_secs(3),
            live: ZoneLive::default(),
        };
        let hours: HoursSettings = toml::from_str("sat = [\"10:00-18:00\"]").unwrap();
        let subjects = Subjects {
            lines: vec![LineNames {
                id: "door".into(),
                left: "street".into(),
                right: "shop".into(),
            }],
            zones: vec![zone("shelf", false), zone("till", true)],
            classes: BTreeMap::from([(0, "person".to_owned()), (2, "trolley".to_owned())]),
            heatmap: true,
            hours: Some(Arc::new(Hours::new(&hours, TimeZone::UTC))),
        };
        Self {
            tracker: Tracker::new(Settings::with_threshold(0.5), 1),
            scene: Scene::new(scene),
            book: Book::new(&subjects, &identity(), PERIODS, clock.now()),
            clock,
            told: Vec::new(),
        }
    }

    /// One frame, a tenth of a second later, with people whose feet are there.
    fn frame(&mut self, people: &[(f32, u16)]) {
        self.clock.advance(Duration::from_millis(100));
        let now = self.clock.now();
        self.told
            .extend(self.book.tick(now, CameraState::Ok, &mut self.scene));
        let person = |&(x, class): &(f32, u16)| Detection {
            rect: Rect {
                x0: x - 20.0,
                y0: 200.0,
                x1: x + 20.0,
                y1: 300.0,
            },
            score: 0.9,
            class,
        };
        let seen: Vec<_> = people.iter().map(person).collect();
        self.tracker.step(now.boot, &seen);
        let counted = self.scene.step(now.boot, &self.tracker, SIZE).clone();
        self.book.frame(now, 0);
        self.told
            .extend(self.book.enter(now, &counted, &self.scene));
    }

    /// Somebody comes in, walks to `to`, stays there for `stay` frames, and goes on.
    fn shop(&mut self, to: f32, stay: u32, class: u16) {
        let mut x = 60.0;
        while x < to {
            self.frame(&[(x, class)]);
            x += 8.0;
        }
        (0..stay).for_each(|_| self.frame(&[(x, class)]));
        while x < 660.0 {
            self.frame(&[(x, class)]);
            x += 8.0;
        }
        (0..20).for_each(|_| self.frame(&[]));
    }

    fn close(mut self) -> Vec<Body> {
        let now = self.clock.now();
        self.told
            .extend(self.book.close(now, CameraState::Ok, &mut self.scene));
        self.told
    }
}

macro_rules! only {
    ($bodies:expr, $kind:ident) => {{
        let pick = |body: &Body| match body {
            Body::$kind(one) => Some(one.clone()),
            _ => None,
        };
        $bodies.iter().filter_map(pick).collect::<Vec<_>>()
    }};
}

#[test]
fn what_happens_is_told_at_once_and_is_in_exactly_one_interval() {
    let mut rig = Rig::new("2026-11-21T09:59:20Z");
    for visitor in 0..12u16 {
        rig.shop(320.0, 50, if visitor % 3 == 0 { 2 } else { 0 });
    }
    let told = rig.close();
    let (crossed, entered, left) = (
        only!(told, LineCrossed),
        only!(told, ZoneEntered),
        only!(told, ZoneLeft),
    );
    assert_eq!((crossed.len(), entered.len(), left.len()), (12, 24, 24));
    assert_eq!(crossed[0].class.as_deref(), Some("trolley"));
    assert_eq!(only!(told, ZoneDwelled).len(), 12);

    let lines = only!(told, LineInterval);
    assert!(lines.len() >= 3, "{}", lines.len());
    assert_eq!(lines.iter().map(|one| one.inward).sum::<u64>(), 12);
    for (class, count) in [("trolley", 4), ("person", 8)] {
        assert_eq!(
            lines
                .iter()
                .map(|one| one.classes[class].inward)
                .sum::<u64>(),
            count
        );
    }
    let coverage: Vec<_> = lines.iter().map(|one| (&one.from, &one.to)).collect();
    assert!(
        coverage.windows(2).all(|two| two[0].1 == two[1].0),
        "{coverage:?}"
    );
    // The shop opens at ten.
    assert_eq!(lines[0].open, Some(false));
    assert!(lines[1..].iter().all(|one| one.open == Some(true)));

    let zones = only!(told, ZoneInterval);
    for zone in ["shelf", "till"] {
        let own: Vec<_> = zones.iter().filter(|one| one.zone == zone).collect();
        assert_eq!(own.iter().map(|one| one.entered).sum::<u64>(), 12);
        assert_eq!(own.iter().map(|one| one.left).sum::<u64>(), 12);
        assert_eq!(own.last().unwrap().present, 0);
        assert!(
            own.iter()
                .all(|one| one.present_max <= 1 && one.present_mean <= 1.0)
        );
    }
    let shelf = zones
        .iter()
        .find(|one| one.zone == "shelf" && one.left > 0)
        .unwrap();
    let dwell = shelf.dwell.unwrap();
    assert!((5.5..8.0).contains(&dwell.median_s), "{dwell:?}");
}

#[test]
fn a_queue_tells_who_waited_and_not_who_walked_by() {
    let mut rig = Rig::new("2026-11-21T12:00:00Z");
    rig.shop(530.0, 100, 0);
    rig.shop(320.0, 0, 0);
    rig.shop(530.0, 100, 0);
    let told = rig.close();
    let queues = only!(told, QueueInterval);
    assert!(queues.iter().all(|one| one.zone == "till"));
    assert_eq!(queues.iter().map(|one| one.length_max).max(), Some(1));
    assert_eq!(queues.iter().map(|one| one.served).sum::<u64>(), 2);
    let waits: Vec<_> = queues.iter().filter_map(|one| one.wait).collect();
    assert!(
        waits.iter().all(|wait| (10.0..14.0).contains(&wait.max_s)),
        "{waits:?}"
    );
}

#[test]
fn maps_add_up_to_the_time_people_were_there_and_ways_lead_from_zone_to_zone() {
    let mut rig = Rig::new("2026-11-21T12:00:00Z");
    for _ in 0..20 {
        rig.shop(320.0, 100, 0);
    }
    let told = rig.close();
    let maps = only!(told, HeatmapInterval);
    assert!(maps.len() >= 2 && maps.iter().all(|map| map.seconds.len() == 32 * 18));
    let seconds: u32 = maps.iter().flat_map(|map| &map.seconds).sum();
    // Twenty people of 17 seconds each; what is left of a second in each cell is not told.
    assert!((300..=350).contains(&seconds), "{seconds}");
    let longest = serde_json::to_vec(&maps[0]).unwrap().len();
    assert!(longest < 4000, "{longest} bytes");
    let flows: Vec<_> = only!(told, FlowInterval)
        .into_iter()
        .flat_map(|one| one.flows)
        .collect();
    assert!(
        flows
            .iter()
            .all(|flow| (flow.from.as_str(), flow.to.as_str()) == ("shelf", "till"))
    );
    assert_eq!(flows.iter().map(|flow| flow.count).sum::<u64>(), 20);
}

#[test]
fn a_restart_makes_two_shorter_intervals_and_nothing_counts_twice() {
    let (mut entered, mut seconds) = (0, 0.0);
    for begins in ["2026-11-21T12:00:00Z", "2026-11-21T12:00:25Z"] {
        let mut rig = Rig::new(begins);
        rig.shop(320.0, 30, 0);
        let told = rig.close();
        let [line] = &only!(told, LineInterval)[..] else {
            panic!("{told:?}")
        };
        entered += line.inward;
        let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        seconds += moment(&line.to)
            .duration_since(moment(&line.from))
            .as_secs_f64();
    }
    assert_eq!(entered, 2);
    assert!(seconds < 40.0, "{seconds}");
}

#[test]
fn a_jump_of_the_wall_clock_loses_no_crossing_and_changes_no_stay() {
    let jumps = [
        "2026-11-21T12:00:31Z",      // a second forward
        "2026-11-21T11:58:00Z",      // minutes back
        "2026-11-22T12:00:00Z",      // a day forward
        "2026-11-20T12:00:00Z",      // two days back
        "1970-01-01T00:00:05Z",      // a clock without a battery
        "2026-11-21T12:00:59.9995Z", // to the end of a minute
    ];
    for jump in jumps {
        let mut rig = Rig::new("2026-11-21T12:00:00Z");
        rig.shop(320.0, 50, 0);
        // The clock is set while somebody stands at the shelf, long since over the line.
        let mut x = 60.0;
        while x < 330.0 {
            rig.frame(&[(x, 0)]);
            x += 8.0;
        }
        (0..25).for_each(|_| rig.frame(&[(x, 0)]));
        rig.clock.set_wall(jump.parse().unwrap(), true);
        (0..25).for_each(|_| rig.frame(&[(x, 0)]));
        while x < 660.0 {
            rig.frame(&[(x, 0)]);
            x += 8.0;
        }
        rig.shop(320.0, 50, 0);
        let told = rig.close();
        assert_eq!(only!(told, LineCrossed).len(), 3, "{jump}");
        let lines = only!(told, LineInterval);
        let crossed: u64 = lines.iter().map(|one| one.inward + one.outward).sum();
        assert_eq!(crossed, 3, "{jump}: {lines:?}");
        let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        for one in &lines {
            let length = moment(&one.to).duration_since(moment(&one.from));
            let length = length.as_secs_f64();
            assert!((0.0..=61.0).contains(&length), "{jump}: {one:?}");
        }
        // Every stay at the shelf is as long as it was, five seconds and the way through.
        let stays: Vec<_> = only!(told, ZoneLeft)
            .into_iter()
            .filter(|one| one.zone == "shelf")
            .collect();
        assert_eq!(stays.len(), 3, "{jump}");
        assert!(
            stays.iter().all(|one| (5.0..9.0).contains(&one.dwell_s)),
            "{jump}: {stays:?}"
        );
    }
}
