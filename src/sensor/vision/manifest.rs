//! A model's manifest: the TOML file beside the weights that says what they are and how to feed them.
//! Every key is described in `docs/reference/model-manifest.md`.

mod check;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::VisionError;
use super::count::geometry::Anchor;
use super::decode::{Decoder, Wish};

/// More directories with manifests and weights, separated by colons.
pub const MODELS_VARIABLE: &str = "FOOTFALL_MODELS";

/// Where the package puts manifests and weights.
const SYSTEM_DIR: &str = "/usr/share/footfall/models";

/// Weights of a people detector are a few MB; a file beyond this is not one.
const MAX_WEIGHTS: u64 = 256 << 20;

/// NanoDet's bins unless the manifest says otherwise (`reg_max` 7 of its own configs).
const BINS: u8 = 8;

/// A model as its manifest describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    /// File name of the weights, without directories.
    pub file: String,
    /// Of the weights, 64 hexadecimal digits.
    pub sha256: String,
    /// SPDX expression, as the owner states it.
    pub licence: String,
    /// Where the owner publishes the weights.
    pub source: String,
    pub decoder: Decoder,
    /// The outputs to read, by name and in the decoder's order, at most [`super::decode::MAX_OUTPUTS`]; empty when their shapes say
    /// which.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Values of each distance's distribution, 2..=64; only NanoDet has them.
    #[serde(default)]
    pub bins: Option<u8>,
    /// Score from which a detection may start a track, 0..=1.
    pub threshold: f32,
    /// Lowest score handed to the tracker, 0..=threshold.
    #[serde(default = "floor")]
    pub floor: f32,
    /// Overlap above which the weaker box of the same class is dropped, 0..=1.
    #[serde(default = "nms_iou")]
    pub nms_iou: f32,
    /// Share of the smaller of two boxes of the same class above which, inside the other, the weaker is dropped, 0..=1.
    #[serde(default = "nms_inside")]
    pub nms_inside: f32,
    pub view: View,
    /// The classes worth having, by name, with their index in the model's output.
    pub classes: BTreeMap<String, u16>,
    pub input: Input,
    /// The manifest's own file; empty for a built-in one.
    #[serde(skip)]
    pub path: PathBuf,
    /// Where the weights are looked for, first to last.
    #[serde(skip)]
    weights_dirs: Vec<PathBuf>,
}

/// `[input]`: what the model's input tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    #[serde(default)]
    pub layout: Layout,
    /// Order of the channels.
    pub colour: Colour,
    pub resize: Resize,
    /// Where a letterboxed frame lies.
    #[serde(default)]
    pub align: Align,
    /// Grey level around a letterboxed frame, 0..=255.
    #[serde(default = "pad")]
    pub pad: u8,
    /// Factor that comes first: tensor = (pixel · scale − mean) / std.
    #[serde(default = "one")]
    pub scale: f32,
    /// Per channel, in the tensor's order.
    #[serde(default)]
    pub mean: [f32; 3],
    /// Per channel, in the tensor's order.
    #[serde(default = "ones")]
    pub std: [f32; 3],
}

impl Input {
    /// Factor and offset that turn a pixel of `channel` (0..=2, in the tensor's order) into its value.
    #[must_use]
    pub fn affine(&self, channel: usize) -> (f32, f32) {
        let channel = channel.min(2);
        let (mean, std) = (self.mean[channel], self.std[channel]);
        (self.scale / std, -mean / std)
    }
}

/// Order of the tensor's dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    #[default]
    Nchw,
}

/// Order of the tensor's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Rgb,
    Bgr,
}

/// How a frame is brought to the input's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Keeps the proportions and pads.
    Letterbox,
    /// Fills the input.
    Stretch,
}

/// Where a letterboxed frame lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    #[default]
    TopLeft,
    Center,
}

impl View {
    /// The point of a box that is over somebody's feet.
    #[must_use]
    pub const fn anchor(self) -> Anchor {
        match self {
            Self::Oblique => Anchor::BottomCenter,
            Self::Overhead => Anchor::Center,
        }
    }
}

