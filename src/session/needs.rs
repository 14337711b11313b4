//! Meets what a plan cannot do without: asks clusters, waits for the placement, has shadow topics made.

use super::context::Context;
use super::join::join;
use super::shadows;
use crate::api::{Need, Refusal};
use crate::error::Fault;
use crate::types::{BrokerId, Guise, Slot};
use crate::upstream::Cluster;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A client may go on asking for an id that nobody has: clusters are not asked for everything more often than this.
const ALL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a request waits for what a cluster lets its identity know.
const SIGHTED_WITHIN: Duration = Duration::from_secs(3);

/// A request may need the coordinators of hundreds of groups: so many needs are tried at once.
const AT_ONCE: usize = 16;

/// Tries each need once. Gives them back with how it went, for the next plan. A cluster that did not answer when it was
/// last asked is not waited for: other answers stand behind this one, and clients ask again.
pub async fn meet(context: &Context, needs: Vec<Need>) -> Vec<(Need, Refusal)> {
    let tried = |need| async move {
        let refusal = match down(context, &need) {
            Some(fault) => Refusal::Fault(fault),
            None => meet_one(context, &need).await,
        };
        (need, refusal)
    };
    some_at_once(needs, tried).await
}

/// The same for who can wait and loses much by a refusal.
pub async fn meet_patiently(context: &Context, needs: Vec<Need>) -> Vec<(Need, Refusal)> {
    let tried = |need| async move {
        let refusal = meet_one(context, &need).await;
        (need, refusal)
    };
    some_at_once(needs, tried).await
}

async fn some_at_once<F: Future>(needs: Vec<Need>, tried: impl Fn(Need) -> F) -> Vec<F::Output> {
    let mut met = Vec::with_capacity(needs.len());
    let mut needs = needs.into_iter().peekable();
    while needs.peek().is_some() {
        met.extend(join(needs.by_ref().take(AT_ONCE).map(&tried)).await);
    }
    met
}

/// Why the cluster that must be asked cannot be, where that is known. It is being asked again all the time.
fn down(context: &Context, need: &Need) -> Option<Fault> {
    let (Need::Coordinator { cluster, .. }
    | Need::Topics { cluster, .. }
    | Need::Sight { cluster, .. }
    | Need::Shadow { cluster, .. }) = need
    else {
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
        Need::Sight { cluster: slot, guise, names, create } => match context.cluster(*slot) {
            Some(cluster) => sighted(context, &cluster, guise, (names.as_deref(), *create)).await,
            None => no_such(*slot),
        },
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

/// Asks as somebody else, for no longer than for our own metadata; where something may have been made, we look for it then.
async fn sighted(
    context: &Context,
    cluster: &Arc<Cluster>,
    guise: &Guise,
    (names, create): (Option<&[StrBytes]>, bool),
) -> Refusal {
    let late = || Fault::cluster(cluster.slot(), format_args!("no metadata as {guise} within {SIGHTED_WITHIN:?}"));
    let looked = timeout(SIGHTED_WITHIN, cluster.look_as(guise, names, create)).await;
    let told = match looked.unwrap_or_else(|_| Err(late())) {
        Ok(told) => Refusal::Told(Arc::new(told)),
        Err(fault) => return Refusal::Fault(fault),
    };
    if let (Some(names), true) = (names, create) {
        let read = context.refreshed(cluster.slot(), names.to_vec(), false).await;
        return read.map_or_else(Refusal::Fault, |()| told);
    }
    told
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Barrier;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_need_that_takes_long_keeps_no_other_waiting() {
        let together = Barrier::new(AT_ONCE);
        let tried = |need| async {
            together.wait().await;
            need
        };
        let needs = vec![Need::AllTopics; 2 * AT_ONCE];
        let met = timeout(Duration::from_secs(10), some_at_once(needs.clone(), tried)).await;
        assert_eq!(met.ok(), Some(needs));
    }

    #[tokio::test]
    async fn only_so_many_are_tried_at_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let tried = |_| async {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            yield_now().await;
            now.fetch_sub(1, Ordering::Relaxed);
        };
        let met = some_at_once(vec![Need::AllTopics; 2 * AT_ONCE + 1], tried).await;
        assert_eq!((met.len(), most.into_inner()), (2 * AT_ONCE + 1, AT_ONCE));
    }
}
