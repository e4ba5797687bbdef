//! Headers built by hand, byte by byte, from the specifications.

use super::*;

/// A radiotap header: present words, then its fields as they lie in memory, then the frame.
fn tap(words: &[u32], fields: &[u8], frame: &[u8]) -> Vec<u8> {
    let length = 4 + 4 * words.len() + fields.len();
    let mut bytes = vec![0, 0];
    bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
    words
        .iter()
        .for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.extend(fields);
    bytes.extend(frame);
    bytes
}

fn strip(bytes: &[u8]) -> Received<'_> {
    Link::Radiotap.strip(bytes).expect("a sound header")
}

const FRAME: &[u8] = b"\x40\x00frame";
const MORE: u32 = 1 << 31;
const FLAGS: u32 = 1 << 1;
const RATE: u32 = 1 << 2;
const CHANNEL: u32 = 1 << 3;
const SIGNAL: u32 = 1 << 5;
const ANTENNA: u32 = 1 << 11;
const HE: u32 = 1 << 23;
const RADIOTAP_AGAIN: u32 = 1 << 29;
const VENDOR: u32 = 1 << 30;

#[test]
fn given_signals_of_single_antennas_in_later_words_when_read_then_the_first_words_signal_stands() {
    // As ath9k and mt76 write it: the sum first, then one signal and antenna for each chain.
    let words = [
        SIGNAL | RADIOTAP_AGAIN | MORE,
        SIGNAL | ANTENNA | RADIOTAP_AGAIN | MORE,
        SIGNAL | ANTENNA,
    ];
    let fields = [-61i8 as u8, -70i8 as u8, 0, -64i8 as u8, 1];
    let bytes = tap(&words, &fields, FRAME);
    assert_eq!(strip(&bytes).signal, Some(-61));
    assert_eq!(strip(&bytes).frame, FRAME);
}

#[test]
fn given_signals_of_single_antennas_only_when_read_then_there_is_no_signal() {
    let words = [RADIOTAP_AGAIN | MORE, SIGNAL | ANTENNA];
    let bytes = tap(&words, &[-70i8 as u8, 0], FRAME);
    assert_eq!(strip(&bytes).signal, None);
    assert_eq!(strip(&bytes).frame, FRAME);
}

#[test]
fn given_an_he_field_with_its_padding_when_read_then_signal_and_frame_are_right() {
    // Flags 1, rate 1, channel 4, signal 1, antenna 1, then HE: 12 bytes aligned to 2.
    let words = [FLAGS | RATE | CHANNEL | SIGNAL | ANTENNA | HE];
    let mut fields = vec![0x00, 12, 0x6c, 0x09, 0xa0, 0x00, -47i8 as u8, 1];
    fields.extend([0xff; 12]);
    let bytes = tap(&words, &fields, FRAME);
    assert_eq!(
        strip(&bytes),
        Received {
            frame: FRAME,
            signal: Some(-47),
            ..Received::default()
        }
    );
    // The same without the antenna: one byte of padding before HE.
    let words = [FLAGS | RATE | CHANNEL | SIGNAL | HE];
    let mut fields = vec![0x10, 12, 0x6c, 0x09, 0xa0, 0x00, -48i8 as u8, 0];
    fields.extend([0xff; 12]);
    let bytes = tap(&words, &fields, FRAME);
    assert_eq!((strip(&bytes).signal, strip(&bytes).fcs), (Some(-48), true));
    assert_eq!(strip(&bytes).frame, FRAME);
}

#[test]
fn given_a_vendors_namespace_when_read_then_it_is_stepped_over() {
    // A vendor word whose bits mean something else, its OUI, its length, and content that looks like fields.
    let words = [
        SIGNAL | VENDOR | MORE,
        0x7fff_ffff & !(RADIOTAP_AGAIN | VENDOR),
    ];
    let mut fields = vec![-55i8 as u8, 0, 0x00, 0x11, 0x22, 0x00, 6, 0];
    fields.extend([0xee; 6]);
    let bytes = tap(&words, &fields, FRAME);
    assert_eq!(
        (strip(&bytes).signal, strip(&bytes).frame),
        (Some(-55), FRAME)
    );
}

#[test]
fn given_a_timestamp_when_the_present_words_end_at_12_then_it_is_aligned_to_16() {
    // One more word: fields begin at byte 12, the TSFT at 16, flags at 24, channel at 26, signal at 30.
    let words = [1 | FLAGS | CHANNEL | SIGNAL | MORE, 0];
    let mut fields = vec![0xaa; 4];
    fields.extend(0x0102_0304_0506_0708u64.to_le_bytes());
    fields.extend([0x10, 0xbb, 0x6c, 0x09, 0xa0, 0x00, -33i8 as u8]);
    let bytes = tap(&words, &fields, FRAME);
    let received = strip(&bytes);
    assert_eq!(
        (received.signal, received.fcs, received.frame),
        (Some(-33), true, FRAME)
    );
}

#[test]
fn given_flags_when_read_then_fcs_and_its_fault_are_told_apart_from_padding() {
    for (flags, fcs, bad) in [
        (0x00, false, false),
        (0x10, true, false),
        (0x50, true, true),
        (0x40, false, true),
        (0x20, false, false),
    ] {
        let bytes = tap(&[FLAGS], &[flags], FRAME);
        assert_eq!(
            (strip(&bytes).fcs, strip(&bytes).bad_fcs),
            (fcs, bad),
            "{flags:#x}"
        );
    }
}

