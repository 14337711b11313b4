//! What clusters told, against what the config says. Pure.

use super::{Finding, Live, Seen, Summary, connect, lacking};
use crate::admin::guard::{Stray, Verdict};
use crate::api::transactions::span::{Foreign, Span};
use crate::config::{Config, Pipeline};
use crate::types::{Name, Slot};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};

/// What was seen, against what the config says.
pub(super) fn compare(config: &Config, seen: &BTreeMap<Slot, Seen>, strays: &[(Stray, Verdict)]) -> Live {
    let named = |slot: &Slot| config.cluster(*slot).map_or_else(String::new, |cluster| cluster.name.to_string());
    let mut found = BTreeSet::new();
    for (slot, one) in seen {
        found.extend(of_cluster(&named(slot), one));
        found.extend(one.lacks_transactions.iter().map(|why| {
            let version = config.transaction_version;
            Finding::LacksTransactions { cluster: named(slot), version, why: why.clone() }
        }));
    }
    found.extend(one_cluster_twice(seen, named));
    found.extend(strays.iter().flat_map(|(stray, verdict)| topic(stray, verdict, seen, named)));
    found.extend(groups(config, seen, named));
    found.extend(applications(config, seen, named));
    found.extend(connect::apart(config, seen, named));
    found.extend(transactions(config, seen, named));
    let summary = |(slot, one): (&Slot, &Seen)| Summary {
        cluster: named(slot),
        reached: one.down.is_none(),
        id: one.id.clone(),
        brokers: one.brokers,
        topics: one.topics.len(),
        groups: one.groups.len(),
        identities: one.identities.values().filter(|refused| refused.is_none()).count(),
        lacks: lacking(&one.versions),
    };
    Live { clusters: seen.iter().map(summary).collect(), found: found.into_iter().collect() }
}

/// What is the matter with one cluster by itself.
fn of_cluster(name: &str, seen: &Seen) -> Vec<Finding> {
    let cluster = || name.to_owned();
    let down = seen.down.iter().map(|why| Finding::Unreachable { cluster: cluster(), broker: None, why: why.clone() });
    let silent = seen.silent.iter().map(|(broker, why)| Finding::Unreachable {
        cluster: cluster(),
        broker: Some(broker.clone()),
        why: why.clone(),
    });
    let refused = seen.groups_refused.map(|error| Finding::GroupsRefused { cluster: cluster(), error });
    // Where nobody answers, nothing is known of them.
    let tried = seen.identities.iter().filter(|_| seen.down.is_none());
    let identities = tried.filter_map(|(identity, why)| {
        let (identity, why) = (identity.clone(), why.clone()?);
        Some(Finding::IdentityRefused { cluster: cluster(), identity, why })
    });
    down.chain(silent).chain(refused).chain(identities).collect()
}

fn one_cluster_twice(seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut by_id: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (slot, one) in seen {
        if let Some(id) = &one.id {
            by_id.entry(id).or_default().push(named(slot));
        }
    }
    let twice = by_id.into_iter().filter(|(_, clusters)| clusters.len() > 1);
    twice.map(|(id, clusters)| Finding::OneClusterTwice { clusters, id: id.to_owned() }).collect()
}

/// A topic that is somewhere else than where it lives. Silent about what lives on a cluster that told nothing, and about an
/// empty topic beside the one at home: shadow topics are such.
fn topic(
    stray: &Stray,
    verdict: &Verdict,
    seen: &BTreeMap<Slot, Seen>,
    named: impl Fn(&Slot) -> String,
) -> Vec<Finding> {
    let Some(at_home) = seen.get(&stray.home).filter(|at_home| at_home.down.is_none()) else { return Vec::new() };
    let (topic, home, pipeline) = (stray.topic.to_string(), named(&stray.home), text(&stray.pipeline));
    vec![match verdict {
        Verdict::Both(on) => Finding::TopicTwice { topic, home, also_on: named(on) },
        Verdict::Away(on) => Finding::TopicKept { topic, home, on: named(on), pipeline },
        Verdict::Unknown(on, why) => Finding::TopicUnknown { topic, cluster: named(on), why: why.clone() },
        Verdict::Fine if at_home.topics.contains(&topic) => return Vec::new(),
        Verdict::Fine => {
            let on = stray.on.iter().map(named).collect::<Vec<_>>().join(" and ");
            Finding::TopicAway { topic, home, on, pipeline }
        }
    }]
}

