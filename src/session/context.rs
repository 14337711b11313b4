//! What all sessions of one listener share.

use super::crowd::Crowd;
use super::followers::Referrals;
use super::gate::Gate;
use super::join::join;
use super::late::Watch;
use super::origin::Origin;
use super::state::Session;
use super::subscriptions::Meanings;
use crate::config::{self, Config, SHARES};
use crate::error::Fault;
use crate::placement::Front;
use crate::placement::task::Current;
use crate::policy::rulings::Rulings;
use crate::security::tls::Server;
use crate::telemetry::{Seldom, Telemetry};
use crate::types::{SessionId, Slot};
use crate::upstream::connect::Shared;
use crate::upstream::{Cluster, Clusters, Topic};
use arc_swap::ArcSwap;
use dashmap::DashMap;
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a request waits for metadata.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// How long the answer to who had topics made waits for brokers to hear of them.
const KNOWN_WITHIN: Duration = Duration::from_secs(4);

/// Metadata that is younger is not read again for the sake of one late broker; brokers come in swarms.
const REREAD_AFTER: Duration = Duration::from_millis(900);

/// A link that has carried nothing for this long makes room where others wait for a place at its broker.
const IDLE_WHERE_SOUGHT: Duration = Duration::from_secs(2);

/// What a session may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest request, bytes.
    pub frame: usize,
    /// Bytes of requests that are not answered yet, beyond which a session is read no further.
    pub requests: usize,
    /// Requests that are not answered yet; only stops floods of tiny ones.
    pub in_flight: usize,
    /// Bytes of answers that the client has not taken, beyond which its brokers are read no further; and of those that
    /// wait for an older one or may come to, beyond which the session is read no further.
    pub responses: usize,
    /// A link of a session that has carried nothing for this long is closed.
    pub idle_link: Duration,
    /// How long a Produce may wait for a partition to have a leader, or for its order to be sure.
    pub park: Duration,
    /// How long what a gone client left behind may take to be delivered.
    pub linger: Duration,
    /// How long a client has for its first request.
    pub handshake: Duration,
    /// And for the rest of a request that has begun.
    pub stalled: Duration,
    /// A session that asks nothing for so long is closed.
    pub idle: Duration,
    /// One that takes none of its answers for so long, or too few, is closed where others wait for the memory.
    pub slow: Duration,
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions from one address.
    pub sessions_per_address: usize,
}

/// A session may owe so many bytes of answers, and have so many of requests unanswered, whatever its share is.
const MOST: usize = 8 << 20;

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        let config::Limits { request, handshake, stalled, idle, sessions, sessions_per_address } = config.limits;
        Self {
            frame: request,
            requests: MOST.min(config.memory.requests / SHARES),
            responses: MOST.min(config.memory.responses / SHARES),
            handshake,
            stalled,
            idle,
            sessions,
            sessions_per_address,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 100 << 20,
            requests: MOST,
            in_flight: 10_000,
            responses: MOST,
            idle_link: Duration::from_secs(300),
            park: Duration::from_secs(5),
            linger: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            slow: Duration::from_secs(30),
            sessions: 20_000,
            sessions_per_address: 20_000,
        }
    }
}

/// See the module's text.
pub struct Context {
    /// What lives where.
    pub current: Current,
    /// The clusters, for what is asked of them on a session's behalf.
    pub clusters: Clusters,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// What clients are shown: sessions keep what they began with.
    pub front: ArcSwap<Front>,
    /// What pipelines ask of their records; all listeners have the same.
    pub rulings: Arc<Rulings>,
    /// What links share.
    pub shared: Arc<Shared>,
    /// What clients' connections are encrypted with, if they are.
    tls: OnceLock<Arc<Server>>,
    /// Where clients' addresses come from.
    origin: OnceLock<Origin>,
    /// Bounds.
    limits: ArcSwap<Limits>,
    /// Holds repeated warnings back.
    pub seldom: Seldom<String>,
    /// The same of what was denied: its keys come from clients.
    pub(super) denials: Seldom<String>,
    /// What regular expressions of subscriptions mean.
    pub(super) meanings: Meanings,
    /// Every session that is open.
    pub sessions: DashMap<SessionId, Arc<Session>>,
    /// Which replicas clients were told to read from, until they come for it.
    pub referrals: Referrals,
    /// Who may come.
    pub crowd: Arc<Crowd>,
    /// What clients must show to be let in; nothing where nobody asks.
    gate: OnceLock<Arc<Gate>>,
    next_session: AtomicU64,
}

impl Context {
    /// A context without sessions.
    #[must_use]
    pub fn new(
        current: Current,
        clusters: impl Into<Clusters>,
        telemetry: Arc<Telemetry>,
        rulings: Arc<Rulings>,
        front: Front,
        shared: Arc<Shared>,
        limits: Limits,
    ) -> Arc<Self> {
        Arc::new(Self {
            current,
            clusters: clusters.into(),
            telemetry,
            rulings,
            front: ArcSwap::from_pointee(front),
            shared,
            tls: OnceLock::new(),
            origin: OnceLock::new(),
            limits: ArcSwap::from_pointee(limits),
            seldom: Seldom::new(Duration::from_secs(60)),
            denials: Seldom::new(Duration::from_secs(60)),
            meanings: Meanings::default(),
            sessions: DashMap::new(),
            referrals: Referrals::default(),
            crowd: Arc::default(),
            gate: OnceLock::new(),
            next_session: AtomicU64::new(1),
        })
    }

