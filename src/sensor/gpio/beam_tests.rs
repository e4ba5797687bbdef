use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a pair says to edges `(line, broken, at ms)`.
fn said(edges: &[(usize, bool, u64)]) -> (BeamPair, Vec<(u128, Body)>) {
    let mut pair = BeamPair::new("gate");
    assert!(pair.start(&[false, false], ms(0)).is_empty());
    let mut facts = Vec::new();
    for (line, broken, at) in edges {
        facts.extend(pair.edge(*line, *broken, ms(*at)));
    }
    let end = edges.last().map_or(0, |edge| edge.2);
    facts.extend(pair.step(ms(end + 1000)));
    let facts = facts
        .into_iter()
        .map(|fact| (fact.at.as_millis(), fact.body))
        .collect();
    (pair, facts)
}

fn crossing(at: u128, direction: Direction) -> (u128, Body) {
    let beam = "gate".to_owned();
    (at, Body::BeamCrossed(BeamCrossed { beam, direction }))
}

#[test]
fn the_order_of_the_beams_is_the_direction() {
    let (_, inward) = said(&[
        (0, true, 100),
        (1, true, 160),
        (0, false, 300),
        (1, false, 360),
    ]);
    assert_eq!(inward, [crossing(360, Direction::In)]);
    let (_, outward) = said(&[
        (1, true, 100),
        (0, true, 160),
        (1, false, 300),
        (0, false, 360),
    ]);
    assert_eq!(outward, [crossing(360, Direction::Out)]);
}

#[test]
fn whoever_turns_back_crosses_nothing_and_is_counted_as_such() {
    let (pair, facts) = said(&[
        (0, true, 100),
        (1, true, 160),
        (1, false, 300),
        (0, false, 360), // both, then back
        (0, true, 1_000),
        (0, false, 1_200), // a hand in the outer one
    ]);
    assert_eq!(facts, []);
    assert_eq!(pair.back.get(), 2);
}

#[test]
fn flicker_below_eight_milliseconds_changes_nothing() {
    let (_, facts) = said(&[
        (0, true, 100),
        (0, false, 150),
        (0, true, 157), // a gap between coat and bag
        (1, true, 160),
        (1, false, 164),
        (1, true, 170),
        (0, false, 300),
        (1, false, 360),
        (1, true, 500),
        (1, false, 507), // an insect
    ]);
    assert_eq!(facts, [crossing(360, Direction::In)]);
}

#[test]
fn several_people_in_a_row_are_counted_each() {
    let one = |start: u64| {
        [
            (0, true, start),
            (1, true, start + 50),
            (0, false, start + 200),
            (1, false, start + 250),
        ]
    };
    let edges: Vec<_> = [100, 600, 1_100].into_iter().flat_map(one).collect();
    let (pair, facts) = said(&edges);
    assert_eq!(
        (facts.len(), pair.inward.get(), pair.outward.get()),
        (3, 3, 0)
    );
}

#[test]
fn both_beams_in_one_instant_have_no_direction() {
    let (_, facts) = said(&[
        (0, true, 100),
        (1, true, 100),
        (0, false, 300),
        (1, false, 360),
    ]);
    assert_eq!(facts, []);
}

#[test]
fn a_beam_blocked_for_a_minute_raises_one_alarm_and_no_crossing_and_works_again_when_it_is_free() {
    let mut pair = BeamPair::new("gate");
    pair.start(&[false, false], ms(0));
    pair.edge(0, true, ms(1_000));
    pair.edge(1, true, ms(1_100));
    assert!(pair.step(ms(2_000)).is_empty());
    assert_eq!(pair.due(), Some(ms(61_000)));
    assert!(pair.step(ms(60_999)).is_empty());
    let alarms = pair.step(ms(61_000));
    assert!(
        matches!(&alarms[..], [Fact { body: Body::DeviceAlarm(alarm), .. }] if alarm.part == "gpio/gate")
    );
    assert!(pair.trouble().is_some());
    assert!(pair.step(ms(500_000)).is_empty(), "once");
    pair.edge(0, false, ms(600_000));
    assert!(pair.edge(1, false, ms(600_100)).is_empty());
    assert!(pair.step(ms(601_000)).is_empty(), "no crossing");
    assert!(pair.trouble().is_none());
    // Armed again.
    pair.edge(1, true, ms(700_000));
    assert_eq!(pair.step(ms(800_000)).len(), 1);
}

#[test]
fn a_blockage_that_ends_before_it_is_read_is_the_same() {
    let mut pair = BeamPair::new("gate");
    pair.start(&[false, false], ms(0));
    pair.edge(0, true, ms(1_000));
    pair.edge(1, true, ms(1_050));
    let mut facts = pair.edge(0, false, ms(90_000));
    facts.extend(pair.edge(1, false, ms(90_050)));
    facts.extend(pair.step(ms(100_000)));
    assert!(
        matches!(
            &facts[..],
            [Fact {
                body: Body::DeviceAlarm(_),
                ..
            }]
        ),
        "{facts:?}"
    );
    // Slow, but under a minute: a crossing.
    let mut slow = BeamPair::new("gate");
    slow.start(&[false, false], ms(0));
    slow.edge(0, true, ms(1_000));
    slow.edge(1, true, ms(1_050));
    slow.edge(0, false, ms(30_000));
    slow.edge(1, false, ms(30_050));
    let facts = slow.step(ms(100_000));
    assert!(
        matches!(
            &facts[..],
            [Fact {
                body: Body::BeamCrossed(_),
                ..
            }]
        ),
        "{facts:?}"
    );
}

#[test]
fn a_beam_that_was_broken_at_the_start_counts_only_after_both_are_free() {
    let mut pair = BeamPair::new("gate");
    pair.start(&[true, false], ms(0));
    pair.edge(1, true, ms(100));
    pair.edge(0, false, ms(200));
    pair.edge(1, false, ms(300));
    assert!(pair.step(ms(400)).is_empty());
    assert_eq!(pair.back.get(), 0);
}
