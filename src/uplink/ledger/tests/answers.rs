//! Answers to commands among the events.

use super::*;

#[test]
fn an_answer_goes_before_events_and_returns_with_a_cut() {
    let mut ledger = connected(2);
    assert!(!ledger.may_answer(0, Duration::ZERO));
    assert!(ledger.may_answer(7, Duration::ZERO));
    ledger.sent(Content::Answer(7), Duration::ZERO);
    assert_eq!(ledger.answer_cursor(), 7);
    assert!(!ledger.may_answer(7, Duration::ZERO), "sent twice");
    assert_eq!(ledger.cut(Duration::ZERO), 0, "an answer is no event");
    ledger.connected(2, [0; 4], [0; 4]);
    assert!(ledger.may_answer(7, Duration::ZERO));
    ledger.sent(Content::Answer(7), Duration::ZERO);
    ledger.written(1).unwrap();
    let settled = ledger.acked(1, true, Duration::ZERO).unwrap();
    assert_eq!(settled, Settled::Delivered(Content::Answer(7)));
}

#[test]
fn an_answer_waits_while_the_window_is_full() {
    let mut ledger = connected(1);
    send(&mut ledger, 1, Duration::ZERO);
    assert!(!ledger.may_answer(1, Duration::ZERO));
    ledger.acked(1, true, Duration::ZERO).unwrap();
    assert!(ledger.may_answer(1, Duration::ZERO));
}

#[test]
fn refused_answers_pause_without_holding_up_the_events_and_are_tried_again_later() {
    let mut ledger = connected(4);
    ledger.sent(Content::Answer(1), Duration::ZERO);
    ledger.written(1).unwrap();
    ledger.acked(1, false, Duration::ZERO).unwrap();
    assert!(!ledger.may_answer(2, Duration::ZERO));
    assert_eq!(send(&mut ledger, 2, Duration::ZERO), Stream::Alarm);
    assert!(ledger.may_answer(2, FIRST_PAUSE));
    assert_eq!(ledger.answer_cursor(), 1);
    assert!(ledger.may_answer(2, SET_ASIDE));
    assert_eq!(ledger.answer_cursor(), 0, "the refused one comes again");
}

#[test]
fn given_connections_that_break_over_answers_twice_the_events_pass() {
    let mut ledger = Ledger::default();
    for allowed in [true, true, false] {
        ledger.connected(4, [0; 4], [0; 4]);
        assert_eq!(ledger.may_answer(1, Duration::ZERO), allowed);
        if allowed {
            ledger.sent(Content::Answer(1), Duration::ZERO);
        }
        assert_eq!(send(&mut ledger, 1, Duration::ZERO), Stream::Alarm);
        ledger.cut(Duration::ZERO);
    }
}
