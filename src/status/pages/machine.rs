//! The box itself: clock, disk, temperature, memory, versions.

use maud::{Markup, html};

use super::{facts, size};
use crate::status::host::HOT_C;
use crate::status::i18n::{Texts, fill};
use crate::status::report::Report;

/// With less free space than this the outbox soon cannot store, bytes.
const LOW_DISK: u64 = 200_000_000;

pub(super) fn still(t: &Texts) -> Markup {
    html! {
        p {
            a.button href="/api/v1/diagnostics" download { (t.diagnostics) } " "
            span.small { (t.diagnostics_note) }
        }
    }
}

pub(super) fn live(t: &Texts, report: &Report) -> Markup {
    let host = &report.host;
    let time = report
        .time
        .get(..19)
        .unwrap_or(&report.time)
        .replace('T', " ");
    let clock = html! {
        (time) " (" (report.time.get(23..).unwrap_or_default()) ")" br;
        @if report.clock == "synced" { span.ok { (t.clock_synced) } }
        @else { span.wait { (t.clock_unsynced) } }
    };
    let free = report.outbox.disk_free_bytes;
    let disk = html! {
        (size(free))
        @if free < LOW_DISK { br; span.bad { (t.disk_low) } }
    };
    let temperature = host.temperature_c.map(|celsius| {
        html! {
            (format!("{celsius:.0} °C"))
            @if celsius >= HOT_C { br; span.bad { (t.hot) } }
        }
    });
    let power = host.throttling.map(|now| {
        html! {
            @if now.under_voltage { span.bad { (t.power_weak) } }
            @else if now.slowed { span.bad { (t.slowed) } }
            @else { (t.power_well) }
        }
    });
    let memory_free = host.memory_available_bytes.map(|free| {
        html! { (size(free)) @if let Some(all) = host.memory_bytes { " " (fill(t.of_total, size(all))) } }
    });
    let text = |text: &Option<String>| text.as_ref().map(|text| html! { (text) });
    html! {
        div.cards {
            section.card {
                (facts([
                    (t.clock, Some(clock)),
                    (t.disk_free, Some(disk)),
                    (t.temperature, Some(temperature.unwrap_or_else(|| html! { (t.unknown) }))),
                    (t.power, power),
                    (t.memory_used, Some(html! { (size(report.process.rss_bytes)) })),
                    (t.memory_free, memory_free),
                    (t.running_for, Some(html! { (t.duration(report.uptime_s)) })),
                    (t.restarts, Some(html! { (report.process.restarts) })),
                ]))
            }
            section.card {
                (facts([
                    (t.version, Some(html! { "footfall " (report.version) })),
                    (t.os, text(&host.os)),
                    (t.kernel, text(&host.kernel)),
                    (t.config, Some(html! { (report.config_sha256.get(..12).unwrap_or(&report.config_sha256)) })),
                ]))
            }
        }
    }
}