/// The view the model was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// From the wall or the ceiling's edge: whole people.
    Oblique,
    /// From straight above: heads and shoulders.
    Overhead,
}

fn floor() -> f32 {
    0.1
}

fn nms_iou() -> f32 {
    0.45
}

fn nms_inside() -> f32 {
    1.0
}

fn pad() -> u8 {
    114
}

fn one() -> f32 {
    1.0
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

impl Manifest {
    /// Reads the manifest at `path`. Weights are then looked for beside it, in `extra_dirs` and in the
    /// directories of [`MODELS_VARIABLE`].
    ///
    /// # Errors
    /// [`VisionError::Missing`] when it cannot be read; [`VisionError::Model`] naming the file, the line and what was
    /// expected.
    pub fn read(path: &Path, extra_dirs: &[PathBuf]) -> Result<Self, VisionError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| VisionError::Missing {
            model: shown.clone(),
            why: format!("the manifest cannot be read ({error})"),
            fix: "give the path of a readable manifest".to_owned(),
        })?;
        let text = String::from_utf8(bytes).map_err(|_| VisionError::Model {
            model: shown.clone(),
            why: "the manifest is not UTF-8 text".to_owned(),
            fix: "give the path of a manifest, not that of the weights".to_owned(),
        })?;
        let mut manifest = Self::parse(&text, &shown)?;
        manifest.path = path.to_owned();
        manifest.weights_dirs = path
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(extra_dirs.iter().cloned())
            .chain(variable_dirs())
            .collect();
        Ok(manifest)
    }

    /// Parses a manifest's text; `shown` names it in errors.
    ///
    /// # Errors
    /// [`VisionError::Model`] naming the line and what was expected.
    pub fn parse(text: &str, shown: &str) -> Result<Self, VisionError> {
        let fault = |place: String, why: String| VisionError::Model {
            model: format!("{shown}{place}"),
            why,
            fix: "correct the manifest (its keys: docs/reference/model-manifest.md)".to_owned(),
        };
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map(|before| format!(", line {}", 1 + before.matches('\n').count()));
            fault(line.unwrap_or_default(), error.message().replace('\n', " "))
        })?;
        manifest.fault().map_or(Ok(manifest), |(key, why)| {
            Err(fault(format!(", key {key}"), why))
        })
    }

    /// What it says about the model's outputs.
    #[must_use]
    pub fn wish(&self) -> Wish<'_> {
        Wish {
            decoder: self.decoder,
            input: (self.input.width, self.input.height),
            bins: self.bins.unwrap_or(BINS).into(),
            names: &self.outputs,
        }
    }

    /// Keeps only the classes called `names`.
    ///
    /// # Errors
    /// [`VisionError::Model`] naming a class that the model does not have and those it has.
    pub fn keep_classes(&mut self, names: &[String]) -> Result<(), VisionError> {
        if let Some(unknown) = names.iter().find(|name| !self.classes.contains_key(*name)) {
            let known: Vec<&str> = self.classes.keys().map(String::as_str).collect();
            return Err(self.error(
                format!("it has no class {unknown:?}"),
                format!("choose from {}", known.join(", ")),
            ));
        }
        self.classes.retain(|name, _| names.contains(name));
        Ok(())
    }

    /// The weights' file: the first place that has it.
    ///
    /// # Errors
    /// [`VisionError::Missing`] naming every place looked at and where the owner publishes the weights.
    pub fn weights(&self) -> Result<PathBuf, VisionError> {
        let places = || self.weights_dirs.iter().map(|dir| dir.join(&self.file));
        places().find(|path| path.is_file()).ok_or_else(|| {
            let places: Vec<String> = places().map(|path| path.display().to_string()).collect();
            self.missing(
                format!(
                    "the weights are not there (looked at {})",
                    places.join(", ")
                ),
                format!(
                    "get {} from {} and put it into one of these places, or name its directory in \
                     {MODELS_VARIABLE}",
                    self.file, self.source
                ),
            )
        })
    }

    /// Reads the weights and holds them against the manifest's sha256.
    ///
    /// # Errors
    /// [`VisionError::Missing`] when they are missing or unreadable, [`VisionError::Model`] when they are other than
    /// the manifest says.
    pub fn read_weights(&self) -> Result<Vec<u8>, VisionError> {
        let path = self.weights()?;
        let unreadable = |error: std::io::Error| {
            self.missing(
                format!("cannot read {}: {error}", path.display()),
                "make the file readable for the daemon's user".to_owned(),
            )
        };
        let mut weights = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_WEIGHTS).read_to_end(&mut weights))
            .map_err(unreadable)?;
        self.verify(&weights, &path.display().to_string())?;
        Ok(weights)
    }

    /// Holds `weights` against the manifest's sha256; `shown` names them in the error.
    ///
    /// # Errors
    /// [`VisionError::Model`] with both sums.
    pub fn verify(&self, weights: &[u8], shown: &str) -> Result<(), VisionError> {
        let found: String = Sha256::digest(weights)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found.eq_ignore_ascii_case(&self.sha256) {
            return Ok(());
        }
        Err(self.error(
            format!(
                "{shown} has sha256 {found}, the manifest says {}",
                self.sha256
            ),
            format!("get {} again from {}", self.file, self.source),
        ))
    }

    fn missing(&self, why: String, fix: String) -> VisionError {
        VisionError::Missing {
            model: self.name.clone(),
            why,
            fix,
        }
    }

    pub(super) fn error(&self, why: String, fix: String) -> VisionError {
        VisionError::Model {
            model: self.name.clone(),
            why,
            fix,
        }
    }
}

