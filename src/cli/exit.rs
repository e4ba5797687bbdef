//! Exit codes, after sysexits(3) of BSD, and which error ends with which.

use std::process::ExitCode;

use crate::command::key::KeyError;
use crate::config;
use crate::outbox::OutboxError;
use crate::sensor::camera::CameraError;
use crate::sensor::vision::VisionError;
use crate::status::auth::pin::PinError;
use crate::uplink::UplinkError;

/// Command line used wrongly.
pub const USAGE: u8 = 64;
/// Input data is damaged or of the wrong kind.
pub const DATA: u8 = 65;
/// Something that is needed does not exist: a file, a library, a running daemon.
pub const UNAVAILABLE: u8 = 69;
/// A fault of footfall itself.
pub const SOFTWARE: u8 = 70;
/// Reading or writing failed.
pub const IO: u8 = 74;
/// The config is wrong.
pub const CONFIG: u8 = 78;

/// An error with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    /// An error that ends the command with `code`.
    #[must_use]
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// `error` and its causes on one line. A cause that the text before it ends with already is not repeated.
#[must_use]
pub fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The exit code for `error`.
#[must_use]
pub fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(error.chain().find_map(code_of).unwrap_or(SOFTWARE))
}

/// The exit code for a fault of a model or of the library that runs it.
#[must_use]
pub fn vision_code(error: &VisionError) -> u8 {
    match error {
        VisionError::Runtime { .. } | VisionError::Missing { .. } => UNAVAILABLE,
        VisionError::Model { .. } => DATA,
        VisionError::Inference(_) => SOFTWARE,
    }
}

fn code_of(error: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        Some(failure.code)
    } else if error.is::<config::Faults>() || error.is::<UplinkError>() {
        Some(CONFIG)
    } else if let Some(error) = error.downcast_ref::<KeyError>() {
        Some(match error {
            KeyError::Write { .. } => IO,
            KeyError::Random => SOFTWARE,
            _ => CONFIG,
        })
    } else if let Some(error) = error.downcast_ref::<CameraError>() {
        Some(match error {
            CameraError::Unavailable { .. } | CameraError::Live(_) => UNAVAILABLE,
            CameraError::BadData { .. } => DATA,
        })
    } else if let Some(error) = error.downcast_ref::<VisionError>() {
        Some(vision_code(error))
    } else if let Some(error) = error.downcast_ref::<PinError>() {
        Some(match error {
            PinError::Weak(_) => DATA,
            PinError::File { .. } => CONFIG,
            PinError::Write { .. } => IO,
            PinError::Hash(_) => SOFTWARE,
        })
    } else if let Some(error) = error.downcast_ref::<OutboxError>() {
        Some(match error {
            OutboxError::Io { .. } => IO,
            OutboxError::Locked(_) => UNAVAILABLE,
            OutboxError::Corrupt(_) => DATA,
            OutboxError::Closed => SOFTWARE,
        })
    } else {
        error.is::<std::io::Error>().then_some(IO)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let source = || io::Error::other("no space");
        let said = OutboxError::Io {
            what: "cannot open it: free some".to_owned(),
            source: source(),
        };
        assert_eq!(text(&said.into()), "cannot open it: free some: no space");
        let context = anyhow::Error::new(source()).context("writing boxes");
        assert_eq!(text(&context), "writing boxes: no space");
    }

    #[test]
    fn what_is_not_there_is_unavailable_and_what_does_not_fit_is_bad_data() {
        let (model, why, fix) = ("m".to_owned(), "w".to_owned(), "f".to_owned());
        let missing = VisionError::Missing {
            model: model.clone(),
            why: why.clone(),
            fix: fix.clone(),
        };
        let context = anyhow::Error::new(missing).context("camera entrance");
        assert_eq!(code(&context), ExitCode::from(UNAVAILABLE));
        assert_eq!(text(&context), "camera entrance: model m: w; f");
        let unfit = VisionError::Model { model, why, fix };
        assert_eq!(code(&unfit.into()), ExitCode::from(DATA));
    }
}
