//! Shadow topics: empty topics on a group's home that bear the names of topics of other clusters, so that the group's
//! coordinator takes commits for these (protocol-rules 7). Made and grown before a commit; dropped with the topic they
//! stand for, because that is how Kafka forgets a topic's commits.
//!
//! What marks a shadow is its name, the retention that we gave it, and that it has **never been written**. Whatever bears
//! a record, ever bore one, keeps its records as others would have it, or cannot be asked, is left alone.

use super::context::Context;
use super::ends::{Contents, Ends};
use crate::api::errors::name as name_of;
use crate::api::{Effect, Refusal, codes};
use crate::error::Fault;
use crate::types::Slot;
use crate::upstream::{Cluster, Topic};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse, MetadataRequest, MetadataResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a cluster may take to make or to delete shadow topics, ms.
const DONE_WITHIN_MS: i32 = 5_000;
/// How long its brokers may take to hear of it, and how long to wait between looks.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// How long the answer to a DeleteTopics waits for shadows to go; what takes longer goes on behind it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A shadow topic holds nothing; its retention is the smallest that makes sense.
const SHADOW_RETENTION_MS: &str = "1000";
const RETENTION: &str = "retention.ms";
/// Kafka's answer to "grow to the size it has".
const INVALID_PARTITIONS: i16 = 37;
/// Versions of Metadata that bear topic ids, and of DeleteTopics that take them and that do not.
const METADATA: i16 = 12;
const DELETE_BY_ID: i16 = 6;
const DELETE_BY_NAME: i16 = 5;
const DESCRIBE_CONFIGS: i16 = 1;
/// Kafka's number for "the config of a topic".
const OF_TOPIC: i8 = 2;

