//! Models of every kind a manifest can describe: each decoder, open and fixed sizes, 32-bit and 16-bit floats, bytes and
//! 8-bit integers inside, one output and several. A Python script makes them and says which boxes they ought to give;
//! a manifest is all that footfall gets to know about them.
//!
//! Needs the ONNX Runtime library and a Python with numpy, onnx, onnxruntime and opencv.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use footfall::sensor::vision::manifest::{self, Manifest};
use footfall::sensor::vision::runtime::{self, Runtime};
use footfall::sensor::vision::session::OnnxDetector;
use footfall::sensor::vision::{Detection, Detector};
use python::{python, read_frame};

/// x0, y0, x1, y1, score, class.
type Reference = [f32; 6];

/// Pixels of a picture of 150×110; a 16-bit float of that size has steps of an eighth.
const PLACE: f32 = 0.5;
const SCORE: f32 = 0.005;
/// The manifests' floor.
const FLOOR: f32 = 0.1;

#[test]
fn models_of_every_kind_give_the_boxes_that_python_says_they_give() {
    let Some((dir, runtime)) = made() else {
        return;
    };
    let text = std::fs::read_to_string(dir.path().join("boxes.json")).unwrap();
    let expected: BTreeMap<String, Vec<Reference>> = serde_json::from_str(&text).unwrap();
    assert!(expected.len() >= 15, "{:?}", expected.keys());
    for (name, reference) in expected {
        let manifest = read(dir.path(), &name);
        let mut detector = OnnxDetector::load(&manifest, 1, &runtime).unwrap();
        let frame = read_frame(&dir.path().join(format!("{name}.png")));
        let mut found = Vec::new();
        detector.detect(&frame, &mut found).unwrap();
        println!("{name}: {} boxes", found.len());
        // A test that compares nothing with nothing would pass too.
        assert!(reference.len() >= 4, "{name}: {reference:?}");
        same(&name, &reference, &found);
    }
}

#[test]
fn a_manifest_that_contradicts_its_model_is_refused_with_the_key_and_what_the_model_has() {
    let Some((dir, runtime)) = made() else {
        return;
    };
    let refusal = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(dir.path().join(format!("{name}.toml"))).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        let path = dir.path().join("changed.toml");
        footfall::durable::write(&path, text.replace(from, to).as_bytes()).unwrap();
        let changed = Manifest::read(&path, &[]).unwrap();
        let refused = OnnxDetector::load(&changed, 1, &runtime);
        refused.err().map(|error| error.to_string()).unwrap()
    };
    for (name, from, to, words) in [
        (
            "yolov8",
            "width = 96",
            "width = 128",
            &[
                "input.width: 128, the model takes 96",
                "input images, f32 1×3×64×96",
            ][..],
        ),
        (
            "yolov8",
            "height = 64",
            "height = 96",
            &["input.height: 96, the model takes 64"],
        ),
        (
            "yolov8",
            "\"yolov8\"\n",
            "\"yolox\"\n",
            &[
                "decoder: yolox reads",
                "1×126×(5 + classes)",
                "output0 (f32 1×7×126)",
            ],
        ),
        (
            "yolox-named",
            "outputs = [\"output\"]",
            "",
            &[
                "outputs: name the one to read as yolox",
                "auxiliary",
                "output (f32 1×126×8)",
            ],
        ),
        (
            "yolox-named",
            "[\"output\"]",
            "[\"size\"]",
            &["decoder: yolox reads", "the model has size (i64"],
        ),
        (
            "yolox-named",
            "[\"output\"]",
            "[\"nothing\"]",
            &["outputs: there is no \"nothing\"", "auxiliary", "size"],
        ),
        (
            "nanodet-together",
            "bins = 8",
            "bins = 16",
            &[
                "decoder: nanodet reads",
                "classes + 64",
                "output (f32 1×126×35)",
            ],
        ),
        (
            "nanodet",
            "kind-2 = 2",
            "kind-2 = 3",
            &["classes.kind-2: 3", "3 classes"],
        ),
        (
            "yolov8-uint8",
            "colour =",
            "std = [2.0, 2.0, 2.0], colour =",
            &["input.std", "grey levels as bytes", "u8 1×3×64×96"],
        ),
    ] {
        let text = refusal(name, from, to);
        for word in words {
            assert!(text.contains(word), "{name}, {to}: {text}");
        }
        assert!(
            text.contains("correct the manifest") && text.contains("changed.toml"),
            "{text}"
        );
    }
    // A model that leaves its size open runs at the manifest's.
    assert!(refusal("yolov8-dynamic", "\"yolov8\"\n", "\"yolox\"\n").contains("1×7×126"));
}

fn read(dir: &Path, name: &str) -> Manifest {
    let path = dir.join(format!("{name}.toml"));
    manifest::find(path.to_str().unwrap(), &[]).unwrap()
}

/// The models in a directory of their own, and the library; or a loud note.
fn made() -> Option<(tempfile::TempDir, Runtime)> {
    let runtime = match runtime::load(None) {
        Ok(runtime) => runtime,
        Err(error) => return skipped(&error.to_string()),
    };
    let (dir, python) = (tempfile::tempdir().unwrap(), python());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model_kinds.py");
    let ran = Command::new(&python).arg(script).arg(dir.path()).output();
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => return skipped(&format!("{}: {error}", python.display())),
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    if ran.status.code() == Some(77) {
        return skipped(&format!("{}: {said}", python.display()));
    }
    assert!(ran.status.success(), "{said}");
    Some((dir, runtime))
}

/// Each box has its partner of nearly the same place and score on the other side. Those at the very floor may be on
/// one side only.
fn same(name: &str, reference: &[Reference], found: &[Detection]) {
    let found = found.iter().map(|Detection { rect, score, class }| {
        [
            rect.x0,
            rect.y0,
            rect.x1,
            rect.y1,
            *score,
            f32::from(*class),
        ]
    });
    let found: Vec<Reference> = found.collect();
    for (these, those) in [(reference, found.as_slice()), (&found, reference)] {
        let mut free = those.to_vec();
        for wanted in these.iter().filter(|wanted| wanted[4] > FLOOR + SCORE) {
            let tolerances = [PLACE, PLACE, PLACE, PLACE, SCORE, 0.0];
            let partner = free.iter().position(|is| {
                let pairs = is.iter().zip(wanted).zip(tolerances);
                pairs
                    .into_iter()
                    .all(|((a, b), most)| (a - b).abs() <= most)
            });
            let partner = partner.unwrap_or_else(|| panic!("{name}: no {wanted:?} in {those:?}"));
            free.swap_remove(partner);
        }
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    eprintln!("\n*** SKIPPED: models of every kind were NOT tried: {why} ***\n");
    None
}
