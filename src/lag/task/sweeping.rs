//! Asking a cluster for all that does not pass by. One request at a time, for its brokers have other work; the first fault is told, and
//! what else there is to ask is asked all the same.

use super::Lag;
use crate::error::Fault;
use crate::lag::committed::{self, OF_MANY, OF_ONE};
use crate::lag::described::{self, CONSUMER_GROUP_DESCRIBE, DESCRIBE_GROUPS, Kind};
use crate::lag::owner;
use crate::lag::sweep::{self, End, Found, LIST_GROUPS, LIST_OFFSETS, Sought};
use crate::placement::Placement;
use crate::rights::{Operation, Operations};
use crate::telemetry::observed::{Fact, Handed};
use crate::types::{BrokerId, Slot};
use crate::upstream::{Cluster, all_answers};
use crate::wire::codec::copied;
use kafka_protocol::messages::{ApiKey, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Groups that are asked for at a time where each takes a request.
const GROUPS_AT_A_TIME: usize = 16;
const OFFSETS: &str = "what each group has committed";

/// Says how a sweep ended, and that it did where it panicked: the next one begins behind this one only.
struct Underway {
    lag: Arc<Lag>,
    cluster: Arc<Cluster>,
    told: bool,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.lag.ended(self.cluster.name(), self.told);
    }
}

/// Asks a cluster for all of it.
pub(super) async fn sweep(lag: Arc<Lag>, cluster: Arc<Cluster>) {
    let mut underway = Underway { lag: Arc::clone(&lag), cluster: Arc::clone(&cluster), told: false };
    let placement = lag.current.load();
    let ends = ends(&lag, &cluster, &placement);
    let groups = groups(&lag, &cluster, &placement);
    let (ends, groups) = tokio::join!(ends, groups);
    let outcome = ends.and(groups);
    if let Err(fault) = &outcome {
        tracing::debug!(cluster = %cluster.name(), %fault, "a cluster did not tell all that lag is counted from; it is asked again");
    }
    underway.told = outcome.is_ok();
}

/// Where its partitions end.
async fn ends(lag: &Arc<Lag>, cluster: &Arc<Cluster>, placement: &Placement) -> Result<(), Fault> {
    let mut outcome = Ok(());
    for (broker, some) in sweep::sought(placement, cluster.slot(), owner) {
        match ends_of(cluster, broker, &some).await {
            Ok(ends) => {
                outcome = outcome.and(all_told(cluster, "where each partition ends", ends.len(), some.len()));
                take_in(lag, vec![sweep::told_us(ends, false)]).await;
            }
            Err(fault) => outcome = outcome.and(Err(fault)),
        }
    }
    outcome
}

/// What a cluster told, at once, for a group may speak for itself while others are waited for. Not by way of the notebook: an answer
/// may be more than a page takes.
async fn take_in(lag: &Arc<Lag>, facts: Vec<Fact>) {
    lag.desk.done(move |state| state.take_in(facts)).await;
}

/// What a cluster keeps from us does not count as told: what is known of it only grows older.
fn all_told(cluster: &Cluster, what: &str, told: usize, asked: usize) -> Result<(), Fault> {
    let kept = asked.saturating_sub(told);
    let fault = || Fault::cluster(cluster.slot(), format_args!("it does not tell {what}: not of {kept} of {asked}"));
    if kept == 0 { Ok(()) } else { Err(fault()) }
}

async fn ends_of(cluster: &Arc<Cluster>, broker: BrokerId, some: &[Sought]) -> Result<Vec<Handed>, Fault> {
    let ask = async |end| cluster.call(Some(broker), &sweep::ask_ends(some, end), LIST_OFFSETS).await;
    // The high watermark first: were it asked for behind the stable offset, what comes between would look like an open transaction.
    let (start, high) = (ask(End::Start).await?, ask(End::High).await?);
    let stable = ask(End::Stable).await?;
    Ok(sweep::ends_told(some, &high, &stable, &start))
}

