//! What is wrong ends the real program with the exit code of its kind and one line that names the culprit and says
//! what to do; or, where the daemon can go on without it, is said in the log.

#[path = "common/program.rs"]
mod program;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{Daemon, Home, data, ended, ffmpeg, library, skipped};
use sha2::{Digest, Sha256};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const UNAVAILABLE: i32 = 69;
const IO: i32 = 74;
const CONFIG: i32 = 78;

/// Runs `command`: it must end with `code`, without output, and with one line that has all the `words`.
fn assert_fault(name: &str, command: Command, code: i32, words: &[&str]) {
    let shown = format!("{name}: {command:?}");
    let ended = ended(command);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 1, "{shown}\n{ended:#?}");
    assert_eq!(ended.code, code, "{shown}\n{ended:#?}");
    assert_eq!(ended.out, "", "{shown}");
    assert!(!lines[0].contains("panicked"), "{shown}\n{}", lines[0]);
    for word in words {
        assert!(
            lines[0].contains(word),
            "{shown}: no {word:?} in\n{}",
            lines[0]
        );
    }
}

fn with_config(home: &Home, command: &str, config: &Path) -> Command {
    home.footfall([command.as_ref(), "--config".as_ref(), config.as_os_str()])
}

fn replay(home: &Home, config: &Path, clip: &Path) -> Command {
    let mut command = with_config(home, "replay", config);
    command.arg(clip);
    command
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_broken_config_stops_check_run_and_replay_alike() {
    let home = Home::new();
    // What is replaced by what, and the words besides the file's name.
    let mqtts = "keep_alive_s = 30\nbroker = \"mqtts://cloud.example\"";
    let cases: [(&str, &str, &str, &[&str]); 20] = [
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
fn a_library_that_is_missing_or_another_one_is_named_and_nothing_starts() {
    let home = Home::new();
    let config = home.path("good.toml");
    let note = home.put("libnote.so", b"not a library\n");
    let mut libraries = vec![
        (home.path("gone.so"), "not there"),
        (note, "not a shared library"),
    ];
    match c_library() {
        Some(path) => libraries.push((path, "not ONNX Runtime")),
        None => skipped("no shared C library to offer instead of ONNX Runtime"),
    }
    for (path, why) in libraries {
        let words = [shown(&path), why, "make setup"];
        for command in [
            with_config(&home, "check", &config),
            with_config(&home, "run", &config),
            replay(&home, &config, &home.path("clip")),
            home.footfall(["model", "verify", "demo-shop.toml"]),
            home.footfall(["demo"]),
        ] {
            let mut command = command;
            command.env("ORT_DYLIB_PATH", &path);
            assert_fault(why, command, UNAVAILABLE, &words);
        }
        let lines = format!("threads = 1\nonnxruntime = \"{}\"", path.display());
        let named = home.config("named.toml", "threads = 1", &lines);
        assert_fault(
            why,
            with_config(&home, "run", &named),
            UNAVAILABLE,
            &words[..2],
        );
    }
}

/// The C library that this very process has loaded.
fn c_library() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find_map(|line| {
        line.split_whitespace()
            .nth(5)
            .filter(|path| path.contains("/libc.so"))
    });
    path.map(PathBuf::from)
}

#[test]
fn a_model_that_is_missing_is_unavailable_and_one_that_does_not_fit_is_bad_data() {
    if !library() {
        return;
    }
    let home = Home::new();
    let manifest = std::fs::read_to_string(home.path("demo-shop.toml")).unwrap();
    let put = |name: &str, from: &str, to: &str| {
        assert!(manifest.contains(from), "{name}");
        home.put(name, manifest.replace(from, to).as_bytes())
    };
    let sum = |bytes: &[u8]| {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let weights = std::fs::read(home.path("demo-shop.onnx")).unwrap();
    let original = sum(&weights);

    let mut flipped = weights.clone();
    flipped[weights.len() / 2] ^= 1;
    home.put("flipped.onnx", &flipped);
    home.put("note.onnx", b"no model at all\n");
    home.put("cut.onnx", &weights[..weights.len() / 2]);
    let file = |name: &str| format!("file = \"{name}\"");
    let (own, own_sum) = (file("demo-shop.onnx"), format!("sha256 = \"{original}\""));
    let other = |name: &str, file_name: &str| {
        let bytes = std::fs::read(home.path(file_name)).unwrap();
        let text = manifest
            .replace(&own, &file(file_name))
            .replace(&original, &sum(&bytes));
        home.put(name, text.as_bytes())
    };

    let gone = put("gone.toml", &own, &file("gone.onnx"));
    let cases: Vec<(&str, PathBuf, i32, Vec<&str>)> = vec![
        (
            "no such name",
            "no-such-model".into(),
            UNAVAILABLE,
            vec!["no-such-model", "footfall model list"],
        ),
        (
            "no name at all",
            "../model".into(),
            UNAVAILABLE,
            vec!["../model", "footfall model list"],
        ),
        (
            "no manifest",
            home.path("none.toml"),
            UNAVAILABLE,
            vec!["none.toml", "give the path of a readable manifest"],
        ),
        (
            "no weights",
            gone,
            UNAVAILABLE,
            vec![
                "demo-shop",
                "gone.onnx",
                "get gone.onnx from",
                "FOOTFALL_MODELS",
            ],
        ),
        (
            "other bytes",
            put("flipped.toml", &own, &file("flipped.onnx")),
            DATA,
            vec!["flipped.onnx", "sha256", "get flipped.onnx again"],
        ),
        (
            "not ONNX",
            other("note.toml", "note.onnx"),
            DATA,
            vec!["refuses the weights", "note.toml"],
        ),
        (
            "cut",
            other("cut.toml", "cut.onnx"),
            DATA,
            vec!["refuses the weights", "cut.toml"],
        ),
        (
            "decoder",
            put("decoder.toml", "\"yolox\"", "\"fastestdet\""),
            DATA,
            vec![
                "its output is",
                "the decoder Fastestdet expects",
                "decoder.toml",
            ],
        ),
        (
            "size",
            put("size.toml", "width = 256", "width = 320"),
            DATA,
            vec!["its input is", "the manifest says", "size.toml"],
        ),
        (
            "class",
            put("class.toml", "person = 0", "person = 7"),
            DATA,
            vec!["class 7", "class.toml"],
        ),
        (
            "no person",
            put("cat.toml", "person = 0", "cat = 0"),
            DATA,
            vec!["no class \"person\"", "choose from cat"],
        ),
        (
            "manifest's key",
            put("key.toml", &own_sum, "sha265 = \"\""),
            DATA,
            vec!["key.toml", "sha265", "correct the manifest"],
        ),
        (
            "manifest's value",
            put("value.toml", "threshold = 0.55", "threshold = 55"),
            DATA,
            vec!["value.toml", "threshold", "correct the manifest"],
        ),
        (
            "weights as manifest",
            home.put("weights.toml", &weights),
            DATA,
            vec!["weights.toml", "not that of the weights"],
        ),
    ];
    for (name, model, code, words) in cases {
        let good = format!("{}", home.path("demo-shop.toml").display());
        let config = home.config("model.toml", &good, shown(&model));
        assert_fault(
            name,
            replay(&home, &config, &home.path("clip")),
            code,
            &words,
        );
        assert_fault(name, with_config(&home, "run", &config), code, &words);
        let words = [vec![shown(&config), "camera entrance"], words].concat();
        assert_fault(name, with_config(&home, "check", &config), code, &words);
    }
}

#[test]
fn a_recording_that_is_missing_damaged_or_something_else_is_named() {
    if !library() {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path("nothing")).unwrap();
    let mut cases = vec![
        (
            "missing",
            home.path("gone.mp4"),
            UNAVAILABLE,
            "check the path",
        ),
        (
            "device",
            "/dev/null".into(),
            UNAVAILABLE,
            "name a recording",
        ),
        (
            "text",
            home.put("note.mp4", b"Bring the ladder.\n"),
            DATA,
            "a text file, not a recording",
        ),
        (
            "empty",
            home.put("empty.mp4", b""),
            DATA,
            "the file is empty",
        ),
        ("picture", home.path("clip/0.png"), DATA, "name the folder"),
        (
            "no pictures",
            home.path("nothing"),
            DATA,
            "name a folder that holds pictures",
        ),
    ];
    let whole = home.path("whole.mp4");
    let test_picture = "-f lavfi -i testsrc=size=160x120:rate=10:duration=3 -pix_fmt yuv420p";
    for (name, flags, why) in [
        ("index.mp4", "-c:v libx264", "index (moov) is missing"),
        (
            "tail.mp4",
            "-c:v libx264 -movflags +faststart",
            "the file ends",
        ),
    ] {
        if ffmpeg(&format!("{test_picture} {flags}"), &whole) {
            let bytes = std::fs::read(&whole).unwrap();
            cases.push((
                name,
                home.put(name, &bytes[..bytes.len() * 2 / 3]),
                DATA,
                why,
            ));
        }
    }
    if let Some(data) = data() {
        let bytes = std::fs::read(data.join("clips/one-by-one-person-detection.mp4")).unwrap();
        let path = home.put("real.mp4", &bytes[..bytes.len() / 20]);
        cases.push(("a real one, cut", path, DATA, "copy or record it again"));
    }
    let h265 = home.path("h265.mp4");
    if ffmpeg(
        &format!("{test_picture} -c:v libx265 -x265-params log-level=none"),
        &h265,
    ) {
        cases.push(("H.265", h265, UNAVAILABLE, "apt install ffmpeg"));
    }
    for (name, clip, code, words) in cases {
        let words = [shown(&clip), words];
        let good = format!("{}", home.path("clip").display());
        let config = home.config("clip.toml", &good, shown(&clip));
        for mut command in [
            replay(&home, &home.path("good.toml"), &clip),
            with_config(&home, "check", &config),
        ] {
            // Nothing is installed there.
            command.env("PATH", home.path("nothing"));
            assert_fault(name, command, code, &words);
        }
    }
}

#[test]
fn a_camera_without_its_recording_is_reported_and_the_daemon_goes_on() {
    if !library() {
        return;
    }
    let home = Home::new();
    let clip = home.path("clip");
    let config = home.config("clip.toml", shown(&clip), "gone.mp4");
    let mut daemon = Daemon::start(&home, &config);
    let line = daemon.says("camera does not count");
    assert!(
        line.contains("entrance") && line.contains("gone.mp4") && line.contains("check the path"),
        "{line}"
    );
    assert_eq!(daemon.stop(), 0);
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
