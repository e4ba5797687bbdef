//! Network cameras for real: the daemon as a process against the RTSP servers of GStreamer and VLC on loopback. What it
//! counts there is what a replay of the same recording counts, H.264 decoded by itself and H.265 by `ffmpeg`; a camera that
//! goes away comes back, and nothing grows meanwhile.
//!
//! The long ones are ignored by `make test`; `make test-devices` runs them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/camera_shop.rs"]
mod camera_shop;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/rtsp_servers.rs"]
mod rtsp_servers;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use camera_shop::{Shop, config_text};
use footfall::clock::{Clock, SystemClock};
use footfall::sensor::vision::runtime;
use mosquitto::{free_port, put};
use rtsp_servers::{Server, Vlc};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The recording, when everything that these tests need is there; else says what is missing.
fn recording() -> Option<PathBuf> {
    let data = std::env::var_os("FOOTFALL_DATA").map(PathBuf::from);
    let clip = data.map(|data| data.join("clips/pets09-s2l1-view1.mp4"));
    let Some(clip) = clip.filter(|clip| clip.exists()) else {
        eprintln!("SKIPPED: FOOTFALL_DATA names no folder with clips/pets09-s2l1-view1.mp4");
        return None;
    };
    if let Err(why) = runtime::load(None) {
        eprintln!("SKIPPED: {why}");
        return None;
    }
    Some(clip)
}

/// The first seconds of a recording; `None` and a word without `ffmpeg`.
fn cut(clip: &Path, seconds: u32, to: &Path) -> Option<PathBuf> {
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(clip)
        .args(["-t", &seconds.to_string(), "-an", "-c:v", "copy"])
        .arg(to)
        .status();
    match done {
        Ok(status) if status.success() => Some(to.to_owned()),
        _ => {
            eprintln!("SKIPPED: ffmpeg is not installed or cannot cut the recording");
            None
        }
    }
}

/// The same recording in H.265.
fn h265(clip: &Path, to: &Path) -> Option<PathBuf> {
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(clip)
        .args([
            "-an",
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-crf",
            "14",
        ])
        .args(["-x265-params", "log-level=error:keyint=20:bframes=0"])
        .arg(to)
        .status();
    if done.is_ok_and(|status| status.success()) {
        return Some(to.to_owned());
    }
    eprintln!("SKIPPED: ffmpeg is not installed or cannot encode H.265 here");
    None
}

/// In and out of each line, as a replay of the file counts them.
fn replayed(clip: &Path) -> Vec<(String, i64, i64)> {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("footfall.toml");
    put(&config, &config_text(8080, &format!("file = {clip:?}")));
    let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["replay", "--json", "--config"])
        .arg(config)
        .arg(clip)
        .current_dir(ROOT)
        .output()
        .unwrap();
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    let lines = summary["lines"].as_object().unwrap().iter();
    lines
        .map(|(id, sums)| {
            (
                id.clone(),
                sums["in"].as_i64().unwrap(),
                sums["out"].as_i64().unwrap(),
            )
        })
        .collect()
}

/// In and out of one line among the events.
fn counted(events: &[Value], line: &str) -> (i64, i64) {
    let of = |direction: &str| {
        let same = |event: &&Value| {
            event["type"] == "footfall.line.crossed.v1"
                && event["data"]["line"] == line
                && event["data"]["direction"] == direction
        };
        i64::try_from(events.iter().filter(same).count()).unwrap()
    };
    (of("in"), of("out"))
}

/// The states that the camera announced, in order.
fn announced(events: &[Value]) -> Vec<String> {
    let status = |event: &&Value| event["type"] == "footfall.camera.status.v1";
    let name = |event: &Value| event["data"]["status"].as_str().unwrap().to_owned();
    events.iter().filter(status).map(name).collect()
}

fn frames(camera: &Value) -> u64 {
    camera["metrics"]["frames"].as_u64().unwrap_or(0)
}

