//! What the types cannot say: ranges, names, references between keys. Pure: looks at no file but the config.

mod counting;

use std::collections::BTreeSet;
use std::net::SocketAddr;

pub use self::counting::advice;

use super::fault::{Fault, nearest};
use super::load::Places;
use super::schema::{Camera, Config, DetectorKind, Status, Uplink};
use crate::sensor::camera::{external, rtsp};
use crate::sensor::{Flaw, is_id, scanner};

/// Every fault of a config whose types are right.
pub fn validate(config: &Config, places: &Places<'_>) -> Vec<Fault> {
    let mut faults = Faulty {
        places,
        found: Vec::new(),
    };
    device(config, &mut faults);
    uplink(&config.uplink, &mut faults);
    faults.range("outbox.cache_mb", config.outbox.cache_mb.into(), 1.0, 256.0);
    if let Some(quota) = config.outbox.quota_mb {
        faults.range("outbox.quota_mb", quota.into(), 32.0, 1_000_000.0);
    }
    faults.range(
        "command.probation_s",
        config.command.probation_s.into(),
        5.0,
        3600.0,
    );
    status(&config.status, &mut faults);
    if let Some(threads) = config.vision.threads {
        faults.range("vision.threads", threads.into(), 1.0, 8.0);
    }
    for (name, expected) in config.ffmpeg.flaws() {
        faults.hide(&format!("ffmpeg.{name}"), &expected);
    }
    let mut ids = BTreeSet::new();
    for (index, one) in config.camera.iter().enumerate() {
        let key = format!("camera[{index}]");
        if !ids.insert(&one.id) {
            faults.add(
                &format!("{key}.id"),
                "another camera has this id already; ids are unique",
            );
        }
        camera(&key, one, &mut faults);
    }
    counting::places(config, &mut faults);
    faults.section("gpio", config.gpio.flaws());
    for (key, expected) in scanner::Settings::flaws(&config.scanner) {
        faults.add(&format!("scanner{key}"), &expected);
    }
    wifi(config, &mut faults);
    faults.found
}

fn wifi(config: &Config, faults: &mut Faulty<'_, '_>) {
    let (mut ids, mut interfaces) = (BTreeSet::new(), BTreeSet::new());
    for (index, one) in config.wifi.iter().enumerate() {
        let key = format!("wifi[{index}]");
        faults.id(&format!("{key}.id"), &one.id);
        if !ids.insert(&one.id) {
            faults.add(
                &format!("{key}.id"),
                "another [[wifi]] has this id already; ids are unique",
            );
        }
        if !interfaces.insert(&one.interface) {
            faults.add(
                &format!("{key}.interface"),
                "another [[wifi]] listens on it already; everything would be counted twice",
            );
        }
        faults.section(&key, one.flaws());
    }
}

struct Faulty<'p, 't> {
    places: &'p Places<'t>,
    found: Vec<Fault>,
}

impl Faulty<'_, '_> {
    fn add(&mut self, key: &str, expected: &str) {
        self.found.push(self.places.fault(key, expected.to_owned()));
    }

    /// As [`Faulty::add`], for a value that may hold a password: it is not repeated.
    fn hide(&mut self, key: &str, expected: &str) {
        let mut fault = self.places.fault(key, expected.to_owned());
        fault.value = None;
        self.found.push(fault);
    }

    /// What a sensor's own settings say of themselves.
    fn section(&mut self, key: &str, flaws: Vec<Flaw>) {
        for (name, expected) in flaws {
            self.add(&format!("{key}.{name}"), &expected);
        }
    }

    /// As [`Faulty::add`], for a name that leads nowhere: says which of `known` is nearest.
    fn unknown<'n>(
        &mut self,
        key: &str,
        expected: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let mut fault = self.places.fault(key, expected.to_owned());
        fault.nearest = nearest(name, known);
        self.found.push(fault);
    }

    fn range(&mut self, key: &str, value: f64, least: f64, most: f64) {
        // Written so that NaN is out of range too.
        if !(least..=most).contains(&value) {
            self.add(key, &format!("expected a number {least} to {most}"));
        }
    }

    fn id(&mut self, key: &str, id: &str) {
        if !is_id(id) {
            self.add(key, "expected 1 to 32 of a-z, 0-9 and -");
        }
    }
}

fn device(config: &Config, faults: &mut Faulty<'_, '_>) {
    let device = &config.device;
    for (key, name) in [
        ("device.tenant", &device.tenant),
        ("device.store", &device.store),
        ("device.box", &device.box_id),
    ] {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fine) {
            faults.add(
                key,
                "expected 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-' (it is part of MQTT topics)",
            );
        }
    }
    if jiff::tz::TimeZone::get(&device.timezone).is_err() {
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .collect();
        let expected = "expected an IANA time zone, such as \"Europe/Berlin\"";
        let known = known.iter().map(String::as_str);
        faults.unknown("device.timezone", expected, &device.timezone, known);
    }
}

