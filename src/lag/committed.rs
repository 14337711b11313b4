//! What groups have committed, as their coordinator says when it is asked: of many groups in one request where it can be asked so, but
//! of no more than leave its answer small.

use crate::api::codes;
use crate::telemetry::observed::Fact;
use crate::types::Partition;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;
use std::time::Instant;

/// A version of OffsetFetch that is of one group.
pub const OF_ONE: i16 = 5;
/// The first that is of many.
pub const OF_MANY: i16 = 8;

/// Groups that one request asks about, and offsets that its answer may hold: half a megabyte.
const GROUPS: usize = 200;
const OFFSETS: usize = 20_000;

/// The groups, each with how many offsets may be held of it, as many together as one request may ask about.
#[must_use]
pub fn together(groups: Vec<(StrBytes, usize)>) -> Vec<Vec<StrBytes>> {
    let (mut all, mut some, mut held) = (Vec::new(), Vec::new(), 0usize);
    for (group, offsets) in groups {
        if !some.is_empty() && (some.len() >= GROUPS || held.saturating_add(offsets) > OFFSETS) {
            all.push(std::mem::take(&mut some));
            held = 0;
        }
        some.push(group);
        held = held.saturating_add(offsets);
    }
    all.extend((!some.is_empty()).then_some(some));
    all
}

/// How many offsets are to be reckoned for a group of which nothing is known, on a cluster with so many partitions: few groups commit
/// to all of them, and if these do, an answer is eight times as large as it should be.
#[must_use]
pub fn reckoned(partitions: usize) -> usize {
    partitions.div_ceil(8)
}

/// Asks for all that a group has committed.
#[must_use]
pub fn ask_one(group: &StrBytes) -> OffsetFetchRequest {
    OffsetFetchRequest::default().with_group_id(GroupId(group.clone())).with_topics(None)
}

/// The same of many.
#[must_use]
pub fn ask_many(groups: &[StrBytes]) -> OffsetFetchRequest {
    let of =
        |group: &StrBytes| OffsetFetchRequestGroup::default().with_group_id(GroupId(group.clone())).with_topics(None);
    OffsetFetchRequest::default().with_groups(groups.iter().map(of).collect())
}

/// What a group has committed; `None` where its coordinator does not say.
#[must_use]
pub fn told_of_one(group: &StrBytes, answer: &OffsetFetchResponse, asked: Instant) -> Option<Fact> {
    let topics = answer.topics.iter().map(|topic| (&topic.name, &topic.partitions));
    let told = topics.flat_map(|(name, partitions)| {
        partitions
            .iter()
            .map(|told| (Partition::new(name, told.partition_index), told.committed_offset, told.error_code))
    });
    is_told(answer.error_code).then(|| fact(group, told, asked))
}

/// A group that is not there has committed nothing.
fn is_told(code: i16) -> bool {
    code == codes::NONE || code == codes::GROUP_ID_NOT_FOUND
}

/// What each of these groups has committed, where its coordinator says so.
#[must_use]
pub fn told_of_many(groups: &[StrBytes], answer: &OffsetFetchResponse, asked: Instant) -> Vec<Fact> {
    // As a rule in the order in which they were asked about.
    let mut answers = answer.groups.iter().cycle();
    let of_group = |group: &StrBytes| {
        let told = answers.by_ref().take(answer.groups.len()).find(|told| told.group_id.0 == *group)?;
        let offsets = told.topics.iter().flat_map(|topic| {
            let at = |index| Partition::new(&topic.name, index);
            topic.partitions.iter().map(move |told| (at(told.partition_index), told.committed_offset, told.error_code))
        });
        is_told(told.error_code).then(|| fact(group, offsets, asked))
    };
    groups.iter().filter_map(of_group).collect()
}

