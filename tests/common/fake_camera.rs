//! A network camera that hangs up when it is told to: RTSP (RFC 2326) with everything inside the one connection, one viewer
//! at a time.

#![allow(dead_code)] // each test file uses its own part

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openh264::encoder::Encoder;
use openh264::formats::YUVBuffer;

/// What it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Real pictures.
    H264,
    /// Something with the head of a key frame.
    H265,
}

/// Bytes of one picture as a decoder's helper gets them: with a start code before it and a delimiter behind.
pub const H265_BYTES: usize = 4 + 2 + 11 + 7;

/// Between pictures.
const PAUSE: Duration = Duration::from_millis(2);

/// A camera at work until the process ends.
pub struct FakeCamera {
    pub port: u16,
    /// Set: hangs up, once.
    pub hang_up: Arc<AtomicBool>,
}

/// Starts one.
pub fn start(codec: Codec) -> FakeCamera {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (description, coded) = match codec {
        Codec::H264 => h264(),
        Codec::H265 => h265(),
    };
    let hang_up = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&hang_up);
    std::thread::spawn(move || {
        for viewer in listener.incoming() {
            // A viewer that leaves in the middle is none of the camera's business.
            let _ = serve(&viewer.unwrap(), port, &description, &coded, &told);
        }
    });
    FakeCamera { port, hang_up }
}

/// The lines of the description that are the codec's, and one coded picture as units without start codes.
fn h264() -> (String, Vec<Vec<u8>>) {
    let (width, height) = (64_usize, 48_usize);
    let pixels: Vec<u8> = (0..width * height * 3 / 2)
        .map(|at| (at % 251) as u8)
        .collect();
    let mut encoder = Encoder::new().unwrap();
    let stream = encoder
        .encode(&YUVBuffer::from_vec(pixels, width, height))
        .unwrap()
        .to_vec();
    let units = units(&stream);
    let of = |kind: u8| units.iter().find(|unit| unit[0] & 31 == kind).unwrap();
    let sets = [7, 8].map(|kind| STANDARD.encode(of(kind)));
    let slices = units
        .iter()
        .filter(|unit| unit[0] & 31 == 5)
        .cloned()
        .collect();
    let description = format!(
        "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\n",
        sets.join(",")
    );
    (description, slices)
}

fn h265() -> (String, Vec<Vec<u8>>) {
    // IDR_W_RADL (ITU-T H.265, table 7-1), and eleven bytes that nobody looks at.
    let unit = [&[0x26, 0x01][..], b"key picture"].concat();
    ("a=rtpmap:96 H265/90000\r\n".to_owned(), vec![unit])
}

/// The units between the start codes of a raw stream.
fn units(stream: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (0..stream.len())
        .filter(|at| stream[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).map(|next| {
        let zeros = stream[..*next].iter().rev().take_while(|byte| **byte == 0);
        next - zeros.count()
    });
    let ends: Vec<usize> = ends.chain([stream.len()]).collect();
    let each = starts.iter().zip(ends);
    each.map(|(start, end)| stream[start + 3..end].to_vec())
        .collect()
}

fn serve(
    mut viewer: &TcpStream,
    port: u16,
    description: &str,
    coded: &[Vec<u8>],
    hang_up: &AtomicBool,
) -> std::io::Result<()> {
    viewer.set_nodelay(true)?;
    let mut lines = BufReader::new(viewer).lines();
    loop {
        let mut request = Vec::new();
        loop {
            let Some(line) = lines.next() else {
                return Ok(());
            };
            match line? {
                end if end.is_empty() => break,
                line => request.push(line),
            }
        }
        let method = request[0].split(' ').next().unwrap_or_default().to_owned();
        let sequence = request
            .iter()
            .find(|line| line.starts_with("CSeq:"))
            .unwrap();
        let base = format!("rtsp://127.0.0.1:{port}/live/");
        let (head, body) = match method.as_str() {
            "DESCRIBE" => (
                format!("Content-Base: {base}\r\nContent-Type: application/sdp\r\n"),
                format!(
                    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n{description}a=control:track1\r\n"
                ),
            ),
            "SETUP" => (
                "Session: 7\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n".to_owned(),
                String::new(),
            ),
            "PLAY" => (
                format!("Session: 7\r\nRTP-Info: url={base}track1;seq=0;rtptime=0\r\n"),
                String::new(),
            ),
            _ => (String::new(), String::new()),
        };
        let length = body.len();
        write!(
            viewer,
            "RTSP/1.0 200 OK\r\n{sequence}\r\n{head}Content-Length: {length}\r\n\r\n{body}"
        )?;
        if method == "PLAY" {
            break;
        }
    }
    let (mut sequence, mut picture) = (0_u16, 0_u32);
    while !hang_up.swap(false, Ordering::Relaxed) {
        for (at, unit) in coded.iter().enumerate() {
            let marker = if at + 1 == coded.len() { 0x80 } else { 0 };
            let mut packet = vec![0x80, 96 | marker];
            packet.extend(sequence.to_be_bytes());
            packet.extend((picture * 9000).to_be_bytes());
            packet.extend(7_u32.to_be_bytes());
            packet.extend(unit);
            let length = u16::try_from(packet.len()).unwrap();
            viewer.write_all(&[&[b'$', 0][..], &length.to_be_bytes(), &packet].concat())?;
            sequence = sequence.wrapping_add(1);
        }
        picture += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
