//! Intervals on the shop's clock, what they may disclose, and what midnight forgets.

use super::*;
use crate::clock::{Clock, FakeClock};
use crate::sensor::wifi::frame::Address;
use crate::sensor::wifi::meters::Meters;

/// A counting with its clock and counters, moved second by second.
struct Shop {
    clock: FakeClock,
    meters: Meters,
    counting: Counting,
    done: Vec<WifiInterval>,
}

impl Shop {
    fn open(at: &str, zone: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = FakeClock::at(at.parse().unwrap());
        let mut settings = Settings::for_recordings();
        change(&mut settings);
        let meters = Meters::default();
        let zone = TimeZone::get(zone).unwrap();
        let mut counting = Counting::new(&settings, &zone, clock.now(), meters.quality()).unwrap();
        counting.listening(true, clock.now());
        Self {
            clock,
            meters,
            counting,
            done: Vec::new(),
        }
    }

    /// Lets the time pass; every half minute each of `senders` is heard.
    fn pass(&mut self, seconds: u64, senders: &[u8], signal: i8) {
        for second in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            let now = self.clock.now();
            let ended = self.counting.tick(now, &self.meters.quality()).unwrap();
            self.done.extend(ended);
            if second % 30 == 0 {
                senders
                    .iter()
                    .for_each(|sender| self.hear(*sender, signal, now));
            }
        }
    }

    fn hear(&mut self, sender: u8, signal: i8, at: Stamp) {
        self.meters.probe_requests.add(1);
        let probe = Probe {
            // Even numbers are random addresses.
            source: Address::new([
                if sender.is_multiple_of(2) { 2 } else { 0 },
                0,
                0,
                0,
                0,
                sender,
            ]),
            signal: Some(signal),
            retry: false,
            sequence: None,
            truncated: false,
        };
        assert!(self.counting.saw(&probe, at));
    }

    fn times(&self) -> Vec<(&str, &str)> {
        self.done
            .iter()
            .map(|done| (&done.from[11..19], &done.to[11..19]))
            .collect()
    }
}

#[test]
fn given_a_start_within_a_quarter_when_time_passes_then_intervals_end_on_the_shops_quarters() {
    // India is five and a half hours ahead: its full hours are not those of UTC.
    let mut shop = Shop::open("2026-11-21T10:07:30Z", "Asia/Kolkata", |_| {});
    shop.pass(1800, &[], -60);
    assert_eq!(
        shop.times(),
        [("15:37:30", "15:45:00"), ("15:45:00", "16:00:00")]
    );
    let mut shop = Shop::open("2026-11-21T10:07:30Z", "Asia/Kolkata", |settings| {
        settings.interval_min = 60
    });
    shop.pass(1800, &[], -60);
    assert_eq!(shop.times(), [("15:37:30", "16:00:00")]);
}

#[test]
fn given_a_stop_within_a_quarter_when_finished_then_the_last_interval_covers_what_there_was() {
    let mut shop = Shop::open("2026-11-21T10:00:00Z", "UTC", |_| {});
    shop.pass(1000, &[1, 2, 3, 4, 5], -60);
    let now = shop.clock.now();
    let last = shop.counting.finish(now, &shop.meters.quality());
    assert_eq!(
        (&last.from[11..19], &last.to[11..19]),
        ("10:15:00", "10:16:40")
    );
    let heard = |interval: &WifiInterval| interval.quality.probe_requests;
    assert_eq!(
        heard(&shop.done[0]) + heard(&last),
        shop.meters.probe_requests.get()
    );
    assert!(heard(&last) > 0);
}

#[test]
fn given_a_radio_that_was_away_when_the_interval_ends_then_its_quality_says_for_how_long() {
    let mut shop = Shop::open("2026-11-21T10:00:00Z", "UTC", |_| {});
    shop.pass(450, &[], -60);
    shop.counting.listening(false, shop.clock.now());
    shop.pass(225, &[], -60);
    shop.counting.listening(true, shop.clock.now());
    shop.pass(225 + 900, &[], -60);
    let ratios: Vec<_> = shop
        .done
        .iter()
        .map(|done| done.quality.uptime_ratio)
        .collect();
    assert_eq!(ratios, [0.75, 1.0]);
}

#[test]
fn given_a_wall_clock_that_is_set_when_ticked_then_the_interval_ends_where_it_was() {
    let mut shop = Shop::open("1970-01-01T00:00:10Z", "UTC", |_| {});
    shop.pass(60, &[], -60);
    shop.clock
        .set_wall("2026-11-21T10:00:00Z".parse().unwrap(), true);
    shop.pass(901, &[], -60);
    assert_eq!(
        shop.times(),
        [("00:00:10", "00:01:11"), ("10:00:01", "10:15:00")]
    );
    assert!(shop.done[0].to.starts_with("1970-01-01"));
}

