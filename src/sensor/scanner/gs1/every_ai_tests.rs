//! Every Application Identifier: what is right passes, and what is wrong is refused for the right reason.
//!
//! Values are made from the table's description of the format; that the table says the right thing is tested beside.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Part};
use super::lint::Linter;
use super::table::TABLE;
use super::{Fault, Parsed, SEPARATOR, Set, alpha_pair, bracketed, check_digit, element_string};

/// Every Application Identifier with its entry; ranges one by one.
fn every_ai() -> Vec<(String, &'static Entry)> {
    let mut all = Vec::new();
    for entry in TABLE {
        let (first, last): (u32, u32) = (entry.first.parse().unwrap(), entry.last.parse().unwrap());
        let width = entry.first.len();
        all.extend((first..=last).map(|ai| (format!("{ai:0width$}"), entry)));
    }
    all
}

/// A right value for one part.
fn right(part: &Part) -> String {
    let digits = |count: usize| "1234567890".chars().cycle().take(count).collect::<String>();
    let has = |linter| part.linters.contains(&linter);
    if has(Linter::Csum) {
        let body = digits(part.most - 1);
        return format!("{body}{}", check_digit(&body).unwrap());
    }
    if has(Linter::CsumAlpha) {
        let body = "1987654Ad4X4bL5ttr2310c";
        return body.chars().chain(alpha_pair(body).unwrap()).collect();
    }
    let known = part.linters.iter().find_map(|linter| {
        Some(match linter {
            Linter::Yymmd0 | Linter::Yymmdd => "271231",
            Linter::Yyyymmdd => "20271231",
            Linter::Hhmi => "2359",
            Linter::Hh => "23",
            Linter::Mi | Linter::Ss => "59",
            Linter::Iso3166 | Linter::Iso3166999 => "156",
            Linter::Iso3166Alpha2 => "CN",
            Linter::Iso4217 => "978",
            Linter::Iso5218 => "9",
            Linter::Iban => "DE91100000000123456789",
            Linter::PcEnc => "Store%20Street",
            Linter::YesNo | Linter::Winding => "1",
            Linter::Zero => "0",
            Linter::Hyphen => "-",
            Linter::PieceOfTotal => "0102",
            Linter::PosInSeqSlash => "1/2",
            Linter::ImporterIdx => "_",
            Linter::PackageType => "201",
            Linter::MediaType => "80",
            Linter::Latitude | Linter::Longitude => "0900000000",
            Linter::CouponCode => "012345612345611110123",
            Linter::CouponPosOffer => "001234561234560123456",
            _ => return None,
        })
    });
    known.map_or_else(|| digits(part.most), ToOwned::to_owned)
}

/// A value of the right length and characters that `linter` refuses.
fn refused(linter: Linter, part: &Part) -> String {
    let value = right(part);
    let rest = |head: &str| format!("{head}{}", &value[head.len()..]);
    match linter {
        Linter::Csum => {
            let digit = value.chars().last().unwrap().to_digit(10).unwrap();
            format!("{}{}", &value[..value.len() - 1], (digit + 1) % 10)
        }
        Linter::CsumAlpha => format!("{}22", &value[..value.len() - 2]),
        Linter::GcpPos1 if part.set != Set::N => rest("123X"),
        Linter::Yymmd0 | Linter::Yymmdd => "271301".to_owned(),
        Linter::Yyyymmdd => "20230229".to_owned(),
        Linter::Hhmi => "2400".to_owned(),
        Linter::Hh => "24".to_owned(),
        Linter::Mi | Linter::Ss => "60".to_owned(),
        Linter::Iso3166 | Linter::Iso3166999 | Linter::Iso4217 => "000".to_owned(),
        Linter::Iso3166Alpha2 => "XX".to_owned(),
        Linter::Iso5218 | Linter::Winding => "3".to_owned(),
        Linter::YesNo => "2".to_owned(),
        Linter::Iban => "DE91100000000123456780".to_owned(),
        Linter::PcEnc => "50%".to_owned(),
        Linter::Zero => "1".to_owned(),
        Linter::NonZero => "0".repeat(part.most),
        Linter::NoZeroPrefix => "01".to_owned(),
        Linter::Hyphen => "X".to_owned(),
        Linter::PieceOfTotal => "0201".to_owned(),
        Linter::PosInSeqSlash => "2/1".to_owned(),
        Linter::ImporterIdx => "!".to_owned(),
        Linter::PackageType => "ZZZ".to_owned(),
        Linter::MediaType => "11".to_owned(),
        Linter::Latitude => "1800000001".to_owned(),
        Linter::Longitude => "3600000001".to_owned(),
        Linter::CouponCode | Linter::CouponPosOffer => "9".repeat(20),
        // Of digits, the first four are always a company prefix's.
        Linter::GcpPos1 | Linter::GcpPos2 => String::new(),
        // The check characters of a value without other letters are made to be digits.
        Linter::HasNonDigit => all_digits_with_pair(),
    }
}

