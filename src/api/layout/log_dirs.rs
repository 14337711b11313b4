//! DescribeLogDirs. A request does not say which broker's directories it means, but by the connection that it comes on; and
//! content alone routes (L1). So every broker of every cluster is asked, **each answer tells the directories of all**, and
//! each directory bears the id of its node before its path: `33554433:/var/lib/kafka`. Partitions of topics that clients
//! do not see are left out. A broker that gives no answer is an error of the whole, where the version has room for it.

use crate::api::everywhere::{Merged, UNHEARD, Word, ask_all, join, merge};
use crate::api::scrub::scrubbed;
use crate::api::untag::Untag;
use crate::api::{Api, Effects, Plan, Seen};
use crate::error::Fault;
use crate::types::{Slot, Target};
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::{ApiKey, DescribeLogDirsRequest, DescribeLogDirsResponse};
use kafka_protocol::protocol::StrBytes;
use std::mem::take;

/// See the module's text.
pub struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    const KEY: ApiKey = ApiKey::DescribeLogDirs;
    type Request = DescribeLogDirsRequest;
    type Response = DescribeLogDirsResponse;
    type Origin = Target;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let down = seen.placement.clusters.iter().filter(|cluster| !cluster.up);
        let down = down.map(|cluster| Err((cluster.slot, Fault::cluster(cluster.slot, "it does not answer"))));
        ask_all(request, seen.placement.brokers_in_reach().map(Ok).chain(down), |to| to, seen)
    }

    fn absorb(
        so_far: &mut Self::Response,
        from: Target,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        _: &mut Effects,
    ) {
        let answer = answer.map(|mut answer| {
            answer.results.iter_mut().for_each(|directory| rewrite(directory, from, seen));
            answer
        });
        merge::<Self>(so_far, from.cluster, answer, seen);
    }
}

/// The directory as clients see it: whose it is, and what of theirs is in it.
fn rewrite(directory: &mut DescribeLogDirsResult, from: Target, seen: &Seen<'_>) {
    directory.untag();
    let node = seen.placement.nodes.virtual_of(from);
    let path = scrubbed(take(&mut directory.log_dir), from.cluster, seen.placement);
    directory.log_dir = StrBytes::from_string(format!("{}:{path}", node.0));
    let visible = |name: &str| seen.placement.topic(name).is_some_and(|place| place.cluster == from.cluster);
    directory.topics.retain(|topic| visible(&topic.name));
}

impl Merged for DescribeLogDirs {
    fn unheard() -> Self::Response {
        DescribeLogDirsResponse::default().with_error_code(UNHEARD)
    }

    fn merge(so_far: &mut Self::Response, told: Self::Response, _: Slot, _: &Seen<'_>) {
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(told.throttle_time_ms);
        Self::fail(so_far, Word::from(told.error_code));
        so_far.results.extend(told.results);
    }

    fn fail(so_far: &mut Self::Response, word: Word) {
        join(&mut so_far.error_code, &mut None, word, UNHEARD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, text};
    use crate::placement::build::tests::topic;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsTopic;

    fn told(topics: &[&str]) -> DescribeLogDirsResponse {
        let topic = |name: &&str| DescribeLogDirsTopic::default().with_name(TopicName(text(name)));
        let directory = DescribeLogDirsResult::default()
            .with_log_dir(text("/data"))
            .with_topics(topics.iter().map(topic).collect());
        DescribeLogDirsResponse::default().with_results(vec![directory])
    }

    #[test]
    fn each_directory_says_whose_it_is_and_holds_what_clients_see() {
        let world = World::with(&[topic("x", &[1]), topic("b-1", &[1])], &[topic("b-1", &[1])]);
        let all = DescribeLogDirsRequest::default().with_topics(None);
        let (answer, _) =
            round::<DescribeLogDirs>(&all, &world.seen(4), |_, _| Ok(told(&["x", "b-1", "__consumer_offsets"])));
        let seen: Vec<_> = answer.results.iter().map(|one| (one.log_dir.as_str(), one.topics.len())).collect();
        let nodes = [1, 2, 3, 33_554_433, 33_554_434, 33_554_435].map(|node| format!("{node}:/data"));
        assert_eq!(seen, nodes.iter().map(|dir| (dir.as_str(), 1)).collect::<Vec<_>>());
        assert_eq!(answer.error_code, 0);
    }

    #[test]
    fn a_broker_that_gives_no_answer_is_an_error_beside_what_the_others_told() {
        let request = DescribeLogDirsRequest::default();
        let (answer, _) = round::<DescribeLogDirs>(&request, &World::default().seen(4), |to, _| {
            if to == at(1, 2) { Err(Fault::upstream(to, true, "gone")) } else { Ok(told(&[])) }
        });
        assert_eq!((answer.error_code, answer.results.len()), (7, 5));
    }
}
