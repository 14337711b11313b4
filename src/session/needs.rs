//! Meets what a plan cannot do without: asks clusters, waits for the placement, makes shadow topics.

use super::context::Context;
use crate::api::{Need, Refusal, codes};
use crate::error::Fault;
use crate::types::Slot;
use crate::upstream::Cluster;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a cluster may take to make a shadow topic, ms.
const MAKE_WITHIN_MS: i32 = 5_000;
/// How long its brokers may take to hear of it, and how long to wait between looks.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// How long a request waits for metadata.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// A shadow topic holds nothing; its retention is the smallest that makes sense.
const SHADOW_RETENTION_MS: &str = "1000";
const TOPIC_ALREADY_EXISTS: i16 = 36;
/// Kafka's answer to "grow to the size it has".
const INVALID_PARTITIONS: i16 = 37;

/// Tries each need once. Gives them back with how it went, for the next plan.
pub async fn meet(context: &Context, needs: Vec<Need>) -> Vec<(Need, Refusal)> {
    let mut met = Vec::with_capacity(needs.len());
    for need in needs {
        let refusal = meet_one(context, &need).await;
        met.push((need, refusal));
    }
    met
}

async fn meet_one(context: &Context, need: &Need) -> Refusal {
    match need {
        Need::Coordinator { cluster, group } => match context.cluster(*cluster) {
            Some(cluster) => found(cluster.find_coordinator(group).await),
            None => no_such(*cluster),
        },
        Need::Topics { cluster, names, create } => refresh(context, *cluster, names.clone(), *create).await,
        Need::AllTopics => {
            join(context.clusters.iter().map(|cluster| refresh(context, cluster.slot(), Vec::new(), false))).await;
            Refusal::Done
        }
        Need::Shadow { cluster, topic, partitions } => match context.cluster(*cluster) {
            Some(home) => {
                let made = make_shadow(context, home, topic, *partitions).await;
                if matches!(made, Refusal::Done)
                    && timeout(HEARD_WITHIN, heard_of(home, topic, *partitions)).await.is_err()
                {
                    tracing::warn!(topic = %topic, cluster = %home.name(), "brokers do not know a shadow topic yet; commits for it may fail at first");
                }
                refresh(context, *cluster, vec![topic.clone()], false).await;
                made
            }
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

fn found(answer: Result<Result<crate::types::BrokerId, i16>, Fault>) -> Refusal {
    match answer {
        Ok(Ok(_)) => Refusal::Done,
        Ok(Err(code)) => Refusal::Code(code),
        Err(fault) => Refusal::Fault(fault),
    }
}

/// Reads metadata again, and waits until it is in the placement; not longer than a cluster that is well would take, for
/// other clusters' topics may stand in the same request, and other answers behind it.
async fn refresh(context: &Context, slot: Slot, names: Vec<StrBytes>, create: bool) -> Refusal {
    let Some(cluster) = context.cluster(slot) else { return no_such(slot) };
    let read = async {
        cluster.refreshed(names, create).await;
        context.current.caught_up(cluster).await;
    };
    if timeout(READ_WITHIN, read).await.is_err() {
        return Refusal::Fault(Fault::cluster(slot, format_args!("no metadata within {READ_WITHIN:?}")));
    }
    let down = cluster.news().borrow().down.clone();
    down.map_or(Refusal::Done, |reason| Refusal::Fault(Fault::cluster(slot, reason)))
}

/// A topic of the same name on a group's home, so that its coordinator takes commits for the real one, which lives
/// elsewhere (protocol-rules 7). Grown where it is too small.
async fn make_shadow(context: &Context, home: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Refusal {
    let known = home.news().borrow().snapshot.topics.get(topic).map(|topic| topic.partitions.len());
    let outcome = match known {
        None => create(home, topic, partitions).await,
        Some(_) => grow(home, topic, partitions).await,
    };
    match outcome {
        Ok(codes::NONE) => {
            tracing::info!(topic = %topic, cluster = %home.name(), partitions, "made or grew a shadow topic for a group's commits");
            Refusal::Done
        }
        Ok(TOPIC_ALREADY_EXISTS | INVALID_PARTITIONS) => Refusal::Done,
        Ok(code) => {
            // Every commit of every group tries again.
            if let Some(held_back) = context.seldom.pass(format!("shadow {topic} {code}")) {
                tracing::warn!(topic = %topic, cluster = %home.name(), code, held_back, "cannot make a shadow topic; commits for this topic will fail");
            }
            Refusal::Code(code)
        }
        Err(fault) => Refusal::Fault(fault),
    }
}

/// Ends when every broker knows the topic: the controller says that it made one before the others, the group's
/// coordinator among them, have heard of it. One that does not answer is not waited for.
async fn heard_of(home: &Arc<Cluster>, topic: &StrBytes, partitions: i32) {
    let one = MetadataRequestTopic::default().with_name(Some(TopicName(topic.clone())));
    let request = MetadataRequest::default().with_topics(Some(vec![one])).with_allow_auto_topic_creation(false);
    let brokers: Vec<_> = home.news().borrow().snapshot.brokers.keys().copied().collect();
    for broker in brokers {
        loop {
            let answer: Result<MetadataResponse, Fault> = home.call(Some(broker), &request, 9).await;
            let Ok(answer) = answer else { break };
            let there = answer.topics.first().filter(|topic| topic.error_code == codes::NONE);
            if there.is_some_and(|topic| i32::try_from(topic.partitions.len()).is_ok_and(|count| count >= partitions)) {
                break;
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

async fn create(home: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Result<i16, Fault> {
    let retention = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_static_str(SHADOW_RETENTION_MS)));
    let shadow = CreatableTopic::default()
        .with_name(TopicName(topic.clone()))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(vec![retention]);
    let request = CreateTopicsRequest::default().with_topics(vec![shadow]).with_timeout_ms(MAKE_WITHIN_MS);
    let answer: CreateTopicsResponse = home.call(None, &request, 5).await?;
    Ok(answer.topics.first().map_or(codes::INVALID_REQUEST, |topic| topic.error_code))
}

async fn grow(home: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Result<i16, Fault> {
    let larger = CreatePartitionsTopic::default().with_name(TopicName(topic.clone())).with_count(partitions);
    let request = CreatePartitionsRequest::default().with_topics(vec![larger]).with_timeout_ms(MAKE_WITHIN_MS);
    let answer: CreatePartitionsResponse = home.call(None, &request, 2).await?;
    Ok(answer.results.first().map_or(codes::INVALID_REQUEST, |topic| topic.error_code))
}
