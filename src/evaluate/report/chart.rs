//! Pictures that the browser draws itself. Places along the time are shares of the width, so that a phone gets the same
//! text size as a wide screen.

use std::fmt::Write;

use maud::{Markup, html};

use crate::evaluate::{Clock, Finding, Outcome, Span, direction_name};
use crate::event::Direction;

/// Crossings in one row of the timeline, about; more begin a new one.
const PER_ROW: usize = 40;
const MOST_ROWS: usize = 24;
/// Beyond so many crossings of one line only the mistakes are drawn.
const MOST_MARKS: usize = 3000;
/// Lengths between two ticks, seconds.
const TICKS: [i64; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];

/// What the marks mean.
pub fn legend() -> Markup {
    let kinds = [
        (Outcome::Right, "counted right"),
        (Outcome::Missed, "missed"),
        (Outcome::False, "counted, nobody crossed"),
        (Outcome::WrongDirection, "counted the wrong way"),
    ];
    html! {
        div.legend.small {
            @for (what, words) in kinds {
                span { svg viewBox="-7 -7 14 14" aria-hidden="true" { (shape(what)) } (words) }
            }
        }
    }
}

/// One mistake under its line's heading.
pub fn words(one: &Finding) -> String {
    let direction = direction_name(one.direction);
    match one.what {
        Outcome::Right => format!("{direction}, counted right"),
        Outcome::Missed => format!("missed: somebody went {direction}"),
        Outcome::False => format!("false: counted {direction}, nobody crossed"),
        Outcome::WrongDirection => format!("wrong way: went {direction}, counted the other way"),
    }
}

/// A mark around the origin; told apart by its shape too, not by colour alone.
fn shape(what: Outcome) -> Markup {
    match what {
        Outcome::Right => html! { circle.right r="4" {} },
        Outcome::Missed => html! { path.missed d="M-5-5L5 5M-5 5L5-5" {} },
        Outcome::False => html! { path.false d="M0-6L6 5H-6Z" {} },
        Outcome::WrongDirection => html! { path.turned d="M0-6L6 0L0 6L-6 0Z" {} },
    }
}

/// Every crossing at its time: in above, out below, in as many rows as it takes to tell them apart.
pub fn timeline(findings: &[&Finding], span: &Span, clock: &Clock) -> Markup {
    let drawn = |one: &&&Finding| findings.len() <= MOST_MARKS || one.what != Outcome::Right;
    let mut findings: Vec<&&Finding> = findings.iter().filter(drawn).collect();
    // What is wrong lies on top.
    findings.sort_by_key(|one| one.what != Outcome::Right);
    let rows = findings.len().div_ceil(PER_ROW).clamp(1, MOST_ROWS) as i64;
    let length = ((span.to - span.from).max(1000) + rows - 1) / rows;
    html! {
        @for row in 0..rows {
            @let from = span.from + row * length;
            @let to = (from + length).min(span.to.max(from + 1));
            @let last = row + 1 == rows;
            @let place = |at: i64| share(at - from, length);
            div.lanes {
                svg width="100%" height="72" role="img" aria-label={ "crossings from " (clock.show(from)) " to " (clock.show(to)) } {
                    @for tick in ticks(from, from + length) {
                        line.grid x1=(place(tick)) x2=(place(tick)) y1="0" y2="52" {}
                        text x=(place(tick)) y="68" text-anchor="middle" { (clock.show_short(tick)) }
                    }
                    line.axis x1="0" x2="100%" y1="26" y2="26" {}
                    text.lane x="-28" y="17" { "in" }
                    text.lane x="-28" y="43" { "out" }
                    @for one in findings.iter().filter(|one| {
                        let at = one.at.clamp(span.from, span.to);
                        at >= from && (at < from + length || last)
                    }) {
                        @let lane = if one.direction == Direction::In { "13" } else { "39" };
                        svg x=(place(one.at)) y=(lane) width="1" height="1" {
                            (shape(one.what))
                            title { (clock.show(one.at)) " " (words(one)) }
                        }
                    }
                }
            }
        }
    }
}

/// Counted against true crossings in one direction, added up over the time.
pub fn curves(findings: &[&Finding], span: &Span, clock: &Clock, direction: Direction) -> Markup {
    let mut truth = Vec::new();
    let mut counted = Vec::new();
    for one in findings {
        if one.true_direction() == Some(direction) {
            truth.push(one.at);
        }
        if one.counted_direction() == Some(direction) {
            counted.push(one.counted_at.unwrap_or(one.at));
        }
    }
    counted.sort_unstable();
    let most = truth.len().max(counted.len()).max(1);
    let curve = |times: &[i64]| {
        let mut path = String::from("M0 100");
        for (number, &at) in (1..).zip(times) {
            let x = 1000.0 * (at - span.from) as f64 / (span.to - span.from).max(1) as f64;
            // Writing to a string cannot fail.
            let _ = write!(path, "H{:.1}", x.clamp(0.0, 1000.0));
            let _ = write!(
                path,
                "V{:.1}",
                100.0 - 100.0 * f64::from(number) / most as f64
            );
        }
        path.push_str("H1000");
        path
    };
    html! {
        p.small { "dashed: true " (truth.len()) " · line: counted " (counted.len()) }
        div.lanes {
            svg width="100%" height="120" role="img" aria-label={ (truth.len()) " true, " (counted.len()) " counted" } {
                line.axis x1="0" x2="100%" y1="100" y2="100" {}
                line.grid x1="0" x2="100%" y1="0" y2="0" {}
                svg y="0" width="100%" height="100" viewBox="0 0 1000 100" preserveAspectRatio="none" {
                    path class="curve counted" d=(curve(&counted)) {}
                    path class="curve true" d=(curve(&truth)) {}
                }
                text x="-6" y="5" text-anchor="end" { (most) }
                text x="0" y="116" { (clock.show_short(span.from)) }
                text x="100%" y="116" text-anchor="end" { (clock.show_short(span.to)) }
            }
        }
    }
}

/// Round moments between two, six or so; on a wall clock they are round in UTC, which is round enough.
fn ticks(from: i64, to: i64) -> impl Iterator<Item = i64> {
    let seconds = (to - from) / 1000;
    let step = TICKS.into_iter().find(|step| seconds / step <= 6);
    let step = step.unwrap_or(seconds / 6).max(1) * 1000;
    let first = from.div_euclid(step) * step;
    (0..8)
        .map(move |n| first + n * step)
        .filter(move |tick| (from..=to).contains(tick))
}

fn share(at: i64, of: i64) -> String {
    format!(
        "{:.2}%",
        (100.0 * at as f64 / of.max(1) as f64).clamp(0.0, 100.0)
    )
}
