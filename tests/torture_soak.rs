//! Thirty days in a shop, accelerated: the real outbox on disk, the real uplink to a real broker that is away six hours a
//! day, commands, the page's sums and sessions. Each day everything arrives exactly as it was stored, and memory, files,
//! threads and disk stay what they were on the third day.
//!
//! The shop's time is a fake clock that moves a minute at a time. Only the uplink lives in real time: it would take a
//! broker that is silent for twenty of the shop's minutes for stuck.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/scale.rs"]
mod scale;
#[path = "common/soak.rs"]
mod soak;

use std::os::unix::process::CommandExt;
use std::time::Duration;

use footfall::clock::Clock;
use footfall::event::Direction;
use mosquitto::Mosquitto;
use scale::{full, rounds};
use soak::cloud::Cloud;
use soak::house::House;
use soak::{Footprint, Shop, until};

/// The shop is open from nine to nine, the line to the cloud is cut from noon to six.
const OPEN: std::ops::Range<u32> = 9 * 60..21 * 60;
const CUT: std::ops::Range<u32> = 12 * 60..18 * 60;
const MINUTES: u32 = 24 * 60;
/// Minutes whose events are handed over before anybody waits for the disk: 800 events, less than the outbox's queue.
const STRIDE: u32 = 20;
/// A command at every so many minutes: on the third day there are more than the journal can remember.
const COMMAND_EVERY: u32 = 15;
/// The box restarts in the night after every so many days.
const RESTART_EVERY: usize = 7;
/// By the end of this day everything has its size.
const SETTLED: usize = 3;

/// Goes on in the same process with the daemon's own memory settings (see `main.rs`): without them this grows, too.
fn give_big_buffers_back() {
    const LIMIT: &str = "MALLOC_MMAP_THRESHOLD_";
    if std::env::var_os(LIMIT).is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let failed = again
            .args(std::env::args_os().skip(1))
            .env(LIMIT, "131072")
            .exec();
        panic!("{failed}");
    }
}

#[test]
fn a_month_in_a_shop_leaves_nothing_behind_and_loses_nothing() {
    give_big_buffers_back();
    let days = rounds(2, 30);
    let seed = std::env::var("FOOTFALL_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("FOOTFALL_SEED={seed}");
    fastrand::seed(seed);
    let Some(broker) = Mosquitto::start("max_inflight_messages 100") else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_millis(100))
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let shop = Shop::open();
    let cloud = Cloud::connect(broker.port());
    let mut house = House::start(&shop, broker.port());
    let mut prints = Vec::new();
    for day in 1..=days {
        let crossed = live_through(&shop, &mut house, &cloud);
        house.until_delivered(&cloud);
        cloud.check_the_day(&house);
        let (inward, outward) = house.today();
        assert_eq!((inward, outward), crossed, "day {day}: today's sums");
        if day % RESTART_EVERY == 0 {
            house.stop();
            house = House::start(&shop, broker.port());
            assert_eq!(
                house.today(),
                crossed,
                "day {day}: today's sums after a restart"
            );
        }
        shop.clock.advance(Duration::from_secs(1)); // midnight
        house.settle();
        let print = Footprint::take(&shop);
        eprintln!(
            "day {day:2}: {print}; {} events, {} commands",
            cloud.received(),
            house.obeyed()
        );
        prints.push(print);
    }
    assert_eq!(house.not_stored(), 0);
    house.stop();
    let verified = footfall::outbox::verify(&shop.data()).unwrap();
    assert_eq!(verified.faults, Vec::<String>::new());
    for print in &prints {
        print.assert_bounded();
    }
    if full() {
        let (settled, end) = (&prints[SETTLED - 1], prints.last().unwrap());
        end.assert_flat_since(settled);
    }
}

/// One day; how many came and went.
fn live_through(shop: &Shop, house: &mut House, cloud: &Cloud) -> (u64, u64) {
    let mut crossed = (0, 0);
    for minute in 0..MINUTES {
        if minute == CUT.start {
            house.cut(true);
        }
        if minute == CUT.end {
            house.cut(false);
            until("the uplink is back", || house.is_connected());
        }
        let people = match OPEN.contains(&minute) {
            true => fastrand::u32(25..50),
            false => 0,
        };
        for _ in 0..people {
            let way = match fastrand::bool() {
                true => Direction::In,
                false => Direction::Out,
            };
            match way {
                Direction::In => crossed.0 += 1,
                Direction::Out => crossed.1 += 1,
            }
            house.crosses(shop, way);
        }
        // The last second of a day belongs to the next loop: the sums are looked at before midnight.
        let seconds = if minute + 1 == MINUTES { 59 } else { 60 };
        shop.clock.advance(Duration::from_secs(seconds));
        house.minute(shop);
        if minute % COMMAND_EVERY == 0 {
            cloud.command(shop.clock.now().wall);
        }
        if minute == OPEN.start {
            house.technician_looks();
        }
        if minute % STRIDE == 0 || minute + 1 == MINUTES {
            house.until_stored();
        }
    }
    crossed
}