/// Digits whose check characters are digits too.
fn all_digits_with_pair() -> String {
    let found = (100_000u32..).map(|n| n.to_string()).find_map(|body| {
        let pair = alpha_pair(&body)?;
        let digits = pair.iter().all(char::is_ascii_digit);
        digits.then(|| body.chars().chain(pair).collect())
    });
    found.unwrap()
}

/// Right values for all parts, with one replaced.
fn value(entry: &Entry, replaced: Option<(usize, &str)>) -> String {
    let part = |(at, part): (usize, &Part)| match replaced {
        Some((place, text)) if place == at => text.to_owned(),
        _ => right(part),
    };
    entry.parts.iter().enumerate().map(part).collect()
}

fn only_fault(parsed: &Parsed) -> &Fault {
    assert_eq!(parsed.faults.len(), 1, "{:?}", parsed.faults);
    &parsed.faults[0]
}

#[test]
fn a_right_value_passes_in_both_forms_and_comes_out_unchanged() {
    for (ai, entry) in every_ai() {
        let value = value(entry, None);
        for parsed in [
            element_string(&format!("{ai}{value}")),
            element_string(&format!("{SEPARATOR}{ai}{value}{SEPARATOR}")),
            bracketed(&format!("({ai}){}", value.replace('(', "\\("))).unwrap(),
        ] {
            assert_eq!(parsed.faults, [], "({ai}){value}");
            assert_eq!(parsed.value(&ai), Some(value.as_str()), "({ai}){value}");
        }
    }
}

#[test]
fn every_optional_part_may_be_missing() {
    for (ai, entry) in every_ai() {
        let needed = entry.parts.iter().filter(|part| !part.optional).count();
        for count in needed..entry.parts.len() {
            let value: String = entry.parts[..count].iter().map(right).collect();
            assert_eq!(
                element_string(&format!("{ai}{value}")).faults,
                [],
                "({ai}){value}"
            );
        }
    }
}

#[test]
fn a_value_that_is_too_short_is_refused_for_that() {
    for (ai, entry) in every_ai() {
        let value: String = value(entry, None).chars().take(entry.least() - 1).collect();
        for parsed in [
            element_string(&format!("{ai}{value}")),
            bracketed(&format!("({ai}){value}")).unwrap(),
        ] {
            assert_eq!(
                only_fault(&parsed),
                &Fault::TooShort { ai: ai.clone() },
                "{value}"
            );
            assert!(parsed.elements.is_empty());
        }
    }
}

#[test]
fn a_value_that_is_too_long_is_refused_for_that() {
    for (ai, entry) in every_ai() {
        let filler = if entry.parts.last().unwrap().set == Set::N {
            "0"
        } else {
            "A"
        };
        let mut long = value(entry, None);
        long.push_str(&filler.repeat(entry.most() + 1 - long.len()));
        let parsed = bracketed(&format!("({ai}){long}")).unwrap();
        assert_eq!(
            only_fault(&parsed),
            &Fault::TooLong { ai: ai.clone() },
            "{long}"
        );
        // Without brackets, a predefined length ends where it must, and what is left is another element.
        if entry.separator {
            let parsed = element_string(&format!("{ai}{long}"));
            assert_eq!(only_fault(&parsed), &Fault::TooLong { ai }, "{long}");
        }
    }
}

#[test]
fn a_character_outside_the_set_is_refused_for_that() {
    for (ai, entry) in every_ai() {
        for (at, part) in entry.parts.iter().enumerate() {
            let strange: &[&str] = match part.set {
                Set::N => &["A", " ", "é"],
                Set::X => &["~", " ", "é"],
                Set::Y => &["a", "~", "é"],
                Set::Z => &["+", "/", "é"],
            };
            for strange in strange {
                let good = right(part);
                let bad = format!("{strange}{}", &good[1..]);
                let value = value(entry, Some((at, &bad)));
                let parsed = element_string(&format!("{ai}{value}"));
                let set = part.set;
                // "é" is two bytes, which a predefined length cuts: whatever is said, it is refused.
                if strange.is_ascii() {
                    assert_eq!(
                        only_fault(&parsed),
                        &Fault::Character {
                            ai: ai.clone(),
                            set
                        },
                        "{value}"
                    );
                }
                assert!(
                    !parsed.faults.is_empty() && parsed.value(&ai).is_none(),
                    "({ai}){value}"
                );
            }
        }
    }
}

