//! Captures built by hand in both formats and byte orders, and broken ones.

use std::io::Cursor;

use super::*;

#[derive(Clone, Copy, Debug)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, value: u16) -> Vec<u8> {
        if self.big {
            value.to_be_bytes().into()
        } else {
            value.to_le_bytes().into()
        }
    }

    fn u32(self, value: u32) -> Vec<u8> {
        if self.big {
            value.to_be_bytes().into()
        } else {
            value.to_le_bytes().into()
        }
    }

    fn u64(self, value: u64) -> Vec<u8> {
        if self.big {
            value.to_be_bytes().into()
        } else {
            value.to_le_bytes().into()
        }
    }
}

const BOTH: [Order; 2] = [Order { big: false }, Order { big: true }];

fn pcap(order: Order, magic: u32, link: u32, records: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
    let mut file = [order.u32(magic), order.u16(2), order.u16(4)].concat();
    file.extend([0; 8]);
    file.extend(order.u32(65535));
    file.extend(order.u32(link));
    for (seconds, fraction, frame, original) in records {
        file.extend(order.u32(*seconds));
        file.extend(order.u32(*fraction));
        file.extend(order.u32(u32::try_from(frame.len()).unwrap()));
        file.extend(order.u32(*original));
        file.extend(*frame);
    }
    file
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(padded + 12).unwrap();
    let mut block = [order.u32(kind), order.u32(length), body.to_vec()].concat();
    block.resize(8 + padded, 0);
    block.extend(order.u32(length));
    block
}

fn section(order: Order) -> Vec<u8> {
    let body = [
        order.u32(0x1a2b_3c4d),
        order.u16(1),
        order.u16(0),
        vec![0xff; 8],
    ]
    .concat();
    block(order, 0x0a0d_0d0a, &body)
}

fn interface(order: Order, link: u16, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = [order.u16(link), order.u16(0), order.u32(0)].concat();
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(u16::try_from(value.len()).unwrap()));
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

fn packet(order: Order, interface: u32, ticks: u64, frame: &[u8], original: u32) -> Vec<u8> {
    let mut body = order.u32(interface);
    body.extend(order.u32((ticks >> 32) as u32));
    body.extend(order.u32(ticks as u32));
    body.extend(order.u32(u32::try_from(frame.len()).unwrap()));
    body.extend(order.u32(original));
    body.extend(frame);
    block(order, 6, &body)
}

type Frame = (Link, String, Vec<u8>, usize);

fn read(file: Vec<u8>) -> Result<Vec<Frame>, SavefileError> {
    let mut savefile = Savefile::new(Path::new("test.pcap"), Box::new(Cursor::new(file)))?;
    let mut frames = Vec::new();
    while let Some(packet) = savefile.next()? {
        frames.push((
            packet.link,
            packet.at.to_string(),
            packet.bytes.to_vec(),
            packet.missing,
        ));
    }
    Ok(frames)
}

