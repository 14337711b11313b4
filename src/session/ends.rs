//! Whether topics hold anything: what the leaders of their partitions say of both ends. Only where every leader says that both
//! ends of every partition are 0 was a topic never written; what nobody tells is not nothing.

use crate::api::codes;
use crate::api::errors::name as name_of;
use crate::error::Fault;
use crate::types::BrokerId;
use crate::upstream::{Cluster, Topic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

const LIST_OFFSETS: i16 = 7;
/// Kafka's names for the two ends of a partition.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// What a topic holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing, and never held anything.
    NeverWritten,
    /// It has been written; records may have expired since. How that is known.
    Written(String),
    /// Why that is not known.
    Unknown(String),
}

/// What leaders say of topics' ends.
#[derive(Debug, Default)]
pub struct Ends {
    /// The ends that are at offset 0: topic, partition, which end.
    at_zero: HashSet<(StrBytes, i32, i64)>,
    /// Topics that reach further, and where.
    written: HashMap<StrBytes, String>,
    /// The first thing that keeps us from knowing.
    unknown: HashMap<StrBytes, String>,
}

impl Ends {
    /// Asks the leaders of these topics of a cluster.
    pub async fn of(cluster: &Arc<Cluster>, topics: &[Arc<Topic>]) -> Self {
        let mut ends = Self::default();
        for end in [EARLIEST, LATEST] {
            for (leader, asked) in questions(topics, end) {
                let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(asked);
                let answer = cluster.call(Some(leader), &request, LIST_OFFSETS).await;
                ends.take(end, &request, answer);
            }
        }
        ends
    }

    fn take(&mut self, end: i64, request: &ListOffsetsRequest, answer: Result<ListOffsetsResponse, Fault>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => {
                let asked = request.topics.iter().map(|topic| topic.name.0.clone());
                asked.for_each(|name| {
                    self.unknown.entry(name).or_insert_with(|| fault.to_string());
                });
                return;
            }
        };
        for topic in &answer.topics {
            for told in &topic.partitions {
                let (name, partition, offset) = (topic.name.0.clone(), told.partition_index, told.offset);
                match (told.error_code, offset) {
                    (codes::NONE, 0) => drop(self.at_zero.insert((name, partition, end))),
                    (codes::NONE, 1..) => {
                        let how = || format!("it has been written: partition {partition} reaches offset {offset}");
                        self.written.entry(name).or_insert_with(how);
                    }
                    (codes::NONE, _) => {
                        let why = || format!("partition {partition} tells offset {offset}");
                        self.unknown.entry(name).or_insert_with(why);
                    }
                    (code, _) => {
                        let why = || format!("partition {partition} does not tell its offsets: {}", name_of(code));
                        self.unknown.entry(name).or_insert_with(why);
                    }
                }
            }
        }
    }

    /// What a topic holds.
    #[must_use]
    pub fn contents(&self, topic: &Topic) -> Contents {
        if let Some(how) = self.written.get(&topic.name) {
            return Contents::Written(how.clone());
        }
        if let Some(why) = self.unknown.get(&topic.name) {
            return Contents::Unknown(why.clone());
        }
        let at_zero = |partition: i32, end| self.at_zero.contains(&(topic.name.clone(), partition, end));
        let mut partitions = (0..).zip(&topic.partitions).map(|(partition, _)| partition);
        match partitions.find(|partition| !at_zero(*partition, EARLIEST) || !at_zero(*partition, LATEST)) {
            Some(partition) => Contents::Unknown(format!("nobody tells the offsets of partition {partition}")),
            None if topic.partitions.is_empty() => Contents::Unknown("its partitions are not known".to_owned()),
            None => Contents::NeverWritten,
        }
    }
}

