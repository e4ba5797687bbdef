//! The sensor around a door, a beam pair or a button: opens its lines, feeds edges and time to what concludes from
//! them, and looks for the chip again when it is gone.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::{Chip, DigitalIn, Edge, LineSpec, PinError};
use crate::clock::Stamp;
use crate::event::Body;
use crate::metric::Metric;
use crate::sensor::reopen::Waits;
use crate::sensor::{Face, Fitted, HealthCell, House, Sensor, State};
use crate::stop::Stop;
use crate::words::Words;

/// How often the wish to stop is looked at, and levels are compared with what the edges said.
const LOOK_UP: Duration = Duration::from_millis(150);
/// More edges than this in a second come from a loose or floating wire, not from a door.
const FLUTTER: u32 = 400;
/// Edges that are taken without a rest: a wire that picks up radio must not cost a core.
const BURST: u32 = 100;
const REST: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

/// Something that happened, and when (since boot).
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub at: Duration,
    pub body: Body,
}

/// What concludes from edges. Times are since boot and never run backwards between calls.
pub(super) trait Machine: Send {
    /// The lines are watched from now on, again after a pause if this is not the first time.
    fn start(&mut self, active: &[bool], at: Duration) -> Vec<Fact>;
    /// A line changed.
    fn edge(&mut self, line: usize, active: bool, at: Duration) -> Vec<Fact>;
    /// Time went on.
    fn step(&mut self, now: Duration) -> Vec<Fact>;
    /// A line's level as it was last told.
    fn raw(&self, line: usize) -> Option<bool>;
    /// When `step` will have something to say if nothing else happens.
    fn due(&self) -> Option<Duration>;
    /// What a technician must do about what it sees.
    fn trouble(&self) -> Option<Words> {
        None
    }
    /// How it is when all is well.
    fn fine(&self) -> Words;
    fn metrics(&self) -> Vec<Metric>;
}

/// One door, beam pair or button at work.
pub(super) struct Watch {
    id: String,
    lines: Vec<LineSpec>,
    machine: Box<dyn Machine>,
    house: House,
    chip: Arc<dyn Chip>,
    health: HealthCell,
}

impl Watch {
    pub fn fitted(
        id: &str,
        lines: Vec<LineSpec>,
        machine: Box<dyn Machine>,
        house: &House,
        chip: &Arc<dyn Chip>,
        settings: String,
    ) -> Fitted {
        let health = HealthCell::starting(house.clock.now());
        let face = Face::new("gpio", id, &health, machine.metrics());
        let sensor = Self {
            id: id.to_owned(),
            lines,
            machine,
            house: house.clone(),
            chip: Arc::clone(chip),
            health,
        };
        Fitted {
            face,
            settings,
            sensor: Box::new(sensor),
        }
    }
}

impl Sensor for Watch {
    fn run(&mut self, stop: &Stop) -> Result<(), String> {
        let mut waits = Waits::default();
        while !stop.asked() {
            let opened = self.chip.inputs(&self.lines);
            let why = match opened {
                Ok(mut input) => {
                    waits.reset();
                    match self.watch(input.as_mut(), stop)? {
                        None => return Ok(()),
                        Some(why) => why,
                    }
                }
                Err(why) => why,
            };
            self.trouble(why.words());
            stop.wait(waits.next_wait());
        }
        Ok(())
    }
}

