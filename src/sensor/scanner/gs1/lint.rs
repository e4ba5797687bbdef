//! The content checks of the GS1 Barcode Syntax Dictionary, one for each of its linters.

use super::{checksum, coupon, dates, lists};

/// A check of one part of a value, named as in the dictionary. The part's character set and length are right already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Linter {
    Csum,
    CsumAlpha,
    GcpPos1,
    GcpPos2,
    Yymmd0,
    Yymmdd,
    Yyyymmdd,
    Hhmi,
    Hh,
    Mi,
    Ss,
    Iso3166,
    Iso3166999,
    Iso3166Alpha2,
    Iso4217,
    Iso5218,
    Iban,
    PcEnc,
    YesNo,
    Zero,
    NonZero,
    NoZeroPrefix,
    HasNonDigit,
    Hyphen,
    Winding,
    PieceOfTotal,
    PosInSeqSlash,
    ImporterIdx,
    PackageType,
    MediaType,
    Latitude,
    Longitude,
    CouponCode,
    CouponPosOffer,
}

impl Linter {
    /// Whether `text` is right.
    #[must_use]
    pub fn passes(self, text: &str) -> bool {
        match self {
            Self::Csum => checksum::has_check_digit(text),
            Self::CsumAlpha => checksum::has_alpha_pair(text),
            Self::GcpPos1 => starts_with_company_prefix(text),
            Self::GcpPos2 => text.get(1..).is_some_and(starts_with_company_prefix),
            Self::Yymmd0 => dates::yymmdd(text, true),
            Self::Yymmdd => dates::yymmdd(text, false),
            Self::Yyyymmdd => dates::yyyymmdd(text),
            Self::Hhmi => dates::hhmi(text),
            Self::Hh => dates::two_below(text, 24),
            Self::Mi | Self::Ss => dates::two_below(text, 60),
            Self::Iso3166 => lists::is_country(text),
            Self::Iso3166999 => text == "999" || lists::is_country(text),
            Self::Iso3166Alpha2 => lists::is_country_alpha2(text),
            Self::Iso4217 => lists::is_currency(text),
            Self::Iso5218 => matches!(text, "0" | "1" | "2" | "9"),
            Self::Iban => is_iban(text),
            Self::PcEnc => is_percent_encoded(text),
            Self::YesNo => matches!(text, "0" | "1"),
            Self::Zero => text.bytes().all(|byte| byte == b'0'),
            Self::NonZero => text.bytes().any(|byte| byte != b'0'),
            Self::NoZeroPrefix => !text.starts_with('0'),
            Self::HasNonDigit => text.bytes().any(|byte| !byte.is_ascii_digit()),
            Self::Hyphen => !text.is_empty() && text.bytes().all(|byte| byte == b'-'),
            Self::Winding => matches!(text, "0" | "1" | "9"),
            Self::PieceOfTotal => is_piece_of_total(text),
            Self::PosInSeqSlash => is_position_in_sequence(text),
            Self::ImporterIdx => {
                let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                text.len() == 1 && text.bytes().all(byte)
            }
            Self::PackageType => lists::is_package_type(text),
            Self::MediaType => number(text).is_some_and(|n| matches!(n, 1..=10 | 80..=99)),
            Self::Latitude => number(text).is_some_and(|n| n <= 1_800_000_000),
            Self::Longitude => number(text).is_some_and(|n| n <= 3_600_000_000),
            Self::CouponCode => coupon::is_coupon_code(text),
            Self::CouponPosOffer => coupon::is_positive_offer(text),
        }
    }

    /// The name in the dictionary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// What to say when it does not pass.
    #[must_use]
    pub const fn complaint(self) -> &'static str {
        self.words().1
    }

    /// Whether it is about a check digit or check characters.
    #[must_use]
    pub const fn is_checksum(self) -> bool {
        matches!(self, Self::Csum | Self::CsumAlpha)
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Csum => ("csum", "wrong check digit"),
            Self::CsumAlpha => ("csumalpha", "wrong check characters"),
            Self::GcpPos1 | Self::GcpPos2 => (
                if matches!(self, Self::GcpPos1) {
                    "gcppos1"
                } else {
                    "gcppos2"
                },
                "does not begin with a GS1 Company Prefix",
            ),
            Self::Yymmd0 => ("yymmd0", "no date as YYMMDD (day 00 allowed)"),
            Self::Yymmdd => ("yymmdd", "no date as YYMMDD"),
            Self::Yyyymmdd => ("yyyymmdd", "no date as YYYYMMDD"),
            Self::Hhmi => ("hhmi", "no time as HHMM"),
            Self::Hh => ("hh", "no hour, 00 to 23"),
            Self::Mi => ("mi", "no minute, 00 to 59"),
            Self::Ss => ("ss", "no second, 00 to 59"),
            Self::Iso3166 => ("iso3166", "no country number of ISO 3166"),
            Self::Iso3166999 => ("iso3166999", "no country number of ISO 3166, nor 999"),
            Self::Iso3166Alpha2 => ("iso3166alpha2", "no two-letter country of ISO 3166"),
            Self::Iso4217 => ("iso4217", "no currency number of ISO 4217"),
            Self::Iso5218 => ("iso5218", "no code of ISO 5218: 0, 1, 2 or 9"),
            Self::Iban => ("iban", "no international bank account number"),
            Self::PcEnc => (
                "pcenc",
                "a % that is not followed by two hexadecimal digits",
            ),
            Self::YesNo => ("yesno", "neither 0 nor 1"),
            Self::Zero => ("zero", "not zero"),
            Self::NonZero => ("nonzero", "zero"),
            Self::NoZeroPrefix => ("nozeroprefix", "begins with a zero"),
            Self::HasNonDigit => ("hasnondigit", "nothing but digits"),
            Self::Hyphen => ("hyphen", "not a hyphen"),
            Self::Winding => ("winding", "no winding direction: 0, 1 or 9"),
            Self::PieceOfTotal => ("pieceoftotal", "no piece number and total of pieces"),
            Self::PosInSeqSlash => ("posinseqslash", "no position in a sequence, such as 1/2"),
            Self::ImporterIdx => ("importeridx", "no importer index: one of A-Z a-z 0-9 - _"),
            Self::PackageType => ("packagetype", "no package type of GS1"),
            Self::MediaType => ("mediatype", "no AIDC media type: 01 to 10 or 80 to 99"),
            Self::Latitude => ("latitude", "no latitude: 0 to 1800000000"),
            Self::Longitude => ("longitude", "no longitude: 0 to 3600000000"),
            Self::CouponCode => ("couponcode", "no coupon code of North America"),
            Self::CouponPosOffer => ("couponposoffer", "no positive offer coupon"),
        }
    }
}

