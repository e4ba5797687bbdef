//! Every sensor with its state in plain words, and what a camera sees.

use maud::{Markup, html};

use super::{badge, facts};
use crate::metric::{Metric, Reading};
use crate::sensor::State;
use crate::status::i18n::{Lang, Texts, fill};
use crate::status::report::{Report, SensorReport};

pub(super) fn live(t: &Texts, report: &Report) -> Markup {
    html! {
        @if report.sensors.is_empty() { p.card.wait { (t.no_sensor) } }
        div.cards {
            @for sensor in &report.sensors {
                section.card {
                    (card(t, sensor))
                    @if sensor.preview.is_some() {
                        p { a.button href={ "/camera/" (sensor.id) } { (t.look_through) } }
                    }
                }
            }
        }
    }
}

pub(super) fn camera_still(t: &Texts, report: &Report, id: &str) -> Markup {
    html! {
        @if camera(report, id).is_some_and(|camera| camera.preview.is_some()) {
            figure.picture {
                img id="picture" src={ "/preview/" (id) ".jpg" } alt=(t.preview_alt);
                p id="no-picture" hidden { (t.preview_none) }
                figcaption.small { (t.preview_note) }
            }
        }
    }
}

pub(super) fn camera_live(t: &Texts, report: &Report, id: &str) -> Markup {
    let Some(camera) = camera(report, id) else {
        return html! { p.card { (t.no_such_sensor) } p { a href="/sensors" { (t.back) } } };
    };
    html! {
        section.card { (card(t, camera)) }
        p { a href="/sensors" { (t.back) } }
    }
}

fn camera<'r>(report: &'r Report, id: &str) -> Option<&'r SensorReport> {
    let mut sensors = report.sensors.iter();
    sensors.find(|sensor| sensor.kind == "camera" && sensor.id == id)
}

fn card(t: &Texts, sensor: &SensorReport) -> Markup {
    let words = t.lang.say(&sensor.words);
    html! {
        h2 { (t.kind(sensor.kind)) " " (sensor.id) " " (badge(t, sensor.state)) }
        p.bad[sensor.state == State::Trouble] {
            (words) " " span.small { "(" (fill(t.since, t.duration(sensor.since_s))) ")" }
        }
        (facts(sensor.readings.iter().map(|metric| {
            let name = match t.lang { Lang::En => metric.en, Lang::Zh => metric.zh };
            (name, Some(html! { (reading(metric)) }))
        })))
        @if !sensor.lines.is_empty() {
            table {
                tr { th { (t.line) } th { (t.direction_in) } th { (t.direction_out) } }
                @for (id, sum) in &sensor.lines {
                    tr {
                        td { (id) (sides(t, sensor, id)) } td { (sum.inward) } td { (sum.outward) }
                    }
                }
            }
        }
    }
}

/// What is called `in` at a line.
fn sides(t: &Texts, sensor: &SensorReport, id: &str) -> Markup {
    let lines = sensor
        .preview
        .as_ref()
        .map_or(&[][..], |preview| preview.lines());
    let line = lines.iter().find(|line| line.id == id);
    html! {
        @if let Some(line) = line {
            span.small { " " (t.direction_in) ": " (fill(t.way_in, &line.left)) (fill(t.way_to, &line.right)) }
        }
    }
}

fn reading(metric: &Metric) -> String {
    match &metric.reading {
        Reading::Counter(counter) => counter.get().to_string(),
        Reading::Gauge(gauge) => {
            let value = gauge.get();
            if value.fract() == 0.0 {
                format!("{value:.0}")
            } else {
                format!("{value:.1}")
            }
        }
    }
}
