//! What a member of a group has subscribed to whose coordinator assigns partitions (KIP-848, KIP-932), held against where the
//! group lives. The coordinator knows the topics of its own cluster alone: topics of others would never be assigned, and
//! nobody would be told. So a subscription that means any is refused; the classic protocol, where clients assign, has
//! no such bound.

use super::re2;
use crate::config::{Config, Pipeline};
use crate::placement::Placement;
use crate::types::Slot;
use crate::wire::codec::copied;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Who assigns partitions, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Each partition to one member (KIP-848).
    Consumer,
    /// Records of a partition to several (KIP-932).
    Share,
}

/// What a heartbeat says, as far as we look at it.
#[derive(Clone, Copy, Debug)]
pub struct Saying<'r> {
    /// The group.
    pub group: &'r StrBytes,
    /// The member.
    pub member: &'r StrBytes,
    /// 0 joins; below 0 it leaves.
    pub epoch: i32,
    /// Topics by name; none where they are those that it said before.
    pub names: Option<&'r [TopicName]>,
    /// Topics by a regular expression, likewise.
    pub regex: Option<&'r StrBytes>,
}

/// What a member means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Topics by name.
    pub names: Vec<StrBytes>,
    /// A regular expression; empty where there is none.
    pub regex: StrBytes,
}

/// What a name takes beside its bytes.
const NAME: usize = size_of::<StrBytes>();

impl Said {
    /// What a member means after it has said more; what it does not name stays. Nothing of it is a slice of a frame.
    #[must_use]
    pub fn after(before: Option<&Self>, saying: &Saying<'_>) -> Self {
        let before = before.filter(|_| saying.epoch != 0);
        let names = saying.names.map(|names| names.iter().map(|name| copied(&name.0)).collect());
        Self {
            names: names.unwrap_or_else(|| before.map_or_else(Vec::new, |before| before.names.clone())),
            regex: saying
                .regex
                .map_or_else(|| before.map_or_else(StrBytes::default, |said| said.regex.clone()), copied),
        }
    }

    /// What it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.regex.len() + self.names.iter().map(|name| NAME + name.len()).sum::<usize>()
    }
}

/// Topics that a subscription means, by where they live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meant {
    /// Some live with the group.
    at_home: bool,
    /// Some that live elsewhere, and where.
    elsewhere: Vec<(StrBytes, Slot)>,
    /// How many do.
    count: usize,
    /// Where they do.
    clusters: BTreeSet<Slot>,
}

/// So many topics are named where there are more.
const NAMED: usize = 3;

impl Meant {
    /// No coordinator knows a twin by its name: it lives elsewhere for all groups.
    fn note(&mut self, topic: &StrBytes, lives_on: Slot, home: Slot, placement: &Placement) {
        if lives_on == home && !placement.config.is_reserved(topic) {
            self.at_home = true;
            return;
        }
        self.count += 1;
        self.clusters.insert(lives_on);
        if self.elsewhere.len() < NAMED {
            self.elsewhere.push((copied(topic), lives_on));
        }
    }

    fn and(mut self, other: &Self) -> Self {
        self.at_home |= other.at_home;
        self.count += other.count;
        self.clusters.extend(&other.clusters);
        let room = NAMED.saturating_sub(self.elsewhere.len());
        self.elsewhere.extend(other.elsewhere.iter().take(room).cloned());
        self
    }
}

/// What a regular expression means to a group at this home: of all topics that clients see, and of those that its coordinator
/// has besides, as shadows of topics elsewhere: it would assign them. As with Kafka it does not mean what its member may not
/// describe: `shows` says of a topic whether it may. `goes_on` is asked now and then, and ends it.
///
/// # Errors
/// Why it cannot be read, or that there was no time for it.
pub fn meant_by(
    regex: &str,
    home: Slot,
    placement: &Placement,
    shows: impl Fn(&str) -> bool,
    goes_on: impl Fn() -> bool,
) -> Result<Meant, String> {
    let mut meant = Meant::default();
    let regex = re2::compile(regex)?;
    let seen = placement.topics().map(|place| (&place.topic.name, place.cluster));
    let at_home = placement.cluster(home).into_iter().flat_map(|cluster| cluster.snapshot.topics.keys());
    let unseen = at_home.filter(|name| placement.topic(name).is_none());
    let unseen = unseen.map(|name| (name, placement.home_of_topic(name)));
    for (number, (name, lives_on)) in seen.chain(unseen).enumerate() {
        if number % AT_ONCE == 0 && !goes_on() {
            return Err(
                "it takes too long to hold it against the names of all topics; write it with less repetition".into()
            );
        }
        if regex.is_match(name.as_bytes()) && shows(name) {
            meant.note(name, lives_on, home, placement);
        }
    }
    Ok(meant)
}