/// Finds a manifest: the path of a `.toml` file, or a name that is looked for as `NAME.toml` in
/// `extra_dirs`, the directories of [`MODELS_VARIABLE`], `./models` and the package's directory.
///
/// # Errors
/// [`VisionError::Missing`] naming every directory looked at; [`VisionError::Model`] with what is wrong with the
/// manifest.
pub fn find(name_or_path: &str, extra_dirs: &[PathBuf]) -> Result<Manifest, VisionError> {
    if name_or_path.ends_with(".toml") {
        return Manifest::read(Path::new(name_or_path), extra_dirs);
    }
    let missing = |why: String, fix: &str| VisionError::Missing {
        model: name_or_path.to_owned(),
        why,
        fix: fix.to_owned(),
    };
    if !check::is_name(name_or_path) {
        return Err(missing(
            "neither a model's name nor the path of a .toml file".to_owned(),
            "name one of `footfall model list`",
        ));
    }
    let dirs = manifest_dirs(extra_dirs);
    let file = format!("{name_or_path}.toml");
    match dirs.iter().map(|dir| dir.join(&file)).find(|p| p.is_file()) {
        Some(path) => Manifest::read(&path, extra_dirs),
        None => {
            let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
            Err(missing(
                format!("no {file} in {}", dirs.join(", ")),
                "name one of `footfall model list` or the path of a manifest",
            ))
        }
    }
}

/// Every manifest that [`find`] can find by name, readable or not, by file name.
#[must_use]
pub fn available(extra_dirs: &[PathBuf]) -> Vec<(PathBuf, Result<Manifest, VisionError>)> {
    let mut found = BTreeMap::new();
    for dir in manifest_dirs(extra_dirs) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                found.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    let read = |path: PathBuf| (path.clone(), Manifest::read(&path, extra_dirs));
    found.into_values().map(read).collect()
}

fn manifest_dirs(extra_dirs: &[PathBuf]) -> Vec<PathBuf> {
    extra_dirs
        .iter()
        .cloned()
        .chain(variable_dirs())
        .chain([PathBuf::from("models"), PathBuf::from(SYSTEM_DIR)])
        .collect()
}

fn variable_dirs() -> Vec<PathBuf> {
    std::env::var_os(MODELS_VARIABLE)
        .map(|dirs| std::env::split_paths(&dirs).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .filter(|dir| !dir.as_os_str().is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