/// Groups that are not where they live. One that is there as well is told nothing of: what is elsewhere is a leftover.
fn groups(config: &Config, seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut found = Vec::new();
    for (slot, group) in names(seen, |one| &one.groups) {
        let pipeline = config.pipeline_of_group(group);
        let at_home = away(slot, pipeline.cluster, seen);
        if at_home.is_some_and(|home| !home.groups.contains(group)) {
            let (group, home, on) = (group.clone(), named(&pipeline.cluster), named(slot));
            found.push(Finding::GroupAway { group, home, on, pipeline: text(&pipeline.name) });
        }
    }
    found
}

/// Groups that live where none of their topics does, and those of Kafka Streams that live elsewhere than the topics which their
/// application made for itself.
fn applications(config: &Config, seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut found = Vec::new();
    let all: BTreeSet<&String> = seen.values().flat_map(|one| &one.topics).collect();
    for (slot, group) in names(seen, |one| &one.groups).filter(|(slot, _)| seen.contains_key(slot)) {
        if config.pipeline_of_group(group).cluster != *slot {
            continue; // Told of already.
        }
        let apart = |topic: &str| Some(config.pipeline_of_topic(topic)).filter(|pipeline| pipeline.cluster != *slot);
        let (group, home) = (group.clone(), named(slot));
        let own = all.iter().find(|topic| is_internal_to(topic, &group) && apart(topic).is_some());
        if let Some((topic, pipeline)) = own.and_then(|topic| Some((topic, apart(topic)?))) {
            let (topic, lives_on) = ((*topic).clone(), named(&pipeline.cluster));
            found.push(Finding::ApplicationApart { group, home, topic, lives_on });
            continue;
        }
        let committed = seen.get(slot).and_then(|one| one.committed.get(&group)).into_iter().flatten();
        let homes: Option<Vec<&Pipeline>> = committed.map(|topic| apart(topic)).collect();
        if let Some([first, others @ ..]) = homes.as_deref()
            && others.iter().all(|other| other.cluster == first.cluster)
        {
            let (topics_on, pipeline) = (named(&first.cluster), text(&first.name));
            found.push(Finding::GroupApart { group, home, topics_on, pipeline });
        }
    }
    found
}

/// Whether Kafka Streams made a topic for the application of this id, which is its group's.
fn is_internal_to(topic: &str, application: &str) -> bool {
    let rest = topic.strip_prefix(application).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.ends_with("-changelog") || rest.ends_with("-repartition"))
}

/// Transactional ids that are not where they live, and open transactions that would not be taken.
fn transactions(config: &Config, seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut found = Vec::new();
    for (slot, one) in seen {
        for (id, topics) in &one.transactions {
            let Pipeline { name, cluster: home, .. } = config.pipeline_of_transactional_id(id);
            let at_home = away(slot, *home, seen);
            if at_home.is_some_and(|at_home| !at_home.transactions.contains_key(id)) {
                let (transactional_id, home, on) = (id.clone(), named(home), named(slot));
                found.push(Finding::TransactionAway { transactional_id, home, on, pipeline: text(name) });
            }
            let lives_elsewhere = |topic: &&String| config.pipeline_of_topic(topic).cluster != *home;
            let foreign = topics.iter().filter(|topic| *topic != OFFSETS).find(lives_elsewhere);
            found.extend(foreign.map(|topic| spans(config, id, topic, &named)));
            if topics.contains(OFFSETS) && !has_groups(config, *home) {
                found.push(Finding::TransactionWithoutGroup {
                    transactional_id: id.clone(),
                    pipeline: text(name),
                    home: named(home),
                    groups_on: named(&config.default_cluster),
                });
            }
        }
    }
    found
}

fn spans(config: &Config, id: &str, topic: &str, named: impl Fn(&Slot) -> String) -> Finding {
    let (home, lives_on) = (config.pipeline_of_transactional_id(id).cluster, config.pipeline_of_topic(topic).cluster);
    let own = |name: &str| StrBytes::from_string(name.to_owned());
    let span = Span { id: own(id), home, what: Foreign::Topic(own(topic)), lives_on };
    Finding::TransactionSpans {
        transactional_id: id.to_owned(),
        home: named(&home),
        topic: topic.to_owned(),
        lives_on: named(&lives_on),
        advice: span.advice(config),
    }
}

