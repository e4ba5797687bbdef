//! What is wrong with the config, the data directory or the command line ends the real program with the exit code of
//! its kind and one line that names the culprit and says what to do; or, where the daemon can go on without it, is said
//! in the log.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/fault.rs"]
mod fault;
#[path = "common/program.rs"]
mod program;

use std::net::TcpListener;
use std::path::PathBuf;

use fault::{CONFIG, IO, UNAVAILABLE, USAGE, assert_fault, replay, shown, with_config};
use program::{Daemon, Home, ended, library};

#[test]
fn a_broken_config_stops_check_run_and_replay_alike() {
    let home = Home::new();
    // What is replaced by what, and the words besides the file's name.
    let mqtts = "keep_alive_s = 30\nbroker = \"mqtts://cloud.example\"";
    let cases: [(&str, &str, &str, &[&str]); 23] = [
        (
            "unknown key",
            "[vision]",
            "[vision]\nthread = 2",
            &[":17: vision.thread = 2", "did you mean `threads`?"],
        ),
        (
            "unknown table",
            "[vision]",
            "[visions]",
            &[":16: visions", "did you mean `vision`?"],
        ),
        (
            "wrong type",
            "threads = 1",
            "threads = \"one\"",
            &[":17: vision.threads = \"one\"", "expected u8"],
        ),
        (
            "missing key",
            "store = \"shop-7\"\n",
            "",
            &[":1: device", "missing field `store`"],
        ),
        ("syntax", "\"acme\"", "\"acme", &[":2: ", "expected `\"`"]),
        (
            "key twice",
            "threads = 1",
            "threads = 1\nthreads = 2",
            &[":18: ", "duplicate key"],
        ),
        (
            "out of range",
            "threads = 1",
            "threads = 9",
            &[":17: vision.threads = 9", "1 to 8"],
        ),
        (
            "not a number",
            "threads = 1",
            "threads = nan",
            &[":17: vision.threads = nan", "expected u8"],
        ),
        (
            "zone",
            "Europe/Berlin",
            "Europe/Berln",
            &[":5: device.timezone", "did you mean `Europe/Berlin`?"],
        ),
        (
            "broker",
            "keep_alive_s = 30",
            "broker = \"http://cloud\"",
            &[":11: uplink.broker", "mqtt://host:1883"],
        ),
        (
            "version",
            "keep_alive_s = 30",
            "protocol = \"3.1\"",
            &[":11: uplink.protocol = \"3.1\"", "`5` or `3.1.1`"],
        ),
        (
            "compression",
            "keep_alive_s = 30",
            "compression = \"gzip\"",
            &[":11: uplink.compression = \"gzip\"", "`none` or `zstd`"],
        ),
        (
            "packet",
            "keep_alive_s = 30",
            "max_packet_kib = 1",
            &[":11: uplink.max_packet_kib = 1", "4 to 262143"],
        ),
        (
            "no authority",
            "keep_alive_s = 30",
            mqtts,
            &[":10: uplink.ca_file", "PEM file"],
        ),
        (
            "half a login",
            "keep_alive_s = 30",
            "username = \"box\"",
            &["uplink.username", "set both or none"],
        ),
        (
            "page",
            "listen = \"\"",
            "listen = \"8080\"",
            &[":14: status.listen", "address:port"],
        ),
        (
            "pixels",
            "[0.5, 1.0]",
            "[0.5, 480]",
            &["camera[0].line[0].points", "from 0 to 1"],
        ),
        (
            "one point",
            ", [0.5, 0.0]]",
            "]",
            &["camera[0].line[0].points", "expected two points"],
        ),
        (
            "no length",
            "[0.5, 0.0]",
            "[0.5, 1.0]",
            &["camera[0].line[0].points", "a line needs two ends"],
        ),
        (
            "mode",
            "points",
            "mode = \"nett\"\npoints",
            &["line[0].mode = \"nett\"", "`immediate` or `net`"],
        ),
        (
            "topic",
            "shop-7",
            "shop/7",
            &[":3: device.store = \"shop/7\"", "expected 1 to 64 of"],
        ),
        (
            "camera's name",
            "\"entrance\"",
            "\"Main Door\"",
            &["camera[0].id = \"Main Door\"", "a-z, 0-9 and -"],
        ),
        (
            "camera twice",
            "[[camera.line]]",
            "[[camera]]\nid = \"entrance\"\nfile = \"x\"\nmodel = \"x\"\n[[camera.line]]",
            &["camera[1].id", "ids are unique"],
        ),
    ];
    let mut files = Vec::new();
    for (name, from, to, words) in cases {
        files.push((name, home.config(&format!("{name}.toml"), from, to), words));
    }
    files.push((
        "empty",
        home.put("empty.toml", b""),
        &["missing field `device`"],
    ));
    files.push((
        "binary",
        home.put("binary.toml", &[0x7f, 0xff, 0, 1]),
        &["UTF-8 text"],
    ));
    files.push((
        "huge",
        home.put("huge.toml", &vec![b'#'; 2 << 20]),
        &["too many for a config"],
    ));
    files.push((
        "missing",
        home.path("missing.toml"),
        &["name an existing file"],
    ));
    files.push(("folder", home.path("clip"), &["name a file"]));
    for (name, config, words) in files {
        let words = [&[shown(&config)], words].concat();
        assert_fault(name, with_config(&home, "check", &config), CONFIG, &words);
        assert_fault(name, with_config(&home, "run", &config), CONFIG, &words);
        assert_fault(
            name,
            replay(&home, &config, &home.path("clip")),
            CONFIG,
            &words,
        );
    }
}