/// Makes the shadow of `topic` on a group's home, or has it grow to so many partitions. Only for a topic that its own
/// home has just confirmed, or cannot be asked about: a commit that comes late must not bring back what was dropped.
pub async fn make(context: &Context, on: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Refusal {
    let placement = context.current.load();
    let (lives_on, name_there) = (placement.home_of_topic(topic), placement.name_at_home(topic));
    drop(placement);
    let asked = context.refreshed(lives_on, vec![name_there], false).await;
    if asked.is_ok() && context.current.load().topic(topic).is_none() {
        return Refusal::Code(codes::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let made = make_or_grow(context, on, topic, partitions).await;
    // The controller says that it made one before the others, the group's coordinator among them, have heard of it.
    let large_enough = |told: &MetadataResponseTopic| {
        told.error_code == codes::NONE && i32::try_from(told.partitions.len()).is_ok_and(|count| count >= partitions)
    };
    if matches!(made, Refusal::Done) && !all_brokers_say(on, std::slice::from_ref(topic), large_enough).await {
        tracing::warn!(
            topic = %topic, cluster = %on.name(),
            "some brokers have not heard of a new shadow topic yet; commits for it may fail at first"
        );
    }
    // The next plan sees what there is.
    let _ = context.refreshed(on.slot(), vec![topic.clone()], false).await;
    made
}

async fn make_or_grow(context: &Context, on: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Refusal {
    let known = on.news().borrow().snapshot.topics.contains_key(topic);
    let outcome = if known { grow(on, topic, partitions).await } else { create(on, topic, partitions).await };
    // What we knew of it may be old.
    let outcome = match outcome {
        Ok(codes::UNKNOWN_TOPIC_OR_PARTITION) if known => create(on, topic, partitions).await,
        Ok(codes::TOPIC_ALREADY_EXISTS) => grow(on, topic, partitions).await,
        other => other,
    };
    match outcome {
        Ok(codes::NONE) => {
            tracing::info!(topic = %topic, cluster = %on.name(), partitions, "made or grew a shadow topic for a group's commits");
            Refusal::Done
        }
        Ok(codes::TOPIC_ALREADY_EXISTS | INVALID_PARTITIONS) => Refusal::Done,
        Ok(code) => {
            // Every commit of every group tries again.
            if let Some(held_back) = context.seldom.pass(format!("shadow {topic} {code}")) {
                tracing::warn!(
                    topic = %topic, cluster = %on.name(), error = name_of(code), held_back,
                    "cannot make a shadow topic, so commits for this topic fail; let Fishplate's identity make topics there, or make \
                     one of this name, with as many partitions and retention.ms=1000"
                );
            }
            Refusal::Code(code)
        }
        Err(fault) => Refusal::Fault(fault),
    }
}

async fn create(on: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Result<i16, Fault> {
    let retention = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str(RETENTION))
        .with_value(Some(StrBytes::from_static_str(SHADOW_RETENTION_MS)));
    let shadow = CreatableTopic::default()
        .with_name(TopicName(topic.clone()))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(vec![retention]);
    let request = CreateTopicsRequest::default().with_topics(vec![shadow]).with_timeout_ms(DONE_WITHIN_MS);
    let answer: CreateTopicsResponse = on.call(None, &request, 5).await?;
    Ok(answer.topics.first().map_or(codes::INVALID_REQUEST, |topic| topic.error_code))
}

async fn grow(on: &Arc<Cluster>, topic: &StrBytes, partitions: i32) -> Result<i16, Fault> {
    let larger = CreatePartitionsTopic::default().with_name(TopicName(topic.clone())).with_count(partitions);
    // An empty list would be a place for none of them.
    let larger = larger.with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![larger]).with_timeout_ms(DONE_WITHIN_MS);
    let answer: CreatePartitionsResponse = on.call(None, &request, 2).await?;
    Ok(answer.results.first().map_or(codes::INVALID_REQUEST, |topic| topic.error_code))
}

/// Waits until every broker of a cluster says so of each of these topics; `false` when the time is over. One that does
/// not answer is not waited for.
async fn all_brokers_say(
    cluster: &Arc<Cluster>,
    topics: &[StrBytes],
    holds: impl Fn(&MetadataResponseTopic) -> bool,
) -> bool {
    let named = |name: &StrBytes| MetadataRequestTopic::default().with_name(Some(TopicName(name.clone())));
    let asked = topics.iter().map(named).collect();
    let request = MetadataRequest::default().with_topics(Some(asked)).with_allow_auto_topic_creation(false);
    let of = |name: &StrBytes, told: &MetadataResponseTopic| told.name.as_ref().is_some_and(|told| told.0 == *name);
    let ask_all = async {
        let brokers: Vec<_> = cluster.news().borrow().snapshot.brokers.keys().copied().collect();
        for broker in brokers {
            loop {
                let answer: Result<MetadataResponse, Fault> = cluster.call(Some(broker), &request, METADATA).await;
                let Ok(answer) = answer else { break };
                let says_so = |name| answer.topics.iter().any(|told| of(name, told) && holds(told));
                if topics.iter().all(says_so) {
                    break;
                }
                sleep(BETWEEN_LOOKS).await;
            }
        }
    };
    timeout(HEARD_WITHIN, ask_all).await.is_ok()
}

/// Topics that were deleted, by the home they were deleted on.
pub type Doomed = BTreeMap<Slot, Vec<StrBytes>>;

/// The topics whose shadows are to be dropped.
#[must_use]
pub fn doomed(effects: &[Effect]) -> Doomed {
    let mut doomed = Doomed::new();
    for effect in effects {
        if let Effect::DropShadows(home, topic) = effect {
            let topics = doomed.entry(*home).or_default();
            if !topics.contains(topic) {
                topics.push(topic.clone());
            }
        }
    }
    doomed
}

/// Drops the shadows of topics that were deleted. Returns when that is done, or when it takes longer than an answer
/// should wait; then it goes on.
pub async fn drop_of(context: &Arc<Context>, doomed: Doomed) {
    let context = Arc::clone(context);
    let dropping = tokio::spawn(async move {
        // The homes first: from then on nobody makes these shadows again.
        for (home, topics) in &doomed {
            forget(&context, *home, topics).await;
        }
        for cluster in context.clusters.all().iter() {
            let elsewhere = doomed.iter().filter(|(home, _)| !is_home(&context, **home, cluster));
            let topics: Vec<_> = elsewhere.flat_map(|(_, topics)| topics.clone()).collect();
            if !topics.is_empty() {
                drop_on(&context, cluster, topics).await;
            }
        }
    });
    let _ = timeout(ANSWER_WITHIN, dropping).await;
}

/// Whether a cluster is this home, by its slot or, where the config has one cluster twice, by the id it bears itself.
fn is_home(context: &Context, home: Slot, cluster: &Cluster) -> bool {
    let id = |cluster: &Cluster| cluster.news().borrow().snapshot.cluster_id.clone();
    let same = |home: Arc<Cluster>| id(&home).is_some() && id(&home) == id(cluster);
    home == cluster.slot() || context.cluster(home).is_some_and(same)
}

/// Waits until a cluster's brokers, and our placement, have heard that these topics are gone.
async fn forget(context: &Context, home: Slot, topics: &[StrBytes]) {
    let Some(cluster) = context.cluster(home) else { return };
    let before = context.current.load();
    let gone = |told: &MetadataResponseTopic| {
        let name = told.name.as_ref().map_or("", |name| name.0.as_str());
        let known = before.topic(name).map(|place| place.topic.id);
        told.error_code == codes::UNKNOWN_TOPIC_OR_PARTITION || known.is_none_or(|known| known != told.topic_id)
    };
    if !all_brokers_say(&cluster, topics, gone).await {
        tracing::debug!(cluster = %cluster.name(), "not all brokers say that topics are gone which were deleted");
    }
    // Where that fails the placement learns of it later, and so does a commit.
    let _ = context.refreshed(home, topics.to_vec(), false).await;
}

/// Drops the shadows of these names on one cluster.
async fn drop_on(context: &Context, cluster: &Arc<Cluster>, names: Vec<StrBytes>) {
    let asked = context.refreshed(cluster.slot(), names.clone(), false).await;
    let snapshot = cluster.news().borrow().snapshot.clone();
    let found = names.iter().filter_map(|name| snapshot.topics.get(name)).filter(|topic| !topic.internal);
    let found: Vec<Arc<Topic>> = found.cloned().collect();
    if found.is_empty() {
        return;
    }
    if let Err(fault) = asked {
        return found.iter().for_each(|topic| left(cluster, &topic.name, &fault));
    }
    let evidence = evidence_against(cluster, &found).await;
    let (mut empty, mut dropped) = (Vec::new(), Vec::new());
    for topic in found {
        match evidence.against(&topic) {
            Some(reason) => left(cluster, &topic.name, &reason),
            None => empty.push(topic),
        }
    }
    for (topic, refused) in delete(cluster, &empty).await {
        match refused {
            Some(reason) => left(cluster, &topic.name, &reason),
            None => {
                tracing::info!(topic = %topic.name, cluster = %cluster.name(), "dropped a shadow topic: its topic was deleted");
                dropped.push(topic.name.clone());
            }
        }
    }
    if !dropped.is_empty() {
        forget_dropped(context, cluster, &dropped).await;
    }
}

/// The group coordinators among the brokers forget the commits when they hear of it, as for any deleted topic.
async fn forget_dropped(context: &Context, cluster: &Arc<Cluster>, dropped: &[StrBytes]) {
    all_brokers_say(cluster, dropped, |told| told.error_code == codes::UNKNOWN_TOPIC_OR_PARTITION).await;
    // Where that fails a commit that finds no shadow has it read again.
    let _ = context.refreshed(cluster.slot(), dropped.to_vec(), false).await;
}

fn left(cluster: &Cluster, topic: &StrBytes, reason: &dyn std::fmt::Display) {
    tracing::warn!(
        topic = %topic, cluster = %cluster.name(), %reason,
        "a topic was deleted, and one of the same name on another cluster is left as it is; offsets that groups committed there stay"
    );
}

/// Deletes topics; gives each back with why it is still there, if it is. By id where they have one, so that nothing is
/// deleted but what was looked at.
async fn delete<'t>(cluster: &Arc<Cluster>, topics: &'t [Arc<Topic>]) -> Vec<(&'t Topic, Option<String>)> {
    if topics.is_empty() {
        return Vec::new();
    }
    let request = DeleteTopicsRequest::default().with_timeout_ms(DONE_WITHIN_MS);
    let answer = if topics.iter().all(|topic| topic.id.is_nil()) {
        let names = topics.iter().map(|topic| TopicName(topic.name.clone())).collect();
        cluster.call(None, &request.with_topic_names(names), DELETE_BY_NAME).await
    } else {
        let state = |topic: &Arc<Topic>| DeleteTopicState::default().with_name(None).with_topic_id(topic.id);
        let states = topics.iter().map(state).collect();
        cluster.call(None, &request.with_topics(states), DELETE_BY_ID).await
    };
    topics.iter().map(|topic| (&**topic, still_there(topic, &answer))).collect()
}

/// Why a topic that was to be deleted is still there.
fn still_there(topic: &Topic, answer: &Result<DeleteTopicsResponse, Fault>) -> Option<String> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return Some(fault.to_string()),
    };
    let told = answer.responses.iter().find(|told| {
        let by_id = !topic.id.is_nil() && told.topic_id == topic.id;
        by_id || told.name.as_ref().is_some_and(|name| name.0 == topic.name)
    });
    match told.map(|told| told.error_code) {
        Some(codes::NONE | codes::UNKNOWN_TOPIC_OR_PARTITION | codes::UNKNOWN_TOPIC_ID) => None,
        Some(code) => Some(format!("its cluster refuses to delete it: {}", name_of(code))),
        None => Some("its cluster does not say whether it deleted it".to_owned()),
    }
}

