//! `footfall evaluate` end to end: recordings whose truth is known, the events of a box, and labels that are wrong.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;
#[path = "common/recording.rs"]
mod recording;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use footfall::demo::SyntheticShop;
use program::{Ended, Home, data, ended, example, footfall, library, models};
use serde_json::Value;

/// Evaluates a clip of the test data with a config of the examples; the document, and the report's text.
fn evaluated(
    data: &Path,
    config: &str,
    threshold: Option<f64>,
    clip: &str,
    truth: &str,
) -> (Value, String) {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    example(config, "yolox-nano-416", threshold, &path("shop.toml"));
    footfall::durable::write(&path("truth.csv"), truth.as_bytes()).unwrap();
    let mut command = footfall(["evaluate", "--json", "--config"]);
    command
        .arg(path("shop.toml"))
        .args(["--truth".as_ref(), path("truth.csv").as_os_str()])
        .args(["--report".as_ref(), path("report.html").as_os_str()])
        .arg(data.join("clips").join(clip))
        .env("FOOTFALL_MODELS", models(data));
    let ended = ended(command);
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = serde_json::from_str(&ended.out).unwrap();
    let report = std::fs::read_to_string(path("report.html")).unwrap();
    (document, report)
}

/// Whoever has moved from one side to the other of a place on a picture of 480 x 360, with 7.5 pixels of hysteresis, by
/// the benchmark's boxes (made for 768 x 576; its frame k is the recording's frame k - 1).
fn pets_truth(data: &Path) -> String {
    let boxes = std::fs::read_to_string(data.join("mot/PETS09-S2L1_gt_raw.txt")).unwrap();
    let mut rows: Vec<Vec<f64>> = boxes
        .lines()
        .map(|line| {
            line.split(',')
                .map(|number| number.parse().unwrap())
                .collect()
        })
        .collect();
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let (mut sides, mut truth) = (BTreeMap::new(), String::from("time,line,direction\n"));
    for row in rows {
        let [frame, person, left, top, width, height] = row[..6] else {
            panic!("{row:?}");
        };
        let (x, foot) = ((left + width / 2.0) * 0.625, (top + height) * 0.625);
        for (line, offset) in [("middle", x - 240.0), ("across", foot - 180.0)] {
            if offset.abs() <= 7.5 {
                continue;
            }
            let inward = offset > 0.0;
            if sides.insert((line, person as u64), inward) == Some(!inward) {
                let direction = if inward { "in" } else { "out" };
                writeln!(truth, "{:.1},{line},{direction}", (frame - 1.0) / 10.0).unwrap();
            }
        }
    }
    truth
}

/// Mistakes and true crossings of a line.
fn mistakes(document: &Value, line: &str) -> (i64, i64) {
    let lines = document["lines"].as_array().unwrap();
    let both = &lines.iter().find(|one| one["line"] == line).unwrap()["both"];
    let number = |name: &str| both[name].as_i64().unwrap();
    let errors = number("missed") + number("false") + number("wrong_direction");
    (errors, number("true"))
}

#[test]
fn a_crossing_of_paths_is_evaluated_against_the_benchmarks_own_truth() {
    let Some(data) = data().filter(|_| library()) else {
        return;
    };
    let truth = pets_truth(&data);
    let (document, report) = evaluated(
        &data,
        "pets-middle.toml",
        Some(0.3),
        "pets09-s2l1-view1.mp4",
        &truth,
    );
    println!("PETS: {}", document["sentence"]);
    for crossing in document["crossings"].as_array().unwrap() {
        if crossing["what"] != "right" {
            println!("  {crossing}");
        }
    }
    // As many as people who know the data count.
    let (middle, across) = (mistakes(&document, "middle"), mistakes(&document, "across"));
    assert_eq!((middle.1, across.1), (32, 30));
    assert!(middle.0 <= 2 && across.0 <= 2, "{middle:?} {across:?}");
    assert!(report.contains("</html>") && report.contains("across"));
}

/// When each of the six is over the line, by eye.
const ONE_BY_ONE: &str = "time,line,direction\n0:18.9,exit,out\n0:44.0,exit,out\n1:09.1,exit,out\n1:26.0,exit,out\n\
    1:58.9,exit,out\n2:15.1,exit,out\n";

