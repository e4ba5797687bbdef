//! The ONNX Runtime library: where it is looked for, and its one environment per process.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;

use super::VisionError;

/// The variable that names the library.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// ONNX Runtime's releases report to their maker and keep an identifier of the machine on disk, from 1.29 on under Linux
/// too, unless this variable has this value before they are loaded. `with_telemetry(false)` comes after the first report.
pub const NO_TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// Where the package puts the library.
const SYSTEM_LIBRARY: &str = "/usr/lib/footfall/libonnxruntime.so";

/// Where `make setup` puts the library, below the project's directory.
const PROJECT_LIBRARY: &str = "target/onnxruntime/libonnxruntime.so";

/// The loaded library. Cheap to clone; the library stays loaded until the process ends.
#[derive(Clone)]
pub struct Runtime {
    pub(super) environment: Environment,
    path: PathBuf,
}

impl Runtime {
    /// The library's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// Loads the library once per process; later calls return what the first one loaded, whatever they ask
/// for. A failed call may be repeated.
///
/// A path from the config file (`configured`) or from [`LIBRARY_VARIABLE`] must hold; without either, the
/// package's place and the project's own download are tried.
///
/// # Errors
/// [`VisionError::Runtime`] with every place looked at.
pub fn load(configured: Option<&Path>) -> Result<Runtime, VisionError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = loaded.as_ref() {
        return Ok(runtime.clone());
    }
    let path = choose(&places(configured))?;
    let environment = open(&path).map_err(|why| VisionError::Runtime {
        why: format!("{}: {why}", path.display()),
        fix: format!(
            "it must be ONNX Runtime 1.{} or newer for this machine; `make setup` fetches one",
            ort::MINOR_VERSION
        ),
    })?;
    tracing::info!(library = %path.display(), "ONNX Runtime loaded");
    let runtime = Runtime { environment, path };
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

/// The places to look at, and who named the first one if it must hold.
struct Places {
    paths: Vec<PathBuf>,
    named_by: Option<&'static str>,
}

fn places(configured: Option<&Path>) -> Places {
    let named = |path: &Path, by| Places {
        paths: vec![path.to_owned()],
        named_by: Some(by),
    };
    if let Some(path) = configured {
        return named(path, "vision.onnxruntime");
    }
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        return named(Path::new(&path), LIBRARY_VARIABLE);
    }
    // The project's directory is the working directory, or that of target/PROFILE/footfall and of
    // target/PROFILE/deps/TEST.
    let executable = std::env::current_exe().unwrap_or_default();
    let projects = [Path::new("")]
        .into_iter()
        .chain(executable.ancestors().skip(3).take(2));
    let mut paths = vec![PathBuf::from(SYSTEM_LIBRARY)];
    paths.extend(projects.map(|project| project.join(PROJECT_LIBRARY)));
    Places {
        paths,
        named_by: None,
    }
}

/// The first place that has a shared library.
fn choose(places: &Places) -> Result<PathBuf, VisionError> {
    let mut faults = Vec::new();
    for path in &places.paths {
        match shared_library(path) {
            // Absolute, or the loader would look elsewhere first.
            Ok(()) => return Ok(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Err(why) => faults.push(format!("{}: {why}", path.display())),
        }
    }
    Err(VisionError::Runtime {
        why: format!("no library found (looked at {})", faults.join("; ")),
        fix: match places.named_by {
            Some(setting) => format!("correct {setting}, or remove it and run `make setup`"),
            None => format!(
                "run `make setup`, install the package, or name the library in vision.onnxruntime or \
                 {LIBRARY_VARIABLE}"
            ),
        },
    })
}

/// Whether `path` begins like a shared library; the dynamic loader's own message is about symbols and
/// headers and helps nobody.
fn shared_library(path: &Path) -> Result<(), String> {
    let mut magic = [0; 4];
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "not there".to_owned(),
        _ => error.to_string(),
    })?;
    match file.read_exact(&mut magic) {
        Ok(()) if magic == *b"\x7fELF" => Ok(()),
        _ => Err("not a shared library".to_owned()),
    }
}

/// Loads the library and makes the environment.
fn open(path: &Path) -> Result<Environment, String> {
    let (variable, value) = NO_TELEMETRY;
    if std::env::var_os(variable).is_none_or(|is| is != value) {
        return Err(format!(
            "it would report to its maker: start this program with {variable}={value}"
        ));
    }
    // The binding panics when a library has the right function and an unknown interface behind it.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let environment = ort::init_from(path)
            .map_err(describe)?
            .with_name("footfall")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| error.to_string())?;
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    }));
    opened.unwrap_or_else(|_| Err("its interface is unknown".to_owned()))
}

fn describe(error: LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        LoadDynamicError::MissingApi { .. } => "a library, but not ONNX Runtime".to_owned(),
        LoadDynamicError::BadVersion { version_str, .. } => format!("version {version_str}"),
        other => other.to_string(),
    }
}

/// Passes the library's own warnings on. Its chatter at load time is left out.
fn log(level: LogLevel, _category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => {}
        LogLevel::Warning => tracing::debug!(place, message, "ONNX Runtime"),
        LogLevel::Error | LogLevel::Fatal => tracing::warn!(place, message, "ONNX Runtime"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_named(path: &Path) -> Result<PathBuf, VisionError> {
        choose(&Places {
            paths: vec![path.to_owned()],
            named_by: Some("vision.onnxruntime"),
        })
    }

    #[test]
    fn a_configured_library_that_is_missing_is_named_with_its_setting() {
        let text = choose_named(Path::new("/no/such/lib.so"))
            .unwrap_err()
            .to_string();
        assert!(text.contains("/no/such/lib.so: not there"), "{text}");
        assert!(text.contains("correct vision.onnxruntime"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_shared_library_is_refused_before_it_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libonnxruntime.so");
        for content in [
            &b""[..],
            b"ELF",
            b"version https://git-lfs.github.com/spec/v1",
        ] {
            crate::durable::write(&path, content).unwrap();
            let text = choose_named(&path).unwrap_err().to_string();
            assert!(text.contains("not a shared library"), "{text}");
        }
        assert!(
            choose_named(dir.path())
                .unwrap_err()
                .to_string()
                .contains("not a shared library")
        );
    }

    #[test]
    fn without_a_setting_every_place_looked_at_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good.so");
        crate::durable::write(&good, b"\x7fELF and more").unwrap();
        let mut places = Places {
            paths: vec!["/no/a.so".into(), "/no/b.so".into()],
            named_by: None,
        };
        let text = choose(&places).unwrap_err().to_string();
        assert!(
            text.contains("/no/a.so") && text.contains("/no/b.so"),
            "{text}"
        );
        assert!(text.contains("make setup"), "{text}");
        places.paths.push(good.clone());
        assert_eq!(choose(&places).unwrap(), good);
    }

    #[test]
    fn a_library_of_something_else_is_an_error_and_no_panic() {
        let executable = std::env::current_exe().unwrap();
        assert!(open(&executable).is_err());
    }
}
