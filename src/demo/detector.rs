//! What looks for people in the synthetic shop: our own weights, which are part of the program.

use crate::app;
use crate::config::schema::Line;
use crate::sensor::vision::VisionError;
use crate::sensor::vision::count::scene::SceneSettings;
use crate::sensor::vision::manifest::Manifest;
use crate::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use crate::sensor::vision::runtime::Runtime;
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::view::ViewSettings;

/// For a camera on the wall, by day; see `models/demo-shop.md`.
const WEIGHTS: &[u8] = include_bytes!("../../models/demo-shop.onnx");
const MANIFEST: &str = include_str!("../../models/demo-shop.toml");

/// Detector, tracker and one line, as the daemon would be set up for the shop's camera.
///
/// # Errors
/// [`VisionError`] where the library refuses the weights.
pub fn pipeline(line: &Line, runtime: &Runtime) -> Result<Pipeline, VisionError> {
    let manifest = Manifest::parse(MANIFEST, "models/demo-shop.toml")?;
    let detector = OnnxDetector::from_bytes(&manifest, WEIGHTS, 1, runtime)?;
    let settings = PipelineSettings {
        threshold: manifest.threshold,
        first_track: 1,
        view: ViewSettings::default(),
        scene: SceneSettings {
            lines: vec![app::line_settings(line)],
            ..SceneSettings::default()
        },
    };
    Ok(Pipeline::new(Some(Box::new(detector)), settings))
}
