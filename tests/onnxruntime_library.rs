//! What happens with a library that is not the ONNX Runtime we need: an error that helps, never a panic; and what the right
//! one must not do.
//!
//! Each test in its own process: a loaded library cannot be unloaded. Needs a C compiler.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use footfall::sensor::vision::{VisionError, runtime};
use program::{Home, ended, library};

/// The only function the loader looks for; the base it returns holds `GetApi` and `GetVersionString`.
const FAKE: &str = r#"
#include <stddef.h>
static const void *api(unsigned version) { (void)version; return NULL; }
static const char *text(void) { return VERSION; }
static const struct { const void *(*api)(unsigned); const char *(*text)(void); } base = { api, text };
const void *OrtGetApiBase(void) { return &base; }
"#;

#[test]
fn a_library_that_does_not_fit_is_an_error_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let compile = |name: &str, version: &str| build(dir.path(), name, version);
    let Some(old) = compile("old.so", "1.10.0") else {
        eprintln!("\n*** SKIPPED: wrong libraries were NOT tried: no C compiler (cc) ***\n");
        return;
    };
    let text = refusal(&old);
    assert!(
        text.contains("version 1.10.0") && text.contains("1.21 or newer"),
        "{text}"
    );
    assert!(text.contains("make setup"), "{text}");

    let cut = dir.path().join("cut.so");
    let whole = std::fs::read(&old).unwrap();
    footfall::durable::write(&cut, &whole[..200]).unwrap();
    let text = refusal(&cut);
    assert!(text.contains("cut.so"), "{text}");

    let other = dir.path().join("other.so");
    let source = dir.path().join("other.c");
    footfall::durable::write(&source, b"int nothing;").unwrap();
    assert!(cc(&source, &other, "1"));
    let text = refusal(&other);
    assert!(text.contains("not ONNX Runtime"), "{text}");

    // Last: the binding keeps a library whose version looks right.
    let strange = compile("strange.so", "1.99.0").unwrap();
    let text = refusal(&strange);
    assert!(text.contains("interface"), "{text}");
}

/// The library's releases keep an identifier and their reports there before they send them, except on machines that look
/// like a test's; the environment of this one is a box's.
#[test]
fn the_library_leaves_nothing_behind_that_could_be_sent_to_its_maker() {
    if !library() {
        return;
    }
    let (home, user) = (Home::new(), tempfile::tempdir().unwrap());
    let mut command = home.footfall(["model", "verify", "person-oblique-int8.toml"]);
    command.env_clear().env("HOME", user.path()).env(
        runtime::LIBRARY_VARIABLE,
        runtime::load(None).unwrap().path(),
    );
    let verified = ended(command);
    assert_eq!(verified.code, 0, "{verified:?}");
    let left: Vec<_> = std::fs::read_dir(user.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn refusal(library: &Path) -> String {
    match runtime::load(Some(library)) {
        Err(error @ VisionError::Runtime { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{} was accepted", library.display()),
    }
}

fn build(dir: &Path, name: &str, version: &str) -> Option<PathBuf> {
    let (source, library) = (dir.join("fake.c"), dir.join(name));
    footfall::durable::write(&source, FAKE.as_bytes()).unwrap();
    cc(&source, &library, version).then_some(library)
}

fn cc(source: &Path, library: &Path, version: &str) -> bool {
    let define = format!("-DVERSION=\"{version}\"");
    let ran = Command::new("cc")
        .args(["-shared", "-fPIC", &define, "-o"])
        .args([library, source])
        .status();
    ran.is_ok_and(|status| status.success())
}
