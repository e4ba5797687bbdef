//! These need the ONNX Runtime library and the models' weights (FOOTFALL_MODELS or FOOTFALL_DATA).

use super::super::manifest::{self, Manifest};
use super::super::runtime;
use super::*;

fn shipped(name: &str) -> Manifest {
    let data = std::env::var_os("FOOTFALL_DATA").map(std::path::PathBuf::from);
    let dirs: Vec<_> = data.into_iter().map(|data| data.join("models")).collect();
    let path = format!("{}/models/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    manifest::find(&path, &dirs).unwrap()
}

/// The shipped manifest, its weights and the library, or a loud note.
fn ready(name: &str) -> Option<(Manifest, Vec<u8>, Runtime)> {
    let manifest = shipped(name);
    let (weights, runtime) = match (manifest.weights(), runtime::load(None)) {
        (Ok(_), Ok(runtime)) => (manifest.read_weights().unwrap(), runtime),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("\n*** SKIPPED: the detector was NOT tested: {error} ***\n");
            return None;
        }
    };
    Some((manifest, weights, runtime))
}

fn noise(width: u32, height: u32, seed: u64) -> Frame {
    let mut rgb = vec![0; (width * height * 3) as usize];
    fastrand::Rng::with_seed(seed).fill(&mut rgb);
    Frame {
        width,
        height,
        rgb,
        ..Frame::default()
    }
}

#[test]
fn an_empty_grey_frame_of_any_size_has_no_people() {
    let Some((manifest, weights, runtime)) = ready("fastestdet-352") else {
        return;
    };
    let mut detector = OnnxDetector::from_bytes(&manifest, &weights, 1, &runtime).unwrap();
    let mut found = vec![Detection {
        rect: super::super::Rect::default(),
        score: 1.0,
        class: 9,
    }];
    for (width, height) in [(640, 480), (1280, 720), (33, 500)] {
        let rgb = vec![128; (width * height * 3) as usize];
        let frame = Frame {
            width,
            height,
            rgb,
            ..Frame::default()
        };
        detector.detect(&frame, &mut found).unwrap();
        found.retain(|detection| detection.score >= manifest.threshold);
        assert_eq!(found, []);
    }
}

#[test]
fn the_same_frame_gives_the_same_boxes_whatever_came_between() {
    let Some((mut manifest, weights, runtime)) = ready("fastestdet-352") else {
        return;
    };
    manifest.floor = 0.001;
    let mut detector = OnnxDetector::from_bytes(&manifest, &weights, 1, &runtime).unwrap();
    let (mut first, mut between, mut again) = (Vec::new(), Vec::new(), Vec::new());
    detector.detect(&noise(320, 240, 1), &mut first).unwrap();
    detector.detect(&noise(200, 400, 2), &mut between).unwrap();
    detector.detect(&noise(320, 240, 1), &mut again).unwrap();
    assert!(!first.is_empty());
    assert_eq!(first, again);
}

#[test]
fn a_frame_that_is_not_one_is_an_error_and_the_next_one_works() {
    let Some((manifest, weights, runtime)) = ready("fastestdet-352") else {
        return;
    };
    let mut detector = OnnxDetector::from_bytes(&manifest, &weights, 1, &runtime).unwrap();
    let mut found = Vec::new();
    let error = detector.detect(&Frame::default(), &mut found).unwrap_err();
    assert!(matches!(error, VisionError::Inference(_)), "{error}");
    detector.detect(&noise(64, 64, 3), &mut found).unwrap();
}

#[test]
fn a_manifest_that_does_not_fit_its_weights_is_refused_with_both_shapes() {
    let Some((good, weights, runtime)) = ready("fastestdet-352") else {
        return;
    };
    let refusal = |change: fn(&mut Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        let refused = OnnxDetector::from_bytes(&manifest, &weights, 1, &runtime);
        refused.err().map(|error| error.to_string()).unwrap()
    };
    let text = refusal(|manifest| manifest.input.width = 416);
    assert!(
        text.contains("input.width: 416, the model takes 352") && text.contains("1×3×352×352"),
        "{text}"
    );
    let text = refusal(|manifest| manifest.decoder = super::super::decode::Decoder::Yolox);
    assert!(
        text.contains("1×85×22×22") && text.contains("1×2541×(5 + classes)"),
        "{text}"
    );
    let text = refusal(|manifest| {
        manifest.classes.insert("unicorn".to_owned(), 80);
    });
    assert!(
        text.contains("classes.unicorn: 80") && text.contains("80 classes"),
        "{text}"
    );
}

#[test]
fn damaged_weights_are_refused_before_the_runtime_sees_them() {
    let Some((mut manifest, mut weights, runtime)) = ready("fastestdet-352") else {
        return;
    };
    let refusal = |manifest: &Manifest, weights: &[u8]| {
        OnnxDetector::from_bytes(manifest, weights, 1, &runtime)
            .err()
            .unwrap()
            .to_string()
    };
    weights.truncate(1000);
    assert!(refusal(&manifest, &weights).contains("has sha256"));
    // sha256 of the damaged bytes: then the runtime itself has to say no.
    let text = refusal(&manifest, b"not a model");
    manifest.sha256 = text.split("has sha256 ").nth(1).unwrap()[..64].to_owned();
    let text = refusal(&manifest, b"not a model");
    assert!(text.contains("ONNX Runtime refuses the weights"), "{text}");
}
