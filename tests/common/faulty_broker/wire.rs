//! MQTT 5 on the wire, as far as a broker for one box needs it. Written from the standard and not taken from the
//! client's library, so that the two cannot share a mistake. Reads strictly: what breaks a rule is an error.

/// What the box may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Connect(Connect),
    /// A CONNECT of MQTT 3.1.1: the box asks what the broker speaks after it was closed without a word.
    Probe,
    Publish(Publish),
    PubAck {
        id: u16,
        reason: u8,
    },
    Subscribe {
        id: u16,
        filters: Vec<String>,
    },
    PingReq,
    Disconnect {
        reason: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub client_id: String,
    pub clean_start: bool,
    pub keep_alive: u16,
    pub receive_maximum: u16,
    /// Topic and payload.
    pub will: Option<(String, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// 0 at QoS 0.
    pub id: u16,
    pub dup: bool,
    pub retain: bool,
    pub topic: String,
    pub payload: Vec<u8>,
    /// Of the whole packet, bytes.
    pub size: usize,
}

/// Takes the first packet off `buffer`; `None` while it is not complete.
pub fn read(buffer: &mut Vec<u8>) -> Result<Option<Packet>, String> {
    let Some(length) = frame(buffer)? else {
        return Ok(None);
    };
    let bytes: Vec<u8> = buffer.drain(..length).collect();
    let header = bytes.iter().skip(1).take_while(|byte| **byte >= 0x80);
    let mut body = Cursor(&bytes[2 + header.count()..]);
    let (kind, flags) = (bytes[0] >> 4, bytes[0] & 0x0F);
    if kind != 3 && flags != if kind == 8 { 2 } else { 0 } {
        return Err(format!("flags {flags} in a packet of type {kind}"));
    }
    let packet = match kind {
        1 if body.0.starts_with(b"\x00\x04MQTT\x04") => return Ok(Some(Packet::Probe)),
        1 => Packet::Connect(body.connect()?),
        3 => Packet::Publish(body.publish(flags, length)?),
        4 => {
            let id = body.short()?;
            let reason = if body.0.is_empty() { 0 } else { body.byte()? };
            Packet::PubAck { id, reason }
        }
        8 => {
            let id = body.short()?;
            body.properties()?;
            let mut filters = Vec::new();
            while !body.0.is_empty() {
                filters.push(body.text()?);
                body.byte()?;
            }
            Packet::Subscribe { id, filters }
        }
        12 => Packet::PingReq,
        14 => {
            let reason = if body.0.is_empty() { 0 } else { body.byte()? };
            Packet::Disconnect { reason }
        }
        other => return Err(format!("a packet of type {other}")),
    };
    Ok(Some(packet))
}

/// Length of the first packet, once all of it is there.
fn frame(buffer: &[u8]) -> Result<Option<usize>, String> {
    let mut remaining = 0;
    for place in 0..4 {
        let Some(byte) = buffer.get(1 + place) else {
            return Ok(None);
        };
        remaining |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            let length = 2 + place + remaining;
            return Ok((buffer.len() >= length).then_some(length));
        }
    }
    Err("a remaining length of more than four bytes".into())
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("a packet too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<u16, String> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().unwrap()))
    }

    fn data(&mut self) -> Result<Vec<u8>, String> {
        let length = self.short()?;
        Ok(self.take(length.into())?.to_vec())
    }

    fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.data()?).map_err(|_| "a text that is not UTF-8".into())
    }

    /// The properties, which are skipped; their length first.
    fn properties(&mut self) -> Result<Cursor<'a>, String> {
        let mut length = 0;
        for place in 0..4 {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(Cursor(self.take(length)?))
    }

    fn connect(&mut self) -> Result<Connect, String> {
        if self.text()? != "MQTT" || self.byte()? != 5 {
            return Err("a CONNECT that is not MQTT 5".into());
        }
        let flags = self.byte()?;
        let keep_alive = self.short()?;
        let mut properties = self.properties()?;
        let mut receive_maximum = u16::MAX;
        while !properties.0.is_empty() {
            match properties.byte()? {
                0x11 | 0x27 => drop(properties.take(4)?), // session expiry, maximum packet size
                0x21 => receive_maximum = properties.short()?,
                0x22 => drop(properties.short()?), // topic alias maximum
                other => return Err(format!("property {other:#x} in CONNECT")),
            }
        }
        let client_id = self.text()?;
        let mut will = None;
        if flags & 0x04 != 0 {
            self.properties()?;
            will = Some((self.text()?, self.data()?));
        }
        for present in [0x80, 0x40] {
            if flags & present != 0 {
                self.data()?; // user name, password
            }
        }
        Ok(Connect {
            client_id,
            clean_start: flags & 0x02 != 0,
            keep_alive,
            receive_maximum,
            will,
        })
    }

    fn publish(&mut self, flags: u8, size: usize) -> Result<Publish, String> {
        let topic = self.text()?;
        let id = match flags >> 1 & 3 {
            0 => 0,
            1 => match self.short()? {
                0 => return Err("a PUBLISH with packet id 0".into()),
                id => id,
            },
            other => return Err(format!("a PUBLISH at QoS {other}")),
        };
        self.properties()?;
        Ok(Publish {
            id,
            dup: flags & 0x08 != 0,
            retain: flags & 0x01 != 0,
            topic,
            payload: self.0.to_vec(),
            size,
        })
    }
}

/// What the broker says in CONNACK besides its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub receive_maximum: Option<u16>,
    /// Bytes.
    pub maximum_packet: Option<u32>,
    /// Seconds.
    pub keep_alive: Option<u16>,
    pub no_retain: bool,
}

pub fn connack(session_present: bool, reason: u8, limits: Limits) -> Vec<u8> {
    let mut properties = Vec::new();
    let mut property = |id: u8, value: &[u8]| {
        properties.push(id);
        properties.extend(value);
    };
    if let Some(most) = limits.receive_maximum {
        property(0x21, &most.to_be_bytes());
    }
    if let Some(most) = limits.maximum_packet {
        property(0x27, &most.to_be_bytes());
    }
    if let Some(seconds) = limits.keep_alive {
        property(0x13, &seconds.to_be_bytes());
    }
    if limits.no_retain {
        property(0x25, &[0]);
    }
    let mut body = vec![u8::from(session_present), reason];
    length(&mut body, properties.len());
    body.extend(properties);
    packet(0x20, &body)
}

/// `long`: with a reason and a reason string even where they may be left out.
pub fn puback(id: u16, reason: u8, long: bool) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if long {
        body.push(reason);
        body.extend([7, 0x1F, 0, 4]);
        body.extend(b"told");
    } else if reason != 0 {
        body.push(reason);
    }
    packet(0x40, &body)
}

pub fn suback(id: u16, reasons: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.push(0);
    body.extend(reasons);
    packet(0x90, &body)
}

pub fn publish(id: u16, dup: bool, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.extend(id.to_be_bytes());
    body.push(0);
    body.extend(payload);
    packet(if dup { 0x3A } else { 0x32 }, &body)
}

pub fn pingresp() -> Vec<u8> {
    packet(0xD0, &[])
}

/// `long`: with the length of the properties even where they may be left out.
pub fn disconnect(reason: u8, long: bool) -> Vec<u8> {
    match (reason, long) {
        (reason, true) => packet(0xE0, &[reason, 0]),
        (0, false) => packet(0xE0, &[]),
        (reason, false) => packet(0xE0, &[reason]),
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    length(&mut packet, body.len());
    packet.extend(body);
    packet
}

fn length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7F).unwrap();
        length >>= 7;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}
