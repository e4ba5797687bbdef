//! Who walks through the synthetic shop, and what is true about it. Pure and seeded.
//!
//! A person's [`Path`] is made of straight lines, so that the moment of a crossing is known exactly. A crossing is
//! *true* at the moment the feet leave the undecided band on the far side, as the counting rule defines it; whoever
//! turns back does so well clear of the band, or well beyond it.

use std::time::Duration;

use fastrand::Rng;

use super::path::{Path, Pose};
use super::scene::{HALF_BAND, LINE_Z, Place, View};
use crate::event::Direction;

/// What a person, or a group of people, comes to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// From the street into the shop: one crossing.
    WalkIn,
    /// From the shop to the street: one crossing.
    WalkOut,
    /// Two people side by side, close enough to touch: two crossings.
    Pair,
    /// Two people meet on the line, one coming in and one going out: two crossings.
    Meet,
    /// Stands on the line for a while, then goes on: one crossing.
    LingerThrough,
    /// Stands on the line for a while, then goes back: none.
    LingerBack,
    /// Walks past the door on the street: none.
    PassBy,
    /// Turns round before the line: none.
    TurnBefore,
    /// Crosses, turns round and crosses again: two crossings.
    TurnBeyond,
}

/// One round of the shop; shuffled for every round, so that every behaviour comes up within a minute.
const DECK: [Behaviour; 18] = [
    Behaviour::WalkIn,
    Behaviour::WalkIn,
    Behaviour::WalkIn,
    Behaviour::WalkIn,
    Behaviour::WalkOut,
    Behaviour::WalkOut,
    Behaviour::WalkOut,
    Behaviour::WalkOut,
    Behaviour::Pair,
    Behaviour::Pair,
    Behaviour::Meet,
    Behaviour::Meet,
    Behaviour::LingerThrough,
    Behaviour::LingerThrough,
    Behaviour::LingerBack,
    Behaviour::PassBy,
    Behaviour::TurnBefore,
    Behaviour::TurnBeyond,
];

/// Strangers keep at least this far apart, metres.
const ELBOW_ROOM: f32 = 0.6;

/// One true crossing of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Since the start of the shop.
    pub at: Duration,
    /// Index into [`Script::people`].
    pub person: usize,
    pub direction: Direction,
}

/// Somebody in the shop.
#[derive(Clone, Debug)]
pub struct Person {
    pub behaviour: Behaviour,
    /// Metres, 1.2..=1.95.
    pub height: f32,
    /// Seeds the person's looks.
    pub looks: u64,
    path: Path,
}

impl Person {
    /// Seconds from the start of the shop at which the person appears and is gone.
    #[must_use]
    pub fn present(&self) -> (f32, f32) {
        self.path.span()
    }

    /// Where the person is at `t` seconds, if in the scene.
    #[must_use]
    pub fn pose(&self, t: f32) -> Option<Pose> {
        self.path.pose(t, self.height)
    }
}

/// Everybody who comes to the shop between its start and its end.
#[derive(Clone, Debug)]
pub struct Script {
    people: Vec<Person>,
    crossings: Vec<Crossing>,
}

impl Script {
    /// Plays `seconds` of shop, as far as its camera sees the passage. Whoever starts also finishes: the shop is empty at both ends.
    #[must_use]
    pub fn new(seed: u64, seconds: f32, place: Place) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5c41_97d0);
        let mut script = Self {
            people: Vec::new(),
            crossings: Vec::new(),
        };
        let mut deck = Vec::new();
        let mut start = 0.8;
        while start < seconds {
            let behaviour = deck.pop().unwrap_or_else(|| {
                deck.extend(DECK);
                rng.shuffle(&mut deck);
                deck.pop().unwrap_or(Behaviour::WalkIn)
            });
            start += script.play(behaviour, start, seconds, place, &mut rng);
        }
        script.crossings.sort_by_key(|crossing| crossing.at);
        script
    }

    /// Everybody, in the order in which they were cast.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The true crossings in the order of time.
    #[must_use]
    pub fn crossings(&self) -> &[Crossing] {
        &self.crossings
    }

    /// True crossings in and out.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let inward = self
            .crossings
            .iter()
            .filter(|c| c.direction == Direction::In)
            .count();
        (inward as u64, (self.crossings.len() - inward) as u64)
    }

    /// Finds a time and a lane for the group in which nobody walks through anybody, and returns when the next may come.
    fn play(
        &mut self,
        behaviour: Behaviour,
        start: f32,
        seconds: f32,
        place: Place,
        rng: &mut Rng,
    ) -> f32 {
        for attempt in 0..60u8 {
            let delay = f32::from(attempt / 6) * 0.7;
            let group = cast(behaviour, start + delay, place, rng);
            if group.iter().any(|(p, _)| p.present().1 > seconds - 0.5) {
                continue;
            }
            if group
                .iter()
                .any(|(p, _)| self.people.iter().rev().take(24).any(|q| collide(p, q)))
            {
                continue;
            }
            for (person, plan) in group {
                let mut after = f32::NEG_INFINITY;
                for direction in plan {
                    if let Some(at) = clears_band(&person, direction, after) {
                        self.crossings.push(Crossing {
                            at: Duration::from_secs_f32(at),
                            person: self.people.len(),
                            direction,
                        });
                        after = at;
                    }
                }
                self.people.push(person);
            }
            return delay + 1.0 + 2.6 * rng.f32();
        }
        1.0
    }
}

