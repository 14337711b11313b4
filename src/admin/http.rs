//! The admin address: a small HTTP server for probes and scrapes. Everything about it is bounded, so that nobody who
//! reaches it can take the proxy's memory or file handles; it answers what the rooms beside it decide.

use super::backlog::{AskedBacklog, backlog};
use super::lag::{AskedLag, lag};
use super::limits::{AskedRate, LimitRow, limits, set_rate};
use super::operator::{Operator, Peer};
use super::outlook::{AskedRecord, live};
use super::readiness::{Readiness, Ready};
use super::sheet::Sheet;
use super::tables::{self, View};
use super::tokens::{AskedTokens, tokens};
use crate::config::written;
use crate::telemetry::{Seldom, Telemetry};
use crate::wire::pieces::record_bytes_copied;
use axum::body::Body;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// What a client of the admin address may take.
#[derive(Clone, Copy)]
struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    connections: usize,
    /// A request's line and headers together.
    head_bytes: usize,
    /// For a request's head to come in whole, and so also for the next request of a kept connection.
    head_wait: Duration,
    /// After this a connection ends with its current answer: one that is never read, or never idle, does not stay.
    connection_life: Duration,
    /// For a current answer to be written once its connection is to end.
    last_answer: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    head_bytes: 16 * 1024,
    head_wait: Duration::from_secs(30),
    connection_life: Duration::from_secs(120),
    last_answer: Duration::from_secs(2),
};

/// What the answers are made of.
#[derive(Clone)]
pub struct AdminState {
    /// What `/metrics` shows.
    pub telemetry: Arc<Telemetry>,
    /// What `/readyz` says.
    pub readiness: Arc<Readiness>,
    /// What the tables are made of; not there before it listens.
    pub view: Arc<OnceLock<View>>,
}

/// Serves until `shutdown` resolves, then closes what is open and returns. Call [`Readiness::shutting_down`] some time
/// before that, so that probes see it.
pub async fn serve(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, router(state), shutdown).await;
}

async fn serve_within(limits: Limits, listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let seldom = Seldom::new(Duration::from_secs(60));
    let (ending, end) = watch::channel(false);
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let router = router.clone().layer(Extension(Peer(peer)));
                    let served = connection(stream, router, limits, end.clone());
                    tokio::spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Most often no file handle is left. It may pass, and must not become a busy loop.
                    if let Some(held_back) = seldom.pass(()) {
                        tracing::warn!(
                            %error, held_back,
                            "cannot accept admin connections, trying again; is the limit of open files reached?"
                        );
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    ending.send_replace(true);
    drop(listener);
    drop(end);
    if timeout(limits.last_answer, ending.closed()).await.is_err() {
        tracing::debug!("admin connections were cut at shutdown");
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, mut end: watch::Receiver<bool>) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_wait)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let over = async {
        tokio::select! {
            () = sleep(limits.connection_life) => {}
            _ = end.wait_for(|ending| *ending) => {}
        }
    };
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = over => {
            served.as_mut().graceful_shutdown();
            timeout(limits.last_answer, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an admin connection failed");
    }
}

fn router(state: AdminState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/api/v1/config", get(config))
        .route("/api/v1/topics", get(topics))
        .route("/api/v1/groups", get(groups))
        .route("/api/v1/clients", get(clients))
        .route("/api/v1/tokens", get(top_tokens))
        .route("/api/v1/lag", get(all_lag))
        .route("/api/v1/backlog", get(who_is_behind))
        .route("/api/v1/limits", get(all_limits).post(another_rate))
        .route("/api/v1/explain", post(explain_record))
        .fallback(what_exists)
        .layer(Extension(Sheet::default()))
        .with_state(state)
}

async fn metrics(State(state): State<AdminState>, Extension(sheet): Extension<Sheet>) -> Response {
    const FORMAT: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    state.telemetry.record_bytes_copied(record_bytes_copied());
    match state.telemetry.render() {
        Ok(rendered) => {
            // Tens of MiB where there are many groups: not on a thread that carries clients.
            let written = spawn_blocking(move || {
                sheet.write(|text| {
                    text.push_str(&rendered);
                    if let Some(view) = state.view.get() {
                        view.lag.write(text);
                    }
                })
            });
            match written.await {
                Ok(page) => (FORMAT, Body::from(page)).into_response(),
                Err(error) => unwritten(&error),
            }
        }
        Err(error) => unwritten(&error),
    }
}

fn unwritten(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "metrics cannot be written: a mistake in Fishplate; this scrape gets none");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, String) {
    let ready = state.readiness.ready();
    let status = match ready {
        Ready::Yes { .. } => StatusCode::OK,
        Ready::Waiting { .. } | Ready::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{ready}\n"))
}

/// How many rows are wanted.
#[derive(Deserialize)]
struct Rows {
    limit: Option<usize>,
}

/// The answer as JSON, once there is something to look at.
fn look<A: Serialize>(state: &AdminState, make: impl FnOnce(&View) -> A) -> Response {
    match state.view.get() {
        Some(view) => Json(make(view)).into_response(),
        None => starting(),
    }
}

fn starting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "starting: try again soon\n").into_response()
}

