//! The file of hand labels: one crossing a line, as a table with commas, semicolons or tabs and a heading.
//!
//! ```text
//! time,line,direction,class,recording,note
//! 12.4,entrance,in
//! 1:05.0,entrance,out,,,carries a box
//! ```
//!
//! `time` is seconds of the recording, `minutes:seconds` or `hours:minutes:seconds`, or RFC 3339; a file keeps to
//! recordings' or to RFC 3339 times. `class`, `recording` and `note` may be missing. Lines that begin with `#` and empty
//! ones say nothing.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::{Clock, Crossing, direction_name};
use crate::config::nearest;
use crate::event::Direction;

/// More labels than anybody makes by hand.
pub const MOST_LABELS: usize = 20_000;

const COLUMNS: [&str; 6] = ["time", "line", "direction", "class", "recording", "note"];

/// The labels of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    pub clock: Clock,
    /// With the line of the file that each stands in, from 1.
    pub rows: Vec<(usize, Crossing)>,
}

/// What is wrong with a file of labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Fault {
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl Fault {
    #[must_use]
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

/// Reads a file of labels.
///
/// # Errors
/// The first [`Fault`].
pub fn parse(text: &str) -> Result<Labels, Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let says = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.starts_with('#');
    let mut lines = (1..).zip(text.lines()).filter(says);
    let Some((number, heading)) = lines.next() else {
        let what = format!(
            "there is no heading; the first line must be: {}",
            COLUMNS.join(",")
        );
        return Err(Fault::new(1, what));
    };
    let table = Table::new(number, heading)?;
    let (mut clock, mut rows) = (None, Vec::new());
    for (number, line) in lines {
        if rows.len() == MOST_LABELS {
            let what = format!("more than {MOST_LABELS} labels; evaluate the file in parts");
            return Err(Fault::new(number, what));
        }
        let (found, crossing) = table.row(line).map_err(|what| Fault::new(number, what))?;
        match (clock.get_or_insert(found.clone()), found) {
            (Clock::Recording, Clock::Recording) | (Clock::Wall(_), Clock::Wall(_)) => {}
            _ => {
                let what = "this time is of another kind than those above; \
                            a file has either seconds of a recording or RFC 3339 times";
                return Err(Fault::new(number, what));
            }
        }
        rows.push((number, crossing));
    }
    Ok(Labels {
        clock: clock.unwrap_or(Clock::Recording),
        rows,
    })
}

/// A file of labels that a person corrects: `crossings` as they were counted.
#[must_use]
pub fn template(crossings: &[Crossing], clock: &Clock) -> String {
    let mut text = String::from(
        "# What was counted. Watch the recording and make it true: correct what is wrong, delete what did not happen,\n\
         # add what is missing. A person's first look decides: labels made from counts tend to agree with them.\n\
         time,line,direction,class,recording,note\n",
    );
    for crossing in crossings {
        let time = match clock {
            Clock::Recording => format!("{:.1}", crossing.at as f64 / 1000.0),
            Clock::Wall(_) => clock.show(crossing.at),
        };
        let class = crossing.class.as_deref().unwrap_or("");
        let (line, direction) = (&crossing.line, direction_name(crossing.direction));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{time},{line},{direction},{class},{},",
            crossing.recording
        );
    }
    text
}

