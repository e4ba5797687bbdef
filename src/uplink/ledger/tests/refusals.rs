//! Refusals, heard and suspected: pauses, second tries, and that the other streams get through.

use super::*;

fn older(stream: Stream, range: RangeInclusive<u64>) -> Content {
    Content::Batch(Batch {
        route: Route::backfill(stream),
        ranges: vec![range],
    })
}

#[test]
fn a_refused_stream_pauses_feels_its_way_and_tries_the_refused_ones_again_later() {
    let second = Duration::from_secs(1);
    let only_count = [0, 5, 0, 0];
    let mut ledger = Ledger::default();
    ledger.connected(4, [0; 4], only_count);
    for (id, sequence) in [(1, 1), (2, 2)] {
        ledger.sent(older(Stream::Count, sequence..=sequence), Duration::ZERO);
        ledger.written(id).unwrap();
    }
    for id in [1, 2] {
        let settled = ledger.acked(id, false, Duration::ZERO).unwrap();
        assert!(matches!(settled, Settled::Refused(_)));
    }
    assert!(ledger.is_refused(Stream::Count));
    assert_eq!(ledger.next_route(only_count, 4 * second), None);
    assert_eq!(ledger.wakes_at(Duration::ZERO), Some(FIRST_PAUSE));
    // The pause is over: one batch at a time.
    assert_eq!(
        ledger.next_route(only_count, 5 * second),
        Some(Route::backfill(Stream::Count))
    );
    ledger.sent(older(Stream::Count, 3..=3), Duration::ZERO);
    ledger.written(3).unwrap();
    assert_eq!(ledger.next_route(only_count, 5 * second), None);
    ledger.acked(3, true, 6 * second).unwrap();
    // It is taken: full speed, but what was refused stays aside for a while.
    assert_eq!(
        ledger.next_route(only_count, 6 * second),
        Some(Route::backfill(Stream::Count))
    );
    assert_eq!(ledger.cursor(Route::backfill(Stream::Count)), 3);
    assert!(ledger.is_refused(Stream::Count));
    ledger.skip(Route::backfill(Stream::Count), 5);
    assert_eq!(ledger.next_route(only_count, SET_ASIDE - second), None);
    assert_eq!(
        ledger.next_route(only_count, SET_ASIDE),
        Some(Route::backfill(Stream::Count))
    );
    assert_eq!(ledger.cursor(Route::backfill(Stream::Count)), 0);
    ledger.sent(older(Stream::Count, 1..=2), Duration::ZERO);
    ledger.written(4).unwrap();
    ledger.acked(4, true, SET_ASIDE).unwrap();
    assert!(!ledger.is_refused(Stream::Count));
}

#[test]
fn one_refused_stream_does_not_hold_up_the_others() {
    let mut ledger = connected(4);
    assert_eq!(send(&mut ledger, 1, Duration::ZERO), Stream::Alarm);
    ledger.acked(1, false, Duration::ZERO).unwrap();
    assert_eq!(send(&mut ledger, 2, Duration::ZERO), Stream::Count);
}

#[test]
fn given_a_broker_that_cuts_at_a_refusal_the_refused_stream_lets_the_others_pass_on_the_next_connection()
 {
    let mut ledger = with_backlog(4);
    assert_eq!(send(&mut ledger, 1, Duration::ZERO), Stream::Alarm);
    ledger.acked(1, false, Duration::ZERO).unwrap();
    ledger.cut(Duration::ZERO);
    ledger.connected(4, [0; 4], ALL_WAITING);
    let next = |ledger: &mut Ledger, now| ledger.next_route(ALL_WAITING, now);
    assert_eq!(
        next(&mut ledger, Duration::ZERO),
        Some(Route::backfill(Stream::Count))
    );
    assert_eq!(
        next(&mut ledger, FIRST_PAUSE),
        Some(Route::backfill(Stream::Alarm))
    );
    assert_eq!(ledger.cursor(Route::backfill(Stream::Alarm)), 0);
}