async fn config(State(state): State<AdminState>) -> Response {
    look(&state, |view| written(&view.current.load().config))
}

async fn topics(State(state): State<AdminState>, Query(rows): Query<Rows>) -> Response {
    look(&state, |view| tables::topics(view, rows.limit.unwrap_or(tables::ROWS)))
}

async fn clients(State(state): State<AdminState>, Query(rows): Query<Rows>) -> Response {
    look(&state, |view| tables::clients(view, rows.limit.unwrap_or(tables::ROWS)))
}

async fn groups(State(state): State<AdminState>, Query(rows): Query<Rows>) -> Response {
    match state.view.get() {
        Some(view) => Json(tables::groups(view, rows.limit.unwrap_or(tables::ROWS)).await).into_response(),
        None => starting(),
    }
}

/// Those who speak most. An operator who sees tokens leaves a line in the log.
async fn top_tokens(
    State(state): State<AdminState>,
    operator: Result<Operator, <Operator as FromRequestParts<AdminState>>::Rejection>,
    Query(asked): Query<AskedTokens>,
) -> Response {
    if let Err(refused) = reveals(asked.reveal, operator, &asked.pipeline) {
        return refused;
    }
    let Some(view) = state.view.get() else { return starting() };
    match tokens(view, &asked, Instant::now()) {
        Ok(tokens) => Json(tokens).into_response(),
        Err(unknown) => (StatusCode::BAD_REQUEST, format!("{unknown}\n")).into_response(),
    }
}

