//! Crossings out of what footfall said: lines of events (`footfall outbox dump`, or whatever the cloud kept), or what
//! `footfall replay --json` printed.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Clock, Crossing};
use crate::event::{ClockSynced, Direction, LineCrossed};
use jiff::tz::TimeZone;

/// Events remembered at most, about 300 MB; a day of the busiest mall has fewer crossings.
const MOST_EVENTS: usize = 1_000_000;

/// Why lines cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("line {0}: no event of footfall and nothing that `footfall replay --json` prints: {1}")]
    Line(usize, String),
    #[error("line {0}: more than {MOST_EVENTS} crossings; cut out the time that was watched")]
    TooMany(usize),
    #[error("line {0}: an event after what `footfall replay --json` printed; give one of the two")]
    Mixed(usize),
    #[error("there is not one event in it")]
    Nothing,
}

/// Takes lines and gathers crossings.
#[derive(Default)]
pub struct Gatherer {
    /// Only of this camera; of all without.
    camera: Option<String>,
    events: u64,
    replayed: bool,
    /// The broker may have handed an event over twice.
    seen: HashSet<String>,
    crossings: Vec<(Crossing, Moment)>,
    /// Wall clock minus time since boot, seconds, of each boot.
    offsets: HashMap<String, f64>,
}

/// When an event happened, as far as its box knew.
enum Moment {
    Known,
    /// This boot, so many seconds since it.
    SinceBoot(String, f64),
}

/// What was gathered.
#[derive(Debug)]
pub struct Gathered {
    pub clock: Clock,
    /// In the order of time.
    pub crossings: Vec<Crossing>,
    /// Crossings of a box that did not know the time, and never came to know it in that boot.
    pub undated: u64,
}

#[derive(Deserialize)]
struct Event<'e> {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    source: String,
    time: String,
    clock: String,
    bootid: String,
    boottime: String,
    #[serde(borrow)]
    data: &'e serde_json::value::RawValue,
}

#[derive(Deserialize)]
struct Replayed {
    #[serde(rename = "frames")]
    _frames: IgnoredAny,
    crossings: Vec<ReplayedCrossing>,
}

#[derive(Deserialize)]
struct ReplayedCrossing {
    at: f64,
    line: String,
    direction: Direction,
    class: Option<String>,
}

impl Gatherer {
    /// Of the events of all cameras, or of one.
    #[must_use]
    pub fn new(camera: Option<&str>) -> Self {
        Self {
            camera: camera.map(|camera| format!("/camera/{camera}")),
            ..Self::default()
        }
    }

