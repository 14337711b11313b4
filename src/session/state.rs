//! One client connection: what it is, what it was promised, where its requests went.

use super::clients::{NAMELESS, Software};
use super::context::{Context, Limits};
use super::fetch::FetchSession;
use super::followers::Followers;
use super::habits::{Found, Habits};
use super::links::Links;
use super::orders::Orders;
use super::polls::SplitFetches;
use super::produce::Held;
use super::replies::Replies;
use super::rights::Known;
use super::shares::ShareSessions;
use super::split_shares::SplitShares;
use super::subscriptions::Subscriptions;
use super::turns::Turns;
use crate::api::{Effect, Effects, Refusals, Seen};
use crate::config::Config;
use crate::placement::{Front, Placement, TopicPlace};
use crate::telemetry::observed::{Fact, Reader};
use crate::telemetry::{Recent, SessionGauge};
use crate::types::{BrokerId, CoordinatorType, Principal, SessionId, Slot, View};
use crate::upstream::connect::{Flow, SMALL_ANSWER};
use crate::upstream::{Lead, Look, Topic};
use crate::wire::budget::Share;
use crate::wire::codec::{Frame, copied, size_of};
use crate::wire::head::RequestHead;
use crate::wire::outlet::Outlet;
use crate::wire::transport::Transport;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout_at;

/// See the module's text.
pub struct Session {
    /// Its number, in every log line about it.
    pub id: SessionId,
    /// Where the client is.
    pub peer: SocketAddr,
    /// What it shares with others.
    pub context: Arc<Context>,
    /// What the client says it is; nothing until it says so.
    pub software: OnceLock<Software>,
    /// What its listener showed when it began.
    pub front: Arc<Front>,
    view: OnceLock<View>,
    /// What it calls itself in its first request that says so (its `client.id`).
    pub client_id: OnceLock<Box<[u8]>>,
    /// Who it has proven to be.
    principal: Arc<OnceLock<Principal>>,
    /// What it calls itself with where it comes from, for who keeps count.
    reader: OnceLock<Reader>,
    /// When it connected.
    pub since: Instant,
    /// Its connections to brokers.
    pub links: Links,
    /// Its fetch sessions (KIP-227). Two brokers may give the same number.
    pub fetch_sessions: Mutex<HashMap<i32, FetchSession>>,
    /// Its Fetches over several brokers.
    pub polls: SplitFetches,
    /// What its client reads from followers.
    pub followers: Followers,
    /// The order of its Produce requests.
    pub orders: Orders<Held>,
    /// At which brokers its share sessions are.
    pub(super) share_sessions: ShareSessions,
    /// Those that are split over several.
    pub(super) split_shares: SplitShares,
    /// What group members have subscribed to that heartbeat over it.
    pub(super) subscriptions: Subscriptions,
    /// What its client may do.
    pub(super) rights: Known,
    /// Commits that wait, in their order.
    pub turns: Turns,
    /// Counts it while it lives.
    pub gauge: SessionGauge,
    /// Count its requests.
    pub meters: Recent,
    /// It has sent requests that no broker answers (acks=0), whose bytes no missing answer bounds.
    unanswered: AtomicBool,
    /// The last error code in an answer, with the API.
    last_error: Mutex<Option<(ApiKey, &'static str)>>,
    outlet: Arc<Outlet>,
    replies: Mutex<Replies<Frame>>,
    /// Rings when requests have been answered.
    answered: Notify,
    /// What the session may hold of requests' memory.
    pub(super) requests: Arc<Share>,
    /// And of answers'.
    pub(super) responses: Arc<Share>,
    /// Its reader has waited for the client inside the request that it reads.
    pub(super) amid: Arc<AtomicBool>,
    /// It is read no further until then: a limit throttles it.
    pub(super) pause: Mutex<Option<Instant>>,
    /// What the last looks at it found.
    habits: Mutex<Habits>,
}

/// Of longer names of itself that a client gives, the end is cut.
const LONGEST_CLIENT_ID: usize = 100;

/// Requests of up to so many bytes, of a session that holds none, are always read: heartbeats must not wait behind
/// others' records.
const SMALL_REQUEST: usize = 4 << 10;

impl Session {
    /// A session on a connection that was just accepted.
    #[must_use]
    pub fn new(context: &Arc<Context>, socket: Arc<Transport>, peer: SocketAddr) -> Arc<Self> {
        let outlet = Outlet::new(socket);
        let memory = &context.shared.memory;
        let requests = Share::of(&memory.requests, SMALL_REQUEST);
        let responses = Share::of(&memory.responses, SMALL_ANSWER);
        let limit = context.limits().responses;
        let flow = Flow { outlet: Arc::clone(&outlet), limit, share: Arc::clone(&responses) };
        let principal = Arc::default();
        let session = Arc::new(Self {
            id: context.next_session(),
            peer,
            context: Arc::clone(context),
            software: OnceLock::new(),
            front: context.front.load_full(),
            view: OnceLock::new(),
            client_id: OnceLock::new(),
            principal: Arc::clone(&principal),
            reader: OnceLock::new(),
            since: Instant::now(),
            last_error: Mutex::default(),
            links: Links::new(principal, Arc::clone(&context.shared), flow),
            fetch_sessions: Mutex::default(),
            polls: SplitFetches::new(context.limits().responses),
            followers: Followers::default(),
            orders: Orders::default(),
            share_sessions: ShareSessions::default(),
            split_shares: SplitShares::default(),
            subscriptions: Subscriptions::default(),
            rights: Known::default(),
            turns: Turns::default(),
            gauge: context.telemetry.session_opened(),
            meters: Recent::default(),
            unanswered: AtomicBool::new(false),
            outlet,
            replies: Mutex::default(),
            answered: Notify::new(),
            requests,
            responses,
            amid: Arc::default(),
            pause: Mutex::default(),
            habits: Mutex::new(Habits::new(Instant::now())),
        });
        context.sessions.insert(session.id, Arc::clone(&session));
        session
    }

