//! Tests of [`super`].

use std::time::Duration;

use super::*;
use crate::clock::FakeClock;

/// A zone without summer time.
const ZONE: &str = "Asia/Shanghai";

fn identity() -> Identity {
    Identity {
        tenant: "a".into(),
        store: "s".into(),
        box_id: "b".into(),
        boot_id: "this".into(),
        zone: TimeZone::get(ZONE).unwrap(),
    }
}

fn at(wall: &str, boot: u64, synced: bool) -> Stamp {
    Stamp {
        wall: wall.parse().unwrap(),
        boot: Duration::from_secs(boot),
        synced,
    }
}

/// Takes an event long after all of them, by a clock that is right.
fn take(tally: &mut Tally, sequence: u64, event: &[u8]) {
    let identity = identity();
    let placing = Placing::new(&identity, at("2027-01-01T00:00:00Z", 0, true));
    tally.take(sequence, event, &placing);
}

/// One crossing of an earlier boot whose clock was right.
fn crossing(time: &str, direction: &str) -> Vec<u8> {
    stamped(time, "synced", "earlier", 0, direction)
}

fn stamped(time: &str, clock: &str, boot: &str, boottime: u64, direction: &str) -> Vec<u8> {
    format!(
        r#"{{"type":"footfall.line.crossed.v1","time":"{time}","clock":"{clock}","bootid":"{boot}","boottime":"{boottime}.000","source":"/a/s/b/camera/door","data":{{"line":"main","direction":"{direction}","track":1,"from":"x","to":"y"}}}}"#
    )
    .into_bytes()
}

#[test]
fn an_event_counts_once_however_often_it_is_read() {
    let mut tally = Tally::default();
    for sequence in [1, 2, 2, 1, 3] {
        take(
            &mut tally,
            sequence,
            &crossing("2026-11-21T23:59:00.000+08:00", "in"),
        );
    }
    assert_eq!(
        tally.line("door", "main").sum,
        InOut {
            inward: 3,
            outward: 0
        }
    );
    assert_eq!(tally.line("door", "other"), LineDay::default());
}

#[test]
fn a_new_day_begins_at_zero_and_an_old_event_does_not_bring_yesterday_back() {
    let mut tally = Tally::default();
    take(
        &mut tally,
        1,
        &crossing("2026-11-21T23:59:00.000+08:00", "in"),
    );
    take(
        &mut tally,
        2,
        &crossing("2026-11-22T00:00:01.000+08:00", "out"),
    );
    take(
        &mut tally,
        3,
        &crossing("2026-11-21T23:59:59.000+08:00", "in"),
    );
    assert_eq!(tally.day(), "2026-11-22");
    assert_eq!(
        tally.line("door", "main").sum,
        InOut {
            inward: 0,
            outward: 1
        }
    );
}

#[test]
fn who_is_inside_outlives_midnight_and_a_restart() {
    let mut tally = Tally::default();
    let late = crossing("2026-11-21T23:55:00.000+08:00", "in");
    take(
        &mut tally,
        1,
        &crossing("2026-11-21T23:50:00.000+08:00", "in"),
    );
    take(&mut tally, 2, &late);
    let text = serde_json::to_vec(&tally).unwrap();
    let mut tally: Tally = serde_json::from_slice(&text).unwrap();
    take(&mut tally, 2, &late);
    take(
        &mut tally,
        3,
        &crossing("2026-11-22T00:10:00.000+08:00", "out"),
    );
    assert_eq!(tally.line("door", "main").sum.outward, 1);
    assert_eq!(tally.line("door", "main").sum.inward, 0);
    assert_eq!(tally.places().inside()[0].inside, 1);
}

#[test]
fn visits_are_counted_by_zone() {
    let entered = |zone: &str| {
        format!(
            r#"{{"type":"footfall.zone.entered.v1","time":"2026-11-21T10:00:00.000+08:00","clock":"synced","source":"/a/s/b/camera/door","data":{{"zone":"{zone}","track":1}}}}"#
        )
        .into_bytes()
    };
    let mut tally = Tally::default();
    for (sequence, zone) in [(1, "till"), (2, "till"), (2, "till"), (3, "shelf")] {
        take(&mut tally, sequence, &entered(zone));
    }
    assert_eq!(
        (tally.zone("door", "till"), tally.zone("door", "shelf")),
        (2, 1)
    );
}

