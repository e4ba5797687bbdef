//! The pages: plain HTML, fit for a phone. Each has a live part, which is rendered the same way when it is pushed.

mod chart;
mod cloud;
mod machine;
mod overview;
mod sensors;

use maud::{DOCTYPE, Markup, html};

use super::i18n::{Lang, Texts};
use super::report::Report;
use crate::sensor::State;

/// A page of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    Overview,
    Sensors,
    Camera(String),
    Cloud,
    Machine,
}

/// The pages in the navigation.
const TABS: [Page; 4] = [Page::Overview, Page::Sensors, Page::Cloud, Page::Machine];

impl Page {
    /// The page at an address.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Overview,
            "/sensors" => Self::Sensors,
            "/cloud" => Self::Cloud,
            "/box" => Self::Machine,
            path => Self::Camera(path.strip_prefix("/camera/")?.to_owned()),
        })
    }

    fn path(&self) -> String {
        match self {
            Self::Overview => "/".to_owned(),
            Self::Sensors => "/sensors".to_owned(),
            Self::Camera(id) => format!("/camera/{id}"),
            Self::Cloud => "/cloud".to_owned(),
            Self::Machine => "/box".to_owned(),
        }
    }

    fn title<'t>(&'t self, t: &'t Texts) -> &'t str {
        match self {
            Self::Overview => t.overview,
            Self::Sensors => t.sensors,
            Self::Camera(id) => id,
            Self::Cloud => t.cloud,
            Self::Machine => t.machine,
        }
    }

    /// The part that changes while somebody looks.
    #[must_use]
    pub fn live(&self, t: &Texts, report: &Report) -> Markup {
        match self {
            Self::Overview => overview::live(t, report),
            Self::Sensors => sensors::live(t, report),
            Self::Camera(id) => sensors::camera_live(t, report, id),
            Self::Cloud => cloud::live(t, report),
            Self::Machine => machine::live(t, report),
        }
    }

    /// The part that does not.
    fn still(&self, t: &Texts, report: &Report) -> Markup {
        match self {
            Self::Camera(id) => sensors::camera_still(t, report, id),
            Self::Machine => machine::still(t),
            _ => html! {},
        }
    }
}

/// A whole page; `may_leave` tells whether there is a session to end.
#[must_use]
pub fn whole(page: &Page, t: &Texts, report: &Report, may_leave: bool) -> Markup {
    let here =
        |tab: &Page| tab == page || (*tab == Page::Sensors && matches!(page, Page::Camera(_)));
    let head = html! {
        noscript { meta http-equiv="refresh" content="5"; }
        script src="/page.js" defer {}
    };
    let body = html! {
        header {
            strong { (report.box_id) }
            (other_language(t))
            @if may_leave {
                form method="post" action="/logout" { button { (t.logout) } }
            }
        }
        nav {
            @for tab in &TABS {
                a href=(tab.path()) aria-current=[here(tab).then_some("page")] { (tab.title(t)) }
            }
        }
        main {
            (page.still(t, report))
            div id="live" { (page.live(t, report)) }
        }
    };
    document(
        t,
        &format!("{} · {}", page.title(t), report.box_id),
        &head,
        &body,
    )
}

/// The login; `why` says what was wrong with the last attempt.
#[must_use]
pub fn login(t: &Texts, why: Option<&str>) -> Markup {
    let body = html! {
        header { strong { "footfall" } (other_language(t)) }
        main.narrow {
            form.card method="post" action="/login" {
                h1 { (t.login_title) }
                @if let Some(why) = why { p.bad role="alert" { (why) } }
                // For password managers, which keep a PIN only together with a name.
                input name="user" value="technician" autocomplete="username" hidden;
                label for="pin" { (t.login_pin) }
                input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="current-password"
                    maxlength="64" required autofocus;
                button.main { (t.login_button) }
                p.small { (t.login_forgotten) }
            }
        }
    };
    document(t, t.login_title, &html! {}, &body)
}

/// For an address that leads nowhere.
#[must_use]
pub fn not_found(t: &Texts) -> Markup {
    let body = html! {
        main.narrow { p { (t.not_found) } p { a href="/" { (t.overview) } } }
    };
    document(t, t.not_found, &html! {}, &body)
}

fn document(t: &Texts, title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(t.lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="/icon.svg";
                link rel="stylesheet" href="/page.css";
                (head)
            }
            body { (body) }
        }
    }
}

fn other_language(t: &Texts) -> Markup {
    let other = match t.lang {
        Lang::En => Lang::Zh,
        Lang::Zh => Lang::En,
    };
    html! {
        a.language href={ "?lang=" (other.tag()) } lang=(other.tag()) { (t.other_language) }
    }
}

/// A sensor's state as a badge.
fn badge(t: &Texts, state: State) -> Markup {
    let (class, words) = match state {
        State::Ok => ("ok", t.state_ok),
        State::Starting => ("wait", t.state_starting),
        State::Trouble => ("bad", t.state_trouble),
    };
    html! { span.badge.(class) { (words) } }
}

/// A list of facts: what, and how it is. Facts without a value are left out.
fn facts<'f>(all: impl IntoIterator<Item = (&'f str, Option<Markup>)>) -> Markup {
    html! {
        dl {
            @for (name, value) in all {
                @if let Some(value) = value {
                    div { dt { (name) } dd { (value) } }
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_found_at_its_own_address() {
        for page in TABS.into_iter().chain([Page::Camera("door".into())]) {
            assert_eq!(Page::at(&page.path()), Some(page));
        }
        assert_eq!(Page::at("/nowhere"), None);
    }

    #[test]
    fn what_comes_from_outside_is_text_and_never_markup() {
        let page = login(Lang::En.texts(), Some("<script>alert(1)</script>")).into_string();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
    }
}
