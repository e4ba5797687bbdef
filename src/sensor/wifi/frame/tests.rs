//! Probe requests built by hand, and millions of broken ones.

use super::*;

const PHONE: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

/// A probe request: wildcard network name, rates.
fn request(source: [u8; 6]) -> Vec<u8> {
    let mut frame = vec![0x40, 0, 0, 0];
    frame.extend([0xff; 6]);
    frame.extend(source);
    frame.extend([0xff; 6]);
    frame.extend((1234u16 << 4).to_le_bytes());
    frame.extend([0, 0, 1, 4, 2, 4, 11, 22]);
    frame
}

fn with_flags(flags: u8, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 10, 0, 0x22, 0, 0, 0, flags, -60i8 as u8];
    bytes.extend(frame);
    bytes
}

fn bare(frame: &[u8]) -> Heard {
    read(Link::Bare, frame, 0)
}

fn probe_of(heard: Heard) -> Probe {
    let Heard::Probe(probe) = heard else {
        panic!("{heard:?}");
    };
    probe
}

#[test]
fn given_a_probe_request_when_read_then_sender_sequence_and_signal_are_exact() {
    let expected = Probe {
        source: Address::new(PHONE),
        signal: Some(-60),
        retry: false,
        sequence: Some(1234),
        truncated: false,
    };
    let bytes = with_flags(0, &request(PHONE));
    assert_eq!(read(Link::Radiotap, &bytes, 0), Heard::Probe(expected));
    let mut again = request(PHONE);
    again[1] |= 0x08;
    assert!(probe_of(bare(&again)).retry);
}

#[test]
fn given_a_frame_without_fcs_when_read_then_nothing_is_cut_and_with_fcs_four_bytes_are() {
    let without = with_flags(0x00, &request(PHONE));
    assert!(!probe_of(read(Link::Radiotap, &without, 0)).truncated);
    // Elements must end exactly with the frame: one byte too many or too few would be seen.
    let with = with_flags(
        0x10,
        &[request(PHONE), vec![0xde, 0xad, 0xbe, 0xef]].concat(),
    );
    assert!(!probe_of(read(Link::Radiotap, &with, 0)).truncated);
    let cut_anyway = with_flags(0x10, &request(PHONE));
    assert!(probe_of(read(Link::Radiotap, &cut_anyway, 0)).truncated);
    // The capture itself left the last bytes out: the FCS is not there to be cut.
    let snapped = with_flags(0x10, &request(PHONE));
    assert!(!probe_of(read(Link::Radiotap, &snapped, 4)).truncated);
    let more_than_the_frame = with_flags(0x10, &[0x40, 0, 0]);
    assert_eq!(
        read(Link::Radiotap, &more_than_the_frame, 0),
        Heard::TooShort
    );
}

#[test]
fn given_a_bad_fcs_when_read_then_the_frame_is_dropped_whatever_it_holds() {
    let bytes = with_flags(0x50, &request(PHONE));
    assert_eq!(read(Link::Radiotap, &bytes, 0), Heard::BadFcs);
}

#[test]
fn given_other_frames_when_read_then_only_probe_requests_count() {
    for control in [0x00, 0x48, 0x50, 0x80, 0x84, 0x41, 0xd4] {
        let mut frame = request(PHONE);
        frame[0] = control;
        assert_eq!(bare(&frame), Heard::Other, "{control:#x}");
    }
}

#[test]
fn given_the_address_of_a_group_as_sender_when_read_then_nobody_is_counted() {
    assert_eq!(bare(&request([0x03, 0, 0, 0, 0, 1])), Heard::NoSender);
    assert_eq!(bare(&request([0xff; 6])), Heard::NoSender);
}

#[test]
fn given_a_frame_cut_anywhere_when_read_then_what_was_read_is_kept_and_the_cut_is_told() {
    let whole = request(PHONE);
    for length in 0..=whole.len() {
        let heard = bare(&whole[..length]);
        // Whole elements end at 24, 26 and 32.
        let sound = [24, 26, 32].contains(&length);
        match length {
            0..16 => assert_eq!(heard, Heard::TooShort, "{length}"),
            _ => {
                let probe = probe_of(heard);
                assert_eq!(probe.source, Address::new(PHONE));
                assert_eq!(probe.sequence, (length >= 24).then_some(1234), "{length}");
                assert_eq!(probe.truncated, !sound, "{length}");
            }
        }
    }
}

