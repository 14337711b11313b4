//! The links of one session: one per broker, opened when first needed, closed when idle.

use crate::error::Fault;
use crate::placement::Placement;
use crate::telemetry::Telemetry;
use crate::types::Target;
use crate::upstream::connect::{self, Flow, Shared};
use crate::upstream::{Link, Outgoing, Refused};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module's text.
#[derive(Debug)]
pub struct Links {
    /// `None` once the session is over: nothing is opened any more that nobody would close.
    open: Mutex<Option<HashMap<Target, Arc<Link>>>>,
    shared: Arc<Shared>,
    flow: Flow,
}

impl Links {
    /// None yet. Answers flow towards the client's outlet, and brokers are read no faster than it drains.
    #[must_use]
    pub fn new(shared: Arc<Shared>, flow: Flow) -> Self {
        Self { open: Mutex::new(Some(HashMap::new())), shared, flow }
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

    /// Sends what is not worth opening a link for: where there is none, it is dropped, and nobody is told.
    pub fn send_if_open(&self, to: Target, outgoing: Outgoing) {
        let link = self.open.lock().as_ref().and_then(|open| open.get(&to).cloned());
        if let Some(link) = link {
            let _not_sent = link.send(outgoing);
        }
    }

    /// The session's link to a broker, opened when there is none.
    ///
    /// # Errors
    /// Where the broker is not known to live, or the session is over.
    pub fn to(&self, to: Target, placement: &Placement, telemetry: &Telemetry) -> Result<Arc<Link>, Fault> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(|| Fault::left(false))?;
        if let Some(link) = open.get(&to).filter(|link| !link.is_dead()) {
            return Ok(Arc::clone(link));
        }
        let cluster = placement.cluster(to.cluster).ok_or_else(|| Fault::upstream(to, false, "no such cluster"))?;
        let broker = cluster.snapshot.brokers.get(&to.broker);
        let address = broker.ok_or_else(|| Fault::upstream(to, false, "it is not alive"))?.address.clone();
        let link = Link::opening(to);
        open.insert(to, Arc::clone(&link));
        let (shared, meter) = (Arc::clone(&self.shared), telemetry.cluster(&cluster.name));
        tokio::spawn(connect::serve(Arc::clone(&link), address, shared, meter, Some(self.flow.clone())));
        Ok(link)
    }

    /// Whether there is a link to this broker already.
    #[must_use]
    pub fn has(&self, to: Target) -> bool {
        self.open.lock().as_ref().and_then(|open| open.get(&to)).is_some_and(|link| !link.is_dead())
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
            open.retain(|_, link| !link.is_dead());
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

    fn all(&self) -> Vec<Arc<Link>> {
        self.open.lock().iter().flat_map(HashMap::values).cloned().collect()
    }

    /// The client is gone: what it had sent is still delivered, for `linger` at most; nobody waits for the answers (L5).
    pub fn finish(&self, linger: Duration) {
        let links: Vec<_> = self.open.lock().take().into_iter().flat_map(HashMap::into_values).collect();
        if links.is_empty() {
            return;
        }
        links.iter().for_each(|link| link.finish());
        tokio::spawn(async move {
            tokio::time::sleep(linger).await;
            links.iter().for_each(|link| link.poison("session", &"the client is gone"));
        });
    }
}
