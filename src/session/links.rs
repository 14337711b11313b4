//! The links of one session: one per broker for its requests, one more for its polls once Fetches are split, and one for each
//! share session that is split, so that nothing waits behind a long poll. Opened when first needed, closed when idle. Each enters
//! its cluster as whom the session's client comes there; where that is another one than it was, or nobody, the link takes nothing
//! more and ends when what is on it is answered, and the next one sends nothing before.

use crate::error::Fault;
use crate::placement::Placement;
use crate::telemetry::Telemetry;
use crate::types::{Guise, Principal, Slot, Target};
use crate::upstream::connect::{self, Flow, Shared};
use crate::upstream::{Link, Outgoing, Refused};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What is to go over a new link waits so long for what is on the one before it, which the client left; then it is refused, to be
/// tried again.
const LEFT_WITHIN: Duration = Duration::from_secs(10);

/// What a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Requests,
    Polls,
    /// Of this share session: a broker ends it with its link.
    Shares(u64),
}

#[derive(Debug, Default)]
struct Open {
    links: HashMap<(Target, Kind), Arc<Link>>,
    /// Of who the client is not any more, and such as finish: nothing is sent over them, and they end when all is answered.
    left: Vec<(Kind, Arc<Link>)>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Links {
    /// `None` once the session is over: nothing is opened any more that nobody would close.
    open: Mutex<Option<Open>>,
    /// Whose they are, once that is proven.
    whose: Arc<OnceLock<Principal>>,
    shared: Arc<Shared>,
    flow: Flow,
}

impl Links {
    /// None yet. Answers flow towards the client's outlet, and brokers are read no faster than it drains.
    #[must_use]
    pub fn new(whose: Arc<OnceLock<Principal>>, shared: Arc<Shared>, flow: Flow) -> Self {
        Self { open: Mutex::new(Some(Open::default())), whose, shared, flow }
    }