/// Those of some topics whose records are kept for as short a time as those of our shadows; none where the cluster does not tell.
pub async fn kept_as_shadows(cluster: &Arc<Cluster>, topics: &[Arc<Topic>]) -> Vec<StrBytes> {
    let asked = retention_of(topics);
    let Ok(answer) = cluster.call(None, &asked, DESCRIBE_CONFIGS).await else { return Vec::new() };
    let mut against = Against::default();
    against.take_retention(&asked, Ok(answer));
    let kept = topics.iter().filter(|topic| !against.by_retention.contains_key(&topic.name));
    kept.map(|topic| topic.name.clone()).collect()
}

/// Whatever speaks against topics being shadows of ours.
async fn evidence_against(cluster: &Arc<Cluster>, topics: &[Arc<Topic>]) -> Against {
    let asked = retention_of(topics);
    let ends = Ends::of(cluster, topics).await;
    let mut against = Against { ends, by_retention: HashMap::new() };
    against.take_retention(&asked, cluster.call(None, &asked, DESCRIBE_CONFIGS).await);
    against
}

/// What leaders say of topics' ends, and their cluster of how long they keep their records.
#[derive(Debug, Default)]
struct Against {
    ends: Ends,
    by_retention: HashMap<StrBytes, String>,
}

impl Against {
    /// Why a topic must be left alone; `None` where both ends of every partition are known to be at 0, and its retention is a
    /// shadow's.
    fn against(&self, topic: &Topic) -> Option<String> {
        let by_ends = match self.ends.contents(topic) {
            Contents::NeverWritten => None,
            Contents::Written(why) | Contents::Unknown(why) => Some(why),
        };
        by_ends.or_else(|| self.by_retention.get(&topic.name).cloned())
    }

