//! Meets what a plan cannot do without: asks clusters, waits for the placement, has shadow topics made.

use super::context::Context;
use super::shadows;
use crate::api::{Need, Refusal};
use crate::error::Fault;
use crate::types::{BrokerId, Slot};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// A client may go on asking for an id that nobody has: clusters are not asked for everything more often than this.
const ALL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Tries each need once. Gives them back with how it went, for the next plan. A cluster that did not answer when it was
/// last asked is not waited for: other answers stand behind this one, and clients ask again.
pub async fn meet(context: &Context, needs: Vec<Need>) -> Vec<(Need, Refusal)> {
    let mut met = Vec::with_capacity(needs.len());
    for need in needs {
        let refusal = match down(context, &need) {
            Some(fault) => Refusal::Fault(fault),
            None => meet_one(context, &need).await,
        };
        met.push((need, refusal));
    }
    met
}

/// The same for who can wait and loses much by a refusal.
pub async fn meet_patiently(context: &Context, needs: Vec<Need>) -> Vec<(Need, Refusal)> {
    let mut met = Vec::with_capacity(needs.len());
    for need in needs {
        let refusal = meet_one(context, &need).await;
        met.push((need, refusal));
    }
    met
}

/// Why the cluster that must be asked cannot be, where that is known. It is being asked again all the time.
fn down(context: &Context, need: &Need) -> Option<Fault> {
    let (Need::Coordinator { cluster, .. } | Need::Topics { cluster, .. } | Need::Shadow { cluster, .. }) = need else {
        return None;
    };
    let reason = context.cluster(*cluster)?.news().borrow().down.clone()?;
    Some(Fault::cluster(*cluster, reason))
}

async fn meet_one(context: &Context, need: &Need) -> Refusal {
    match need {
        Need::Coordinator { cluster, of, key } => match context.cluster(*cluster) {
            Some(cluster) => found(cluster.find_coordinator(*of, key).await),
            None => no_such(*cluster),
        },
        Need::Topics { cluster, names, create } => {
            let read = context.refreshed(*cluster, names.clone(), *create).await;
            read.map_or_else(Refusal::Fault, |()| Refusal::Done)
        }
        Need::AllTopics => {
            // One that does not answer has told what it had.
            let all = context.clusters.all();
            let up = all.iter().filter(|cluster| cluster.news().borrow().down.is_none());
            join(up.map(|cluster| context.no_older_than(cluster.slot(), ALL_AGAIN_AFTER))).await;
            Refusal::Done
        }
        Need::Shadow { cluster, topic, partitions } => match context.cluster(*cluster) {
            Some(home) => shadows::make(context, &home, topic, *partitions).await,
            None => no_such(*cluster),
        },
    }
}

/// Waits for all of them at once.
async fn join<F: Future>(all: impl Iterator<Item = F>) {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), false)).collect();
    poll_fn(|cx| {
        for (one, done) in all.iter_mut().filter(|(_, done)| !done) {
            *done = one.as_mut().poll(cx).is_ready();
        }
        if all.iter().all(|(_, done)| *done) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn no_such(cluster: Slot) -> Refusal {
    Refusal::Fault(Fault::cluster(cluster, "it is not in the config"))
}

fn found(answer: Result<Result<BrokerId, i16>, Fault>) -> Refusal {
    match answer {
        Ok(Ok(_)) => Refusal::Done,
        Ok(Err(code)) => Refusal::Code(code),
        Err(fault) => Refusal::Fault(fault),
    }
}
