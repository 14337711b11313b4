//! The only wiring: config in, a running proxy out. Starting, readiness, the order of shutting down.

use crate::admin::Readiness;
use crate::admin::http::{self, AdminState};
use crate::admin::tables::View;
use crate::config::{self, Config};
use crate::lag::task::{self as lag, Lag};
use crate::placement::Front;
use crate::placement::task::Current;
use crate::policy::rulings::Rulings;
use crate::security::source::Unusable;
use crate::security::tls::{Shelf, Side, TlsProblem};
use crate::session::origin::Origin;
use crate::session::{Context, Limits, listener};
use crate::telemetry::{PoolFacts, Telemetry, log};
use crate::upstream::connect::{Memory, Shared};
use crate::upstream::{Cluster, Clusters};
use crate::wire::budget::Standing;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

mod certificates;
mod doors;
mod follow;
mod operators;
mod steward;
mod users;
mod watch;

use doors::Doors;
pub use steward::Outcome;
use steward::Steward;

/// Unused read buffers that are kept, bytes; never more than nobody has drawn of the pools.
const KEEP_BUFFERS: usize = 64 << 20;
/// The largest answer that is taken from a broker: Fetch answers may exceed what was asked by one batch.
const UPSTREAM_FRAME: usize = 256 << 20;
/// At the start, how long to wait for a first cluster: before that there is nothing to serve.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// And for the others after it, so that the first clients see the topics of all that are well. One that refuses is not
/// waited for.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);
/// At the start, how long topics that are where they do not live may take to be judged.
const STRAYS_WITHIN: Duration = Duration::from_secs(10);
/// At shutdown, how long sessions get to finish what is in flight.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two looks at late brokers, deadlines and idle links.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// Between two trims of the buffer pool.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address of the config cannot be listened on.
    #[error("cannot listen on {address}: {error}; is another process there, or the address not this machine's?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// What TLS needs is not there, or wrong.
    #[error("tls of {whose}: {why}")]
    Tls {
        /// A listener's or a cluster's.
        whose: String,
        /// Which file, and what is wrong with it.
        why: TlsProblem,
    },
    /// A listener's users cannot be read.
    #[error("{0}; a listener with `sasl` needs its users at the start")]
    Users(Unusable),
    /// The admin address's tokens cannot be read.
    #[error("{0}; an admin address with tokens needs them at the start")]
    Operators(Unusable),
    /// A mistake of ours in the metrics.
    #[error("cannot set the metrics up: {0}")]
    Metrics(String),
    /// There is no thread for who keeps count of lag.
    #[error("cannot start a thread: {0}; how many may this user, or this container, have?")]
    Thread(io::Error),
}

/// Where a running proxy listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Clients, one for each listener of the config.
    pub listeners: Vec<SocketAddr>,
    /// Metrics and health.
    pub admin: Option<SocketAddr>,
}

/// A proxy that runs until it is stopped.
pub struct Running {
    addresses: Addresses,
    contexts: Vec<Arc<Context>>,
    telemetry: Arc<Telemetry>,
    rulings: Arc<Rulings>,
    readiness: Arc<Readiness>,
    tasks: JoinSet<()>,
    stop: tokio::sync::watch::Sender<bool>,
    reload: mpsc::Sender<steward::Asked>,
}

