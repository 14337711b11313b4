//! Every operation once, typed: a question in, an answer out that prints as JSON. Faces (command line, HTTP) show it.
//! Knows no face.

use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;

use super::guard::{self, Refusal};
use super::identities::{self, Comes};
use super::live::Live;
use super::outlook::Outlook;
use super::rights::{self, Allowed};
use crate::config::diff::{Change, Diff, moved};
use crate::config::{Cluster, Config, Listener, Mistakes, Pipeline, Reading};
use crate::placement::Front;
use crate::rights::Kind;
use crate::security::{operators, tls, users};
use crate::telemetry::Telemetry;
use crate::types::{Slot, View};

/// What `check` found.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The file that was checked.
    pub file: String,
    /// The proxy would run with it.
    pub fine: bool,
    /// Mistakes and warnings.
    pub found: Mistakes,
    /// How much there is of what; `None` with mistakes.
    pub size: Option<Size>,
    /// What clients are shown where.
    pub listeners: Vec<Face>,
    /// What the clusters themselves say, if they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

/// How much there is of what in a config.
#[derive(Debug, Serialize)]
pub struct Size {
    /// Addresses that clients connect to.
    pub listeners: usize,
    /// Real clusters.
    pub clusters: usize,
    /// Pipelines, without the built-in `default`.
    pub pipelines: usize,
}

/// What one listener shows its clients.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Face {
    /// Where it listens.
    pub bind: String,
    /// What clients are told of nodes that have no address of their own.
    pub advertised: String,
    /// Whom it shows what, in words.
    pub shows: String,
    /// Where each node is, in the view `hosts`; `None` where the listener has no such template.
    pub hosts: Option<String>,
}

impl Face {
    fn of(listener: &Listener) -> Self {
        let advertised = listener.advertised.as_ref().map_or_else(|| listener.bind.to_string(), ToString::to_string);
        let hosts = listener.hosts.as_ref().map(ToString::to_string);
        Self { bind: listener.bind.to_string(), advertised, shows: listener.shows(), hosts }
    }
}

/// Checks a config file, and the certificates, users and tokens that it names, without talking to anything.
#[must_use]
pub fn check(file: &Path) -> (Check, Option<Config>) {
    let Reading { config, mut found, .. } = Reading::of_file(file);
    let name = file.display().to_string();
    found.extend(config.iter().flat_map(|config| tls::survey(config, &name)));
    found.extend(config.iter().flat_map(|config| users::file::survey(config, &name)));
    found.extend(config.iter().flat_map(|config| operators::file::survey(config, &name)));
    found.extend(config.iter().flat_map(|config| identities::survey(config, &name)));
    let fine = config.is_some() && found.count().0 == 0;
    let size = config.as_ref().filter(|_| fine).map(|config| Size {
        listeners: config.listeners.len(),
        clusters: config.clusters.len(),
        pipelines: config.pipelines.len() - 1,
    });
    let listeners = config.iter().flat_map(|config| &config.listeners).map(Face::of).collect();
    let check = Check { file: name, fine, found, size, listeners, live: None };
    (check, config)
}

/// Where a topic and a group live, and why.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The topic, if one was asked about.
    pub topic: Option<Home>,
    /// The group, if one was asked about.
    pub group: Option<Home>,
    /// The topic and the group live on different clusters.
    pub apart: bool,
    /// The transactional id, if one was asked about.
    pub transactional_id: Option<Home>,
    /// What of the above its transactions cannot take in, since it lives on another cluster.
    pub spans: Vec<&'static str>,
    /// The client, if one was asked about.
    pub client: Option<Client>,
    /// What a principal may do to them, if one was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights: Option<Allowed>,
    /// As whom it comes to the clusters that those live on, or to all, where any has identities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Comes>,
    /// What would become of a record, if one was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Outlook>,
}

/// What `explain` is asked about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// A topic.
    pub topic: Option<&'a str>,
    /// A group.
    pub group: Option<&'a str>,
    /// A transactional id.
    pub transactional_id: Option<&'a str>,
    /// A client, as `NAME` or `NAME/VERSION`: what it calls itself (KIP-511).
    pub client: Option<&'a str>,
    /// A principal, such as `User:alice`.
    pub principal: Option<&'a str>,
    /// Where it comes from.
    pub host: Option<IpAddr>,
}

impl<'a> Asked<'a> {
    fn resources(&self) -> Vec<(Kind, &'a str)> {
        let all =
            [(Kind::Topic, self.topic), (Kind::Group, self.group), (Kind::TransactionalId, self.transactional_id)];
        all.into_iter().filter_map(|(kind, name)| Some((kind, name?))).collect()
    }
}

