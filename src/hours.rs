//! When the shop is open: periods for each weekday, and days that differ. Pure.
//!
//! Counting goes on around the clock; opening hours only say so in interval events, because a cleaner at six in the
//! morning is no visitor, and yet somebody may want to know that they came.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::Deserialize;

/// Periods of one day, at most.
const MOST_PERIODS: usize = 8;
/// Days that differ, at most.
const MOST_DATES: usize = 400;

/// `[hours]`: when the shop is open, in its time zone. A weekday that is not named is a day on which it is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HoursSettings {
    /// Periods `HH:MM-HH:MM`; one that ends before it begins goes on past midnight.
    pub mon: Vec<String>,
    pub tue: Vec<String>,
    pub wed: Vec<String>,
    pub thu: Vec<String>,
    pub fri: Vec<String>,
    pub sat: Vec<String>,
    pub sun: Vec<String>,
    /// Days that differ: `2026-12-24`, or `12-25` for every year. An empty list: closed.
    pub dates: BTreeMap<String, Vec<String>>,
}

/// From when to when; the end may lie on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    from: Time,
    to: Time,
}

/// A day that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Day {
    /// Month and day of every year.
    Yearly(i8, i8),
    Once(Date),
}

/// Opening hours in a time zone.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: TimeZone,
    /// Monday first.
    week: [Vec<Period>; 7],
    dates: BTreeMap<Day, Vec<Period>>,
}

impl HoursSettings {
    fn week(&self) -> [(&'static str, &Vec<String>); 7] {
        [
            ("mon", &self.mon),
            ("tue", &self.tue),
            ("wed", &self.wed),
            ("thu", &self.thu),
            ("fri", &self.fri),
            ("sat", &self.sat),
            ("sun", &self.sun),
        ]
    }

    /// What is wrong: the key, and what was expected there.
    #[must_use]
    pub fn flaws(&self) -> Vec<(String, String)> {
        let mut flaws = Vec::new();
        let mut look = |key: &str, periods: &[String]| {
            if periods.len() > MOST_PERIODS {
                flaws.push((
                    key.to_owned(),
                    format!("expected {MOST_PERIODS} periods at most"),
                ));
            }
            if let Some(wrong) = periods.iter().find(|text| period(text).is_none()) {
                let expected =
                    format!("{wrong:?} is no period; expected one such as \"09:00-20:30\"");
                flaws.push((key.to_owned(), expected));
            }
        };
        for (name, periods) in self.week() {
            look(name, periods);
        }
        for (date, periods) in &self.dates {
            look(&format!("dates.{date}"), periods);
        }
        if let Some(wrong) = self.dates.keys().find(|text| day(text).is_none()) {
            let expected = "expected a day such as \"2026-12-24\", or \"12-25\" for every year";
            flaws.push((format!("dates.{wrong}"), expected.to_owned()));
        }
        if self.dates.len() > MOST_DATES {
            flaws.push((
                "dates".to_owned(),
                format!("expected {MOST_DATES} days at most"),
            ));
        }
        flaws
    }
}

impl Hours {
    /// Periods and days that cannot be read are left out; [`HoursSettings::flaws`] has said so before.
    #[must_use]
    pub fn new(settings: &HoursSettings, zone: TimeZone) -> Self {
        let read = |periods: &Vec<String>| periods.iter().filter_map(|text| period(text)).collect();
        let date = |(text, periods): (&String, _)| Some((day(text)?, read(periods)));
        Self {
            zone,
            week: settings.week().map(|(_, periods)| read(periods)),
            dates: settings.dates.iter().filter_map(date).collect(),
        }
    }

    /// Whether the shop is open at this moment.
    #[must_use]
    pub fn open_at(&self, at: Timestamp) -> bool {
        let local = at.to_zoned(self.zone.clone()).datetime();
        let today = local.date();
        let holds = |date: Date| self.periods(date).iter().any(|one| one.holds(date, local));
        // Yesterday's last period may go on past midnight.
        holds(today) || today.yesterday().is_ok_and(holds)
    }

