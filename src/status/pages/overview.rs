//! The first page: how many people, and whether anything needs a hand.

use maud::{Markup, html};

use super::{badge, chart};
use crate::sensor::State;
use crate::status::i18n::{Texts, fill};
use crate::status::report::{Report, SensorReport};
use crate::status::tally::quarter_of;
use crate::uplink::LinkState;

pub(super) fn live(t: &Texts, report: &Report) -> Markup {
    let trouble: Vec<_> = report
        .sensors
        .iter()
        .filter(|sensor| sensor.state != State::Ok)
        .collect();
    let link = &report.uplink;
    let cloud_well = matches!(link.state, LinkState::Off | LinkState::Connected);
    html! {
        div.numbers {
            (number(t.came_in, "in", report.today.sum.inward))
            (number(t.went_out, "out", report.today.sum.outward))
            (number(t.inside, "inside", report.today.occupancy))
        }
        @if trouble.is_empty() && report.outbox.trouble.is_none() && cloud_well {
            @if report.sensors.is_empty() { p.card.wait { (t.no_sensor) } }
            @else { p.card.well { (t.all_well) } }
        } @else {
            section.card.attention {
                h2 { (t.look_here) }
                @if let Some(why) = &report.outbox.trouble { p.bad { (fill(t.cannot_store, why)) } }
                @for sensor in trouble { (short(t, sensor)) }
                @if !cloud_well {
                    p { a href="/cloud" { (t.cloud) } " " (t.link(link.state)) }
                }
            }
        }
        section.card {
            h2 { (t.chart) }
            (chart::chart(t, &report.today.quarters, quarter_of(&report.time)))
            p.small { (t.occupancy_note) }
        }
        (lines(t, report))
    }
}

fn number(words: &str, id: &str, value: u64) -> Markup {
    html! { div { span { (words) } b id=(id) { (value) } } }
}

fn short(t: &Texts, sensor: &SensorReport) -> Markup {
    html! {
        p {
            a href="/sensors" { (t.kind(sensor.kind)) " " (sensor.id) } " " (badge(t, sensor.state)) br;
            (t.lang.say(&sensor.words))
        }
    }
}

fn lines(t: &Texts, report: &Report) -> Markup {
    let lines: Vec<_> = report
        .sensors
        .iter()
        .flat_map(|sensor| sensor.lines.iter().map(move |(id, sum)| (sensor, id, sum)))
        .collect();
    html! {
        @if !lines.is_empty() {
            section.card {
                h2 { (t.lines) }
                table {
                    tr { th { (t.line) } th { (t.direction_in) } th { (t.direction_out) } }
                    @for (sensor, id, sum) in lines {
                        tr {
                            td { (sensor.id) " / " (id) } td { (sum.inward) } td { (sum.outward) }
                        }
                    }
                }
            }
        }
    }
}
