//! The admin address: a small HTTP server for probes, scrapes and operators. It answers what the rooms beside it decide; `accept` has
//! its connections, and `operator` who may see secrets and change what runs.

use super::accept::{LIMITS, serve_within};
use super::backlog::{AskedBacklog, backlog};
use super::lag::{AskedLag, lag};
use super::limits::{AskedRate, LimitRow, limits, set_rate};
use super::operator::{Admitted, Claim, Door, Refusal};
use super::outlook::{AskedRecord, live};
use super::readiness::{Readiness, Ready};
use super::sheet::Sheet;
use super::tables::{self, View};
use super::tokens::{AskedTokens, tokens};
use crate::config::written;
use crate::security::tls::Server;
use crate::telemetry::Telemetry;
use crate::wire::pieces::record_bytes_copied;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::net::TcpListener;

/// What the answers are made of.
#[derive(Clone)]
pub struct AdminState {
    /// What `/metrics` shows.
    pub telemetry: Arc<Telemetry>,
    /// What `/readyz` says.
    pub readiness: Arc<Readiness>,
    /// What the tables are made of; not there before it listens.
    pub view: Arc<OnceLock<View>>,
    /// Who may see secrets and change what runs.
    pub door: Arc<Door>,
}

/// Serves until `shutdown` resolves, then closes what is open and returns. Call [`Readiness::shutting_down`] some time
/// before that, so that probes see it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Server>>,
    state: AdminState,
    shutdown: impl Future<Output = ()>,
) {
    serve_within(LIMITS, listener, tls, router(state), shutdown).await;
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
            let mut text = sheet.blank();
            text.push_str(&rendered);
            let written = match state.view.get() {
                Some(view) => view.lag.write(text).await,
                None => Some(text),
            };
            match written {
                Some(text) => (FORMAT, Body::from(sheet.lend(text))).into_response(),
                None => unwritten(&"who keeps count of lag has panicked"),
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
async fn top_tokens(State(state): State<AdminState>, claim: Claim, Query(asked): Query<AskedTokens>) -> Response {
    let reveals = match reveals(asked.reveal, &state, claim).await {
        Ok(reveals) => reveals,
        Err(refused) => return refused.into_response(),
    };
    let Some(view) = state.view.get() else { return starting() };
    match tokens(view, &asked, Instant::now()) {
        Ok(tokens) => {
            reveals.iter().for_each(|operator| operator.was_shown(&asked.pipeline));
            Json(tokens).into_response()
        }
        Err(unknown) => (StatusCode::BAD_REQUEST, format!("{unknown}\n")).into_response(),
    }
}

async fn all_lag(State(state): State<AdminState>, Query(asked): Query<AskedLag>) -> Response {
    let Some(view) = state.view.get() else { return starting() };
    let told = lag(view, asked).await;
    told.map_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |told| Json(told).into_response())
}

/// Whose records a group has not dealt with. An operator who sees tokens leaves a line in the log.
async fn who_is_behind(State(state): State<AdminState>, claim: Claim, Query(asked): Query<AskedBacklog>) -> Response {
    let reveals = match reveals(asked.reveal, &state, claim).await {
        Ok(reveals) => reveals,
        Err(refused) => return refused.into_response(),
    };
    let Some(view) = state.view.get() else { return starting() };
    match backlog(view, &asked).await {
        Ok(told) => {
            reveals.iter().for_each(|operator| operator.was_shown(&asked.topic));
            Json(told).into_response()
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

/// To whom tokens may be shown, where that is asked for.
async fn reveals(asked: bool, state: &AdminState, claim: Claim) -> Result<Option<Admitted>, Refusal> {
    if asked { state.door.admit(claim).await.map(Some) } else { Ok(None) }
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
async fn another_rate(State(state): State<AdminState>, operator: Admitted, Json(asked): Json<AskedRate>) -> Response {
    let Some(view) = state.view.get() else { return starting() };
    match set_rate(view, &asked, &operator) {
        Ok(set) => Json(set).into_response(),
        Err(why) => {
            operator.was_refused(&asked.pipeline, &asked.limit);
            (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
        }
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
What changes something and what reveals something needs a token (authorization: Bearer TOKEN) where the config has some
(admin.token_file), and is answered on Fishplate's own machine alone where it has none.
";
    (StatusCode::NOT_FOUND, TEXT)
}

#[cfg(test)]
mod tests {
    use super::super::accept::Limits;
    use super::*;
    use crate::config::{ClientTls, Identity, Tls};
    use crate::security::operators::Operators;
    use crate::security::tls::Client;
    use crate::security::tls::testing::{Authority, Validity};
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::{sleep, timeout};

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
        admin_with(limits, None, None).await
    }

    async fn admin_with(limits: Limits, operators: Option<Operators>, tls: Option<Arc<Server>>) -> Admin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let readiness = Arc::new(Readiness::new(["a".into()]));
        let door = Door::new(operators, &telemetry);
        let state = AdminState { telemetry, readiness, view: Arc::default(), door };
        let (stop, stopped) = oneshot::channel();
        let serving = serve_within(limits, listener, tls, router(state.clone()), async { drop(stopped.await) });
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

    const TOKEN: &str = "planted-0123456789abcdef";

    #[tokio::test]
    async fn who_sends_a_token_is_let_in_and_everybody_else_may_look() {
        let operators = Operators::read(&format!("alice {TOKEN}")).unwrap();
        let admin = admin_with(LIMITS, Some(operators), None).await;
        let send = async |what: &str, header: &str| {
            ask(admin.address, &format!("{what} HTTP/1.1{header}\r\ncontent-length: 0")).await
        };
        let bearer = |token: &str| format!("\r\nauthorization: Bearer {token}");
        let change = "POST /api/v1/limits";
        let reveal = "GET /api/v1/tokens?pipeline=p&reveal=true";
        for what in [change, reveal, "GET /api/v1/backlog?group=g&topic=t&partition=0&reveal=true"] {
            let none = send(what, "").await;
            assert!(none.starts_with("HTTP/1.1 401 ") && none.contains("www-authenticate: Bearer realm"), "{none}");
            let wrong = send(what, &bearer("planted-0123456789abcdee")).await;
            assert!(wrong.starts_with("HTTP/1.1 401 ") && wrong.contains("error=\"invalid_token\""), "{wrong}");
            assert!(![none, wrong].concat().contains("planted"));
        }
        // It comes as far as what is not there yet; the body of a change is read only then
        assert!(send(reveal, &bearer(TOKEN)).await.starts_with("HTTP/1.1 503 "));
        assert!(send(change, &bearer(TOKEN)).await.starts_with("HTTP/1.1 415 "));
        for open in ["GET /metrics", "GET /healthz"] {
            assert!(send(open, "").await.starts_with("HTTP/1.1 200 "), "{open}");
        }
        assert!(send("GET /api/v1/tokens?pipeline=p", "").await.starts_with("HTTP/1.1 503 "));
    }

    /// A directory that goes when the test ends; what a server has in it, and a client that trusts it.
    fn certified(name: &str) -> (PathBuf, Arc<Server>, Client) {
        let directory = std::env::temp_dir().join(format!("fishplate-admin-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (authority, ca) = (Authority::new("Test CA"), directory.join("ca.crt"));
        std::fs::write(&ca, authority.certificate()).unwrap();
        let (certificate, key) = authority.server(&["127.0.0.1"], Validity::Good).write(&directory, "admin");
        let tls = Tls {
            identity: Identity { certificate, key },
            clients: None,
            min_version: crate::config::TlsVersion::Tls12,
        };
        let client = ClientTls { ca: Some(ca), ..ClientTls::default() };
        (directory, Arc::new(Server::load(&tls).unwrap()), Client::load(&client).unwrap())
    }

    #[tokio::test]
    async fn over_tls_it_is_the_same_and_who_speaks_none_is_told() {
        let (directory, server, client) = certified("tls");
        let admin = admin_with(LIMITS, None, Some(server)).await;
        let stream = TcpStream::connect(admin.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(client.current());
        let mut stream = connector.connect(client.server_name("127.0.0.1").unwrap(), stream).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let told = ask(admin.address, "GET /healthz HTTP/1.1").await;
        assert!(told.starts_with("HTTP/1.1 400 ") && told.ends_with("call it by https://\n"), "{told}");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn handshakes_that_never_end_do_not_keep_others_out() {
        let (directory, server, _) = certified("slow");
        let limits = Limits { connections: 1, handshake: Duration::from_millis(200), ..LIMITS };
        let admin = admin_with(limits, None, Some(server)).await;
        let mut silent = TcpStream::connect(admin.address).await.unwrap();
        let told = timeout(Duration::from_secs(10), ask(admin.address, "GET /healthz HTTP/1.1")).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
        assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0, "it was closed");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn one_address_does_not_get_every_place() {
        let admin = admin_within(Limits { of_address: 1, ..LIMITS }).await;
        let first = TcpStream::connect(admin.address).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        let mut second = TcpStream::connect(admin.address).await.unwrap();
        assert_eq!(timeout(Duration::from_secs(10), second.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
        drop(first);
        let again = async {
            while !asked(admin.address).await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(10), again).await.unwrap();
    }

    /// Whether one that comes now is answered.
    async fn asked(address: SocketAddr) -> bool {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _or_closed = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let mut answer = String::new();
        let _or_closed = stream.read_to_string(&mut answer).await;
        answer.starts_with("HTTP/1.1 200 ")
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
