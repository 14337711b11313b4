//! Kafka Connect clusters, as far as they can be told from outside. Their group says that it is one (its protocol is `connect`); their three
//! topics bear names of the workers' own choosing, of one stem mostly; their transactional ids are made of the group's name
//! (KIP-618). Pure.

use super::{Finding, Seen};
use crate::config::Config;
use crate::types::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// What the group of its workers calls its protocol.
pub(super) const PROTOCOL: &str = "connect";

/// How the names of the three topics end: of connectors' configs, sources' offsets and states.
const ENDS: [[&str; 2]; 3] = [["configs", "config"], ["offsets", "offset"], ["status", "statuses"]];

/// Connect clusters whose group, topics and transactional ids live on several of ours. Only workers of sources with exactly-once
/// support have transactional ids, and the workers' own is then there to be seen.
pub(super) fn apart(config: &Config, seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let topics: BTreeSet<&str> = seen.values().flat_map(|one| &one.topics).map(String::as_str).collect();
    let groups: BTreeSet<&str> = seen.values().flat_map(|one| &one.connect).map(String::as_str).collect();
    let mut found = Vec::new();
    for group in &groups {
        let home = config.pipeline_of_group(group).cluster;
        let theirs = topics_of(group, &topics, groups.len() == 1);
        let of_topics = theirs.iter().map(|topic| (format!("topic {topic}"), config.pipeline_of_topic(topic).cluster));
        let workers = format!("connect-cluster-{group}");
        let exactly_once = seen.values().any(|one| one.transactions.contains_key(&workers));
        let ids = [workers, format!("{group}-CONNECTOR-TASK")].into_iter().filter(|_| exactly_once);
        let of_ids = ids.map(|id| {
            let lives_on = config.pipeline_of_transactional_id(&id).cluster;
            (format!("transactional id {id}"), lives_on)
        });
        let all: Vec<_> = of_topics.chain(of_ids).collect();
        let refused =
            exactly_once && all.iter().any(|(_, lives_on)| Some(*lives_on) != all.first().map(|(_, first)| *first));
        let apart = all.iter().filter(|(_, lives_on)| *lives_on != home);
        let apart: Vec<_> = apart.map(|(what, lives_on)| format!("{what} on {}", named(lives_on))).collect();
        if !apart.is_empty() {
            let topics = theirs.into_iter().map(str::to_owned).collect();
            found.push(Finding::ConnectApart {
                group: (*group).to_owned(),
                home: named(&home),
                apart,
                topics,
                refused,
            });
        }
    }
    found
}

/// The three topics of the workers of this group: of those that are three of one stem, the ones that share a name with it, or the
/// only ones of the only Connect cluster. Nothing where that is not clear.
fn topics_of<'t>(group: &str, topics: &BTreeSet<&'t str>, alone: bool) -> Vec<&'t str> {
    let threes: Vec<_> = topics.iter().filter_map(|topic| three_of(stem_of(topic)?, topics)).collect();
    let bears = |(stem, _): &&(&str, Vec<&str>)| {
        let stem = stem.trim_end_matches(['-', '_', '.']);
        !stem.is_empty() && (group.starts_with(stem) || stem.starts_with(group))
    };
    match (threes.as_slice(), threes.iter().filter(bears).collect::<Vec<_>>().as_slice()) {
        (_, [(_, one)]) => one.clone(),
        ([(_, one)], []) if alone => one.clone(),
        _ => Vec::new(),
    }
}

/// What stands before the end of a topic of configs.
fn stem_of(topic: &str) -> Option<&str> {
    ENDS[0].iter().find_map(|end| topic.strip_suffix(end)).filter(|stem| stem.ends_with(['-', '_', '.']))
}