impl Running {
    /// Starts a proxy and waits until a cluster has answered, and the others have or are given up on for now. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// Where an address cannot be bound.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_at(config, None).await
    }

    /// The same; what is logged may be changed by a reload.
    async fn start_at(config: Config, level: Option<log::Level>) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let telemetry = Arc::new(Telemetry::new().map_err(|e| StartError::Metrics(e.to_string()))?);
        let readiness = Arc::new(Readiness::new(config.clusters.iter().map(|cluster| cluster.name.clone())));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (mut tasks, view) = (JoinSet::new(), Arc::default());
        let crate::config::Memory { requests, responses, parked } = config.memory;
        let shared = Shared::within(Memory::new(requests, responses, parked), KEEP_BUFFERS, UPSTREAM_FRAME);
        let doors = Doors::new(&shared, &telemetry);
        let admin = match &config.admin {
            Some(admin) => {
                let door = operators::guard(admin, &telemetry, &mut tasks).map_err(StartError::Operators)?;
                let state = AdminState {
                    telemetry: Arc::clone(&telemetry),
                    readiness: Arc::clone(&readiness),
                    view: Arc::clone(&view),
                    door,
                };
                Some(start_admin(admin, state, doors.shelf(), stopped).await?)
            }
            None => None,
        };
        let mut bound = Vec::new();
        for listener in &config.listeners {
            bound.push((bind_all(listener).await?, listener.clone()));
        }
        let limits = Limits::from(&*config);
        for cluster in &config.clusters {
            let of = |why| StartError::Tls { whose: format!("cluster {}", cluster.name), why };
            doors.open(cluster).map_err(of)?;
        }
        let mut steward = Steward::new(Arc::clone(&config), (&shared, &doors), &telemetry, &readiness);
        let (clusters, current) = (steward.clusters().clone(), steward.current().clone());
        wait_for_clusters(&clusters.all(), &current).await;
        // Before anybody is served what must not be.
        let _ = timeout(STRAYS_WITHIN, steward.look_for_strays(false)).await;
        steward.look_at_canaries();
        steward.set_level(level);
        let (reload, asked) = mpsc::channel(1);
        let mut running = Self {
            addresses: Addresses { listeners: Vec::new(), admin },
            contexts: Vec::new(),
            rulings: Rulings::new(&telemetry),
            telemetry,
            readiness,
            tasks,
            stop,
            reload,
        };
        for (sockets, listener) in bound {
            running.listen(sockets, &listener, &clusters, &current, (&shared, doors.shelf()), limits)?;
        }
        let contexts = running.contexts.clone();
        let lag = Lag::new(Arc::clone(running.telemetry.notes()), current.clone()).map_err(StartError::Thread)?;
        running.tasks.spawn(lag::run(Arc::clone(&lag), clusters.clone()));
        let _once = view.set(View { current: current.clone(), clusters, contexts, lag });
        running.tasks.spawn(steward.run(running.contexts.clone(), asked));
        running.tasks.spawn(sweep(running.contexts.clone(), current));
        running.tasks.spawn(certificates::run(Arc::clone(doors.shelf()), Arc::clone(&running.telemetry)));
        Ok(running)
    }

    fn listen(
        &mut self,
        sockets: Vec<TcpListener>,
        listener: &config::Listener,
        clusters: &Clusters,
        current: &Current,
        (shared, shelf): (&Arc<Shared>, &Shelf),
        limits: Limits,
    ) -> Result<(), StartError> {
        let Some(first) = sockets.first() else { return Ok(()) };
        let unbound = |error| StartError::Bind { address: listener.bind, error };
        let address = first.local_addr().map_err(unbound)?;
        tracing::info!(listener = %address, shows = listener.shows(), "listening");
        let front = Front::of(listener, address);
        let telemetry = Arc::clone(&self.telemetry);
        let rulings = Arc::clone(&self.rulings);
        let context =
            Context::new(current.clone(), clusters.clone(), telemetry, rulings, front, Arc::clone(shared), limits);
        if let Some(tls) = &listener.tls {
            let of = |why| StartError::Tls { whose: format!("listener {}", listener.bind), why };
            context.over_tls(shelf.server(Side::Listener(address.to_string().into()), tls).map_err(of)?);
        }
        users::guard(listener.sasl.as_ref(), address, &context, &mut self.tasks).map_err(StartError::Users)?;
        if listener.proxy_protocol {
            context.told_by(Origin::Header);
        }
        for socket in sockets {
            self.tasks.spawn(listener::accept_all(socket, Arc::clone(&context)));
        }
        self.contexts.push(context);
        self.addresses.listeners.push(address);
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What it counts.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Takes another config, or refuses it whole: then the one before stays.
    pub async fn reload(&self, config: Config) -> Option<Outcome> {
        watch::ask_for(config, 0, &self.reload).await
    }

    /// Accepts nobody any more, lets sessions finish what is in flight, then ends.
    pub async fn stop(mut self) {
        self.readiness.shutting_down();
        self.tasks.abort_all();
        drain(&self.contexts).await;
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Bind { address, error })
}

