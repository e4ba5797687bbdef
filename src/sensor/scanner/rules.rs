//! What the owner of the shop says about codes of their own: `[[scanner.rule]]`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::sensor::Flaw;

/// The rules of one scanner, tried in their order; the first that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Rules(pub Vec<Rule>);

/// `[[scanner.rule]]`: codes that begin like this are of that kind.
///
/// Payment codes are never touched by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Rule {
    /// How such codes begin, without the AIM identifier; upper and lower case differ. Empty: only the length counts.
    #[serde(default)]
    pub prefix: String,
    /// How many characters they have, 1..=4096; absent: any number.
    #[serde(default)]
    pub length: Option<u16>,
    /// The event's `kind`: `member`, or a word of the owner's, `[a-z0-9_-]{1,32}`.
    pub kind: String,
    /// Whether the code itself may be stored and sent. Only the owner knows whether it can tell who somebody is.
    #[serde(default)]
    pub keep: bool,
}

impl Rules {
    /// The first rule that fits `text`.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| {
            text.starts_with(&rule.prefix)
                && rule
                    .length
                    .is_none_or(|length| text.chars().count() == usize::from(length))
        })
    }

    /// What is wrong with them; keys are relative to the scanner's section.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for (index, rule) in self.0.iter().enumerate() {
            let mut add = |key: &str, expected: &str| {
                flaws.push((format!("rule[{index}].{key}"), expected.to_owned()));
            };
            if rule.prefix.is_empty() && rule.length.is_none() {
                add("prefix", "expected how such codes begin, or a length");
            }
            if rule
                .length
                .is_some_and(|length| !(1..=4096).contains(&length))
            {
                add("length", "expected a number 1 to 4096");
            }
            let fine = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            };
            if rule.kind.is_empty() || rule.kind.len() > 32 || !rule.kind.bytes().all(fine) {
                add("kind", "expected 1 to 32 of a-z, 0-9, _ and -");
            } else if super::code::RESERVED.contains(&rule.kind.as_str()) {
                add(
                    "kind",
                    "expected a word that footfall does not use itself, such as \"member\"",
                );
            }
        }
        flaws
    }
}
