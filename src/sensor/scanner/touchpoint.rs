//! Where a code hangs or a scanner stands: `[[scanner.touchpoint]]`. Pure.

use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{aim, text};
use crate::event::{Touchpoint, TouchpointKind};
use crate::sensor::Flaw;

/// Kinds of codes that say who somebody is or how they pay. An entry that fits such a code by its text would tell a
/// part of it, so only an entry for every code counts for them.
const PERSONAL: [&str; 5] = ["payment_code", "phone", "email", "contact", "wifi"];

/// `[[scanner.touchpoint]]`: codes that begin with `prefix`, the one `code`, or, without either, every code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Place {
    /// How the code begins, without an AIM identifier.
    pub prefix: Option<String>,
    /// The whole code.
    pub code: Option<String>,
    /// The place's name in events, `[A-Za-z0-9._-]{1,64}`.
    pub id: String,
    pub kind: TouchpointKind,
}

impl Place {
    fn every_code(&self) -> bool {
        self.prefix.is_none() && self.code.is_none()
    }

    fn fits(&self, text: Option<&str>) -> bool {
        match (&self.code, &self.prefix, text) {
            (None, None, _) => true,
            (Some(code), _, Some(text)) => text == code,
            (None, Some(prefix), Some(text)) => text.starts_with(prefix),
            (_, _, None) => false,
        }
    }
}

/// The place of a code: the first entry that fits. `kind` is what the code was found to be.
#[must_use]
pub(super) fn find(places: &[Place], kind: &str, payload: &[u8]) -> Option<Touchpoint> {
    let by_text = !PERSONAL.contains(&kind) && !places.iter().all(Place::every_code);
    let decoded = by_text
        .then(|| text::decode(payload))
        .flatten()
        .map(Zeroizing::new);
    let text = decoded
        .as_ref()
        .map(|whole| aim::strip(text::trimmed(whole)).1);
    let place = places.iter().find(|place| place.fits(text))?;
    Some(Touchpoint {
        id: place.id.clone(),
        kind: place.kind,
    })
}

/// What is wrong with a scanner's places.
#[must_use]
pub(super) fn flaws(places: &[Place]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let mut add = |key: &str, expected: &str| {
            flaws.push((format!("touchpoint[{index}].{key}"), expected.to_owned()));
        };
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&place.id.len()) || !place.id.bytes().all(fine) {
            add("id", "expected 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
        }
        if place.prefix.is_some() && place.code.is_some() {
            add("code", "an entry has either `prefix` or `code`; remove one");
        }
        if [&place.prefix, &place.code]
            .into_iter()
            .flatten()
            .any(|text| text.trim().is_empty())
        {
            add(
                "prefix",
                "expected some text; leave both `prefix` and `code` out for every code",
            );
        }
        if place.every_code() && index + 1 < places.len() {
            add(
                "id",
                "this entry fits every code, so those below it never count; put it last",
            );
        }
    }
    flaws
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefix: Option<&str>, code: Option<&str>, id: &str, kind: TouchpointKind) -> Place {
        Place {
            prefix: prefix.map(str::to_owned),
            code: code.map(str::to_owned),
            id: id.to_owned(),
            kind,
        }
    }

    fn places() -> Vec<Place> {
        vec![
            place(
                Some("https://shop.example/shelf/3"),
                None,
                "shelf-3",
                TouchpointKind::Shelf,
            ),
            place(None, Some("POSTER-A"), "window", TouchpointKind::Poster),
            place(Some("13"), None, "guide", TouchpointKind::Guide),
            place(None, None, "till-1", TouchpointKind::Till),
        ]
    }

    fn id(kind: &str, payload: &[u8]) -> Option<String> {
        find(&places(), kind, payload).map(|found| found.id)
    }

    #[test]
    fn the_first_entry_that_fits_decides_and_one_without_a_text_fits_the_rest() {
        assert_eq!(
            id("url", b"https://shop.example/shelf/3?x=1").as_deref(),
            Some("shelf-3")
        );
        assert_eq!(id("text", b"POSTER-A\r").as_deref(), Some("window"));
        assert_eq!(id("text", b"]Q1POSTER-A").as_deref(), Some("window"));
        assert_eq!(id("text", b"POSTER-AB").as_deref(), Some("till-1"));
        assert_eq!(find(&places()[..2], "text", b"other"), None);
    }

    #[test]
    fn a_payment_code_is_never_told_by_how_it_begins() {
        assert_eq!(id("text", b"1312").as_deref(), Some("guide"));
        assert_eq!(
            id("payment_code", b"131234567890123456").as_deref(),
            Some("till-1")
        );
        assert_eq!(
            find(&places()[..3], "payment_code", b"131234567890123456"),
            None
        );
    }

    #[test]
    fn entries_that_cannot_work_are_named() {
        let mut all = places();
        assert_eq!(flaws(&all), []);
        all.swap(0, 3);
        all[1].prefix = Some("x".into());
        all[2].prefix = Some(" ".into());
        all[3].id = String::new();
        let keys: Vec<_> = flaws(&all).into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "touchpoint[0].id",
                "touchpoint[1].code",
                "touchpoint[2].prefix",
                "touchpoint[3].id"
            ]
        );
    }
}
