//! A library, model or recording that is missing, damaged or something else: each ends the real program with the exit
//! code of its kind and one line that names it and says what to do; or, where the daemon can go on without it, is said
//! in the log.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/fault.rs"]
mod fault;
#[path = "common/program.rs"]
mod program;

use std::path::PathBuf;
use std::process::Command;

use fault::{DATA, UNAVAILABLE, assert_fault, replay, shown, with_config};
use program::{Daemon, Home, data, ffmpeg, library, skipped};
use sha2::{Digest, Sha256};

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
    match strange_library(&home) {
        Some(path) => libraries.push((path, "its interface is unknown")),
        None => skipped("no C compiler (cc) to make a library of an unknown interface"),
    }
    for (path, why) in libraries {
        let words = [shown(&path), why, "make setup"];
        for command in [
            with_config(&home, "check", &config),
            with_config(&home, "run", &config),
            replay(&home, &config, &home.path("clip")),
            home.footfall(["model", "verify", "person-oblique-int8.toml"]),
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

/// A library that answers to the right name, and has nothing behind it.
fn strange_library(home: &Home) -> Option<PathBuf> {
    let source = home.put(
        "strange.c",
        b"static const void *api(unsigned version) { (void)version; return 0; }
          static const char *text(void) { return \"1.99.0\"; }
          static const struct { const void *(*api)(unsigned); const char *(*text)(void); } base = { api, text };
          const void *OrtGetApiBase(void) { return &base; }",
    );
    let library = home.path("strange.so");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    made.is_ok_and(|status| status.success()).then_some(library)
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
    let manifest = std::fs::read_to_string(home.path("person-oblique-int8.toml")).unwrap();
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
    let weights = std::fs::read(home.path("person-oblique-int8.onnx")).unwrap();
    let original = sum(&weights);

    let mut flipped = weights.clone();
    flipped[weights.len() / 2] ^= 1;
    home.put("flipped.onnx", &flipped);
    home.put("note.onnx", b"no model at all\n");
    home.put("cut.onnx", &weights[..weights.len() / 2]);
    let file = |name: &str| format!("file = \"{name}\"");
    let (own, own_sum) = (
        file("person-oblique-int8.onnx"),
        format!("sha256 = \"{original}\""),
    );
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
                "person-oblique-int8",
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
                "decoder: fastestdet reads",
                "the model has output",
                "decoder.toml",
            ],
        ),
        (
            "size",
            put("size.toml", "width = 480", "width = 512"),
            DATA,
            vec!["input.width: 512, the model takes 480", "size.toml"],
        ),
        (
            "class",
            put("class.toml", "person = 0", "person = 7"),
            DATA,
            vec!["classes.person: 7", "class.toml"],
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
            put("value.toml", "threshold = ", "threshold = 5"),
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
        let good = format!("{}", home.path("person-oblique-int8.toml").display());
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
