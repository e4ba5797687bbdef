//! What looks for people in the synthetic shop: our own weights, which are part of the program.

use super::scene::Place;
use crate::app;
use crate::config::schema::Line;
use crate::sensor::vision::VisionError;
use crate::sensor::vision::count::scene::SceneSettings;
use crate::sensor::vision::manifest::Manifest;
use crate::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use crate::sensor::vision::runtime::Runtime;
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::view::ViewSettings;

/// Weights, manifest and its name of the detector for a camera in that place.
const fn weights(place: Place) -> (&'static [u8], &'static str, &'static str) {
    match place {
        Place::Oblique => (
            include_bytes!("../../models/person-oblique-int8.onnx"),
            include_str!("../../models/person-oblique-int8.toml"),
            "models/person-oblique-int8.toml",
        ),
        Place::Overhead => (
            include_bytes!("../../models/person-overhead-int8.onnx"),
            include_str!("../../models/person-overhead-int8.toml"),
            "models/person-overhead-int8.toml",
        ),
    }
}

/// Detector, tracker and one line, as the daemon would be set up for a camera in that place.
///
/// # Errors
/// [`VisionError`] where the library refuses the weights.
pub fn pipeline(place: Place, line: &Line, runtime: &Runtime) -> Result<Pipeline, VisionError> {
    let (weights, manifest, name) = weights(place);
    let manifest = Manifest::parse(manifest, name)?;
    let detector = OnnxDetector::from_bytes(&manifest, weights, 1, runtime)?;
    let settings = PipelineSettings {
        threshold: manifest.threshold,
        first_track: 1,
        view: ViewSettings::default(),
        scene: SceneSettings {
            lines: vec![app::line_settings(line)],
            anchor: manifest.view.anchor(),
            ..SceneSettings::default()
        },
    };
    Ok(Pipeline::new(Some(Box::new(detector)), settings))
}