/// Whether a regular expression is so long that it is not read at all, and nothing of it worth remembering.
#[must_use]
pub fn is_too_long(regex: &str) -> bool {
    regex.len() > re2::LONGEST
}

/// So many names are matched before somebody looks at the time: 30 ms at the very most.
const AT_ONCE: usize = 64;

/// What names mean. A topic lives where its name says, whether it is there or not: one that is made tomorrow would be missed.
/// A member may have named one under other rules, that it may not describe any more.
fn meant_by_names(names: &[StrBytes], home: Slot, placement: &Placement, shows: impl Fn(&str) -> bool) -> Meant {
    let mut meant = Meant::default();
    for name in names.iter().filter(|name| shows(name)) {
        meant.note(name, placement.home_of_topic(name), home, placement);
    }
    meant
}

/// Why a heartbeat is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The subscription means topics of other clusters.
    Reaches(Reach),
    /// Its regular expression cannot be read, so that nobody knows.
    Unreadable(String),
}

/// Whether what its regular expression means counts. Where all lives in one place nothing is read, and nothing remembered, of what may be
/// long.
#[must_use]
pub fn reads_regex(said: &Said, placement: &Placement) -> bool {
    placement.clusters.len() > 1 && !said.regex.is_empty()
}

/// Holds what a member means against its group's home. Of a topic that it may not describe, which `shows` says, it is told
/// nothing, also not by a refusal. `by_regex` is [`meant_by`] for the same member, or what it gave before.
///
/// # Errors
/// Why it is refused.
pub fn judge(
    said: &Said,
    group: &StrBytes,
    protocol: Protocol,
    placement: &Placement,
    shows: impl Fn(&str) -> bool,
    by_regex: impl FnOnce(&str, Slot) -> Result<Arc<Meant>, String>,
) -> Result<(), Refused> {
    // All lives in one place.
    if placement.clusters.len() < 2 {
        return Ok(());
    }
    let home = placement.home_of_group(group);
    let by_names = meant_by_names(&said.names, home, placement, shows);
    let meant = match reads_regex(said, placement) {
        true => by_names.and(&*by_regex(&said.regex, home).map_err(Refused::Unreadable)?),
        false => by_names,
    };
    if meant.count == 0 {
        return Ok(());
    }
    Err(Refused::Reaches(Reach { group: group.clone(), home, protocol, meant }))
}

/// A subscription that means topics elsewhere than its group lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The group.
    pub group: StrBytes,
    /// Where it lives.
    pub home: Slot,
    protocol: Protocol,
    meant: Meant,
}

