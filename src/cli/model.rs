//! `footfall model`: which models there are, whether they are whole, and how fast this machine runs them.

mod bench;
mod verdict;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::exit;
use crate::sensor::camera::Frame;
use crate::sensor::vision::manifest::{self, Manifest};
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::{Detector, VisionError, runtime};

/// Arguments of `footfall model`.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Another directory with manifests and weights, searched first; may be repeated
    #[arg(long, value_name = "DIR", global = true)]
    models: Vec<PathBuf>,
    /// The ONNX Runtime library
    #[arg(long, value_name = "FILE", global = true)]
    onnxruntime: Option<PathBuf>,
    /// Threads of one inference
    #[arg(long, value_name = "N", global = true, default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=8))]
    threads: u8,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every model: its weights, its licence, and where its owner publishes it
    List,
    /// Checks a model's sha256 and runs it on a grey frame
    Verify {
        /// A model's name, or the path of its manifest
        #[arg(value_name = "NAME")]
        model: String,
    },
    /// What models cost on this machine, how many cameras it can hold, and how large they see people
    Bench(bench::BenchArgs),
}

/// Runs the subcommand.
///
/// # Errors
/// Standard output cannot be written. A model's own faults are printed and become the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let fault = match &args.action {
        Action::List => list(args, &mut out)?,
        Action::Verify { model } => verify(args, model, &mut out)?,
        Action::Bench(named) => {
            bench::run(args, named, &mut out)?;
            None
        }
    };
    Ok(match fault {
        None => ExitCode::SUCCESS,
        Some(error) => {
            writeln!(std::io::stderr(), "footfall model: {error}")?;
            ExitCode::from(exit::vision_code(&error))
        }
    })
}

/// What went wrong with a model, if anything.
type Fault = Option<VisionError>;

fn list(args: &Args, out: &mut impl Write) -> anyhow::Result<Fault> {
    let models = manifest::available(&args.models);
    if models.is_empty() {
        writeln!(
            out,
            "no manifests found; name their directory with --models"
        )?;
    }
    for (path, manifest) in models {
        match manifest {
            Ok(manifest) => describe(&manifest, out)?,
            Err(error) => writeln!(out, "{}\n  broken     {error}", path.display())?,
        }
    }
    Ok(None)
}

fn describe(manifest: &Manifest, out: &mut impl Write) -> anyhow::Result<()> {
    let weights = match manifest.weights() {
        Ok(path) => path.display().to_string(),
        Err(_) => format!("missing ({})", manifest.file),
    };
    let input = &manifest.input;
    writeln!(out, "{}", manifest.name)?;
    writeln!(out, "  weights    {weights}")?;
    writeln!(out, "  licence    {}", manifest.licence)?;
    writeln!(out, "  published  {}", manifest.source)?;
    writeln!(
        out,
        "  input      {}×{}, {:?} view",
        input.width, input.height, manifest.view
    )?;
    Ok(())
}

fn verify(args: &Args, model: &str, out: &mut impl Write) -> anyhow::Result<Fault> {
    let (manifest, mut detector) = match open(args, model) {
        Ok(opened) => opened,
        Err(error) => return Ok(Some(error)),
    };
    let mut found = Vec::new();
    if let Err(error) = detector.detect(&grey_frame(), &mut found) {
        return Ok(Some(error));
    }
    let people = found
        .iter()
        .filter(|detection| detection.score >= manifest.threshold)
        .count();
    writeln!(
        out,
        "{}: sha256 is right, shapes fit, inference runs",
        manifest.name
    )?;
    if people > 0 {
        writeln!(out, "note: it sees {people} people on an empty grey frame")?;
    }
    Ok(None)
}

fn open(args: &Args, model: &str) -> Result<(Manifest, OnnxDetector), VisionError> {
    let manifest = manifest::find(model, &args.models)?;
    let runtime = runtime::load(args.onnxruntime.as_deref())?;
    let detector = OnnxDetector::load(&manifest, args.threads, &runtime)?;
    Ok((manifest, detector))
}

/// A usual camera's frame with nothing on it.
fn grey_frame() -> Frame {
    let (width, height) = (1280, 720);
    Frame {
        width,
        height,
        rgb: vec![128; width as usize * height as usize * 3],
        ..Frame::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(dir: &std::path::Path) -> String {
        let dir = dir.to_str().unwrap();
        let args = Args::try_parse_from(["model", "list", "--models", dir]).unwrap();
        let mut out = Vec::new();
        assert!(list(&args, &mut out).unwrap().is_none());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_list_says_what_is_missing_and_where_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let shipped = include_str!("../../models/fastestdet-352.toml");
        let own = shipped.replace("\"FastestDet.onnx\"", "\"nowhere.onnx\"");
        crate::durable::write(&dir.path().join("own.toml"), own.as_bytes()).unwrap();
        crate::durable::write(&dir.path().join("broken.toml"), b"name = 3").unwrap();
        let text = listed(dir.path());
        assert!(text.contains("missing (nowhere.onnx)"), "{text}");
        assert!(
            text.contains("BSD-3-Clause") && text.contains("https://"),
            "{text}"
        );
        assert!(text.contains("broken.toml, line 1"), "{text}");
    }

    #[test]
    fn an_unknown_model_is_a_fault_and_not_a_crash() {
        let args = Args::try_parse_from(["model", "verify", "no-such-model"]).unwrap();
        let mut out = Vec::new();
        let fault = verify(&args, "no-such-model", &mut out).unwrap().unwrap();
        assert!(matches!(fault, VisionError::Missing { .. }), "{fault}");
    }
}
