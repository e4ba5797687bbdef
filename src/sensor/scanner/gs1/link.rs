//! GS1 Digital Link URIs (GS1 Digital Link Standard: URI Syntax 1.6), uncompressed, both ways.
//!
//! `https://example.com/some/path/01/09506000134352/10/AB-123?17=271231`: a primary key and its qualifiers in the path,
//! further attributes in the query.

use super::entry::{Entry, find};
use super::parse::Parsed;
use super::{Fault, check_partners};

/// Where the canonical form points to.
pub const CANONICAL: &str = "https://id.gs1.org";

/// A Digital Link, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Everything before the primary key, without the slash: `https://example.com/some/path`.
    pub stem: String,
    pub parsed: Parsed,
    /// Whether the query or the fragment held something that is not GS1's.
    pub more: bool,
}

/// Why elements make no Digital Link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLink {
    #[error("none of the elements is a primary key of a Digital Link, such as (01)")]
    NoKey,
    #[error("({ai}) has no place in a Digital Link of these elements")]
    NoPlace { ai: String },
}

/// Reads a URI. `None` when it is no Digital Link: not http(s), or no primary key in its path.
#[must_use]
pub fn parse(uri: &str) -> Option<Link> {
    let (scheme, rest) = uri.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let segments: Vec<&str> = place.trim_end_matches('/').split('/').collect();
    // The host is no key. The last possible key wins: what stands before it is the stem.
    let key_at = (1..segments.len())
        .rev()
        .find(|at| is_key_path(&segments, *at))?;
    let (stem, path) = segments.split_at_checked(key_at)?;

    let mut parsed = Parsed::default();
    let mut place = Place::default();
    for pair in path.chunks_exact(2) {
        let &[ai, value] = pair else { continue };
        add(&mut parsed, ai, value);
        if !place.takes(ai) {
            parsed.faults.push(Fault::Place { ai: ai.to_owned() });
        }
    }
    let mut more = !fragment.is_empty();
    for attribute in query.split(['&', ';']).filter(|part| !part.is_empty()) {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match find(name) {
            None => more = true,
            Some(entry) => {
                add(&mut parsed, name, value);
                if !entry.attribute {
                    parsed.faults.push(Fault::Place {
                        ai: name.to_owned(),
                    });
                }
            }
        }
    }
    check_partners(&mut parsed);
    Some(Link {
        stem: format!("{scheme}://{}", stem.join("/")),
        parsed,
        more,
    })
}

/// Whether a primary key stands at `at`, and nothing but Application Identifiers and values from there on.
fn is_key_path(segments: &[&str], at: usize) -> bool {
    let path = segments.get(at..).unwrap_or_default();
    let is_key = |ai: &&str| find(ai).is_some_and(|entry| entry.key.is_some());
    path.len().is_multiple_of(2)
        && path.first().is_some_and(is_key)
        && path.iter().step_by(2).all(|ai| find(ai).is_some())
}

fn add(parsed: &mut Parsed, ai: &str, value: &str) {
    let Some(entry) = find(ai) else { return };
    let value = percent_decoded(value);
    // Shorter GTINs may stand there as they are.
    let short = ai == "01" && matches!(value.len(), 8 | 12 | 13);
    let value = if short {
        format!("{value:0>14}")
    } else {
        value
    };
    parsed.add(ai, &value, entry);
}

/// Follows key and qualifiers through the path.
#[derive(Default)]
struct Place {
    key: Option<&'static Entry>,
    seen: Vec<String>,
}

impl Place {
    /// Whether `ai` may come next.
    fn takes(&mut self, ai: &str) -> bool {
        let Some(key) = self.key else {
            self.key = find(ai);
            return true;
        };
        self.seen.push(ai.to_owned());
        let sequences = key.key.unwrap_or_default();
        sequences
            .iter()
            .any(|sequence| in_order(&self.seen, sequence))
    }
}

/// Whether `seen` are members of `sequence`, in its order.
fn in_order(seen: &[String], sequence: &[&str]) -> bool {
    let mut members = sequence.iter();
    seen.iter().all(|ai| members.any(|member| member == ai))
}

/// Builds the URI of `elements` (Application Identifier and value) below `stem`, such as [`CANONICAL`].
///
/// The first element that is a primary key leads; its qualifiers follow it in the path, all others are attributes in
/// the order of their numbers.
///
/// # Errors
/// There is no primary key, or an element has no place.
pub fn build<'a>(
    stem: &str,
    elements: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, NoLink> {
    let mut left: Vec<(&str, &str, &Entry)> = elements
        .into_iter()
        .filter_map(|(ai, value)| find(ai).map(|entry| (ai, value, entry)))
        .collect();
    let leads = left.iter().position(|(_, _, entry)| entry.key.is_some());
    let (ai, value, entry) = left.remove(leads.ok_or(NoLink::NoKey)?);
    let mut uri = format!("{stem}/{ai}/{}", percent_encoded(value));
    let present = |sequence: &&&[&str]| {
        let qualifies = |ai: &&&str| left.iter().any(|(there, ..)| there == *ai);
        sequence.iter().filter(qualifies).count()
    };
    let sequences = entry.key.unwrap_or_default();
    // Of alternatives with the same number the first; `max_by_key` would give the last.
    let best = sequences.iter().rev().max_by_key(present).copied();
    for qualifier in best.unwrap_or_default() {
        if let Some(at) = left.iter().position(|(ai, ..)| ai == qualifier) {
            let (ai, value, _) = left.remove(at);
            uri.push_str(&format!("/{ai}/{}", percent_encoded(value)));
        }
    }
    left.sort_by_key(|(ai, ..)| *ai);
    for (at, (ai, value, entry)) in left.into_iter().enumerate() {
        if !entry.attribute {
            return Err(NoLink::NoPlace { ai: ai.to_owned() });
        }
        let mark = if at == 0 { '?' } else { '&' };
        uri.push_str(&format!("{mark}{ai}={}", percent_encoded(value)));
    }
    Ok(uri)
}

/// RFC 3986, section 2.3: everything but the unreserved characters.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// What is not a valid escape stays as it is; what is not UTF-8 becomes a character that no value may hold.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16).map(|digit| digit as u8);
        let escaped = hex(after.first()).zip(hex(after.get(1)));
        match escaped {
            Some((high, low)) if *first == b'%' => {
                bytes.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
