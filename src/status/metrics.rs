//! `/metrics`: a report in the Prometheus text format 0.0.4. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::report::Report;
use crate::metric::Reading;
use crate::sensor::State;
use crate::uplink::LinkState;

/// The format's name in `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// One metric and its samples: the format wants them together, after one HELP and one TYPE.
struct Family {
    kind: Kind,
    help: String,
    samples: Vec<(String, f64)>,
}

/// Families by their name.
#[derive(Default)]
struct Exposition(BTreeMap<String, Family>);

impl Exposition {
    /// Adds a sample. A name that is already another kind keeps its first meaning; the sample is left out.
    fn add(&mut self, kind: Kind, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let total = if kind == Kind::Counter { "_total" } else { "" };
        let family = self.0.entry(format!("footfall_{name}{total}"));
        let family = family.or_insert_with(|| Family {
            kind,
            help: help.to_owned(),
            samples: Vec::new(),
        });
        if family.kind == kind {
            family.samples.push((label_set(labels), value));
        }
    }

    fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(Kind::Gauge, name, help, labels, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.add(Kind::Counter, name, help, &[], value as f64);
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for (name, family) in &self.0 {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing into a String cannot fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in &family.samples {
                let _ = writeln!(out, "{name}{labels} {}", number(*value));
            }
        }
        out
    }
}

