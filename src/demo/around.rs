//! What else happens in the synthetic shop: phones that look for networks, codes that are scanned at the shelf, the
//! door that opens for everybody who passes it. Pure and seeded; the truth beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;

use super::DEFAULT_FPS;
use super::script::Script;

/// Phones near the shop whose owners never come in.
const STRANGERS: usize = 12;
/// The door opens this long before somebody is clear of the line, and stays open as long afterwards.
const DOOR: Duration = Duration::from_millis(1200);
/// Between two scans, seconds: longer than any reader's window for duplicates.
const BETWEEN_SCANS: (f32, f32) = (1.5, 5.0);
/// Between two bursts of probe requests of one phone, seconds.
const BETWEEN_BURSTS: (f32, f32) = (4.0, 20.0);

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A phone sends a probe request.
    Probe(Probe),
    /// The scanner at the shelf reads this.
    Scan(Code),
    /// The same code is still in front of the scanner.
    ScanAgain(Code),
    /// The door's contact opens or closes.
    Door { open: bool },
}

/// One probe request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The sender's address.
    pub sender: [u8; 6],
    /// Sequence number of the frame, 0..4096.
    pub sequence: u16,
    /// Signal strength, dBm.
    pub signal: i8,
}

impl Probe {
    /// Whether the address is locally administered (IEEE 802-2014, 8.4): random.
    #[must_use]
    pub const fn random(&self) -> bool {
        self.sender[0] & 0x02 != 0
    }
}

/// A code of this shop: what the scanner sends, and what is true about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub payload: &'static str,
    /// What the event must say it is.
    pub kind: &'static str,
    pub gtin: Option<&'static str>,
}

/// Numbers under the GS1 prefix 952, which is kept for examples.
const CODES: [Code; 5] = [
    Code {
        payload: "9520000000011",
        kind: "ean",
        gtin: Some("09520000000011"),
    },
    Code {
        payload: "9520000000028",
        kind: "ean",
        gtin: Some("09520000000028"),
    },
    Code {
        payload: "]d2010952000000001110LOT7",
        kind: "gs1",
        gtin: Some("09520000000011"),
    },
    Code {
        payload: "https://id.example.com/01/09520000000028/10/A1",
        kind: "gs1",
        gtin: Some("09520000000028"),
    },
    // How somebody pays is nobody's business: only the kind may leave the reader.
    Code {
        payload: "134567890123456789",
        kind: "payment_code",
        gtin: None,
    },
];

/// Everything that happens around the camera, in the order of time.
#[derive(Clone, Debug)]
pub struct Around {
    moments: Vec<(Duration, Happening)>,
}

impl Around {
    /// What belongs to the people of `script` within `seconds`. Nothing happens in the last second, so that everything
    /// has been seen when the shop closes.
    #[must_use]
    pub fn new(seed: u64, script: &Script, seconds: f64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x0a12_00d5);
        let end = (seconds as f32 - 1.0).max(0.0);
        let mut moments = Vec::new();
        for person in script.people() {
            let (from, until) = person.present();
            phone(from, until.min(end), -55, &mut rng, &mut moments);
        }
        for _ in 0..STRANGERS {
            phone(0.0, end, -80, &mut rng, &mut moments);
        }
        scans(end, &mut rng, &mut moments);
        door(script, Duration::from_secs_f32(end), &mut moments);
        for (at, _) in &mut moments {
            *at = seen_at(*at);
        }
        moments.sort_by_key(|(at, _)| *at);
        Self { moments }
    }

    /// What happens after `after` and until `until`, both since the shop opened.
    pub fn between(
        &self,
        after: Duration,
        until: Duration,
    ) -> impl Iterator<Item = &(Duration, Happening)> {
        let first = self.moments.partition_point(|(at, _)| *at <= after);
        let rest = self.moments.get(first..).unwrap_or_default();
        rest.iter().take_while(move |(at, _)| *at <= until)
    }

    /// The scans that count, in their order.
    #[must_use]
    pub fn scans(&self) -> Vec<Code> {
        let of = |(_, happening): &(Duration, Happening)| match happening {
            Happening::Scan(code) => Some(*code),
            _ => None,
        };
        self.moments.iter().filter_map(of).collect()
    }

    /// How often the door opened and closed.
    #[must_use]
    pub fn doors(&self) -> (usize, usize) {
        let count = |which: bool| {
            let is = |m: &&(Duration, Happening)| m.1 == Happening::Door { open: which };
            self.moments.iter().filter(is).count()
        };
        (count(true), count(false))
    }

    /// Probe requests from `from` until `until` (exclusive), and their different random and global senders.
    #[must_use]
    pub fn probes(&self, from: Duration, until: Duration) -> (u64, u64, u64) {
        let (mut all, mut random, mut global) = (0, BTreeSet::new(), BTreeSet::new());
        for (at, happening) in &self.moments {
            if let Happening::Probe(probe) = happening
                && (from..until).contains(at)
            {
                all += 1;
                let senders = if probe.random() {
                    &mut random
                } else {
                    &mut global
                };
                senders.insert(probe.sender);
            }
        }
        (all, random.len() as u64, global.len() as u64)
    }
}