    /// Who the client has proven to be, or else `User:ANONYMOUS`. The same for ever: who logs in anew must be who it was.
    #[must_use]
    pub fn principal(&self) -> Principal {
        self.principal.get().cloned().unwrap_or_else(Principal::anonymous)
    }

    /// The client has proven to be this one. The first proof stands.
    pub fn identify(&self, principal: Principal) {
        let _first_stands = self.principal.set(principal);
    }

    /// What a request says of who sends it. The first word stands.
    pub(super) fn hear_client_id(&self, head: &RequestHead) {
        if let Some(id) = head.client_id.as_ref().filter(|_| self.client_id.get().is_none()) {
            let _first_stands = self.client_id.set(id.iter().take(LONGEST_CLIENT_ID).copied().collect());
        }
    }

    /// What the client says it is.
    #[must_use]
    pub fn client(&self) -> &Software {
        self.software.get().unwrap_or(&NAMELESS)
    }

    /// How it is shown nodes, where it has asked.
    #[must_use]
    pub fn shown(&self) -> Option<View> {
        self.view.get().copied()
    }

    /// How it is shown nodes, for ever: by what it says it is, if it has said so before it asks for anything else.
    pub fn view(&self, config: &Config) -> View {
        *self.view.get_or_init(|| {
            let client = self.client();
            let view = self.front.view(&client.name, &client.version, config);
            if self.gauge.client(&client.name, &client.version, view) {
                tracing::info!(
                    session = %self.id, peer = %self.peer, client = %client, view = %view, listener = %self.front.bound,
                    "a client that was not seen before"
                );
            }
            view
        })
    }