impl Watch {
    /// Until `stop` (`None`) or until the chip fails. `Err`: the daemon is leaving.
    fn watch(
        &mut self,
        input: &mut dyn DigitalIn,
        stop: &Stop,
    ) -> Result<Option<PinError>, String> {
        let mut now = self.house.clock.now().boot;
        let levels = match input.levels() {
            Ok(levels) => levels,
            Err(why) => return Ok(Some(why)),
        };
        let active: Vec<_> = levels
            .iter()
            .zip(&self.lines)
            .map(|(high, line)| line.active.active(*high))
            .collect();
        let facts = self.machine.start(&active, now);
        self.tell(facts)?;
        self.show(false);
        let mut flutter = Flutter::default();
        let mut burst = 0;
        while !stop.asked() {
            // Taken before the edges: what the machine is told about `now` must not overtake an edge.
            now = self.house.clock.now().boot.max(now);
            let until_due = self
                .machine
                .due()
                .map_or(LOOK_UP, |due| due.saturating_sub(now));
            let rest = burst >= BURST;
            let edge = match input.next_edge(if rest {
                Duration::ZERO
            } else {
                until_due.min(LOOK_UP)
            }) {
                Ok(edge) => edge,
                Err(why) => return Ok(Some(why)),
            };
            let facts = match edge {
                Some(edge) => {
                    burst += 1;
                    flutter.edge(edge.at);
                    self.edge(edge)
                }
                None => {
                    burst = 0;
                    let mut facts = match self.compare(input, now) {
                        Ok(facts) => facts,
                        Err(why) => return Ok(Some(why)),
                    };
                    facts.extend(self.machine.step(now));
                    facts
                }
            };
            self.tell(facts)?;
            self.show(flutter.too_much(now));
            if rest {
                burst = 0;
                stop.wait(REST);
            }
        }
        Ok(None)
    }

    fn edge(&mut self, edge: Edge) -> Vec<Fact> {
        let Some(line) = self.lines.get(edge.line) else {
            return Vec::new();
        };
        self.machine
            .edge(edge.line, line.active.active(edge.high), edge.at)
    }

    /// Makes up for edges that the kernel had no room to keep.
    fn compare(&mut self, input: &mut dyn DigitalIn, now: Duration) -> Result<Vec<Fact>, PinError> {
        let levels = input.levels()?;
        let mut facts = Vec::new();
        for (line, high) in levels.into_iter().enumerate() {
            let edge = Edge {
                line,
                high,
                at: now,
            };
            let active = self.lines.get(line).map(|spec| spec.active.active(high));
            if active.is_some() && active != self.machine.raw(line) {
                facts.extend(self.edge(edge));
            }
        }
        Ok(facts)
    }

    fn tell(&self, facts: Vec<Fact>) -> Result<(), String> {
        for Fact { at, body } in facts {
            let at = stamp_of(self.house.clock.now(), at);
            self.house
                .submit(&format!("gpio/{}", self.id), at, body)
                .map_err(|why| why.to_string())?;
        }
        Ok(())
    }

    fn show(&self, flutters: bool) {
        if flutters {
            self.trouble(Words::new(
                "the signal flutters; fix the wire, or set `pull` to what the sensor needs",
                "信号抖动过多；请检查接线，或按传感器要求设置 pull",
            ));
        } else if let Some(words) = self.machine.trouble() {
            self.trouble(words);
        } else {
            let before = self.health.get().state;
            self.health
                .set(State::Ok, self.machine.fine(), self.house.clock.now());
            // The words change with every door that opens; the log tells of changes in health.
            if before != State::Ok {
                info!(gpio = self.id, "watching");
            }
        }
    }

    fn trouble(&self, words: Words) {
        let why = words.en.clone();
        if self
            .health
            .set(State::Trouble, words, self.house.clock.now())
        {
            warn!(gpio = self.id, why, "not watching well");
        }
    }
}

/// The stamp of a moment that is a little earlier than `now`.
fn stamp_of(now: Stamp, at: Duration) -> Stamp {
    let age = now.boot.saturating_sub(at);
    Stamp {
        wall: now.wall.checked_sub(age).unwrap_or(now.wall),
        boot: now.boot - age,
        synced: now.synced,
    }
}

/// Edges a second, over the latest whole second.
#[derive(Default)]
struct Flutter {
    second: Duration,
    edges: u32,
    too_much: bool,
}

impl Flutter {
    fn edge(&mut self, at: Duration) {
        self.turn(at);
        self.edges = self.edges.saturating_add(1);
    }

    fn too_much(&mut self, now: Duration) -> bool {
        self.turn(now);
        self.too_much || self.edges > FLUTTER
    }

    fn turn(&mut self, now: Duration) {
        if now >= self.second + SECOND {
            self.too_much = self.edges > FLUTTER;
            (self.second, self.edges) = (now, 0);
        }
    }
}
