//! The first page: how many people, and whether anything needs a hand.

use maud::{Markup, html};

use super::{badge, chart};
use crate::sensor::State;
use crate::status::i18n::{Lang, Texts, fill};
use crate::status::report::{QueueReport, Report, SensorReport};
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
        (places(t, report))
        (lines(t, report))
        (zones(t, report))
    }
}

/// Only where there is more to say than the number above.
fn places(t: &Texts, report: &Report) -> Markup {
    let places = &report.today.places;
    html! {
        @if places.len() > 1 || places.iter().any(|place| place.capacity.is_some()) {
            section.card {
                h2 { (t.places) }
                table {
                    tr { th { (t.place) } th { (t.people_inside) } th { (t.people_most) } }
                    @for place in places {
                        tr {
                            td { (place.id) }
                            td {
                                (place.inside)
                                @if place.capacity.is_some_and(|most| place.inside >= most) {
                                    " " span.bad { (t.place_full) }
                                }
                            }
                            td { @if let Some(most) = place.capacity { (most) } }
                        }
                    }
                }
            }
        }
    }
}

fn zones(t: &Texts, report: &Report) -> Markup {
    let zones: Vec<_> = report
        .sensors
        .iter()
        .flat_map(|sensor| sensor.zones.iter().map(move |zone| (sensor, zone)))
        .collect();
    html! {
        @if !zones.is_empty() {
            section.card {
                h2 { (t.zones) }
                table {
                    tr { th { (t.zone) } th { (t.zone_visits) } th { (t.zone_present) } }
                    @for (sensor, zone) in zones {
                        tr {
                            td { (sensor.id) " / " (zone.id) }
                            td { (zone.visits) }
                            td {
                                (zone.present)
                                @if let Some(queue) = &zone.queue { br; span.small { (waiting(t, queue)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `4 waiting, about 2 min to wait`.
fn waiting(t: &Texts, queue: &QueueReport) -> String {
    let wait = match queue.expected_wait_s {
        Some(seconds) => fill(t.queue_wait, t.duration(seconds)),
        None => t.queue_wait_unknown.to_owned(),
    };
    let comma = match t.lang {
        Lang::En => ", ",
        Lang::Zh => "，",
    };
    format!("{}{comma}{wait}", fill(t.queue_length, queue.length))
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