#[test]
fn a_checkpoint_brings_back_the_same_sums() {
    let mut tally = Tally::default();
    take(
        &mut tally,
        1,
        &crossing("2026-11-21T12:00:00.000+08:00", "out"),
    );
    take(&mut tally, 2, b"not json at all");
    let text = serde_json::to_vec(&tally).unwrap();
    let again: Tally = serde_json::from_slice(&text).unwrap();
    assert_eq!(again, tally);
    assert_eq!(again.sequence(), 2);
}

#[test]
fn crossings_fall_into_the_quarter_of_their_local_time() {
    let mut tally = Tally::default();
    let moments = ["00:00:00", "00:14:59", "00:15:00", "10:59:59", "23:45:00"];
    for (sequence, moment) in (1..).zip(moments) {
        let time = format!("2026-11-21T{moment}.000+08:00");
        take(&mut tally, sequence, &crossing(&time, "in"));
    }
    let quarters = tally.line("door", "main").quarters;
    let counted: Vec<_> = quarters.iter().map(|(at, sum)| (*at, sum.inward)).collect();
    assert_eq!(counted, [(0, 2), (1, 1), (43, 1), (95, 1)]);
    for odd in ["", "2026-11-21", "2026-11-21T24:00:00Z", "2026-11-21T10:6"] {
        assert_eq!(quarter_of(odd), None, "{odd}");
    }
}

#[test]
fn a_checkpoint_from_before_there_were_quarters_is_still_read() {
    let old = r#"{"day":"2026-11-21","lines":{"door/main":{"in":3,"out":1}},"sequence":4}"#;
    let tally: Tally = serde_json::from_str(old).unwrap();
    let line = tally.line("door", "main");
    assert_eq!((line.sum.inward, line.sum.outward), (3, 1));
    assert!(line.quarters.is_empty());
}

/// A box: its clock, its events, and its sums the way [`super::super::Today`] keeps them.
struct Shop {
    identity: Identity,
    clock: FakeClock,
    events: Vec<Stored>,
    tally: Tally,
}