#[test]
fn given_connections_that_break_over_one_stream_twice_it_lets_the_others_pass_until_it_is_taken() {
    let mut ledger = Ledger::default();
    for expected in [Stream::Alarm, Stream::Alarm, Stream::Count] {
        ledger.connected(4, [0; 4], ALL_WAITING);
        assert_eq!(send(&mut ledger, 1, Duration::ZERO), expected);
        ledger.cut(Duration::ZERO);
    }
    // Count has broken one connection only, which the network does, too; alarm is tried again later.
    ledger.connected(4, [0; 4], ALL_WAITING);
    assert_eq!(send(&mut ledger, 1, FIRST_PAUSE), Stream::Alarm);
    ledger.acked(1, true, FIRST_PAUSE).unwrap();
    assert_eq!(send(&mut ledger, 2, FIRST_PAUSE), Stream::Alarm);
    ledger.cut(FIRST_PAUSE);
    // A connection on which it was taken was no suspect, and wipes the slate clean: one more break is the first again.
    for _ in 0..2 {
        ledger.connected(4, [0; 4], ALL_WAITING);
        assert_eq!(send(&mut ledger, 1, FIRST_PAUSE), Stream::Alarm);
        ledger.cut(FIRST_PAUSE);
    }
}

#[test]
fn pauses_after_refusals_grow_to_a_limit() {
    let mut ledger = connected(1);
    let (mut now, mut longest) = (Duration::ZERO, Duration::ZERO);
    for sequence in 1..20 {
        ledger.sent(batch(Stream::Alarm, sequence..=sequence), Duration::ZERO);
        ledger.written(1).unwrap();
        ledger.acked(1, false, now).unwrap();
        let pause = ledger.progress(Route::live(Stream::Alarm)).paused_until - now;
        assert!(pause >= longest && pause <= LONGEST_PAUSE);
        (now, longest) = (now + pause, pause);
    }
    assert_eq!(longest, LONGEST_PAUSE);
}

#[test]
fn refused_live_events_wait_out_the_pause_and_go_as_backfill_with_what_came_meanwhile() {
    let mut ledger = connected(4);
    let next = |ledger: &mut Ledger, last, now| ledger.next_route([0, last, 0, 0], now);
    for (id, sequence) in [(1, 1), (2, 2)] {
        ledger.sent(batch(Stream::Count, sequence..=sequence), Duration::ZERO);
        ledger.written(id).unwrap();
    }
    ledger.acked(1, false, Duration::ZERO).unwrap();
    assert_eq!(next(&mut ledger, 5, Duration::ZERO), None);
    // The second one is still under way: taken as backfill, too, it would be sent twice.
    assert_eq!(next(&mut ledger, 5, FIRST_PAUSE), None);
    ledger.acked(2, false, FIRST_PAUSE).unwrap();
    let over = ledger.wakes_at(FIRST_PAUSE).unwrap();
    let (live, backfill) = (Route::live(Stream::Count), Route::backfill(Stream::Count));
    assert_eq!(next(&mut ledger, 5, over), Some(backfill));
    assert_eq!((ledger.cursor(backfill), ledger.end(backfill)), (0, 5));
    ledger.sent(older(Stream::Count, 1..=5), over);
    ledger.written(3).unwrap();
    ledger.acked(3, true, over).unwrap();
    assert!(ledger.is_refused(Stream::Count), "of live events, still");
    // What comes from now on is live again.
    assert_eq!(next(&mut ledger, 5, over), None);
    assert_eq!(next(&mut ledger, 6, over), Some(live));
    ledger.sent(batch(Stream::Count, 6..=6), over);
    ledger.written(4).unwrap();
    ledger.acked(4, true, over).unwrap();
    assert!(!ledger.is_refused(Stream::Count));
}

#[test]
fn a_refused_backfill_does_not_hold_up_live_events_of_the_same_stream() {
    let mut ledger = with_backlog(4);
    ledger.sent(older(Stream::Count, 1..=9), Duration::ZERO);
    ledger.written(1).unwrap();
    ledger.acked(1, false, Duration::ZERO).unwrap();
    let more = [0, EVENTS + 1, 0, 0];
    let next = ledger.next_route(more, Duration::ZERO);
    assert_eq!(next, Some(Route::live(Stream::Count)));
}

