//! What does not pass by is asked of clusters now and then: where partitions end and how groups stand (what their members read:
//! `described`; what they have committed: `committed`). Here is what is asked, and what an answer says, as the same facts that sessions
//! state; `task` does the asking.

use super::described::{self, Kind};
use super::{Owner, OwnerOf, Unknown};
use crate::api::fetch::handed::{ends_of, stretch_of};
use crate::api::groups::joined::CONSUMER;
use crate::placement::{Leader, Placement};
use crate::telemetry::observed::{Ends, Fact, Handed, Stretch};
use crate::types::{BrokerId, FastMap, Partition, Slot};
use crate::wire::codec::copied;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ListGroupsResponse, ListOffsetsRequest, ListOffsetsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// The first version of ListGroups that tells what kind groups are of; this one and those below are spoken at most.
pub const LIST_GROUPS: i16 = 5;
/// Of ListOffsets.
pub const LIST_OFFSETS: i16 = 7;
/// The last of Fetch that names topics.
pub const FETCH: i16 = 12;

/// Partitions that one request asks about.
const TOGETHER: usize = 1_000;
/// What ListOffsets takes for a time.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// Nobody was handed anything.
const NOTHING: Stretch = Stretch { from: -1, given: None, next: -1, written_ms: -1 };

/// A partition that is asked about, as its cluster calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    at: Partition,
    topic: StrBytes,
    index: i32,
}

/// One question about ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The high watermark.
    High,
    /// The last stable offset.
    Stable,
    /// Where the log starts.
    Start,
}

/// The partitions of a cluster that are ours and that somebody leads, by their leaders, as many together as one request may ask about.
#[must_use]
pub fn sought(placement: &Placement, cluster: Slot, owner: OwnerOf) -> Vec<(BrokerId, Vec<Sought>)> {
    let mut by_leader: BTreeMap<BrokerId, Vec<Sought>> = BTreeMap::new();
    for place in placement.topics().filter(|place| place.cluster == cluster && !place.topic.internal) {
        for index in (0..).take(place.topic.partitions.len()) {
            let at = Partition::new(&place.topic.name, index);
            if let Leader::At(to, _) = place.leader(index)
                && owner(at) == Owner::Me
            {
                by_leader.entry(to.broker).or_default().push(Sought { at, topic: place.name_there().clone(), index });
            }
        }
    }
    let together = |(broker, all): (BrokerId, Vec<Sought>)| {
        all.chunks(TOGETHER).map(|some| (broker, some.to_vec())).collect::<Vec<_>>()
    };
    by_leader.into_iter().flat_map(together).collect()
}

/// Asks for one end of all of them.
#[must_use]
pub fn ask_ends(of: &[Sought], end: End) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    let timestamp = if end == End::Start { EARLIEST } else { LATEST };
    for Sought { topic, index, .. } in of {
        let partition = ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(timestamp);
        match topics.last_mut().filter(|last| last.name.0 == *topic) {
            Some(last) => last.partitions.push(partition),
            None => topics
                .push(ListOffsetsTopic::default().with_name(TopicName(topic.clone())).with_partitions(vec![partition])),
        }
    }
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level((end == End::Stable).into())
        .with_topics(topics)
}

/// What three answers say of where partitions end. Of one with an error in any nothing is said.
#[must_use]
pub fn ends_told(
    of: &[Sought],
    high: &ListOffsetsResponse,
    stable: &ListOffsetsResponse,
    start: &ListOffsetsResponse,
) -> Vec<Handed> {
    let (high, stable, start) = (by_name(high), by_name(stable), by_name(start));
    let ends = |one: &Sought| {
        let of = |told: &FastMap<(&StrBytes, i32), i64>| told.get(&(&one.topic, one.index)).copied();
        let high = of(&high)?;
        let ends = Ends { high, stable: of(&stable)?.min(high), start: of(&start)? };
        Some(Handed { at: one.at, stretch: NOTHING, ends })
    };
    of.iter().filter_map(ends).collect()
}

/// The fact that we ourselves were told this.
#[must_use]
pub fn told_us(of: impl Into<Box<[Handed]>>, committed_only: bool) -> Fact {
    Fact::Fetched { by: None, committed_only, of: of.into() }
}

fn by_name(answer: &ListOffsetsResponse) -> FastMap<(&StrBytes, i32), i64> {
    let partitions = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |told| (topic, told)));
    let told = partitions.filter(|(_, told)| told.error_code == 0 && told.offset >= 0);
    told.map(|(topic, told)| ((&topic.name.0, told.partition_index), told.offset)).collect()
}

/// A group whose offsets are to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub group: StrBytes,
    /// As what it is asked for its members, where it has any.
    pub members: Option<Kind>,
}