async fn all_lag(State(state): State<AdminState>, Query(asked): Query<AskedLag>) -> Response {
    let looked = spawn_blocking(move || look(&state, |view| lag(view, &asked)));
    looked.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Whose records a group has not dealt with. An operator who sees tokens leaves a line in the log.
async fn who_is_behind(
    State(state): State<AdminState>,
    operator: Result<Operator, <Operator as FromRequestParts<AdminState>>::Rejection>,
    Query(asked): Query<AskedBacklog>,
) -> Response {
    if let Err(refused) = reveals(asked.reveal, operator, &asked.topic) {
        return refused;
    }
    let Some(view) = state.view.get() else { return starting() };
    match backlog(view, &asked).await {
        Ok(told) => Json(told).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

/// Whether tokens may be shown, where that is asked for.
fn reveals(
    asked: bool,
    operator: Result<Operator, <Operator as FromRequestParts<AdminState>>::Rejection>,
    of: &str,
) -> Result<(), Response> {
    if asked {
        let Operator(peer) = operator.map_err(IntoResponse::into_response)?;
        tracing::info!(%peer, of, "tokens are shown to an operator");
    }
    Ok(())
}

/// Of which pipeline.
#[derive(Deserialize)]
struct Of {
    pipeline: Option<String>,
}

async fn all_limits(State(state): State<AdminState>, Query(of): Query<Of>) -> Response {
    look(&state, |view| {
        let rows: Vec<LimitRow> = limits(view, of.pipeline.as_deref());
        tables::Table { total: rows.len(), rows }
    })
}

/// A rate until the next reload.
async fn another_rate(
    State(state): State<AdminState>,
    Operator(peer): Operator,
    Json(asked): Json<AskedRate>,
) -> Response {
    let Some(view) = state.view.get() else { return starting() };
    match set_rate(view, &asked, peer) {
        Ok(set) => Json(set).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

/// Asked in a body, since a token stands in no address. It changes nothing, and shows nothing that the asker did not know but
/// what its key has left.
async fn explain_record(State(state): State<AdminState>, Json(asked): Json<AskedRecord>) -> Response {
    look(&state, |view| live(view, &asked))
}

async fn what_exists() -> (StatusCode, &'static str) {
    const TEXT: &str = "Not found. Here are:
  /metrics   counters, gauges and histograms in Prometheus' text format
  /healthz   200 while the process lives
  /readyz    200 when this replica should be given traffic, else 503 and the reason
  /api/v1/config    the config in force, as a file
  /api/v1/topics    topics, and where each lives (?limit=N here and below)
  /api/v1/groups    consumer groups, asked of the clusters
  /api/v1/clients   who is connected
  /api/v1/tokens    who speaks most in a pipeline (?pipeline=P, by=records, bytes, diverted or held, window=1m or 10m, key=header(token), limit=N, reveal=true)
  /api/v1/lag       how far groups are behind, the worst first (?group=G, pipeline=P, topic=T, limit=N)
  /api/v1/backlog   whose records a group has not dealt with (?group=G, topic=T, partition=N, key=header(token), limit=N, reveal=true)
  /api/v1/limits    limits as they are in force (?pipeline=P); POST pipeline, limit, rate, perhaps token, burst: another rate until the next reload
  /api/v1/explain   POST topic, perhaps headers (a list of pairs), key, client_id: what contract and limits would make of such a record
";
    (StatusCode::NOT_FOUND, TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    struct Admin {
        address: SocketAddr,
        state: AdminState,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn admin() -> Admin {
        admin_within(LIMITS).await
    }

    async fn admin_within(limits: Limits) -> Admin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let readiness = Arc::new(Readiness::new(["a".into()]));
        let state = AdminState { telemetry, readiness, view: Arc::default() };
        let (stop, stopped) = oneshot::channel();
        let serving = serve_within(limits, listener, router(state.clone()), async { drop(stopped.await) });
        Admin { address, state, stop, task: tokio::spawn(serving) }
    }

    /// The whole answer, with its head, to a request whose head is `lines`.
    async fn ask(address: SocketAddr, lines: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{lines}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_and_scrapes_are_answered() {
        let admin = admin().await;
        let get = |path: &'static str| async move { ask(admin.address, &format!("GET {path} HTTP/1.1")).await };
        assert!(get("/healthz").await.starts_with("HTTP/1.1 200 "));
        let waiting = get("/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503 ") && waiting.contains("metadata of: a"), "{waiting}");
        admin.state.readiness.answered(&"a".into());
        assert!(get("/readyz").await.starts_with("HTTP/1.1 200 "));
        admin.state.readiness.shutting_down();
        assert!(get("/readyz").await.ends_with("not ready: shutting down\n"));
        let metrics = get("/metrics").await;
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("\nfishplate_build_info{version="), "{metrics}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_answered_with_what_is() {
        let admin = admin().await;
        let answer = ask(admin.address, "GET /metric HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        for path in ["/metrics", "/healthz", "/readyz", "/api/v1/topics"] {
            assert!(answer.contains(&format!("  {path} ")), "{answer}");
        }
        assert!(ask(admin.address, "POST /metrics HTTP/1.1").await.starts_with("HTTP/1.1 405 "));
    }

    #[tokio::test]
    async fn tokens_are_shown_to_nobody_who_comes_by_a_name() {
        let admin = admin().await;
        let get = async |rest: &str| {
            let line = format!("GET /api/v1/tokens?pipeline=p&reveal={rest} HTTP/1.1");
            let answer = ask(admin.address, &line).await;
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        // A host that is no address, as of a page that had its name lead here; masks are everybody's
        assert_eq!((get("true").await.as_str(), get("false").await.as_str()), ("403", "503"), "it has not started yet");
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        let line = "GET /api/v1/tokens?pipeline=p&reveal=true HTTP/1.0\r\nhost: 127.0.0.1:9644\r\n\r\n";
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 503 "), "{answer}");
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let admin = admin().await;
        let answer =
            ask(admin.address, &format!("GET /healthz HTTP/1.1\r\nx: {}", "y".repeat(LIMITS.head_bytes))).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn connections_that_say_nothing_cannot_keep_others_out_for_ever() {
        let admin = admin_within(Limits { connections: 2, head_wait: Duration::from_millis(200), ..LIMITS }).await;
        let _silent = TcpStream::connect(admin.address).await.unwrap();
        let mut slow = TcpStream::connect(admin.address).await.unwrap();
        slow.write_all(b"GET /healthz").await.unwrap();
        let third = tokio::spawn(async move { ask(admin.address, "GET /healthz HTTP/1.1").await });
        sleep(Duration::from_millis(50)).await;
        assert!(!third.is_finished(), "two places, both taken");
        let answer = timeout(Duration::from_secs(10), third).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_ends_however_busy_it_is() {
        let admin = admin_within(Limits { connection_life: Duration::from_millis(200), ..LIMITS }).await;
        let mut busy = TcpStream::connect(admin.address).await.unwrap();
        let asking = async {
            let mut answer = [0; 1024];
            while busy.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok() {
                if busy.read(&mut answer).await.unwrap_or(0) == 0 {
                    break;
                }
            }
        };
        timeout(Duration::from_secs(10), asking).await.unwrap();
    }

    #[tokio::test]
    async fn shutdown_ends_it_and_its_idle_connections() {
        let admin = admin().await;
        let mut idle = TcpStream::connect(admin.address).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        admin.stop.send(()).unwrap();
        timeout(LIMITS.last_answer / 2, admin.task).await.unwrap().unwrap();
        let mut rest = Vec::new();
        timeout(LIMITS.last_answer, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(TcpStream::connect(admin.address).await.is_err());
    }
}