#[test]
fn files_of_the_uplink_that_are_missing_or_unfit_are_faults_of_the_config() {
    let home = Home::new();
    let note = home.put("note.txt", b"Bring the ladder on Tuesday.\n");
    let tls = "keep_alive_s = 30\nbroker = \"mqtts://cloud.example\"\nca_file";
    let login =
        "keep_alive_s = 30\nbroker = \"mqtt://cloud.example\"\nusername = \"box\"\npassword_file";
    for (name, lines, words) in [
        (
            "no authority",
            format!("{tls} = \"gone.pem\""),
            ["uplink.ca_file", "gone.pem", "check that it exists"],
        ),
        (
            "no PEM",
            format!("{tls} = \"{}\"", note.display()),
            ["uplink.ca_file", "note.txt", "must be PEM"],
        ),
        (
            "no password",
            format!("{login} = \"gone\""),
            ["uplink.password_file", "gone", "must hold the password"],
        ),
    ] {
        let config = home.config(&format!("{name}.toml"), "keep_alive_s = 30", &lines);
        assert_fault(name, with_config(&home, "run", &config), CONFIG, &words);
        if library() {
            assert_fault(name, with_config(&home, "check", &config), CONFIG, &words);
        }
    }
}

#[test]
fn a_data_directory_that_cannot_be_is_an_io_fault() {
    let home = Home::new();
    let file = home.put("file", b"");
    let good = home.path("data");
    for (name, dir) in [
        ("below a file", file.join("data")),
        ("a file", file),
        ("below /proc", "/proc/footfall/data".into()),
        ("read-only", "/proc".into()),
    ] {
        let config = without_camera(&home, "dir.toml", shown(&good), shown(&dir));
        assert_fault(name, with_config(&home, "run", &config), IO, &[shown(&dir)]);
        if !dir.starts_with("/proc") {
            let words = [shown(&config), shown(&dir), "change outbox.dir"];
            assert_fault(name, with_config(&home, "check", &config), IO, &words);
        }
    }
}

#[test]
fn an_outbox_that_another_process_holds_is_left_to_it() {
    let home = Home::new();
    let config = without_camera(&home, "none.toml", "", "");
    let mut first = Daemon::start(&home, &config);
    first.says("no camera is set up");
    let words = [
        shown(&home.path("data")),
        "in use by another footfall",
        "systemctl stop footfall",
    ]
    .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_fault(
        "locked",
        with_config(&home, "run", &config),
        UNAVAILABLE,
        &words,
    );
    assert_eq!(first.stop(), 0);
}

#[test]
fn a_port_that_is_taken_costs_the_page_and_nothing_else() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = without_camera(
        &home,
        "page.toml",
        "listen = \"\"",
        &format!("listen = \"{address}\""),
    );
    let mut daemon = Daemon::start(&home, &config);
    let line = daemon.says("no status page");
    assert!(
        line.contains(&address) && line.contains("change status.listen"),
        "{line}"
    );
    assert_eq!(daemon.stop(), 0);
}

/// The good config without its camera, with `from` replaced by `to`.
fn without_camera(home: &Home, name: &str, from: &str, to: &str) -> PathBuf {
    let path = home.config(name, from, to);
    let text = std::fs::read_to_string(path).unwrap();
    home.put(name, text.split("[[camera]]").next().unwrap().as_bytes())
}

#[test]
fn a_command_that_is_used_wrongly_says_what_it_wants() {
    let home = Home::new();
    let second =
        "[[camera]]\nid = \"back\"\nfile = \"x\"\nmodel = \"x\"\n[[camera]]\nid = \"entrance\"";
    let two = home.config("two.toml", "[[camera]]\nid = \"entrance\"", second);
    let none = without_camera(&home, "none.toml", "", "");
    let clip = home.path("clip");
    let other = |camera: &str| {
        let mut command = replay(&home, &two, &clip);
        command.args(["--camera", camera]);
        command
    };
    assert_fault(
        "several",
        replay(&home, &two, &clip),
        USAGE,
        &["--camera", "back, entrance"],
    );
    assert_fault(
        "unknown",
        other("front"),
        USAGE,
        &["\"front\"", "back, entrance"],
    );
    assert_fault(
        "none",
        replay(&home, &none, &clip),
        CONFIG,
        &["add a [[camera]]"],
    );
    for args in [
        &["count"][..],
        &["replay"],
        &["replay", "--frobnicate"],
        &["demo", "--seconds", "many"],
    ] {
        let ended = ended(home.footfall(args));
        assert_eq!(ended.code, USAGE, "{args:?}: {ended:?}");
        assert!(
            ended.err.contains("--help") && !ended.err.contains("panicked"),
            "{ended:?}"
        );
    }
    let nobody = home.footfall(["status", "--at", "127.0.0.1:1"]);
    assert_fault(
        "no daemon",
        nobody,
        UNAVAILABLE,
        &["127.0.0.1:1", "systemctl start footfall"],
    );
}

#[test]
fn output_that_cannot_be_written_is_an_io_fault() {
    if !library() {
        return;
    }
    let home = Home::new();
    let config = home.path("good.toml");
    let clip = home.path("clip");
    let mut boxes = replay(&home, &config, &clip);
    boxes.args(["--boxes", "/no/such/folder/boxes"]);
    assert_fault(
        "boxes",
        boxes,
        IO,
        &[
            "/no/such/folder/boxes",
            "name a file in a folder that exists",
        ],
    );
    for format in [&["--json"][..], &[]] {
        let mut full = replay(&home, &config, &clip);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        full.args(format).stdout(file);
        let ended = full.output().unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(IO), "{text}");
        assert!(
            text.lines().count() == 1 && text.contains("No space left"),
            "{text}"
        );
    }
}
