//! The driver of ShareFetch and ShareAcknowledge: keeps the table of share sessions, sends, answers. In `single` share sessions
//! are split (`split_shares`).

use super::fetch::clusters;
use super::generic::patience;
use super::rights::Rules;
use super::ticket::Ticket;
use super::{needs, split_shares};
use crate::api::fetch::records_within;
use crate::api::groups::shares::{Asked, Forget, Plan, ShareRequest, absorb, plan};
use crate::api::guard::{Guarded, screen};
use crate::api::{Effects, ErrorCodes, Refusals};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Target, View};
use crate::upstream::{Answer, Expect, Outgoing, Refused};
use crate::wire::codec::encode_request;
use crate::wire::malformed::Malformed;
use crate::wire::shape::Shaped;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ShareAcknowledgeRequest, ShareFetchRequest};
use kafka_protocol::protocol::Encodable;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// More share sessions than this on one connection (mostly it has one), and all are forgotten: their members open new ones.
/// About 4 KiB, which is what a session may take that is not counted.
pub(super) const SESSIONS: usize = 100;

/// At which broker the share sessions of this connection are, by a hash of group and member: two of one hash end each
/// other's session, and their members open new ones.
#[derive(Debug, Default)]
pub struct ShareSessions {
    at: Mutex<HashMap<u64, Bound>>,
    hash: RandomState,
}

/// A share session.
#[derive(Debug)]
struct Bound {
    at: Target,
    /// What its topics were looked at with, when they were named.
    rules: Rules,
}

impl ShareSessions {
    pub(super) fn key(&self, request: &impl ShareRequest) -> u64 {
        self.hash.hash_one((request.group(), request.member()))
    }

    /// Where a session is that a request may go to: one that reads on by other rules than it was opened by must be opened anew.
    fn get(&self, key: u64, epoch: i32, placement: &Placement) -> Option<Target> {
        self.at.lock().get(&key).filter(|bound| epoch <= 0 || bound.rules.hold(placement)).map(|bound| bound.at)
    }

    fn keep(&self, key: u64, at: Target, placement: &Placement) {
        let mut sessions = self.at.lock();
        if sessions.len() >= SESSIONS {
            sessions.clear();
        }
        sessions.insert(key, Bound { at, rules: Rules::of(placement) });
    }

    #[cfg(test)]
    pub(super) fn keep_late(&self, request: &impl ShareRequest, at: Target, then: &Placement) {
        self.keep(self.key(request), at, then);
    }

    fn forget(&self, key: u64) {
        self.at.lock().remove(&key);
    }
}

/// A request of either kind.
pub(super) trait Shares:
    ShareRequest<Answer: Shaped + Encodable + ErrorCodes + Send + 'static>
    + Guarded<Answer = <Self as ShareRequest>::Answer>
    + Into<Asked>
    + Shaped
    + Encodable
    + Send
    + 'static
{
    const KEY: ApiKey;
    /// How long a broker may hold it, in ms.
    fn held_ms(&self) -> i32;
}

impl Shares for ShareFetchRequest {
    const KEY: ApiKey = ApiKey::ShareFetch;

    fn held_ms(&self) -> i32 {
        self.max_wait_ms
    }
}

impl Shares for ShareAcknowledgeRequest {
    const KEY: ApiKey = ApiKey::ShareAcknowledge;

    fn held_ms(&self) -> i32 {
        0
    }
}

/// Serves a ShareFetch.
pub fn fetch(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let mut request: ShareFetchRequest = ticket.read(frame)?;
    // What is larger than the session may hold is asked for again by the client [L4].
    let most = i32::try_from(records_within(ticket.session().context.limits().responses)).unwrap_or(i32::MAX);
    request.max_bytes = request.max_bytes.min(most);
    ticket.expects(usize::try_from(request.max_bytes).unwrap_or(0));
    begin(ticket, request, frame);
    Ok(())
}

/// Serves a ShareAcknowledge.
pub fn acknowledge(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let request: ShareAcknowledgeRequest = ticket.read(frame)?;
    begin(ticket, request, frame);
    Ok(())
}

fn begin<R: Shares>(ticket: Ticket, request: R, frame: &Bytes) {
    let session = Arc::clone(ticket.session());
    let config = &session.context.current.load().config;
    if session.view(config) == View::Single {
        split_shares::submit(ticket, request);
    } else {
        go_on(ticket, request, frame.clone(), Refusals::default(), None);
    }
}

/// What is told of what was taken out of a request.
pub(super) type Told<R> = Option<<R as ShareRequest>::Answer>;

