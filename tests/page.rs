//! The page, the API and the metrics of the real program, as a browser, a scraper and an attacker meet them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may

#[path = "common/formats.rs"]
mod formats;
#[path = "common/program.rs"]
mod program;
#[path = "common/recording.rs"]
mod recording;
#[path = "common/site.rs"]
mod site;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use formats::{matches_schema, prometheus};
use program::{Home, ended, library, skipped};
use serde_json::Value;
use site::{ELSEWHERE, PIN, Site, shop_camera};

#[test]
fn who_is_not_on_the_box_sees_nothing_without_the_pin_and_everything_with_it() {
    let home = Home::new();
    let site = Site::with_pin(&home, "", "");
    // The page comes before the sensors are set up.
    for _ in 0..600 {
        if site.get("/readyz").status == 200 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut session = String::new();
    for round in ["before", "after"] {
        let inside = round == "after";
        for path in [
            "/",
            "/sensors",
            "/cloud",
            "/box",
            "/camera/door",
            "/nowhere",
        ] {
            let answer = site.ask(&format!("GET {path}"), ELSEWHERE, &session, "");
            let expected = match path {
                _ if !inside => 303,
                "/nowhere" => 404,
                _ => 200,
            };
            assert_eq!(answer.status, expected, "{round} {path}: {answer:?}");
            // Also on the box, also when the address is not ours.
            assert_eq!(site.get(path).status, 303, "{path}");
        }
        for path in [
            "/api/v1/status",
            "/api/v1/openapi.json",
            "/metrics",
            "/preview/x.jpg",
            "/live?at=/x",
        ] {
            let answer = site.ask(&format!("GET {path}"), ELSEWHERE, &session, "");
            let expected = match path {
                _ if !inside => 401,
                "/preview/x.jpg" | "/live?at=/x" => 404,
                _ => 200,
            };
            assert_eq!(answer.status, expected, "{round} {path}: {answer:?}");
        }
        for path in [
            "/healthz",
            "/readyz",
            "/login",
            "/page.css",
            "/page.js",
            "/icon.svg",
        ] {
            assert_eq!(
                site.ask(&format!("GET {path}"), ELSEWHERE, "", "").status,
                200,
                "{path}"
            );
        }
        if !inside {
            session = site.log_in(PIN).session();
        }
    }
    // Programs on the box need no PIN; under another name, or through a proxy, nobody is on the box.
    for path in ["/api/v1/status", "/metrics"] {
        assert_eq!(site.get(path).status, 200, "{path}");
        let proxied = site.ask(
            &format!("GET {path}"),
            &site.host(),
            "X-Forwarded-For: 1.2.3.4\r\n",
            "",
        );
        assert_eq!(proxied.status, 401, "{path}");
    }
    let origin = format!("{session}Origin: http://{ELSEWHERE}\r\n");
    assert_eq!(site.ask("POST /logout", ELSEWHERE, &origin, "").status, 303);
    assert_eq!(site.ask("GET /", ELSEWHERE, &session, "").status, 303);

    let report = ended(home.footfall(["status", "--json", "--at", &site.host()]));
    assert_eq!(report.code, 0, "{report:?}");
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn five_wrong_pins_lock_the_right_one_out_and_the_words_say_how_long() {
    let home = Home::new();
    let site = Site::with_pin(&home, "", "");
    let session = site.log_in(PIN).session();
    for left in (1..=4).rev() {
        let answer = site.log_in("000000");
        assert_eq!(answer.status, 401);
        assert!(
            answer.text().contains(&format!("Tries left: {left}")),
            "{}",
            answer.text()
        );
    }
    for pin in ["000000", PIN] {
        let answer = site.log_in(pin);
        assert_eq!(answer.status, 429, "{answer:?}");
        let text = answer.text();
        assert!(
            text.contains("Try again in 1 min") || text.contains("Try again in 5"),
            "{text}"
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
    // Who is in stays in.
    assert_eq!(site.ask("GET /", ELSEWHERE, &session, "").status, 200);
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn without_a_pin_the_page_is_for_the_box_alone_and_metrics_may_be_for_everybody() {
    let home = Home::new();
    let site = Site::start(&home, "metrics = \"open\"\n", "");
    for path in ["/", "/api/v1/status", "/login"] {
        let expected = if path == "/login" { 303 } else { 200 };
        assert_eq!(site.get(path).status, expected, "{path}");
    }
    for path in ["/", "/api/v1/status"] {
        let answer = site.ask(&format!("GET {path}"), ELSEWHERE, "", "");
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text().contains("footfall status pin"), "{answer:?}");
    }
    let live = || {
        let mut stream = site.connect();
        let request = format!("GET /live?at=/ HTTP/1.1\r\nHost: {}\r\n\r\n", site.host());
        stream.write_all(request.as_bytes()).unwrap();
        let mut first = String::new();
        let mut reader = BufReader::new(stream);
        reader.read_line(&mut first).unwrap();
        (first, reader)
    };
    let mut open: Vec<_> = (0..8).map(|_| live()).collect();
    assert!(
        open.iter().all(|(first, _)| first.contains(" 200 ")),
        "{open:?}"
    );
    assert!(live().0.contains(" 503 "), "only so many pages are live");
    open.pop();
    let again = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        live().0.contains(" 200 ")
    });
    assert!(again, "a place that was left is free");
    drop(open);
    assert_eq!(site.ask("GET /metrics", ELSEWHERE, "", "").status, 200);
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn answers_carry_the_headers_that_keep_others_out() {
    let home = Home::new();
    let site = Site::start(&home, "", "");
    for path in ["/", "/nowhere", "/api/v1/status", "/page.js", "/healthz"] {
        let answer = site.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        // Nothing but our own script, and nothing from elsewhere.
        let text = answer.text();
        assert!(
            !text.contains("style=") && !text.contains("onclick"),
            "{path}"
        );
        assert!(
            !text.contains("src=\"http") && !text.contains("href=\"http"),
            "{path}"
        );
    }
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn a_language_is_chosen_by_link_then_remembered_then_guessed() {
    let home = Home::new();
    let site = Site::start(&home, "", "");
    let shown = |path: &str, headers: &str| {
        let answer = site.ask(&format!("GET {path}"), &site.host(), headers, "");
        let chinese = answer.text().contains("<html lang=\"zh\">");
        assert_eq!(chinese, answer.text().contains("传感器"), "{answer:?}");
        let cookie = answer.header("set-cookie").map(str::to_owned);
        (chinese, cookie)
    };
    assert_eq!(shown("/", ""), (false, None));
    assert_eq!(
        shown("/", "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n"),
        (true, None)
    );
    let (chinese, cookie) = shown("/cloud?lang=zh", "");
    assert!(chinese && cookie.is_some_and(|cookie| cookie.starts_with("footfall_lang=zh; ")));
    assert_eq!(shown("/box", "Cookie: footfall_lang=zh\r\n"), (true, None));
    assert_eq!(shown("/?lang=xx%0d%0aSet-Cookie:a=b", ""), (false, None));
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn what_no_browser_sends_is_refused_and_the_page_goes_on() {
    let home = Home::new();
    let site = Site::with_pin(&home, "", "");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for origin in ["", "Origin: null\r\n", "Origin: http://evil.example\r\n"] {
        let headers = format!("{form}{origin}");
        let answer = site.ask("POST /login", ELSEWHERE, &headers, "pin=274916");
        assert_eq!(answer.status, 403, "{origin}");
    }
    let ours = format!("{form}Origin: http://{ELSEWHERE}\r\n");
    let cases = [
        (
            "a body that is too large",
            413,
            "POST /login",
            "pin=".to_owned() + &"1".repeat(5000),
        ),
        (
            "a form without a PIN",
            422,
            "POST /login",
            "nip=1".to_owned(),
        ),
        (
            "a form of nonsense",
            422,
            "POST /login",
            "%%%=\u{0}".to_owned(),
        ),
        (
            "a method that is not there",
            405,
            "DELETE /login",
            String::new(),
        ),
        ("a post to a page", 303, "POST /", String::new()),
        (
            "a live page that is none",
            401,
            "GET /live?at=%00",
            String::new(),
        ),
        (
            "a live page without a name",
            401,
            "GET /live",
            String::new(),
        ),
    ];
    for (name, status, line, body) in cases {
        let answer = site.ask(line, ELSEWHERE, &ours, &body);
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    let odd: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ];
    for bytes in odd {
        let answer = site.send(bytes);
        assert!(!(200..300).contains(&answer.status), "{answer:?}");
    }
    let flood = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(1 << 20));
    let answer = site.send(flood.as_bytes());
    assert!(!(200..300).contains(&answer.status), "{answer:?}");

    // One address that opens more connections than its share, and says nothing on them.
    let silent: Vec<_> = (0..60).map(|_| site.connect()).collect();
    drop(silent);
    let healthy = || site.get("/healthz").status == 200;
    assert!((0..100).any(|_| healthy() || {
        std::thread::sleep(Duration::from_millis(100));
        false
    }));
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn the_metrics_are_what_prometheus_reads_and_the_api_is_what_its_description_says() {
    let home = Home::new();
    let camera = "[[camera]]\nid = \"back\"\nfile = \"nowhere.mp4\"\nmodel = \"person-oblique-int8.toml\"\n\
                  [[camera.line]]\nid = \"yard\"\npoints = [[0.5, 1.0], [0.5, 0.0]]\n";
    if !library() {
        return;
    }
    let site = Site::start(&home, "", camera);
    // The page answers before the sensors have started.
    let with_sensors = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let answer = site.get("/metrics");
        answer
            .text()
            .contains("footfall_sensor_up")
            .then_some(answer)
    });
    let answer = with_sensors.expect("the sensors are at work");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let samples = prometheus(&answer.text());
    assert_eq!(samples["footfall_sensor_up{sensor=\"camera/back\"}"], 0.0);
    assert_eq!(
        samples["footfall_camera_frames_total{sensor=\"camera/back\"}"],
        0.0
    );
    assert_eq!(samples["footfall_uplink_connected"], 0.0);
    assert!(samples["footfall_process_resident_memory_bytes"] > 1e6);
    assert!(samples["footfall_outbox_last_sequence{stream=\"diagnostic\"}"] >= 1.0);

    let described: Value = serde_json::from_slice(&site.get("/api/v1/openapi.json").body).unwrap();
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/openapi.json");
    let published: Value =
        serde_json::from_str(&std::fs::read_to_string(published).unwrap()).unwrap();
    assert_eq!(described, published);
    let report: Value = serde_json::from_slice(&site.get("/api/v1/status").body).unwrap();
    let schema = &described["paths"]["/api/v1/status"]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    matches_schema(&report, schema, &described, "status");
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn a_crossing_is_pushed_to_an_open_page_and_today_survives_a_restart() {
    if !library() {
        return;
    }
    let home = Home::new();
    let camera = shop_camera(&home);
    let site = Site::with_pin(&home, "", &camera);
    let session = site.log_in(PIN).session();
    let mut stream = site.connect();
    let request = format!("GET /live?at=/ HTTP/1.1\r\nHost: {ELSEWHERE}\r\n{session}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let crossed = |line: &String| {
        let number = |id: &str| {
            let (_, rest) = line.split_once(&format!("<b id=\"{id}\">"))?;
            rest.split('<').next()?.parse::<u64>().ok()
        };
        number("in")
            .zip(number("out"))
            .map(|(inward, outward)| inward + outward)
    };
    let mut next = || {
        lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| crossed(&line))
            .unwrap()
    };
    let first = next();
    while next() < first + 2 {}

    // Somebody looks: a picture is made for them.
    let picture = site.ask("GET /preview/door.jpg", ELSEWHERE, &session, "");
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, Some("image/jpeg"))
    );
    let picture = image::load_from_memory(&picture.body).unwrap();
    assert!(picture.width() <= 480 && picture.height() > 50);

    // The stream ends with the daemon, and does not hold it up.
    assert_eq!(site.daemon.stop(), 0);
    let site = Site::with_pin(&home, "", &camera);
    let number = |value: &Value| value.as_u64().unwrap();
    // What the last minute's checkpoint does not hold is read from the outbox again.
    let caught_up = || {
        let report: Value = serde_json::from_slice(&site.get("/api/v1/status").body).unwrap();
        let today = report["today"].clone();
        (number(&today["in"]) + number(&today["out"]) >= first + 2).then_some(today)
    };
    let today = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        caught_up()
    });
    let today = today.expect("today's sums survive a restart");
    // Who leaves before anybody came was inside all the same: never less than in minus out.
    let least = number(&today["in"]).saturating_sub(number(&today["out"]));
    let inside = number(&today["occupancy"]);
    assert!(inside >= least && inside <= number(&today["in"]), "{today}");
    assert_eq!(today["places"][0]["id"], "shop", "{today}");
    assert_eq!(number(&today["places"][0]["inside"]), inside, "{today}");
    for direction in ["in", "out"] {
        let quarters = today["quarters"].as_array().unwrap().iter();
        let sum: u64 = quarters.map(|quarter| number(&quarter[direction])).sum();
        assert_eq!(sum, number(&today[direction]), "{today}");
    }
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn a_technician_logs_in_with_a_browser_and_sees_it_all_in_two_languages() {
    if !library() {
        return;
    }
    let home = Home::new();
    let camera = shop_camera(&home);
    let site = Site::with_pin(&home, "", &camera);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page_browser.py");
    let pictures = std::env::var("FOOTFALL_SCREENSHOTS")
        .unwrap_or_else(|_| home.path("shots").display().to_string());
    let visit = Command::new("python3")
        .arg(script)
        .args([&format!("http://{}", site.host()), PIN, &pictures])
        .output();
    let Ok(visit) = visit else {
        skipped("no python3 to drive a browser with");
        return;
    };
    let said = String::from_utf8_lossy(&visit.stdout).into_owned();
    assert!(
        visit.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&visit.stderr)
    );
    let seen: Value = serde_json::from_str(&said).unwrap();
    if let Some(why) = seen["skipped"].as_str() {
        skipped(why);
    } else {
        println!("{seen}");
    }
    assert_eq!(site.daemon.stop(), 0);
}

#[test]
fn a_page_for_the_whole_network_needs_a_pin() {
    let home = Home::new();
    let config = home.config("open.toml", "listen = \"\"", "listen = \"0.0.0.0:8080\"");
    let check = ended(home.footfall(["check".as_ref(), "--config".as_ref(), config.as_os_str()]));
    assert_eq!(check.code, 78, "{check:?}");
    assert!(
        check.err.contains("status.listen") && check.err.contains("footfall status pin"),
        "{check:?}"
    );

    let named = "listen = \"0.0.0.0:8080\"\npin_file = \"pin\"";
    let config = home.config("named.toml", "listen = \"\"", named);
    let check = ended(home.footfall(["check".as_ref(), "--config".as_ref(), config.as_os_str()]));
    assert_eq!(check.code, 78, "{check:?}");
    assert!(
        check.err.contains("footfall status pin --file"),
        "{check:?}"
    );

    let path = home.path("weak");
    let mut command = home.footfall(["status", "pin", "--file", path.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"123456\n").unwrap();
    let refused = child.wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(65), "{refused:?}");
    assert!(!path.exists());
}