fn refused(file: Vec<u8>) -> String {
    match read(file) {
        Err(why @ SavefileError::BadData { .. }) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn given_a_pcap_in_any_byte_order_and_unit_when_read_then_frames_times_and_missing_bytes_are_right()
{
    for order in BOTH {
        for (magic, fraction) in [(0xa1b2_c3d4, 250_000), (0xa1b2_3c4d, 250_000_000)] {
            let records: [(u32, u32, &[u8], u32); 3] = [
                (1, fraction, b"one", 3),
                (2, 0, b"", 9),
                (3, 0, b"three", 2),
            ];
            let frames = read(pcap(order, magic, 127, &records)).unwrap();
            assert_eq!(
                frames,
                [
                    (
                        Link::Radiotap,
                        "1970-01-01T00:00:01.25Z".into(),
                        b"one".to_vec(),
                        0
                    ),
                    (Link::Radiotap, "1970-01-01T00:00:02Z".into(), vec![], 9),
                    (
                        Link::Radiotap,
                        "1970-01-01T00:00:03Z".to_owned(),
                        b"three".to_vec(),
                        0
                    ),
                ],
                "{order:?} {magic:#x}"
            );
        }
    }
}

#[test]
fn given_every_link_type_when_opened_then_wifi_is_read_and_others_are_named() {
    let order = BOTH[0];
    for (link, expected) in [
        (105, Link::Bare),
        (119, Link::Prism),
        (127, Link::Radiotap),
        (192, Link::Ppi),
    ] {
        let frames = read(pcap(order, 0xa1b2_c3d4, link, &[(0, 0, b"x", 1)])).unwrap();
        assert_eq!(frames[0].0, expected);
    }
    let why = refused(pcap(order, 0xa1b2_c3d4, 1, &[]));
    assert!(why.contains("link type 1 ") && why.contains("127"), "{why}");
    // The upper bits tell the length of the FCS, some are reserved.
    assert!(read(pcap(order, 0xa1b2_c3d4, 0x3000_007f, &[])).is_ok());
    refused(pcap(order, 0xa1b2_c3d4, 0x0030_007f, &[]));
}

#[test]
fn given_a_pcapng_when_read_then_each_interface_has_its_own_link_type_and_clock() {
    for order in BOTH {
        let mut file = section(order);
        file.extend(interface(order, 127, &[(2, b"mon0".to_vec()), (0, vec![])]));
        file.extend(interface(
            order,
            105,
            &[(9, vec![9]), (14, order.u64(100)), (0, vec![])],
        ));
        file.extend(interface(order, 1, &[(9, vec![0x80 | 10])]));
        file.extend(block(
            order,
            4,
            b"names of hosts, longer than any packet header",
        ));
        file.extend(packet(order, 0, 1_500_000, b"first", 5));
        file.extend(packet(order, 1, 2_000_000_001, b"second!", 11));
        // A section of its own, in the other byte order.
        let other = Order { big: !order.big };
        file.extend(section(other));
        file.extend(interface(other, 192, &[]));
        file.extend(block(other, 3, &[other.u32(3), b"sim".to_vec()].concat()));
        let frames = read(file).unwrap();
        assert_eq!(
            frames,
            [
                (
                    Link::Radiotap,
                    "1970-01-01T00:00:01.5Z".into(),
                    b"first".to_vec(),
                    0
                ),
                (
                    Link::Bare,
                    "1970-01-01T00:01:42.000000001Z".into(),
                    b"second!".to_vec(),
                    4
                ),
                (
                    Link::Ppi,
                    "1970-01-01T00:00:00Z".to_owned(),
                    b"sim".to_vec(),
                    0
                ),
            ],
            "{order:?}"
        );
    }
}

#[test]
fn given_a_file_cut_anywhere_when_read_then_it_is_one_error_or_ends_between_records() {
    let order = BOTH[0];
    let records: [(u32, u32, &[u8], u32); 2] = [(1, 0, b"one", 3), (2, 0, b"two!", 4)];
    let classic = pcap(order, 0xa1b2_c3d4, 127, &records);
    for length in 0..=classic.len() {
        let sound = [24, 43, 63].contains(&length);
        assert_eq!(
            read(classic[..length].to_vec()).is_ok(),
            sound,
            "pcap cut to {length}"
        );
    }
    let parts = [
        section(order),
        interface(order, 127, &[]),
        packet(order, 0, 5, b"frame", 5),
    ];
    let ends: Vec<_> = (1..=3).map(|n| parts[..n].concat().len()).collect();
    let newer = parts.concat();
    for length in 0..=newer.len() {
        assert_eq!(
            read(newer[..length].to_vec()).is_ok(),
            ends.contains(&length),
            "pcapng cut to {length}"
        );
    }
}

#[test]
fn given_damaged_files_when_read_then_each_is_one_clear_error() {
    let order = BOTH[0];
    let long: (u32, u32, &[u8], u32) = (0, 0, b"", 0);
    let mut too_long = pcap(order, 0xa1b2_c3d4, 127, &[long]);
    too_long[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut old = pcap(order, 0xa1b2_c3d4, 127, &[]);
    old[4] = 1;
    let ng = |blocks: &[Vec<u8>]| [section(order), blocks.concat()].concat();
    let mut lengths_differ = ng(&[interface(order, 127, &[])]);
    *lengths_differ.last_mut().unwrap() ^= 1;
    let many = vec![interface(order, 127, &[]); 1025];
    let cases = [
        (
            "text",
            b"this is no capture at all".to_vec(),
            "no capture file",
        ),
        ("a frame of 4 GB", too_long, "damaged"),
        ("version 1", old, "version 1"),
        ("two lengths", lengths_differ, "lengths differ"),
        (
            "an unknown interface",
            ng(&[packet(order, 3, 0, b"x", 1)]),
            "interface 3",
        ),
        (
            "a wired interface",
            ng(&[interface(order, 1, &[]), packet(order, 0, 0, b"x", 1)]),
            "link type 1",
        ),
        (
            "a unit that cannot be",
            ng(&[interface(order, 127, &[(9, vec![99])])]),
            "unit of time",
        ),
        ("too many interfaces", ng(&many), "interfaces"),
    ];
    for (what, file, expected) in cases {
        let why = refused(file);
        assert!(
            why.contains(expected) && why.contains("test.pcap"),
            "{what}: {why}"
        );
    }
}

#[test]
fn given_mutated_files_when_read_then_nothing_panics_and_memory_stays_small() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let order = BOTH[0];
    let sound = [
        pcap(
            order,
            0xa1b2_c3d4,
            127,
            &[(1, 0, b"one", 3), (2, 0, b"two!", 4)],
        ),
        [
            section(order),
            interface(order, 127, &[(9, vec![6]), (14, vec![0; 8])]),
            packet(order, 0, 5, b"frame", 5),
            block(order, 3, &[3, 0, 0, 0, 1, 2, 3]),
        ]
        .concat(),
    ];
    for _ in 0..20_000 {
        let mut file = random.choice(&sound).unwrap().clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..file.len());
            file[at] = random.u8(..);
        }
        file.truncate(random.usize(..=file.len()));
        let Ok(mut savefile) = Savefile::new(Path::new("x"), Box::new(Cursor::new(file))) else {
            continue;
        };
        while let Ok(Some(_)) = savefile.next() {}
        assert!(savefile.frame.capacity() <= LONGEST_FRAME);
    }
}