#[test]
fn given_no_signal_field_when_read_then_it_is_unknown_and_not_zero() {
    let bytes = tap(&[FLAGS | RATE], &[0, 2], FRAME);
    assert_eq!(strip(&bytes).signal, None);
    assert_eq!(strip(&tap(&[0], &[], FRAME)).signal, None);
}

#[test]
fn given_a_header_that_cannot_be_right_when_read_then_it_is_refused() {
    let sound = tap(&[SIGNAL], &[-60i8 as u8], FRAME);
    assert!(Link::Radiotap.strip(&sound).is_some());
    let cases: [(&str, Vec<u8>); 6] = [
        ("version 1", [&[1], &sound[1..]].concat()),
        (
            "longer than the capture",
            [&[0, 0, 200, 0], &sound[4..]].concat(),
        ),
        ("shorter than itself", [&[0, 0, 7, 0], &sound[4..]].concat()),
        ("no field within the header", tap(&[SIGNAL], &[], FRAME)),
        (
            "present words without an end",
            tap(&[MORE, MORE, MORE], &[], FRAME),
        ),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        assert_eq!(Link::Radiotap.strip(&bytes), None, "{what}");
    }
    for length in 0..sound.len() - FRAME.len() {
        assert_eq!(
            Link::Radiotap.strip(&sound[..length]),
            None,
            "cut to {length}"
        );
    }
}

#[test]
fn given_a_ppi_header_when_it_has_common_fields_then_signal_and_fcs_are_taken() {
    let field = |flags: u16, signal: i8| {
        let mut field = vec![0; 20];
        field[8..10].copy_from_slice(&flags.to_le_bytes());
        field[18] = signal as u8;
        field
    };
    let header = |aligned: u8, fields: &[(u16, Vec<u8>)]| {
        let mut body = Vec::new();
        for (kind, content) in fields {
            body.extend(kind.to_le_bytes());
            body.extend(u16::try_from(content.len()).unwrap().to_le_bytes());
            body.extend(content);
            if aligned == 1 {
                body.resize(body.len().next_multiple_of(4), 0);
            }
        }
        let mut bytes = vec![0, aligned];
        bytes.extend(u16::try_from(8 + body.len()).unwrap().to_le_bytes());
        bytes.extend(105u32.to_le_bytes());
        bytes.extend(body);
        bytes.extend(FRAME);
        bytes
    };
    let bytes = header(0, &[(2, field(1, -50))]);
    let received = Link::Ppi.strip(&bytes).unwrap();
    assert_eq!(
        (
            received.signal,
            received.fcs,
            received.bad_fcs,
            received.frame
        ),
        (Some(-50), true, false, FRAME)
    );
    let bytes = header(1, &[(30002, vec![9; 7]), (2, field(5, -128))]);
    let received = Link::Ppi.strip(&bytes).unwrap();
    assert_eq!(
        (received.signal, received.bad_fcs, received.frame),
        (None, true, FRAME)
    );
    let mut other_link = header(0, &[]);
    other_link[4] = 1;
    assert_eq!(Link::Ppi.strip(&other_link), None);
    let mut too_long = header(0, &[(2, field(0, -50))]);
    too_long[10] = 200;
    assert_eq!(Link::Ppi.strip(&too_long), None);
}

#[test]
fn given_prism_headers_in_both_byte_orders_when_read_then_only_a_signal_in_dbm_is_believed() {
    let header = |big: bool, did: u32, status: u16, signal: i32| {
        let word = |value: u32| {
            if big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let half = |value: u16| {
            if big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut bytes = [word(0x44), word(144)].concat();
        bytes.extend([0; 16]);
        for item in 0..10 {
            let (did, signal) = if item == 5 { (did, signal) } else { (7, 99) };
            bytes.extend(word(did));
            bytes.extend(half(status));
            bytes.extend(half(4));
            bytes.extend(word(signal.cast_unsigned()));
        }
        bytes.extend(FRAME);
        bytes
    };
    for (big, did, status, signal, expected) in [
        (false, 0x0006_0044, 0, -71, Some(-71)),
        (false, 0x0000_6041, 0, -72, Some(-72)),
        (true, 0x0006_0044, 0, -73, Some(-73)),
        (false, 0x0006_0044, 1, -71, None),
        (false, 0x0006_0044, 0, 40, None),
        (false, 0x0006_0044, 0, -4000, None),
    ] {
        let bytes = header(big, did, status, signal);
        let received = Link::Prism.strip(&bytes).unwrap();
        assert_eq!(
            (received.signal, received.frame),
            (expected, FRAME),
            "{big} {signal}"
        );
    }
}

#[test]
fn given_an_avs_header_when_read_then_its_signal_counts_only_in_dbm() {
    let header = |unit: u32, signal: i32| {
        let mut bytes = [0x8021_1001u32.to_be_bytes(), 64u32.to_be_bytes()].concat();
        bytes.resize(64, 0);
        bytes[44..48].copy_from_slice(&unit.to_be_bytes());
        bytes[48..52].copy_from_slice(&signal.to_be_bytes());
        bytes.extend(FRAME);
        bytes
    };
    for (unit, expected) in [(2, Some(-66)), (1, None)] {
        let bytes = header(unit, -66);
        let received = Link::Prism.strip(&bytes).unwrap();
        assert_eq!((received.signal, received.frame), (expected, FRAME));
    }
}
