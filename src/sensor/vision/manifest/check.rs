//! Whether a manifest's values are in range.

use std::path::Path;

use super::super::decode::{Decoder, MAX_OUTPUTS};
use super::Manifest;

impl Manifest {
    /// The first value that is out of range: its key and what was expected.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let input = &self.input;
        let unit = 0.0..=1.0;
        let side = 16..=4096;
        let file_name = Path::new(&self.file).file_name();
        let hex = |c: char| c.is_ascii_hexdigit();
        let checks = [
            (
                is_name(&self.name),
                "name",
                "1 to 64 of a-z, 0-9, '.', '_', '-'",
            ),
            (
                file_name.is_some_and(|name| name == self.file.as_str()),
                "file",
                "a file name without directories",
            ),
            (
                self.sha256.len() == 64 && self.sha256.chars().all(hex),
                "sha256",
                "64 hexadecimal digits",
            ),
            (
                !self.licence.trim().is_empty(),
                "licence",
                "the owner's licence",
            ),
            (
                !self.source.trim().is_empty(),
                "source",
                "where the owner publishes the weights",
            ),
            (
                self.outputs.len() <= MAX_OUTPUTS
                    && self.outputs.iter().all(|name| !name.is_empty()),
                "outputs",
                "up to 8 names",
            ),
            (
                self.bins.is_none_or(|bins| (2..=64).contains(&bins)),
                "bins",
                "2 to 64",
            ),
            (
                self.bins.is_none() || self.decoder == Decoder::Nanodet,
                "bins",
                "nothing: only the decoder nanodet has bins",
            ),
            (
                self.threshold > 0.0 && unit.contains(&self.threshold),
                "threshold",
                "a number above 0 and up to 1",
            ),
            (
                self.floor > 0.0 && (0.0..=self.threshold).contains(&self.floor),
                "floor",
                "a number above 0 and up to the threshold",
            ),
            (
                unit.contains(&self.nms_iou),
                "nms_iou",
                "a number from 0 to 1",
            ),
            (
                unit.contains(&self.nms_inside),
                "nms_inside",
                "a number from 0 to 1",
            ),
            (
                !self.classes.is_empty(),
                "classes",
                "at least one class, such as person = 0",
            ),
            (
                side.contains(&input.width),
                "input.width",
                "16 to 4096 pixels",
            ),
            (
                side.contains(&input.height),
                "input.height",
                "16 to 4096 pixels",
            ),
            (
                input.scale.is_finite() && input.scale > 0.0,
                "input.scale",
                "a finite number above 0",
            ),
            (
                input.mean.iter().all(|mean| mean.is_finite()),
                "input.mean",
                "3 finite numbers",
            ),
            (
                input.std.iter().all(|std| std.is_finite() && *std > 0.0),
                "input.std",
                "3 finite numbers above 0",
            ),
        ];
        checks
            .into_iter()
            .find(|(good, ..)| !good)
            .map(|(_, key, expected)| (key, format!("expected {expected}")))
    }
}

/// Whether `text` may be a model's name.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
        })
}