    /// Takes one line (numbered from 1): an event, an array of events, or a replay's document.
    ///
    /// # Errors
    /// [`Unfit`]
    pub fn line(&mut self, number: usize, text: &str) -> Result<(), Unfit> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let unfit = |why: serde_json::Error| Unfit::Line(number, why.to_string());
        if text.starts_with('[') {
            let all: Vec<&serde_json::value::RawValue> =
                serde_json::from_str(text).map_err(unfit)?;
            return all
                .into_iter()
                .try_for_each(|one| self.line(number, one.get()));
        }
        if let Ok(replayed) = serde_json::from_str::<Replayed>(text) {
            self.replay(replayed);
        } else if self.replayed {
            return Err(Unfit::Mixed(number));
        } else {
            let event: Event = serde_json::from_str(text).map_err(unfit)?;
            self.event(&event).map_err(unfit)?;
        }
        if self.crossings.len() > MOST_EVENTS {
            return Err(Unfit::TooMany(number));
        }
        Ok(())
    }

    fn replay(&mut self, replayed: Replayed) {
        self.replayed = true;
        self.events += 1;
        for one in replayed.crossings {
            let crossing = Crossing {
                at: (one.at * 1000.0).round() as i64,
                recording: String::new(),
                line: one.line,
                direction: one.direction,
                class: one.class,
            };
            self.crossings.push((crossing, Moment::Known));
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), serde_json::Error> {
        self.events += 1;
        match event.kind.as_str() {
            "footfall.device.clock_synced.v1" => {
                let synced: ClockSynced = serde_json::from_str(event.data.get())?;
                // One of each boot is enough; the bound is for what is no footfall.
                if self.offsets.len() < 10_000 {
                    self.offsets.insert(synced.bootid, synced.offset);
                }
            }
            "footfall.line.crossed.v1" => {
                let ours = |camera: &String| event.source.ends_with(camera.as_str());
                if !self.camera.as_ref().is_none_or(ours) || !self.seen.insert(event.id.clone()) {
                    return Ok(());
                }
                let crossed: LineCrossed = serde_json::from_str(event.data.get())?;
                let wall: Option<jiff::Timestamp> = event.time.parse().ok();
                let moment = match event.boottime.parse() {
                    Ok(boottime) if event.clock != "synced" => {
                        Moment::SinceBoot(event.bootid.clone(), boottime)
                    }
                    _ => Moment::Known,
                };
                let crossing = Crossing {
                    at: wall.map_or(0, jiff::Timestamp::as_millisecond),
                    recording: String::new(),
                    line: crossed.line,
                    direction: crossed.direction,
                    class: crossed.class,
                };
                self.crossings.push((crossing, moment));
            }
            _ => {}
        }
        Ok(())
    }

    /// All of it; what a box counted before it knew the time is placed by what it learnt later.
    ///
    /// # Errors
    /// [`Unfit::Nothing`]
    pub fn finish(self) -> Result<Gathered, Unfit> {
        if self.events == 0 {
            return Err(Unfit::Nothing);
        }
        let (mut crossings, mut undated) = (Vec::new(), 0);
        for (mut crossing, moment) in self.crossings {
            if let Moment::SinceBoot(boot, since) = moment {
                let Some(offset) = self.offsets.get(&boot) else {
                    undated += 1;
                    continue;
                };
                crossing.at = ((offset + since) * 1000.0).round() as i64;
            }
            crossings.push(crossing);
        }
        crossings.sort_by_key(|crossing| crossing.at);
        Ok(Gathered {
            clock: if self.replayed {
                Clock::Recording
            } else {
                Clock::Wall(TimeZone::UTC)
            },
            crossings,
            undated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(
        number: u64,
        camera: &str,
        clock: &str,
        time: &str,
        boottime: f64,
        line: &str,
    ) -> String {
        format!(
            r#"{{"specversion":"1.0","id":"b/count/{number}","stream":"count","sequence":"{number}","source":"/t/s/b/camera/{camera}","type":"footfall.line.crossed.v1","time":"{time}","clock":"{clock}","bootid":"5f0c","boottime":"{boottime:.3}","datacontenttype":"application/json","data":{{"line":"{line}","direction":"in","track":8,"from":"a","to":"b"}}}}"#
        )
    }

    fn gathered(camera: Option<&str>, lines: &[String]) -> Result<Gathered, Unfit> {
        let mut gatherer = Gatherer::new(camera);
        for (number, line) in (1..).zip(lines) {
            gatherer.line(number, line)?;
        }
        gatherer.finish()
    }

    const SYNCED: &str = r#"{"specversion":"1.0","id":"b/count/9","stream":"count","sequence":"9","source":"/t/s/b","type":"footfall.device.clock_synced.v1","time":"2026-11-22T02:00:00.000Z","clock":"synced","bootid":"5f0c","boottime":"60.000","datacontenttype":"application/json","data":{"bootid":"5f0c","offset":1795312740.0,"step":0.0}}"#;

    #[test]
    fn events_are_gathered_once_and_in_the_order_of_time() {
        let late = event(
            2,
            "door",
            "synced",
            "2026-11-22T10:00:05.000+08:00",
            65.0,
            "a",
        );
        let early = event(
            1,
            "door",
            "synced",
            "2026-11-22T10:00:01.000+08:00",
            61.0,
            "b",
        );
        let batch = format!("[{early},{late}]");
        let found = gathered(None, &[late, batch, String::new()]).unwrap();
        let lines: Vec<_> = found
            .crossings
            .iter()
            .map(|one| one.line.as_str())
            .collect();
        assert_eq!((lines, found.undated), (vec!["b", "a"], 0));
        assert_eq!(found.crossings[1].at - found.crossings[0].at, 4000);
    }

    #[test]
    fn what_was_counted_before_the_clock_was_set_is_placed_by_it() {
        let dark = event(1, "door", "unsynced", "1970-01-01T00:00:12.000Z", 12.0, "a");
        let found = gathered(None, &[dark.clone(), SYNCED.to_owned()]).unwrap();
        assert_eq!(found.crossings[0].at, 1_795_312_752_000);
        let found = gathered(None, &[dark]).unwrap();
        assert_eq!((found.crossings.len(), found.undated), (0, 1));
    }

    #[test]
    fn one_camera_of_several_can_be_chosen() {
        let one =
            |number, camera| event(number, camera, "synced", "2026-11-22T10:00:05Z", 65.0, "a");
        let lines = [one(1, "door"), one(2, "backdoor")];
        assert_eq!(gathered(Some("door"), &lines).unwrap().crossings.len(), 1);
        assert_eq!(gathered(None, &lines).unwrap().crossings.len(), 2);
    }

    #[test]
    fn what_a_replay_printed_has_times_of_the_recording() {
        let replay =
            r#"{"frames":3,"crossings":[{"at":2.05,"line":"a","direction":"out","track":2}]}"#;
        let found = gathered(None, &[replay.to_owned()]).unwrap();
        assert_eq!(
            (found.crossings[0].at, found.clock),
            (2050, Clock::Recording)
        );
        let one = event(1, "door", "synced", "2026-11-22T10:00:05Z", 65.0, "a");
        assert_eq!(
            gathered(None, &[replay.to_owned(), one]).unwrap_err(),
            Unfit::Mixed(2)
        );
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_line() {
        for bad in [
            "{",
            "hello",
            "{}",
            "[1]",
            r#"{"type":"footfall.line.crossed.v1"}"#,
        ] {
            let error = gathered(None, &[SYNCED.to_owned(), bad.to_owned()]).unwrap_err();
            assert!(matches!(error, Unfit::Line(2, _)), "{bad}: {error}");
        }
        assert_eq!(gathered(None, &[]).unwrap_err(), Unfit::Nothing);
        assert!(
            gathered(None, &[SYNCED.to_owned()])
                .unwrap()
                .crossings
                .is_empty()
        );
    }
}
