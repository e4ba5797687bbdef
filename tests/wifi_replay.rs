//! `footfall wifi replay` end to end: the same numbers as tshark, and one clear error for what is no capture.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use program::{Ended, Home, data, ended, skipped};
use serde_json::Value;

const CONFIG: &str =
    "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\ntimezone = \"Europe/Prague\"\n";

fn replay(home: &Home, capture: &Path, more: &[&str]) -> Ended {
    let config = home.put("wifi.toml", CONFIG.as_bytes());
    let mut command = home.footfall(["wifi", "replay", "--config"]);
    command.arg(config).args(more).arg(capture);
    ended(command)
}

/// Frames, probe requests, distinct senders of them, and how many of those are locally administered; as tshark says.
fn tshark(capture: &Path) -> Option<[u64; 4]> {
    let fields = |filter: &str| {
        let out = Command::new("tshark")
            .args(["-n", "-r"])
            .arg(capture)
            .args(["-T", "fields", "-e", "frame.number", "-e", "wlan.ta"])
            .args(["-Y", filter])
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        out.status.success().then_some(lines)
    };
    let frames = fields("frame")?.len() as u64;
    let requests = fields("wlan.fc.type_subtype == 4")?;
    let senders: BTreeSet<_> = requests
        .iter()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    let local = |address: &&&str| u8::from_str_radix(&address[..2], 16).unwrap() & 2 != 0;
    let local = senders.iter().filter(local).count() as u64;
    Some([frames, requests.len() as u64, senders.len() as u64, local])
}

fn captures(data: &Path) -> Vec<PathBuf> {
    let mut captures: Vec<_> = ["wifi", "wifi-malformed"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(data.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        })
        .collect();
    captures.sort();
    captures
}

#[test]
fn given_every_capture_of_the_test_data_when_replayed_then_the_numbers_are_tsharks() {
    let Some(data) = data() else {
        return;
    };
    if Command::new("tshark")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        skipped("tshark is not installed (apt-get install tshark)");
        return;
    }
    let home = Home::new();
    let mut compared = 0;
    for capture in captures(&data) {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let ended = replay(&home, &capture, &["--json"]);
        if ended.code == 65 {
            // tshark refuses it too, or it is a capture of something else than Wi-Fi.
            let refused = tshark(&capture).is_none_or(|[_, requests, ..]| requests == 0);
            assert!(refused && ended.out.is_empty(), "{name}: {ended:?}");
            eprintln!("{name}: refused: {}", ended.err.trim());
            continue;
        }
        assert_eq!(ended.code, 0, "{name}: {ended:?}");
        let summary: Value = serde_json::from_str(&ended.out).unwrap();
        let ours = ["frames", "probe_requests", "sources", "local_sources"]
            .map(|key| summary[key].as_u64().unwrap());
        // What we drop and tshark shows: frames marked as damaged, and senders that are groups. None of these has any.
        assert_eq!(
            (&summary["bad_fcs"], &summary["no_sender"]),
            (&0.into(), &0.into()),
            "{name}"
        );
        let theirs = tshark(&capture).unwrap();
        eprintln!("{name}: {ours:?}");
        assert_eq!(
            ours, theirs,
            "{name}: frames, probe requests, sources, local sources"
        );
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn given_what_is_no_capture_when_replayed_then_it_is_one_line_and_exit_65() {
    let home = Home::new();
    let cases: [(&str, &[u8]); 4] = [
        ("empty.pcap", b""),
        (
            "text.pcap",
            b"not a capture, but long enough to hold the header of one",
        ),
        (
            "cut.pcap",
            b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x7f\0\0\0\x01\0\0",
        ),
        (
            "wired.pcap",
            b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0",
        ),
    ];
    for (name, bytes) in cases {
        let ended = replay(&home, &home.put(name, bytes), &["--json"]);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (65, ""),
            "{name}: {ended:?}"
        );
        assert!(
            ended.err.contains(name) && ended.err.trim().lines().count() == 1,
            "{ended:?}"
        );
    }
}

#[test]
fn given_a_capture_that_is_not_there_when_replayed_then_it_is_unavailable() {
    let home = Home::new();
    let ended = replay(&home, &home.path("no.pcap"), &[]);
    assert_eq!(ended.code, 69, "{ended:?}");
    let ended = replay(&home, &home.path("clip"), &[]);
    assert_eq!(ended.code, 69, "a folder: {ended:?}");
}

#[test]
fn given_wrong_settings_when_read_then_each_is_named_with_its_line() {
    let home = Home::new();
    let wrong = "[[wifi]]\nid = \"a\"\ninterface = \"mon0\"\ninterval_min = 7\n\
                 [[wifi]]\nid = \"a\"\ninterface = \"mon0\"\nvisitor_rssi = 3\npeper = \"daily\"\n";
    let config = home.put("wrong.toml", format!("{CONFIG}{wrong}").as_bytes());
    let mut command = home.footfall(["check", "--config"]);
    command.arg(config);
    let ended = ended(command);
    assert_eq!(ended.code, 78, "{ended:?}");
    for said in [
        "wifi[0].interval_min = 7",
        "wifi[1].id",
        "wifi[1].interface",
        "wifi[1].visitor_rssi = 3",
        "did you mean `pepper`?",
    ] {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
}
