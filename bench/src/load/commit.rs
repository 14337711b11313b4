//! Groups that stand somewhere: every partition is written to, and groups commit an offset in each, as a simple consumer
//! commits, which is a member of none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::protocol::StrBytes;

use super::CommitArgs;
use super::client::{Connection, Node, Software, discover};
use super::work::{Kind, Work};

/// Partitions that a Produce names, each with a batch.
const WRITTEN_TOGETHER: usize = 100;
/// Partitions that a commit names, but for a topic with more.
const COMMITTED_TOGETHER: usize = 500;
/// The last version of OffsetCommit that names topics.
const BY_NAME: i16 = 9;

/// Writes and commits; how many offsets were committed.
pub(super) fn run(args: &CommitArgs) -> Result<usize> {
    let (names, software) = (args.target.names(), args.target.software());
    let nodes = discover(&args.target.bootstrap, &names, &software)?;
    write_to_all(args, &nodes, &software)?;
    let bootstrap = args.target.bootstrap.first().context("no bootstrap address")?;
    let mut connection = Connection::open(bootstrap, &software)?;
    let mut committed = 0;
    for (group, offset) in &args.group {
        for request in commits(&nodes, group, *offset) {
            committed += commit(&mut connection, &request).with_context(|| format!("a commit of {group}"))?;
        }
    }
    Ok(committed)
}

/// Writes to every partition as often as is asked for, to what each node leads at the same time.
fn write_to_all(args: &CommitArgs, nodes: &[Node], software: &Software) -> Result<()> {
    if args.batches == 0 {
        return Ok(());
    }
    ensure!(args.rate > 0.0, "a rate of {} batches a second", args.rate);
    std::thread::scope(|scope| {
        let writing = nodes.iter().map(|node| scope.spawn(|| write(node, args, software)));
        let writing: Vec<_> = writing.collect();
        writing.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("who writes panicked"))?)
    })
}

/// One batch after the other of one record for each partition that a node leads. Where that takes longer than it may, the rest
/// is late and not left out.
fn write(node: &Node, args: &CommitArgs, software: &Software) -> Result<()> {
    let mut connection = Connection::open(&node.address, software)?;
    let together = WRITTEN_TOGETHER.min(node.partitions.len());
    let mut work = Work::new(Kind::Produce, &mut connection, &node.partitions, together, Some(together), false, None)?;
    let start = Instant::now();
    for batch in 0..args.batches {
        let due = start + Duration::from_secs_f64(f64::from(batch) / args.rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for turn in 0..work.turns() {
            work.send(turn, &connection.stream)?;
            let answer = connection.frames.next()?.context("the connection was closed")?;
            work.check(turn, answer)?;
        }
    }
    Ok(())
}

/// What a group commits, in requests of whole topics.
fn commits(nodes: &[Node], group: &str, offset: i64) -> Vec<OffsetCommitRequest> {
    let mut by_topic: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for partition in nodes.iter().flat_map(|node| &node.partitions) {
        let committed = OffsetCommitRequestPartition::default();
        let committed = committed.with_partition_index(partition.index).with_committed_offset(offset);
        by_topic.entry(&partition.topic).or_default().push(committed);
    }
    let mut requests: Vec<(usize, OffsetCommitRequest)> = Vec::new();
    for (topic, partitions) in by_topic {
        let count = partitions.len();
        let named = StrBytes::from_string(topic.to_owned()).into();
        let topic = OffsetCommitRequestTopic::default().with_name(named).with_partitions(partitions);
        match requests.last_mut().filter(|(size, _)| size + count <= COMMITTED_TOGETHER) {
            Some((size, request)) => {
                *size += count;
                request.topics.push(topic);
            }
            None => {
                let request = OffsetCommitRequest::default()
                    .with_group_id(StrBytes::from_string(group.to_owned()).into())
                    .with_generation_id_or_member_epoch(-1);
                requests.push((count, request.with_topics(vec![topic])));
            }
        }
    }
    requests.into_iter().map(|(_, request)| request).collect()
}

fn commit(connection: &mut Connection, request: &OffsetCommitRequest) -> Result<usize> {
    let version = connection.version::<OffsetCommitRequest>()?.min(BY_NAME);
    let answer = connection.call(version, request)?;
    let mut committed = 0;
    for topic in &answer.topics {
        for partition in &topic.partitions {
            let (code, index) = (partition.error_code, partition.partition_index);
            ensure!(code == 0, "{}-{index}: error {code}", topic.name.as_str());
            committed += 1;
        }
    }
    let asked: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    ensure!(committed == asked, "{asked} offsets were sent, and {committed} are answered");
    Ok(committed)
}

#[cfg(test)]
mod tests {
    use super::super::client::Partition;
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_partition_is_committed_once_and_no_request_is_large() {
        // Given seven topics of two hundred partitions, half of them led by each node
        let partition = |topic: usize, index| Partition { index, topic: format!("t-{topic}"), id: Uuid::nil() };
        let led = |parity: i32| (0..7).flat_map(move |topic| (0..100).map(move |at| partition(topic, 2 * at + parity)));
        let node = |parity| Node { address: String::new(), partitions: led(parity).collect() };
        // When a group commits 3 in all of them
        let requests = commits(&[node(0), node(1)], "g", 3);
        // Then whole topics are named, each once
        let sizes: Vec<_> = requests.iter().map(|request| request.topics.len()).collect();
        assert_eq!(sizes, [2, 2, 2, 1]);
        let topics = || requests.iter().flat_map(|request| &request.topics);
        let mut names: Vec<_> = topics().map(|topic| topic.name.as_str()).collect();
        names.dedup();
        assert_eq!(names.len(), 7);
        for topic in topics() {
            let mut indexes: Vec<_> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            indexes.sort_unstable();
            assert_eq!(indexes, (0..200).collect::<Vec<_>>());
            assert!(topic.partitions.iter().all(|partition| partition.committed_offset == 3));
        }
    }
}
