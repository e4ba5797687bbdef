//! The evaluation as one HTML file that needs nothing else: no script, no other file, no network.

mod chart;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Clock, Evaluation, Finding, Outcome, Score, Settings, Span, words};
use crate::event::Direction;

const STYLE: &str = include_str!("report.css");

/// What to say about one evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Report<'e> {
    pub evaluation: &'e Evaluation,
    pub clock: &'e Clock,
    pub spans: &'e [Span],
    pub settings: &'e Settings,
    pub notes: &'e [String],
    /// What was counted: the recording's or the file's name.
    pub subject: &'e str,
}

impl Report<'_> {
    /// The whole file.
    #[must_use]
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "How wrong are the counts? " (self.subject) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { "How wrong are the counts?" }
                    p.small { (self.subject) }
                    (self.numbers())
                    div.card { p { (words::sentence(&self.evaluation.total)) } (self.small_print()) }
                    div.card { h2 { "By line" } (self.table()) }
                    @for (span, line) in self.subjects() { (self.line(span, line)) }
                }
            }
        };
        page.into_string()
    }

    fn numbers(&self) -> Markup {
        let total = &self.evaluation.total;
        html! {
            div.numbers {
                div { span { "single mistakes" } b { (percent(total.error)) } }
                div { span { "sums are off by" } b { (percent(total.balanced)) } }
                div { span { "true crossings" } b { (total.truth) } }
            }
        }
    }

    fn small_print(&self) -> Markup {
        html! {
            p.small {
                "A count belongs to a hand-made label of the same line and direction that is at most "
                (self.settings.window as f64 / 1000.0) " s away. In the sums, somebody missed and somebody counted twice "
                "cancel; single mistakes never do."
            }
            @if let Some(accuracy) = self.evaluation.bucket_accuracy_percent {
                p.small { "The sums of every " (self.settings.bucket / 1000) " s are " (format!("{accuracy:.1}")) " % right." }
            }
            @for note in self.notes { p.small { (note) "." } }
        }
    }

    fn table(&self) -> Markup {
        let row = |way: &str, score: &Score| {
            html! {
                tr.way {
                    td { (way) }
                    td { (score.truth) }
                    td { (score.counted) }
                    td { (score.missed) }
                    td { (score.false_ones) }
                    td { (score.wrong_direction) }
                    td {
                        (percent(score.error))
                        @if let Some((low, high)) = score.interval { small { (format!("{low:.0}–{high:.0} %")) } }
                    }
                    td.wide { (percent(score.balanced)) }
                }
            }
        };
        html! {
            table.scores {
                tr {
                    th {} th { "true" } th { "counted" } th { "missed" } th { "false" } th { "wrong way" } th { "error" }
                    th.wide { "sums off" }
                }
                @for line in &self.evaluation.lines {
                    tr { th colspan="8" { (line.line) } }
                    (row("in", &line.inward))
                    (row("out", &line.outward))
                }
                tr { th colspan="8" { "all together" } }
                (row("", &self.evaluation.total))
            }
        }
    }

    /// Every line of every recording.
    fn subjects(&self) -> impl Iterator<Item = (&Span, &str)> {
        let lines = &self.evaluation.lines;
        let with_lines = |span| lines.iter().map(move |line| (span, line.line.as_str()));
        self.spans.iter().flat_map(with_lines)
    }

    fn line(&self, span: &Span, line: &str) -> Markup {
        let ours = |one: &&Finding| one.line == line && one.recording == span.recording;
        let findings: Vec<&Finding> = self.evaluation.findings.iter().filter(ours).collect();
        let mistakes: Vec<&&Finding> = findings
            .iter()
            .filter(|one| one.what != Outcome::Right)
            .collect();
        html! {
            div.card {
                h2 { (line) @if !span.recording.is_empty() { " · " (span.recording) } }
                (chart::legend())
                (chart::timeline(&findings, span, self.clock))
                div.curves {
                    @for (direction, name) in [(Direction::In, "in"), (Direction::Out, "out")] {
                        div {
                            h3 { "Added up, " (name) }
                            (chart::curves(&findings, span, self.clock, direction))
                        }
                    }
                }
                @if mistakes.is_empty() {
                    p { "No mistake." }
                } @else {
                    h3 { "Mistakes" }
                    table.words {
                        @for one in mistakes {
                            tr { td { (self.clock.show(one.at)) } td { (chart::words(one)) } }
                        }
                    }
                }
            }
        }
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} %"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Crossing, evaluate};

    #[test]
    fn the_report_shows_every_mistake_once_and_needs_no_other_file() {
        let crossing = |at: i64, direction| Crossing {
            at,
            recording: String::new(),
            line: "<door>".to_owned(),
            direction,
            class: None,
        };
        let truth = [
            crossing(5_000, Direction::In),
            crossing(20_000, Direction::In),
            crossing(40_000, Direction::Out),
        ];
        let counted = [
            crossing(5_500, Direction::In),
            crossing(30_000, Direction::Out),
            crossing(40_100, Direction::In),
        ];
        let spans = [Span {
            recording: String::new(),
            from: 0,
            to: 60_000,
        }];
        let settings = Settings {
            window: 2000,
            bucket: 60_000,
        };
        let evaluation = evaluate(&truth, &counted, &["<door>".to_owned()], &spans, &settings);
        let report = Report {
            evaluation: &evaluation,
            clock: &Clock::Recording,
            spans: &spans,
            settings: &settings,
            notes: &["a & b".to_owned()],
            subject: "shop.mp4",
        };
        let html = report.html();
        for mark in ["0:20.0", "0:30.0", "0:40.0"] {
            assert!(html.contains(&format!("<td>{mark}</td>")), "{mark}: {html}");
        }
        // One in the legend, one in the chart.
        for class in ["missed", "false", "turned"] {
            assert_eq!(
                html.matches(&format!("class=\"{class}\"")).count(),
                2,
                "{class}: {html}"
            );
        }
        assert!(
            html.contains("&lt;door&gt;")
                && !html.contains("<door>")
                && html.contains("a &amp; b.")
        );
        for outside in [
            "<script", "http:", "https:", "src=", "href=", "@import", "url(",
        ] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
