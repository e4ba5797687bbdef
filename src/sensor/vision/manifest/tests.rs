use super::*;

const GOOD: &str = r#"
name = "tiny"
file = "tiny.onnx"
sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" # of "foo"
licence = "MIT"
source = "https://example.org/tiny.onnx"
decoder = "yolox"
threshold = 0.3
view = "oblique"
classes = { person = 0, dog = 16 }
input = { width = 64, height = 32, colour = "rgb", resize = "letterbox" }
"#;

fn error_of(text: &str) -> String {
    Manifest::parse(text, "models/tiny.toml")
        .unwrap_err()
        .to_string()
}

#[test]
fn a_short_manifest_has_the_documented_defaults() {
    let manifest = Manifest::parse(GOOD, "tiny.toml").unwrap();
    assert_eq!((manifest.floor, manifest.nms_iou), (0.1, 0.45));
    assert_eq!(manifest.nms_inside, 1.0);
    assert_eq!(manifest.input.align, Align::TopLeft);
    assert_eq!(
        (manifest.input.pad, manifest.input.affine(2)),
        (114, (1.0, 0.0))
    );
}

#[test]
fn normalisation_is_scale_then_mean_then_std() {
    let input = r#"scale = 0.5, mean = [1.0, 2.0, 3.0], std = [2.0, 4.0, 8.0], width"#;
    let manifest = Manifest::parse(&GOOD.replace("width", input), "t").unwrap();
    let (factor, offset) = manifest.input.affine(1);
    assert_eq!(100.0 * factor + offset, (100.0 * 0.5 - 2.0) / 4.0);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_was_expected() {
    let text = error_of(&GOOD.replace("threshold", "treshold"));
    assert!(text.contains("models/tiny.toml, line 8"), "{text}");
    assert!(
        text.contains("treshold") && text.contains("`threshold`"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn an_unknown_decoder_is_named_with_those_there_are() {
    let text = error_of(&GOOD.replace("\"yolox\"", "\"yolov99\""));
    assert!(
        text.contains("line 7") && text.contains("yolov99"),
        "{text}"
    );
    assert!(
        text.contains("expected one of `yolox`, `fastestdet`, `nanodet`, `yolov8`"),
        "{text}"
    );
}

#[test]
fn a_value_out_of_range_is_named_by_its_key() {
    for (from, to, key) in [
        ("\"tiny\"", "\"Tiny Model\"", "name"),
        ("\"tiny.onnx\"", "\"../tiny.onnx\"", "file"),
        ("2c26b4", "zz26b4", "sha256"),
        ("\"yolox\"", "\"yolox\"\nbins = 8", "bins"),
        ("\"yolox\"", "\"nanodet\"\nbins = 1", "bins"),
        ("\"yolox\"", "\"yolox\"\noutputs = [\"\"]", "outputs"),
        ("0.3", "nan", "threshold"),
        ("0.3", "0.3\nfloor = 0.4", "floor"),
        ("0.3", "0.3\nnms_iou = 1.5", "nms_iou"),
        ("0.3", "0.3\nnms_inside = -0.1", "nms_inside"),
        ("{ person = 0, dog = 16 }", "{}", "classes"),
        ("= 64", "= 0", "input.width"),
        ("= 32", "= 100000", "input.height"),
        ("\"rgb\"", "\"rgb\", std = [1.0, 0.0, 1.0]", "input.std"),
        ("\"rgb\"", "\"rgb\", scale = inf", "input.scale"),
    ] {
        let text = error_of(&GOOD.replace(from, to));
        assert!(text.contains(&format!("key {key}: expected")), "{text}");
    }
}

#[test]
fn only_named_classes_are_kept_and_an_unknown_one_is_refused() {
    let mut manifest = Manifest::parse(GOOD, "t").unwrap();
    manifest.keep_classes(&["person".to_owned()]).unwrap();
    assert_eq!(manifest.classes.len(), 1);
    let text = manifest
        .keep_classes(&["cat".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("\"cat\"") && text.contains("person"),
        "{text}"
    );
}

#[test]
fn weights_are_found_beside_the_manifest_or_in_another_directory_and_checked() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("tiny.toml");
    crate::durable::write(&path, GOOD.as_bytes()).unwrap();
    let extra = [other.path().to_owned()];

    let manifest = find(path.to_str().unwrap(), &extra).unwrap();
    let missing = manifest.read_weights().unwrap_err().to_string();
    assert!(
        missing.contains(other.path().to_str().unwrap()),
        "{missing}"
    );
    assert!(
        missing.contains("https://example.org/tiny.onnx"),
        "{missing}"
    );

    let weights = other.path().join("tiny.onnx");
    crate::durable::write(&weights, b"foo").unwrap();
    assert_eq!(manifest.read_weights().unwrap(), b"foo");

    crate::durable::write(&weights, b"bar").unwrap();
    let wrong = manifest.read_weights().unwrap_err().to_string();
    assert!(wrong.contains("has sha256 fcde2b2e"), "{wrong}");
    assert!(wrong.contains("says 2c26b46b"), "{wrong}");
}

#[test]
fn a_name_is_looked_up_in_the_given_directories_first() {
    let dir = tempfile::tempdir().unwrap();
    crate::durable::write(&dir.path().join("tiny.toml"), GOOD.as_bytes()).unwrap();
    let extra = [dir.path().to_owned()];
    assert_eq!(find("tiny", &extra).unwrap().name, "tiny");
    assert!(
        available(&extra)
            .iter()
            .any(|(path, _)| path.ends_with("tiny.toml"))
    );
    let text = find("missing", &extra).unwrap_err().to_string();
    assert!(
        text.contains("no missing.toml in") && text.contains("models"),
        "{text}"
    );
    assert!(
        find("../tiny", &extra)
            .unwrap_err()
            .to_string()
            .contains("neither")
    );
}

#[test]
fn every_manifest_that_ships_is_valid_and_named_like_its_file() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let manifests = available(std::slice::from_ref(&dir));
    let shipped = manifests.iter().filter(|(path, _)| path.starts_with(&dir));
    let mut count = 0;
    for (path, manifest) in shipped {
        let manifest = manifest.as_ref().unwrap();
        assert_eq!(path.file_stem().unwrap(), manifest.name.as_str());
        count += 1;
    }
    assert!(count >= 2);
}