/// The groups whose offsets are to be asked for, and how each stands: those of consumers that live on this cluster.
#[must_use]
pub fn groups_told(answer: &ListGroupsResponse, cluster: Slot, placement: &Placement) -> (Vec<Found>, Vec<Fact>) {
    let is_consumers = |kind: &StrBytes| ["", CONSUMER].contains(&kind.as_str());
    let ours = answer
        .groups
        .iter()
        .filter(|group| is_consumers(&group.protocol_type) && placement.home_of_group(&group.group_id) == cluster);
    let found = |group: &ListedGroup| {
        let members = described::kind_of(group).filter(|_| has_members(group));
        Found { group: copied(&group.group_id), members }
    };
    let groups: Vec<_> = ours.clone().map(found).collect();
    let stands = ours
        .filter(|group| !group.group_state.is_empty())
        .map(|group| Fact::Stands { group: copied(&group.group_id), has_members: has_members(group) });
    (groups, stands.collect())
}

/// Whether a group that is listed has members, or may have: old brokers do not say.
fn has_members(group: &ListedGroup) -> bool {
    !["Empty", "Dead"].contains(&group.group_state.as_str())
}

/// Whether somebody leads all that a cluster keeps for itself, groups' offsets too: else it lists fewer groups than it has.
#[must_use]
pub fn keeps_all(placement: &Placement, cluster: Slot) -> bool {
    let own = placement.topics().filter(|place| place.cluster == cluster && place.topic.internal);
    let mut led = own.flat_map(|place| (0..).take(place.topic.partitions.len()).map(move |index| place.leader(index)));
    led.all(|leader| matches!(leader, Leader::At(..)))
}

/// Asks for the batch at an offset, from the partition's leader. However large it is, it comes whole.
#[must_use]
pub fn ask_batch(unknown: &Unknown, placement: &Placement) -> Option<(Slot, BrokerId, FetchRequest)> {
    let place = placement.topic(&unknown.topic)?;
    let Leader::At(to, _) = place.leader(unknown.at.index) else { return None };
    let partition = FetchPartition::default()
        .with_partition(unknown.at.index)
        .with_fetch_offset(unknown.offset)
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(1);
    let topic = FetchTopic::default()
        .with_topic(TopicName(place.name_there().clone()))
        .with_topic_id(place.id)
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(1)
        .with_isolation_level(unknown.committed_only.into())
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    Some((to.cluster, to.broker, request))
}

/// Asks for records from an offset on, a piece of them.
#[must_use]
pub fn ask_records(
    topic: &str,
    index: i32,
    from: i64,
    placement: &Placement,
) -> Option<(Slot, BrokerId, FetchRequest)> {
    const PIECE: i32 = 1 << 20;
    let place = placement.topic(topic)?;
    let name = place.topic.name.clone();
    let unknown =
        Unknown { at: Partition::new(&name, index), topic: name, offset: from, committed_only: false, lag: 0 };
    let (slot, broker, mut request) = ask_batch(&unknown, placement)?;
    request.max_bytes = PIECE;
    request.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|one| one.partition_max_bytes = PIECE);
    Some((slot, broker, request))
}

/// The records, or the code of the error that there is instead.
pub fn records_told(answer: &FetchResponse) -> Result<Bytes, i16> {
    let told = answer.responses.iter().flat_map(|topic| &topic.partitions).next();
    match told {
        Some(told) if told.error_code == 0 => Ok(told.records.clone().unwrap_or_default()),
        Some(told) => Err(told.error_code),
        None => Err(answer.error_code),
    }
}

