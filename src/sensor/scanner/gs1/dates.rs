//! Dates and times of element strings, and the century they are in.

use jiff::civil::Date;

/// A date of `YYMMDD`, in the century that the GS1 General Specifications, section 7.12, gives it as seen from
/// `this_year`: never 50 years back or more than 50 ahead. Day 00 is the last day of the month.
/// `None` when there is no such date.
#[must_use]
pub fn full_date(text: &str, this_year: i16) -> Option<Date> {
    let (year, month, day) = (two(text, 0)?, two(text, 2)?, two(text, 4)?);
    let year = i16::from(year);
    let mut century = this_year.div_euclid(100);
    let ahead = year - this_year.rem_euclid(100);
    if ahead >= 51 {
        century -= 1;
    } else if ahead <= -50 {
        century += 1;
    }
    date(century.checked_mul(100)?.checked_add(year)?, month, day)
}

/// A month without its day is its last day.
fn date(year: i16, month: u8, day: u8) -> Option<Date> {
    let month = i8::try_from(month).ok()?;
    if day == 0 {
        return Some(Date::new(year, month, 1).ok()?.last_of_month());
    }
    Date::new(year, month, i8::try_from(day).ok()?).ok()
}

/// `YYMMDD`, with or without day 00. Of the years that YY can mean, those of 1951 to 2050 are leap years together.
pub(super) fn yymmdd(text: &str, day_zero: bool) -> bool {
    text.len() == 6 && (day_zero || !text.ends_with("00")) && full_date(text, 2000).is_some()
}

/// `YYYYMMDD`.
pub(super) fn yyyymmdd(text: &str) -> bool {
    let year = two(text, 0).zip(two(text, 2));
    let found = year.and_then(|(century, year)| {
        let year = i16::from(century) * 100 + i16::from(year);
        date(year, two(text, 4)?, two(text, 6)?)
    });
    text.len() == 8 && !text.ends_with("00") && found.is_some()
}

/// `HHMM`, 0000 to 2359.
pub(super) fn hhmi(text: &str) -> bool {
    text.len() == 4 && below(text, 0, 24) && below(text, 2, 60)
}

/// Two digits below `limit`.
pub(super) fn two_below(text: &str, limit: u8) -> bool {
    text.len() == 2 && below(text, 0, limit)
}

fn below(text: &str, at: usize, limit: u8) -> bool {
    two(text, at).is_some_and(|value| value < limit)
}

fn two(text: &str, at: usize) -> Option<u8> {
    let digits = text.get(at..at + 2)?;
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_century_is_the_one_within_50_years() {
        let year =
            |yy: &str, this_year| full_date(&format!("{yy}0101"), this_year).map(|d| d.year());
        // 51 to 99 years ahead: the century before. 50 to 99 years back: the next. All else: this one.
        assert_eq!(year("76", 2026), Some(2076));
        assert_eq!(year("77", 2026), Some(1977));
        assert_eq!(year("99", 2026), Some(1999));
        assert_eq!(year("00", 2026), Some(2000));
        assert_eq!(year("27", 2076), Some(2027));
        assert_eq!(year("26", 2076), Some(2126));
        assert_eq!(year("00", 2099), Some(2100));
        assert_eq!(year("49", 2099), Some(2149));
        assert_eq!(year("50", 2099), Some(2050));
        assert_eq!(year("51", 2000), Some(1951));
        assert_eq!(year("50", 2000), Some(2050));
    }

    #[test]
    fn day_zero_is_the_last_day_of_the_month() {
        assert_eq!(full_date("280200", 2026), Some(date(2028, 2, 29)));
        assert_eq!(full_date("271100", 2026), Some(date(2027, 11, 30)));
        assert!(yymmdd("280200", true) && !yymmdd("280200", false));
    }

    #[test]
    fn dates_that_do_not_exist() {
        for wrong in [
            "271301", "270001", "270230", "270229", "27022", "2702290", "27022x", "",
        ] {
            assert!(!yymmdd(wrong, true), "{wrong}");
        }
        assert!(yymmdd("280229", false) && yymmdd("000229", false));
        assert!(yyyymmdd("20240229") && !yyyymmdd("20230229") && !yyyymmdd("20230200"));
        assert!(hhmi("2359") && !hhmi("2400") && !hhmi("2360") && !hhmi("+1+1"));
    }
}