/// Serves `clip` once and holds what the daemon counted against a replay of the file.
fn counts_like_a_replay(clip: &Path, codec: &str, pictures: u64, transport: &str) {
    let expected = replayed(clip);
    let Some(server) = Server::start(clip, 0, &["--codec", codec]) else {
        return;
    };
    let url = format!("rtsp://127.0.0.1:{}/shop", server.port);
    let shop = Shop::open(&format!("rtsp = {url:?}\ntransport = {transport:?}"));
    // The decoder keeps the last two pictures until the next one comes.
    let camera = shop.wait_for("the end of the recording", |camera| {
        frames(camera) + camera["metrics"]["dropped"].as_u64().unwrap_or(0) + 3 >= pictures
    });
    let (events, log) = shop.close();
    let mut told = String::new();
    for (line, inward, outward) in &expected {
        let (i, o) = counted(&events, line);
        write!(
            told,
            "{line}: live {i} in {o} out, replay {inward} in {outward} out; "
        )
        .unwrap();
        let near = (i - inward).abs() <= 1 && (o - outward).abs() <= 1;
        assert!(near, "{told}\n{camera}\n{log}");
    }
    let metrics = &camera["metrics"];
    eprintln!("{codec} over {transport}: {told}{metrics}");
    let decoder = if codec == "h264" {
        "decoder=\"own\""
    } else {
        "decoder=\"ffmpeg\""
    };
    assert_eq!(log.matches(decoder).count(), 1, "{log}");
    assert!(
        expected.iter().any(|(_, i, o)| i + o > 0),
        "nobody crosses in {clip:?}"
    );
    assert_eq!(metrics["damaged"], 0, "{log}");
    assert!(announced(&events).starts_with(&["ok".to_owned()]));
}

#[test]
fn a_network_camera_is_counted_like_a_replay_of_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = recording().and_then(|clip| cut(&clip, 15, &dir.path().join("short.mp4")))
    else {
        return;
    };
    counts_like_a_replay(&clip, "h264", 150, "tcp");
}

#[test]
#[ignore = "80 seconds each; make test-devices"]
fn the_whole_recording_is_counted_like_a_replay_over_tcp_and_over_udp() {
    let Some(clip) = recording() else { return };
    for transport in ["tcp", "udp"] {
        counts_like_a_replay(&clip, "h264", 795, transport);
    }
}

#[test]
#[ignore = "two minutes; make test-devices"]
fn the_whole_recording_in_h265_is_counted_like_a_replay() {
    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = recording().and_then(|clip| h265(&clip, &dir.path().join("h265.mp4"))) else {
        return;
    };
    counts_like_a_replay(&clip, "h265", 795, "tcp");
}

/// Kills and restarts the server of a camera with a login so often; each time pictures must come back.
fn goes_away(clip: &Path, codec: &str, times: usize) {
    let login = ["--codec", codec, "--user", "viewer", "--password", "right"];
    let Some(mut server) = Server::start(clip, 0, &login) else {
        return;
    };
    let port = server.port;
    let shop = Shop::open(&format!(
        "rtsp = \"rtsp://127.0.0.1:{port}/shop?key=s3cret\"\nusername = \"viewer\"\npassword_file = \"password\""
    ));
    let mut seen = frames(&shop.wait_for("pictures", |camera| frames(camera) >= 10));
    let helpers = usize::from(codec != "h264");
    let mut weights = vec![shop.weight()];
    let mut away = Vec::new();
    let clock = SystemClock::new(true);
    for _ in 0..times {
        tells_no_secret(&shop.helpers(), helpers);
        drop(server);
        let words = shop.wait_for("trouble", |camera| camera["state"] == "trouble");
        assert!(shop.helpers().is_empty(), "a decoder without a camera");
        eprintln!("{}", words["words"]["en"]);
        server = Server::start(clip, port, &login).unwrap();
        let back = clock.now().boot;
        shop.wait_for("a picture again", |camera| {
            camera["state"] == "ok" && frames(camera) > seen
        });
        let took = clock.now().boot.saturating_sub(back);
        away.push(format!("{:.1}", took.as_secs_f64()));
        let camera = shop.wait_for("pictures again", |camera| frames(camera) >= seen + 10);
        seen = frames(&camera);
        weights.push(shop.weight());
    }
    let (events, log) = shop.close();
    eprintln!("{codec}: threads, files, KiB: {weights:?}");
    eprintln!(
        "{codec}: seconds from the server's return to pictures: {}",
        away.join(" ")
    );
    let (first, last) = (weights[1], weights[times]);
    assert!(last.0 <= first.0 && last.1 <= first.1, "{weights:?}");
    assert!(last.2 < first.2 + 8192, "{weights:?}");
    let mut states = announced(&events);
    states.dedup();
    let counted = states.iter().filter(|state| *state == "ok").count();
    assert_eq!(counted, times + 1, "{states:?}");
    assert!(
        !log.contains("right") && !log.contains("s3cret"),
        "a secret is in the log"
    );
}

