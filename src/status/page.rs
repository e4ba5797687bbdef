//! The page at `/`: today's counts, every sensor, the outbox and the way to the cloud. Plain HTML, fit for a phone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::report::{Report, SensorReport};
use crate::sensor::State;
use crate::uplink::LinkState;

const STYLE: &str = "
:root { color-scheme: light dark; --ok: #1a7f37; --bad: #b42318; --wait: #8a6d00; --soft: #8883; }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.2rem; margin: 0 0 1rem; font-weight: 600; }
h2 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
.numbers { display: flex; gap: 1rem; }
.numbers div { flex: 1; background: var(--soft); border-radius: .6rem; padding: .8rem 1rem; }
.numbers b { display: block; font-size: 2.4rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
.card { border: 1px solid var(--soft); border-radius: .6rem; padding: .7rem 1rem; margin: .5rem 0; }
.card p { margin: .2rem 0; overflow-wrap: anywhere; }
.ok { color: var(--ok); } .bad { color: var(--bad); } .wait { color: var(--wait); }
.small { color: #777; font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: right; padding: .15rem .4rem; } td:first-child, th:first-child { text-align: left; }
";

/// The whole page. It asks for itself again every five seconds.
pub fn render(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="5";
                title { "footfall " (report.box_id) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "footfall · " (report.box_id) }
                div.numbers {
                    div { "in today" b { (report.today.inward) } }
                    div { "out today" b { (report.today.outward) } }
                }
                h2 { "Sensors" }
                @if report.sensors.is_empty() {
                    p.card { "No sensor is set up. Add a [[camera]] to the config file." }
                }
                @for sensor in &report.sensors { (sensor_card(sensor)) }
                h2 { "Cloud" }
                (cloud_card(report))
                h2 { "Box" }
                (box_card(report))
            }
        }
    }
}

fn sensor_card(sensor: &SensorReport) -> Markup {
    let class = match sensor.state {
        State::Ok => "ok",
        State::Starting => "wait",
        State::Trouble => "bad",
    };
    html! {
        div.card {
            p { b { (sensor.kind) " " (sensor.id) } " — " span class=(class) { (sensor.words.en) } }
            p.small {
                @for (name, value) in &sensor.metrics { (name) " " (value) " · " }
                "for " (duration(sensor.since_s))
            }
            @if !sensor.lines.is_empty() {
                table {
                    tr { th { "line" } th { "in" } th { "out" } }
                    @for (id, sums) in &sensor.lines {
                        tr { td { (id) } td { (sums.inward) } td { (sums.outward) } }
                    }
                }
            }
        }
    }
}

fn cloud_card(report: &Report) -> Markup {
    let link = &report.uplink;
    let (class, words) = match link.state {
        LinkState::Connected => ("ok", "connected"),
        LinkState::Off => ("wait", "not set up"),
        LinkState::Connecting => ("wait", "connecting"),
        LinkState::Disconnected => ("bad", "not connected"),
        LinkState::Refused => ("bad", "the broker refuses this box"),
        LinkState::TlsError => ("bad", "no secure connection"),
        LinkState::Stopped => ("wait", "stopped"),
    };
    html! {
        div.card {
            p {
                span class=(class) { (words) }
                @if !link.broker.is_empty() { " — " (link.broker) }
            }
            @if !link.message.is_empty() { p { (link.message) } }
            @for refusal in link.refusals.iter().flatten() { p.bad { (refusal.message) } }
            p.small {
                (report.outbox.pending) " events wait for the cloud · "
                (size(report.outbox.disk_bytes)) " on disk, "
                (size(report.outbox.disk_free_bytes)) " free"
            }
            @if let Some(trouble) = &report.outbox.trouble {
                p.bad { "Events cannot be stored: " (trouble) }
            }
            table {
                tr { th { "stream" } th { "stored" } th { "waiting" } }
                @for (name, stat) in &report.outbox.streams {
                    tr { td { (name) } td { (stat.last) } td { (stat.pending) } }
                }
            }
        }
    }
}

fn box_card(report: &Report) -> Markup {
    html! {
        div.card {
            p { "Running for " (duration(report.uptime_s)) ", "
                @if report.process.restarts == 0 { "no part had to be started again." }
                @else { (report.process.restarts) " times a part was started again." }
            }
            p {
                "It is " (report.time.get(..19).unwrap_or(&report.time).replace('T', " ")) " here"
                @if report.clock == "unsynced" { ", but no time source has confirmed that yet" }
                "."
            }
            p.small {
                "version " (report.version) " · memory " (size(report.process.rss_bytes))
                " · config " (report.config_sha256.get(..12).unwrap_or_default())
            }
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
