//! One cluster as we talk to it ourselves: calls over a few links of our own, the newest snapshot of its metadata,
//! and who coordinates which group and whose transactions.

use super::Topic;
use super::connect::{self, Shared};
use super::link::Link;
use super::outgoing::{Answer, Expect, Outgoing, Patience, Refused};
use super::refresh::Ask;
use super::sights::Sights;
use super::snapshot::{Lead, Snapshot};
use super::wanted::Wanted;
use crate::error::Fault;
use crate::telemetry::ClusterMeter;
use crate::types::{BrokerId, CoordinatorType, Guise, HostPort, Name, Slot, Target};
use crate::wire::client_id;
use crate::wire::codec::{copied, encode_request};
use crate::wire::shape::Shaped;
use bytes::Bytes;
use dashmap::DashMap;
use kafka_protocol::messages::{ApiKey, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::{Request, StrBytes};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long one of our own calls may take.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// A broker that has not answered by then is not waited for alone.
const SLOW_AFTER: Duration = Duration::from_millis(700);
/// The pauses between looks at a topic that was just made or deleted, ms: half a minute in all. By then all topics are read
/// anew.
const SETTLE: [u64; 11] = [50, 50, 100, 200, 400, 800, 1_400, 3_000, 5_000, 8_000, 11_000];
/// So many topics are looked at again at once, for all clients together (a few MiB of names).
const WATCHED: usize = 50_000;
/// What we call ourselves towards brokers in our own calls.
const OUR_CLIENT_ID: &[u8] = b"fishplate";
/// Pictures are made anew for brokers' words on leaders no more often.
const HEAR_EVERY: Duration = Duration::from_millis(20);
/// The coordinators of either type that are remembered; one too many and all of it are looked up again.
const COORDINATORS: usize = 100_000;

/// What a cluster may be asked by a call: as often as it has brokers.
pub trait Call: Request<Response: Shaped + Send> + Clone + Send + 'static {}

impl<R: Request<Response: Shaped + Send> + Clone + Send + 'static> Call for R {}

/// The news of one cluster.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The newest snapshot; kept through an outage.
    pub snapshot: Arc<Snapshot>,
    /// Metadata was read at least once.
    pub read: bool,
    /// Why the last refresh failed; `None` while the cluster answers.
    pub down: Option<Arc<str>>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Cluster {
    slot: Slot,
    name: Name,
    bootstrap: Mutex<Vec<HostPort>>,
    /// What we call ourselves towards its brokers in our own calls.
    client_id: Mutex<Bytes>,
    shared: Arc<Shared>,
    pub(super) meter: Arc<ClusterMeter>,
    pub(super) news: watch::Sender<News>,
    asks: mpsc::UnboundedSender<Ask>,
    pub(super) wanted: Wanted,
    groups: DashMap<StrBytes, BrokerId>,
    transactions: DashMap<StrBytes, BrokerId>,
    /// For our own calls, and for those that are made as somebody else.
    links: Mutex<HashMap<(HostPort, Guise), Arc<Link>>>,
    /// What identities may know of its topics.
    pub(super) sights: Sights,
    /// When a broker's word on leaders was heeded.
    heard: Mutex<Option<Instant>>,
    /// How many topics are looked at again.
    watched: AtomicUsize,
}

/// So many topics are looked at again, while it lives.
#[derive(Debug)]
struct Watching<'c>(&'c AtomicUsize, usize);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

impl Cluster {
    /// A cluster that nothing is known of yet; `refresh::run` with the receiver keeps its news new.
    #[must_use]
    pub fn new(
        slot: Slot,
        name: Name,
        bootstrap: Vec<HostPort>,
        shared: Arc<Shared>,
        meter: Arc<ClusterMeter>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Ask>) {
        let (asks, asked) = mpsc::unbounded_channel();
        let cluster = Self {
            slot,
            name,
            bootstrap: Mutex::new(bootstrap),
            client_id: Mutex::new(Bytes::from_static(OUR_CLIENT_ID)),
            shared,
            meter,
            news: watch::Sender::default(),
            asks,
            wanted: Wanted::default(),
            groups: DashMap::new(),
            transactions: DashMap::new(),
            links: Mutex::default(),
            sights: Sights::default(),
            heard: Mutex::default(),
            watched: AtomicUsize::new(0),
        };
        (Arc::new(cluster), asked)
    }

