//! Retail numbers: GTIN-8, -12, -13 and -14, and UPC-E.

use super::gs1::has_check_digit;

/// A retail number as it was scanned, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retail {
    /// Fourteen digits.
    pub gtin: String,
    pub check_digit_ok: bool,
    /// Numbers that a shop or a country gives itself: weighed goods, coupons of the shop, but also member cards.
    pub restricted: bool,
}

/// The fourteen digits of a GTIN-8, -12, -13 or -14. `None` when `digits` is something else.
#[must_use]
pub fn gtin(digits: &str) -> Option<Retail> {
    let fits = matches!(digits.len(), 8 | 12 | 13 | 14);
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    (fits && all).then(|| Retail {
        gtin: format!("{digits:0>14}"),
        check_digit_ok: has_check_digit(digits),
        restricted: is_restricted(digits),
    })
}

/// The GTIN of a UPC-E number of eight digits: number system 0 or 1, six digits, check digit.
#[must_use]
pub fn upc_e(digits: &str) -> Option<Retail> {
    expand(digits).and_then(|upc_a| gtin(&upc_a))
}

/// GS1 General Specifications, section 5.2.2.4.2 (zero suppression): UPC-E to the twelve digits of UPC-A.
#[must_use]
pub fn expand(digits: &str) -> Option<String> {
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let (system, check) = (part(0, 1)?, part(7, 8)?);
    if !matches!(system, "0" | "1") {
        return None;
    }
    let middle = match part(6, 7)? {
        last @ ("0" | "1" | "2") => format!("{}{last}0000{}", part(1, 3)?, part(3, 6)?),
        "3" => format!("{}00000{}", part(1, 4)?, part(4, 6)?),
        "4" => format!("{}00000{}", part(1, 5)?, part(5, 6)?),
        last => format!("{}0000{last}", part(1, 6)?),
    };
    Some(format!("{system}{middle}{check}"))
}

/// GS1 General Specifications, section 1.4.2: prefixes 02, 04 and 20 to 29; of GTIN-8 those with 0 and 2.
fn is_restricted(digits: &str) -> bool {
    if digits.len() == 8 {
        return digits.starts_with(['0', '2']);
    }
    // The indicator digit of a GTIN-14 is no part of the prefix; a GTIN-12 is a GTIN-13 with a zero before it.
    let padded = format!("{digits:0>14}");
    let prefix = padded.get(1..3).unwrap_or_default();
    matches!(prefix, "02" | "04") || prefix.starts_with('2')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_becomes_fourteen_digits() {
        for (digits, fourteen) in [
            ("96385074", "00000096385074"),
            ("036000291452", "00036000291452"),
            ("9506000134352", "09506000134352"),
            ("10614141543219", "10614141543219"),
        ] {
            let retail = gtin(digits).unwrap();
            assert_eq!(retail.gtin, fourteen);
            assert!(retail.check_digit_ok && !retail.restricted, "{digits}");
        }
        for none in [
            "",
            "1234567",
            "123456789",
            "950600013435x",
            "９５０６０００１",
        ] {
            assert_eq!(gtin(none), None, "{none}");
        }
    }

    #[test]
    fn a_wrong_check_digit_is_said_and_the_number_stays() {
        let retail = gtin("9506000134353").unwrap();
        assert_eq!(
            (retail.gtin.as_str(), retail.check_digit_ok),
            ("09506000134353", false)
        );
    }

    #[test]
    fn each_way_of_zero_suppression() {
        for (short, long) in [
            ("01234505", "012000003455"),
            ("01234514", "012100003454"),
            ("01234523", "012200003453"),
            ("01234531", "012300000451"),
            ("01234543", "012340000053"),
            ("01234558", "012345000058"),
            ("01234565", "012345000065"),
            ("01234596", "012345000096"),
        ] {
            assert_eq!(expand(short).as_deref(), Some(long));
            assert!(upc_e(short).unwrap().check_digit_ok, "{short}");
        }
        assert_eq!(expand("21234565"), None);
        assert_eq!(expand("0123456"), None);
    }

    #[test]
    fn numbers_for_use_within_a_shop_are_told_apart() {
        for own in [
            "2000000000008",
            "2912345678905",
            "0212345678909",
            "0412345678903",
            "212345678909",
            "412345678903",
            "20000004",
            "00000017",
        ] {
            assert!(gtin(own).unwrap().restricted, "{own}");
        }
        for worldwide in [
            "0012345678905",
            "0312345678906",
            "6901234567892",
            "9780201379624",
            "96385074",
        ] {
            assert!(!gtin(worldwide).unwrap().restricted, "{worldwide}");
        }
    }
}