/// Time in the shop moves from picture to picture: what happens between two is there with the second.
fn seen_at(at: Duration) -> Duration {
    let pictures = (at.as_secs_f64() * DEFAULT_FPS).ceil();
    Duration::from_secs_f64(pictures / DEFAULT_FPS)
}

/// Bursts of a phone that is here for a while; most phones change their address with every burst.
fn phone(
    from: f32,
    until: f32,
    signal: i8,
    rng: &mut Rng,
    moments: &mut Vec<(Duration, Happening)>,
) {
    let hides = rng.u8(0..10) < 8;
    let mut sender = address(hides, rng);
    let mut sequence = rng.u16(0..4096);
    let mut t = from + rng.f32() * BETWEEN_BURSTS.0;
    while t < until {
        for frame in 0..rng.u8(1..=3) {
            let at = t + f32::from(frame) * 0.02;
            if at < until {
                sequence = (sequence + 1) % 4096;
                let signal = signal + rng.i8(-6..=6);
                let probe = Probe {
                    sender,
                    sequence,
                    signal,
                };
                moments.push((Duration::from_secs_f32(at), Happening::Probe(probe)));
            }
        }
        t += BETWEEN_BURSTS.0 + rng.f32() * (BETWEEN_BURSTS.1 - BETWEEN_BURSTS.0);
        if hides && rng.bool() {
            sender = address(true, rng);
        }
    }
}

fn address(random: bool, rng: &mut Rng) -> [u8; 6] {
    let mut address = [0; 6];
    rng.fill(&mut address);
    // Never a group address; locally administered or not.
    address[0] = (address[0] & 0xfc) | if random { 0x02 } else { 0x00 };
    address
}

fn scans(end: f32, rng: &mut Rng, moments: &mut Vec<(Duration, Happening)>) {
    let mut t = BETWEEN_SCANS.0;
    while t < end {
        let at = Duration::from_secs_f32(t);
        if let Some(code) = rng.choice(CODES) {
            moments.push((at, Happening::Scan(code)));
            if rng.u8(0..4) == 0 {
                let again = at + Duration::from_millis(200);
                moments.push((again, Happening::ScanAgain(code)));
            }
        }
        t += BETWEEN_SCANS.0 + rng.f32() * (BETWEEN_SCANS.1 - BETWEEN_SCANS.0);
    }
}

fn door(script: &Script, end: Duration, moments: &mut Vec<(Duration, Happening)>) {
    let mut open_until: Option<Duration> = None;
    for crossing in script.crossings() {
        let (opens, closes) = (crossing.at.saturating_sub(DOOR), crossing.at + DOOR);
        if let Some(until) = open_until {
            if opens <= until + DOOR {
                open_until = Some(closes);
                continue;
            }
            moments.push((until, Happening::Door { open: false }));
        }
        moments.push((opens, Happening::Door { open: true }));
        open_until = Some(closes);
    }
    if let Some(until) = open_until {
        moments.push((until.min(end), Happening::Door { open: false }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Place;
    use super::*;

    fn shop(seed: u64) -> (Script, Around) {
        let script = Script::new(seed, 90.0, Place::Oblique);
        let around = Around::new(seed, &script, 90.0);
        (script, around)
    }

    #[test]
    fn the_same_seed_gives_the_same_shop_and_time_only_moves_forward() {
        for seed in 1..=20 {
            let (_, around) = shop(seed);
            assert_eq!(around.moments, shop(seed).1.moments, "seed {seed}");
            assert!(
                around.moments.is_sorted_by_key(|(at, _)| *at),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn the_door_opens_and_closes_in_turn_and_is_open_whenever_somebody_passes() {
        for seed in 1..=20 {
            let (script, around) = shop(seed);
            let (opened, closed) = around.doors();
            assert!(opened > 1 && opened == closed, "seed {seed}");
            for crossing in script.crossings() {
                let before = around.between(Duration::ZERO, crossing.at);
                let last = before.filter_map(|(_, happening)| match happening {
                    Happening::Door { open } => Some(*open),
                    _ => None,
                });
                assert_eq!(last.last(), Some(true), "seed {seed}, {crossing:?}");
            }
        }
    }

    #[test]
    fn nothing_is_counted_twice_or_missed_between_two_looks() {
        let (_, around) = shop(7);
        let mut seen = Vec::new();
        let mut before = Duration::ZERO;
        for step in 1..=900 {
            let now = Duration::from_millis(100 * step);
            seen.extend(around.between(before, now).cloned());
            before = now;
        }
        assert_eq!(seen, around.moments);
        let (probes, random, global) = around.probes(Duration::ZERO, Duration::from_secs(90));
        let all = seen
            .iter()
            .filter(|(_, h)| matches!(h, Happening::Probe(_)));
        assert_eq!(probes, all.count() as u64);
        assert!(random > 20 && global > 4, "{random} {global}");
        assert!(
            around
                .scans()
                .iter()
                .any(|code| code.kind == "payment_code")
        );
    }
}
