//! A tag, a length and a CRC32C around the content of a small file, so that damage is noticed. Pure.

const HEADER: usize = 12;

/// The content with its frame: `tag | length u32 | CRC u32 | content`, little-endian.
#[must_use]
pub fn wrap(tag: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + content.len());
    out.extend_from_slice(&tag);
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc(tag, content).to_le_bytes());
    out.extend_from_slice(content);
    out
}

/// The content of a frame at the start of `bytes`; `None` when the tag differs or anything is damaged.
#[must_use]
pub fn unwrap(tag: [u8; 4], bytes: &[u8]) -> Option<&[u8]> {
    let mut at = Reader(bytes);
    if at.take(4)? != tag {
        return None;
    }
    let length = at.u32()? as usize;
    let expected = at.u32()?;
    let content = at.take(length)?;
    (crc(tag, content) == expected).then_some(content)
}

fn crc(tag: [u8; 4], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&tag), content)
}

/// Takes little-endian numbers off the front; `None` at the end of the bytes.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_gives_back_its_content_or_nothing(
            content in prop::collection::vec(any::<u8>(), 0..50),
            at: prop::sample::Index, bit in 0u8..8,
        ) {
            let mut bytes = wrap(*b"test", &content);
            prop_assert_eq!(unwrap(*b"test", &bytes), Some(content.as_slice()));
            prop_assert_eq!(unwrap(*b"tesu", &bytes), None);
            let cut = at.index(bytes.len());
            prop_assert_eq!(unwrap(*b"test", &bytes[..cut]), None);
            bytes[cut] ^= 1 << bit;
            prop_assert_eq!(unwrap(*b"test", &bytes), None);
        }
    }
}