/// So many helpers, and neither their arguments nor their environment know the camera.
fn tells_no_secret(helpers: &[PathBuf], expected: usize) {
    assert_eq!(helpers.len(), expected, "{helpers:?}");
    for helper in helpers {
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(helper.join(file)).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let secret = ["rtsp:", "127.0.0.1", "viewer", "s3cret"];
            assert!(secret.iter().all(|word| !text.contains(word)), "{text}");
        }
    }
}

#[test]
#[ignore = "five minutes; make test-devices"]
fn a_network_camera_that_goes_away_twenty_times_comes_back_and_nothing_grows() {
    let Some(clip) = recording() else { return };
    goes_away(&clip, "h264", 20);
}

#[test]
#[ignore = "five minutes; make test-devices"]
fn a_camera_with_h265_that_goes_away_twenty_times_comes_back_and_nothing_grows() {
    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = recording().and_then(|clip| h265(&clip, &dir.path().join("h265.mp4"))) else {
        return;
    };
    goes_away(&clip, "h265", 20);
}

#[test]
#[ignore = "a minute; make test-devices"]
fn the_pictures_of_another_kind_of_server_are_counted_on_and_it_may_go_away_too() {
    let Some(clip) = recording() else { return };
    // Where VLC's user can read it.
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = dir.path().join("clip.mp4");
    std::fs::copy(&clip, &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o644)).unwrap();
    let port = free_port();
    let Some(server) = Vlc::start(&copy, port) else {
        return;
    };
    // VLC's server knows UDP only.
    let shop = Shop::open(&format!(
        "rtsp = \"rtsp://127.0.0.1:{port}/shop\"\ntransport = \"udp\""
    ));
    let camera = shop.wait_for("pictures", |camera| frames(camera) >= 150);
    eprintln!("VLC: {}", camera["metrics"]);
    assert_eq!(camera["state"], "ok");
    drop(server);
    let lost = shop.wait_for("trouble", |camera| camera["state"] == "trouble");
    eprintln!("VLC: {}", lost["words"]["en"]);
    let _server = Vlc::start(&copy, port);
    let seen = frames(&lost);
    let camera = shop.wait_for("pictures again", |camera| {
        camera["state"] == "ok" && frames(camera) >= seen + 50
    });
    eprintln!("VLC: {}", camera["metrics"]);
    let (events, log) = shop.close();
    let states = announced(&events);
    assert_eq!(states.last().map(String::as_str), Some("ok"), "{log}");
}

#[test]
#[ignore = "half a minute; make test-devices"]
fn a_camera_that_refuses_the_password_and_one_that_takes_ffmpeg_say_what_to_do_and_tell_no_secret()
{
    let Some(clip) = recording() else { return };
    let dir = tempfile::tempdir().unwrap();
    let login = ["--user", "viewer", "--password", "another"];
    let Some(server) = Server::start(&clip, 0, &login) else {
        return;
    };
    let shop = Shop::open(&format!(
        "rtsp = \"rtsp://127.0.0.1:{}/shop?key=s3cret\"\nusername = \"viewer\"\npassword_file = \"password\"",
        server.port
    ));
    let camera = shop.wait_for("trouble", |camera| camera["state"] == "trouble");
    let words = camera["words"]["en"].as_str().unwrap().to_owned();
    assert!(words.contains("refuses user or password (401)"), "{words}");
    let (events, log) = shop.close();
    assert_eq!(announced(&events), ["lost"]);
    assert!(!log.contains("s3cret") && !log.contains("right"), "{log}");

    let Some(clip) = cut(&clip, 5, &dir.path().join("short.mp4"))
        .and_then(|clip| h265(&clip, &dir.path().join("h265.mp4")))
    else {
        return;
    };
    let server = Server::start(&clip, 0, &["--codec", "h265"]).unwrap();
    let shop = Shop::open_with(
        &format!("rtsp = \"rtsp://127.0.0.1:{}/shop\"", server.port),
        "[ffmpeg]\nprogram = \"/nowhere/ffmpeg\"\n",
    );
    let camera = shop.wait_for("trouble", |camera| camera["state"] == "trouble");
    let words = camera["words"]["en"].as_str().unwrap();
    assert!(
        words.contains("sends H.265, which takes /nowhere/ffmpeg"),
        "{words}"
    );
    assert!(words.contains("apt install ffmpeg"), "{words}");
}