/// Out of offsets with their error codes. What is missing is known to be so only where nothing was kept from us.
fn fact(group: &StrBytes, told: impl Iterator<Item = (Partition, i64, i16)>, asked: Instant) -> Fact {
    let (mut of, mut is_whole) = (Vec::new(), true);
    for (at, offset, code) in told {
        is_whole &= code == 0;
        if code == 0 && offset >= 0 {
            of.push((at, offset));
        }
    }
    let (group, of) = (group.clone(), of.into_boxed_slice());
    if is_whole { Fact::Holds { group, of, asked } } else { Fact::Committed { group, of, anew: false } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::text;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    };
    use proptest::prelude::*;

    #[test]
    fn what_a_group_has_not_committed_is_not_said() {
        let partition = |index, offset, code| {
            let told = OffsetFetchResponsePartition::default().with_partition_index(index);
            told.with_committed_offset(offset).with_error_code(code)
        };
        let topic = OffsetFetchResponseTopic::default().with_name(TopicName(text("x"))).with_partitions(vec![
            partition(0, 7, 0),
            partition(1, -1, 0),
            partition(2, 8, 14),
        ]);
        let answer = OffsetFetchResponse::default().with_topics(vec![topic]);
        let of: Box<[_]> = [(Partition::new("x", 0), 7)].into();
        let asked = Instant::now();
        let told = |answer: &OffsetFetchResponse| told_of_one(&text("g"), answer, asked);
        assert_eq!(told(&answer), Some(Fact::Committed { group: text("g"), of: of.clone(), anew: false }));
        assert_eq!(told(&answer.clone().with_error_code(15)), None);
        let mut whole = answer;
        whole.topics[0].partitions.pop();
        assert_eq!(told(&whole), Some(Fact::Holds { group: text("g"), of, asked }));
        whole.topics.clear();
        assert_eq!(told(&whole), Some(Fact::Holds { group: text("g"), of: [].into(), asked }));
    }

    #[test]
    fn each_group_gets_its_own_offsets_whatever_the_order_and_one_that_is_refused_none() {
        let group = |name: &str, offset, code| {
            let partition = OffsetFetchResponsePartitions::default().with_committed_offset(offset);
            let topic = OffsetFetchResponseTopics::default().with_name(TopicName(text("x")));
            let group = OffsetFetchResponseGroup::default().with_group_id(GroupId(text(name))).with_error_code(code);
            group.with_topics(vec![topic.with_partitions(vec![partition])])
        };
        let told = vec![group("unasked", 9, 0), group("h", 2, 0), group("refused", 3, 16), group("g", 1, 0)];
        let answer = OffsetFetchResponse::default().with_groups(told);
        let asked = Instant::now();
        let holds = |name: &str, offset| {
            let of = [(Partition::new("x", 0), offset)].into();
            Fact::Holds { group: text(name), of, asked }
        };
        let all = ["g", "h", "refused", "not said"].map(text);
        assert_eq!(told_of_many(&all, &answer, asked), [holds("g", 1), holds("h", 2)]);
        assert_eq!(told_of_many(&all, &OffsetFetchResponse::default(), asked), []);
    }

    proptest! {
        #[test]
        fn all_are_asked_about_in_their_order_and_no_answer_is_large_but_of_one_group(
            offsets in prop::collection::vec(prop_oneof![0usize..30, 0usize..2 * OFFSETS], 0..700)
        ) {
            let named = |(number, offsets): (usize, &usize)| (text(&number.to_string()), *offsets);
            let groups: Vec<_> = offsets.iter().enumerate().map(named).collect();
            let all = together(groups.clone());
            prop_assert_eq!(all.concat(), groups.iter().map(|(group, _)| group.clone()).collect::<Vec<_>>());
            let held = |group: &StrBytes| offsets[group.parse::<usize>().unwrap()];
            for some in &all {
                prop_assert!(some.len() <= GROUPS);
                prop_assert!(some.len() == 1 || some.iter().map(held).sum::<usize>() <= OFFSETS);
            }
            // None could have gone along with those before it.
            for two in all.windows(2) {
                let with_next = two[0].iter().chain(&two[1][..1]);
                prop_assert!(two[0].len() == GROUPS || with_next.map(held).sum::<usize>() > OFFSETS);
            }
        }
    }
}