/// The moment after `after` at which the feet leave the undecided band on the far side.
fn clears_band(person: &Person, direction: Direction, after: f32) -> Option<f32> {
    let edge = match direction {
        Direction::In => HALF_BAND,
        Direction::Out => -HALF_BAND,
    };
    let z = View::oblique().depth_at(edge, person.height);
    person.path.passes(z, direction, after)
}

/// Whether two people would ever walk through each other, or one hide the other while on the line.
fn collide(p: &Person, q: &Person) -> bool {
    let (from, until) = (
        p.present().0.max(q.present().0),
        p.present().1.min(q.present().1),
    );
    let steps = ((until - from).max(0.0) * 8.0) as u32;
    (0..=steps).any(|step| {
        let t = from + step as f32 / 8.0;
        let (Some(a), Some(b)) = (p.pose(t), q.pose(t)) else {
            return false;
        };
        let near_line = (a.z - LINE_Z).abs() < 1.2 && (b.z - LINE_Z).abs() < 1.6;
        // Lines of sight to the feet run along x / depth; too alike means that one stands before the other.
        let hides = near_line && (a.x / a.z - b.x / b.z).abs() * LINE_Z < 0.3;
        (a.x - b.x).hypot(a.z - b.z) < ELBOW_ROOM || hides
    })
}