#[test]
fn refused_live_events_are_not_given_up_before_the_pause_is_over() {
    let mut ledger = connected(4);
    ledger.sent(batch(Stream::Count, 1..=1), Duration::ZERO);
    ledger.written(1).unwrap();
    ledger.acked(1, false, Duration::ZERO).unwrap();
    let only_count = [0, 5, 0, 0];
    let early = FIRST_PAUSE - Duration::from_millis(1);
    assert_eq!(ledger.next_route(only_count, early), None);
    let backfill = Some(Route::backfill(Stream::Count));
    assert_eq!(ledger.next_route(only_count, FIRST_PAUSE), backfill);
}

#[test]
fn a_batch_that_is_taken_ends_the_pause_that_another_one_began() {
    let mut ledger = Ledger::default();
    let only_count = [0, 5, 0, 0];
    ledger.connected(4, [0; 4], only_count);
    for id in [1, 2] {
        ledger.sent(older(Stream::Count, id.into()..=id.into()), Duration::ZERO);
        ledger.written(id).unwrap();
    }
    ledger.acked(1, false, Duration::ZERO).unwrap();
    assert_eq!(ledger.next_route(only_count, Duration::ZERO), None);
    ledger.acked(2, true, Duration::ZERO).unwrap();
    let backfill = Some(Route::backfill(Stream::Count));
    assert_eq!(ledger.next_route(only_count, Duration::ZERO), backfill);
}

#[test]
fn given_endless_events_what_is_set_aside_still_gets_its_second_try() {
    let mut ledger = with_backlog(4);
    let only_count = [0, EVENTS, 0, 0];
    for (id, taken) in [(1, false), (2, true)] {
        ledger.sent(older(Stream::Count, id.into()..=id.into()), Duration::ZERO);
        ledger.written(id).unwrap();
        ledger.acked(id, taken, Duration::ZERO).unwrap();
    }
    ledger.sent(older(Stream::Count, 3..=3), SET_ASIDE);
    ledger.written(3).unwrap();
    // No new one, so that nothing of the lane is under way soon.
    assert_eq!(ledger.next_route(only_count, SET_ASIDE), None);
    ledger.acked(3, true, SET_ASIDE).unwrap();
    let backfill = Route::backfill(Stream::Count);
    assert_eq!(ledger.next_route(only_count, SET_ASIDE), Some(backfill));
    assert_eq!(ledger.cursor(backfill), 0);
}

#[test]
fn a_refusal_is_over_on_the_next_connection_with_the_refused_event_and_not_with_one_before_it() {
    let mut ledger = with_backlog(4);
    ledger.sent(older(Stream::Count, 5..=5), Duration::ZERO);
    ledger.written(1).unwrap();
    ledger.acked(1, false, Duration::ZERO).unwrap();
    ledger.cut(Duration::ZERO);
    ledger.connected(4, [0; 4], ALL_WAITING);
    for (id, sequences, refused) in [(1, 1..=3, true), (2, 4..=6, false)] {
        ledger.sent(older(Stream::Count, sequences), FIRST_PAUSE);
        ledger.written(id).unwrap();
        ledger.acked(id, true, FIRST_PAUSE).unwrap();
        assert_eq!(ledger.is_refused(Stream::Count), refused);
    }
}

#[test]
fn given_refused_live_events_wait_in_the_backfill_a_newer_live_one_does_not_end_the_refusal() {
    let mut ledger = connected(4);
    ledger.sent(batch(Stream::Count, 1..=1), Duration::ZERO);
    ledger.written(1).unwrap();
    ledger.acked(1, false, Duration::ZERO).unwrap();
    let backfill = Some(Route::backfill(Stream::Count));
    assert_eq!(ledger.next_route([0, 1, 0, 0], FIRST_PAUSE), backfill);
    for (id, content) in [
        (2, batch(Stream::Count, 2..=2)),
        (3, older(Stream::Count, 1..=1)),
    ] {
        assert!(ledger.is_refused(Stream::Count));
        ledger.sent(content, FIRST_PAUSE);
        ledger.written(id).unwrap();
        ledger.acked(id, true, FIRST_PAUSE).unwrap();
    }
    assert!(!ledger.is_refused(Stream::Count));
}
