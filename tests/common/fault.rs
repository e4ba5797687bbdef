//! What every fault must look like: its exit code, and one line that names the culprit and says what to do.

#![allow(dead_code)] // each test file uses its own part

use std::path::Path;
use std::process::Command;

use crate::program::{Home, ended};

pub const USAGE: i32 = 64;
pub const DATA: i32 = 65;
pub const UNAVAILABLE: i32 = 69;
pub const IO: i32 = 74;
pub const CONFIG: i32 = 78;

/// Runs `command`: it must end with `code`, without output, and with one line that has all the `words`.
pub fn assert_fault(name: &str, command: Command, code: i32, words: &[&str]) {
    let shown = format!("{name}: {command:?}");
    let ended = ended(command);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 1, "{shown}\n{ended:#?}");
    assert_eq!(ended.code, code, "{shown}\n{ended:#?}");
    assert_eq!(ended.out, "", "{shown}");
    assert!(!lines[0].contains("panicked"), "{shown}\n{}", lines[0]);
    for word in words {
        assert!(
            lines[0].contains(word),
            "{shown}: no {word:?} in\n{}",
            lines[0]
        );
    }
}

pub fn with_config(home: &Home, command: &str, config: &Path) -> Command {
    home.footfall([command.as_ref(), "--config".as_ref(), config.as_os_str()])
}

pub fn replay(home: &Home, config: &Path, clip: &Path) -> Command {
    let mut command = with_config(home, "replay", config);
    command.arg(clip);
    command
}

pub fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}