/// How its groups stand, what their members read, and what they have committed.
async fn groups(lag: &Arc<Lag>, cluster: &Arc<Cluster>, placement: &Placement) -> Result<(), Fault> {
    let brokers: Vec<_> = cluster.news().borrow().snapshot.brokers.keys().copied().collect();
    let (mut outcome, mut met, mut listed) = (Ok(()), HashSet::new(), HashSet::new());
    let (asked, mut all_listed, mut to_ask) = (Instant::now(), !brokers.is_empty(), Vec::new());
    // All are listed before any is asked for offsets: meanwhile a group could move from who is listed later to who was before.
    for broker in brokers {
        let answer = match list(cluster, broker).await {
            Ok(answer) => answer,
            Err(fault) => {
                all_listed = false;
                outcome = outcome.and(Err(fault));
                continue;
            }
        };
        let (mut groups, stands) = sweep::groups_told(&answer, cluster.slot(), placement);
        take_in(lag, stands).await;
        listed.extend(answer.groups.iter().map(|group| copied(&group.group_id)));
        // Every node of some clusters tells of all groups.
        groups.retain(|found| met.insert(found.group.clone()));
        to_ask.push((broker, groups));
    }
    // A broker that came, or lost its partitions, meanwhile may have groups that nobody listed.
    if all_listed && lists_all(cluster) && sweep::keeps_all(&lag.current.load(), cluster.slot()) {
        let groups = listed.into_iter().collect();
        take_in(lag, vec![Fact::Listed { cluster: cluster.slot(), groups, asked }]).await;
    }
    for (broker, groups) in to_ask {
        // First, so that offsets of topics that a group has dropped are never told as its lag.
        outcome = outcome.and(members(lag, cluster, broker, &groups).await);
        let groups = groups.into_iter().map(|found| found.group).collect();
        outcome = outcome.and(offsets(lag, cluster, broker, groups).await);
    }
    outcome
}

/// What members of groups read: of each group that has any, for some may not pass by here. As many together as are asked for their
/// offsets: those of partitions that are assigned make the most of an answer.
async fn members(lag: &Arc<Lag>, cluster: &Arc<Cluster>, broker: BrokerId, groups: &[Found]) -> Result<(), Fault> {
    let mut outcome = Ok(());
    for kind in Kind::ALL {
        let of_kind = groups.iter().filter(|found| found.members == Some(kind)).map(|found| found.group.clone());
        let of_kind: Vec<_> = of_kind.collect();
        // Who does not speak it has no such groups.
        if of_kind.is_empty() || cluster.speaks(broker, kind.api()).is_none() {
            continue;
        }
        for some in committed::together(weighed(lag, cluster.slot(), of_kind).await) {
            outcome = outcome.and(members_of(lag, cluster, broker, kind, &some).await);
        }
    }
    outcome
}

/// Groups that are not told of are no fault: who may not describe one is told none of its offsets either, which is one, and one that
/// rebalances is told of the next time. No number is wrong for it; at most a topic that was dropped is told of longer.
async fn members_of(
    lag: &Arc<Lag>,
    cluster: &Arc<Cluster>,
    broker: BrokerId,
    kind: Kind,
    groups: &[StrBytes],
) -> Result<(), Fault> {
    let asked = Instant::now();
    let facts = match kind {
        Kind::Classic => {
            let request = described::ask_classic(groups);
            described::classic_told(&cluster.call(Some(broker), &request, DESCRIBE_GROUPS).await?, asked)
        }
        Kind::Consumer => {
            let request = described::ask_consumer(groups);
            described::consumer_told(&cluster.call(Some(broker), &request, CONSUMER_GROUP_DESCRIBE).await?, asked)
        }
    };
    take_in(lag, facts).await;
    Ok(())
}

/// Who may not describe the cluster is listed those groups alone that it may describe, without a word.
fn lists_all(cluster: &Cluster) -> bool {
    let describe = Operations::of(&[Operation::Describe]).bits();
    cluster.news().borrow().snapshot.operations.is_none_or(|may| may.cast_unsigned() & describe != 0)
}

async fn list(cluster: &Arc<Cluster>, broker: BrokerId) -> Result<ListGroupsResponse, Fault> {
    let answer = cluster.call(Some(broker), &ListGroupsRequest::default(), LIST_GROUPS).await?;
    if answer.error_code == 0 { Ok(answer) } else { Err(unwilling(cluster.slot(), answer.error_code)) }
}

