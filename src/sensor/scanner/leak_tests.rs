//! Nothing of a payment code gets past the reader's edge: not into the event, not into its debug form, not into a log
//! at any level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::code::read;
use super::rules::{Rule, Rules};
use super::window::{DuplicateWindow, WINDOW};
use crate::event::{Body, CodeScanned};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every prefix with every length it may have.
fn payment_codes() -> Vec<String> {
    let mut shapes: Vec<(u32, usize)> = (10..=15).map(|prefix| (prefix, 18)).collect();
    shapes.extend((25..=30).flat_map(|prefix| (16..=24).map(move |length| (prefix, length))));
    shapes.push((62, 19));
    let mut codes = Vec::new();
    for (prefix, length) in shapes {
        for tail in ["7913486205", "0000000000", "9999999999", "2712310145"] {
            let digits = tail.chars().cycle().take(length - 2);
            codes.push(format!("{prefix}{}", digits.collect::<String>()));
        }
    }
    codes
}

/// None, every letter with every digit, and some that nobody has heard of.
fn identifiers() -> Vec<String> {
    let letters = ('A'..='Z').chain('a'..='z');
    let all = letters.flat_map(|letter| {
        "0123456789AZ"
            .chars()
            .map(move |modifier| format!("]{letter}{modifier}"))
    });
    std::iter::once(String::new()).chain(all).collect()
}

#[test]
fn a_payment_code_leaves_nothing_but_its_kind() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let only_kind = CodeScanned {
        kind: "payment_code".to_owned(),
        ..CodeScanned::default()
    };
    let greedy = Rules(
        ["1", "2", "3", "6"]
            .map(|prefix| Rule {
                prefix: prefix.to_owned(),
                length: None,
                kind: "member".to_owned(),
                keep: true,
            })
            .to_vec(),
    );
    let (codes, identifiers) = (payment_codes(), identifiers());
    let mut scans = 0u32;
    tracing::subscriber::with_default(subscriber, || {
        tracing::trace!("the log is listening");
        let mut window = DuplicateWindow::new(WINDOW);
        for code in &codes {
            for identifier in &identifiers {
                for (before, after) in [
                    ("", ""),
                    ("", "\r"),
                    ("", "\n"),
                    ("", "\r\n"),
                    ("", "\t"),
                    (" ", " "),
                    ("\u{2}", "\u{3}"),
                    ("", "\0"),
                    ("\u{feff}", ""),
                    ("", "\u{1d}"),
                ] {
                    let payload = format!("{before}{identifier}{code}{after}");
                    let rules = if scans.is_multiple_of(2) {
                        &greedy
                    } else {
                        &Rules::default()
                    };
                    let read = read(payload.as_bytes(), None, rules);
                    assert!(
                        read == only_kind,
                        "prefix {} length {} {identifier:?} {before:?} {after:?}",
                        &code[..2],
                        code.len()
                    );
                    window.pass(
                        std::time::Duration::from_millis(scans.into()),
                        None,
                        payload.as_bytes(),
                    );
                    scans += 1;
                }
            }
        }
    });
    let told = serde_json::to_string(&Body::CodeScanned(only_kind.clone())).unwrap();
    assert_eq!(told, r#"{"kind":"payment_code"}"#);
    let debug = format!("{only_kind:?}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is listening"));
    for code in &codes {
        for length in [6, code.len()] {
            assert!(!log.contains(&code[..length]) && !debug.contains(&code[..length]));
        }
    }
    assert!(
        !debug.chars().any(|letter| letter.is_ascii_digit()),
        "{debug}"
    );
    println!("{} codes, {scans} scans", codes.len());
}

/// With a code that was not recognised, all the worse: what is unknown is withheld.
#[test]
fn a_payment_code_within_something_else_is_not_told_either() {
    for code in payment_codes() {
        for payload in [
            format!("Q{code}"),
            format!("{code}x"),
            format!("pay:{code}"),
            format!("https://pay.example/{code}"),
            format!("https://pay.example/?c={code}"),
            format!("{code}{code}"),
            format!("{code}\r{code}\r"),
            format!("({code})"),
            format!("]C1{code}{code}"),
        ] {
            let told = format!("{:?}", read(payload.as_bytes(), None, &Rules::default()));
            assert!(
                !told.contains(&code[..8]),
                "{}",
                payload.replace(&code, "CODE")
            );
        }
    }
}
