use super::*;

const GOOD: &str = r#"
[device]
tenant = "acme"
store = "shop-7"
box = "box-0042"
timezone = "Europe/Berlin"

[uplink]
broker = "mqtt://127.0.0.1:1883"

[[camera]]
id = "entrance"
file = "clip.mp4"
model = "yolox-nano-416"

[[camera.line]]
id = "door"
points = [[0.5, 1.0], [0.5, 0.0]]
"#;

fn faults(text: &str) -> Vec<String> {
    let Faults(faults) = parse(text, Path::new("/etc/footfall/footfall.toml")).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_config_is_read_with_its_defaults_and_paths_beside_the_file() {
    let loaded = parse(GOOD, Path::new("/etc/footfall/footfall.toml")).unwrap();
    let camera = &loaded.config.camera[0];
    assert_eq!(
        camera.file.as_deref(),
        Some(Path::new("/etc/footfall/clip.mp4"))
    );
    assert_eq!(camera.classes, ["person"]);
    assert!((camera.line[0].half_band - 0.15).abs() < f64::EPSILON);
    assert_eq!(loaded.config.outbox.dir, Path::new("/var/lib/footfall"));
    assert_eq!(loaded.sha256.len(), 64);
}

#[test]
fn every_example_is_a_good_config_without_warnings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config");
    let examples = std::fs::read_dir(root.join("examples")).unwrap();
    let examples: Vec<_> = examples.map(|entry| entry.unwrap().path()).collect();
    assert!(examples.len() >= 4, "{examples:?}");
    for path in examples {
        let loaded = load(&path).unwrap_or_else(|why| panic!("{why}"));
        let advice = crate::config::advice(&loaded.config);
        assert!(
            advice.is_empty() || path.ends_with("one-by-one.toml"),
            "{}: {advice:?}",
            path.display()
        );
    }
    let floor = load(&root.join("examples/shop-floor.toml")).unwrap().config;
    let camera = &floor.camera[0];
    assert!(camera.line[0].points.len() > 2 && camera.zone.len() > 1);
    assert!(!camera.mask.is_empty() && camera.idle_fps.is_some());
    assert!(camera.min_moving_share > 0.0 && floor.place.len() == 1);
}