fn unwilling(cluster: Slot, code: i16) -> Fault {
    Fault::cluster(cluster, format_args!("it does not list its groups: {}", crate::api::errors::name(code)))
}

/// What groups have committed.
async fn offsets(lag: &Arc<Lag>, cluster: &Arc<Cluster>, broker: BrokerId, groups: Vec<StrBytes>) -> Result<(), Fault> {
    let mut outcome = Ok(());
    // It has just been asked for its groups, so that what it speaks is known.
    if cluster.speaks(broker, ApiKey::OffsetFetch).is_some_and(|highest| highest >= OF_MANY) {
        for some in committed::together(weighed(lag, cluster.slot(), groups).await) {
            outcome = outcome.and(offsets_of_many(lag, cluster, broker, &some).await);
        }
    } else {
        for some in groups.chunks(GROUPS_AT_A_TIME) {
            outcome = outcome.and(offsets_of_each(lag, cluster, broker, some).await);
        }
    }
    outcome
}

/// How many offsets each may have.
async fn weighed(lag: &Arc<Lag>, cluster: Slot, groups: Vec<StrBytes>) -> Vec<(StrBytes, usize)> {
    let placement = lag.current.load();
    let there = placement.topics().filter(|place| place.cluster == cluster);
    let reckoned = committed::reckoned(there.map(|place| place.topic.partitions.len()).sum());
    let weigh = move |known: Option<usize>| known.unwrap_or(reckoned);
    let weighed = lag.desk.done(move |state| {
        state.up_to_date(|ledger, _| {
            groups.into_iter().map(|group| (group.clone(), weigh(ledger.may_hold(&group)))).collect()
        })
    });
    weighed.await.unwrap_or_default()
}

async fn offsets_of_many(
    lag: &Arc<Lag>,
    cluster: &Arc<Cluster>,
    broker: BrokerId,
    groups: &[StrBytes],
) -> Result<(), Fault> {
    let asked = Instant::now();
    let answer = cluster.call(Some(broker), &committed::ask_many(groups), OF_MANY).await?;
    let facts = committed::told_of_many(groups, &answer, asked);
    let outcome = all_told(cluster, OFFSETS, facts.len(), groups.len());
    take_in(lag, facts).await;
    outcome
}

