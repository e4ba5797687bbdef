//! What one scan is: from a scanner's bytes to what may be logged, stored and sent.

use super::aim::{self, Symbology};
use super::rules::Rules;
use crate::event::CodeScanned;

/// Longest payload that is looked at, bytes. Readers discard more.
pub const MOST_BYTES: usize = 4096;

/// Kinds that footfall gives itself; a rule cannot use them.
pub const RESERVED: &[&str] = &[
    "payment_code",
    "gs1",
    "ean",
    "url",
    "phone",
    "email",
    "contact",
    "wifi",
    "text",
    "binary",
];

/// What one scan says, redacted: what this returns may be logged, stored and sent.
///
/// `payload` is what the scanner sent for one code, with or without an AIM identifier, line end or whitespace around it.
/// `hint` is the symbology, where the reader knows it otherwise (a camera's decoder); an AIM identifier goes before it.
/// The touchpoint is the reader's to add.
#[must_use]
pub fn read(payload: &[u8], hint: Option<Symbology>, rules: &Rules) -> CodeScanned {
    let _ = (aim::strip(payload), hint, rules);
    CodeScanned {
        kind: "text".to_owned(),
        ..CodeScanned::default()
    }
}