#[test]
fn six_who_leave_one_by_one_are_all_found_at_their_time() {
    let Some(data) = data().filter(|_| library()) else {
        return;
    };
    let clip = "one-by-one-person-detection.mp4";
    let (document, report) = evaluated(&data, "one-by-one.toml", None, clip, ONE_BY_ONE);
    assert_eq!(mistakes(&document, "exit"), (0, 6), "{document}");
    assert_eq!(document["total"]["unbalanced_error_percent"], 0.0);
    let notes = document["notes"].to_string();
    assert!(notes.contains("no label names bottom"), "{notes}");
    assert!(report.contains("No mistake."));
}

fn event(number: u32, time: &str, line: &str, direction: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"b/count/{number}","stream":"count","sequence":"{number}","source":"/t/s/b/camera/door","type":"footfall.line.crossed.v1","time":"2026-11-22T10:{time}+08:00","clock":"synced","bootid":"5f0c","boottime":"1.000","datacontenttype":"application/json","data":{{"line":"{line}","direction":"{direction}","track":8,"from":"a","to":"b"}}}}"#
    )
}

/// A box's events, and what somebody with a watch wrote down at the door: one is missed, one is false, and one was sent
/// twice.
fn box_of(home: &Home) {
    let events = [
        event(1, "00:04.000", "door", "in"),
        event(2, "00:30.500", "door", "out"),
        event(2, "00:30.500", "door", "out"),
        event(3, "00:50.000", "door", "in"),
        event(4, "01:10.000", "door", "in"),
        event(5, "30:00.000", "door", "in"),
    ];
    home.put("events.ndjson", events.join("\n").as_bytes());
    let truth = "time,line,direction\n2026-11-22T10:00:05+08:00,door,in\n2026-11-22T02:00:30Z,door,out\n\
        2026-11-22T10:00:40+08:00,door,out\n2026-11-22T10:01:10+08:00,door,in\n";
    home.put("truth.csv", truth.as_bytes());
}

fn evaluate(home: &Home, args: &[&str]) -> Ended {
    let all = ["evaluate", "--truth", "truth.csv"].iter().chain(args);
    ended(home.footfall(all))
}