impl Shop {
    fn opens(wall: &str, synced: bool) -> Self {
        let clock = FakeClock::at(wall.parse().unwrap());
        clock.set_wall(wall.parse().unwrap(), synced);
        Self {
            identity: identity(),
            clock,
            events: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// The box is switched off and on again: its clock shows `wall`.
    fn boots(&mut self, boot: &str, wall: &str, synced: bool) {
        self.identity.boot_id = boot.to_owned();
        let saved = serde_json::to_vec(&self.tally).unwrap();
        self.tally = serde_json::from_slice(&saved).unwrap();
        self.clock = FakeClock::at(wall.parse().unwrap());
        self.clock.set_wall(wall.parse().unwrap(), synced);
    }

    fn now(&self) -> Stamp {
        crate::clock::Clock::now(&self.clock)
    }

    /// After a minute somebody crosses.
    fn crosses(&mut self, direction: &str) {
        self.clock.advance(Duration::from_secs(60));
        let now = self.now();
        let time = self.identity.local_time(now.wall);
        let (clock, boot) = (now.clock(), &self.identity.boot_id);
        self.events.push(Stored {
            sequence: self.events.len() as u64 + 1,
            bytes: stamped(&time, clock, boot, now.boot.as_secs(), direction),
        });
    }

    fn set(&mut self, wall: &str) {
        self.clock.set_wall(wall.parse().unwrap(), true);
    }

    /// In, out, who is inside, and the quarters in which somebody crossed; of today.
    fn today(&mut self) -> (u64, u64, u64, Vec<u8>) {
        let placing = Placing::new(&self.identity, crate::clock::Clock::now(&self.clock));
        if self.tally.is_outdated(&placing) {
            let mut anew = Tally::default();
            let same = usize::try_from(self.tally.sequence()).unwrap();
            anew.take_all(&self.events[..same], &placing);
            anew.succeed(&mut self.tally, &placing);
            self.tally = anew;
        }
        self.tally.take_all(&self.events, &placing);
        assert!(!self.tally.is_outdated(&placing), "once is enough");
        let now = crate::clock::Clock::now(&self.clock);
        let _ = self.tally.places_mut().tick(now, &self.identity, None);
        let mut tally = self.tally.clone();
        let today = tally.today(&placing);
        tally.turn_to(&today);
        let line = tally.line("door", "main");
        let quarters = line.quarters.keys().copied().collect();
        let inside = tally.places().inside()[0].inside;
        (line.sum.inward, line.sum.outward, inside, quarters)
    }

    fn set_people(&mut self, people: u64) {
        self.today();
        let (wall, zone) = (self.now().wall, &self.identity.zone);
        let places = self.tally.places_mut();
        assert!(places.set_inside(None, people, wall, zone));
    }
}

#[test]
fn when_the_clock_jumps_from_1970_the_crossings_before_are_todays_at_their_true_time() {
    let mut shop = Shop::opens("1970-01-01T00:00:00Z", false);
    shop.crosses("in");
    shop.crosses("in");
    assert_eq!(shop.today(), (2, 0, 2, vec![32])); // 08:01 and 08:02 by the clock
    shop.set("2026-11-21T02:16:00Z"); // 10:16 in the shop: they crossed at 10:15 and 10:16
    shop.crosses("out");
    assert_eq!(shop.today(), (2, 1, 1, vec![41]));
}

#[test]
fn crossings_before_the_true_midnight_are_yesterdays_although_the_clock_said_otherwise() {
    let mut shop = Shop::opens("1970-01-01T00:00:00Z", false);
    for _ in 0..4 {
        shop.crosses("in");
    }
    assert_eq!(shop.today().0, 4);
    shop.set("2026-11-20T16:01:30Z"); // 00:01:30 in the shop: two of the four were after midnight
    assert_eq!(shop.today().0, 2);
}

#[test]
fn a_clock_that_was_ahead_does_not_stop_the_sums_once_it_is_right() {
    let mut shop = Shop::opens("2031-01-01T04:00:00Z", true);
    shop.crosses("in");
    assert_eq!(shop.today().0, 1);
    shop.set("2026-11-21T04:00:00Z");
    shop.crosses("in");
    assert_eq!(shop.today(), (2, 0, 2, vec![48]));
    // And when the box was switched off in between, those of the future are nobody's.
    let mut shop = Shop::opens("2031-01-01T04:00:00Z", true);
    shop.crosses("in");
    shop.today();
    shop.boots("next", "2026-11-21T04:00:00Z", true);
    shop.crosses("out");
    assert_eq!(shop.today(), (0, 1, 0, vec![48]));
}

#[test]
fn a_box_without_a_real_time_clock_goes_on_with_the_day_it_knew_until_it_knows_better() {
    let mut shop = Shop::opens("2026-11-21T02:00:00Z", true);
    shop.crosses("in");
    shop.crosses("in");
    shop.set_people(3);
    shop.boots("same day", "1970-01-01T00:00:00Z", false);
    assert_eq!(shop.today(), (2, 0, 3, vec![40]));
    shop.crosses("out");
    assert_eq!(shop.today(), (2, 1, 2, vec![40])); // nobody knows in which quarter
    shop.set("2026-11-21T03:00:00Z");
    assert_eq!(shop.today(), (2, 1, 2, vec![40, 44]));
    shop.boots("next day", "1970-01-01T00:00:00Z", false);
    shop.crosses("in");
    assert_eq!(shop.today().0, 3);
    shop.set("2026-11-22T02:00:00Z");
    assert_eq!(shop.today(), (1, 0, 0, vec![40]));
}

#[test]
fn people_counted_by_hand_stay_inside_when_the_clock_is_set() {
    let mut shop = Shop::opens("2026-11-21T02:00:00Z", true);
    shop.crosses("in");
    shop.boots("next", "2026-11-21T03:00:00Z", false);
    shop.set("2024-01-01T03:00:00Z"); // somebody set it wrong; the sums of this boot begin anew
    shop.crosses("in");
    assert_eq!(shop.today().0, 1);
    shop.set_people(11);
    shop.set("2026-11-21T04:00:00Z");
    let (inward, outward, inside, _) = shop.today();
    assert_eq!((inward, outward, inside), (2, 0, 11));
}

#[test]
fn an_hour_twice_and_an_hour_never_are_no_jump() {
    let mut shop = Shop::opens("2026-10-25T00:30:00Z", true);
    shop.identity.zone = TimeZone::get("Europe/Berlin").unwrap();
    for _ in 0..90 {
        shop.crosses("in");
    }
    let placing = Placing::new(&shop.identity, shop.now());
    assert!(!shop.tally.is_outdated(&placing));
    assert_eq!(shop.today().0, 90);
}
