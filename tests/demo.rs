//! The demo, as whoever tries footfall first runs it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;

use program::{ended, footfall, library, skipped};

#[test]
fn what_the_demo_counts_is_what_is_true_and_what_it_stores_arrives() {
    if !library() {
        return;
    }
    let ended = ended(footfall(["demo", "--seconds", "40"]));
    if ended.code == 69 && ended.err.contains("no MQTT broker") {
        return skipped("the demo did NOT run: no MQTT broker (apt install mosquitto)");
    }
    assert_eq!(ended.code, 0, "{ended:#?}");
    assert!(
        ended.out.ends_with("demo: everything agrees\n"),
        "{}",
        ended.out
    );
    let row = |name: &str| -> Vec<u64> {
        let line = ended
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        let words = line.unwrap_or_default().trim_start()[name.len()..].split_whitespace();
        words.map_while(|word| word.parse().ok()).collect()
    };
    let [truth, counted] = row("into the shop")[..] else {
        panic!("{}", ended.out)
    };
    // Nothing that agrees with nothing would be no test.
    assert!(truth > 0 && truth == counted, "{}", ended.out);
    let [stored, received] = row("all")[..] else {
        panic!("{}", ended.out)
    };
    assert!(stored > truth && stored == received, "{}", ended.out);
}

#[test]
fn a_length_that_is_none_is_refused_before_anything_starts() {
    for seconds in ["0", "-5", "nan", "inf", "1e9", "long", ""] {
        let ended = ended(footfall(["demo", &format!("--seconds={seconds}")]));
        assert_eq!(ended.code, 64, "{seconds}: {ended:?}");
        assert_eq!(ended.out, "", "{seconds}");
        let expected = "expected a number of seconds, 1 to 86400";
        let wanted = if seconds.is_empty() {
            "--seconds"
        } else {
            expected
        };
        assert!(ended.err.contains(wanted), "{seconds}: {}", ended.err);
    }
}