#[test]
fn an_installed_box_is_evaluated_from_its_events() {
    let home = Home::new();
    box_of(&home);
    let said = evaluate(
        &home,
        &["--events", "events.ndjson", "--report", "report.html"],
    );
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for words in [
        "door  both     4        4      3       1      1          0  50.0 %",
        "2026-11-22T10:00:40.000+08:00  door: missed, somebody went out",
        "2026-11-22T10:00:50.000+08:00  door: counted in, nobody crossed",
        "2 mistakes on 4 true crossings: the error is 50.0 %",
        "watched from the first label to the last",
    ] {
        assert!(said.out.contains(words), "{words}:\n{}", said.out);
    }
    assert!(home.path("report.html").exists());
    // Whoever watched for longer finds the crossing half an hour later to be false as well.
    let to = "2026-11-22T10:40:00+08:00";
    let said = evaluate(&home, &["--events", "events.ndjson", "--to", to, "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(document["total"]["false"], 2, "{document}");
    assert_eq!(
        document["watched"][0]["to"],
        "2026-11-22T10:40:00.000+08:00"
    );
}

#[test]
fn labels_in_seconds_are_placed_by_the_moment_of_second_zero() {
    let home = Home::new();
    box_of(&home);
    let truth = "time;line;direction\n0:05;door;in\n30;door;out\n40;door;out\n1:10;door;in\n";
    home.put("truth.csv", truth.as_bytes());
    let said = evaluate(&home, &["--events", "events.ndjson"]);
    assert_eq!(said.code, 65, "{said:?}");
    assert!(
        said.err.contains("truth.csv, line 2:") && said.err.contains("--start"),
        "{said:?}"
    );
    let start = "2026-11-22T10:00:00+08:00";
    let said = evaluate(&home, &["--events", "events.ndjson", "--start", start]);
    assert!(
        said.out.contains("2 mistakes on 4 true crossings"),
        "{said:?}"
    );
    assert!(
        said.out
            .contains("2026-11-22T10:00:40.000+08:00  door: missed"),
        "{said:?}"
    );
}

#[test]
fn more_mistakes_than_allowed_end_with_exit_code_1_and_no_more_with_0() {
    let home = Home::new();
    box_of(&home);
    let code = |limit: &str| evaluate(&home, &["--events", "events.ndjson", "--fail-above", limit]);
    assert_eq!(code("50").code, 0);
    let said = code("49.9");
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "footfall: 50.0 % of mistakes are more than the 49.9 % of --fail-above\n"
    );
    assert!(
        said.out.contains("door"),
        "the table is printed all the same: {said:?}"
    );
}

#[test]
fn what_is_wrong_with_labels_or_events_is_one_clear_line() {
    let home = Home::new();
    box_of(&home);
    let good = "time,line,direction\n0.1,door,in\n";
    let cases: [(&str, &[&str], i32, &str); 7] = [
        (
            "time,line,direction\n1,door,up\n",
            &["--events", "events.ndjson"],
            65,
            "truth.csv, line 2: \"up\" is no direction; write in or out",
        ),
        (
            "",
            &["--events", "events.ndjson"],
            65,
            "truth.csv, line 1: there is no heading",
        ),
        (
            good,
            &["--events", "missing"],
            69,
            "missing cannot be opened",
        ),
        (
            good,
            &["--events", "truth.csv"],
            65,
            "truth.csv: line 1: no event of footfall",
        ),
        (good, &[], 64, "--config"),
        (good, &["--config", "good.toml"], 64, "<CLIP>"),
        (
            good,
            &["--events", "events.ndjson", "--window", "99"],
            64,
            "expected a number, 0 to 10",
        ),
    ];
    for (truth, args, code, words) in cases {
        home.put("truth.csv", truth.as_bytes());
        let said = evaluate(&home, args);
        assert_eq!(said.code, code, "{args:?}: {said:?}");
        assert!(
            said.err.contains(words) && said.out.is_empty(),
            "{args:?}: {said:?}"
        );
    }
    if !library() {
        return;
    }
    for (row, words) in [
        (
            "0.1,dor,in",
            "line 2: there is no line \"dor\"; did you mean \"door\"?",
        ),
        (
            "9.5,door,in",
            "line 2: second 9.5 is not in the recording, which lasts 0:00.3",
        ),
        (
            "2026-11-22T10:00:00Z,door,in",
            "line 2: a time with a date, but a recording has none",
        ),
    ] {
        home.put(
            "truth.csv",
            format!("time,line,direction\n{row}\n").as_bytes(),
        );
        let said = evaluate(&home, &["--config", "good.toml", "clip"]);
        assert_eq!(said.code, 65, "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
    }
}

#[test]
fn several_recordings_are_told_apart_by_their_names() {
    if !library() {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path("other")).unwrap();
    for picture in ["0.png", "1.png", "2.png"] {
        let [from, to] = ["clip", "other"].map(|dir| home.path(dir).join(picture));
        std::fs::copy(from, to).unwrap();
    }
    home.put(
        "truth.csv",
        b"time,line,direction,recording\n0.1,door,in,clip\n0.1,door,out,other\n",
    );
    let both = ["--config", "good.toml", "clip", "other"];
    let said = evaluate(&home, &both);
    assert!(
        said.out.contains("clip, door: missed, somebody went in"),
        "{said:?}"
    );
    assert!(
        said.out.contains("2 mistakes on 2 true crossings"),
        "{said:?}"
    );
    home.put(
        "truth.csv",
        b"time,line,direction,recording\n0.1,door,in,\n",
    );
    let said = evaluate(&home, &both);
    assert!(
        said.err
            .contains("line 2: with several recordings each label needs"),
        "{said:?}"
    );
}

#[test]
fn a_template_of_what_was_counted_is_a_file_of_labels_that_all_agree() {
    if !library() {
        return;
    }
    let home = Home::new();
    recording::record(&home.path("room"));
    let shop = SyntheticShop::new(3, 20.0, 10.0);
    let points = format!("{:?}", shop.line().points);
    home.config("shop.toml", "[[0.5, 1.0], [0.5, 0.0]]", &points);
    let template = [
        "evaluate",
        "--template",
        "truth.csv",
        "--config",
        "shop.toml",
        "room",
    ];
    let said = ended(home.footfall(template));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    let labels = std::fs::read_to_string(home.path("truth.csv")).unwrap();
    let crossings = labels
        .lines()
        .filter(|line| line.contains(",door,"))
        .count();
    assert!(crossings > 2, "{labels}");
    let said = evaluate(
        &home,
        &["--config", "shop.toml", "--fail-above", "0", "room"],
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out
            .contains(&format!("No mistake on {crossings} true")),
        "{said:?}"
    );
}