/// Which leader to ask for one end of which partitions. Those without a leader are in no question.
fn questions(topics: &[Arc<Topic>], end: i64) -> BTreeMap<BrokerId, Vec<ListOffsetsTopic>> {
    let mut questions: BTreeMap<BrokerId, Vec<ListOffsetsTopic>> = BTreeMap::new();
    for topic in topics {
        let name = TopicName(topic.name.clone());
        for (index, partition) in (0..).zip(&topic.partitions).filter(|(_, partition)| partition.leader >= 0) {
            let asked = ListOffsetsPartition::default().with_partition_index(index).with_timestamp(end);
            let of_leader = questions.entry(BrokerId(partition.leader)).or_default();
            match of_leader.last_mut().filter(|last| last.name == name) {
                Some(last) => last.partitions.push(asked),
                None => {
                    of_leader.push(ListOffsetsTopic::default().with_name(name.clone()).with_partitions(vec![asked]))
                }
            }
        }
    }
    questions
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::placement::build::tests::{slot, topic};
    use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
    use proptest::prelude::*;

    fn against(ends: &Ends, topic: &Topic) -> Option<String> {
        match ends.contents(topic) {
            Contents::NeverWritten => None,
            Contents::Written(why) | Contents::Unknown(why) => Some(why),
        }
    }

    type Told = Option<(i16, i64)>;

    /// Asks as [`Ends::of`] does, of leaders that tell this code and offset of each partition and end, or leave it
    /// out.
    pub(in crate::session) fn told(topics: &[Arc<Topic>], tell: impl Fn(&str, i32, i64) -> Told) -> Ends {
        let mut ends = Ends::default();
        for end in [EARLIEST, LATEST] {
            for (_, asked) in questions(topics, end) {
                let partition = |name: &str, asked: &ListOffsetsPartition| {
                    let (code, offset) = tell(name, asked.partition_index, asked.timestamp)?;
                    let told = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
                    Some(told.with_error_code(code).with_offset(offset))
                };
                let topic = |asked: &ListOffsetsTopic| {
                    let told = asked.partitions.iter().filter_map(|one| partition(&asked.name, one)).collect();
                    ListOffsetsTopicResponse::default().with_name(asked.name.clone()).with_partitions(told)
                };
                let answer = ListOffsetsResponse::default().with_topics(asked.iter().map(topic).collect());
                ends.take(end, &ListOffsetsRequest::default().with_topics(asked), Ok(answer));
            }
        }
        ends
    }

    #[test]
    fn leaders_are_asked_for_what_they_lead() {
        let topics = [topic("t", &[1, 2, 1]), topic("u", &[-1, 2])];
        let asked: Vec<_> = questions(&topics, EARLIEST)
            .into_iter()
            .map(|(leader, topics)| {
                let indexes = |topic: &ListOffsetsTopic| {
                    let indexes: Vec<_> = topic.partitions.iter().map(|p| (p.partition_index, p.timestamp)).collect();
                    (topic.name.to_string(), indexes)
                };
                (leader.0, topics.iter().map(indexes).collect::<Vec<_>>())
            })
            .collect();
        let (t, u) = ("t".to_owned(), "u".to_owned());
        let wanted =
            [(1, vec![(t.clone(), vec![(0, -2), (2, -2)])]), (2, vec![(t, vec![(1, -2)]), (u, vec![(1, -2)])])];
        assert_eq!(asked, wanted);
    }

    #[test]
    fn only_what_was_never_written_is_a_shadow() {
        let topics = [topic("t", &[1, 2])];
        let against = |told: &dyn Fn(i32, i64) -> Told| {
            against(&self::told(&topics, |_, partition, end| told(partition, end)), &topics[0])
        };
        let zero = Some((0, 0));
        assert_eq!(against(&|_, _| zero), None);
        let written = |partition, end| if (partition, end) == (1, LATEST) { Some((0, 7)) } else { zero };
        assert_eq!(against(&written).unwrap(), "it has been written: partition 1 reaches offset 7");
        assert!(against(&|_, _| Some((0, 9))).is_some(), "all its records have expired");
        let refuses = |partition, _| if partition == 1 { Some((29, 0)) } else { zero };
        assert!(against(&refuses).unwrap().contains("TOPIC_AUTHORIZATION_FAILED"));
        let silent = |partition, end| if (partition, end) == (1, EARLIEST) { None } else { zero };
        assert_eq!(against(&silent).unwrap(), "nobody tells the offsets of partition 1");
    }

    #[test]
    fn what_nobody_can_be_asked_about_is_left() {
        let zero = |_: &str, _, _| Some((0, 0));
        for unsure in [topic("t", &[1, -1]), topic("t", &[])] {
            assert!(against(&told(std::slice::from_ref(&unsure), zero), &unsure).is_some());
        }
        let topics = [topic("t", &[1, 2]), topic("u", &[1])];
        let mut ends = told(&topics, zero);
        for (leader, asked) in questions(&topics, LATEST).into_iter().filter(|(leader, _)| leader.0 == 2) {
            let fault = Fault::cluster(slot(0), format_args!("broker {leader:?} is away"));
            ends.take(LATEST, &ListOffsetsRequest::default().with_topics(asked), Err(fault));
        }
        assert!(against(&ends, &topics[0]).unwrap().contains("is away"));
        assert_eq!(against(&ends, &topics[1]), None);
    }

    proptest! {
        #[test]
        fn a_topic_was_never_written_exactly_when_all_ends_of_all_partitions_are_told_to_be_0(
            leaders in prop::collection::vec(prop::collection::vec(-1..3_i32, 0..4), 1..4),
            told in prop::collection::vec(prop::option::weighted(0.9, (prop_oneof![9 => Just(0_i16), 1 => Just(6)],
                prop_oneof![9 => Just(0_i64), 1 => Just(5)])), 24),
        ) {
            let names = ["t", "u", "v"];
            let topics: Vec<_> = leaders.iter().zip(names).map(|(leaders, name)| topic(name, leaders)).collect();
            let told = |name: &str, partition: i32, end: i64| {
                let topic = names.iter().position(|n| *n == name).unwrap();
                told[topic * 8 + usize::try_from(partition).unwrap() * 2 + usize::from(end == LATEST)]
            };
            let ends = super::tests::told(&topics, told);
            for topic in &topics {
                let zero = |partition| [EARLIEST, LATEST].iter().all(|end| told(&topic.name, partition, *end) == Some((0, 0)));
                let mut all = (0..).zip(&topic.partitions);
                let wanted = !topic.partitions.is_empty() && all.all(|(partition, of)| of.leader >= 0 && zero(partition));
                prop_assert_eq!(against(&ends, topic).is_none(), wanted);
            }
        }
    }
}
