use super::*;

const TURN: record::Turn = record::Turn {
    epoch: 1,
    commit: 1,
};

fn events(first: u64, count: u64) -> Vec<Vec<u8>> {
    (first..first + count)
        .map(|n| format!("event {n}").into_bytes())
        .collect()
}

#[test]
fn what_was_committed_is_read_back_from_any_number_and_after_reopening() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("seg");
    let mut segment = Segment::create(&dir, 1 << 20).unwrap();
    for first in [1, 4, 7] {
        segment
            .put(Stream::Count, TURN, first, &events(first, 3))
            .unwrap();
    }
    segment.commit().unwrap();
    for _ in 0..2 {
        for (after, until, expected) in
            [(0, 9, 1..=9), (1, 9, 2..=9), (3, 8, 4..=8), (5, 99, 6..=9)]
        {
            let mut batch = Batch::new(100, 1 << 20);
            segment
                .read(Stream::Count, after, until, &mut batch)
                .unwrap();
            let read: Vec<u64> = batch.events.iter().map(|e| e.sequence).collect();
            assert_eq!(read, expected.collect::<Vec<_>>());
            assert_eq!(
                batch.events[0].bytes,
                format!("event {}", after + 1).into_bytes()
            );
        }
        let content = segment.content().unwrap();
        assert_eq!(
            content.present[Stream::Count].iter().collect::<Vec<_>>(),
            [1..=9]
        );
        assert_eq!((content.epoch, content.faults.len()), (1, 0));
        drop(segment);
        fs::File::create(dir.join("snap.00000000000000FF.generating")).unwrap();
        segment = Segment::open(&dir, 1 << 20).unwrap();
    }
}

#[test]
fn records_are_put_beside_and_never_under_the_spacers_in_whatever_order_they_come() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("seg");
    let mut segment = Segment::create(&dir, 1 << 20).unwrap();
    let put = |segment: &Segment, first, count| {
        segment
            .put(Stream::Count, TURN, first, &events(first, count))
            .unwrap();
    };
    // Spacers lie at 1009, 1017, ...; records come to lie on some of them, and one is there before its spacer.
    put(&segment, 1001, 8);
    put(&segment, 1009, 12);
    put(&segment, 1033, 1);
    drop(segment);
    segment = Segment::open(&dir, 1 << 20).unwrap();
    put(&segment, 1021, 12);
    put(&segment, 900, 3);
    put(&segment, u64::MAX - 20, 3);
    let mut expected = RangeSet::default();
    for range in [900..=902, 1001..=1033, u64::MAX - 20..=u64::MAX - 18] {
        expected.insert(range);
    }
    assert_eq!(segment.content().unwrap().present[Stream::Count], expected);
    assert_eq!(segment.content().unwrap().faults, []);
    for (after, next) in [
        (0, 900),
        (902, 1001),
        (1011, 1012),
        (1032, 1033),
        (1033, u64::MAX - 20),
    ] {
        let mut batch = Batch::new(1, 1 << 20);
        segment
            .read(Stream::Count, after, u64::MAX, &mut batch)
            .unwrap();
        assert_eq!(batch.events[0].sequence, next);
    }
}

/// What the spacers are for.
#[test]
fn a_segment_takes_little_more_room_than_its_records_have_bytes() {
    // Events in a record, and bytes of each; all records but the last are nearly as big as they may be.
    for (together, size) in [(12, 320), (8, 490), (3, 1300), (1, 3900), (1, 400)] {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("seg");
        let segment = Segment::create(&dir, 1 << 20).unwrap();
        let records = 2_000_000 / (together * size);
        for number in 0..records {
            let (first, events) = (
                (number * together + 1) as u64,
                vec![vec![b'x'; size]; together],
            );
            segment.put(Stream::Count, TURN, first, &events).unwrap();
            if number % 9 == 0 {
                segment.commit().unwrap();
            }
        }
        segment.commit().unwrap();
        let room = fs::metadata(dir.join("db")).unwrap().len();
        println!("{room} bytes for {records} records of {together} events of {size} bytes");
        // sled grows its file by half a megabyte at a time.
        assert!(room < 3_000_000 + (1 << 20));
    }
}

#[test]
fn limits_of_a_batch_are_kept_but_one_event_always_goes_in() {
    let tmp = tempfile::tempdir().unwrap();
    let segment = Segment::create(&tmp.path().join("seg"), 1 << 20).unwrap();
    segment.put(Stream::Alarm, TURN, 1, &events(1, 9)).unwrap();
    let read = |max_events, max_bytes| {
        let mut batch = Batch::new(max_events, max_bytes);
        segment.read(Stream::Alarm, 0, 9, &mut batch).unwrap();
        batch.events.len()
    };
    assert_eq!(
        (read(4, 1000), read(9, 0), read(9, 16), read(0, 1000)),
        (4, 1, 2, 1)
    );
}