/// The listener's own port first, then those of its range: a connection is served alike wherever it comes in (L1).
async fn bind_all(listener: &config::Listener) -> Result<Vec<TcpListener>, StartError> {
    let mut sockets = vec![bind(listener.bind).await?];
    for port in listener.hosts.as_ref().and_then(config::Hosts::ports).into_iter().cloned().flatten() {
        sockets.push(bind(SocketAddr::new(listener.bind.ip(), port)).await?);
    }
    Ok(sockets)
}

async fn start_admin(
    admin: &config::Admin,
    state: AdminState,
    shelf: &Shelf,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<SocketAddr, StartError> {
    let listener = bind(admin.bind).await?;
    let bound = listener.local_addr().map_err(|error| StartError::Bind { address: admin.bind, error })?;
    let side = Side::Admin(bound.to_string().into());
    let tls = admin.tls.as_ref().map(|tls| shelf.server(side, tls)).transpose();
    let tls = tls.map_err(|why| StartError::Tls { whose: "the admin address".to_owned(), why })?;
    // Not among the tasks that stop first: probes are answered while sessions drain.
    tokio::spawn(http::serve(listener, tls, state, async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }));
    Ok(bound)
}

/// Waits until the first cluster's metadata was read, and then a moment for the others'. Whoever answers later is told
/// then.
async fn wait_for_clusters(clusters: &[Arc<Cluster>], current: &Current) {
    let mut reads = JoinSet::new();
    for cluster in clusters {
        let mut news = cluster.news();
        reads.spawn(async move { news.wait_for(|news| news.read).await.is_ok() });
    }
    let _ = timeout(FIRST_WITHIN, reads.join_next()).await;
    let deadline = Instant::now() + OTHERS_WITHIN;
    for cluster in clusters {
        let mut news = cluster.news();
        let _ = timeout_at(deadline, news.wait_for(|news| news.read || news.down.is_some())).await;
        let read = news.borrow().read;
        if read {
            current.caught_up(cluster).await;
        } else {
            tracing::warn!(cluster = %cluster.name(), "starting without this cluster, which has not answered yet; its topics are served as soon as it does");
        }
    }
}

async fn sweep(contexts: Vec<Arc<Context>>, current: Current) {
    let (mut sweep, mut trim) = (interval(SWEEP_EVERY), interval(TRIM_EVERY));
    let (mut late, mut seen) = (false, 0);
    let shared = contexts.first().map(|context| (Arc::clone(&context.shared), Arc::clone(&context.telemetry)));
    loop {
        tokio::select! {
            _ = trim.tick() => {
                contexts.iter().for_each(|context| context.shared.pool.trim());
                if let Some(context) = contexts.first() {
                    let rulings = Arc::clone(&context.rulings);
                    tokio::task::spawn_blocking(move || rulings.trim(std::time::Instant::now()));
                }
                continue;
            }
            // Who is late may have been replaced.
            true = current.later_than(seen), if late => {}
            _ = sweep.tick() => {}
        }
        seen = current.generation();
        late = false;
        if let Some((shared, telemetry)) = &shared {
            tell_memory(&shared.memory, telemetry);
        }
        contexts.iter().take(1).for_each(|context| context.rulings.tell());
        for context in &contexts {
            late |= context.sweep();
        }
    }
}

