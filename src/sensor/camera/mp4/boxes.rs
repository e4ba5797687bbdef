//! The boxes of ISO/IEC 14496-12 as slices: nothing is copied, nothing outside a box can be reached,
//! and every step moves forward, so damaged bytes end a walk instead of breaking it.

/// A box: its four-character type and its content.
pub(super) type Item<'a> = ([u8; 4], &'a [u8]);

/// The boxes that lie one after another in `rest`; ends at the first that does not fit.
pub(super) struct Boxes<'a> {
    rest: &'a [u8],
}

pub(super) const fn boxes(content: &[u8]) -> Boxes<'_> {
    Boxes { rest: content }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let head = Head::parse(self.rest, self.rest.len() as u64)?;
        let (this, rest) = self
            .rest
            .split_at_checked(usize::try_from(head.size).ok()?)?;
        self.rest = rest;
        Some((head.kind, this.get(head.length..)?))
    }
}

/// The head of a box.
pub(super) struct Head {
    pub(super) kind: [u8; 4],
    /// Bytes of the head itself: 8, or 16 with a 64-bit size.
    pub(super) length: usize,
    /// Bytes of the whole box.
    pub(super) size: u64,
}

impl Head {
    /// Reads the head at the start of `bytes`; `left`: bytes from here to the end of what holds the box.
    pub(super) fn parse(bytes: &[u8], left: u64) -> Option<Self> {
        let kind = *bytes.get(4..)?.first_chunk()?;
        let (length, size) = match be32(bytes, 0)? {
            0 => (8, left),
            1 => (16, be64(bytes, 8)?),
            size => (8, u64::from(size)),
        };
        (size >= length as u64).then_some(Self { kind, length, size })
    }
}

/// The content of the first box of that type.
pub(super) fn find<'a>(content: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(content).find_map(|(found, body)| (found == *kind).then_some(body))
}

/// Follows a path of types downwards.
pub(super) fn find_path<'a>(content: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(content, |content, kind| find(content, kind))
}

/// Big-endian number at a byte offset.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u32::from_be_bytes(*b))
}

/// Big-endian number at a byte offset.
pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u64::from_be_bytes(*b))
}

/// The entries of a table box (version and flags, count, entries of `N` bytes), as many as are there.
pub(super) fn table<const N: usize>(body: &[u8]) -> &[[u8; N]] {
    let count = be32(body, 4).unwrap_or(0) as usize;
    let (entries, _) = body.get(8..).unwrap_or_default().as_chunks();
    entries.get(..count).unwrap_or(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_follow_each_other_and_a_size_of_zero_reaches_to_the_end() {
        let mut bytes = b"\0\0\0\x0aabcdXY".to_vec();
        bytes.extend(b"\0\0\0\x01wide\0\0\0\0\0\0\0\x11Z");
        bytes.extend(b"\0\0\0\0lastrest");
        let all: Vec<Item<'_>> = boxes(&bytes).collect();
        assert_eq!(
            all,
            [
                (*b"abcd", &b"XY"[..]),
                (*b"wide", &b"Z"[..]),
                (*b"last", &b"rest"[..])
            ]
        );
    }

    #[test]
    fn a_box_that_is_larger_than_what_holds_it_or_smaller_than_its_head_ends_the_walk() {
        assert_eq!(boxes(b"\0\0\0\x0babcdXY").count(), 0);
        assert_eq!(boxes(b"\0\0\0\x07abcdXY").count(), 0);
        assert_eq!(boxes(b"\0\0\0\x01abcd\0\0\0\0\0\0\0\x08").count(), 0);
        assert_eq!(boxes(b"\0\0\0").count(), 0);
    }

    #[test]
    fn a_table_gives_no_more_entries_than_there_are_bytes() {
        let body = b"\0\0\0\0\xff\xff\xff\xff\0\x01\0\x02\0";
        assert_eq!(table::<2>(body), [[0, 1], [0, 2]]);
        assert_eq!(table::<2>(b"\0\0"), [[0_u8; 2]; 0]);
    }
}