    /// Its number in the config.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Its name in the config.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// From now on, where none of its brokers answers, it is sought at these addresses.
    pub fn sought_at(&self, bootstrap: Vec<HostPort>) {
        *self.bootstrap.lock() = bootstrap;
    }

    /// From now on a WarpStream cluster is told that we are in this zone: it then names agents there.
    pub fn in_zone(&self, zone: Option<&str>) {
        let us = Bytes::from_static(OUR_CLIENT_ID);
        *self.client_id.lock() = zone.map_or_else(|| us.clone(), |zone| client_id::in_zone(Some(&us), zone));
    }

    /// What all links share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The news, and a bell for newer ones.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// Asks for fresh metadata without waiting for it.
    pub fn refresh(&self, topics: &[StrBytes]) {
        self.wanted.add(topics);
    }

    /// A broker's words on who leads what. They count at once, so that a client which goes on with them finds us knowing; of a
    /// swarm the first do, and the others wait for metadata, which is asked for beside.
    pub fn hear(&self, leads: &[Lead]) {
        let now = Instant::now();
        {
            let mut heard = self.heard.lock();
            if heard.is_some_and(|heard| now.saturating_duration_since(heard) < HEAR_EVERY) {
                return;
            }
            *heard = Some(now);
        }
        self.news.send_if_modified(|news| {
            let after = news.snapshot.led(leads, now);
            let is_news = after.is_some();
            if let Some(after) = after {
                news.snapshot = Arc::new(after);
            }
            is_news
        });
    }

    /// Asks for fresh metadata of everything without waiting for it, where it is older than `age`.
    pub fn reread(&self, age: Duration) {
        let _ = self.asks.send(Ask { topics: Vec::new(), create: false, age, done: None });
    }

    /// Fresh metadata of some topics; made by the cluster, if it does so for clients, where `create` is set. Waits
    /// until it was read or could not be.
    pub async fn refreshed(&self, topics: Vec<StrBytes>, create: bool) {
        let (done, waiting) = oneshot::channel();
        self.asked(Ask { topics, create, age: Duration::ZERO, done: Some(done) }, waiting).await;
    }

    /// Metadata of everything that is no older than `age`, or could not be had for no longer. Waits as `refreshed` does.
    pub async fn no_older_than(&self, age: Duration) {
        let (done, waiting) = oneshot::channel();
        self.asked(Ask { topics: Vec::new(), create: false, age, done: Some(done) }, waiting).await;
    }

    async fn asked(&self, ask: Ask, waiting: oneshot::Receiver<()>) {
        if self.asks.send(ask).is_ok() {
            let _ = waiting.await;
        }
    }

