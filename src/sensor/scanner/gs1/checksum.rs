//! Check digits and check characters.

/// Characters of GS1's set 82 in the order of their values, General Specifications figure 7.11-1.
const SET_82: &[u8] =
    b"!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// Characters of a check character pair in the order of their values.
const SET_32: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// The mod-10 check digit for `digits`, General Specifications section 7.9.1: weights 3 and 1 from the right.
/// `None` when `digits` holds something else.
#[must_use]
pub fn check_digit(digits: &str) -> Option<char> {
    let mut sum = 0u32;
    for (place, digit) in digits.chars().rev().enumerate() {
        sum += digit.to_digit(10)? * if place % 2 == 0 { 3 } else { 1 };
    }
    char::from_digit((10 - sum % 10) % 10, 10)
}

/// Whether the last of `digits` is their check digit. `false` for what is no number of at least two digits.
#[must_use]
pub fn has_check_digit(digits: &str) -> bool {
    let mut chars = digits.chars();
    let last = chars.next_back();
    let rest = chars.as_str();
    !rest.is_empty() && last.is_some() && check_digit(rest) == last
}

/// The check character pair for `text`, General Specifications section 7.9.5: values in set 82, weighted with the
/// primes from the right, modulo 1021. `None` when a character is not in set 82.
#[must_use]
pub fn alpha_pair(text: &str) -> Option<[char; 2]> {
    let mut sum = 0usize;
    for (byte, prime) in text.bytes().rev().zip(primes()) {
        sum += SET_82.iter().position(|known| *known == byte)? * prime;
    }
    let sum = sum % 1021;
    let character = |value: usize| SET_32.get(value).copied().map(char::from);
    Some([character(sum / 32)?, character(sum % 32)?])
}

/// Whether the last two characters are the pair for the rest.
pub(super) fn has_alpha_pair(text: &str) -> bool {
    let Some((rest, pair)) = text
        .len()
        .checked_sub(2)
        .and_then(|at| text.split_at_checked(at))
    else {
        return false;
    };
    alpha_pair(rest).is_some_and(|right| pair.chars().eq(right))
}

/// Primes without end; a value has at most 90 characters.
fn primes() -> impl Iterator<Item = usize> {
    (2usize..).filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

/// The remainder of an IBAN by ISO 13616 (ISO 7064 MOD 97-10): 1 when it is right. `None` for other characters.
pub(super) fn iban_remainder(text: &str) -> Option<u32> {
    let (head, rest) = text.split_at_checked(4)?;
    rest.chars().chain(head.chars()).try_fold(0, |sum, letter| {
        let value = letter.to_digit(36).filter(|_| !letter.is_lowercase())?;
        Some((sum * if value < 10 { 10 } else { 100 } + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_published_examples() {
        for right in [
            "6291041500213",
            "9506000134352",
            "96385074",
            "036000291452",
            "10614141543219",
            "006141411234567890",
        ] {
            assert!(has_check_digit(right), "{right}");
            let wrong = format!("{}{}", &right[..right.len() - 1], {
                let last = right.chars().last().unwrap().to_digit(10).unwrap();
                (last + 1) % 10
            });
            assert!(!has_check_digit(&wrong), "{wrong}");
        }
        assert!(!has_check_digit("") && !has_check_digit("0") && !has_check_digit("x0"));
    }

    #[test]
    fn the_check_character_pair_of_the_general_specifications() {
        assert!(has_alpha_pair("1987654Ad4X4bL5ttr2310c2K"));
        assert!(!has_alpha_pair("1987654Ad4X4bL5ttr2310c2X"));
        assert!(!has_alpha_pair("2") && !has_alpha_pair("") && !has_alpha_pair("é2"));
    }

    #[test]
    fn account_numbers() {
        assert_eq!(iban_remainder("DE91100000000123456789"), Some(1));
        assert_eq!(iban_remainder("GB98MIDL07009312345678"), Some(1));
        assert_ne!(iban_remainder("GB98MIDL07009312345679"), Some(1));
        assert_eq!(iban_remainder("GB9-"), None);
    }
}