#[test]
fn every_check_of_every_part_refuses_what_it_must_and_the_value_stays_readable() {
    let mut refusals: BTreeMap<Linter, usize> = BTreeMap::new();
    for (ai, entry) in every_ai() {
        for (at, part) in entry.parts.iter().enumerate() {
            for linter in part.linters {
                let bad = refused(*linter, part);
                if bad.is_empty() {
                    continue;
                }
                // Where a check that comes first refuses the value too, it is the one that is told.
                let first = *part
                    .linters
                    .iter()
                    .find(|linter| !linter.passes(&bad))
                    .unwrap();
                let value = value(entry, Some((at, &bad)));
                let parsed = element_string(&format!("{ai}{value}"));
                let expected = Fault::Content {
                    ai: ai.clone(),
                    linter: first,
                };
                assert_eq!(only_fault(&parsed), &expected, "({ai}){value}");
                assert_eq!(parsed.value(&ai), Some(value.as_str()));
                *refusals.entry(first).or_default() += 1;
            }
        }
    }
    let used: BTreeSet<Linter> = TABLE
        .iter()
        .flat_map(|entry| entry.parts)
        .flat_map(|part| part.linters.iter().copied())
        .collect();
    let missing: Vec<_> = used
        .iter()
        .filter(|linter| !refusals.contains_key(linter))
        .collect();
    assert_eq!(missing, [&Linter::GcpPos2]);
    println!(
        "{} Application Identifiers, refusals by check: {refusals:?}",
        every_ai().len()
    );
}

#[test]
fn what_no_application_identifier_begins_ends_the_reading() {
    for (ai, entry) in every_ai() {
        let value = value(entry, None);
        let separator = SEPARATOR.to_string();
        let between = if entry.separator {
            separator.as_str()
        } else {
            ""
        };
        let parsed = element_string(&format!("{ai}{value}{between}05123"));
        let at = ai.len() + value.len() + between.len();
        assert_eq!(
            only_fault(&parsed),
            &Fault::UnknownAi { at },
            "({ai}){value}"
        );
        assert_eq!(parsed.value(&ai), Some(value.as_str()));
    }
}

#[test]
fn elements_follow_each_other_with_separators_where_they_are_needed() {
    let text = "010950600013435210AB-1\u{1d}17271231\u{1d}3103000100";
    let parsed = element_string(text);
    assert_eq!(parsed.faults, []);
    let read: Vec<_> = parsed
        .elements
        .iter()
        .map(|e| (e.ai.as_str(), e.value.as_str()))
        .collect();
    assert_eq!(
        read,
        [
            ("01", "09506000134352"),
            ("10", "AB-1"),
            ("17", "271231"),
            ("3103", "000100")
        ]
    );
}

#[test]
fn the_same_element_twice_is_a_fault_only_when_it_says_something_else() {
    assert_eq!(bracketed("(10)A(10)A").unwrap().faults, []);
    let twice = bracketed("(10)A(10)B").unwrap();
    assert_eq!(
        only_fault(&twice),
        &Fault::Repeated {
            ai: "10".to_owned()
        }
    );
    assert_eq!(twice.value("10"), Some("A"));
}

#[test]
fn more_elements_than_any_code_holds_are_not_read() {
    let text: String = (0..500).map(|n| format!("(10){n}")).collect();
    let parsed = bracketed(&text).unwrap();
    assert!(parsed.elements.len() + parsed.faults.len() <= 66);
    assert_eq!(parsed.faults.last(), Some(&Fault::TooMany));
}

#[test]
fn what_is_not_in_brackets_is_not_taken_for_it() {
    for text in [
        "",
        "01",
        "()x",
        "(1)x",
        "(01",
        "(01)x(",
        "(ab)x",
        "(12345)x",
        "(01)x)y(z",
    ] {
        let read = bracketed(text);
        assert!(read.is_none(), "{text}");
    }
    let parsed = bracketed("(10)A\\(B\\(").unwrap();
    assert_eq!(parsed.value("10"), Some("A(B("));
}