fn go_on<R: Shares>(mut ticket: Ticket, mut request: R, frame: Bytes, mut refused: Refusals, mut told: Told<R>) {
    let session = Arc::clone(ticket.session());
    let placement = session.context.current.load();
    let key = session.share_sessions.key(&request);
    let version = ticket.head().version;
    let bound = session.share_sessions.get(key, request.epoch(), &placement);
    let plan = session.see(version, &placement, &refused, |seen| match screen(&mut request, &mut told, seen) {
        Some(denied) => Plan::Answer(denied, Forget::Nothing),
        None => plan(&mut request, &mut told, bound, seen),
    });
    ticket.of_pipeline(placement.config.pipeline_of_group(request.group()).name.clone());
    match plan {
        Plan::Answer(mut answer, forget) => {
            if forget == Forget::Session {
                session.share_sessions.forget(key);
            }
            told.into_iter().for_each(|told| R::join(&mut answer, told));
            ticket.blame_refusals(&refused);
            ticket.answer(&answer, &[]);
        }
        Plan::Wait(need) => {
            tokio::spawn(async move {
                refused.extend(needs::meet(&ticket.session().context, vec![need]).await);
                go_on(ticket, request, frame, refused, told);
            });
        }
        Plan::Send(to) => {
            match request.epoch() {
                0 => session.share_sessions.keep(key, to, &placement),
                ..0 => session.share_sessions.forget(key),
                1.. => {}
            }
            ticket.at_cluster(clusters(std::iter::once(to), &placement));
            ticket.blame_refusals(&refused);
            let client_id = placement.client_id(to.cluster, ticket.head().client_id.as_ref());
            let outgoing = outgoing(ticket, to, request, (client_id, frame), told);
            let sent = session.links.send(to, outgoing, &placement, &session.context.telemetry);
            sent.unwrap_or_else(Refused::tell);
        }
    }
}

/// The request of a client of this id, which came in this frame.
fn outgoing<R: Shares>(
    ticket: Ticket,
    to: Target,
    request: R,
    (client_id, frame): (Option<Bytes>, Bytes),
    told: Told<R>,
) -> Outgoing {
    let version = ticket.head().version;
    let held = Duration::from_millis(u64::try_from(request.held_ms()).unwrap_or(0));
    Outgoing {
        api: R::KEY,
        write: Box::new(move |versions, correlation| {
            let spoken = versions.nearest(R::KEY, version).filter(|spoken| *spoken == version);
            let spoken = spoken.ok_or_else(|| Fault::lacking(to, R::KEY))?;
            let sources = std::slice::from_ref(&frame);
            let written = encode_request(R::KEY, spoken, correlation, client_id.as_ref(), &request, sources);
            written.map(|frame| (spoken, frame)).map_err(|e| Fault::upstream(to, false, e))
        }),
        expect: Expect::Answer(Box::new(move |answer| answered::<R>(ticket, to, told, answer))),
        patience: patience(held),
    }
}

fn answered<R: Shares>(mut ticket: Ticket, from: Target, told: Told<R>, answer: Result<Answer, Fault>) {
    let session = Arc::clone(ticket.session());
    let mut source = None;
    let answer = answer.and_then(|answer| {
        let heard: <R as ShareRequest>::Answer = answer.decode().map_err(|e| Fault::upstream(from, true, e))?;
        source = Some(answer.frame);
        Ok(heard)
    });
    if let Err(fault) = &answer {
        let (peer, client) = (session.peer, session.client());
        tracing::debug!(session = %session.id, %peer, %client, api = ?R::KEY, %fault, "a request of a share group got no answer");
        ticket.blame(fault.blame);
    }
    let (placement, mut effects) = (session.context.current.load(), Effects::new());
    let version = ticket.head().version;
    let mut ours =
        session.see(version, &placement, &Refusals::default(), |seen| absorb(answer, from, seen, &mut effects));
    told.into_iter().for_each(|told| R::join(&mut ours, told));
    session.apply(effects);
    ticket.answer(&ours, source.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{at, text};
    use crate::placement::build::tests::placement;
    use kafka_protocol::messages::GroupId;

    /// [L4]
    #[test]
    fn l4_no_more_share_sessions_are_remembered_than_a_connection_may_have() {
        let (sessions, placement) = (ShareSessions::default(), placement(&[], &[]).0);
        let of = |member: usize| {
            let request = ShareFetchRequest::default().with_group_id(Some(GroupId(text("g"))));
            sessions.key(&request.with_member_id(Some(text(&member.to_string()))))
        };
        for member in 0..3 * SESSIONS {
            sessions.keep(of(member), at(0, 1), &placement);
            assert_eq!(sessions.get(of(member), 1, &placement), Some(at(0, 1)));
        }
        assert!(sessions.at.lock().len() <= SESSIONS);
        sessions.forget(of(3 * SESSIONS - 1));
        assert_eq!(sessions.get(of(3 * SESSIONS - 1), 1, &placement), None);
    }
}
