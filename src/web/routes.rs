//! Which path answers what, and the headers of every answer.
//!
//! Promises: the guard judges before a route is taken; every answer forbids what the page does not need.
//! Elsewhere: who may come (`web::guard`), commands (`web::api`), events (`web::feed`).
//! Spec: `proto-notes/web.md`, "Routes".

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::api::{Asked, COSTLY_MAX};
use super::feed::{Feed, From};
use super::guard::{Guard, Line, Refused, Said, Visitor};
use super::page;
use super::ring::Ring;
use super::setup::Commands;

/// The largest body: a line of a command in JSON.
const BODY_MAX_BYTES: usize = 8 * 1024;
/// Streams of events for this machine: more tabs than anybody has open.
pub(super) const STREAMS_HERE_MAX: usize = 16;
/// Streams of events for others: a class room.
pub(super) const STREAMS_ELSEWHERE_MAX: usize = 64;

/// Scripts, styles and requests of the page itself, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What all routes share.
pub(super) struct App {
    pub(super) guard: Guard,
    pub(super) ring: Arc<Ring>,
    pub(super) commands: Arc<dyn Commands>,
    streams_here: Arc<Semaphore>,
    streams_elsewhere: Arc<Semaphore>,
    costly: Arc<Semaphore>,
    request_max: Duration,
}

impl App {
    pub(super) fn new(guard: Guard, (ring, commands): (Arc<Ring>, Arc<dyn Commands>), request_max: Duration) -> Self {
        Self {
            guard,
            ring,
            commands,
            streams_here: Arc::new(Semaphore::new(STREAMS_HERE_MAX)),
            streams_elsewhere: Arc::new(Semaphore::new(STREAMS_ELSEWHERE_MAX)),
            costly: Arc::new(Semaphore::new(COSTLY_MAX)),
            request_max,
        }
    }
}

/// All routes. Each request carries its [`Line`] as an extension.
pub(super) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { page::INDEX.answer(&headers) }),
        )
        .route(
            "/page.js",
            get(|headers: HeaderMap| async move { page::SCRIPT.answer(&headers) }),
        )
        .route(
            "/page.css",
            get(|headers: HeaderMap| async move { page::STYLE.answer(&headers) }),
        )
        .route("/events", get(events))
        .route("/api/command", post(command))
        .route("/api/{*words}", get(question))
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), judge))
        .with_state(app)
}

/// Lets a request in, or not, and puts the headers on its answer.
async fn judge(
    State(app): State<Arc<App>>,
    Extension(line): Extension<Line>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let said = Said {
        changes: !matches!(*request.method(), Method::GET | Method::HEAD),
        path: &path,
        host: one(request.headers(), &HOST).filter(|_| request.uri().authority().is_none()),
        origin: text(request.headers(), &ORIGIN),
        site: text(request.headers(), &HeaderName::from_static("sec-fetch-site")),
        authorization: text(request.headers(), &AUTHORIZATION),
        content_type: text(request.headers(), &CONTENT_TYPE),
    };
    let mut answer = match app.guard.judge(line, said) {
        Ok(visitor) => {
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        Err(refused) if path == "/" => {
            let text = format!("{}\n{}\n", refused.message, refused.hint);
            let mut answer = refused.into_response();
            *answer.body_mut() = Body::from(text);
            answer
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            answer
        }
        Err(refused) => refused.into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// A header that stands there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then(|| first.to_str().ok())?
}

/// A header as text. One that is no text, or stands there twice, counts as wrong, not as missing.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.contains_key(name).then(|| one(headers, name).unwrap_or("?"))
}

async fn events(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let places = if visitor.is_here {
        &app.streams_here
    } else {
        &app.streams_elsewhere
    };
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        return Refused::new(
            503,
            "too_many_streams",
            "too many pages of this node are open",
            "close one of them, then load this one again",
        )
        .into_response();
    };
    let last = text(&headers, &HeaderName::from_static("last-event-id"));
    let feed = Feed::new(&app.ring, &From::read(last, query.as_deref()), visitor, place);
    let media = (CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    ([media], feed.into_body()).into_response()
}

async fn question(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Path(words): Path<String>,
) -> Response {
    match Asked::by_path(&words, visitor) {
        Ok(asked) => answer(&app, asked, visitor).await,
        Err(refused) => refused.into_response(),
    }
}

async fn answer(app: &App, asked: Asked, visitor: Visitor) -> Response {
    asked
        .answer(&*app.commands, (&app.costly, app.request_max), visitor)
        .await
}

async fn command(State(app): State<Arc<App>>, Extension(visitor): Extension<Visitor>, request: Request) -> Response {
    let body = match timeout(app.request_max, to_bytes(request.into_body(), BODY_MAX_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let message = format!("a command has at most {BODY_MAX_BYTES} bytes");
            return Refused::new(413, "line_too_long", message, "send a shorter line").into_response();
        }
        Err(_) => {
            return Refused::new(408, "timeout", "the command did not come in time", "send it again").into_response();
        }
    };
    match Asked::by_body(&body) {
        Ok(asked) => answer(&app, asked, visitor).await,
        Err(refused) => refused.into_response(),
    }
}

async fn nothing() -> Response {
    Refused::new(404, "unknown_path", "there is nothing at this path", "open /").into_response()
}