/// Each broken config: what is replaced by what, and the one line it must give.
#[test]
fn each_broken_config_gives_its_one_clear_line() {
    let cases = [
        (
            "threshhold",
            "model = \"yolox",
            "threshhold = 0.4\nmodel = \"yolox",
            "/etc/footfall/footfall.toml:14: camera[0].threshhold = 0.4: no such key (did you mean `threshold`?)",
        ),
        (
            "table",
            "[uplink]",
            "[uplinks]",
            "/etc/footfall/footfall.toml:8: uplinks: no such key (did you mean `uplink`?)",
        ),
        (
            "type",
            "id = \"entrance\"",
            "id = 5",
            "/etc/footfall/footfall.toml:12: camera[0].id = 5: invalid type: integer `5`, expected a string",
        ),
        (
            "missing",
            "tenant = \"acme\"\n",
            "",
            "/etc/footfall/footfall.toml:2: device: missing field `tenant`",
        ),
        (
            "syntax",
            "box = \"box-0042\"",
            "box = \"box-0042",
            "/etc/footfall/footfall.toml:5: invalid basic string, expected `\"`",
        ),
        (
            "range",
            "model = \"yolox",
            "fps = 900\nmodel = \"yolox",
            "/etc/footfall/footfall.toml:14: camera[0].fps = 900: expected a number 0.2 to 60",
        ),
        (
            "not a number",
            "model = \"yolox",
            "fps = nan\nmodel = \"yolox",
            "/etc/footfall/footfall.toml:14: camera[0].fps = nan: expected a number 0.2 to 60",
        ),
        (
            "zone",
            "Europe/Berlin",
            "Europe/Berln",
            "/etc/footfall/footfall.toml:6: device.timezone = \"Europe/Berln\": expected an IANA time zone, such as \"Europe/Berlin\" (did you mean `Europe/Berlin`?)",
        ),
        (
            "broker",
            "mqtt://127",
            "http://127",
            "/etc/footfall/footfall.toml:9: uplink.broker = \"http://127.0.0.1:1883\": expected \"mqtt://host:1883\" or \"mqtts://host:8883\"",
        ),
        (
            "points",
            "[[0.5, 1.0], [0.5, 0.0]]",
            "[[0.5, 480], [0.5, 0.0]]",
            "/etc/footfall/footfall.toml:18: camera[0].line[0].points = [[0.5, 480], [0.5, 0.0]]: expected fractions of the picture, each from 0 to 1",
        ),
        (
            "no file",
            "file = \"clip.mp4\"\n",
            "",
            "/etc/footfall/footfall.toml:11: camera[0].device: missing; expected one of `device` (USB), `rtsp` (network) and `file` (a recording)",
        ),
        (
            "two sources",
            "file = \"clip.mp4\"\n",
            "file = \"clip.mp4\"\nrtsp = \"rtsp://10.0.0.5/live?key=s3cret\"\n",
            "/etc/footfall/footfall.toml:13: camera[0].file: a camera is one of `device`, `rtsp` and `file`; remove the others",
        ),
        (
            "a password in the address is not repeated",
            "file = \"clip.mp4\"\n",
            "rtsp = \"rtsp://admin:s3cret@10.0.0.5/live\"\n",
            "/etc/footfall/footfall.toml:13: camera[0].rtsp: user and password do not belong here; put them into `username` and `password_file`",
        ),
        (
            "a user without a network camera",
            "file = \"clip.mp4\"\n",
            "file = \"clip.mp4\"\nusername = \"viewer\"\npassword_file = \"secret\"\n",
            "/etc/footfall/footfall.toml:14: camera[0].username = \"viewer\": only a camera with `rtsp` has a user; remove it",
        ),
        (
            "arguments for ffmpeg that may hold a password",
            "file = \"clip.mp4\"\n",
            "file = \"clip.mp4\"\nffmpeg_input = [\"rtsp://admin:s3cret@10.0.0.5/\"]\n",
            "/etc/footfall/footfall.toml:14: camera[0].ffmpeg_input: input and output are set already; remove -i, -y and addresses",
        ),
        (
            "ffmpeg's memory",
            "[uplink]\n",
            "[ffmpeg]\nmemory_mb = 9\n[uplink]\n",
            "/etc/footfall/footfall.toml:9: ffmpeg.memory_mb: expected a number 64 to 4096",
        ),
        (
            "enum",
            "points =",
            "mode = \"nett\"\npoints =",
            "/etc/footfall/footfall.toml:18: camera[0].line[0].mode = \"nett\": unknown variant `nett`, expected `immediate` or `net`",
        ),
        (
            "topic",
            "shop-7",
            "shop/7",
            "/etc/footfall/footfall.toml:4: device.store = \"shop/7\": expected 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-' (it is part of MQTT topics)",
        ),
        (
            "tls",
            "mqtt://127.0.0.1:1883",
            "mqtts://cloud.example",
            "/etc/footfall/footfall.toml:8: uplink.ca_file: `mqtts` needs the PEM file of the authority that signed the broker's certificate",
        ),
    ];
    for (name, from, to, expected) in cases {
        assert!(
            GOOD.contains(from),
            "{name}: the good config has no {from:?}"
        );
        assert_eq!(faults(&GOOD.replace(from, to)), [expected], "{name}");
    }
}

#[test]
fn several_faults_are_all_reported_in_the_order_of_the_file() {
    let text = GOOD
        .replace("acme", "a b")
        .replace("entrance", "Main Door")
        .replace("[uplink]", "[uplink]\nkeep = 3");
    let lines = faults(&text);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[0].contains("device.tenant")
            && lines[1].contains("uplink.keep")
            && lines[2].contains("camera[0].id")
    );
}