    /// Reads metadata of topics that were just made or deleted until it says so: brokers hear of it one after another, and
    /// who is asked first may be the last to know; a busy one takes seconds. Gives up after some tries. Where very many are
    /// looked at already, everything is read anew, once, and no names are kept for it (L4).
    pub async fn settle(&self, mut topics: Vec<StrBytes>, is_so: impl Fn(&StrBytes, Option<&Arc<Topic>>) -> bool) {
        let Some(_watching) = self.watch(topics.len()) else { return self.no_older_than(Duration::ZERO).await };
        for pause in SETTLE {
            self.refreshed(topics.clone(), false).await;
            {
                let news = self.news.borrow();
                topics.retain(|topic| !is_so(topic, news.snapshot.topics.get(topic)));
            }
            if topics.is_empty() {
                return;
            }
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Nothing where there would be too many.
    fn watch(&self, topics: usize) -> Option<Watching<'_>> {
        let watching = Watching(&self.watched, topics);
        let before = self.watched.fetch_add(topics, Ordering::AcqRel);
        (before + topics <= WATCHED).then_some(watching)
    }

    /// The coordinators of one type, by key.
    fn coordinators(&self, of: CoordinatorType) -> &DashMap<StrBytes, BrokerId> {
        match of {
            CoordinatorType::Group => &self.groups,
            CoordinatorType::Transaction => &self.transactions,
        }
    }

    /// The coordinator of a group or of a transactional id, where it is known.
    #[must_use]
    pub fn known_coordinator(&self, of: CoordinatorType, key: &str) -> Option<BrokerId> {
        self.coordinators(of).get(key.as_bytes()).map(|broker| *broker)
    }

    /// A broker said that it does not coordinate this one (any more).
    pub fn forget_coordinator(&self, of: CoordinatorType, key: &str) {
        self.coordinators(of).remove(key.as_bytes());
    }

    /// Asks the cluster who coordinates a group or a transactional id. `Ok(Err(code))` is Kafka's own refusal.
    pub async fn find_coordinator(
        self: &Arc<Self>,
        of: CoordinatorType,
        key: &StrBytes,
    ) -> Result<Result<BrokerId, i16>, Fault> {
        let request = FindCoordinatorRequest::default().with_key(key.clone()).with_key_type(of.key_type());
        let answer: FindCoordinatorResponse = self.call(None, &request, 3).await?;
        if answer.error_code != 0 {
            return Ok(Err(answer.error_code));
        }
        let known = self.coordinators(of);
        if known.len() >= COORDINATORS {
            known.clear();
        }
        if !self.knows(&answer) {
            self.refresh(&[]);
        }
        known.insert(copied(key), BrokerId(answer.node_id.0));
        Ok(Ok(BrokerId(answer.node_id.0)))
    }

    /// Whether the coordinator listens where our metadata says: one that just came or moved is not there yet.
    fn knows(&self, told: &FindCoordinatorResponse) -> bool {
        let news = self.news.borrow();
        let known = news.snapshot.brokers.get(&BrokerId(told.node_id.0)).map(|broker| &broker.address);
        known.is_some_and(|known| *known.host == *told.host && i32::from(known.port) == told.port)
    }

    /// One call to `broker`, or to any that answers: where one is slow, the next is asked beside it and the first
    /// answer counts. The highest version up to `at_most` that both speak is used.
    pub async fn call<R: Call>(
        self: &Arc<Self>,
        broker: Option<BrokerId>,
        request: &R,
        at_most: i16,
    ) -> Result<R::Response, Fault> {
        self.call_as(Guise::OWN, broker, request, at_most).await
    }

    /// The same as this one, who may be allowed something else than we are.
    pub async fn call_as<R: Call>(
        self: &Arc<Self>,
        guise: &Guise,
        broker: Option<BrokerId>,
        request: &R,
        at_most: i16,
    ) -> Result<R::Response, Fault> {
        let mut candidates = self.candidates(guise, broker).into_iter();
        let mut asked = JoinSet::new();
        let mut fault = Fault::cluster(self.slot, "no broker of it is known");
        loop {
            match candidates.next() {
                Some((id, address)) => {
                    let (cluster, guise, request) = (Arc::clone(self), guise.clone(), request.clone());
                    asked.spawn(async move { cluster.call_at(guise, (id, &address), request, at_most).await });
                }
                None if asked.is_empty() => return Err(fault),
                None => {}
            }
            let patience = if candidates.len() == 0 { CALL_WITHIN } else { SLOW_AFTER };
            match timeout(patience, asked.join_next()).await {
                Ok(Some(Ok(Ok(response)))) => {
                    // The slower ones go on until their own time is over: then their links are given up.
                    asked.detach_all();
                    return Ok(response);
                }
                Ok(Some(Ok(Err(failed)))) => fault = failed,
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
    }

    /// The highest version of an API that a broker speaks, as it told when our own link to it was opened: `None` where there is none.
    #[must_use]
    pub fn speaks(&self, broker: BrokerId, api: ApiKey) -> Option<i16> {
        let address = self.news.borrow().snapshot.brokers.get(&broker)?.address.clone();
        let link = self.links.lock().get(&(address, Guise::Own)).map(Arc::clone);
        link?.speaks(api)
    }

    /// Whom to ask, best first: the one that was named, else the live brokers in random order, then the bootstrap.
    fn candidates(&self, guise: &Guise, broker: Option<BrokerId>) -> Vec<(BrokerId, HostPort)> {
        let news = self.news.borrow();
        let known = |(id, known): (&BrokerId, &super::Broker)| (*id, known.address.clone());
        let brokers = &news.snapshot.brokers;
        if let Some(named) = broker {
            return brokers.get_key_value(&named).map(known).into_iter().collect();
        }
        let mut all: Vec<_> = brokers.iter().map(known).collect();
        fastrand::shuffle(&mut all);
        // One that lets us wait already would only do so again.
        let (links, now) = (self.links.lock(), Instant::now());
        let is_late = |link: &Arc<Link>| link.owed(now).is_some_and(|owed| owed.late);
        all.sort_by_cached_key(|(_, address)| links.get(&(address.clone(), guise.clone())).is_some_and(is_late));
        all.extend(self.bootstrap.lock().iter().map(|address| (BrokerId(-1), address.clone())));
        all
    }

    async fn call_at<R: Call>(
        &self,
        guise: Guise,
        (id, address): (BrokerId, &HostPort),
        request: R,
        at_most: i16,
    ) -> Result<R::Response, Fault> {
        let target = Target { cluster: self.slot, broker: id };
        let api = ApiKey::try_from(R::KEY).map_err(|()| Fault::proxy("an API without a key"))?;
        let (tell, answered) = oneshot::channel();
        let (link, us) = (self.link(guise, target, address), self.client_id.lock().clone());
        let sent = link.send(Outgoing {
            api,
            write: Box::new(move |versions, correlation| {
                let lowest = R::VERSIONS.min;
                let version = versions.nearest(api, at_most.min(R::VERSIONS.max)).filter(|version| *version >= lowest);
                let version =
                    version.ok_or_else(|| Fault::upstream(target, false, format_args!("it lacks {api:?}")))?;
                let frame = encode_request(api, version, correlation, Some(&us), &request, &[]);
                frame.map(|frame| (version, frame)).map_err(|e| Fault::upstream(target, false, e))
            }),
            expect: Expect::Answer(Box::new(move |answer| {
                let read = |answer: Answer| answer.decode().map_err(|e| Fault::upstream(target, true, e));
                drop(tell.send(answer.and_then(read)));
            })),
            patience: Patience { late: SLOW_AFTER, over: CALL_WITHIN },
        });
        sent.unwrap_or_else(Refused::tell);
        match timeout(CALL_WITHIN, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Fault::upstream(target, true, "the link ended")),
            Err(_) => {
                let why = format!("no answer to {api:?} within {CALL_WITHIN:?}");
                link.poison("timeout", &why);
                Err(Fault::upstream(target, true, why))
            }
        }
    }

    /// From now on nobody comes to it but we ourselves and these: links of others end.
    pub fn keep(&self, stays: impl Fn(&Guise) -> bool) {
        self.sights.keep(&stays);
        let gone = |(_, guise): &(HostPort, Guise), _: &mut Arc<Link>| !guise.is_own() && !stays(guise);
        let gone: Vec<_> = self.links.lock().extract_if(gone).collect();
        gone.into_iter().for_each(|(_, link)| link.poison("removed", &"nobody comes to its cluster so any more"));
    }

    /// Our own link to an address, or one of who comes as this one, opened when there is none.
    fn link(&self, guise: Guise, target: Target, address: &HostPort) -> Arc<Link> {
        let mut links = self.links.lock();
        let place = (address.clone(), guise);
        if let Some(link) = links.get(&place).filter(|link| !link.is_dead()) {
            return Arc::clone(link);
        }
        // Brokers come and go.
        links.retain(|_, link| !link.is_dead());
        let link = Link::opening_as(place.1.clone(), target);
        links.insert(place, Arc::clone(&link));
        let (shared, meter) = (Arc::clone(&self.shared), Arc::clone(&self.meter));
        tokio::spawn(connect::serve(Arc::clone(&link), address.clone(), shared, meter, None));
        link
    }
}

/// Nobody asks it anything any more, and not every broker closes what is idle.
impl Drop for Cluster {
    fn drop(&mut self) {
        let links = std::mem::take(self.links.get_mut());
        links.into_values().for_each(|link| link.poison("removed", &"its cluster is not in use any more"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::refresh;
    use super::super::testing::{FakeCluster, Reply};
    use super::*;
    use crate::telemetry::Telemetry;
    use kafka_protocol::messages::HeartbeatRequest;

    #[tokio::test]
    async fn a_broker_that_lets_us_wait_is_asked_last() {
        let there = FakeCluster::start(2, &[], |_, _| Reply::Silence).await;
        let meter = Telemetry::new().unwrap().cluster(&"a".into());
        let shared = Shared::new(0, 1 << 20);
        let (cluster, asked) = Cluster::new(Slot::new(0).unwrap(), "a".into(), there.bootstrap(), shared, meter);
        tokio::spawn(refresh::run(Arc::clone(&cluster), asked));
        cluster.news().wait_for(|news| news.read).await.unwrap();
        let first = || cluster.candidates(Guise::OWN, None)[0].0;
        assert!((0..100).any(|_| first() == BrokerId(2)), "anybody may be the first");
        // When broker 2 owes an answer for longer than it should
        let waits = Arc::clone(&cluster);
        tokio::spawn(async move { waits.call(Some(BrokerId(2)), &HeartbeatRequest::default(), 4).await });
        sleep(SLOW_AFTER + SLOW_AFTER / 4).await;
        assert!((0..100).all(|_| first() == BrokerId(1)));
    }

    /// [L4]
    #[tokio::test]
    async fn l4_no_more_topics_are_looked_at_again_than_there_is_memory_for() {
        let shared = Shared::new(0, 1 << 20);
        let meter = Telemetry::new().unwrap().cluster(&"a".into());
        let (cluster, mut asked) = Cluster::new(Slot::new(0).unwrap(), "a".into(), Vec::new(), shared, meter);
        // Given as many as may be
        let watching = cluster.watch(WATCHED).unwrap();
        // When more are to be, then all is read anew instead, and nothing of them is kept
        let topics = vec![StrBytes::from_static_str("x")];
        let settle = cluster.settle(topics, |_, _| panic!("it is looked at"));
        let reads = async { asked.recv().await.unwrap().topics.len() };
        assert_eq!(tokio::join!(settle, reads), ((), 0));
        assert_eq!(cluster.watched.load(Ordering::Acquire), WATCHED);
        // And there is room again when they are done
        drop(watching);
        assert!(cluster.watch(1).is_some());
        assert_eq!(cluster.watched.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn a_cluster_that_nobody_uses_any_more_has_no_links() {
        let there = FakeCluster::start(1, &[], |_, _| Reply::Silence).await;
        let telemetry = Telemetry::new().unwrap();
        let (meter, shared) = (telemetry.cluster(&"a".into()), Shared::new(0, 1 << 20));
        let (cluster, asked) = Cluster::new(Slot::new(0).unwrap(), "a".into(), there.bootstrap(), shared, meter);
        let refreshing = tokio::spawn(refresh::run(Arc::clone(&cluster), asked));
        cluster.news().wait_for(|news| news.read).await.unwrap();
        let links = || telemetry.shown("fishplate_links", &[("cluster", "a"), ("use", "own")]);
        assert_eq!(links(), Some(1.0));
        refreshing.abort();
        let _ = refreshing.await;
        drop(cluster);
        let ended = async {
            while links() != Some(0.0) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), ended).await.unwrap();
    }
}