/// What a client is shown that calls itself so.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// What it calls itself.
    pub name: String,
    /// And its version; empty where none was given.
    pub version: String,
    /// It is on the list of clients that this program or the config has.
    pub listed: bool,
    /// By each listener.
    pub views: Vec<Shown>,
}

/// What one listener shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The listener.
    pub bind: String,
    /// The view.
    pub view: &'static str,
    /// Where it finds nodes.
    pub at: String,
    /// It may lose data there: it takes the nodes of one address for one.
    pub harmed: bool,
}

/// Where one name lives, and why.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Home {
    /// The name that was asked about.
    pub name: String,
    /// The pipeline that has it.
    pub pipeline: String,
    /// The pattern that it belongs to the pipeline by; `None` in the built-in `default`.
    pub pattern: Option<String>,
    /// The cluster.
    pub cluster: String,
    /// The cluster's number.
    pub slot: u8,
    /// Some of the cluster's brokers.
    pub bootstrap: Vec<String>,
}

/// Explains by the config alone, without talking to anything.
#[must_use]
pub fn explain(config: &Config, asked: Asked<'_>) -> Explanation {
    let topic = asked.topic.map(|name| {
        let pipeline = config.pipeline_of_topic(name);
        home(config, name, pipeline, pipeline.topics.which(name))
    });
    let group = asked.group.map(|name| {
        let pipeline = config.pipeline_of_group(name);
        home(config, name, pipeline, pipeline.groups.which(name))
    });
    let transactional_id = asked.transactional_id.map(|name| {
        let pipeline = config.pipeline_of_transactional_id(name);
        home(config, name, pipeline, pipeline.transactional_ids.which(name))
    });
    let elsewhere = |one: &Option<Home>| {
        one.as_ref().zip(transactional_id.as_ref()).is_some_and(|(one, transactions)| one.slot != transactions.slot)
    };
    let spans = [("topic", &topic), ("group", &group)].into_iter().filter(|(_, one)| elsewhere(one));
    let spans = spans.map(|(kind, _)| kind).collect();
    let apart = topic.as_ref().zip(group.as_ref()).is_some_and(|(topic, group)| topic.slot != group.slot);
    let slots =
        [&topic, &group, &transactional_id].into_iter().flatten().filter_map(|home| Slot::new(home.slot)).collect();
    let identities = asked.principal.map(|principal| identities::explain(config, principal, &slots));
    Explanation {
        topic,
        group,
        apart,
        transactional_id,
        spans,
        client: asked.client.map(|client| shown(config, client)),
        rights: asked.principal.map(|principal| rights::explain(config, principal, asked.host, &asked.resources())),
        identities: identities.unwrap_or_default(),
        record: None,
    }
}

fn shown(config: &Config, client: &str) -> Client {
    let (name, version) = client.split_once('/').unwrap_or((client, ""));
    let by = |listener: &Listener| {
        let front = Front::of(listener, listener.bind);
        let view = front.view(name, version, config);
        let own = listener.hosts.as_ref().filter(|_| view == View::Hosts).map(ToString::to_string);
        Shown {
            bind: listener.bind.to_string(),
            view: view.as_str(),
            at: own.unwrap_or_else(|| front.advertised.to_string()),
            harmed: front.harms(name, version, config),
        }
    };
    Client {
        name: name.to_owned(),
        version: version.to_owned(),
        listed: config.clients.view_of(name, version).is_some(),
        views: config.listeners.iter().map(by).collect(),
    }
}

fn home(config: &Config, name: &str, pipeline: &Pipeline, pattern: Option<&str>) -> Home {
    let cluster = config.cluster(pipeline.cluster);
    let addresses = |cluster: &Cluster| cluster.bootstrap.iter().map(ToString::to_string).collect();
    Home {
        name: name.to_owned(),
        pipeline: pipeline.name.to_string(),
        pattern: pattern.filter(|_| !pipeline.is_default()).map(ToOwned::to_owned),
        cluster: cluster.map(|cluster| cluster.name.to_string()).unwrap_or_default(),
        slot: pipeline.cluster.number(),
        bootstrap: cluster.map(addresses).unwrap_or_default(),
    }
}

/// What a reload would change on a running proxy.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// What would be done.
    pub changes: Vec<Change>,
    /// Topics that would get another home.
    pub topics: Vec<Rehomed>,
    /// Groups that would; their commits stay where they are.
    pub groups: Vec<Rehomed>,
    /// Why the file would be refused; then none of it would be done.
    pub refused: Vec<Refusal>,
}