    /// What a request in `version` sees, under a placement.
    pub fn see<R>(
        &self,
        version: i16,
        placement: &Placement,
        refused: &Refusals,
        look: impl FnOnce(&Seen<'_>) -> R,
    ) -> R {
        let coordinator = |cluster: Slot, of: CoordinatorType, key: &str| -> Option<BrokerId> {
            self.context.cluster(cluster).and_then(|cluster| cluster.known_coordinator(of, key))
        };
        let follows = |place: &TopicPlace, partition| self.follows(place, partition);
        let (view, front) = (self.view(&placement.config), &*self.front);
        let sight = |at: Slot| self.sight(at, placement);
        let (coordinator, follows, sight, reader) = (&coordinator, &follows, &sight, self.reader());
        self.guarded(placement, |guard| {
            look(&Seen { version, placement, view, front, coordinator, follows, refused, reader, guard, sight })
        })
    }

    /// As whom its client comes to a cluster, with what that may know there; `None`: as Fishplate itself, or not at all.
    fn sight(&self, at: Slot, placement: &Placement) -> Option<Look> {
        let guise = self.links.guise(at, placement).filter(|guise| !guise.is_own())?.clone();
        let sight = self.context.cluster(at)?.sight(&guise);
        Some(Look { guise, sight, now: Instant::now() })
    }

    /// Who its client is to who keeps count.
    pub fn reader(&self) -> Reader {
        // Its first request has said what it calls itself, and is asked for each that follows.
        *self.reader.get_or_init(|| Reader::of(self.client_id.get().map(|id| &**id), self.peer.ip()))
    }

    /// Facts for who keeps count.
    pub fn note(&self, facts: impl IntoIterator<Item = Fact>) {
        self.context.telemetry.notes().note(facts);
    }

    /// Does what answers told us to do.
    pub fn apply(&self, effects: Effects) {
        self.hear(&effects);
        let (mut gone, mut changing) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        let mut saw = Vec::new();
        for effect in effects {
            match effect {
                Effect::Refresh(cluster, topic) => {
                    if let Some(cluster) = self.context.cluster(cluster) {
                        cluster.refresh(&[topic]);
                    }
                }
                Effect::Saw(fact) => saw.push(fact),
                Effect::Follow(topic, partition, at) => self.follow(&topic, partition, at),
                Effect::Settle(cluster, topic, false) => gone.entry(cluster).or_default().push(copied(&topic)),
                Effect::Changing(cluster, topic) => changing.entry(cluster).or_default().push(copied(&topic)),
                Effect::ForgetCoordinator(cluster, of, key) => {
                    if let Some(cluster) = self.context.cluster(cluster) {
                        cluster.forget_coordinator(of, &key);
                    }
                }
                // They take their time, and the answer waits for them: `generic` sees to it.
                Effect::DropShadows(..) | Effect::Settle(_, _, true) | Effect::Grown(..) => {}
                // Heard already, all together.
                Effect::Leads(..) => {}
            }
        }
        self.note(saw);
        self.watch(gone, |_, found| found.is_none());
        self.watch(changing, |_, _| false);
    }

    /// What an answer says of who leads what.
    fn hear(&self, effects: &Effects) {
        let mut heard: BTreeMap<Slot, Vec<Lead>> = BTreeMap::new();
        for effect in effects {
            if let Effect::Leads(cluster, lead) = effect {
                heard.entry(*cluster).or_default().push(lead.clone());
            }
        }
        for (cluster, leads) in heard {
            if let Some(cluster) = self.context.cluster(cluster) {
                cluster.hear(&leads);
            }
        }
    }

    /// Looks at topics until they are so, and for half a minute at most.
    fn watch(
        &self,
        topics: HashMap<Slot, Vec<StrBytes>>,
        is_so: impl Fn(&StrBytes, Option<&Arc<Topic>>) -> bool + Copy + Send + 'static,
    ) {
        for (slot, topics) in topics {
            if let Some(cluster) = self.context.cluster(slot) {
                tokio::spawn(async move { cluster.settle(topics, is_so).await });
            }
        }
    }

    /// Requests that are not answered yet, and their bytes.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        let replies = self.replies.lock();
        (replies.len(), replies.bytes())
    }

    /// The last error code in an answer, with Kafka's names of the API and of the code.
    #[must_use]
    pub fn last_error(&self) -> Option<(String, &'static str)> {
        self.last_error.lock().map(|(api, code)| (format!("{api:?}"), code))
    }

    /// An answer bears this error.
    pub(super) fn erred(&self, api: ApiKey, code: &'static str) {
        *self.last_error.lock() = Some((api, code));
    }

    /// Ends the connection at once, for this reason: a word for the metrics. The reader sees the end and cleans up.
    pub fn close(&self, reason: &'static str) {
        self.gauge.closing(reason);
        self.outlet.close();
        self.answered.notify_waiters();
    }

    /// Looks whether the client still does its part, and closes its connection where it does not. `sought` where others
    /// wait for memory that it may hold.
    pub(super) fn look(self: &Arc<Self>, now: Instant, sought: bool) {
        if sought {
            self.polls.shed(now);
            self.shed_shares(now);
        }
        self.ask_leaders_again(now);
        let found = {
            let replies = self.replies.lock();
            Found {
                asked: replies.asked(),
                unanswered: replies.len(),
                amid: self.amid.load(Ordering::Relaxed),
                taken: self.outlet.taken(),
                owed: self.outlet.backlog(),
                sought,
                outside: self.context.gate().is_some() && self.principal.get().is_none(),
            }
        };
        let Some(fault) = self.habits.lock().look(&found, now, &self.context.limits()) else { return };
        if let Some(held_back) =
            self.context.seldom.pass(format!("{} {}", self.peer.ip(), fault.word())).filter(|_| fault.is_news())
        {
            tracing::warn!(
                session = %self.id, peer = %self.peer, client = %self.client(), reason = %fault, held_back,
                "closing a client connection that keeps what others need"
            );
        }
        self.close(fault.word());
    }