fn tell_memory(memory: &Memory, telemetry: &Telemetry) {
    for (name, pool) in [("requests", &memory.requests), ("responses", &memory.responses), ("parked", &memory.parked)] {
        let Standing { capacity, drawn, waiting, waits, waited } = pool.standing();
        let facts = PoolFacts { size: capacity, drawn, waiting, waits, waited: waited.as_secs_f64() };
        telemetry.memory(name, facts);
    }
}

/// Closes each session when nothing of it is in flight, and all when the time is over.
async fn drain(contexts: &[Arc<Context>]) {
    let deadline = Instant::now() + DRAIN;
    loop {
        let late = Instant::now() >= deadline;
        let mut open = 0;
        for context in contexts {
            let sessions: Vec<_> = context.sessions.iter().map(|entry| Arc::clone(entry.value())).collect();
            open += sessions.len();
            sessions.iter().filter(|session| late || session.is_idle()).for_each(|session| session.close("shutdown"));
        }
        if open == 0 || late {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Where a config came from.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// The sum over its text ([`crate::config::Reading::hash`]).
    pub hash: u32,
    /// How much is logged, where a reload of it may change that.
    pub level: log::Level,
}

/// Runs a proxy until the process is told to stop (SIGINT, SIGTERM). Says on standard output where it listens. With the
/// config's file it is reloaded when that changes, and on SIGHUP.
///
/// # Errors
/// As [`Running::start`].
#[allow(clippy::print_stdout)] // For who starts it: a person, or a script that asked for port 0.
pub async fn run(config: Config, source: Option<Source>) -> Result<(), StartError> {
    let began = config.clone();
    let (file, level) = source.map_or((None, None), |Source { file, hash, level }| (Some((file, hash)), Some(level)));
    let mut running = Running::start_at(config, level).await?;
    if let Some((file, hash)) = file {
        let watching = watch::run(file, (hash, began), Arc::clone(&running.telemetry), running.reload.clone());
        running.tasks.spawn(watching);
    }
    for address in &running.addresses().listeners {
        println!("listening on {address}");
    }
    if let Some(address) = running.addresses().admin {
        println!("admin on {address}");
    }
    tracing::info!(listeners = ?running.addresses().listeners, "ready");
    told_to_stop().await;
    tracing::info!("stopping: finishing what is in flight");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::{FakeCluster, Reply};

    #[tokio::test]
    async fn a_cluster_that_does_not_answer_keeps_the_others_waiting_for_a_moment_only() {
        // Given a cluster that takes connections and says nothing
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = FakeCluster::start(1, &[("x", &[1])], |_, _| Reply::Silence).await;
        let config = format!(
            "virtual_cluster: v
default_cluster: a
listeners: [{{ bind: '127.0.0.1:0' }}]
clusters:
  a: {{ slot: 0, bootstrap: ['{}'] }}
  b: {{ slot: 1, bootstrap: ['{}'] }}
pipelines:
  - {{ name: right, topics: ['b-*'], cluster: b }}
",
            a.bootstrap()[0],
            silent.local_addr().unwrap(),
        );
        // When Fishplate starts, then it serves the other one's topics soon
        let start = Running::start(Config::from_text("c.yaml", &config).unwrap());
        let running = timeout(FIRST_WITHIN / 2, start).await.expect("a start").unwrap();
        let current = running.contexts[0].current.clone();
        assert!(current.load().topic("x").is_some());
        assert!(matches!(running.readiness.ready(), crate::admin::Ready::Waiting { .. }));
        // And when the silent one comes, its topics are known
        let b = FakeCluster::on(vec![silent], &[("b-1", &[1])], |_, _| Reply::Silence);
        let known = async {
            let mut seen = 0;
            while current.load().topic("b-1").is_none() && current.later_than(seen).await {
                seen = current.generation();
            }
        };
        timeout(Duration::from_secs(20), known).await.expect("b's topics");
        assert_eq!(running.readiness.ready().to_string(), "ready");
        running.stop().await;
        drop((a, b));
    }
}
