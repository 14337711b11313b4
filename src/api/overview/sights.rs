//! What an answer that we make ourselves may tell of topics, where who asks comes to their cluster as an identity: what the cluster
//! itself lets that one know. What was not told lately is asked for first.

use crate::api::overview::metadata::is_legal;
use crate::api::{Need, Refusal, Seen, codes};
use crate::placement::TopicPlace;
use crate::types::Slot;
use crate::upstream::{Look, Sighted};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// What who asks may know, cluster by cluster; of those where it comes as Fishplate itself, nothing.
#[derive(Default)]
pub(super) struct Sights<'s>(BTreeMap<Slot, One<'s>>);

/// What it may know of one cluster.
struct One<'s> {
    look: Look,
    /// How it went to ask for this request, and whether what is not there was to be made by that.
    tried: Vec<(bool, &'s Refusal)>,
}

/// What may be told of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// All that is known of it; with what may be done to it there (KIP-430).
    All(i32),
    /// Kafka's own refusal, whether it is there or not.
    Refusal,
    /// Nobody could ask: its asker comes again.
    Nothing,
}

/// Topics that clusters are to be asked about first, those that are to be made by that apart.
#[derive(Default)]
pub(super) struct Unasked(BTreeMap<(Slot, bool), Option<Vec<StrBytes>>>);

impl Unasked {
    fn push(&mut self, cluster: Slot, name: StrBytes, create: bool) {
        if let Some(names) = self.0.entry((cluster, create)).or_insert_with(|| Some(Vec::new())) {
            names.push(name);
        }
    }
}

impl One<'_> {
    /// What is known of a topic, and whether that is new enough: what this request was told is, and nobody forgets it.
    fn of(&self, name_there: &str) -> (Sighted, bool) {
        let told = self.tried.iter().find_map(|(_, how)| match how {
            Refusal::Told(told) => told.of(name_there),
            _ => None,
        });
        told.map_or_else(|| self.look.of(name_there), |told| (told, true))
    }
}

/// Whether who asks comes to any cluster as an identity.
pub(super) fn any(seen: &Seen<'_>) -> bool {
    looks(seen).next().is_some()
}

fn looks(seen: &Seen<'_>) -> impl Iterator<Item = (Slot, Look)> {
    let clusters = seen.placement.config.clusters.iter().filter(|one| !one.identities.is_empty());
    clusters.filter_map(|one| Some((one.slot, (seen.sight)(one.slot)?)))
}

impl<'s> Sights<'s> {
    pub(super) fn of(seen: &Seen<'s>) -> Self {
        let one = |(slot, look): (Slot, Look)| {
            let tried = seen.refused.of_sight(slot, &look.guise).collect();
            (slot, One { look, tried })
        };
        Self(looks(seen).map(one).collect())
    }

    /// What may be told of a topic that is known.
    pub(super) fn tell(&self, place: &TopicPlace) -> Tells {
        match self.0.get(&place.cluster).map(|one| one.of(place.name_there()).0) {
            None => Tells::All(place.topic.operations),
            Some(Sighted::Shown(operations)) => Tells::All(operations),
            Some(Sighted::Hidden) => Tells::Refusal,
            // Brokers hear of topics one after another: it may be there in a moment, or we hear that it is gone.
            Some(Sighted::Unasked | Sighted::Absent) => Tells::Nothing,
        }
    }

    /// Whether who asks comes to a cluster as an identity.
    pub(super) fn has(&self, cluster: Slot) -> bool {
        self.0.contains_key(&cluster)
    }

    /// What it may do to a cluster; `None` where it comes as Fishplate itself.
    pub(super) fn operations(&self, cluster: Slot) -> Option<Option<i32>> {
        self.0.get(&cluster).map(|one| one.look.operations().0)
    }

    /// A topic is to be told of: it is asked for where the last word on it is too old.
    pub(super) fn want(&self, cluster: Slot, name_there: &StrBytes, create: bool, unasked: &mut Unasked) {
        if self.0.get(&cluster).is_some_and(|one| !one.of(name_there).1) {
            unasked.push(cluster, name_there.clone(), create);
        }
    }