impl Reach {
    /// Some of the topics that live elsewhere, each with its cluster.
    #[must_use]
    pub fn topics(&self, placement: &Placement) -> String {
        let some: Vec<_> =
            self.meant.elsewhere.iter().map(|(topic, on)| format!("{topic} (on {})", Named(*on, placement))).collect();
        let more = self.meant.count.saturating_sub(some.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        some.join(", ") + &more
    }

    /// What would help: the line of the config that joins the group and its topics, where there is one.
    #[must_use]
    pub fn advice(&self, config: &Config) -> String {
        let classic = match self.protocol {
            Protocol::Consumer => {
                ", or let its members use the classic protocol (group.protocol=classic), which has no such bound"
            }
            Protocol::Share => "",
        };
        let line = match self.meant.elsewhere.first() {
            Some((topic, _)) if !self.meant.at_home && self.meant.clusters.len() == 1 => {
                joins(&self.group, config.pipeline_of_topic(topic), config.pipeline_of_group(&self.group))
            }
            _ => "subscribe to topics of one cluster with each group".to_owned(),
        };
        line + classic
    }

    /// For the client.
    #[must_use]
    pub fn message(&self, placement: &Placement) -> String {
        let kind = match self.protocol {
            Protocol::Consumer => "group of the consumer protocol",
            Protocol::Share => "share group",
        };
        format!(
            "Fishplate serves a {kind} where all its topics live with it. The group {} lives on cluster {}, and its subscription \
             means {}: {}",
            self.group,
            Named(self.home, placement),
            self.topics(placement),
            self.advice(&placement.config)
        )
    }
}

/// The line that has a group live where a pipeline's topics do.
fn joins(group: &StrBytes, theirs: &Pipeline, claims: &Pipeline) -> String {
    let to = &theirs.name;
    match (theirs.is_default(), claims.is_default()) {
        (true, _) => format!("take the group out of `groups` of the pipeline {}", claims.name),
        (false, true) => format!("write `groups: [\"{group}\"]` into the pipeline {to}"),
        (false, false) => {
            format!(
                "write `groups: [\"{group}\"]` into the pipeline {to}, before {}, which has the group now",
                claims.name
            )
        }
    }
}

/// A cluster's name.
struct Named<'p>(Slot, &'p Placement);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1.cluster(self.0).map_or("", |cluster| cluster.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, text};
    use crate::placement::build::tests::topic;

    fn by_names(names: &[&str]) -> Said {
        Said { names: names.iter().map(|name| text(name)).collect(), regex: StrBytes::default() }
    }

    fn by_regex(regex: &str) -> Said {
        Said { names: Vec::new(), regex: text(regex) }
    }

    fn refused(group: &str, said: &Said, world: &World) -> Option<String> {
        refused_to(|_| true, group, said, world)
    }

    fn refused_to(shows: impl Fn(&str) -> bool + Copy, group: &str, said: &Said, world: &World) -> Option<String> {
        let placement = &world.placement;
        let meant = |regex: &str, home| meant_by(regex, home, placement, shows, || true).map(Arc::new);
        match judge(said, &text(group), Protocol::Consumer, placement, shows, meant) {
            Ok(()) => None,
            Err(Refused::Reaches(reach)) => Some(reach.message(placement)),
            Err(Refused::Unreadable(why)) => Some(format!("unreadable: {why}")),
        }
    }

    #[test]
    fn a_subscription_is_served_where_all_its_topics_live_with_the_group() {
        let world = World::with(&[topic("x", &[1])], &[topic("b-1", &[1])]);
        assert_eq!(refused("g", &by_names(&["x", "y"]), &world), None);
        assert_eq!(refused("gb-1", &by_names(&["b-1", "b-2"]), &world), None);
        assert_eq!(refused("g", &Said::default(), &world), None);
        let told = refused("g", &by_names(&["x", "b-1"]), &world).unwrap();
        assert!(told.contains("g lives on cluster a") && told.contains("means b-1 (on b): subscribe to"), "{told}");
        assert!(told.contains("group.protocol=classic"), "{told}");
    }

    /// [L4]
    #[test]
    fn l4_where_there_is_one_cluster_no_regular_expression_is_looked_at() {
        // Given one cluster, where all lives in one place
        let mut world = World::default();
        world.placement.clusters.truncate(1);
        // When members say what nobody counts, then nobody takes it up
        let said = by_regex(&"x".repeat(1 << 20));
        let looks = |_: &str, _| panic!("it is looked at, and remembered");
        assert_eq!(judge(&said, &text("g"), Protocol::Consumer, &world.placement, |_| true, looks), Ok(()));
    }

    #[test]
    fn a_topic_that_is_not_there_yet_lives_where_its_name_says() {
        let told = refused("g", &by_names(&["b-later"]), &World::default()).unwrap();
        assert!(told.contains("b-later (on b): write `groups: [\"g\"]` into the pipeline right"), "{told}");
        let told = refused("gb-1", &by_names(&["later"]), &World::default()).unwrap();
        assert!(told.contains("take the group out of `groups` of the pipeline right"), "{told}");
    }

    #[test]
    fn a_regular_expression_means_all_topics_that_it_matches() {
        let topics: Vec<_> = ["b-1", "b-2", "b-3", "b-4", "b-5"].map(|name| topic(name, &[1])).into();
        let world = World::with(&[topic("x", &[1])], &topics);
        assert_eq!(refused("g", &by_regex("x|y.*"), &world), None);
        assert_eq!(refused("gb-1", &by_regex("b-.*"), &world), None);
        let told = refused("g", &by_regex("b-.*"), &world).unwrap();
        assert!(told.contains("(on b) and 2 more: write `groups:"), "{told}");
        assert!(refused("g", &by_regex(".*"), &world).unwrap().contains("subscribe to topics of one cluster"));
        assert!(refused("g", &by_regex("("), &world).unwrap().starts_with("unreadable"));
        // Both together
        let both = Said { names: vec![text("b-1")], regex: text("x") };
        assert!(refused("g", &both, &world).unwrap().contains("means b-1 (on b): subscribe to"));
    }

    #[test]
    fn what_a_member_may_not_describe_its_subscription_does_not_mean() {
        // Given topics elsewhere, a shadow and a stray of which a member may describe one
        let elsewhere: Vec<_> = ["b-1", "b-2", "b-3", "b-4", "b-5"].map(|name| topic(name, &[1])).into();
        let world = World::with(&[topic("x", &[1]), topic("b-1", &[1]), topic("b-stray", &[1])], &elsewhere);
        let told = |shows: fn(&str) -> bool, said: &Said| refused_to(shows, "g", said, &world);
        // Then who may describe what is at home is served, and who may describe nothing is told nothing
        for shows in [(|topic: &str| topic == "x") as fn(&str) -> bool, |_: &str| false] {
            assert_eq!(told(shows, &by_regex(".*")), None);
            assert_eq!(told(shows, &by_names(&["b-1", "b-later"])), None, "named before the rules changed");
        }
        // And of what is elsewhere it is told what it may describe, and not how much there is besides
        let some = told(|topic| matches!(topic, "x" | "b-2"), &by_regex(".*")).unwrap();
        assert!(some.contains("means b-2 (on b): subscribe to"), "{some}");
        // Also what its expression means at home is not told
        let some = told(|topic| topic == "b-2", &by_regex(".*")).unwrap();
        assert!(some.contains("means b-2 (on b): write `groups:"), "{some}");
    }

    #[test]
    fn a_regular_expression_that_takes_too_long_is_given_up() {
        let topics: Vec<_> = (0..2 * AT_ONCE).map(|number| topic(&format!("x{number}"), &[1])).collect();
        let world = World::with(&topics, &[]);
        let asked = std::cell::Cell::new(0);
        let once = || asked.replace(asked.get() + 1) < 1;
        let why = meant_by("x.*", Slot::new(0).unwrap(), &world.placement, |_| true, once).unwrap_err();
        assert!(why.starts_with("it takes too long") && asked.get() == 2, "{why} {}", asked.get());
    }

    #[test]
    fn a_shadow_and_what_is_kept_from_clients_are_never_assigned() {
        // Given the group's home has a shadow, and a topic that its name says lives elsewhere
        let world = World::with(&[topic("b-1", &[1]), topic("b-stray", &[1])], &[topic("b-1", &[1])]);
        // Then a regular expression that its coordinator would find them by is refused
        for regex in ["b-1", "b-stray"] {
            let told = refused("g", &by_regex(regex), &world).unwrap();
            assert!(told.contains(&format!("{regex} (on b)")), "{told}");
        }
        // And each is named once
        assert!(!refused("g", &by_regex("b-1"), &world).unwrap().contains("more"));
    }

    #[test]
    fn what_a_member_does_not_name_stays_until_it_joins_anew() {
        let (group, member) = (text("g"), text("m"));
        let names = [TopicName(text("x"))];
        let regex = text("y.*");
        let saying = |epoch, names, regex| Saying { group: &group, member: &member, epoch, names, regex };
        let joined = Said::after(None, &saying(0, Some(&names), None));
        assert_eq!(joined, by_names(&["x"]));
        let more = Said::after(Some(&joined), &saying(3, None, Some(&regex)));
        assert_eq!(more, Said { names: vec![text("x")], regex: text("y.*") });
        assert_eq!(Said::after(Some(&more), &saying(4, None, None)), more);
        assert_eq!(Said::after(Some(&more), &saying(5, Some(&[]), None)), by_regex("y.*"));
        assert_eq!(Said::after(Some(&more), &saying(0, Some(&names), None)), by_names(&["x"]));
        assert!(more.bytes() > 4);
    }
}