async fn offsets_of_each(
    lag: &Arc<Lag>,
    cluster: &Arc<Cluster>,
    broker: BrokerId,
    groups: &[StrBytes],
) -> Result<(), Fault> {
    let mut asked = JoinSet::new();
    for group in groups {
        let (group, cluster, lag) = (group.clone(), Arc::clone(cluster), Arc::clone(lag));
        asked.spawn(async move {
            let asked = Instant::now();
            let answer = cluster.call(Some(broker), &committed::ask_one(&group), OF_ONE).await?;
            let fact = committed::told_of_one(&group, &answer, asked);
            let outcome = all_told(&cluster, OFFSETS, usize::from(fact.is_some()), 1);
            take_in(&lag, fact.into_iter().collect()).await;
            outcome
        });
    }
    let mut outcome = Ok(());
    for told in all_answers(asked).await {
        outcome = outcome.and(told);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::config::Config;
    use crate::lag::rows::Which;
    use crate::placement::task;
    use crate::telemetry::Telemetry;
    use crate::upstream::connect::Shared;
    use crate::upstream::refresh;
    use crate::upstream::testing::{Asked, FakeCluster, Reply};
    use kafka_protocol::messages::consumer_group_describe_response;
    use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
    use kafka_protocol::messages::list_groups_response::ListedGroup;
    use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
    use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    };
    use kafka_protocol::messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        GroupId, ListOffsetsRequest, ListOffsetsResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
    };
    use parking_lot::Mutex;
    use std::time::Duration;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    const GROUPS: usize = 450;
    const END: i64 = 10;

    type Seen = Arc<Mutex<Vec<(ApiKey, i16)>>>;

    fn name(number: usize) -> GroupId {
        GroupId(StrBytes::from_string(format!("g{number}")))
    }

    /// A group is as far as its number says, up to the end.
    fn committed_by(group: &GroupId) -> i64 {
        group.trim_start_matches('g').parse::<i64>().unwrap() % END
    }

    fn topic() -> TopicName {
        TopicName(StrBytes::from_static_str("x"))
    }

    fn groups() -> ListGroupsResponse {
        let group = |number| ListedGroup::default().with_group_id(name(number));
        ListGroupsResponse::default().with_groups((0..GROUPS).map(group).collect())
    }

    fn ends(of: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = of.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let offset = if asked.timestamp == -2 { 0 } else { END };
                ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(offset)
            });
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    fn offsets(of: &OffsetFetchRequest) -> OffsetFetchResponse {
        if of.groups.is_empty() {
            let partition = OffsetFetchResponsePartition::default().with_committed_offset(committed_by(&of.group_id));
            let told = OffsetFetchResponseTopic::default().with_name(topic()).with_partitions(vec![partition]);
            return OffsetFetchResponse::default().with_topics(vec![told]);
        }
        let group = |asked: &OffsetFetchRequestGroup| {
            let partition =
                OffsetFetchResponsePartitions::default().with_committed_offset(committed_by(&asked.group_id));
            let told = OffsetFetchResponseTopics::default().with_name(topic()).with_partitions(vec![partition]);
            OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone()).with_topics(vec![told])
        };
        OffsetFetchResponse::default().with_groups(of.groups.iter().map(group).collect())
    }

    fn broker(seen: &Seen, asked: Asked) -> Reply {
        seen.lock().push((asked.api, asked.head.version));
        match asked.api {
            ApiKey::ListGroups => asked.answer(&groups()),
            ApiKey::ListOffsets => asked.answer(&ends(&asked.request())),
            ApiKey::OffsetFetch => asked.answer(&offsets(&asked.request())),
            other => panic!("{other:?} was asked"),
        }
    }

    /// Sweeps a cluster whose brokers speak OffsetFetch up to a version; what was asked, in order.
    async fn swept(version: i16) -> Vec<(ApiKey, i16)> {
        let (seen, partitions) = (Seen::default(), [1; 100]);
        let noted = Arc::clone(&seen);
        let there = FakeCluster::start(1, &[("x", &partitions)], move |_, asked| broker(&noted, asked)).await;
        there.speak_at_most(ApiKey::OffsetFetch, version);
        let lag = lag_of(&there).await;
        assert_eq!((lag.swept()[0].told, lag.swept()[0].failed), (1, 0));
        // Each group is behind by what it has not committed
        let told = lag.rows(Which::default()).await.unwrap();
        assert_eq!(told.rows.len(), GROUPS);
        for row in &told.rows {
            assert_eq!(row.lag, Some(END - committed_by(&GroupId(row.group.clone()))), "{row:?}");
        }
        let seen = seen.lock();
        seen.clone()
    }

    /// What is known when a cluster was swept.
    async fn lag_of(there: &FakeCluster) -> Arc<Lag> {
        let (lag, cluster, refreshing) = before(there).await;
        sweep(Arc::clone(&lag), cluster).await;
        refreshing.abort();
        lag
    }

    /// What is known when a sweep begins, whom it asks, and what keeps its metadata.
    async fn before(there: &FakeCluster) -> (Arc<Lag>, Arc<Cluster>, JoinHandle<()>) {
        let telemetry = Telemetry::new().unwrap();
        let (slot, meter, shared) = (Slot::new(0).unwrap(), telemetry.cluster(&"a".into()), Shared::new(0, 1 << 20));
        let (cluster, asked) = Cluster::new(slot, "a".into(), there.bootstrap(), shared, meter);
        let refreshing = tokio::spawn(refresh::run(Arc::clone(&cluster), asked));
        cluster.news().wait_for(|news| news.read).await.unwrap();
        let config = "{ virtual_cluster: v, default_cluster: a, listeners: [{ bind: '127.0.0.1:0' }],
            clusters: { a: { slot: 0, bootstrap: ['127.0.0.1:1'] } } }";
        let config = Arc::new(Config::from_text("c.yaml", config).unwrap());
        let current = task::start(config, &[Arc::clone(&cluster)]);
        current.caught_up(&cluster).await;
        let lag = Lag::new(Arc::clone(telemetry.notes()), current).unwrap();
        lag.desk.done(State::read_on).await.unwrap();
        assert!(lag.begins(cluster.name()));
        (lag, cluster, refreshing)
    }

    #[tokio::test]
    async fn what_was_given_up_has_ended() {
        let there = FakeCluster::start(1, &[("x", &[1])], |_, asked| asked.answer(&groups())).await;
        let (lag, cluster, _refreshing) = before(&there).await;
        let underway = sweep(Arc::clone(&lag), Arc::clone(&cluster));
        assert!(lag.sweeps.lock()[cluster.name()].running);
        assert!(timeout(Duration::ZERO, underway).await.is_err());
        assert!(!lag.sweeps.lock()[cluster.name()].running);
        assert_eq!((lag.swept()[0].told, lag.swept()[0].failed), (0, 1));
    }

    #[tokio::test]
    async fn a_cluster_that_keeps_something_back_has_not_told_all() {
        for kept in [ApiKey::OffsetFetch, ApiKey::ListOffsets] {
            let there = FakeCluster::start(1, &[("x", &[1, 1])], move |_, asked| match asked.api {
                ApiKey::ListGroups => asked.answer(&groups()),
                ApiKey::ListOffsets => {
                    let mut told = ends(&asked.request());
                    let code = if kept == ApiKey::ListOffsets { 6 } else { 0 };
                    told.topics[0].partitions[1].error_code = code;
                    asked.answer(&told)
                }
                _ => {
                    let mut told = offsets(&asked.request());
                    told.groups[0].error_code = if kept == ApiKey::OffsetFetch { 30 } else { 0 };
                    asked.answer(&told)
                }
            })
            .await;
            there.speak_at_most(ApiKey::OffsetFetch, 9);
            let swept = &lag_of(&there).await.swept()[0];
            assert_eq!((swept.told, swept.failed), (0, 1), "{kept:?}");
            assert!(swept.age.is_some(), "so long it was asked in vain");
        }
    }

    #[tokio::test]
    async fn an_answer_may_be_more_than_a_page_of_the_notebook() {
        const GROUPS: usize = 200;
        const PARTITIONS: i32 = 100;
        let topic_of_all = |_: &OffsetFetchRequestGroup| {
            let at =
                |index| OffsetFetchResponsePartitions::default().with_partition_index(index).with_committed_offset(4);
            OffsetFetchResponseTopics::default().with_name(topic()).with_partitions((0..PARTITIONS).map(at).collect())
        };
        let there = FakeCluster::start(1, &[("x", &[1; 100])], move |_, asked| match asked.api {
            ApiKey::ListGroups => {
                let group = |number| ListedGroup::default().with_group_id(name(number));
                asked.answer(&ListGroupsResponse::default().with_groups((0..GROUPS).map(group).collect()))
            }
            ApiKey::ListOffsets => asked.answer(&ends(&asked.request())),
            _ => {
                let request: OffsetFetchRequest = asked.request();
                let told = request.groups.iter().map(|group| {
                    let of_one = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
                    of_one.with_topics(vec![topic_of_all(group)])
                });
                asked.answer(&OffsetFetchResponse::default().with_groups(told.collect()))
            }
        })
        .await;
        there.speak_at_most(ApiKey::OffsetFetch, 9);
        let lag = lag_of(&there).await;
        assert_eq!((lag.swept()[0].told, lag.notes.lost()), (1, 0));
        assert_eq!(lag.rows(Which::default()).await.unwrap().rows.len(), GROUPS * PARTITIONS.unsigned_abs() as usize);
    }

    fn count(seen: &[(ApiKey, i16)], api: ApiKey, version: i16) -> usize {
        seen.iter().filter(|one| **one == (api, version)).count()
    }

    #[tokio::test]
    async fn a_broker_is_asked_for_many_groups_and_partitions_together() {
        let seen = swept(9).await;
        assert_eq!(count(&seen, ApiKey::OffsetFetch, OF_MANY), 3, "450 groups, of which a request asks about 200");
        assert_eq!(count(&seen, ApiKey::ListOffsets, LIST_OFFSETS), 3, "start, end and stable end");
        assert_eq!(seen.len(), 3 + 3 + 1);
    }

    #[tokio::test]
    async fn a_broker_that_can_be_asked_for_one_group_only_is_asked_for_each() {
        let seen = swept(OF_MANY - 1).await;
        assert_eq!(count(&seen, ApiKey::OffsetFetch, OF_ONE), GROUPS);
        assert_eq!(seen.len(), GROUPS + 3 + 1);
    }

    /// Groups with their states and kinds.
    fn listed(groups: &[(usize, &'static str, &'static str)]) -> ListGroupsResponse {
        let group = |(number, state, kind): &(usize, &'static str, &'static str)| {
            let listed = ListedGroup::default().with_group_id(name(*number)).with_group_type((*kind).into());
            listed.with_protocol_type("consumer".into()).with_group_state((*state).into())
        };
        ListGroupsResponse::default().with_groups(groups.iter().map(group).collect())
    }

    /// What the members of each read is another topic than what it has committed.
    fn classic(of: &DescribeGroupsRequest) -> DescribeGroupsResponse {
        let subscription = [&[0, 1, 0, 0, 0, 1, 0, 1, b'y'][..], &[0; 4]].concat();
        let member = DescribedGroupMember::default().with_member_metadata(subscription.into());
        let group = |id: &GroupId| {
            let told = DescribedGroup::default().with_group_id(id.clone()).with_members(vec![member.clone()]);
            told.with_group_state("Stable".into()).with_protocol_type("consumer".into())
        };
        DescribeGroupsResponse::default().with_groups(of.groups.iter().map(group).collect())
    }

    fn consumer(of: &ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
        let y = TopicName("y".into());
        let member = consumer_group_describe_response::Member::default().with_subscribed_topic_names(vec![y]);
        let group = |id: &GroupId| {
            let told = consumer_group_describe_response::DescribedGroup::default().with_group_id(id.clone());
            told.with_members(vec![member.clone()])
        };
        ConsumerGroupDescribeResponse::default().with_groups(of.group_ids.iter().map(group).collect())
    }

    #[tokio::test]
    async fn members_are_asked_for_before_offsets_and_only_where_there_are_any() {
        // Given a classic group and one of the consumer protocol, whose members have dropped a topic, and others without members
        let groups = [(1, "Stable", "classic"), (2, "Reconciling", "consumer"), (3, "Empty", "classic")];
        let seen = Seen::default();
        let noted = Arc::clone(&seen);
        let there = FakeCluster::start(1, &[("x", &[1]), ("y", &[1])], move |_, asked| match asked.api {
            ApiKey::ListGroups => asked.answer(&listed(&groups)),
            ApiKey::DescribeGroups => {
                noted.lock().push((asked.api, asked.head.version));
                asked.answer(&classic(&asked.request()))
            }
            ApiKey::ConsumerGroupDescribe => {
                noted.lock().push((asked.api, asked.head.version));
                asked.answer(&consumer(&asked.request()))
            }
            _ => broker(&noted, asked),
        })
        .await;
        // When it is swept
        let lag = lag_of(&there).await;
        // Then each is asked once, and of the topic that nobody reads only the group is told that has nobody
        assert_eq!((lag.swept()[0].told, lag.swept()[0].failed), (1, 0));
        let told: Vec<_> =
            lag.rows(Which::default()).await.unwrap().rows.iter().map(|row| row.group.to_string()).collect();
        assert_eq!(told, ["g3"]);
        let apis: Vec<_> = seen.lock().iter().filter(|one| one.0 != ApiKey::ListOffsets).copied().collect();
        let described = [(ApiKey::DescribeGroups, DESCRIBE_GROUPS), (ApiKey::ConsumerGroupDescribe, 1)];
        assert_eq!(apis, [&described[..], &[(ApiKey::OffsetFetch, OF_MANY)]].concat());
    }

    #[tokio::test]
    async fn a_cluster_that_does_not_say_what_members_read_has_told_all_else() {
        let there = FakeCluster::start(1, &[("x", &[1])], move |_, asked| match asked.api {
            ApiKey::ListGroups => asked.answer(&listed(&[(1, "Stable", "classic")])),
            ApiKey::DescribeGroups => {
                let mut told = classic(&asked.request());
                told.groups[0].error_code = 30;
                asked.answer(&told)
            }
            _ => broker(&Seen::default(), asked),
        })
        .await;
        let lag = lag_of(&there).await;
        assert_eq!((lag.swept()[0].told, lag.rows(Which::default()).await.unwrap().rows.len()), (1, 1));
    }
}