/// What the batch there is.
#[must_use]
pub fn batch_told(unknown: &Unknown, answer: &FetchResponse) -> Option<Fact> {
    let told =
        answer.responses.iter().flat_map(|topic| &topic.partitions).next().filter(|told| told.error_code == 0)?;
    // What we asked for and lies before the first batch, compaction has taken: who stands there is given this batch next.
    let from_asked = |all: Stretch| Stretch { from: all.from.min(unknown.offset), ..all };
    let stretch = stretch_of(told, unknown.committed_only).map_or(NOTHING, from_asked);
    Some(told_us([Handed { at: unknown.at, stretch, ends: ends_of(told) }], unknown.committed_only))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, text};
    use crate::lag::owner;
    use crate::placement::build::tests::{slot, topic};
    use crate::wire::batch::testing::plain;
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
    use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};

    fn answered(asked: &ListOffsetsRequest, offset: impl Fn(i32) -> (i16, i64)) -> ListOffsetsResponse {
        let topic = |topic: &ListOffsetsTopic| {
            let told = topic.partitions.iter().map(|partition| {
                let (code, offset) = offset(partition.partition_index);
                let told = ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
                told.with_error_code(code).with_offset(offset)
            });
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(told.collect())
        };
        ListOffsetsResponse::default().with_topics(asked.topics.iter().map(topic).collect())
    }

    #[test]
    fn each_leader_is_asked_about_its_own_partitions_and_no_more_than_one_request_takes() {
        let many = vec![3; 2 * TOGETHER + 1];
        let world = World::with(&[topic("x", &[1, 2, -1]), topic("many", &many)], &[topic("b-1", &[1])]);
        let all = sought(&world.placement, slot(0), owner);
        let sizes: Vec<_> = all.iter().map(|(broker, some)| (broker.0, some.len())).collect();
        assert_eq!(sizes, [(1, 1), (2, 1), (3, TOGETHER), (3, TOGETHER), (3, 1)], "nobody leads the last one of x");
        assert_eq!(sought(&world.placement, slot(1), owner).len(), 1);
    }

    #[test]
    fn what_another_replica_owns_it_asks_about_itself() {
        let world = World::with(&[topic("x", &[1, 1, 1])], &[]);
        let others = |at: Partition| if at.index == 1 { Owner::Me } else { Owner::Other };
        let all = sought(&world.placement, slot(0), others);
        assert_eq!(all.iter().flat_map(|(_, some)| some).map(|one| one.index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn where_a_partition_ends_is_said_where_all_three_are_known() {
        let world = World::with(&[topic("x", &[1, 1, 1])], &[]);
        let (_, all) = sought(&world.placement, slot(0), owner).remove(0);
        let ask = |end| ask_ends(&all, end);
        assert_eq!((ask(End::High).isolation_level, ask(End::Stable).isolation_level), (0, 1));
        let high = answered(&ask(End::High), |index| (0, 10 + i64::from(index)));
        let stable = answered(&ask(End::Stable), |index| (if index == 1 { 6 } else { 0 }, 9));
        let start = answered(&ask(End::Start), |_| (0, 2));
        let told = ends_told(&all, &high, &stable, &start);
        let ends = |index: i32| Handed {
            at: Partition::new("x", index),
            stretch: NOTHING,
            ends: Ends { high: 10 + i64::from(index), stable: 9, start: 2 },
        };
        assert_eq!(told, [ends(0), ends(2)]);
    }

    #[test]
    fn groups_that_live_elsewhere_or_do_not_consume_are_left_aside() {
        let world = World::default();
        let group = |name: &str, protocol: &str, state: &str, kind: &str| {
            let listed = ListedGroup::default().with_group_id(GroupId(text(name))).with_protocol_type(text(protocol));
            listed.with_group_state(text(state)).with_group_type(text(kind))
        };
        let all = vec![
            group("g", "consumer", "Stable", "Classic"),
            group("new", "consumer", "Reconciling", "Consumer"),
            group("empty", "", "Empty", "Classic"),
            group("left", "consumer", "Empty", "Consumer"),
            group("old", "consumer", "", ""),
            group("gb-1", "consumer", "Stable", "Classic"),
            group("connect", "connect", "Stable", "Classic"),
            group("share", "share", "Stable", "Share"),
        ];
        let (groups, stands) = groups_told(&ListGroupsResponse::default().with_groups(all), slot(0), &world.placement);
        let found = |group: &str, members| Found { group: text(group), members };
        let expected = [
            found("g", Some(Kind::Classic)),
            found("new", Some(Kind::Consumer)),
            found("empty", None),
            found("left", None),
            found("old", Some(Kind::Classic)),
        ];
        assert_eq!(groups, expected);
        let stand = |group: &str, has_members| Fact::Stands { group: text(group), has_members };
        assert_eq!(stands, [stand("g", true), stand("new", true), stand("empty", false), stand("left", false)]);
    }

    #[test]
    fn the_batch_at_an_offset_is_looked_at_by_its_header() {
        let world = World::with(&[topic("x", &[2])], &[]);
        let unknown = |topic: &str, index| Unknown {
            topic: text(topic),
            at: Partition::new(topic, index),
            offset: 5,
            committed_only: true,
            lag: 1,
        };
        let (cluster, broker, request) = ask_batch(&unknown("x", 0), &world.placement).unwrap();
        assert_eq!((cluster, broker.0, request.isolation_level, request.max_bytes), (slot(0), 2, 1, 1));
        assert_eq!(request.topics[0].partitions[0].fetch_offset, 5);
        assert!(ask_batch(&unknown("y", 0), &world.placement).is_none());
        assert!(ask_batch(&unknown("x", 1), &world.placement).is_none());
        let told = PartitionData::default().with_high_watermark(9).with_last_stable_offset(8).with_log_start_offset(1);
        let answer = |told| {
            let topic = FetchableTopicResponse::default().with_partitions(vec![told]);
            FetchResponse::default().with_responses(vec![topic])
        };
        let handed = |unknown: &Unknown, told: PartitionData| match batch_told(unknown, &answer(told)) {
            Some(Fact::Fetched { of, by: None, committed_only: true }) => of[0],
            other => panic!("{other:?}"),
        };
        let Handed { stretch, ends, .. } = handed(&unknown("x", 0), told.clone().with_records(Some(plain().into())));
        assert_eq!((stretch.next > stretch.from, ends), (true, Ends { high: 9, stable: 8, start: 1 }));
        assert_eq!(stretch.from, 5, "the batch begins at 7, and nothing lies before it");
        let from_within = Unknown { offset: 8, ..unknown("x", 0) };
        let Handed { stretch, .. } = handed(&from_within, told.clone().with_records(Some(plain().into())));
        assert_eq!(stretch.from, 7, "where the batch begins");
        assert_eq!(batch_told(&unknown("x", 0), &answer(told.with_error_code(1))), None);
    }
}
