use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::clock::FakeClock;

const PIN: &str = "274916";

fn pin(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                axum::http::HeaderName::from_static(name),
                value.parse().unwrap(),
            )
        })
        .collect()
}

fn gate(dir: &std::path::Path) -> (Gate, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::at(Timestamp::UNIX_EPOCH));
    let path = dir.join("pin");
    pin::write(&path, PIN).unwrap();
    let access = Access {
        pin_file: Some(path),
        metrics_open: false,
    };
    (Gate::new(access, Arc::clone(&clock) as SharedClock), clock)
}

async fn token_of(gate: &Gate, text: &str) -> String {
    match gate.enter(pin(text)).await {
        Entry::In(token) => token,
        _ => panic!("not let in"),
    }
}

fn with(token: &str) -> HeaderMap {
    headers(&[("cookie", &format!("a=b; {COOKIE}={token}; c=d"))])
}

#[tokio::test]
async fn five_wrong_pins_lock_even_the_right_one_out_and_time_lets_it_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, clock) = gate(dir.path());
    for left in [4, 3, 2, 1] {
        assert!(matches!(gate.enter(pin("000000")).await, Entry::Wrong(n) if n == left));
    }
    assert!(matches!(gate.enter(pin("000000")).await, Entry::Locked(_)));
    assert!(matches!(gate.enter(pin(PIN)).await, Entry::Locked(_)));
    clock.advance(Duration::from_secs(60));
    let token = token_of(&gate, PIN).await;
    assert_eq!(URL_SAFE_NO_PAD.decode(&token).unwrap().len(), 32);
    assert!(gate.knows(&with(&token), true));
    assert!(!gate.knows(&with("forged"), true) && !gate.knows(&HeaderMap::new(), true));
    gate.leave(&with(&token));
    assert!(!gate.knows(&with(&token), true));
}

#[tokio::test]
async fn a_new_pin_counts_at_once_and_ends_the_sessions_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, _clock) = gate(dir.path());
    let old = token_of(&gate, PIN).await;
    pin::write(&dir.path().join("pin"), "835207").unwrap();
    assert!(matches!(gate.enter(pin(PIN)).await, Entry::Wrong(4)));
    let new = token_of(&gate, "835207").await;
    assert!(gate.knows(&with(&new), true) && !gate.knows(&with(&old), true));
}

#[tokio::test]
async fn without_its_file_nobody_gets_in_and_the_words_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, _clock) = gate(dir.path());
    std::fs::remove_file(dir.path().join("pin")).unwrap();
    let Entry::NoPin(words) = gate.enter(pin(PIN)).await else {
        panic!("let in");
    };
    assert!(words.en.contains("footfall status pin --file"), "{words:?}");
    assert!(words.zh.contains("footfall status pin --file"), "{words:?}");
}

#[test]
fn only_a_loopback_connection_to_a_loopback_name_is_on_the_box() {
    let here: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:5000".parse().unwrap();
    let there: SocketAddr = "192.168.1.9:5000".parse().unwrap();
    for host in [
        "127.0.0.1:8080",
        "localhost",
        "LOCALHOST:1",
        "[::1]:8080",
        "127.0.0.1",
    ] {
        assert!(on_the_box(here, &headers(&[("host", host)])), "{host}");
        assert!(on_the_box(mapped, &headers(&[("host", host)])), "{host}");
        assert!(!on_the_box(there, &headers(&[("host", host)])), "{host}");
    }
    for host in [
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "192.168.1.4",
        "",
        "[",
        ":80",
    ] {
        assert!(!on_the_box(here, &headers(&[("host", host)])), "{host}");
    }
    assert!(!on_the_box(here, &HeaderMap::new()));
    let proxied = headers(&[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")]);
    assert!(!on_the_box(here, &proxied));
}

#[test]
fn a_post_from_another_site_or_from_nowhere_is_not_ours() {
    let host = ("host", "10.0.0.5:8080");
    assert!(same_origin(&headers(&[
        host,
        ("origin", "http://10.0.0.5:8080")
    ])));
    for origin in [
        "http://10.0.0.5",
        "http://evil.example",
        "null",
        "ftp://10.0.0.5:8080",
        "",
    ] {
        assert!(
            !same_origin(&headers(&[host, ("origin", origin)])),
            "{origin}"
        );
    }
    assert!(!same_origin(&headers(&[host])));
    assert!(!same_origin(&HeaderMap::new()));
}
