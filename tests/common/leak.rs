//! Looks for secrets in bytes, in every form in which they could have leaked.

use std::collections::{BTreeMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The forms to look for, by their length.
#[derive(Default)]
pub struct Leaks(BTreeMap<usize, HashSet<Vec<u8>>>);

impl Leaks {
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut leaks = Self::default();
        for secret in secrets {
            for form in forms(secret) {
                leaks.0.entry(form.len()).or_default().insert(form);
            }
        }
        leaks
    }

    /// The first form that is found in `bytes`, and where.
    pub fn find(&self, bytes: &[u8]) -> Option<(usize, String)> {
        self.0.iter().find_map(|(length, forms)| {
            let at = bytes
                .windows(*length)
                .position(|window| forms.contains(window))?;
            Some((
                at,
                String::from_utf8_lossy(&bytes[at..at + length]).into_owned(),
            ))
        })
    }
}

/// Raw, hex in both cases with nothing, colons, dashes or spaces between, and base64 at each of its three alignments.
pub fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    for between in ["", ":", "-", " "] {
        let lower = secret.iter().map(|byte| format!("{byte:02x}"));
        let lower = lower.collect::<Vec<_>>().join(between);
        forms.push(lower.to_uppercase().into_bytes());
        forms.push(lower.into_bytes());
    }
    for before in 0..3 {
        let padded = [&vec![0; before][..], secret].concat();
        // Only the characters that depend on the secret alone.
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(alphabet.encode(&padded).as_bytes()[first..last].to_vec());
        }
    }
    // Lists of numbers, as debug output writes bytes.
    let numbers: Vec<_> = secret.iter().map(ToString::to_string).collect();
    forms.extend([
        numbers.join(", ").into_bytes(),
        numbers.join(",").into_bytes(),
    ]);
    forms
}