/// A time as labels have it; what it means and its milliseconds.
///
/// # Errors
/// What is wrong with it.
pub fn time(text: &str) -> Result<(Clock, i64), String> {
    let wrong = || {
        format!(
            "{text:?} is no time; write seconds of the recording (62.5), minutes:seconds (1:02.5), \
             or RFC 3339 (2026-11-22T10:00:00+08:00)"
        )
    };
    if text.contains('T') || text.contains('-') {
        let wall: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        let offset = jiff::fmt::temporal::Pieces::parse(text).ok();
        let offset = offset.and_then(|pieces| pieces.to_numeric_offset());
        let zone = offset.map_or(TimeZone::UTC, TimeZone::fixed);
        return Ok((Clock::Wall(zone), wall.as_millisecond()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let mut seconds = 0.0;
    for (position, part) in parts.iter().enumerate() {
        let digits = part
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let value: f64 = part.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        let (first, last) = (position == 0, position + 1 == parts.len());
        if parts.len() > 3 || (!first && value >= 60.0) || (!last && value.fract() != 0.0) {
            return Err(wrong());
        }
        seconds = seconds * 60.0 + value;
    }
    // A month of video; beyond it somebody wrote something else than seconds.
    if seconds > 31.0 * 86_400.0 {
        return Err(wrong());
    }
    Ok((Clock::Recording, (seconds * 1000.0).round() as i64))
}

/// Which column is where.
struct Table {
    separator: char,
    columns: Vec<&'static str>,
}

impl Table {
    fn new(number: usize, heading: &str) -> Result<Self, Fault> {
        let fault = |what: String| Fault::new(number, what);
        let separator = [';', '\t'].into_iter().find(|mark| heading.contains(*mark));
        let separator = separator.unwrap_or(',');
        let mut columns = Vec::new();
        for name in heading.split(separator).map(bare) {
            let lower = name.to_lowercase();
            let Some(known) = COLUMNS.into_iter().find(|column| *column == lower) else {
                let hint = nearest(&lower, COLUMNS).map(|like| format!("; did you mean {like:?}?"));
                let hint = hint.unwrap_or_else(|| format!("; there are: {}", COLUMNS.join(", ")));
                return Err(fault(format!("there is no column {name:?}{hint}")));
            };
            if columns.contains(&known) {
                return Err(fault(format!("the column {known:?} is there twice")));
            }
            columns.push(known);
        }
        if let Some(missing) = ["time", "line", "direction"]
            .into_iter()
            .find(|name| !columns.contains(name))
        {
            let what = format!(
                "the heading has no column {missing:?}; it must be like: {}",
                COLUMNS.join(",")
            );
            return Err(fault(what));
        }
        Ok(Self { separator, columns })
    }

    fn row(&self, line: &str) -> Result<(Clock, Crossing), String> {
        let cells: Vec<&str> = line.split(self.separator).map(bare).collect();
        let more = cells
            .iter()
            .skip(self.columns.len())
            .any(|cell| !cell.is_empty());
        // A note may say anything, the separator too, where it comes last.
        if more && self.columns.last() != Some(&"note") {
            return Err(format!(
                "{} values, but the heading has {} columns",
                cells.len(),
                self.columns.len()
            ));
        }
        let cell = |name: &str| {
            let position = self.columns.iter().position(|column| *column == name);
            position
                .and_then(|position| cells.get(position))
                .copied()
                .unwrap_or("")
        };
        let (clock, at) = time(cell("time"))?;
        let direction = match cell("direction").to_lowercase().as_str() {
            "in" | "进" => Direction::In,
            "out" | "出" => Direction::Out,
            "" => return Err("the direction is missing; write in or out".to_owned()),
            _ => {
                return Err(format!(
                    "{:?} is no direction; write in or out",
                    cell("direction")
                ));
            }
        };
        if cell("line").is_empty() {
            return Err("the line's id is missing".to_owned());
        }
        let crossing = Crossing {
            at,
            recording: cell("recording").to_owned(),
            line: cell("line").to_owned(),
            direction,
            class: Some(cell("class"))
                .filter(|class| !class.is_empty())
                .map(str::to_owned),
        };
        Ok((clock, crossing))
    }
}

/// A cell without the white space and the quotes around it.
fn bare(cell: &str) -> &str {
    let cell = cell.trim();
    let quoted = cell
        .strip_prefix('"')
        .and_then(|cell| cell.strip_suffix('"'));
    quoted.unwrap_or(cell).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(i64, String, Direction)> {
        let labels = parse(text).unwrap();
        let row = |(_, row): (usize, Crossing)| (row.at, row.line, row.direction);
        labels.rows.into_iter().map(row).collect()
    }

    #[test]
    fn labels_are_read_whatever_wrote_the_table() {
        let wanted = vec![
            (12_400, "door".to_owned(), Direction::In),
            (65_000, "door".to_owned(), Direction::Out),
            (3_665_500, "back".to_owned(), Direction::In),
        ];
        for text in [
            "time,line,direction\n12.4,door,in\n1:05,door,out\n1:01:05.5,back,in\n",
            "\u{feff}Time;Line;Direction;note\r\n\r\n12.4;\"door\";IN;a;b\r\n65;door;Out\r\n# no\r\n3665.5;back;进\r\n",
            "note\tdirection\tline\ttime\n\tin\tdoor\t12.4\n\tout\tdoor\t01:05.000\nx\tin\tback\t1:1:5.5",
        ] {
            assert_eq!(rows(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn wall_clock_times_are_moments_and_keep_their_zone() {
        let text = "time,line,direction,class\n2026-11-22T10:00:00.5+08:00,door,in,trolley\n2026-11-22T02:00:01Z,door,out\n";
        let labels = parse(text).unwrap();
        assert_eq!(labels.rows[1].1.at - labels.rows[0].1.at, 500);
        assert_eq!(labels.rows[0].1.class.as_deref(), Some("trolley"));
        assert_eq!(
            labels.clock.show(labels.rows[1].1.at),
            "2026-11-22T10:00:01.000+08:00"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let head = "time,line,direction";
        for (text, line, what) in [
            ("", 1, "no heading"),
            ("# nothing\n\n", 1, "no heading"),
            ("12.4,door,in", 1, "no column \"12.4\""),
            ("time,lines,direction", 1, "did you mean \"line\"?"),
            ("time,line", 1, "no column \"direction\""),
            ("time,line,direction,line", 1, "twice"),
            (
                &format!("{head}\n1,door,in\n2,door,up"),
                3,
                "\"up\" is no direction",
            ),
            (&format!("{head}\n2,door"), 2, "direction is missing"),
            (&format!("{head}\n2,,in"), 2, "line's id is missing"),
            (&format!("{head}\nnoon,door,in"), 2, "\"noon\" is no time"),
            (&format!("{head}\n1:75,door,in"), 2, "no time"),
            (&format!("{head}\n-3,door,in"), 2, "no time"),
            (&format!("{head}\n1e3,door,in"), 2, "no time"),
            (&format!("{head}\n99999999,door,in"), 2, "no time"),
            (
                &format!("{head}\n1,door,in,person"),
                2,
                "4 values, but the heading has 3",
            ),
            (
                &format!("{head}\n1,door,in\n2026-11-22T10:00:00Z,door,in"),
                3,
                "another kind",
            ),
        ] {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.line, line, "{text:?}: {fault}");
            assert!(fault.what.contains(what), "{text:?}: {fault}");
        }
    }

    #[test]
    fn more_labels_than_a_person_makes_are_refused() {
        let text = "time,line,direction\n".to_owned() + &"1,a,in\n".repeat(MOST_LABELS + 1);
        assert_eq!(parse(&text).unwrap_err().line, MOST_LABELS + 2);
    }

    #[test]
    fn a_template_is_a_file_of_labels() {
        let crossing = Crossing {
            at: 2_400,
            recording: "a.mp4".to_owned(),
            line: "door".to_owned(),
            direction: Direction::Out,
            class: Some("person".to_owned()),
        };
        let labels = parse(&template(
            std::slice::from_ref(&crossing),
            &Clock::Recording,
        ))
        .unwrap();
        assert_eq!(labels.rows, [(4, crossing)]);
    }
}
