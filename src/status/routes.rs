//! Every address the daemon answers, who may ask for it, and the headers of every answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use maud::Markup;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::auth::{self, Entry};
use super::i18n::{self, Lang, fill};
use super::listener::Peer;
use super::pages::{self, Page};
use super::{Site, api, live, metrics};

/// A PIN has 64 characters at most.
const LARGEST_BODY: usize = 1024;
/// How long a request waits for the camera's next picture; a camera may analyse one in five seconds.
const PICTURE_PATIENCE: Duration = Duration::from_secs(6);
/// Scripts, styles, pictures and requests only from here; frames, plugins and everything else not at all.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";

/// Whom an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Everybody,
    /// People: who may not see it is sent to the login.
    Page,
    /// What a page loads: who may not have it is told so.
    Part,
    /// Programs on the box, and who is logged in.
    Api,
    Metrics,
}

impl Audience {
    fn of(path: &str) -> Self {
        match path {
            "/healthz" | "/readyz" | "/login" | "/page.css" | "/page.js" | "/icon.svg" => {
                Self::Everybody
            }
            "/metrics" => Self::Metrics,
            "/live" => Self::Part,
            path if path.starts_with("/preview/") => Self::Part,
            path if path.starts_with("/api/") => Self::Api,
            _ => Self::Page,
        }
    }
}

/// The visitor's language, found out once for each request.
#[derive(Clone, Copy)]
struct Visitor(Lang);

#[derive(Deserialize)]
struct LangQuery {
    lang: Option<String>,
}

/// The router.
pub(super) fn routes(site: Arc<Site>) -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let css = include_str!("files/page.css");
    let script = include_str!("files/page.js");
    Router::new()
        .route("/", get(page))
        .route("/sensors", get(page))
        .route("/camera/{id}", get(page))
        .route("/cloud", get(page))
        .route("/box", get(page))
        .route("/live", get(live_updates))
        .route("/preview/{id}", get(preview))
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .route("/api/v1/status", get(status))
        .route("/api/v1/diagnostics", get(diagnostics))
        .route("/api/v1/openapi.json", get(async || Json(api::openapi())))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/page.css", asset("text/css; charset=utf-8", css))
        .route("/page.js", asset("text/javascript; charset=utf-8", script))
        .route(
            "/icon.svg",
            asset("image/svg+xml", include_str!("files/icon.svg")),
        )
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(site)
}