    /// Takes the session apart when its reader has ended. The client is told nothing any more, but what it had sent is
    /// still delivered (L5), also what is held: until then the session keeps its links, and who stops Fishplate sees it.
    pub(super) fn end(self: &Arc<Self>) {
        self.outlet.close();
        self.gauge.gone();
        self.answered.notify_waiters();
        // Long polls end with their client.
        self.polls.end();
        self.split_shares.end();
        self.links.end_polls();
        let linger = self.context.limits().linger;
        if self.is_delivered() {
            self.leave(linger);
        } else {
            tokio::spawn(Arc::clone(self).deliver(Instant::now() + linger));
        }
    }

    async fn deliver(self: Arc<Self>, until: Instant) {
        let delivered = async {
            self.orders.settled().await;
            self.links.room(0).await;
        };
        let _or_too_late = timeout_at(until.into(), delivered).await;
        self.leave(until.saturating_duration_since(Instant::now()));
    }

    fn leave(&self, linger: Duration) {
        self.orders.end().for_each(|held| held.lost());
        self.links.finish(linger);
        self.context.sessions.remove(&self.id);
    }

    /// Whether nothing that the client asked is unanswered, or on its way where nobody answers.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.replies.lock().is_empty() && self.outlet.backlog() == 0 && self.is_delivered()
    }

    /// Whether brokers have, or will never get, all Produce requests. Others are let go with the client, who waits for
    /// their answers.
    fn is_delivered(&self) -> bool {
        self.orders.is_settled() && self.links.backlog() == 0
    }

    pub(super) fn promise(&self, bytes: usize) -> u64 {
        self.replies.lock().promise(bytes)
    }

    /// The answer may take so many bytes.
    pub(super) fn expect(&self, number: u64, bytes: usize) {
        self.replies.lock().expect(number, bytes);
    }

    /// Writes what may leave now. Under the lock, so that two finishers cannot swap their frames.
    pub(super) fn keep(&self, number: u64, frame: Option<Frame>) {
        let size = frame.as_ref().map_or(0, size_of);
        let mut replies = self.replies.lock();
        for frame in replies.keep(number, frame, size) {
            self.outlet.send(frame);
        }
        drop(replies);
        self.answered.notify_waiters();
    }

    /// Whether it was closed: what the client has sent since, or had sent before and is still to be read, is not
    /// served any more.
    pub(super) fn is_closed(&self) -> bool {
        self.outlet.is_closed()
    }

    /// Bytes of answers that the client has not taken yet.
    #[cfg(test)]
    pub(super) fn backlog(&self) -> usize {
        self.outlet.backlog()
    }

    /// From now on brokers' backlogs bound it too.
    pub(super) fn sends_unanswered(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    /// Waits until the session may send more: until enough of what it asked is answered, no more answers wait for the
    /// oldest one than we may hold, the client has taken enough of them, and brokers enough of what they do not answer.
    /// Links are read meanwhile, whatever waits: the oldest answer may be behind others.
    pub(super) async fn room(&self) {
        let limits = &self.context.limits();
        self.answered(limits).await;
        let allowed = if self.responses.pool().is_short() { 0 } else { limits.responses };
        self.outlet.room(allowed).await;
        if self.unanswered.load(Ordering::Relaxed) {
            tokio::select! {
                () = self.links.room(limits.requests) => {}
                () = self.closed() => {}
            }
        }
    }

    /// Waits until all that was answered has left.
    pub(super) async fn told(&self) {
        self.outlet.room(0).await;
    }

    pub(super) async fn closed(&self) {
        loop {
            let rings = self.answered.notified();
            if self.is_closed() {
                return;
            }
            rings.await;
        }
    }

    async fn answered(&self, limits: &Limits) {
        loop {
            let answered = self.answered.notified();
            {
                let replies = self.replies.lock();
                let asked = replies.bytes() < limits.requests && replies.len() < limits.in_flight;
                let room = asked && replies.waiting() < limits.responses;
                if room || self.is_closed() {
                    return;
                }
            }
            answered.await;
        }
    }
}
