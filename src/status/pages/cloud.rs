//! The way to the cloud, and what waits for it.

use maud::{Markup, html};

use super::{facts, size};
use crate::status::i18n::{Texts, fill};
use crate::status::report::Report;
use crate::uplink::LinkState;
use crate::words::Words;

pub(super) fn live(t: &Texts, report: &Report) -> Markup {
    let link = &report.uplink;
    let class = match link.state {
        LinkState::Connected => "ok",
        LinkState::Off | LinkState::Connecting | LinkState::Stopped => "wait",
        LinkState::Disconnected | LinkState::Refused | LinkState::TlsError => "bad",
    };
    let number = |value: u64| Some(html! { (value) });
    html! {
        div.cards {
            section.card {
                h2 { (t.cloud) " " span.badge.(class) { (t.link(link.state)) } }
                @if !link.broker.is_empty() { p { (link.broker) } }
                @if link.state == LinkState::Off { p { (t.link_off_note) } }
                @else if link.message != Words::default() { p { (t.lang.say(&link.message)) } }
                @for refusal in link.refusals.iter().chain([&link.deaf]).flatten() { p.bad { (t.lang.say(&refusal.message)) } }
                @if let Some(why) = &link.outbox_trouble { p.bad { (t.lang.say(why)) } }
                (facts([
                    (t.acked, number(link.counters.events_acked)),
                    (t.resent, number(link.counters.events_resent)),
                    (t.lost_connections, number(link.counters.connections_lost)),
                    (t.failed_attempts, number(link.counters.failed_attempts)),
                ]))
            }
            section.card {
                h2 { (t.outbox) }
                p { b { (report.outbox.pending) } " " (t.waiting) }
                @if let Some(why) = &report.outbox.trouble { p.bad { (fill(t.cannot_store, why)) } }
                table {
                    tr { th { (t.stream) } th { (t.stored) } th { (t.pending) } }
                    @for (name, stat) in &report.outbox.streams {
                        tr { td { (t.stream_name(name)) } td { (stat.last) } td { (stat.pending) } }
                    }
                }
                (facts([
                    (t.outbox_disk, Some(html! { (size(report.outbox.disk_bytes)) " / " (size(report.outbox.quota_bytes)) })),
                    (t.disk_free, Some(html! { (size(report.outbox.disk_free_bytes)) })),
                ]))
            }
        }
    }
}