    /// Speaks against topics whose retention is not a shadow's.
    fn take_retention(&mut self, asked: &DescribeConfigsRequest, answer: Result<DescribeConfigsResponse, Fault>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => {
                return asked.resources.iter().for_each(|of| self.speak_against(&of.resource_name, fault.to_string()));
            }
        };
        for resource in &asked.resources {
            let name = &resource.resource_name;
            let told = answer.results.iter().find(|told| told.resource_name == *name);
            let values = || told.iter().flat_map(|told| &told.configs);
            let ours = |value: &StrBytes| value.as_str() == SHADOW_RETENTION_MS;
            if !values().any(|config| config.name.as_str() == RETENTION && config.value.as_ref().is_some_and(ours)) {
                self.speak_against(
                    name,
                    format!("Fishplate did not make it: its {RETENTION} is not {SHADOW_RETENTION_MS}"),
                );
            }
        }
    }

    fn speak_against(&mut self, topic: &StrBytes, reason: String) {
        self.by_retention.entry(topic.clone()).or_insert(reason);
    }
}

/// Asks how long topics keep their records.
fn retention_of(topics: &[Arc<Topic>]) -> DescribeConfigsRequest {
    let resource = |topic: &Arc<Topic>| {
        DescribeConfigsResource::default()
            .with_resource_type(OF_TOPIC)
            .with_resource_name(topic.name.clone())
            .with_configuration_keys(Some(vec![StrBytes::from_static_str(RETENTION)]))
    };
    DescribeConfigsRequest::default().with_resources(topics.iter().map(resource).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::build::tests::{slot, topic};
    use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
    use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};

    fn text(text: &str) -> StrBytes {
        StrBytes::from_string(text.to_owned())
    }

    #[test]
    fn each_topic_is_doomed_once_on_its_home() {
        let drop = |at, name| Effect::DropShadows(slot(at), text(name));
        let effects = [drop(1, "b-1"), Effect::Refresh(slot(0), text("x")), drop(0, "y"), drop(1, "b-1")];
        assert_eq!(doomed(&effects), Doomed::from([(slot(0), vec![text("y")]), (slot(1), vec![text("b-1")])]));
        assert_eq!(doomed(&effects[1..2]), Doomed::new());
    }

    #[test]
    fn only_a_topic_with_a_shadows_retention_is_one() {
        let topics = [topic("t", &[1]), topic("u", &[1]), topic("v", &[1])];
        let zero = || super::super::ends::tests::told(&topics, |_, _, _| Some((0, 0)));
        let told = |name, value: &str| {
            let value = Some(text(value));
            let config = DescribeConfigsResourceResult::default().with_name(text(RETENTION)).with_value(value);
            DescribeConfigsResult::default().with_resource_name(text(name)).with_configs(vec![config])
        };
        let answer = vec![told("u", "604800000"), told("t", "1000")];
        let mut seen = Against { ends: zero(), ..Against::default() };
        seen.take_retention(&retention_of(&topics), Ok(DescribeConfigsResponse::default().with_results(answer)));
        let left: Vec<_> = topics.iter().map(|topic| seen.against(topic).is_some()).collect();
        assert_eq!(left, [false, true, true]);
        let mut unheard = Against { ends: zero(), ..Against::default() };
        unheard.take_retention(&retention_of(&topics), Err(Fault::proxy("no time")));
        assert!(topics.iter().all(|topic| unheard.against(topic).is_some()));
    }

    #[test]
    fn a_topic_is_gone_when_its_cluster_says_so() {
        let (t, u) = (topic("t", &[1]), topic("u", &[1]));
        let told = |code| {
            let named = DeletableTopicResult::default().with_name(Some(TopicName(text("u")))).with_error_code(29);
            let by_id = DeletableTopicResult::default().with_name(None).with_topic_id(t.id).with_error_code(code);
            Ok(DeleteTopicsResponse::default().with_responses(vec![named, by_id]))
        };
        for (code, gone) in [(0, true), (3, true), (100, true), (7, false), (29, false), (73, false)] {
            assert_eq!(still_there(&t, &told(code)).is_none(), gone, "{code}");
        }
        assert!(still_there(&u, &told(0)).unwrap().contains("TOPIC_AUTHORIZATION_FAILED"));
        assert!(still_there(&topic("v", &[1]), &told(0)).is_some());
        assert!(still_there(&t, &Err(Fault::proxy("no time"))).is_some());
    }
}
