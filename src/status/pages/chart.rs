//! Today by quarter of an hour, as a picture the browser draws itself: in upwards, out downwards.

use maud::{Markup, html};

use crate::status::i18n::{Texts, fill};
use crate::status::report::Quarter;
use crate::status::tally::QUARTERS;

/// Height of each half, and width of a quarter, in the picture's own units; the page stretches it.
const HALF: f64 = 50.0;
const WIDTH: u32 = 4;

/// The chart; `now` is the quarter of this moment.
#[must_use]
pub fn chart(t: &Texts, quarters: &[Quarter], now: Option<u8>) -> Markup {
    let crossings = quarters
        .iter()
        .flat_map(|one| [one.sum.inward, one.sum.outward]);
    let most = crossings.max().unwrap_or(0);
    if most == 0 {
        return html! { p.small { (t.chart_empty) } };
    }
    let height = |crossings: u64| crossings as f64 / most as f64 * (HALF - 2.0);
    let width = u32::from(QUARTERS) * WIDTH;
    let view = format!("0 0 {width} {}", HALF * 2.0);
    html! {
        figure.chart {
            figcaption.small {
                span.key.in {} (t.chart_in) " " span.key.out {} (t.chart_out) " · " (fill(t.chart_most, most))
            }
            svg viewBox=(view) preserveAspectRatio="none" role="img" aria-label=(t.chart) {
                @for hour in [6, 12, 18] {
                    @let x = hour * 4 * WIDTH;
                    line.grid x1=(x) x2=(x) y1="0" y2=(HALF * 2.0) {}
                }
                @if let Some(now) = now {
                    rect.now x=(u32::from(now) * WIDTH) y="0" width=(WIDTH) height=(HALF * 2.0) {}
                }
                @for one in quarters {
                    @let x = f64::from(u32::from(one.number) * WIDTH) + 0.4;
                    @let (up, down) = (height(one.sum.inward), height(one.sum.outward));
                    g {
                        title {
                            (one.at) " · " (t.chart_in) " " (one.sum.inward) " · " (t.chart_out) " " (one.sum.outward)
                        }
                        rect.in x=(x) y=(format!("{:.1}", HALF - up)) width="3.2" height=(format!("{up:.1}")) {}
                        rect.out x=(x) y=(HALF) width="3.2" height=(format!("{down:.1}")) {}
                    }
                }
                line.axis x1="0" x2=(width) y1=(HALF) y2=(HALF) {}
            }
            div.hours.small aria-hidden="true" {
                @for hour in ["0", "6", "12", "18", "24"] { span { (hour) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::i18n::Lang;
    use crate::status::tally::InOut;

    #[test]
    fn the_fullest_quarter_reaches_the_edge_and_the_others_their_share() {
        let quarter = |number, inward, outward| Quarter {
            at: format!("{:02}:00", number / 4),
            sum: InOut { inward, outward },
            number,
        };
        let quarters = [quarter(40, 8, 4), quarter(44, 0, 2)];
        let svg = chart(Lang::En.texts(), &quarters, Some(44)).into_string();
        assert!(
            svg.contains(r#"<rect class="in" x="160.4" y="2.0" width="3.2" height="48.0">"#),
            "{svg}"
        );
        assert!(
            svg.contains(r#"<rect class="out" x="160.4" y="50" width="3.2" height="24.0">"#),
            "{svg}"
        );
        assert!(svg.contains("10:00 · in 8 · out 4"), "{svg}");
        let empty = chart(Lang::Zh.texts(), &[], None).into_string();
        assert!(!empty.contains("<svg"), "{empty}");
    }
}