#[test]
fn given_visitors_when_midnight_comes_then_the_pepper_changes_and_their_stays_are_split() {
    let senders = [2, 4, 6, 8, 10, 12];
    // 23:45 in Shanghai.
    let mut shop = Shop::open("2026-11-21T15:45:00Z", "Asia/Shanghai", |_| {});
    let address = Address::new([2, 0, 0, 0, 0, 2]);
    let before = shop.counting.pepper.disguise(&address);
    shop.pass(899, &senders, -60);
    assert_eq!(
        before,
        shop.counting.pepper.disguise(&address),
        "until midnight"
    );
    shop.pass(1, &[], -60);
    assert_ne!(
        before,
        shop.counting.pepper.disguise(&address),
        "from midnight on"
    );
    assert!(shop.counting.presence.is_empty());
    shop.pass(300, &senders, -60);
    let last = shop
        .counting
        .finish(shop.clock.now(), &shop.meters.quality());
    assert_eq!(shop.times(), [("23:45:00", "00:00:00")]);
    let stays = |interval: &WifiInterval| {
        interval
            .dwell
            .iter()
            .map(|bucket| bucket.visitors)
            .collect::<Vec<_>>()
    };
    let six_in = |bucket: usize| {
        (0..6)
            .map(|n| Some(if n == bucket { 6 } else { 0 }))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (shop.done[0].visitors, stays(&shop.done[0])),
        (Some(6), six_in(2))
    );
    assert_eq!((last.visitors, stays(&last)), (Some(6), six_in(0)));
}

#[test]
fn given_the_hourly_option_when_an_hour_passes_then_the_pepper_changes() {
    let address = Address::new([2, 0, 0, 0, 0, 2]);
    for (rotation, changes) in [(Rotation::Hourly, true), (Rotation::Daily, false)] {
        let mut shop = Shop::open("2026-11-21T10:50:00Z", "UTC", |settings| {
            settings.pepper = rotation
        });
        let before = shop.counting.pepper.disguise(&address);
        shop.pass(600, &[], -60);
        assert_eq!(
            before != shop.counting.pepper.disguise(&address),
            changes,
            "{rotation:?}"
        );
    }
}

fn disclosed(random: u64, global: u64, visitors: u64) -> WifiInterval {
    let sums = Sums {
        random,
        global,
        visitors,
        stays: [0, 1, 4, 5, 100, 0],
    };
    let quality = Meters::default().quality();
    disclose(&sums, String::new(), String::new(), quality)
}

/// Plays somebody who knows the rules, sees what is disclosed, and lists everything it can have been.
#[test]
fn given_sums_when_disclosed_then_no_count_of_one_to_four_can_be_read_or_worked_out() {
    use std::collections::{BTreeMap, BTreeSet};
    let mut possible: BTreeMap<_, [BTreeSet<u64>; 4]> = BTreeMap::new();
    let mut all = Vec::new();
    for random in 0..24 {
        for global in 0..24 {
            for visitors in 0..=random + global {
                let event = disclosed(random, global, visitors);
                let shown = [event.random, event.global, event.visitors, event.passers_by];
                let truth = [random, global, visitors, random + global - visitors];
                let sets = possible.entry(shown).or_default();
                for (set, truth) in sets.iter_mut().zip(truth) {
                    set.insert(truth);
                }
                all.push((shown, truth));
            }
        }
    }
    for (shown, truth) in all {
        for ((shown, truth), possible) in shown.iter().zip(truth).zip(&possible[&shown]) {
            assert!(shown.is_none_or(|shown| shown == truth && !(1..5).contains(&truth)));
            let secret = (1..5).contains(&truth);
            assert!(
                !secret || possible.len() >= 4,
                "{truth} is one of {possible:?}"
            );
        }
    }
}

#[test]
fn given_sums_when_disclosed_then_what_may_be_said_is_said() {
    let said = |random, global, visitors| {
        let event = disclosed(random, global, visitors);
        (event.random, event.global, event.visitors, event.passers_by)
    };
    assert_eq!(said(40, 9, 7), (Some(40), Some(9), Some(7), Some(42)));
    assert_eq!(said(40, 3, 7), (Some(40), None, Some(7), None));
    assert_eq!(said(40, 9, 2), (Some(40), Some(9), None, None));
    assert_eq!(said(40, 9, 47), (Some(40), Some(9), None, None));
    assert_eq!(
        said(0, 4, 0),
        (Some(0), None, Some(0), None),
        "an empty night"
    );
    assert_eq!(said(0, 0, 0), (Some(0), Some(0), Some(0), Some(0)));
    let event = disclosed(40, 9, 7);
    let dwell: Vec<_> = event
        .dwell
        .iter()
        .map(|bucket| (bucket.from_s, bucket.to_s, bucket.visitors))
        .collect();
    assert_eq!(
        dwell,
        [
            (120, Some(300), Some(0)),
            (300, Some(600), None),
            (600, Some(1200), None),
            (1200, Some(1800), Some(5)),
            (1800, Some(3600), Some(100)),
            (3600, None, Some(0)),
        ]
    );
}