/// What would live elsewhere.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rehomed {
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub from: String,
    /// Where it would.
    pub to: String,
}

impl Difference {
    /// A reload would do nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.refused.is_empty()
    }
}

/// Compares what runs with what would, and asks the clusters of both what stands against it. Changes nothing.
pub async fn difference(now: &Config, then: &Config, telemetry: &Telemetry) -> Difference {
    let diff = Diff::between(now, then);
    if diff.is_empty() {
        return Difference { changes: Vec::new(), topics: Vec::new(), groups: Vec::new(), refused: Vec::new() };
    }
    let (clusters, tasks) = guard::open(&[now, then], telemetry);
    let (moving, refused) = guard::judge(now, then, &diff, &clusters).await;
    let named = |config: &Config, slot| config.cluster(slot).map_or_else(String::new, |one| one.name.to_string());
    let rehomed = |name: &str, from, to| Rehomed { name: name.to_owned(), from: named(now, from), to: named(then, to) };
    let topics = moving.topics().map(|(name, from, to)| rehomed(name, *from, *to)).collect();
    let names = guard::groups(&clusters).await;
    let home: fn(&Config, &str) -> Slot = |config, group| config.pipeline_of_group(group).cluster;
    let groups = moved(now, then, names.iter().map(String::as_str), home).into_iter();
    let groups = groups.map(|(name, from, to)| rehomed(name, from, to)).collect();
    drop(tasks);
    Difference { changes: diff.changes, topics, groups, refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Config {
        Config::from_file(Path::new("config/full.yaml")).expect("config/full.yaml")
    }

    #[test]
    fn a_topic_is_explained_by_the_first_pipeline_that_matches() {
        for (topic, pipeline, pattern, cluster) in [
            ("events_overflow_3", "overflow", Some("/events_overflow_[0-9]+/"), "shared"),
            ("events_eu", "events", Some("events*"), "ingestion"),
            ("events_dlq", "default", None, "shared"),
        ] {
            let home = explain(&full(), Asked { topic: Some(topic), ..Asked::default() }).topic.expect("a home");
            assert_eq!(
                (home.pipeline.as_str(), home.pattern.as_deref(), home.cluster.as_str()),
                (pipeline, pattern, cluster)
            );
        }
    }

    #[test]
    fn a_group_away_from_its_topic_is_told() {
        let apart =
            |group| explain(&full(), Asked { topic: Some("events_eu"), group: Some(group), ..Asked::default() }).apart;
        assert!(!apart("clickhouse-ingestion-1"));
        assert!(apart("reports"));
    }

    #[test]
    fn what_a_transaction_cannot_take_in_is_told() {
        let spans = |id| {
            let asked = Asked { topic: Some("orders_eu"), group: Some("reports"), ..Asked::default() };
            explain(&full(), Asked { transactional_id: Some(id), ..asked }).spans
        };
        assert_eq!((spans("orders-1"), spans("reports-1")), (vec!["group"], vec!["topic"]));
    }

    #[test]
    fn a_client_is_told_what_each_listener_shows_it() {
        let text = "\
virtual_cluster: v
default_cluster: a
listeners:
  - { bind: 127.0.0.1:1 }
  - { bind: 127.0.0.1:2, hosts: 'n{node}.example:9092' }
  - { bind: 127.0.0.1:3, nodes: brokers, advertised: kafka.example:3 }
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
";
        let config = Config::from_text("c.yaml", text).expect("a config");
        let views = |client| {
            let told = explain(&config, Asked { client: Some(client), ..Asked::default() }).client.expect("a client");
            (told.listed, told.views.into_iter().map(|one| (one.view, one.at, one.harmed)).collect::<Vec<_>>())
        };
        let at = |view, at: &str, harmed| (view, at.to_owned(), harmed);
        assert_eq!(
            views("librdkafka/2.3.0"),
            (
                false,
                vec![
                    at("single", "127.0.0.1:1", false),
                    at("hosts", "n{node}.example:9092", false),
                    at("brokers", "kafka.example:3", true)
                ]
            )
        );
        assert_eq!(
            views("sarama"),
            (
                true,
                vec![
                    at("brokers", "127.0.0.1:1", false),
                    at("brokers", "127.0.0.1:2", false),
                    at("brokers", "kafka.example:3", false)
                ]
            )
        );
    }
}
