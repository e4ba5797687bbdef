use super::*;

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

fn crossing((seconds, line, direction): (f64, &str, Direction)) -> Crossing {
    Crossing {
        at: (seconds * 1000.0) as i64,
        recording: String::new(),
        line: line.to_owned(),
        direction,
        class: None,
    }
}

fn settings() -> Settings {
    Settings {
        window: 2000,
        bucket: 60_000,
    }
}

fn span(from: i64, to: i64) -> Span {
    Span {
        recording: String::new(),
        from: from * 1000,
        to: to * 1000,
    }
}

fn evaluated(truth: &[(f64, &str, Direction)], counted: &[(f64, &str, Direction)]) -> Evaluation {
    let truth: Vec<_> = truth.iter().copied().map(crossing).collect();
    let counted: Vec<_> = counted.iter().copied().map(crossing).collect();
    let lines: Vec<_> = truth.iter().map(|one| one.line.clone()).collect();
    evaluate(&truth, &counted, &lines, &[span(0, 600)], &settings())
}

#[test]
fn every_crossing_has_one_outcome() {
    let truth = [
        (10.0, "a", IN),
        (20.0, "a", OUT),
        (30.0, "a", IN),
        (40.0, "b", OUT),
    ];
    let counted = [
        (11.0, "a", IN),
        (21.0, "a", IN),
        (35.0, "a", IN),
        (40.0, "b", OUT),
        (41.0, "other", OUT),
    ];
    let found = evaluated(&truth, &counted);
    let whats: Vec<_> = found
        .findings
        .iter()
        .map(|one| (one.at / 1000, one.what))
        .collect();
    assert_eq!(
        whats,
        [
            (10, Outcome::Right),
            (20, Outcome::WrongDirection),
            (30, Outcome::Missed),
            (35, Outcome::False),
            (40, Outcome::Right)
        ]
    );
    let (a, total) = (&found.lines[0], found.total);
    assert_eq!((total.truth, total.counted, total.errors()), (4, 4, 3));
    assert_eq!((total.error, total.balanced), (Some(75.0), Some(0.0)));
    // In: one right, one missed, one false, and one of the others came in by mistake.
    assert_eq!(
        (a.inward.truth, a.inward.counted, a.inward.errors()),
        (2, 3, 2)
    );
    assert_eq!(
        (
            a.outward.truth,
            a.outward.counted,
            a.outward.wrong_direction
        ),
        (1, 0, 1)
    );
    assert_eq!(
        (a.inward.balanced, a.outward.balanced),
        (Some(50.0), Some(100.0))
    );
}

#[test]
fn mistakes_that_cancel_in_the_sums_are_still_mistakes() {
    let found = evaluated(
        &[(10.0, "a", IN), (20.0, "a", IN)],
        &[(10.0, "a", IN), (50.0, "a", IN)],
    );
    assert_eq!(
        (found.total.balanced, found.total.error),
        (Some(0.0), Some(100.0))
    );
    assert_eq!(found.bucket_accuracy_percent, Some(100.0));
    // In different minutes they do not cancel there.
    let found = evaluated(
        &[(10.0, "a", IN), (20.0, "a", IN)],
        &[(10.0, "a", IN), (70.0, "a", IN)],
    );
    assert_eq!(
        (found.total.balanced, found.bucket_accuracy_percent),
        (Some(0.0), Some(0.0))
    );
}

#[test]
fn a_count_belongs_to_a_label_within_the_window_and_to_none_beyond() {
    let right = |counted: f64| {
        evaluated(&[(10.0, "a", IN)], &[(counted, "a", IN)])
            .total
            .right
    };
    assert_eq!(
        [right(8.0), right(12.0), right(7.9), right(12.1)],
        [1, 1, 0, 0]
    );
}

#[test]
fn what_was_counted_while_nobody_watched_is_nobodys_fault() {
    let truth = [crossing((100.0, "a", IN))];
    let counted = [
        (50.0, "a", IN),
        (99.0, "a", IN),
        (101.0, "a", OUT),
        (300.0, "a", IN),
    ]
    .map(crossing);
    let lines = ["a".to_owned()];
    let found = evaluate(&truth, &counted, &lines, &[span(100, 200)], &settings());
    // The count a second before the beginning is the label's; the one after it is a false one.
    assert_eq!((found.total.right, found.total.false_ones), (1, 1));
}

#[test]
fn recordings_are_held_apart_and_added_up() {
    let of = |recording: &str, seconds: f64| Crossing {
        recording: recording.to_owned(),
        ..crossing((seconds, "a", IN))
    };
    let spans = ["one", "two"].map(|recording| Span {
        recording: recording.to_owned(),
        ..span(0, 60)
    });
    let truth = [of("one", 10.0), of("two", 10.0)];
    let counted = [of("one", 10.0), of("one", 11.0)];
    let found = evaluate(&truth, &counted, &["a".to_owned()], &spans, &settings());
    let total = found.total;
    assert_eq!((total.right, total.missed, total.false_ones), (1, 1, 1));
    assert_eq!(found.lines.len(), 1);
}

#[test]
fn a_wrong_class_is_told_and_is_no_miscount() {
    let as_class = |class: &str| Crossing {
        class: Some(class.to_owned()),
        ..crossing((10.0, "a", IN))
    };
    let lines = ["a".to_owned()];
    let total =
        |truth, counted| evaluate(&[truth], &[counted], &lines, &[span(0, 60)], &settings()).total;
    let wrong = total(as_class("person"), as_class("trolley"));
    assert_eq!((wrong.wrong_class, wrong.error), (1, Some(0.0)));
    assert_eq!(
        total(as_class("person"), crossing((10.0, "a", IN))).wrong_class,
        0
    );
}

#[test]
fn the_sentence_says_how_little_is_known() {
    let crossings: Vec<_> = (0..32).map(|n| (f64::from(n) * 10.0, "a", OUT)).collect();
    let says = words::sentence(&evaluated(&crossings, &crossings).total);
    assert!(
        says.contains("between 0.0 and 10.9 %") && says.contains("Label about "),
        "{says}"
    );
    let all: Vec<_> = (0..32)
        .map(|n| (f64::from(n) * 10.0 + 5.0, "a", OUT))
        .collect();
    let says = words::sentence(&evaluated(&crossings, &all).total);
    assert!(
        says.starts_with("64 mistakes on 32 true crossings: the error is 200.0 %."),
        "{says}"
    );
    let nobody = |counted: &[(f64, &str, Direction)]| {
        let counted: Vec<_> = counted.iter().copied().map(crossing).collect();
        words::sentence(
            &evaluate(
                &[],
                &counted,
                &["a".to_owned()],
                &[span(0, 60)],
                &settings(),
            )
            .total,
        )
    };
    assert_eq!(
        nobody(&[(1.0, "a", IN)]),
        "Nobody crossed, but 1 were counted."
    );
    assert!(nobody(&[]).contains("says nothing"));
}

#[test]
fn a_time_is_shown_as_it_was_labelled() {
    assert_eq!(Clock::Recording.show(62_449), "1:02.4");
    assert_eq!(Clock::Recording.show(59_960), "1:00.0");
    assert_eq!(Clock::Recording.show_short(62_449), "1:02");
    assert_eq!(Clock::Wall(TimeZone::UTC).show_short(62_449), "00:01:02");
}
