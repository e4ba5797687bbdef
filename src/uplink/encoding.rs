//! Batches made smaller with Zstandard (RFC 8878), and how a consumer knows: MQTT 5 carries the user property
//! `content-encoding: zstd`; in 3.1.1 the payload's first bytes tell, since JSON never starts with them.

use std::borrow::Cow;
use std::io::{self, Read};

/// The first bytes of a Zstandard frame (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// The lowest of the standard levels: on batches of events higher ones cost more time than they save bytes.
const LEVEL: i32 = 1;
/// The user property's name and value.
const PROPERTY: (&str, &str) = ("content-encoding", "zstd");

/// How a payload is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    Zstd,
}

/// Why a payload cannot be expanded.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    #[error("what is compressed is damaged ({0}); ask for the batch again")]
    Damaged(#[from] io::Error),
    #[error("it expands to more than {0} bytes; raise the limit if batches are really so large")]
    TooLarge(usize),
}

impl Encoding {
    /// Bytes of [`Encoding::property`] in a packet: its id, both lengths, name and value; one byte more, since the length
    /// of all properties may then need two.
    pub const PROPERTY_BYTES: usize = 1 + 2 + PROPERTY.0.len() + 2 + PROPERTY.1.len() + 1;

    /// How `payload` is encoded, by its first bytes.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        if payload.starts_with(&MAGIC) {
            Self::Zstd
        } else {
            Self::Identity
        }
    }

    /// The encoding that user properties name, if they name any.
    #[must_use]
    pub fn named_in(properties: &[(String, String)]) -> Option<Self> {
        let is_known = |(name, value): &(String, String)| (&name[..], &value[..]) == PROPERTY;
        properties.iter().any(is_known).then_some(Self::Zstd)
    }

    /// The user property that names it.
    #[must_use]
    pub fn property(self) -> Option<(String, String)> {
        (self == Self::Zstd).then(|| (PROPERTY.0.to_owned(), PROPERTY.1.to_owned()))
    }

    /// Encodes `payload` if that makes it smaller; says how it is encoded then.
    pub(super) fn apply(self, payload: Vec<u8>) -> (Vec<u8>, Self) {
        if self == Self::Zstd {
            match zstd::bulk::compress(&payload, LEVEL) {
                Ok(smaller) if smaller.len() < payload.len() => return (smaller, Self::Zstd),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a batch cannot be compressed; it goes as it is");
                }
            }
        }
        (payload, Self::Identity)
    }
}

/// The payload as it was before it was encoded, of at most `most` bytes.
///
/// # Errors
/// [`ExpandError`]
pub fn expand(payload: &[u8], most: usize) -> Result<Cow<'_, [u8]>, ExpandError> {
    if Encoding::of(payload) == Encoding::Identity {
        return Ok(Cow::Borrowed(payload));
    }
    let mut expanded = Vec::new();
    // One byte more tells what is too large from what fits exactly; no more than that is ever in memory.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    zstd::stream::read::Decoder::new(payload)?
        .take(limit)
        .read_to_end(&mut expanded)?;
    if expanded.len() > most {
        return Err(ExpandError::TooLarge(most));
    }
    Ok(Cow::Owned(expanded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeClock};
    use crate::event::{Body, CodeScanned, Draft, Identity};
    use jiff::tz::TimeZone;
    use std::time::Duration;

    /// A batch of so many events as a box stores them.
    fn batch(events: u64) -> Vec<u8> {
        let identity = Identity {
            tenant: "acme".into(),
            store: "shop-7".into(),
            box_id: "box-0042".into(),
            boot_id: "5f0c7d1e-93a4-4a0b-8a55-0d6b1c1f2a3b".into(),
            zone: TimeZone::UTC,
        };
        let clock = FakeClock::at(jiff::Timestamp::UNIX_EPOCH);
        let mut random = fastrand::Rng::with_seed(7);
        let mut event = |sequence| {
            clock.advance(Duration::from_millis(random.u64(200..90_000)));
            let gtin: String = (0..14).map(|_| random.digit(10)).collect();
            let body = Body::CodeScanned(CodeScanned {
                kind: "ean".into(),
                symbology: Some("EAN13".into()),
                gtin: Some(gtin),
                check_digit_ok: Some(true),
                ..CodeScanned::default()
            });
            let (source, at) = ("scanner/till".into(), clock.now());
            let draft = Draft { source, at, body };
            draft.encode(&identity, sequence).unwrap()
        };
        let events: Vec<_> = (1..=events).map(&mut event).collect();
        [b"[", &events.join(&b',')[..], b"]"].concat()
    }

    #[test]
    fn batches_of_real_events_become_several_times_smaller() {
        for (events, least) in [(1, 1.0), (10, 3.0), (100, 6.0)] {
            let batch = batch(events);
            let size = batch.len();
            let (smaller, _) = Encoding::Zstd.apply(batch);
            let ratio = size as f64 / smaller.len() as f64;
            println!(
                "{events} events: {size} bytes, {} compressed, ratio {ratio:.1}",
                smaller.len()
            );
            assert!(ratio >= least, "{events} events: {ratio}");
        }
    }

    #[test]
    fn what_is_compressed_comes_back_and_names_itself() {
        let text = br#"{"a":1},"#.repeat(100);
        let (smaller, encoding) = Encoding::Zstd.apply(text.clone());
        assert!(smaller.len() < text.len() / 4, "{}", smaller.len());
        assert_eq!(
            (encoding, Encoding::of(&smaller)),
            (Encoding::Zstd, Encoding::Zstd)
        );
        let property = encoding.property().unwrap();
        assert_eq!(Encoding::named_in(&[property]), Some(Encoding::Zstd));
        assert_eq!(expand(&smaller, text.len()).unwrap(), text);
        assert_eq!(
            Encoding::Identity.apply(text.clone()),
            (text, Encoding::Identity)
        );
    }

    #[test]
    fn what_would_grow_goes_as_it_is() {
        let (same, encoding) = Encoding::Zstd.apply(b"[{}]".to_vec());
        assert_eq!((&same[..], encoding), (&b"[{}]"[..], Encoding::Identity));
        assert_eq!(
            (encoding.property(), Encoding::of(&same)),
            (None, Encoding::Identity)
        );
        assert_eq!(
            expand(&same, 1).unwrap(),
            same,
            "nothing to expand, no limit"
        );
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit_and_damage_is_an_error() {
        let bomb = zstd::bulk::compress(&vec![b' '; 64 << 20], LEVEL).unwrap();
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let error = expand(&bomb, 1 << 20).unwrap_err();
        assert!(
            matches!(error, ExpandError::TooLarge(limit) if limit == 1 << 20),
            "{error}"
        );
        for damaged in [
            &bomb[..bomb.len() / 2],
            &bomb[..4],
            &[&MAGIC[..], &[0xFF; 40]].concat(),
        ] {
            assert!(expand(damaged, 65 << 20).is_err());
        }
    }
}
