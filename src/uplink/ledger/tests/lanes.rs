//! Live events and the backfill beside each other.

use super::*;

const MORE: [u64; 4] = [2 * EVENTS; 4];

#[test]
fn what_was_stored_before_the_connection_is_backfill_and_what_comes_after_is_live_and_goes_first() {
    let mut ledger = with_backlog(4);
    let (live, backfill) = (Route::live(Stream::Count), Route::backfill(Stream::Count));
    let next = |ledger: &mut Ledger, last| ledger.next_route([0, last, 0, 0], Duration::ZERO);
    assert_eq!(next(&mut ledger, EVENTS), Some(backfill));
    assert_eq!(next(&mut ledger, EVENTS + 1), Some(live));
    assert_eq!(ledger.cursor(live), EVENTS);
    assert_eq!((ledger.cursor(backfill), ledger.end(backfill)), (0, EVENTS));
}

#[test]
fn given_nothing_waits_at_the_connect_everything_is_live() {
    let mut ledger = Ledger::default();
    ledger.connected(4, ALL_WAITING, ALL_WAITING);
    assert_eq!(ledger.next_route(ALL_WAITING, Duration::ZERO), None);
    for _ in 0..50 {
        assert_eq!(deliver(&mut ledger, MORE).lane, Lane::Live);
    }
}

#[test]
fn given_both_lanes_are_full_neither_starves_and_every_stream_gets_its_share_of_each() {
    let mut ledger = with_backlog(8);
    let order: Vec<Route> = (0..120).map(|_| deliver(&mut ledger, MORE)).collect();
    let count = |route| order.iter().filter(|sent| **sent == route).count();
    assert_eq!(Stream::ALL.map(Route::live).map(count), [48, 24, 12, 6]);
    assert_eq!(Stream::ALL.map(Route::backfill).map(count), [16, 8, 4, 2]);
    let backfill = |turn: &[Route]| turn.iter().any(|route| route.lane == Lane::Backfill);
    assert!(order.windows(4).all(backfill), "every fourth turn");
}

#[test]
fn given_a_prompt_broker_the_backfill_grows_but_leaves_a_quarter_of_the_window_to_live_events() {
    let mut ledger = with_backlog(8);
    for _ in 0..20 {
        deliver(&mut ledger, ALL_WAITING);
    }
    let mut ids = 1;
    while ledger.next_route(ALL_WAITING, Duration::ZERO).is_some() {
        send(&mut ledger, ids, Duration::ZERO);
        ids += 1;
    }
    assert_eq!((ledger.in_flight(), ledger.has_room()), (6, true));
    let next = ledger.next_route(MORE, Duration::ZERO);
    assert_eq!(next, Some(Route::live(Stream::Alarm)));
}

#[test]
fn given_a_slow_line_only_one_backfill_batch_is_under_way_so_that_live_events_do_not_wait() {
    let mut ledger = with_backlog(8);
    for _ in 0..20 {
        deliver(&mut ledger, ALL_WAITING);
    }
    let mut now = Duration::ZERO;
    for _ in 0..3 {
        send(&mut ledger, 1, now);
        now += 2 * PROMPT;
        ledger.acked(1, true, now).unwrap();
    }
    send(&mut ledger, 1, now);
    assert_eq!(ledger.next_route(ALL_WAITING, now), None);
    let next = ledger.next_route(MORE, now);
    assert_eq!(next, Some(Route::live(Stream::Alarm)));
}

#[test]
fn acknowledgements_across_lanes_settle_exactly_what_they_answer() {
    let mut ledger = with_backlog(4);
    let live = Route::live(Stream::Count);
    send(&mut ledger, 1, Duration::ZERO);
    let range = EVENTS + 1..=EVENTS + 3;
    ledger.sent(batch(live.stream, range.clone()), Duration::ZERO);
    ledger.written(2).unwrap();
    let settled = ledger.acked(2, true, Duration::ZERO).unwrap();
    assert_eq!(settled, Settled::Delivered(batch(live.stream, range)));
    assert_eq!(ledger.cut(Duration::ZERO), 1, "the older one returns");
}
