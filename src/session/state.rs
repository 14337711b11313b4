//! One client connection: what it is, what it was promised, where its requests went.

use super::clients::Software;
use super::context::Context;
use super::links::Links;
use super::orders::Orders;
use super::produce::Held;
use super::replies::Replies;
use crate::api::{Effect, Effects, Need, Refusal, Seen};
use crate::placement::Placement;
use crate::telemetry::SessionGauge;
use crate::types::{BrokerId, SessionId, Slot, Target};
use crate::upstream::connect::Flow;
use crate::wire::codec::Frame;
use crate::wire::outlet::Outlet;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio::sync::Notify;

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
    /// Its connections to brokers.
    pub links: Links,
    /// The brokers that its fetch sessions live on (KIP-227). Two brokers may give the same number.
    pub fetch_sessions: Mutex<HashMap<i32, Target>>,
    /// The order of its Produce requests.
    pub orders: Orders<Held>,
    /// Counts it while it lives.
    pub gauge: SessionGauge,
    outlet: Arc<Outlet>,
    replies: Mutex<Replies<Frame>>,
    /// Rings when requests have been answered.
    answered: Notify,
}

impl Session {
    /// A session on a connection that was just accepted.
    #[must_use]
    pub fn new(context: &Arc<Context>, socket: Arc<TcpStream>, peer: SocketAddr) -> Arc<Self> {
        let outlet = Outlet::new(socket);
        let flow = Flow { outlet: Arc::clone(&outlet), limit: context.limits.responses };
        let session = Arc::new(Self {
            id: context.next_session(),
            peer,
            context: Arc::clone(context),
            software: OnceLock::new(),
            links: Links::new(Arc::clone(&context.shared), flow),
            fetch_sessions: Mutex::default(),
            orders: Orders::default(),
            gauge: context.telemetry.session_opened(),
            outlet,
            replies: Mutex::default(),
            answered: Notify::new(),
        });
        context.sessions.insert(session.id, Arc::clone(&session));
        session
    }

    /// What a request in `version` sees, under a placement.
    pub fn see<R>(
        &self,
        version: i16,
        placement: &Placement,
        refused: &[(Need, Refusal)],
        look: impl FnOnce(&Seen<'_>) -> R,
    ) -> R {
        let coordinator = |cluster: Slot, group: &str| -> Option<BrokerId> {
            self.context.cluster(cluster).and_then(|cluster| cluster.known_coordinator(group))
        };
        look(&Seen { version, placement, address: &self.context.address, coordinator: &coordinator, refused })
    }

    /// Does what answers told us to do.
    pub fn apply(&self, effects: Effects) {
        for effect in effects {
            match effect {
                Effect::Refresh(cluster, topic) => {
                    if let Some(cluster) = self.context.cluster(cluster) {
                        cluster.refresh(vec![topic]);
                    }
                }
                Effect::ForgetCoordinator(cluster, group) => {
                    if let Some(cluster) = self.context.cluster(cluster) {
                        cluster.forget_coordinator(&group);
                    }
                }
                // Takes its time, and the answer waits for it: `generic` has seen to it.
                Effect::DropShadows(..) => {}
            }
        }
    }

    /// Ends the connection at once, for this reason: a word for the metrics. The reader sees the end and cleans up.
    pub fn close(&self, reason: &'static str) {
        self.gauge.closing(reason);
        self.outlet.close();
        self.answered.notify_waiters();
    }

    /// Takes the session apart when its reader has ended: what the client had sent is still delivered, waits end.
    pub(super) fn end(&self) {
        self.outlet.close();
        self.context.sessions.remove(&self.id);
        self.orders.end();
        self.links.finish(self.context.limits.linger);
        self.answered.notify_waiters();
    }

    /// Whether nothing that the client asked is unanswered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.replies.lock().is_empty() && self.outlet.backlog() == 0
    }

    pub(super) fn promise(&self, bytes: usize) -> u64 {
        self.replies.lock().promise(bytes)
    }

    /// Writes what may leave now. Under the lock, so that two finishers cannot swap their frames.
    pub(super) fn keep(&self, number: u64, frame: Option<Frame>) {
        let mut replies = self.replies.lock();
        for frame in replies.keep(number, frame) {
            self.outlet.send(frame);
        }
        drop(replies);
        self.answered.notify_waiters();
    }

    /// Waits until the session may send more: until enough of what it asked is answered.
    pub(super) async fn room(&self) {
        let limits = &self.context.limits;
        loop {
            let answered = self.answered.notified();
            {
                let replies = self.replies.lock();
                let room = replies.bytes() < limits.requests && replies.len() < limits.in_flight;
                if room || self.outlet.is_closed() {
                    return;
                }
            }
            answered.await;
        }
    }
}