/// The people of one behaviour with the crossings each of them makes.
fn cast(
    behaviour: Behaviour,
    t: f32,
    place: Place,
    rng: &mut Rng,
) -> Vec<(Person, Vec<Direction>)> {
    use Direction::{In, Out};
    let view = View::oblique();
    let between = |rng: &mut Rng, low: f32, high: f32| low + (high - low) * rng.f32();
    let either = |rng: &mut Rng| if rng.bool() { 1.0 } else { -1.0 };
    let height = |rng: &mut Rng| match rng.u8(0..8) {
        0 => between(rng, 1.2, 1.45),
        _ => between(rng, 1.5, 1.95),
    };
    let speed = between(rng, 0.95, 1.5);
    let lane = between(rng, -place.lanes(), place.lanes());
    let street = |rng: &mut Rng| {
        let side = either(rng);
        let door = (lane * 0.6).clamp(-1.1, 1.1);
        [
            (side * 3.2, between(rng, 9.0, 9.9)),
            (door, 8.5),
            (lane, 6.7),
        ]
    };
    let shop = |rng: &mut Rng| {
        if rng.u8(0..5) < 3 {
            let side = either(rng);
            [
                (side * 4.0, between(rng, 3.0, 3.4)),
                (side * 1.6, 3.6),
                (lane, 4.2),
            ]
        } else {
            [(lane * 0.7, 0.3), (lane * 0.8, 2.2), (lane, 3.6)]
        }
    };
    let inward = rng.bool();
    let walk = |rng: &mut Rng, inward: bool| {
        let (street, mut shop) = (street(rng), shop(rng));
        if inward {
            shop.reverse();
            (street, shop)
        } else {
            let mut street = street;
            street.reverse();
            (shop, street)
        }
    };
    let begin = |stops: [(f32, f32); 3]| {
        let [first, rest @ ..] = stops;
        Path::start(t, first, speed).all(&rest)
    };
    // Whoever stops near the line leaves out the last stop before it, and may go back the same way.
    let approach = |[first, second, _]: [(f32, f32); 3]| Path::start(t, first, speed).to(second);
    let back = |[first, second, _]: [(f32, f32); 3]| [second, first];
    let person = |rng: &mut Rng, height: f32, path: Path| Person {
        behaviour,
        height,
        looks: rng.u64(..),
        path,
    };
    let direction = |inward: bool| if inward { In } else { Out };
    // Towards the street a distance from the line is negative, towards the shop positive.
    let sign = if inward { -1.0 } else { 1.0 };
    let tall = height(rng);
    match behaviour {
        Behaviour::WalkIn | Behaviour::WalkOut => {
            let inward = behaviour == Behaviour::WalkIn;
            let (from, to) = walk(rng, inward);
            let path = begin(from).all(&to);
            vec![(person(rng, tall, path), vec![direction(inward)])]
        }
        Behaviour::Pair => {
            let (from, to) = walk(rng, inward);
            let path = begin(from).all(&to);
            let apart = between(rng, 0.44, 0.62) / 2.0;
            let late = between(rng, 0.0, 0.12);
            let (mut tall, mut second) = (tall, height(rng));
            // From the ceiling whoever walks nearer its middle hides a much shorter companion on the outer side.
            if place == Place::Overhead && (second < tall) == (lane > 0.0) {
                (tall, second) = (second, tall);
            }
            vec![
                (
                    person(rng, tall, path.clone().shift(0.0, -apart)),
                    vec![direction(inward)],
                ),
                (
                    person(rng, second, path.shift(late, apart)),
                    vec![direction(inward)],
                ),
            ]
        }
        Behaviour::Meet => {
            let (from, to) = walk(rng, true);
            let apart = between(rng, 0.6, 1.0) / 2.0 * either(rng);
            let coming = begin(from).all(&to).shift(0.0, apart);
            let (from, to) = walk(rng, false);
            let going = begin(from).all(&to).shift(0.0, -apart);
            let met = |path: &Path, way| path.passes(LINE_Z, way, f32::NEG_INFINITY).unwrap_or(t);
            let wait = met(&coming, In) - met(&going, Out);
            let coming = coming.shift((-wait).max(0.0), 0.0);
            let going = going.shift(wait.max(0.0), 0.0);
            let second = height(rng);
            vec![
                (person(rng, tall, coming), vec![In]),
                (person(rng, second, going), vec![Out]),
            ]
        }
        Behaviour::LingerThrough | Behaviour::LingerBack => {
            let (from, to) = walk(rng, inward);
            let through = behaviour == Behaviour::LingerThrough;
            // On the near half of the band, and the toes point into the shop: a box ends a little lower than its feet.
            let stand = if inward { -0.07 } else { 0.03 };
            let spot = (lane, view.depth_at(stand, tall));
            let mut path = approach(from).to(spot).wait(between(rng, 3.5, 7.0));
            path.sway = between(rng, 0.03, 0.09);
            if through {
                vec![(person(rng, tall, path.all(&to)), vec![direction(inward)])]
            } else {
                vec![(person(rng, tall, path.all(&back(from))), vec![])]
            }
        }
        Behaviour::PassBy => {
            let (side, z) = (either(rng), between(rng, 8.8, 9.8));
            let path = Path::start(t, (-3.2 * side, z), speed).to((3.2 * side, z));
            vec![(person(rng, tall, path), vec![])]
        }
        Behaviour::TurnBefore => {
            let (from, _) = walk(rng, inward);
            let spot = (lane, view.depth_at(sign * between(rng, 0.38, 0.5), tall));
            let path = approach(from).to(spot).wait(between(rng, 0.4, 1.2));
            vec![(person(rng, tall, path.all(&back(from))), vec![])]
        }
        Behaviour::TurnBeyond => {
            let (from, _) = walk(rng, inward);
            let spot = (lane, view.depth_at(-sign * between(rng, 0.45, 0.65), tall));
            let path = approach(from).to(spot).wait(between(rng, 0.4, 1.2));
            vec![(
                person(rng, tall, path.all(&back(from))),
                vec![direction(inward), direction(!inward)],
            )]
        }
    }
}