    /// As whom the session's client comes to a cluster; `None` where it does not.
    #[must_use]
    pub fn guise<'p>(&self, at: Slot, placement: &'p Placement) -> Option<&'p Guise> {
        static ANONYMOUS: LazyLock<Principal> = LazyLock::new(Principal::anonymous);
        let Some(cluster) = placement.config.cluster(at) else { return Some(Guise::OWN) };
        cluster.identities.of(self.whose.get().unwrap_or(&ANONYMOUS).as_str())
    }

    /// Sends a request to a broker, over the session's link to it.
    ///
    /// # Errors
    /// Where it will not be sent.
    pub fn send(
        &self,
        to: Target,
        outgoing: Outgoing,
        placement: &Placement,
        telemetry: &Telemetry,
    ) -> Result<(), Refused> {
        match self.to(to, placement, telemetry) {
            Ok(link) => link.send(outgoing),
            Err(fault) => Err(Refused::new(outgoing.expect, fault)),
        }
    }

    /// The same with a part of a split Fetch, over a link of its own.
    ///
    /// # Errors
    /// Where it will not be sent.
    pub fn poll(
        &self,
        to: Target,
        outgoing: Outgoing,
        placement: &Placement,
        telemetry: &Telemetry,
    ) -> Result<(), Refused> {
        match self.get(to, Kind::Polls, placement, telemetry) {
            Ok(link) => link.send(outgoing),
            Err(fault) => Err(Refused::new(outgoing.expect, fault)),
        }
    }

    /// The same with a request of a split share session, over a link of its own.
    ///
    /// # Errors
    /// Where it will not be sent.
    pub fn share(
        &self,
        session: u64,
        to: Target,
        outgoing: Outgoing,
        placement: &Placement,
        telemetry: &Telemetry,
    ) -> Result<(), Refused> {
        match self.get(to, Kind::Shares(session), placement, telemetry) {
            Ok(link) => link.send(outgoing),
            Err(fault) => Err(Refused::new(outgoing.expect, fault)),
        }
    }

    /// A split share session has ended: its links take nothing more, and end when what is on them is done, after `linger` at
    /// the latest.
    pub fn end_share(&self, session: u64, linger: Duration) {
        let mut links = Vec::new();
        if let Some(open) = self.open.lock().as_mut() {
            let of_it = open.links.extract_if(|(_, kind), _| *kind == Kind::Shares(session));
            links.extend(of_it.map(|(_, link)| link));
        }
        end(links, linger, "its share session is over");
    }

    /// Sends what is not worth opening a link for: where there is none, it is dropped, and nobody is told.
    pub fn send_if_open(&self, to: Target, outgoing: Outgoing) {
        let link = self.open.lock().as_ref().and_then(|open| open.links.get(&(to, Kind::Requests)).cloned());
        if let Some(link) = link {
            let _not_sent = link.send(outgoing);
        }
    }

    /// The session's link to a broker, opened when there is none.
    ///
    /// # Errors
    /// Where the broker is not known to live, or the session is over.
    pub fn to(&self, to: Target, placement: &Placement, telemetry: &Telemetry) -> Result<Arc<Link>, Fault> {
        self.get(to, Kind::Requests, placement, telemetry)
    }

    fn get(&self, to: Target, kind: Kind, placement: &Placement, telemetry: &Telemetry) -> Result<Arc<Link>, Fault> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(|| Fault::left(false))?;
        let guise = self.guise(to.cluster, placement);
        if let Some(link) = open.links.get(&(to, kind)).filter(|link| !link.has_ended()) {
            if Some(link.guise()) == guise && !link.is_dead() {
                return Ok(Arc::clone(link));
            }
            link.leave();
            open.left.push((kind, Arc::clone(link)));
            open.links.remove(&(to, kind));
        }
        // Whoever asks was told so before it was planned; here it is made sure.
        let nobody = || Fault::barred(to.cluster);
        let guise = guise.ok_or_else(nobody)?.clone();
        let cluster = placement.cluster(to.cluster).ok_or_else(|| Fault::upstream(to, false, "no such cluster"))?;
        let broker = cluster.snapshot.brokers.get(&to.broker);
        let address = broker.ok_or_else(|| Fault::upstream(to, false, "it is not alive"))?.address.clone();
        let link = Link::opening_as(guise, to);
        open.links.insert((to, kind), Arc::clone(&link));
        let (shared, meter) = (Arc::clone(&self.shared), telemetry.cluster(&cluster.name));
        let serving = connect::serve(Arc::clone(&link), address, shared, meter, Some(self.flow.clone()));
        let before = open.left.iter().filter(|(of, left)| *of == kind && left.target() == to);
        let before: Vec<_> = before.map(|(_, left)| Arc::clone(left)).collect();
        let opening = Arc::clone(&link);
        tokio::spawn(async move {
            // What the client sent before, as who it was, is answered first.
            let answered = async {
                for left in before {
                    left.ended().await;
                }
            };
            match timeout(LEFT_WITHIN, answered).await {
                Ok(()) => serving.await,
                Err(_) => opening.poison("left", &"what was sent as who the client was before waits for its answer"),
            }
        });
        Ok(link)
    }

    /// Whether there is a link to this broker already.
    #[must_use]
    pub fn has(&self, to: Target) -> bool {
        let open = self.open.lock();
        let link = open.as_ref().and_then(|open| open.links.get(&(to, Kind::Requests)));
        link.is_some_and(|link| !link.is_dead())
    }

    /// Gives up what waits too long, and what `see` does; closes what has been idle.
    pub fn sweep(&self, now: Instant, idle: impl Fn(Target) -> Duration, mut see: impl FnMut(&Link)) {
        for link in self.all() {
            link.enforce_deadline(now);
            see(&link);
            if let Some(since) = now.checked_sub(idle(link.target())) {
                link.end_if_idle(since);
            }
        }
        if let Some(open) = self.open.lock().as_mut() {
            open.left.iter().for_each(|(_, link)| link.end_if_idle(now));
            open.left.retain(|(_, link)| !link.has_ended());
            open.links.retain(|_, link| !link.has_ended());
        }
    }

    /// How many are open, or being opened.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.lock().as_ref().map_or(0, |open| open.links.len() + open.left.len())
    }

    /// Links to clusters that are not in the config any more take nothing new, and end when what is on them is done; so do those of
    /// who the client is not any more.
    pub fn leave(&self, placement: &Placement) {
        let gone = |link: &Arc<Link>| placement.cluster(link.target().cluster).is_none();
        self.all().into_iter().filter(gone).for_each(|link| link.finish());
        if let Some(open) = self.open.lock().as_mut() {
            let is_another = |(to, _): &(Target, Kind), link: &mut Arc<Link>| {
                self.guise(to.cluster, placement) != Some(link.guise())
            };
            let left = open.links.extract_if(is_another).map(|((_, kind), link)| (kind, link));
            open.left.extend(left.inspect(|(_, link)| link.leave()));
        }
    }

    /// Waits until no broker has more than `limit` bytes to take that it will not answer.
    pub async fn room(&self, limit: usize) {
        for link in self.all() {
            link.room(limit).await;
        }
    }

    /// Bytes that wait for brokers to take them.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.all().iter().map(|link| link.backlog()).sum()
    }

    /// As whom those enter that are open, or being opened.
    #[cfg(test)]
    pub(super) fn guises(&self) -> Vec<Guise> {
        self.all().iter().map(|link| link.guise().clone()).collect()
    }

    fn all(&self) -> Vec<Arc<Link>> {
        self.open.lock().iter().flat_map(Open::all).cloned().collect()
    }

    /// The client is gone: nobody waits for polls (L5).
    pub fn end_polls(&self) {
        let open = self.open.lock();
        let polls = open.iter().flat_map(|open| &open.links).filter(|((_, kind), _)| *kind == Kind::Polls);
        let polls: Vec<_> = polls.map(|(_, link)| Arc::clone(link)).collect();
        drop(open);
        for link in polls {
            link.finish();
            link.poison("session", &"the client is gone");
        }
    }

    /// The client is gone: what it had sent is still delivered, for `linger` at most; nobody waits for the answers (L5).
    pub fn finish(&self, linger: Duration) {
        let open = self.open.lock().take();
        let links = open.iter().flat_map(Open::all).cloned().collect();
        end(links, linger, "the client is gone");
    }
}

impl Open {
    fn all(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.links.values().chain(self.left.iter().map(|(_, link)| link))
    }
}

fn end(mut links: Vec<Arc<Link>>, linger: Duration, why: &'static str) {
    links.iter().for_each(|link| link.finish());
    links.retain(|link| !link.end_if_polled());
    if links.is_empty() {
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(linger).await;
        links.iter().for_each(|link| link.poison("session", &why));
    });
}
