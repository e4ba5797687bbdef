//! A command's id: a UUID (RFC 9562), chosen by whoever signs it. It names the response topic and the journal's file,
//! so only the canonical lower-case text is one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Length of the text, `8-4-4-4-12` hex digits.
const LENGTH: usize = 36;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandId(String);

/// The text is no command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID in lower case, such as 9b2f0c1e-6a57-4d0b-9c39-0a1b2c3d4e5f")]
pub struct NoId;

impl CommandId {
    /// The id written as `text`.
    ///
    /// # Errors
    /// [`NoId`]
    pub fn parse(text: &str) -> Result<Self, NoId> {
        let fits = |(position, byte): (usize, u8)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        };
        if text.len() == LENGTH && text.bytes().enumerate().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoId)
        }
    }

    /// A version 4 id from 16 random bytes (RFC 9562, section 5.4).
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(random);
        let version = (bits & !(0xf << 76)) | (4 << 76);
        let variant = (version & !(0b11 << 62)) | (0b10 << 62);
        let hex = format!("{variant:032x}");
        let (mut text, mut start) = (String::with_capacity(LENGTH), 0);
        for length in [8, 4, 4, 4, 12] {
            if start > 0 {
                text.push('-');
            }
            text.push_str(hex.get(start..start + length).unwrap_or_default());
            start += length;
        }
        Self(text)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CommandId {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        Self::parse(&text)
    }
}

impl From<CommandId> for String {
    fn from(id: CommandId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_become_a_version_4_id_that_reads_back() {
        let id = CommandId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(CommandId::parse(id.as_str()), Ok(id));
        let zero = CommandId::from_random([0; 16]);
        assert_eq!(zero.as_str(), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn whatever_could_change_a_topic_or_a_path_is_no_id() {
        for text in [
            "",
            "../../../../../../../../etc/passwd..",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "ffffffff-ffff-4fff-bfff-ffffffffffff0",
            "FFFFFFFF-ffff-4fff-bfff-ffffffffffff",
            "ffffffff+ffff-4fff-bfff-ffffffffffff",
            "ffffffff-ffff-4fff-bfff-ffffffff/fff",
        ] {
            assert_eq!(CommandId::parse(text), Err(NoId), "{text}");
        }
    }
}
