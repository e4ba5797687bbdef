use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::SystemClock;

/// A camera that answers each request of its one viewer with what `answer` says to it and its `CSeq`.
fn camera(answer: impl Fn(&str, &str) -> Option<String> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while let Some((request, sequence)) = request(&stream) {
            let Some(text) = answer(&request, &sequence) else {
                // Says nothing until the viewer leaves.
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                return;
            };
            let _ = stream.write_all(text.as_bytes());
        }
    });
    port
}

/// The whole head of the next request, and its sequence number.
fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut head = String::new();
    let mut lines = BufReader::with_capacity(1, stream).lines();
    loop {
        let line = lines.next()?.ok()?;
        if line.is_empty() {
            break;
        }
        head += &line;
        head += "\n";
    }
    let sequence = head.lines().find_map(|line| line.strip_prefix("CSeq: "))?;
    let sequence = sequence.to_owned();
    Some((head, sequence))
}

fn source(port: u16, spec: impl FnOnce(&mut RtspSpec)) -> Rtsp {
    let mut wanted = RtspSpec {
        url: address(&format!("rtsp://127.0.0.1:{port}/live?key=s3cret")).unwrap(),
        username: None,
        password_file: None,
        transport: Transport::Tcp,
        decoder: Decoder::Auto,
        ffmpeg: Settings::default(),
    };
    spec(&mut wanted);
    let clock = Arc::new(SystemClock::new(true));
    Rtsp::new(wanted, clock, Arc::default(), Counter::default())
}

/// What is said when the first frame is wanted; afterwards the source is over.
fn trouble(mut source: Rtsp) -> String {
    let error = source.next_frame(&mut Frame::default()).unwrap_err();
    assert_eq!(source.next_frame(&mut Frame::default()).unwrap(), Next::End);
    let words = error.words();
    assert_ne!(words.en, words.zh);
    assert!(!words.zh.contains("s3cret") && !words.zh.contains("hunter2"));
    words.en
}

#[test]
fn an_address_with_a_password_or_of_another_kind_is_refused() {
    assert!(address("rtsp://10.0.0.5/Streaming/Channels/102").is_ok());
    assert!(address("rtsp://[fe80::1]:8554/a?b=c").is_ok());
    for wrong in [
        "10.0.0.5/live",
        "http://10.0.0.5/",
        "rtsps://10.0.0.5/",
        "rtsp://",
        "",
    ] {
        assert!(address(wrong).unwrap_err().contains("expected"), "{wrong}");
    }
    let secret = address("rtsp://admin:hunter2@10.0.0.5/live").unwrap_err();
    assert!(secret.contains("password_file") && !secret.contains("hunter2"));
}

#[test]
fn a_camera_that_is_not_there_is_named_by_host_and_port_alone() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let words = trouble(source(port, |_| {}));
    let expected = format!("127.0.0.1:{port}: no connection to the camera (Connection refused");
    assert!(words.starts_with(&expected), "{words}");
    assert!(!words.contains("s3cret"), "{words}");
}

#[test]
fn a_camera_that_refuses_the_login_is_told_apart_and_no_secret_is_repeated() {
    let port = camera(|request, sequence| {
        assert!(
            !request.contains("hunter2"),
            "the password travels in the clear"
        );
        Some(format!(
            "RTSP/1.0 401 Unauthorized\r\nCSeq: {sequence}\r\n\
             WWW-Authenticate: Digest realm=\"shop\", nonce=\"11\"\r\n\r\n"
        ))
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    super::super::testing::write(&file, b"hunter2\r\n");
    assert_eq!(password(&file).unwrap(), "hunter2");
    let words = trouble(source(port, |spec| {
        spec.username = Some("admin".into());
        spec.password_file = Some(file);
    }));
    assert!(words.contains("refuses user or password (401)"), "{words}");
    assert!(
        !words.contains("hunter2") && !words.contains("s3cret"),
        "{words}"
    );
}

#[test]
fn a_password_file_that_is_missing_is_named() {
    let words = trouble(source(1, |spec| {
        spec.username = Some("admin".into());
        spec.password_file = Some("/no/such/password".into());
    }));
    assert!(
        words.starts_with("/no/such/password: the password cannot be read"),
        "{words}"
    );
}

#[test]
fn a_camera_whose_video_nobody_can_decode_is_told_what_it_sends_and_what_to_choose() {
    let port = camera(|_, sequence| {
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n\
                   m=video 0 RTP/AVP 97\r\na=rtpmap:97 MP4V-ES/90000\r\na=control:1\r\n\
                   m=audio 0 RTP/AVP 0\r\na=control:2\r\n";
        Some(format!(
            "RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        ))
    });
    let words = trouble(source(port, |_| {}));
    assert!(
        words.contains("the camera sends mp4v-es; choose H.264"),
        "{words}"
    );
}

#[test]
fn what_is_no_rtsp_at_all_is_one_clear_error() {
    let port = camera(|_, _| Some("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()));
    let words = trouble(source(port, |_| {}));
    assert!(words.contains("it breaks the RTSP protocol"), "{words}");
}

#[test]
fn a_source_that_waits_for_a_silent_camera_ends_when_it_is_told_to() {
    let port = camera(|_, _| None);
    let mut source = source(port, |_| {});
    let stop = Arc::clone(&source.stop);
    let waiting = std::thread::spawn(move || source.next_frame(&mut Frame::default()).unwrap());
    stop.ask();
    assert_eq!(waiting.join().unwrap(), Next::End);
}