/// GS1 Company Prefixes are digits, and none is shorter than four.
pub(super) fn starts_with_company_prefix(text: &str) -> bool {
    text.get(..4)
        .is_some_and(|prefix| prefix.bytes().all(|byte| byte.is_ascii_digit()))
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// ISO 13616: country, two check digits, and an account of at least seven characters.
fn is_iban(text: &str) -> bool {
    text.len() > 10
        && text.get(..2).is_some_and(lists::is_country_alpha2)
        && checksum::iban_remainder(text) == Some(1)
}

fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        after
            .get(..2)
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

/// Two numbers of the same width, none of them zero, the first not above the second.
fn is_piece_of_total(text: &str) -> bool {
    let halves = text.split_at_checked(text.len() / 2);
    let both = halves.and_then(|(piece, total)| Some((number(piece)?, number(total)?)));
    text.len().is_multiple_of(2) && both.is_some_and(|(piece, total)| 0 < piece && piece <= total)
}

/// `position/end`, none of them zero or beginning with one, the first not above the second.
fn is_position_in_sequence(text: &str) -> bool {
    text.split_once('/').is_some_and(|(position, end)| {
        let plain = |text: &str| !text.starts_with('0') && !text.is_empty();
        let both = number(position).zip(number(end));
        plain(position) && plain(end) && both.is_some_and(|(position, end)| position <= end)
    })
}

#[cfg(test)]
mod tests {
    use super::Linter::*;

    /// What passes and what does not; the sums and dates have tests of their own.
    #[test]
    fn each_check_lets_the_right_pass_and_stops_the_wrong() {
        for (linter, right, wrong) in [
            (
                GcpPos1,
                &["0123", "9506000X"][..],
                &["012", "012X4", ""][..],
            ),
            (GcpPos2, &["X0123", "19506"], &["0123", "0X123", ""]),
            (Iso3166, &["276", "156"], &["000", "999", "275x", "27"]),
            (Iso3166999, &["276", "999"], &["000", "998"]),
            (Iso3166Alpha2, &["CN", "DE"], &["cn", "XX", "C", ""]),
            (Iso4217, &["978", "156", "999"], &["000", "998", "97"]),
            (Iso5218, &["0", "1", "2", "9"], &["3", "", "00"]),
            (
                Iban,
                &["DE91100000000123456789", "LC14BOSL123456789012345678901234"],
                &[
                    "DE91100000000123456780",
                    "XX36123456789012",
                    "DE9",
                    "",
                    "DE91 1000000001",
                ],
            ),
            (
                PcEnc,
                &["", "abc", "a%20b", "%fF"],
                &["%", "%2", "a%2Gb", "%%20"],
            ),
            (YesNo, &["0", "1"], &["2", "", "01"]),
            (Zero, &["0", "000"], &["1", "010"]),
            (NonZero, &["1", "010"], &["0", "000"]),
            (NoZeroPrefix, &["1", "10"], &["0", "01"]),
            (HasNonDigit, &["1a", "-"], &["1", "123"]),
            (Hyphen, &["-"], &["", "1", "-1"]),
            (Winding, &["0", "1", "9"], &["2", "", "11"]),
            (
                PieceOfTotal,
                &["0101", "0102", "9999", "11"],
                &["0001", "0100", "0201", "010", "01x2", "+1+2"],
            ),
            (
                PosInSeqSlash,
                &["1/1", "1/2", "9/10", "10/10"],
                &[
                    "0/1", "1/0", "2/1", "01/2", "1/02", "1", "/1", "1/", "1//2", "x/y",
                ],
            ),
            (
                ImporterIdx,
                &["-", "_", "a", "Z", "7"],
                &["", "ab", "!", "/"],
            ),
            (
                PackageType,
                &["1A", "201", "8", "ZZ", "APE"],
                &["", "0", "1a", "ZZZ"],
            ),
            (MediaType, &["01", "10", "80", "99"], &["00", "11", "79"]),
            (
                Latitude,
                &["0000000000", "1800000000"],
                &["1800000001", "9999999999"],
            ),
            (Longitude, &["3600000000"], &["3600000001"]),
            (Hh, &["00", "23"], &["24", "1"]),
            (Mi, &["59"], &["60"]),
            (Ss, &["59"], &["60"]),
        ] {
            for text in right {
                assert!(linter.passes(text), "{linter:?} {text:?}");
            }
            for text in wrong {
                assert!(!linter.passes(text), "{linter:?} {text:?}");
            }
        }
    }
}