    /// A name that nobody knows is asked for at its home, as who asks; with `create`, to have it made. Gives where we ourselves are to look
    /// for it, and as what: where it comes as Fishplate itself, and for what the cluster shows it and we have not heard of.
    pub(super) fn seek(
        &self,
        name: &StrBytes,
        create: bool,
        unasked: &mut Unasked,
        seen: &Seen<'_>,
    ) -> Option<(Slot, StrBytes)> {
        let (home, name_there) = (seen.placement.home_of_topic(name), seen.placement.name_at_home(name));
        match self.0.get(&home).map(|one| one.of(&name_there)) {
            None | Some((Sighted::Shown(_), true)) => return Some((home, name_there)),
            Some((_, false)) => unasked.push(home, name_there, create),
            Some((_, true)) => {}
        }
        None
    }

    /// What is told of a name that nobody knows. `sought` is how it went where we ourselves looked for it. That there is none is told only to
    /// who heard that from its cluster: it could be told from what is hidden else.
    pub(super) fn code_of_unknown<'r>(
        &self,
        name: &StrBytes,
        sought: impl FnOnce(Slot, &StrBytes) -> Option<&'r Refusal>,
        seen: &Seen<'_>,
    ) -> i16 {
        if !is_legal(name) {
            return codes::INVALID_TOPIC_EXCEPTION;
        }
        let (home, name_there) = (seen.placement.home_of_topic(name), seen.placement.name_at_home(name));
        match self.0.get(&home).map(|one| one.of(&name_there)) {
            Some((Sighted::Hidden, _)) => codes::TOPIC_AUTHORIZATION_FAILED,
            Some((Sighted::Absent, _)) => codes::UNKNOWN_TOPIC_OR_PARTITION,
            Some((Sighted::Unasked, _) | (_, false)) => codes::LEADER_NOT_AVAILABLE,
            None | Some((Sighted::Shown(_), true)) => match sought(home, &name_there) {
                // Nobody knows what a cluster that is down has.
                Some(Refusal::Fault(_)) => codes::LEADER_NOT_AVAILABLE,
                _ => codes::UNKNOWN_TOPIC_OR_PARTITION,
            },
        }
    }

    /// What may be done to a cluster is to be told.
    pub(super) fn want_operations(&self, cluster: Slot, unasked: &mut Unasked) {
        let is_asked = [true, false].iter().any(|create| unasked.0.contains_key(&(cluster, *create)));
        if !is_asked && self.0.get(&cluster).is_some_and(|one| !one.look.operations().1) {
            unasked.0.insert((cluster, false), Some(Vec::new()));
        }
    }

    /// All topics are.
    pub(super) fn want_all(&self, unasked: &mut Unasked) {
        let old = self.0.iter().filter(|(_, one)| !one.look.knows_all());
        unasked.0.extend(old.map(|(cluster, _)| ((*cluster, false), None)));
    }

    /// What is to be asked, of each cluster once.
    pub(super) fn needs(&self, unasked: Unasked) -> Vec<Need> {
        let need = |((cluster, create), names): ((Slot, bool), Option<Vec<StrBytes>>)| {
            let one = self.0.get(&cluster)?;
            let untried = one.tried.iter().all(|(so, _)| *so != create);
            untried.then(|| Need::Sight { cluster, guise: one.look.guise.clone(), create, names })
        };
        unasked.0.into_iter().filter_map(need).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::overview::cluster_info::DescribeTopicPartitions;
    use crate::api::overview::metadata::Metadata;
    use crate::api::testing::{World, text};
    use crate::api::{Api, Plan};
    use crate::config::Config;
    use crate::error::Fault;
    use crate::placement::build::tests::{TWO, heard, slot, topic};
    use crate::placement::{Fence, Placement};
    use crate::types::Guise;
    use crate::upstream::Told;
    use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    use kafka_protocol::messages::{DescribeTopicPartitionsRequest, MetadataRequest, TopicName};
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Instant;

    fn guise(name: &str) -> Guise {
        Guise::Identity { name: name.into(), who: format!("PLAIN as {name}").into() }
    }

    /// Who asks comes to `a` as `one`, of whom nobody remembers anything; topics that `a` has are known.
    fn world() -> World {
        let one = "sasl: { mechanism: PLAIN, username: us, password: p }, unmapped: refuse, identities: { one: { principals: \
                   ['User:c'], sasl: { mechanism: PLAIN, username: one, password: p } } }";
        let yaml = TWO.replacen("['a.example:1'],", &format!("['a.example:1'], {one},"), 1);
        let config = Arc::new(Config::from_text("two.yaml", &yaml).unwrap_or_else(|wrong| panic!("{wrong}")));
        let topics = ["shown", "hidden", "unasked", "gone"].map(|name| topic(name, &[1]));
        let heard = HashMap::from([(slot(0), heard("a", &topics)), (slot(1), heard("b", &[]))]);
        let mut world = World::default();
        world.placement = Placement::build(&config, &heard, &Arc::new(Fence::default()), None).0;
        world.sight = Box::new(|at| {
            let look = || Look { guise: guise("one"), sight: Arc::default(), now: Instant::now() };
            (at == slot(0)).then(look)
        });
        world
    }

    fn need(by: &str) -> Need {
        Need::Sight { cluster: slot(0), guise: guise(by), names: None, create: false }
    }

    fn metadata(names: &[&str]) -> MetadataRequest {
        let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let topics = names.iter().map(topic).collect();
        MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false)
    }

    /// What Metadata and DescribeTopicPartitions tell of these topics.
    fn codes(names: &[&str], world: &World) -> [Vec<i16>; 2] {
        let Plan::Answer(whole) = Metadata::plan(&metadata(names), &world.seen(9)) else { panic!("asks again") };
        let topic = |name: &&str| TopicRequest::default().with_name(TopicName(text(name)));
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(names.iter().map(topic).collect())
            .with_response_partition_limit(100);
        let Plan::Answer(paged) = DescribeTopicPartitions::plan(&request, &world.seen(0)) else { panic!("asks again") };
        [
            whole.topics.iter().map(|one| one.error_code).collect(),
            paged.topics.iter().map(|one| one.error_code).collect(),
        ]
    }

    #[test]
    fn what_the_cluster_said_to_who_asks_counts_though_nobody_remembers_it() {
        let mut world = world();
        let said = [
            ("shown", Sighted::Shown(8)),
            ("hidden", Sighted::Hidden),
            ("gone", Sighted::Absent),
            ("hidden-not-there", Sighted::Hidden),
            ("not-there", Sighted::Absent),
        ];
        world.refused = [(need("one"), Refusal::Told(Arc::new(Told::new(said))))].into();
        // In the order of names, as they are paged
        let names = ["gone", "hidden", "hidden-not-there", "not-there", "shown", "unasked", "unasked-not-there"];
        let expected = vec![5, 29, 29, 3, 0, 5, 5];
        assert_eq!(codes(&names, &world), [expected.clone(), expected], "what is not said is the same of all");
    }

    #[test]
    fn where_nobody_could_ask_nothing_tells_what_is_there() {
        let mut world = world();
        world.refused = [(need("one"), Refusal::Fault(Fault::cluster(slot(0), "down")))].into();
        let all = vec![5, 5];
        assert_eq!(codes(&["hidden", "hidden-not-there"], &world), [all.clone(), all]);
    }

    #[test]
    fn who_has_become_another_meanwhile_asks_as_that_one() {
        let mut world = world();
        world.refused = [(need("before"), Refusal::Told(Arc::default()))].into();
        let Plan::Wait(needs) = Metadata::plan(&metadata(&["shown"]), &world.seen(9)) else { panic!("must ask first") };
        let names = Some(vec![text("shown")]);
        assert_eq!(needs, [Need::Sight { cluster: slot(0), guise: guise("one"), names, create: false }]);
    }
}
