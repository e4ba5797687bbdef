//! Element strings, taken apart.

use super::Fault;
use super::entry::{Entry, find, leading};

/// FNC1 as scanners send it: group separator.
pub const SEPARATOR: char = '\u{1d}';

/// More elements than any real code holds; what bounds the work on one scan.
pub const MOST_ELEMENTS: usize = 64;

/// One Application Identifier with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub ai: String,
    pub value: String,
    pub entry: &'static Entry,
}

/// What was read, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Elements whose length and characters are right, in their order.
    pub elements: Vec<Element>,
    /// What is wrong; of each element the first fault only.
    pub faults: Vec<Fault>,
}

impl Parsed {
    /// The value of an Application Identifier.
    #[must_use]
    pub fn value(&self, ai: &str) -> Option<&str> {
        let found = self.elements.iter().find(|element| element.ai == ai);
        found.map(|element| element.value.as_str())
    }

    /// Whether every check digit is right; `None` where there is none.
    #[must_use]
    pub fn check_digits(&self) -> Option<bool> {
        let linters = |element: &Element| {
            let parts = element.entry.parts.iter();
            parts.flat_map(|part| part.linters).any(|l| l.is_checksum())
        };
        let wrong =
            |fault: &Fault| matches!(fault, Fault::Content { linter, .. } if linter.is_checksum());
        self.elements
            .iter()
            .any(linters)
            .then(|| !self.faults.iter().any(wrong))
    }

    /// Takes in one element after checking its value.
    pub(super) fn add(&mut self, ai: &str, value: &str, entry: &'static Entry) {
        if self.elements.len() + self.faults.len() >= MOST_ELEMENTS {
            if self.faults.last() != Some(&Fault::TooMany) {
                self.faults.push(Fault::TooMany);
            }
            return;
        }
        let fault = check(ai, value, entry);
        let legible = matches!(fault, None | Some(Fault::Content { .. }));
        self.faults.extend(fault);
        if !legible {
            return;
        }
        match self.value(ai) {
            None => self.elements.push(Element {
                ai: ai.to_owned(),
                value: value.to_owned(),
                entry,
            }),
            Some(known) if known == value => {}
            Some(_) => self.faults.push(Fault::Repeated { ai: ai.to_owned() }),
        }
    }
}

/// Takes an element string apart as it comes from a scanner: no brackets, [`SEPARATOR`] for FNC1.
///
/// Reading ends where no Application Identifier begins, because nothing says how long the unknown one is.
#[must_use]
pub fn element_string(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = text.trim_matches(SEPARATOR);
    while !rest.is_empty() && parsed.faults.last() != Some(&Fault::TooMany) {
        let Some((ai, entry)) = leading(rest) else {
            let at = text.len() - rest.len();
            let at = text.get(..at).map_or(0, |read| read.chars().count());
            parsed.faults.push(Fault::UnknownAi { at });
            break;
        };
        let after = rest.get(ai.len()..).unwrap_or_default();
        let (field, _) = after.split_once(SEPARATOR).unwrap_or((after, ""));
        // A predefined length needs no separator behind it. One that stands there all the same is skipped.
        let value = match entry.separator {
            true => field,
            false => field.get(..entry.most()).unwrap_or(field),
        };
        parsed.add(ai, value, entry);
        rest = after.get(value.len()..).unwrap_or_default();
        rest = rest.strip_prefix(SEPARATOR).unwrap_or(rest);
    }
    parsed
}

/// Takes apart the form that stands below bar codes: `(01)09506000134352(10)AB-123`. In a value `\(` is a bracket.
///
/// `None` when it is not of that form.
#[must_use]
pub fn bracketed(text: &str) -> Option<Parsed> {
    let mut parsed = Parsed::default();
    let mut rest = text.trim();
    let mut at = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (ai, after) = rest.strip_prefix('(')?.split_once(')')?;
        if !(2..=4).contains(&ai.len()) || !ai.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let end = next_bracket(after);
        let (value, next) = after.split_at_checked(end)?;
        match find(ai) {
            Some(entry) => parsed.add(ai, &value.replace("\\(", "("), entry),
            None => parsed.faults.push(Fault::UnknownAi { at }),
        }
        if parsed.elements.len() + parsed.faults.len() > MOST_ELEMENTS {
            break;
        }
        at += ai.len() + 2 + value.chars().count();
        rest = next;
    }
    Some(parsed)
}

/// Where the next bracket opens that is not escaped.
fn next_bracket(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == '(' && !escaped {
            return at;
        }
        escaped = letter == '\\';
    }
    text.len()
}

/// The first thing wrong with a value: its length, then its characters, then its content.
fn check(ai: &str, value: &str, entry: &Entry) -> Option<Fault> {
    let ai = || ai.to_owned();
    let parts = match split(value, entry) {
        Ok(parts) => parts,
        Err(Length::Short) => return Some(Fault::TooShort { ai: ai() }),
        Err(Length::Long) => return Some(Fault::TooLong { ai: ai() }),
    };
    for (part, text) in entry.parts.iter().zip(&parts) {
        if !text.bytes().all(|byte| part.set.holds(byte)) {
            return Some(Fault::Character {
                ai: ai(),
                set: part.set,
            });
        }
    }
    for (part, text) in entry.parts.iter().zip(&parts) {
        let failed = part.linters.iter().find(|linter| !linter.passes(text));
        if let Some(linter) = failed {
            return Some(Fault::Content {
                ai: ai(),
                linter: *linter,
            });
        }
    }
    None
}

enum Length {
    Short,
    Long,
}

/// A value in the parts of its entry; optional ones may be missing at the end. Lengths are in characters.
fn split<'a>(value: &'a str, entry: &Entry) -> Result<Vec<&'a str>, Length> {
    let mut parts = Vec::with_capacity(entry.parts.len());
    let mut rest = value;
    for part in entry.parts {
        if rest.is_empty() && part.optional {
            break;
        }
        let end = rest
            .char_indices()
            .nth(part.most)
            .map_or(rest.len(), |(at, _)| at);
        let (text, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if text.chars().count() < part.least {
            return Err(Length::Short);
        }
        parts.push(text);
        rest = after;
    }
    if rest.is_empty() {
        Ok(parts)
    } else {
        Err(Length::Long)
    }
}
