//! How connections fare: plans, and random ones.

use std::time::Duration;

use super::wire::Limits;

/// How one connection fares. The default is a broker without a fault.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// CONNACK's reason; above 0x7F the connection ends with it.
    pub connack: u8,
    pub limits: Limits,
    /// Forget what is kept for the box, before it connects.
    pub lose_session: bool,
    /// SUBACK's reason; `None`: granted.
    pub suback: Option<u8>,
    /// Commands sent after the subscription.
    pub commands: usize,
    /// Reasons for the publishes of this connection, by their place from 1 on; the others are taken.
    pub refusals: Vec<(usize, u8)>,
    /// How long an acknowledgement waits, and others with it.
    pub delay: Duration,
    /// Those that wait go out in another order. MQTT 5, 4.6, orders the acknowledgements of a client, not those of a
    /// server, and an id is free with its own acknowledgement (2.2.1): a client must bear any order.
    pub shuffled: bool,
    /// With what may be left out: a reason string, the length of the properties.
    pub wordy: bool,
    pub pieces: Pieces,
    /// Bytes read at once, with a pause after each read.
    pub slow_reading: Option<usize>,
    /// Reads and says nothing for this long, then goes on as if nothing had been.
    pub pause: Option<(Point, Duration)>,
    pub end: Option<(Point, Ending)>,
}

/// How what the broker says is cut into TCP segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pieces {
    /// A write for each packet.
    #[default]
    Packets,
    /// All that is due in one write.
    Together,
    /// A write for each byte.
    Bytes,
}

/// Where a connection ends. Publishes count from 1, the box's state among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Accepted,
    /// CONNECT was read.
    Connected,
    /// CONNACK was written.
    Greeted,
    /// SUBSCRIBE was read.
    Subscribed,
    /// The publish begins to arrive; none of it is taken.
    Before(usize),
    /// The publish was taken, or not, and is not answered.
    Published {
        place: usize,
        taken: bool,
    },
    /// Its answer was written.
    Answered(usize),
    /// A ping was read.
    Pinged,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The socket is closed.
    Close,
    /// All is said and closed with a reset.
    Reset,
    /// DISCONNECT with this reason; see [`Plan::wordy`].
    Disconnect(u8),
    Garbage(Vec<u8>),
    /// Reads on, and never says another word.
    Silence,
    /// Reads no more: the TCP window fills up.
    Stall,
}

/// Reasons of PUBACK that mean no (MQTT 5, 3.4.2.1).
pub const PUBACK_REFUSALS: [u8; 7] = [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
/// Reasons of CONNACK that mean no (MQTT 5, 3.2.2.2).
pub const CONNACK_REFUSALS: [u8; 21] = [
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];
/// Reasons of a server's DISCONNECT (MQTT 5, 3.14.2.1).
pub const DISCONNECT_REASONS: [u8; 25] = [
    0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0xA0, 0xA1, 0xA2,
];

impl Plan {
    /// Where it ends and how, in a word or two.
    pub fn kind(&self) -> String {
        if self.connack >= 0x80 {
            return format!("refused {:#x}", self.connack);
        }
        match &self.end {
            None => "no end".into(),
            Some((point, ending)) => {
                let word = |text: String| {
                    let end = text.find([' ', '(', '{']).unwrap_or(text.len());
                    text[..end].to_owned()
                };
                format!(
                    "{} {}",
                    word(format!("{point:?}")),
                    word(format!("{ending:?}"))
                )
            }
        }
    }

    pub fn random(random: &mut fastrand::Rng, commands: bool) -> Self {
        if random.u8(0..12) == 0 {
            let connack = *random.choice(&CONNACK_REFUSALS).unwrap();
            return Self {
                connack,
                ..Self::default()
            };
        }
        let one_in = |random: &mut fastrand::Rng, n: u8| random.u8(0..n) == 0;
        let refusals = (1..=random.usize(1..8))
            .filter(|_| random.u8(0..8) == 0)
            .collect::<Vec<_>>();
        let refusals = refusals
            .into_iter()
            .map(|place| (place, *random.choice(&PUBACK_REFUSALS).unwrap()))
            .collect();
        let limits = Limits {
            receive_maximum: one_in(random, 3).then(|| *random.choice(&[1, 1, 2, 3, 10]).unwrap()),
            maximum_packet: one_in(random, 4).then(|| random.u32(300..4000)),
            keep_alive: one_in(random, 6).then(|| *random.choice(&[0, 5, 600]).unwrap()),
            no_retain: one_in(random, 10),
        };
        let delay =
            Duration::from_millis(*random.choice(&[0, 0, 0, 30, 700, 3000, 20_000]).unwrap());
        Self {
            connack: 0,
            limits,
            lose_session: one_in(random, 4),
            suback: one_in(random, 8).then(|| *random.choice(&[0x80, 0x87, 0x97]).unwrap()),
            commands: if commands { random.usize(0..4) } else { 0 },
            refusals,
            delay,
            shuffled: one_in(random, 2),
            wordy: one_in(random, 3),
            pieces: *random
                .choice(&[Pieces::Packets, Pieces::Together, Pieces::Bytes])
                .unwrap(),
            slow_reading: one_in(random, 6).then(|| random.usize(1..2000)),
            pause: one_in(random, 6).then(|| {
                let length = Duration::from_millis(random.u64(10..100_000));
                (point(random, commands), length)
            }),
            end: Some((point(random, commands), ending(random))),
        }
    }
}

fn point(random: &mut fastrand::Rng, commands: bool) -> Point {
    let place = random.usize(1..8);
    match random.u8(0..16) {
        0 => Point::Accepted,
        1 => Point::Connected,
        2 => Point::Greeted,
        3 if commands => Point::Subscribed,
        4 => Point::Pinged,
        3 | 5..=7 => Point::Before(place),
        8..=11 => Point::Published {
            place,
            taken: random.bool(),
        },
        _ => Point::Answered(place),
    }
}

fn ending(random: &mut fastrand::Rng) -> Ending {
    match random.u8(0..16) {
        0..=4 => Ending::Close,
        5..=6 => Ending::Reset,
        7 => Ending::Disconnect(0),
        8..=9 => Ending::Disconnect(*random.choice(&DISCONNECT_REASONS).unwrap()),
        10..=11 => Ending::Garbage(garbage(random)),
        12..=13 => Ending::Silence,
        _ => Ending::Stall,
    }
}

/// Never anything that a client may take for a success.
fn garbage(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(0..8) {
        0 => vec![0x00, 0x00], // a packet type that is reserved
        1 => vec![0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], // a length without an end
        2 => super::wire::puback(random.u16(200..), 0, false), // an id nobody gave
        3 => vec![0x40, 0x00], // PUBACK without an id
        4 => vec![0x36, 0x03, 0x00, 0x01, b'x'], // PUBLISH at QoS 3
        5 => super::wire::suback(random.u16(200..), &[1]),
        6 => vec![0x50, 0x02, 0x00, 0x01], // PUBREC where nobody sent anything at QoS 2
        _ => {
            let mut bytes: Vec<u8> = (0..random.usize(1..200)).map(|_| random.u8(..)).collect();
            bytes[0] &= 0x0F;
            bytes
        }
    }
}