/// Lets a request through or not, and puts the headers on the answer.
async fn guard(
    State(site): State<Arc<Site>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let query = Query::<LangQuery>::try_from_uri(request.uri());
    let chosen = query.ok().and_then(|Query(query)| query.lang);
    let lang = Lang::of(chosen.as_deref(), request.headers());
    request.extensions_mut().insert(Visitor(lang));
    let on_the_box = auth::on_the_box(peer, request.headers());
    let refusal = refusal(&site, on_the_box, &request);
    let mut response = match refusal {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers would then hide from us that a form is our own (Fetch, "append a request
        // `Origin` header"). Other sites learn nothing either way.
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if chosen.as_deref().and_then(Lang::from_tag).is_some() {
        let cookie = format!(
            "{}={}; Path=/; SameSite=Strict; Max-Age=31536000",
            i18n::COOKIE,
            lang.tag()
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// The answer to a request that is not let through.
fn refusal(site: &Site, on_the_box: bool, request: &Request) -> Option<Response> {
    let (method, headers) = (request.method(), request.headers());
    if method != Method::GET && method != Method::HEAD && !auth::same_origin(headers) {
        let why = "this did not come from the page itself (the Origin header is missing or another one)\n";
        return Some((StatusCode::FORBIDDEN, why).into_response());
    }
    let audience = Audience::of(request.uri().path());
    let allowed = match audience {
        Audience::Everybody => true,
        Audience::Metrics if site.gate.metrics_open() => true,
        Audience::Api | Audience::Metrics if on_the_box => true,
        _ if !site.gate.asks() => on_the_box,
        audience => site.gate.knows(headers, audience != Audience::Part),
    };
    if allowed {
        return None;
    }
    Some(match audience {
        _ if !site.gate.asks() => (
            StatusCode::FORBIDDEN,
            "without a PIN the page is shown on the box itself only: run footfall status pin, or open it at localhost\n",
        )
            .into_response(),
        Audience::Page => Redirect::to("/login").into_response(),
        _ => (StatusCode::UNAUTHORIZED, "log in at /login first\n").into_response(),
    })
}

fn html(status: StatusCode, markup: Markup) -> Response {
    (status, [(header::CONTENT_TYPE, HTML)], markup.into_string()).into_response()
}

async fn page(
    State(site): State<Arc<Site>>,
    Extension(Visitor(lang)): Extension<Visitor>,
    request: Request,
) -> Response {
    match Page::at(request.uri().path()) {
        Some(page) => {
            let report = site.sources.report();
            html(
                StatusCode::OK,
                pages::whole(&page, lang.texts(), &report, site.gate.asks()),
            )
        }
        None => not_found(Extension(Visitor(lang))).await,
    }
}

async fn not_found(Extension(Visitor(lang)): Extension<Visitor>) -> Response {
    html(StatusCode::NOT_FOUND, pages::not_found(lang.texts()))
}

#[derive(Deserialize)]
struct LiveQuery {
    at: String,
}

async fn live_updates(
    State(site): State<Arc<Site>>,
    Extension(Visitor(lang)): Extension<Visitor>,
    Query(query): Query<LiveQuery>,
    headers: HeaderMap,
) -> Response {
    let Some(page) = Page::at(&query.at) else {
        return (StatusCode::NOT_FOUND, "no such page\n").into_response();
    };
    match Arc::clone(&site.live).try_acquire_owned() {
        Ok(permit) => live::updates(site, page, lang, headers, permit).into_response(),
        Err(_) => busy("too many pages are open; close one\n"),
    }
}

fn busy(why: &'static str) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "5")],
        why,
    )
        .into_response()
}

async fn preview(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Response {
    let cell = site.sources.sensors.faces().into_iter().find_map(|face| {
        let here = face.kind == "camera" && id.strip_suffix(".jpg") == Some(face.id.as_str());
        face.preview.filter(|_| here)
    });
    let Some(cell) = cell else {
        return (StatusCode::NOT_FOUND, "no such camera\n").into_response();
    };
    let mut stop = site.stop.clone();
    let picture = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => None,
        picture = cell.next(PICTURE_PATIENCE) => picture,
    };
    match picture {
        Some(jpeg) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg.to_vec()).into_response(),
        None => busy("the camera gives no picture\n"),
    }
}

async fn login_form(
    State(site): State<Arc<Site>>,
    Extension(Visitor(lang)): Extension<Visitor>,
) -> Response {
    if !site.gate.asks() {
        return Redirect::to("/").into_response();
    }
    html(StatusCode::OK, pages::login(lang.texts(), None))
}

#[derive(Deserialize)]
struct LoginForm {
    pin: String,
}

async fn login(
    State(site): State<Arc<Site>>,
    Extension(Visitor(lang)): Extension<Visitor>,
    Form(form): Form<LoginForm>,
) -> Response {
    let texts = lang.texts();
    let (status, why) = match site.gate.enter(Zeroizing::new(form.pin)).await {
        Entry::In(token) => {
            let cookie = [(header::SET_COOKIE, auth::cookie(&token))];
            return (cookie, Redirect::to("/")).into_response();
        }
        Entry::Wrong(left) => (StatusCode::UNAUTHORIZED, fill(texts.login_wrong, left)),
        Entry::Locked(time) => {
            let time = texts.duration(time.as_secs().max(1));
            (
                StatusCode::TOO_MANY_REQUESTS,
                fill(texts.login_locked, time),
            )
        }
        Entry::NoPin(words) => (StatusCode::SERVICE_UNAVAILABLE, lang.say(&words).to_owned()),
    };
    html(status, pages::login(texts, Some(&why)))
}

async fn logout(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    site.gate.leave(&headers);
    (
        [(header::SET_COOKIE, auth::no_cookie())],
        Redirect::to("/login"),
    )
        .into_response()
}

async fn status(State(site): State<Arc<Site>>) -> Response {
    Json(site.sources.report()).into_response()
}

async fn diagnostics(State(site): State<Arc<Site>>) -> Response {
    let Some(collect) = site.diagnostics.clone() else {
        return (StatusCode::NOT_FOUND, "this box collects no diagnostics\n").into_response();
    };
    let Ok(_one) = site.collecting.try_acquire() else {
        return busy("a bundle is being collected\n");
    };
    let name = format!("footfall-{}.tar.gz", site.sources.identity.box_id);
    match tokio::task::spawn_blocking(move || collect()).await {
        Ok(Ok(bundle)) => {
            let disposition = format!("attachment; filename=\"{name}\"");
            let headers = [
                (header::CONTENT_TYPE, "application/gzip".to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
            ];
            (headers, bundle).into_response()
        }
        Ok(Err(why)) => {
            let why = format!("the bundle cannot be made: {why}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        }
        Err(_) => busy("try again\n"),
    }
}

async fn metrics_text(State(site): State<Arc<Site>>) -> Response {
    let text = site.sources.metrics();
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn ready(State(site): State<Arc<Site>>) -> Response {
    let report = site.sources.report();
    if report.ready {
        return "ready\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        report.not_ready.join("\n") + "\n",
    )
        .into_response()
}