    fn periods(&self, date: Date) -> &[Period] {
        let once = self.dates.get(&Day::Once(date));
        let special = once.or_else(|| self.dates.get(&Day::Yearly(date.month(), date.day())));
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        special
            .or_else(|| self.week.get(weekday))
            .map_or(&[], Vec::as_slice)
    }
}

impl Period {
    /// Whether the period that begins on `date` holds this local time.
    fn holds(&self, date: Date, local: DateTime) -> bool {
        let begin = date.to_datetime(self.from);
        let last = if self.to > self.from {
            Ok(date)
        } else {
            date.checked_add(1.day())
        };
        last.is_ok_and(|last| (begin..last.to_datetime(self.to)).contains(&local))
    }
}

fn period(text: &str) -> Option<Period> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (clock(from)?, clock(to)?);
    Some(Period { from, to })
}

/// `HH:MM`, or `24:00` for midnight at the end of a day.
pub fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |digits: &str| -> Option<i8> {
        let fine = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        fine.then(|| digits.parse().ok()).flatten()
    };
    match (two(hour)?, two(minute)?) {
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

fn day(text: &str) -> Option<Day> {
    if text.len() == 10 {
        return text.parse().ok().map(Day::Once);
    }
    // A leap year, so that the 29th of February is a day.
    let date: Date = (text.len() == 5).then(|| format!("2024-{text}").parse().ok())??;
    Some(Day::Yearly(date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str, zone: &str) -> Hours {
        let settings: HoursSettings = toml::from_str(text).unwrap();
        assert_eq!(settings.flaws(), []);
        Hours::new(&settings, TimeZone::get(zone).unwrap())
    }

    fn open(hours: &Hours, local: &str) -> bool {
        let local: DateTime = local.parse().unwrap();
        hours.open_at(local.to_zoned(hours.zone.clone()).unwrap().timestamp())
    }

    #[test]
    fn a_shop_is_open_within_its_periods_and_closed_on_days_without() {
        let hours = hours(
            "fri = [\"09:00-12:30\", \"14:00-20:00\"]\nsat = [\"00:00-24:00\"]",
            "Asia/Shanghai",
        );
        // 2026-11-20 is a Friday.
        for (local, expected) in [
            ("2026-11-20T08:59:59", false),
            ("2026-11-20T09:00", true),
            ("2026-11-20T12:30", false),
            ("2026-11-20T19:59:59", true),
            ("2026-11-20T20:00", false),
            ("2026-11-21T00:00", true),
            ("2026-11-21T23:59:59", true),
            ("2026-11-22T00:00", false),
            ("2026-11-22T12:00", false),
        ] {
            assert_eq!(open(&hours, local), expected, "{local}");
        }
    }

    #[test]
    fn a_bar_is_open_past_midnight_and_a_day_that_differs_comes_first() {
        let hours = hours(
            "thu = [\"18:00-02:00\"]\nfri = [\"18:00-02:00\"]\n[dates]\n\"12-25\" = []\n\"2026-12-24\" = [\"10:00-14:00\"]",
            "Europe/Berlin",
        );
        assert!(open(&hours, "2026-11-20T01:59"), "Thursday's night");
        assert!(!open(&hours, "2026-11-20T02:00"));
        assert!(open(&hours, "2026-11-21T01:00"));
        // A Thursday that closes early: nothing of its night is left, and the 25th is closed.
        assert!(open(&hours, "2026-12-24T11:00") && !open(&hours, "2026-12-24T19:00"));
        assert!(!open(&hours, "2026-12-25T01:00") && !open(&hours, "2026-12-25T19:00"));
    }

    #[test]
    fn hours_follow_the_shops_clock_through_both_changes_of_the_clock() {
        let hours = hours("sun = [\"09:00-18:00\"]", "Europe/Berlin");
        // 2026-03-29 and 2026-10-25 are Sundays on which the clock changes.
        for (utc, expected) in [
            ("2026-03-29T06:59Z", false),
            ("2026-03-29T07:00Z", true),
            ("2026-10-25T07:59Z", false),
            ("2026-10-25T08:00Z", true),
            ("2026-10-25T16:59Z", true),
            ("2026-10-25T17:00Z", false),
        ] {
            assert_eq!(hours.open_at(utc.parse().unwrap()), expected, "{utc}");
        }
    }

    #[test]
    fn what_is_no_period_and_no_day_is_named() {
        let settings: HoursSettings = toml::from_str(
            "mon = [\"9-17\"]\ntue = [\"09:00-25:00\"]\n[dates]\n\"2026-02-30\" = []\n\"02-29\" = []",
        )
        .unwrap();
        let keys: Vec<_> = settings.flaws().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["mon", "tue", "dates.2026-02-30"]);
    }
}
