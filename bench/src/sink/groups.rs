//! What groups have committed: their coordinator takes OffsetCommit from whoever asks, and OffsetFetch and ListGroups tell it
//! again. Nobody is ever a member, so groups are listed as empty.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    ApiKey, GroupId, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::cluster::Cluster;
use super::other::{COORDINATOR, UNKNOWN_TOPIC, encode, topic_name};

/// Versions served: those that say topics by name, answer with an error code, and list a group's state.
pub(super) const COMMIT: (i16, i16) = (2, 9);
pub(super) const FETCH: (i16, i16) = (2, 9);
pub(super) const LIST: (i16, i16) = (4, 5);
/// The first version of OffsetFetch that is of many groups.
const OF_MANY: i16 = 8;
const NOT_COORDINATOR: i16 = 16;
const INVALID_GROUP_ID: i16 = 24;
/// Groups that are remembered; others may not commit.
const MOST: usize = 1_000;
/// The offset of who has committed none.
const NONE: i64 = -1;

/// Offsets of one group, by the topic's number and the partition.
type Offsets = BTreeMap<usize, Vec<i64>>;

/// All groups that have committed anything.
#[derive(Default)]
pub(super) struct Groups(Mutex<BTreeMap<String, Offsets>>);

impl Groups {
    fn all(&self) -> Result<MutexGuard<'_, BTreeMap<String, Offsets>>> {
        self.0.lock().map_err(|_| anyhow!("who had the groups' offsets panicked"))
    }
}

/// The answer's body.
pub(super) fn answer(cluster: &Cluster, node: usize, key: ApiKey, version: i16, body: Bytes) -> Result<Bytes> {
    match key {
        ApiKey::OffsetCommit => commit(cluster, node, version, body),
        ApiKey::OffsetFetch => fetch(cluster, node, version, body),
        ApiKey::ListGroups => list(cluster, node, version, body),
        _ => bail!("{key:?} is not about groups"),
    }
}

fn refusal(node: usize) -> i16 {
    if node == COORDINATOR { 0 } else { NOT_COORDINATOR }
}

fn commit(cluster: &Cluster, node: usize, version: i16, mut body: Bytes) -> Result<Bytes> {
    let request = OffsetCommitRequest::decode(&mut body, version)?;
    let mut groups = cluster.groups.all()?;
    let there = groups.len() < MOST || groups.contains_key(request.group_id.as_str());
    let refused = if there { refusal(node) } else { INVALID_GROUP_ID };
    let mut offsets = (refused == 0).then(|| groups.entry(request.group_id.to_string()).or_default());
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            let code = match &mut offsets {
                Some(offsets) => keep(cluster, offsets, &topic.name, index, offset),
                None => refused,
            };
            OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
        });
        OffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name.clone())
    });
    let response = OffsetCommitResponse::default().with_topics(topics.collect());
    encode(&response, version)
}

/// Remembers one offset, and says the error code of it.
fn keep(cluster: &Cluster, offsets: &mut Offsets, topic: &TopicName, index: i32, offset: i64) -> i16 {
    let Some(found) = cluster.by_name(topic.as_bytes()) else { return UNKNOWN_TOPIC };
    let of_topic = offsets.entry(found.number).or_insert_with(|| vec![NONE; found.partitions()]);
    match usize::try_from(index).ok().and_then(|index| of_topic.get_mut(index)) {
        Some(kept) => {
            *kept = offset;
            0
        }
        None => UNKNOWN_TOPIC,
    }
}

/// Topics and partitions that are asked about; of none in particular about all.
type Asked = Option<Vec<(TopicName, Vec<i32>)>>;
/// A topic's partitions and what is committed there.
type Told = (TopicName, Vec<(i32, i64)>);