#[test]
fn a_file_that_is_missing_or_not_text_is_one_fault() {
    let Faults(missing) = load(Path::new("/no/such/footfall.toml")).unwrap_err();
    assert!(
        missing[0].to_string().contains("cannot be read"),
        "{}",
        missing[0]
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("binary.toml");
    crate::durable::write(&path, &[0xff, 0xfe, 0x00]).unwrap();
    let Faults(binary) = load(&path).unwrap_err();
    assert!(binary[0].to_string().contains("UTF-8"), "{}", binary[0]);
}

#[test]
fn mutated_configs_never_panic() {
    let seed = 42;
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..2000 {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(0..bytes.len());
            bytes[at] = b"[]{}=\"'#.,\n 0-\x7f"[rng.usize(0..15)];
        }
        let _ = parse(&String::from_utf8_lossy(&bytes), Path::new("x.toml"));
    }
}

#[test]
fn zones_places_and_hours_that_cannot_be_counted_on_are_named() {
    let with = |more: &str| faults(&format!("{GOOD}{more}"));
    let zone = |keys: &str| {
        let points = if keys.contains("points") {
            ""
        } else {
            "points = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.6]]\n"
        };
        with(&format!("[[camera.zone]]\nid = \"till\"\n{points}{keys}"))
    };
    for (found, expected) in [
        (
            zone("points = [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]"),
            "camera[0].zone[0].points = [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]: its sides cross each other",
        ),
        (
            zone("points = [[0.2, 0.2], [0.8, 1.8], [0.8, 0.2]]"),
            "each from 0 to 1",
        ),
        (
            zone("kind = \"shelf\""),
            "unknown variant `shelf`, expected `area` or `queue`",
        ),
        (
            zone("dwell_s = 0"),
            "camera[0].zone[0].dwell_s = 0: expected a number 1 to 3600",
        ),
        (
            zone("dwell_s = 90\nlongest_s = 60"),
            "expected more than `dwell_s`",
        ),
        (
            zone(
                "points = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.6]]\n[[camera.zone]]\nid = \"till\"\npoints = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.6]]",
            ),
            "another zone of this camera has this id already",
        ),
        (
            with("[[place]]\nid = \"shop\"\nlines = [\"entrance/dor\"]"),
            "no line is called \"entrance/dor\"; expected camera/line (did you mean `entrance/door`?)",
        ),
        (
            with(
                "[[place]]\nid = \"shop\"\nlines = [\"entrance/door\"]\nreversed = [\"entrance/door\"]",
            ),
            "named twice",
        ),
        (
            with("[[place]]\nid = \"shop\""),
            "expected at least one line",
        ),
        (
            with("[[place]]\nid = \"shop\"\nlines = [\"entrance/door\"]\nreset = \"4\""),
            "place[0].reset = \"4\": expected a time of day",
        ),
        (
            with("[hours]\nmon = [\"9-17\"]"),
            "hours.mon = [\"9-17\"]: \"9-17\" is no period",
        ),
        (
            with("[hours]\nmonday = [\"09:00-17:00\"]"),
            ":20: hours.monday = [\"09:00-17:00\"]: no such key (did you mean `mon`?)",
        ),
    ] {
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{expected}: {found:#?}"
        );
    }
    let fine = "[[camera.zone]]\nid = \"till\"\nkind = \"queue\"\npoints = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.6]]\n\
        [[place]]\nid = \"shop\"\nlines = [\"entrance/door\"]\n[hours]\nmon = [\"09:00-17:00\"]\n[hours.dates]\n\"12-25\" = []";
    let loaded = parse(&format!("{GOOD}{fine}"), Path::new("f.toml")).unwrap();
    assert_eq!(loaded.config.place[0].reset, "04:00");
    assert_eq!(crate::config::advice(&loaded.config), Vec::<String>::new());
    let near = GOOD.replace("[[0.5, 1.0], [0.5, 0.0]]", "[[0.1, 0.97], [0.9, 0.97]]");
    let near = parse(&near, Path::new("f.toml")).unwrap();
    assert!(
        crate::config::advice(&near.config)[0]
            .contains("camera entrance, line door: it is close to")
    );
}
