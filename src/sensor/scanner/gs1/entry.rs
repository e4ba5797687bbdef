//! What the table says of one Application Identifier.

use std::fmt;

use super::lint::Linter;
use super::table::TABLE;

/// One Application Identifier, or a range of them that differ in the last digit only.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub first: &'static str,
    pub last: &'static str,
    /// Whether a separator must follow unless the element is the last; `false`: its length is predefined.
    pub separator: bool,
    /// Whether it may be a query attribute of a Digital Link.
    pub attribute: bool,
    /// The value, part by part; only the last may vary in length, and nothing mandatory follows an optional part.
    pub parts: &'static [Part],
    /// One of these groups must be there, each with all its members. A member may be a pattern (`31nn`).
    pub requires: &'static [&'static [&'static str]],
    /// None of these may be there, itself excepted. A member may be a pattern.
    pub excludes: &'static [&'static str],
    /// For a primary key of a Digital Link: its qualifiers in their order, as alternatives.
    pub key: Option<&'static [&'static [&'static str]]>,
    /// The title of GS1, such as `BATCH/LOT`.
    pub title: &'static str,
}

/// A stretch of an element's value.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub set: Set,
    /// Fewest characters.
    pub least: usize,
    /// Most characters.
    pub most: usize,
    pub optional: bool,
    pub linters: &'static [Linter],
}

/// Character sets of the GS1 General Specifications, section 7.11, and of base64url (RFC 4648).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Digits.
    N,
    /// GS1 AI encodable character set 82.
    X,
    /// GS1 AI encodable character set 39.
    Y,
    /// base64url with padding.
    Z,
}

impl Set {
    /// Whether `byte` is in the set.
    #[must_use]
    pub fn holds(self, byte: u8) -> bool {
        match self {
            Self::N => byte.is_ascii_digit(),
            Self::X => byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte),
            Self::Y => byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"#-/".contains(&byte),
            Self::Z => byte.is_ascii_alphanumeric() || b"-_=".contains(&byte),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::N => "a digit",
            Self::X => "in GS1's character set 82",
            Self::Y => "in GS1's character set 39",
            Self::Z => "in base64url",
        })
    }
}

const fn part(set: Set, least: usize, most: usize, linters: &'static [Linter]) -> Part {
    Part {
        set,
        least,
        most,
        optional: false,
        linters,
    }
}

pub(super) const fn n(least: usize, most: usize, linters: &'static [Linter]) -> Part {
    part(Set::N, least, most, linters)
}

pub(super) const fn x(least: usize, most: usize, linters: &'static [Linter]) -> Part {
    part(Set::X, least, most, linters)
}

pub(super) const fn y(least: usize, most: usize, linters: &'static [Linter]) -> Part {
    part(Set::Y, least, most, linters)
}

pub(super) const fn z(least: usize, most: usize, linters: &'static [Linter]) -> Part {
    part(Set::Z, least, most, linters)
}

pub(super) const fn opt(part: Part) -> Part {
    Part {
        optional: true,
        ..part
    }
}

impl Entry {
    /// Fewest characters of a value.
    #[must_use]
    pub fn least(&self) -> usize {
        let needed = self.parts.iter().filter(|part| !part.optional);
        needed.map(|part| part.least).sum()
    }

    /// Most characters of a value.
    #[must_use]
    pub fn most(&self) -> usize {
        self.parts.iter().map(|part| part.most).sum()
    }

    /// Whether `ai` is this one or in this range.
    #[must_use]
    pub fn covers(&self, ai: &str) -> bool {
        ai.len() == self.first.len()
            && ai.bytes().all(|byte| byte.is_ascii_digit())
            && (self.first..=self.last).contains(&ai)
    }
}

/// The entry of an Application Identifier.
#[must_use]
pub fn find(ai: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.covers(ai))
}

/// The Application Identifier that `text` begins with. None is the beginning of another.
pub(super) fn leading(text: &str) -> Option<(&str, &'static Entry)> {
    (2..=4).find_map(|length| {
        let ai = text.get(..length)?;
        find(ai).map(|entry| (ai, entry))
    })
}

/// Whether `ai` fits a name of the table, in which `n` stands for any digit.
pub(super) fn fits(ai: &str, pattern: &str) -> bool {
    ai.len() == pattern.len()
        && ai
            .bytes()
            .zip(pattern.bytes())
            .all(|(digit, name)| digit == name || name == b'n')
}