fn number(value: f64) -> String {
    match value {
        value if value == f64::INFINITY => "+Inf".to_owned(),
        value if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn label_set(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| {
        value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// The whole report.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut all = Exposition::default();
    let flag = |on: bool| f64::from(u8::from(on));
    all.gauge(
        "info",
        "What runs here; always 1.",
        &[
            ("box", &report.box_id),
            ("version", report.version),
            ("config_sha256", &report.config_sha256),
        ],
        1.0,
    );
    all.gauge(
        "ready",
        "1 when every sensor works and events are stored.",
        &[],
        flag(report.ready),
    );
    all.gauge(
        "uptime_seconds",
        "Time since the daemon started.",
        &[],
        report.uptime_s as f64,
    );
    let synced = flag(report.clock == "synced");
    all.gauge(
        "clock_synced",
        "1 when a time source has set the clock.",
        &[],
        synced,
    );
    let occupancy = report.today.occupancy as f64;
    all.gauge(
        "occupancy",
        "People inside the first place.",
        &[],
        occupancy,
    );
    for place in &report.today.places {
        all.gauge(
            "place_occupancy",
            "People inside a place.",
            &[("place", &place.id)],
            place.inside as f64,
        );
    }
    sensors(&mut all, report);
    outbox(&mut all, report);
    uplink(&mut all, report);
    let rss = report.process.rss_bytes as f64;
    all.gauge(
        "process_resident_memory_bytes",
        "Memory of the daemon.",
        &[],
        rss,
    );
    all.add(
        Kind::Counter,
        "process_cpu_seconds",
        "Processor time of the daemon.",
        &[],
        report.process.cpu_s,
    );
    all.counter(
        "part_restarts",
        "Parts that were started again.",
        report.process.restarts,
    );
    let host = [
        (
            "host_temperature_celsius",
            "Hottest sensor of the board.",
            report.host.temperature_c,
        ),
        (
            "host_memory_bytes",
            "Memory of the board.",
            report.host.memory_bytes.map(|n| n as f64),
        ),
        (
            "host_memory_available_bytes",
            "Memory that programs can still have.",
            report.host.memory_available_bytes.map(|n| n as f64),
        ),
    ];
    if let Some(now) = report.host.throttling {
        let help = "1 while the board's power supply is too weak.";
        all.gauge("host_under_voltage", help, &[], flag(now.under_voltage));
        let help = "1 while the board has slowed itself down.";
        all.gauge("host_slowed", help, &[], flag(now.slowed));
    }
    for (name, help, value) in host {
        if let Some(value) = value {
            all.gauge(name, help, &[], value);
        }
    }
    all.text()
}

fn sensors(all: &mut Exposition, report: &Report) {
    for sensor in &report.sensors {
        let name = format!("{}/{}", sensor.kind, sensor.id);
        let labels = [("sensor", name.as_str())];
        let up = f64::from(u8::from(sensor.state == State::Ok));
        all.gauge("sensor_up", "1 when the sensor works.", &labels, up);
        for metric in &sensor.readings {
            let (kind, value) = match &metric.reading {
                Reading::Counter(counter) => (Kind::Counter, counter.get() as f64),
                Reading::Gauge(gauge) => (Kind::Gauge, gauge.get()),
            };
            let name = format!("{}_{}", sensor.kind, metric.name);
            all.add(kind, &name, metric.en, &labels, value);
        }
        for (line, sum) in &sensor.lines {
            for (direction, crossings) in [("in", sum.inward), ("out", sum.outward)] {
                let labels = [
                    ("sensor", name.as_str()),
                    ("line", line.as_str()),
                    ("direction", direction),
                ];
                let help = "Crossings since local midnight.";
                all.gauge("crossings_today", help, &labels, crossings as f64);
            }
        }
    }
}

fn outbox(all: &mut Exposition, report: &Report) {
    for (stream, stat) in &report.outbox.streams {
        let labels = [("stream", *stream)];
        let numbers = [
            (
                "outbox_last_sequence",
                "Highest event number stored.",
                stat.last,
            ),
            (
                "outbox_acked_sequence",
                "Everything up to here is acknowledged.",
                stat.acked,
            ),
            (
                "outbox_pending_events",
                "Stored and not acknowledged.",
                stat.pending,
            ),
        ];
        for (name, help, value) in numbers {
            all.gauge(name, help, &labels, value as f64);
        }
    }
    let storing = f64::from(u8::from(report.outbox.trouble.is_none()));
    all.gauge(
        "outbox_storing",
        "1 when events can be stored.",
        &[],
        storing,
    );
    let bytes = report.outbox.disk_bytes as f64;
    all.gauge(
        "outbox_disk_bytes",
        "Size of the outbox on disk.",
        &[],
        bytes,
    );
    let quota = report.outbox.quota_bytes as f64;
    all.gauge(
        "outbox_quota_bytes",
        "What the outbox may take on disk.",
        &[],
        quota,
    );
    let free = report.outbox.disk_free_bytes as f64;
    all.gauge(
        "disk_free_bytes",
        "Free space where the outbox lives.",
        &[],
        free,
    );
}

fn uplink(all: &mut Exposition, report: &Report) {
    let link = &report.uplink;
    let connected = f64::from(u8::from(link.state == LinkState::Connected));
    all.gauge(
        "uplink_connected",
        "1 when the broker is connected.",
        &[],
        connected,
    );
    let in_flight = link.in_flight as f64;
    all.gauge(
        "uplink_in_flight",
        "Publishes that wait for an answer.",
        &[],
        in_flight,
    );
    let counters = link.counters;
    let numbers = [
        (
            "connections",
            "Connections that came up.",
            counters.connections,
        ),
        (
            "failed_attempts",
            "Attempts before the broker accepted.",
            counters.failed_attempts,
        ),
        (
            "connections_lost",
            "Connections that broke.",
            counters.connections_lost,
        ),
        ("batches_sent", "Batches sent.", counters.batches_sent),
        ("events_sent", "Events sent.", counters.events_sent),
        (
            "events_acked",
            "Events the broker took.",
            counters.events_acked,
        ),
        (
            "events_resent",
            "Events sent more than once.",
            counters.events_resent,
        ),
        (
            "batches_refused",
            "Batches answered with an error.",
            counters.batches_refused,
        ),
        (
            "events_oversized",
            "Events too large for the broker.",
            counters.events_oversized,
        ),
    ];
    for (name, help, value) in numbers {
        all.counter(&format!("uplink_{name}"), help, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_announced_once_and_its_samples_stand_together() {
        let mut all = Exposition::default();
        all.gauge("b_up", "Says \\ and\nmore.", &[("sensor", "camera/a")], 1.0);
        all.counter("a", "A.", 3);
        all.gauge("b_up", "Other words.", &[("sensor", "x\"y\\z\n")], 0.5);
        all.add(Kind::Counter, "b_up", "Not the same.", &[], 7.0);
        assert_eq!(
            all.text(),
            "# HELP footfall_a_total A.\n# TYPE footfall_a_total counter\nfootfall_a_total 3\n\
             # HELP footfall_b_up Says \\\\ and\\nmore.\n# TYPE footfall_b_up gauge\n\
             footfall_b_up{sensor=\"camera/a\"} 1\nfootfall_b_up{sensor=\"x\\\"y\\\\z\\n\"} 0.5\n\
             # HELP footfall_b_up_total Not the same.\n# TYPE footfall_b_up_total counter\n\
             footfall_b_up_total 7\n"
        );
    }

    #[test]
    fn numbers_that_are_none_are_written_as_the_format_wants() {
        let mut all = Exposition::default();
        for (name, value) in [
            ("a", f64::NAN),
            ("b", f64::INFINITY),
            ("c", f64::NEG_INFINITY),
        ] {
            all.gauge(name, "x", &[], value);
        }
        let text = all.text();
        for line in ["footfall_a NaN", "footfall_b +Inf", "footfall_c -Inf"] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
