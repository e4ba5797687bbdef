//! The filter in the kernel itself: any socket takes one, so no rights and no interface are needed.

use std::os::unix::net::UnixDatagram;

use super::super::filter::probe_requests;
use super::super::link::Link;
use super::*;

/// Which of `frames` come through the filter.
fn passed(link: Link, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (near, far) = UnixDatagram::pair().unwrap();
    attach(near.as_fd(), &probe_requests(link)).unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let mut passed = Vec::new();
    let mut buffer = vec![0; 100_000];
    for frame in frames {
        // A frame that is filtered out is an error to its sender on this kind of socket.
        let _ = far.send(frame);
        if let Ok(length) = near.recv(&mut buffer) {
            passed.push(buffer[..length].to_vec());
        }
    }
    passed
}

fn tapped(header: usize, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; header];
    bytes[2..4].copy_from_slice(&u16::try_from(header).unwrap().to_le_bytes());
    bytes.extend(frame);
    bytes
}

#[test]
fn given_radiotap_headers_of_any_length_when_filtered_then_probe_requests_pass_whole_and_others_do_not()
 {
    let body = vec![7; 1500];
    let request = [&[0x40, 0][..], &body].concat();
    let beacon = [&[0x80, 0][..], &body].concat();
    let lengths = [8, 13, 36, 0x40, 0xff, 0x100, 0x140, 0x1234, 0x7ff0];
    let frames: Vec<_> = lengths
        .iter()
        .flat_map(|header| [tapped(*header, &request), tapped(*header, &beacon)])
        .collect();
    let expected: Vec<_> = lengths
        .iter()
        .map(|header| tapped(*header, &request))
        .collect();
    assert!(passed(Link::Radiotap, &frames) == expected);
}

#[test]
fn given_headers_that_point_beyond_the_frame_when_filtered_then_they_do_not_pass() {
    let frames = [
        vec![0, 0, 255, 255, 0, 0, 0, 0, 0x40],
        vec![0, 0],
        vec![0x40],
    ];
    assert_eq!(passed(Link::Radiotap, &frames), Vec::<Vec<u8>>::new());
}

#[test]
fn given_frames_without_headers_when_filtered_then_the_first_byte_decides() {
    let frames = [vec![0x40, 1], vec![0x80, 2], vec![0x48, 3], vec![0x40, 4]];
    assert_eq!(passed(Link::Bare, &frames), [vec![0x40, 1], vec![0x40, 4]]);
}

#[test]
fn given_prism_headers_when_filtered_then_everything_passes() {
    let frames = [vec![0x44, 0, 0, 0], vec![1]];
    assert_eq!(passed(Link::Prism, &frames), frames);
}