/// What a transaction that commits offsets writes to: which group's is not told.
const OFFSETS: &str = "__consumer_offsets";

/// Whether groups can live on a cluster.
fn has_groups(config: &Config, cluster: Slot) -> bool {
    config.pipelines.iter().any(|one| one.cluster == cluster && !one.groups.is_empty())
}

/// Each name with the cluster that has it.
fn names<'a>(
    seen: &'a BTreeMap<Slot, Seen>,
    of: impl Fn(&'a Seen) -> &'a BTreeSet<String>,
) -> impl Iterator<Item = (&'a Slot, &'a String)> {
    seen.iter().flat_map(move |(slot, one)| of(one).iter().map(move |name| (slot, name)))
}

/// What is at home, if that is another cluster than `slot`, and if it told anything.
fn away<'a>(slot: &Slot, home: Slot, seen: &'a BTreeMap<Slot, Seen>) -> Option<&'a Seen> {
    seen.get(&home).filter(|at_home| *slot != home && at_home.down.is_none())
}

fn text(name: &Name) -> String {
    name.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::from_text(
            "c.yaml",
            "\
virtual_cluster: v
default_cluster: a
listeners: [{ bind: 127.0.0.1:0 }]
clusters:
  a: { slot: 0, bootstrap: [a.example:1] }
  b: { slot: 1, bootstrap: [b.example:1] }
pipelines: [{ name: p, topics: [\"b-*\"], groups: [\"gb-*\"], transactional_ids: [\"tb-*\"], cluster: b }]
",
        )
        .expect("a config")
    }

    fn seen(id: &str, topics: &[&str], groups: &[&str]) -> Seen {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Seen { id: Some(id.to_owned()), brokers: 1, topics: set(topics), groups: set(groups), ..Seen::default() }
    }

    fn slot(number: u8) -> Slot {
        Slot::new(number).expect("a slot")
    }

    /// What is found with these on the clusters `a` and `b`, in words.
    fn found(a: Seen, b: Seen) -> Vec<String> {
        found_with(a, b, &[])
    }

    fn found_with(a: Seen, b: Seen, strays: &[(Stray, Verdict)]) -> Vec<String> {
        let live = compare(&config(), &BTreeMap::from([(slot(0), a), (slot(1), b)]), strays);
        live.found.iter().map(|one| one.words().0).collect()
    }

    #[test]
    fn what_is_at_home_is_fine() {
        assert_eq!(found(seen("A", &["x"], &["g"]), seen("B", &["b-1"], &["gb-1"])), [""; 0]);
    }

    #[test]
    fn a_group_elsewhere_is_told() {
        assert_eq!(
            found(seen("A", &[], &["gb-1", "gb-2"]), seen("B", &[], &["gb-1", "g"])),
            [
                "group g exists on b only, and the pipeline default says a; its commits would not be found",
                "group gb-2 exists on a only, and the pipeline p says b; its commits would not be found",
            ]
        );
    }

    #[test]
    fn what_an_application_has_apart_is_told() {
        let with = |seen: Seen, all: &[(&str, &[&str])]| {
            let one = |(group, topics): &(&str, &[&str])| {
                (group.to_string(), topics.iter().map(ToString::to_string).collect())
            };
            Seen { committed: all.iter().map(one).collect(), ..seen }
        };
        let a = seen("A", &["x", "s-counts-changelog"], &["apart", "both", "new", "s"]);
        let a = with(a, &[("apart", &["b-1", "b-2"]), ("both", &["b-1", "x"]), ("new", &[]), ("s", &["b-1"])]);
        let b = with(seen("B", &["b-1", "b-2", "gb-s-join-repartition"], &["gb-s"]), &[("gb-s", &["b-1"])]);
        assert_eq!(
            found(a, b),
            [
                "group apart lives on a, and all topics that it reads live on b: each commit needs both clusters, and shadow topics \
                 on a",
                "group s lives on a, and all topics that it reads live on b: each commit needs both clusters, and shadow topics on a",
                "Kafka Streams application gb-s lives on b, and its own topic gb-s-join-repartition on a; with exactly_once_v2 it \
                 would be refused",
            ]
        );
    }

    #[test]
    fn a_topic_elsewhere_is_told_where_records_are_or_clients_miss_it() {
        let stray = |topic: &str, verdict| {
            let topic = kafka_protocol::protocol::StrBytes::from_string(topic.to_owned());
            (Stray { topic, home: slot(1), pipeline: "p".into(), on: vec![slot(0)] }, verdict)
        };
        let strays = [
            stray("b-shadow", Verdict::Fine),
            stray("b-empty", Verdict::Fine),
            stray("b-kept", Verdict::Away(slot(0))),
            stray("b-twice", Verdict::Both(slot(0))),
            stray("b-unknown", Verdict::Unknown(slot(0), "no answer".to_owned())),
        ];
        assert_eq!(
            found_with(seen("A", &[], &[]), seen("B", &["b-shadow", "b-twice"], &[]), &strays),
            [
                "topic b-twice has records on b and on a; clients see only those on b",
                "topic b-kept has records on a and none on b, where the pipeline p has it; a proxy that starts keeps it from clients",
                "it is not known whether topic b-unknown has records on a: no answer",
                "topic b-empty exists on a only, and the pipeline p says b; clients do not see it",
            ]
        );
        let down = Seen { down: Some("refused".to_owned()), ..Seen::default() };
        assert_eq!(found_with(seen("A", &[], &[]), down, &strays), ["cluster b cannot be reached: refused"]);
    }

    #[test]
    fn transactions_that_would_be_refused_or_not_fenced_are_told() {
        let with = |seen: Seen, all: &[(&str, &[&str])]| {
            let one =
                |(id, topics): &(&str, &[&str])| (id.to_string(), topics.iter().map(ToString::to_string).collect());
            Seen { transactions: all.iter().map(one).collect(), ..seen }
        };
        let a = with(seen("A", &[], &[]), &[("t", &["x", "__consumer_offsets"]), ("tb-away", &[]), ("tb-both", &[])]);
        let b = with(
            seen("B", &[], &[]),
            &[("tb-1", &["b-1", "x"]), ("tb-both", &["b-1"]), ("tb-2", &["__consumer_offsets"])],
        );
        let (a, b) = (Seen { lacks_transactions: Some("its transaction.version is 1".to_owned()), ..a }, b);
        assert_eq!(
            found(a, b),
            [
                "transactional ids live on a, which cannot do `transaction_version: 1`: its transaction.version is 1",
                "transactional id tb-away exists on a only, and the pipeline p says b; a producer that holds it there would not be \
                 fenced",
                "a transaction of tb-1, which lives on b, writes to topic x, which lives on a; through Fishplate it would be refused",
            ]
        );
    }

    #[test]
    fn a_transaction_whose_group_lives_elsewhere_is_told() {
        let text = "{ name: p, topics: [\"b-*\"], transactional_ids: [\"tb-*\"], cluster: b }";
        let lines = "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{ bind: 127.0.0.1:0 }]\nclusters:\n";
        let clusters = "  a: { slot: 0, bootstrap: [a.example:1] }\n  b: { slot: 1, bootstrap: [b.example:1] }\n";
        let config = Config::from_text("c.yaml", &format!("{lines}{clusters}pipelines: [{text}]\n")).expect("a config");
        let transactions = BTreeMap::from([("tb-1".to_owned(), BTreeSet::from(["__consumer_offsets".to_owned()]))]);
        let (a, b) = (seen("A", &[], &[]), Seen { transactions, ..seen("B", &[], &[]) });
        let live = compare(&config, &BTreeMap::from([(slot(0), a), (slot(1), b)]), &[]);
        let (what, instead) = live.found[0].words();
        assert_eq!(
            what,
            "a transaction of tb-1, which lives on b, commits offsets of a group, and all groups live on a; through Fishplate it \
             would be refused"
        );
        assert_eq!((instead.as_str(), live.found.len()), ("name its group in `groups` of the pipeline p", 1));
    }

    #[test]
    fn a_cluster_that_is_down_makes_no_other_finding() {
        let down = Seen { down: Some("refused".to_owned()), ..Seen::default() };
        assert_eq!(found(seen("A", &["b-1"], &["gb-1"]), down), ["cluster b cannot be reached: refused"]);
    }

    #[test]
    fn one_cluster_under_two_names_is_told() {
        assert_eq!(found(seen("A", &[], &[]), seen("A", &[], &[])), ["a and b are one cluster: both have the id A"]);
    }
}