fn three_of<'t>(stem: &'t str, topics: &BTreeSet<&'t str>) -> Option<(&'t str, Vec<&'t str>)> {
    let one = |ends: &[&str; 2]| ends.iter().find_map(|end| topics.get(format!("{stem}{end}").as_str()).copied());
    let three: Vec<_> = ENDS.iter().filter_map(one).collect();
    (three.len() == ENDS.len()).then_some((stem, three))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pipelines: &str) -> Config {
        let text = format!(
            "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: 127.0.0.1:0 }}]\nclusters:\n  a: {{ slot: 0, bootstrap: \
             [a.example:1] }}\n  b: {{ slot: 1, bootstrap: [b.example:1] }}\npipelines: [{pipelines}]\n"
        );
        Config::from_text("c.yaml", &text).expect("a config")
    }

    fn found(pipelines: &str, topics: &[&str], transactional_ids: &[&str]) -> Vec<String> {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let transactions = transactional_ids.iter().map(|id| (id.to_string(), BTreeSet::new())).collect();
        let one = Seen { connect: set(&["etl"]), topics: set(topics), transactions, ..Seen::default() };
        let named = |slot: &Slot| if slot.number() == 0 { "a".to_owned() } else { "b".to_owned() };
        let found = apart(&config(pipelines), &BTreeMap::from([(Slot::new(0).expect("a slot"), one)]), named);
        found.iter().map(Finding::words).map(|(what, instead)| format!("{what} | {instead}")).collect()
    }

    const TOPICS: [&str; 4] = ["connect-configs", "connect-offsets", "connect-status", "x"];
    const IDS: &[&str] = &["connect-cluster-etl"];

    #[test]
    fn one_whose_all_lives_together_is_fine() {
        let all = "{ name: p, topics: ['connect-*'], groups: [etl], transactional_ids: ['connect-cluster-etl', 'etl-*'], cluster: b }";
        assert_eq!(found(all, &TOPICS, IDS), [""; 0]);
        assert_eq!(found("", &TOPICS, IDS), [""; 0]);
        let without_transactions = "{ name: p, topics: ['connect-*'], groups: [etl], cluster: b }";
        assert_eq!(found(without_transactions, &TOPICS, &[]), [""; 0]);
    }

    #[test]
    fn what_lives_apart_is_told() {
        let instead = "let one pipeline have etl in groups, connect-configs, connect-offsets, connect-status and what its sources write to \
                       in topics, and `etl-*` and connect-cluster-etl in transactional_ids";
        let topics = "{ name: p, topics: ['connect-*'], cluster: b }";
        let told = "Kafka Connect cluster etl lives on a, and topic connect-configs on b, topic connect-offsets on b, topic \
                    connect-status on b";
        assert_eq!(
            found(topics, &TOPICS, &[]),
            [format!("{told}; its workers need all of these clusters | {instead}")]
        );
        let refused = "its exactly-once sources would be refused";
        assert_eq!(found(topics, &TOPICS, IDS), [format!("{told}; {refused} | {instead}")]);
        let groups = "{ name: p, topics: ['connect-*'], groups: [etl], cluster: b }";
        let told = "Kafka Connect cluster etl lives on b, and transactional id connect-cluster-etl on a, transactional id \
                    etl-CONNECTOR-TASK on a";
        assert_eq!(found(groups, &TOPICS, IDS), [format!("{told}; {refused} | {instead}")]);
    }

    #[test]
    fn whose_three_topics_are_is_told_by_their_names() {
        let topics =
            ["etl.configs", "etl.offsets", "etl.status", "logs_config", "logs_offset", "logs_statuses", "my-configs"];
        let all: BTreeSet<_> = topics.into();
        assert_eq!(topics_of("etl", &all, false), &topics[..3]);
        assert_eq!(topics_of("logs-workers", &all, false), &topics[3..6]);
        assert_eq!(topics_of("other", &all, true), [""; 0], "either could be");
        assert_eq!(topics_of("other", &topics[..3].iter().copied().collect(), true), &topics[..3]);
        assert_eq!(topics_of("other", &topics[..3].iter().copied().collect(), false), [""; 0], "another's may be");
    }
}