fn fetch(cluster: &Cluster, node: usize, version: i16, mut body: Bytes) -> Result<Bytes> {
    let request = OffsetFetchRequest::decode(&mut body, version)?;
    let groups = cluster.groups.all()?;
    let told = |group: &GroupId, asked: Asked| told(cluster, groups.get(group.as_str()), asked);
    let code = refusal(node);
    let response = if version < OF_MANY {
        let topics = request.topics.map(|topics| {
            let topics = topics.into_iter();
            topics.map(|topic| (topic.name, topic.partition_indexes)).collect()
        });
        let topics = told(&request.group_id, topics).into_iter().map(of_one).collect();
        OffsetFetchResponse::default().with_error_code(code).with_topics(topics)
    } else {
        let groups = request.groups.into_iter().map(|group| {
            let topics = group.topics.map(|topics| {
                let topics = topics.into_iter();
                topics.map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let topics = told(&group.group_id, topics).into_iter().map(of_many).collect();
            OffsetFetchResponseGroup::default().with_error_code(code).with_topics(topics).with_group_id(group.group_id)
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    };
    encode(&response, version)
}

fn told(cluster: &Cluster, offsets: Option<&Offsets>, asked: Asked) -> Vec<Told> {
    let of_topic = |topic: &TopicName| offsets?.get(&cluster.by_name(topic.as_bytes())?.number);
    match asked {
        Some(topics) => {
            let told = topics.into_iter().map(|(topic, partitions)| {
                let kept = of_topic(&topic);
                let offset = |index: i32| kept?.get(usize::try_from(index).ok()?).copied();
                let all = partitions.into_iter().map(|index| (index, offset(index).unwrap_or(NONE))).collect();
                (topic, all)
            });
            told.collect()
        }
        None => {
            let all = offsets.into_iter().flatten().filter_map(|(number, kept)| {
                let committed = (0..).zip(kept.iter().copied()).filter(|(_, offset)| *offset != NONE);
                Some((topic_name(cluster.topics.get(*number)?), committed.collect()))
            });
            all.collect()
        }
    }
}

fn of_one((topic, partitions): Told) -> OffsetFetchResponseTopic {
    let partition = |(index, offset)| {
        OffsetFetchResponsePartition::default().with_partition_index(index).with_committed_offset(offset)
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic)
        .with_partitions(partitions.into_iter().map(partition).collect())
}

fn of_many((topic, partitions): Told) -> OffsetFetchResponseTopics {
    let partition = |(index, offset)| {
        OffsetFetchResponsePartitions::default().with_partition_index(index).with_committed_offset(offset)
    };
    let partitions = partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopics::default().with_name(topic).with_partitions(partitions)
}

fn list(cluster: &Cluster, node: usize, version: i16, mut body: Bytes) -> Result<Bytes> {
    ListGroupsRequest::decode(&mut body, version)?;
    let groups = cluster.groups.all()?;
    let group = |name: &String| {
        ListedGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(name.clone())))
            .with_group_state(StrBytes::from_static_str("Empty"))
    };
    // As of brokers, each lists those that it coordinates.
    let groups = if node == COORDINATOR { groups.keys().map(group).collect() } else { Vec::new() };
    encode(&ListGroupsResponse::default().with_groups(groups), version)
}

#[cfg(test)]
mod tests {
    use super::super::cluster::Address;
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    use kafka_protocol::protocol::Request;

    fn cluster() -> Cluster {
        Cluster::new("c".into(), vec![Address("h:1".into())], vec![], &["t-:2:2".parse().unwrap()])
    }

    fn name(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    fn ask<R: Request>(cluster: &Cluster, node: usize, version: i16, request: &R) -> R::Response {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        let key = ApiKey::try_from(R::KEY).unwrap();
        let mut told = answer(cluster, node, key, version, body.freeze()).unwrap();
        R::Response::decode(&mut told, version).unwrap()
    }

    /// Commits to partitions 0, 1 and 2 of a topic; the codes of the answer.
    fn commits(cluster: &Cluster, node: usize, group: &'static str, topic: &'static str) -> Vec<i16> {
        let partition = |index| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(7 + i64::from(index))
        };
        let topic = OffsetCommitRequestTopic::default().with_name(TopicName(name(topic)));
        let topic = topic.with_partitions((0..3).map(partition).collect());
        let request = OffsetCommitRequest::default().with_group_id(GroupId(name(group))).with_topics(vec![topic]);
        let told = ask(cluster, node, COMMIT.1, &request);
        told.topics.iter().flat_map(|topic| topic.partitions.iter().map(|told| told.error_code)).collect()
    }

    #[test]
    fn what_was_committed_is_told_of_one_group_and_of_many() {
        let cluster = cluster();
        assert_eq!(commits(&cluster, 0, "g", "t-0001"), [0, 0, UNKNOWN_TOPIC]);
        assert_eq!(commits(&cluster, 0, "g", "no"), [UNKNOWN_TOPIC; 3]);
        for version in FETCH.0..OF_MANY {
            let request = OffsetFetchRequest::default().with_group_id(GroupId(name("g"))).with_topics(None);
            let told = ask(&cluster, 0, version, &request);
            let [topic] = told.topics.as_slice() else { panic!("{told:?}") };
            assert_eq!((topic.name.as_str(), topic.partitions.len()), ("t-0001", 2));
            assert_eq!(topic.partitions[1].committed_offset, 8);
        }
        for version in OF_MANY..=FETCH.1 {
            let asked = OffsetFetchRequestTopics::default().with_name(TopicName(name("t-0000")));
            let asked = asked.with_partition_indexes(vec![0]);
            let group = |group, topics| {
                OffsetFetchRequestGroup::default().with_group_id(GroupId(name(group))).with_topics(topics)
            };
            let groups = vec![group("g", None), group("g", Some(vec![asked])), group("nobody", None)];
            let told = ask(&cluster, 0, version, &OffsetFetchRequest::default().with_groups(groups));
            let of = |at: usize| told.groups[at].topics.iter().flat_map(|topic| &topic.partitions);
            let offsets = |at| of(at).map(|told| told.committed_offset).collect::<Vec<_>>();
            assert_eq!([offsets(0), offsets(1), offsets(2)], [vec![7, 8], vec![NONE], vec![]]);
        }
    }

    #[test]
    fn groups_are_empty_and_their_coordinator_s() {
        let cluster = cluster();
        assert_eq!(commits(&cluster, 1, "h", "t-0000"), [NOT_COORDINATOR; 3]);
        commits(&cluster, 0, "g", "t-0000");
        for version in LIST.0..=LIST.1 {
            let told = ask(&cluster, 0, version, &ListGroupsRequest::default());
            let groups: Vec<_> = told.groups.iter().map(|one| (one.group_id.as_str(), &*one.group_state)).collect();
            assert_eq!(groups, [("g", "Empty")]);
            assert!(ask(&cluster, 1, version, &ListGroupsRequest::default()).groups.is_empty());
        }
    }

    #[test]
    fn no_more_groups_are_remembered_than_there_is_room_for() {
        let cluster = cluster();
        let all = (0..MOST).map(|number| (number.to_string(), Offsets::new()));
        *cluster.groups.all().unwrap() = all.collect();
        assert_eq!(commits(&cluster, 0, "one more", "t-0000"), [INVALID_GROUP_ID; 3]);
        assert_eq!(commits(&cluster, 0, "0", "t-0000"), [0, 0, UNKNOWN_TOPIC]);
    }
}