fn uplink(uplink: &Uplink, faults: &mut Faulty<'_, '_>) {
    faults.range(
        "uplink.keep_alive_s",
        uplink.keep_alive_s.into(),
        5.0,
        3600.0,
    );
    faults.range("uplink.inflight", uplink.inflight.into(), 1.0, 100.0);
    faults.range(
        "uplink.batch_events",
        uplink.batch_events as f64,
        1.0,
        1000.0,
    );
    faults.range("uplink.batch_kib", uplink.batch_kib as f64, 4.0, 4096.0);
    if let Some(kib) = uplink.max_packet_kib {
        faults.range("uplink.max_packet_kib", kib as f64, 4.0, 262_143.0);
    }
    if uplink.username.is_some() != uplink.password_file.is_some() {
        faults.add(
            "uplink.username",
            "`username` and `password_file` belong together; set both or none",
        );
    }
    if uplink.cert_file.is_some() != uplink.key_file.is_some() {
        faults.add(
            "uplink.cert_file",
            "`cert_file` and `key_file` belong together; set both or none",
        );
    }
    let Some(broker) = &uplink.broker else { return };
    let tls = broker.starts_with("mqtts://");
    if !tls && !broker.starts_with("mqtt://") {
        faults.add(
            "uplink.broker",
            "expected \"mqtt://host:1883\" or \"mqtts://host:8883\"",
        );
    } else if tls && uplink.ca_file.is_none() {
        faults.add(
            "uplink.ca_file",
            "`mqtts` needs the PEM file of the authority that signed the broker's certificate",
        );
    } else if !tls && uplink.ca_file.is_some() {
        faults.add(
            "uplink.ca_file",
            "only `mqtts://` uses it; change the broker's address or remove this",
        );
    }
}

fn status(status: &Status, faults: &mut Faulty<'_, '_>) {
    if status.listen.is_empty() {
        return;
    }
    match status.listen.parse::<SocketAddr>() {
        Err(_) => faults.add(
            "status.listen",
            "expected `address:port`, such as \"0.0.0.0:8080\" (or \"\" for no page)",
        ),
        Ok(address) if !address.ip().to_canonical().is_loopback() && status.pin_file.is_none() => {
            faults.add(
                "status.listen",
                "the network may see the page only with a PIN: run `footfall status pin --file /etc/footfall/pin`, \
                 then add pin_file = \"/etc/footfall/pin\" to [status]; or listen on 127.0.0.1",
            );
        }
        Ok(_) => {}
    }
}

fn camera(key: &str, camera: &Camera, faults: &mut Faulty<'_, '_>) {
    faults.id(&format!("{key}.id"), &camera.id);
    source(key, camera, faults);
    faults.range(
        &format!("{key}.picture_fps"),
        camera.picture_fps,
        0.1,
        120.0,
    );
    if let Some(fps) = camera.fps {
        faults.range(&format!("{key}.fps"), fps, 0.2, 60.0);
    }
    if let Some(fps) = camera.idle_fps {
        faults.range(&format!("{key}.idle_fps"), fps, 0.2, 60.0);
    }
    if let Some(threshold) = camera.threshold {
        faults.range(&format!("{key}.threshold"), threshold, 0.01, 0.99);
    }
    let shares = [
        ("min_moving_share", camera.min_moving_share, 0.0, 0.9),
        ("min_area", camera.min_area, 0.0005, 0.5),
    ];
    for (name, value, least, most) in shares {
        faults.range(&format!("{key}.{name}"), value, least, most);
    }
    if camera.model.is_empty() && camera.detector == DetectorKind::Model {
        faults.add(
            &format!("{key}.model"),
            "expected a model's name, such as \"person-oblique\", or the path of a manifest",
        );
    }
    if camera.classes.is_empty() {
        faults.add(
            &format!("{key}.classes"),
            "expected at least one class name, such as [\"person\"]",
        );
    }
    for (index, mask) in camera.mask.iter().enumerate() {
        let fraction = |v: &f64| (0.0..=1.0).contains(v);
        if !(3..=64).contains(&mask.points.len()) || !mask.points.iter().flatten().all(fraction) {
            faults.add(
                &format!("{key}.mask[{index}].points"),
                "expected 3 to 64 corners as fractions of the picture, such as [[0.0, 0.0], [0.2, 0.0], [0.2, 0.3]]",
            );
        }
    }
    counting::picture(key, camera, faults);
}

/// Where the pictures come from.
fn source(key: &str, camera: &Camera, faults: &mut Faulty<'_, '_>) {
    let named = [
        ("device", camera.device.is_some()),
        ("rtsp", camera.rtsp.is_some()),
        ("file", camera.file.is_some()),
    ];
    let mut named = named.into_iter().filter(|(_, given)| *given);
    match (named.next(), named.next()) {
        (None, _) => faults.add(
            &format!("{key}.device"),
            "missing; expected one of `device` (USB), `rtsp` (network) and `file` (a recording)",
        ),
        (_, Some((second, _))) => faults.hide(
            &format!("{key}.{second}"),
            "a camera is one of `device`, `rtsp` and `file`; remove the others",
        ),
        _ => {}
    }
    for side in camera.size {
        faults.range(&format!("{key}.size"), side.into(), 16.0, 8192.0);
    }
    if let Some(Err(expected)) = camera.rtsp.as_deref().map(rtsp::address) {
        faults.hide(&format!("{key}.rtsp"), expected);
    }
    for (name, list) in [
        ("ffmpeg_input", &camera.ffmpeg_input),
        ("ffmpeg_output", &camera.ffmpeg_output),
    ] {
        if let Some(expected) = list.as_deref().and_then(external::arguments_flaw) {
            faults.hide(&format!("{key}.{name}"), expected);
        }
    }
    if camera.username.is_some() != camera.password_file.is_some() {
        faults.add(
            &format!("{key}.username"),
            "`username` and `password_file` belong together; set both or none",
        );
    } else if camera.username.is_some() && camera.rtsp.is_none() {
        faults.add(
            &format!("{key}.username"),
            "only a camera with `rtsp` has a user; remove it",
        );
    }
}
