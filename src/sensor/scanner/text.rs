//! From a scanner's bytes to text: UTF-8, or else GB 18030, which most scanners in China send.

use encoding_rs::GB18030;

/// The text of `bytes`, without a byte order mark; `None` when they are neither UTF-8 nor GB 18030.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => GB18030
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned),
    }
}

/// `text` without the line ends, blanks and transmission characters that scanners put around it. The separator of
/// element strings stays.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter: char| {
        letter.is_whitespace() && letter != '\u{1d}'
            || matches!(letter, '\0' | '\u{2}'..='\u{4}' | '\u{feff}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_goes_before_gb_18030() {
        assert_eq!(decode("会员卡".as_bytes()).as_deref(), Some("会员卡"));
        assert_eq!(
            decode(b"\xbb\xe1\xd4\xb1\xbf\xa8").as_deref(),
            Some("会员卡")
        );
        assert_eq!(decode(b"\xef\xbb\xbfabc").as_deref(), Some("abc"));
        assert_eq!(decode(b"\xff\xff\xff"), None);
    }

    #[test]
    fn what_scanners_put_around_a_code_is_taken_off_and_separators_stay() {
        assert_eq!(trimmed("\u{2}\t ABC 1\r\n\u{3}\0"), "ABC 1");
        assert_eq!(trimmed("\u{1d}10A\u{1d}\r"), "\u{1d}10A\u{1d}");
    }
}
