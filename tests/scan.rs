//! `footfall scan` as people and scripts call it.

#![allow(clippy::unwrap_used)] // a test may

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn scan(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .arg("scan")
        .args(args)
        .env("FOOTFALL_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not ask for its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn parse_prints_one_document_of_what_would_be_sent() {
    let output = scan(
        &["parse", "]C1010950600013435210AB-1{GS}17271231", "--json"],
        b"",
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        json(&output),
        json!({
            "kind": "gs1", "symbology": "GS1-128", "gtin": "09506000134352", "check_digit_ok": true,
            "elements": {"01": "09506000134352", "10": "AB-1", "17": "271231"},
            "dates": {"17": "2027-12-31"},
            "digital_link": "https://id.gs1.org/01/09506000134352/10/AB-1?17=271231",
        })
    );
}

#[test]
fn a_payment_code_is_shown_neither_on_output_nor_in_the_log_at_any_level() {
    for args in [&["parse", "-", "--json"][..], &["parse", "-"]] {
        let output = scan(args, b"]Q1134567890123456789\r\n");
        assert_eq!(output.status.code(), Some(0));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("payment_code"), "{said}");
        assert!(
            !said.chars().any(|letter| letter.is_ascii_digit()),
            "{said}"
        );
    }
}

#[test]
fn a_text_that_is_too_long_is_bad_data() {
    let output = scan(&["parse", "-"], &[b'1'; 5000]);
    assert_eq!(output.status.code(), Some(65));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("longer than 4096 bytes") && !said.contains("1111"),
        "{said}"
    );
}

#[test]
fn pictures_that_are_none_or_not_there_are_named_and_the_others_are_told() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    image::GrayImage::from_pixel(50, 50, image::Luma([255]))
        .save(path("blank.png"))
        .unwrap();
    std::fs::copy("Cargo.toml", path("text.png")).unwrap();

    let output = scan(
        &[
            "decode",
            "--json",
            &path("text.png"),
            &path("blank.png"),
            &path("gone.png"),
        ],
        b"",
    );
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(
        json(&output),
        json!([{"image": path("blank.png"), "codes": []}])
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("text.png: no picture") && said.contains("gone.png: "),
        "{said}"
    );

    assert_eq!(
        scan(&["decode", &path("gone.png")], b"").status.code(),
        Some(69)
    );
    assert_eq!(scan(&["decode"], b"").status.code(), Some(64));
}
