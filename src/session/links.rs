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
    open: Mutex<HashMap<Target, Arc<Link>>>,
    shared: Arc<Shared>,
    flow: Flow,
}

impl Links {
    /// None yet. Answers flow towards the client's outlet, and brokers are read no faster than it drains.
    #[must_use]
    pub fn new(shared: Arc<Shared>, flow: Flow) -> Self {
        Self { open: Mutex::default(), shared, flow }
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
        match self.link(to, placement, telemetry) {
            Ok(link) => link.send(outgoing),
            Err(fault) => Err(Refused::new(outgoing.expect, fault)),
        }
    }

    fn link(&self, to: Target, placement: &Placement, telemetry: &Telemetry) -> Result<Arc<Link>, Fault> {
        let mut open = self.open.lock();
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

    /// Gives up what waits too long; closes what has been idle.
    pub fn sweep(&self, now: Instant, idle: Duration) {
        let links: Vec<_> = self.open.lock().values().cloned().collect();
        for link in &links {
            link.enforce_deadline(now);
            if now.checked_sub(idle).is_some_and(|since| link.idle_since(since)) {
                link.poison("idle", &"it was idle");
            }
        }
        self.open.lock().retain(|_, link| !link.is_dead());
    }

    /// The client is gone: what it had sent is still delivered, for `linger` at most; nobody waits for the answers \[L5\].
    pub fn finish(&self, linger: Duration) {
        let links: Vec<_> = self.open.lock().drain().map(|(_, link)| link).collect();
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
