//! ShareFetch and ShareAcknowledge (KIP-932): what members of share groups read, and what becomes of it.
//!
//! A broker keeps a *share session* for each member that reads from it, and knows which records that member has. A request
//! after the first names only what is new, mostly nothing, so it goes where its session is; the first, with epoch 0, goes to the
//! leader of what it names. All of it goes to one broker: what that does not lead it refuses itself, and says who does.
//! A member reads from each broker over a connection of its own, which is the broker's as far as share sessions go. One that
//! then asks for what the broker does not lead any more is told so, and not served by another: that may have a session of the
//! same member already, over another connection, which this one would end.
//!
//! In `single` a member reads all over one connection, in one session, which is split (`split`).

mod asked;
mod kept;
mod moves;
mod questions;
pub mod split;

pub use asked::{Asked, Partition};
pub use moves::{Answer, Ask, Leaving, Move, Moves, Sent};

use crate::api::overview::nodes::Node;
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Effect, Effects, Need, Seen, codes, once};
use crate::error::Fault;
use crate::placement::{Leader, Placement, TopicPlace};
use crate::types::{Slot, Target};
use kafka_protocol::messages::{
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
    share_acknowledge_response, share_fetch_response,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The epoch of a request that opens a session.
const OPENS: i32 = 0;
/// And of one that ends it.
const FINAL: i32 = -1;

/// A request of a share group's member to a broker.
pub trait ShareRequest {
    /// What is answered.
    type Answer: ShareAnswer;
    /// The group, empty where it names none.
    fn group(&self) -> &str;
    /// The member, likewise.
    fn member(&self) -> &str;
    /// 0 opens its session, -1 ends it.
    fn epoch(&self) -> i32;
    /// The partitions it names: of a topic, and which.
    fn partitions(&self) -> impl Iterator<Item = (Uuid, i32)>;
    /// Takes topics out. What their member is told of their partitions, with an error and words for it, where there are any.
    fn take_out(&mut self, goes: impl FnMut(Uuid) -> bool, why: i16, words: Option<StrBytes>) -> Option<Self::Answer>;
}

/// What is answered to it.
pub trait ShareAnswer: Untag + Sized {
    /// An error of the whole.
    fn failed(code: i16, message: Option<StrBytes>) -> Self;
    /// Partitions that others lead, each with who does and since when; and the nodes of those.
    fn moved(partitions: Vec<(Uuid, i32, Led)>, nodes: Vec<Node>) -> Self;
    /// A broker's answer with nodes for its brokers.
    fn of_nodes(&mut self, from: Slot, seen: &Seen<'_>);
    /// The topics that are led elsewhere.
    fn unled(&self) -> impl Iterator<Item = Uuid>;
    /// The error of the whole.
    fn code(&self) -> i16;
    /// Puts what is told of other topics beside it, where the whole is no error.
    fn add(&mut self, told: Self);
}

/// Adds to what is told of topics that were taken out of a request.
pub fn tell<A: ShareAnswer>(told: &mut Option<A>, more: Option<A>) {
    match (told.as_mut(), more) {
        (Some(before), Some(more)) => before.add(more),
        (None, more) => *told = more,
        (Some(_), None) => {}
    }
}

/// Who leads a partition, as the client is told: a node and an epoch, or -1 twice.
pub type Led = (i32, i32);

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Plan<Answer> {
    /// All of it goes to this broker.
    Send(Target),
    /// Nothing is sent. The session is forgotten where it is said so.
    Answer(Answer, Forget),
    /// To be met first; then plan again.
    Wait(Need),
}

/// Whether a session that this connection had is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// It is.
    Session,
    /// It is not, or there was none.
    Nothing,
}

/// Plans a request of a member whose session over this connection, if any, is at `bound`. Topics that do not live with the group are
/// taken out, and `told` says so: a broker may have such an id all the same, of a shadow or a stray, which nobody is to read. A topic
/// may be known after a `Wait` that was not before: who plans again looks first at what may be read again.
pub fn plan<R: ShareRequest>(
    request: &mut R,
    told: &mut Option<R::Answer>,
    bound: Option<Target>,
    seen: &Seen<'_>,
) -> Plan<R::Answer> {
    let home = seen.placement.home_of_group(request.group());
    // The group may have moved.
    let bound = bound.filter(|bound| bound.cluster == home);
    let goes_on = request.epoch() != OPENS;
    if goes_on && bound.is_none() {
        return Plan::Answer(R::Answer::failed(codes::SHARE_SESSION_NOT_FOUND, None), Forget::Nothing);
    }
    let unknown = request.partitions().any(|(topic, _)| seen.placement.topic_by_id(topic).is_none());
    if unknown && seen.refusal(&Need::AllTopics).is_none() {
        return Plan::Wait(Need::AllTopics);
    }
    let lives_elsewhere = |topic| seen.placement.topic_by_id(topic).is_none_or(|place| place.cluster != home);
    tell(told, request.take_out(lives_elsewhere, codes::UNKNOWN_TOPIC_ID, None));
    let leaders: Vec<_> =
        request.partitions().filter_map(|at| leader(at, home, seen.placement)).map(|(to, _)| to).collect();
    match bound {
        Some(bound) if goes_on || leaders.is_empty() || leaders.contains(&bound) => Plan::Send(bound),
        Some(_) => Plan::Answer(moved(request, home, seen), Forget::Session),
        None => match leaders.first().copied().or_else(|| seen.placement.any_broker(home)) {
            Some(to) => Plan::Send(to),
            None => Plan::Answer(moved(request, home, seen), Forget::Nothing),
        },
    }
}

fn leader((topic, partition): (Uuid, i32), home: Slot, placement: &Placement) -> Option<(Target, i32)> {
    let place = placement.topic_by_id(topic).filter(|place| place.cluster == home)?;
    match TopicPlace::leader(place, partition) {
        Leader::At(to, epoch) => Some((to, epoch)),
        Leader::Nobody | Leader::NoPartition => None,
    }
}

fn moved<R: ShareRequest>(request: &R, home: Slot, seen: &Seen<'_>) -> R::Answer {
    let mut targets = BTreeSet::new();
    let partitions = request.partitions().map(|at| {
        let led = leader(at, home, seen.placement).map_or((-1, -1), |(to, epoch)| {
            targets.insert(to);
            (seen.virtual_id(to.cluster, to.broker.0).0, epoch)
        });
        (at.0, at.1, led)
    });
    let partitions = partitions.collect();
    R::Answer::moved(partitions, targets.into_iter().map(|to| seen.node_of(to.cluster, to.broker.0, None)).collect())
}

/// What the client hears: the broker's answer, or why there is none.
pub fn absorb<A: ShareAnswer>(answer: Result<A, Fault>, from: Target, seen: &Seen<'_>, effects: &mut Effects) -> A {
    match answer {
        Ok(mut answer) => {
            answer.untag();
            answer.of_nodes(from.cluster, seen);
            for place in answer.unled().filter_map(|topic| seen.placement.topic_by_id(topic)) {
                once(Effect::Refresh(from.cluster, place.topic.name.clone()), effects);
            }
            answer
        }
        Err(fault) if fault.lacking => {
            let message = StrBytes::from_static_str("the group's cluster does not serve share groups");
            A::failed(codes::UNSUPPORTED_VERSION, Some(message))
        }
        // The session went with the link. Its member opens a new one.
        Err(_) => A::failed(codes::SHARE_SESSION_NOT_FOUND, None),
    }
}

macro_rules! share {
    ($request:ident, $response:ident in $room:ident: $topic:ident $(, $acknowledged:ident, $with_code:ident)?) => {
        impl ShareRequest for $request {
            type Answer = $response;

            fn group(&self) -> &str {
                self.group_id.as_ref().map_or("", |group| &group.0)
            }

            fn member(&self) -> &str {
                self.member_id.as_ref().map_or("", |member| member)
            }

            fn epoch(&self) -> i32 {
                self.share_session_epoch
            }

            fn partitions(&self) -> impl Iterator<Item = (Uuid, i32)> {
                self.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(move |partition| (topic.topic_id, partition.partition_index))
                })
            }

            fn take_out(
                &mut self,
                mut goes: impl FnMut(Uuid) -> bool,
                why: i16,
                words: Option<StrBytes>,
            ) -> Option<$response> {
                let told = self.topics.extract_if(.., |topic| goes(topic.topic_id)).map(|topic| {
                    let partitions = topic.partitions.iter().map(|asked| {
                        let told = $room::PartitionData::default()
                            .with_partition_index(asked.partition_index)
                            .with_error_code(why)
                            .with_error_message(words.clone());
                        $(let told = told.$with_code(match asked.acknowledgement_batches.is_empty() {
                            true => codes::NONE,
                            false => why,
                        });)?
                        told
                    });
                    $room::$topic::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
                });
                let told: Vec<_> = told.collect();
                (!told.is_empty()).then(|| $response::default().with_responses(told))
            }
        }

        impl ShareAnswer for $response {
            fn failed(code: i16, message: Option<StrBytes>) -> Self {
                $response::default().with_error_code(code).with_error_message(message)
            }

            fn moved(partitions: Vec<(Uuid, i32, Led)>, nodes: Vec<Node>) -> Self {
                let mut told: Vec<$room::$topic> = Vec::new();
                for (topic, index, (leader, epoch)) in partitions {
                    let leader = $room::LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch);
                    let partition = $room::PartitionData::default()
                        .with_partition_index(index)
                        .with_error_code(codes::NOT_LEADER_OR_FOLLOWER)
                        .with_current_leader(leader);
                    match told.last_mut().filter(|last| last.topic_id == topic) {
                        Some(last) => last.partitions.push(partition),
                        None => told.push($room::$topic::default().with_topic_id(topic).with_partitions(vec![partition])),
                    }
                }
                let nodes = nodes.into_iter().map(|node| {
                    $room::NodeEndpoint::default().with_node_id(node.id).with_host(node.host).with_port(node.port)
                });
                $response::default().with_responses(told).with_node_endpoints(nodes.collect())
            }

            fn of_nodes(&mut self, from: Slot, seen: &Seen<'_>) {
                let scrub = |message: &mut Option<StrBytes>| {
                    *message = scrubbed_message(message.take(), from, seen.placement);
                };
                scrub(&mut self.error_message);
                for told in self.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    scrub(&mut told.error_message);
                    $(scrub(&mut told.$acknowledged);)?
                    told.current_leader.leader_id = seen.virtual_id(from, told.current_leader.leader_id).0;
                }
                for node in &mut self.node_endpoints {
                    let shown = seen.node_of(from, node.node_id.0, node.rack.take());
                    (node.node_id, node.host, node.port, node.rack) = (shown.id, shown.host, shown.port, shown.rack);
                }
                self.node_endpoints.dedup_by_key(|node| node.node_id);
            }

            fn unled(&self) -> impl Iterator<Item = Uuid> {
                let unled = |topic: &&$room::$topic| {
                    topic.partitions.iter().any(|told| codes::asks_for_refresh(told.error_code))
                };
                self.responses.iter().filter(unled).map(|topic| topic.topic_id)
            }

            fn code(&self) -> i16 {
                self.error_code
            }

            fn add(&mut self, told: Self) {
                if self.error_code == codes::NONE {
                    self.responses.extend(told.responses);
                }
            }
        }
    };
}

