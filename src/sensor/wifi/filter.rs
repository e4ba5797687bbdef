//! The kernel's share of the work: a classic BPF program that lets only probe requests through to the socket.
//!
//! On a busy channel they are one frame in a hundred; what the kernel does not pass on cannot fill the socket's buffer.
//! The socket's own counting starts after the filter.

use libc::{
    BPF_ABS, BPF_ALU, BPF_B, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LSH, BPF_MISC, BPF_OR,
    BPF_RET, BPF_TAX, BPF_X, sock_filter,
};

use super::link::Link;

/// Version 0, type management, subtype 4: the first byte of a probe request.
const PROBE_REQUEST: u32 = 0x40;
/// Bytes of a frame that are passed on: all of them.
const WHOLE: u32 = 0x4_0000;

/// The program for a kind of header; empty where the kernel cannot find the frame behind it.
#[must_use]
pub fn probe_requests(link: Link) -> Vec<sock_filter> {
    let to_frame = match link {
        Link::Bare => vec![op(BPF_LD | BPF_B | BPF_ABS, 0)],
        // The header's length is little-endian at byte 2; BPF loads big-endian, so one byte at a time. A load beyond the
        // frame's end ends the program with "not passed on".
        Link::Radiotap => vec![
            op(BPF_LD | BPF_B | BPF_ABS, 3),
            op(BPF_ALU | BPF_LSH | BPF_K, 8),
            op(BPF_MISC | BPF_TAX, 0),
            op(BPF_LD | BPF_B | BPF_ABS, 2),
            op(BPF_ALU | BPF_OR | BPF_X, 0),
            op(BPF_MISC | BPF_TAX, 0),
            op(BPF_LD | BPF_B | BPF_IND, 0),
        ],
        Link::Prism | Link::Ppi => return Vec::new(),
    };
    let verdict = [
        sock_filter {
            jf: 1,
            ..op(BPF_JMP | BPF_JEQ | BPF_K, PROBE_REQUEST)
        },
        op(BPF_RET | BPF_K, WHOLE),
        op(BPF_RET | BPF_K, 0),
    ];
    to_frame.into_iter().chain(verdict).collect()
}

/// One instruction. Operation codes have 16 bits; the constants are wider.
const fn op(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}