#[test]
fn given_an_ht_control_field_or_a_sealed_body_when_read_then_elements_are_looked_for_where_they_are()
 {
    let mut frame = request(PHONE);
    frame[1] = 0x80;
    frame.splice(24..24, [0x01, 0x02, 0x03, 0x09]);
    assert!(!probe_of(bare(&frame)).truncated);
    let mut sealed = request(PHONE);
    sealed[1] = 0x40;
    sealed.push(9);
    assert!(!probe_of(bare(&sealed)).truncated);
}

#[test]
fn given_an_address_when_shown_for_debugging_then_it_is_not() {
    assert_eq!(format!("{:?}", Address::new(PHONE)), "Address(not shown)");
    let heard = format!("{:?}", bare(&request(PHONE)));
    assert!(heard.contains("source: Address(not shown)"), "{heard}");
}

#[test]
fn given_random_and_global_addresses_when_asked_then_the_local_bit_decides() {
    assert!(Address::new(PHONE).is_random());
    assert!(!Address::new([0x3c, 0, 0, 0, 0, 0]).is_random());
}

/// `FOOTFALL_TORTURE=1` runs ten million.
#[test]
fn given_mutated_frames_of_every_kind_when_read_then_nothing_panics() {
    let rounds = if std::env::var_os("FOOTFALL_TORTURE").is_some() {
        10_000_000
    } else {
        200_000
    };
    let seed = std::env::var("FOOTFALL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    eprintln!("{rounds} frames, FOOTFALL_SEED={seed}");
    let sound = sound_frames();
    let mut kinds = [0u64; 6];
    let mut bytes = Vec::new();
    for _ in 0..rounds {
        let (link, original) = &sound[random.usize(..sound.len())];
        bytes.clear();
        bytes.extend(original);
        for _ in 0..random.usize(..8) {
            mutate(&mut bytes, &mut random);
        }
        let heard = read(*link, &bytes, random.usize(..8));
        kinds[match heard {
            Heard::Probe(_) => 0,
            Heard::NoSender => 1,
            Heard::Other => 2,
            Heard::BadFcs => 3,
            Heard::TooShort => 4,
            Heard::Malformed => 5,
        }] += 1;
    }
    eprintln!("probe, no sender, other, bad FCS, too short, malformed: {kinds:?}");
    assert!(
        kinds.iter().all(|count| *count > 0),
        "{kinds:?}: not everything was reached"
    );
}

fn sound_frames() -> Vec<(Link, Vec<u8>)> {
    let frame = request(PHONE);
    let mut rich = vec![0, 0, 44, 0];
    // Every field of the first word, two more words, one of them a vendor's.
    for word in [0xe080_082fu32, 0xa000_0820, 0x0000_0001] {
        rich.extend(word.to_le_bytes());
    }
    rich.resize(44, 0);
    rich.extend(&frame);
    let mut ppi = vec![0, 0, 32, 0, 105, 0, 0, 0, 2, 0, 20, 0];
    ppi.resize(32, 0);
    ppi.extend(&frame);
    let mut prism = [0x44u32.to_le_bytes(), 144u32.to_le_bytes()].concat();
    prism.resize(144, 0);
    prism.extend(&frame);
    let mut avs = [0x8021_1001u32.to_be_bytes(), 64u32.to_be_bytes()].concat();
    avs.resize(64, 0);
    avs.extend(&frame);
    vec![
        (Link::Bare, frame.clone()),
        (Link::Radiotap, with_flags(0x10, &frame)),
        (Link::Radiotap, rich),
        (Link::Ppi, ppi),
        (Link::Prism, prism),
        (Link::Prism, avs),
    ]
}

fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    let length = bytes.len();
    match random.u8(..5) {
        0 if length > 0 => bytes[random.usize(..length)] = random.u8(..),
        1 if length > 0 => bytes[random.usize(..length)] ^= 1 << random.u8(..8),
        2 => bytes.truncate(random.usize(..=length)),
        3 if length < 4096 => {
            let more = random.usize(..64);
            bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(more));
        }
        // Lengths and present words are where parsers go wrong.
        _ if length > 8 => {
            let at = random.usize(..8);
            bytes[at] = *random.choice(&[0, 1, 7, 8, 0x7f, 0x80, 0xff]).unwrap();
        }
        _ => {}
    }
}