share!(ShareFetchRequest, ShareFetchResponse in share_fetch_response: ShareFetchableTopicResponse,
    acknowledge_error_message, with_acknowledge_error_code);
share!(ShareAcknowledgeRequest, ShareAcknowledgeResponse in share_acknowledge_response: ShareAcknowledgeTopicResponse);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::api::testing::{World, at, text};
    use crate::placement::build::tests::topic;
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::share_fetch_request::{AcknowledgementBatch, FetchPartition, FetchTopic};

    fn world() -> World {
        World::with(&[topic("x", &[1, 2]), topic("y", &[-1])], &[topic("b-1", &[1])])
    }

    fn fetch(epoch: i32, named: &[(&str, i32)]) -> ShareFetchRequest {
        let named = named.iter().map(|(name, partition)| {
            let partition = FetchPartition::default().with_partition_index(*partition);
            FetchTopic::default().with_topic_id(topic(name, &[1]).id).with_partitions(vec![partition])
        });
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text("m")))
            .with_share_session_epoch(epoch)
            .with_topics(named.collect())
    }

    fn plan_of(request: &ShareFetchRequest, bound: Option<Target>, world: &World) -> Plan<ShareFetchResponse> {
        plan(&mut request.clone(), &mut None, bound, &world.seen(1))
    }

    fn codes_of(answer: &ShareFetchResponse) -> Vec<(i16, i32, i32)> {
        let told = answer.responses.iter().flat_map(|topic| &topic.partitions);
        told.map(|told| (told.error_code, told.current_leader.leader_id, told.current_leader.leader_epoch)).collect()
    }

    #[test]
    fn a_session_is_opened_at_the_leader_and_stays_there() {
        let world = world();
        assert_eq!(plan_of(&fetch(0, &[("x", 1)]), None, &world), Plan::Send(at(0, 2)));
        // Later requests name nothing, or what others lead: the broker says so itself
        for named in [&[][..], &[("x", 0)]] {
            assert_eq!(plan_of(&fetch(7, named), Some(at(0, 2)), &world), Plan::Send(at(0, 2)));
        }
        assert_eq!(plan_of(&fetch(-1, &[]), Some(at(0, 2)), &world), Plan::Send(at(0, 2)));
        // One that this connection has not opened is unknown, and one where the group does not live any more
        for bound in [None, Some(at(1, 1))] {
            let Plan::Answer(answer, Forget::Nothing) = plan_of(&fetch(7, &[]), bound, &world) else { panic!() };
            assert_eq!(answer.error_code, 122);
        }
        // What nobody leads goes to some broker of the group's home
        assert!(
            matches!(plan_of(&fetch(0, &[("y", 0)]), None, &world), Plan::Send(to) if to.cluster == at(0, 1).cluster)
        );
    }

    #[test]
    fn who_asks_a_broker_for_what_another_leads_is_told_so_once() {
        // Given a connection whose session is at broker 1, and a partition that broker 2 leads by now
        let world = world();
        let asked = fetch(0, &[("x", 1), ("y", 0)]);
        let Plan::Answer(answer, Forget::Session) = plan_of(&asked, Some(at(0, 1)), &world) else { panic!() };
        assert_eq!(codes_of(&answer), [(6, 2, 7), (6, -1, -1)]);
        assert_eq!((answer.node_endpoints.len(), answer.node_endpoints[0].host.as_str()), (1, "proxy.example"));
        // Where the broker leads some of it, it has all
        assert_eq!(plan_of(&fetch(0, &[("x", 1), ("x", 0)]), Some(at(0, 1)), &world), Plan::Send(at(0, 1)));
    }

    #[test]
    fn a_topic_that_nobody_knows_is_looked_for_once() {
        let mut world = world();
        let asked = |epoch| fetch(epoch, &[("later", 0), ("x", 1)]);
        for (epoch, bound) in [(0, None), (7, Some(at(0, 2)))] {
            assert_eq!(plan_of(&asked(epoch), bound, &world), Plan::Wait(Need::AllTopics));
        }
        world.refused.extend([(Need::AllTopics, Refusal::Done)]);
        for (epoch, bound) in [(0, None), (7, Some(at(0, 2)))] {
            assert_eq!(plan_of(&asked(epoch), bound, &world), Plan::Send(at(0, 2)));
        }
        assert!(matches!(plan_of(&asked(7), None, &world), Plan::Answer(..)), "nothing is looked for in vain");
    }

    #[test]
    fn no_broker_is_asked_for_what_does_not_live_with_the_group() {
        // Given a broker whose cluster has a shadow, and a stray, of topics that live elsewhere
        let (shadow, stray) = (topic("b-shadow", &[1]), topic("b-stray", &[1]));
        let mut world = World::with(&[topic("x", &[1]), shadow, stray], &[topic("b-1", &[1])]);
        world.refused.extend([(Need::AllTopics, Refusal::Done)]);
        for (epoch, bound) in [(0, None), (0, Some(at(0, 1))), (7, Some(at(0, 1)))] {
            // When a member names these, beside what lives there and acknowledging some
            let mut asked = fetch(epoch, &[("b-shadow", 0), ("x", 0), ("b-stray", 4), ("b-1", 0)]);
            asked.topics[2].partitions[0].acknowledgement_batches = vec![AcknowledgementBatch::default()];
            let mut told = None;
            // Then what lives there is asked for
            assert_eq!(plan(&mut asked, &mut told, bound, &world.seen(1)), Plan::Send(at(0, 1)));
            assert_eq!(asked.partitions().collect::<Vec<_>>(), [(topic("x", &[1]).id, 0)]);
            // And of the others it is told that nobody knows them
            let told = told.unwrap();
            let of: Vec<_> = told.responses.iter().map(|topic| (topic.topic_id, &topic.partitions[0])).collect();
            let codes = of.iter().map(|(_, told)| (told.partition_index, told.error_code, told.acknowledge_error_code));
            assert_eq!(codes.collect::<Vec<_>>(), [(0, 100, 0), (4, 100, 100), (0, 100, 0)]);
            assert_eq!(of[1].0, topic("b-stray", &[1]).id);
        }
    }

    #[test]
    fn brokers_are_told_as_nodes_and_a_lost_link_ends_the_session() {
        let world = world();
        let mut effects = Effects::new();
        let led = share_fetch_response::LeaderIdAndEpoch::default().with_leader_id(3).with_leader_epoch(8);
        let partition = share_fetch_response::PartitionData::default().with_error_code(6).with_current_leader(led);
        let told = share_fetch_response::ShareFetchableTopicResponse::default()
            .with_topic_id(topic("b-1", &[1]).id)
            .with_partitions(vec![partition]);
        let node = share_fetch_response::NodeEndpoint::default().with_node_id(3.into()).with_host(text("secret"));
        let answer = ShareFetchResponse::default().with_responses(vec![told]).with_node_endpoints(vec![node]);
        let ours = absorb(Ok(answer), at(1, 1), &world.seen(1), &mut effects);
        assert_eq!(codes_of(&ours), [(6, (1 << 25) | 3, 8)]);
        assert_eq!(
            (ours.node_endpoints[0].node_id.0, ours.node_endpoints[0].host.as_str()),
            ((1 << 25) | 3, "proxy.example")
        );
        assert_eq!(effects, [Effect::Refresh(at(1, 1).cluster, text("b-1"))]);
        let lost: ShareFetchResponse =
            absorb(Err(Fault::upstream(at(1, 1), true, "gone")), at(1, 1), &world.seen(1), &mut effects);
        assert_eq!(lost.error_code, 122);
        let lacks: ShareAcknowledgeResponse =
            absorb(Err(Fault::lacking(at(1, 1), "it")), at(1, 1), &world.seen(1), &mut effects);
        assert_eq!(lacks.error_code, 35);
    }
}