    /// Clients' connections are encrypted with this. Said before the first one comes.
    pub fn over_tls(&self, server: Arc<Server>) {
        let _once = self.tls.set(server);
    }

    /// What clients' connections are encrypted with, if they are.
    #[must_use]
    pub fn tls(&self) -> Option<&Arc<Server>> {
        self.tls.get()
    }

    /// Clients' addresses come from there. Said before the first one comes.
    pub fn told_by(&self, origin: Origin) {
        let _once = self.origin.set(origin);
    }

    /// Where clients' addresses come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin.get().copied().unwrap_or_default()
    }

    /// Bounds, as they are now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        **self.limits.load()
    }

    /// From now on these, and shares of the pools as they are now, also for those that are here; the largest request is for
    /// those that come.
    pub fn limit(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
        for session in &self.sessions {
            session.requests.resize();
            session.responses.resize();
        }
    }

    /// From now on clients must log in; said once, before anybody comes.
    pub fn close_gate(&self, gate: Arc<Gate>) {
        let _the_first_stands = self.gate.set(gate);
    }

    /// What clients must show to be let in.
    #[must_use]
    pub fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.get()
    }

    /// A number for a new session.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// A cluster of the config.
    #[must_use]
    pub fn cluster(&self, slot: Slot) -> Option<Arc<Cluster>> {
        self.clusters.get(slot)
    }

    /// Reads a cluster's metadata of these topics again (of all, where none are named), and waits until it is in the
    /// placement; not longer than a cluster that is well would take, for other clusters' topics may stand in the same
    /// request, and other answers behind it.
    ///
    /// # Errors
    /// Where the cluster does not answer: the placement keeps what was last heard.
    pub async fn refreshed(&self, slot: Slot, names: Vec<StrBytes>, create: bool) -> Result<(), Fault> {
        self.read(slot, async |cluster| cluster.refreshed(names, create).await).await
    }

    /// Waits until topics that were just made, or got partitions beyond so many, are so in the placement, for four seconds
    /// at most, also where their cluster answers no more. They are looked at for longer than that.
    pub async fn known(&self, made: Vec<(Slot, StrBytes, usize)>) {
        let mut of: HashMap<Slot, HashMap<StrBytes, usize>> = HashMap::new();
        for (slot, topic, from) in made {
            of.entry(slot).or_default().insert(topic, from);
        }
        let known = of.into_iter().filter_map(|(slot, from)| {
            let cluster = self.cluster(slot)?;
            let topics = from.keys().cloned().collect();
            let has_grown = move |name: &StrBytes, found: Option<&Arc<Topic>>| {
                found.is_some_and(|topic| topic.partitions.len() > from.get(name).copied().unwrap_or(0))
            };
            let settled = tokio::spawn({
                let cluster = Arc::clone(&cluster);
                async move { cluster.settle(topics, has_grown).await }
            });
            Some(async move {
                // It does not panic; and if it did, nothing would be known.
                let _settled = settled.await;
                self.current.caught_up(&cluster).await;
            })
        });
        // Whatever becomes of it they were made, and other answers stand behind the one that says so.
        let _in_vain = timeout(KNOWN_WITHIN, join(known)).await;
    }

    /// The same for everything, where what we have is older than `age`.
    ///
    /// # Errors
    /// As `refreshed`.
    pub async fn no_older_than(&self, slot: Slot, age: Duration) -> Result<(), Fault> {
        self.read(slot, async |cluster| cluster.no_older_than(age).await).await
    }

    async fn read(&self, slot: Slot, ask: impl AsyncFnOnce(&Cluster)) -> Result<(), Fault> {
        let cluster = self.cluster(slot).ok_or_else(|| Fault::cluster(slot, "it is not in the config"))?;
        let read = async {
            ask(&cluster).await;
            self.current.caught_up(&cluster).await;
        };
        if timeout(READ_WITHIN, read).await.is_err() {
            return Err(Fault::cluster(slot, format_args!("no metadata within {READ_WITHIN:?}")));
        }
        let down = cluster.news().borrow().down.clone();
        down.map_or(Ok(()), |reason| Err(Fault::cluster(slot, reason)))
    }

    /// Sees to brokers that let clients wait, and closes links that have been idle. True where one is late: then called
    /// again as soon as a placement is published, and else every half second.
    pub fn sweep(&self) -> bool {
        let now = Instant::now();
        let placement = self.current.load();
        let mut watch = Watch::new(Arc::clone(&placement));
        // Collected first: ending a link may end its session, which takes it out of the map.
        let sessions: Vec<_> = self.sessions.iter().map(|entry| Arc::clone(entry.value())).collect();
        let sought = self.shared.memory.responses.is_sought();
        for session in sessions {
            session.look(now, sought);
            let idle =
                |broker| if self.shared.places.is_sought(broker) { IDLE_WHERE_SOUGHT } else { self.limits().idle_link };
            session.links.sweep(now, idle, |link| watch.see(link, now, &session.orders));
            session.links.leave(&placement);
        }
        for cluster in watch.late().filter_map(|slot| self.cluster(slot)) {
            cluster.reread(REREAD_AFTER);
        }
        watch.is_late()
    }
}
