//! Every API in every version that we show, sent to bare Kafka and through Fishplate: answered alike, but for ids,
//! addresses and order, and for what is listed here with its reason.

mod denied;
mod requests;
mod seen;

use crate::harness::config::View;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::raw::{self, Raw, text};
use crate::world::{World, full, shared};
use fishplate::wire::versions::SERVED;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, InitProducerIdRequest, MetadataRequest, ProducerId, TransactionalId,
};
use kafka_protocol::protocol::Request;
use libtest_mimic::Trial;
use std::collections::HashMap;
use std::fmt::Debug;
use uuid::Uuid;

/// Fields in which an API's answers differ beyond ids, addresses and order, and why.
const DIFFERENCES: &[(ApiKey, &[&str], &str)] = &[
    (ApiKey::Metadata, &["brokers"], "there are the brokers of two clusters, or one node"),
    (ApiKey::DescribeCluster, &["brokers"], "the same"),
    (
        ApiKey::ApiVersions,
        &["api_keys", "supported_features", "finalized_features", "finalized_features_epoch", "zk_migration_ready"],
        "the table is ours",
    ),
    (ApiKey::ListGroups, &["groups"], "the groups of all brokers are told, and trials make groups meanwhile"),
    (ApiKey::ListTransactions, &["transaction_states"], "the transactions of all brokers are told"),
    (ApiKey::DescribeLogDirs, &["results"], "each node tells the directories of all"),
    (ApiKey::Produce, &["base_offset"], "both ways write to one partition"),
    (ApiKey::Fetch, &["session_id", "high_watermark", "last_stable_offset"], "a broker's number; and both ways write"),
    (ApiKey::ConsumerGroupDescribe, &["client_host"], "here it is an address of the cluster's, which is hidden"),
    (ApiKey::ShareFetch, &["responses"], "who keeps the state of a new share group comes up in its own time"),
    (ApiKey::ListConfigResources, &["config_resources"], "trials make some meanwhile"),
];

pub fn trials() -> Vec<Trial> {
    if !full() {
        eprintln!(
            "SHORT: in single each API is asked in its lowest and highest version; FISHPLATE_TEST_LEVEL=full asks in all, as in \
             brokers"
        );
    }
    let alike = [View::Brokers, View::Single].map(|view| {
        let name = format!("apis: every version of every API is answered as by Kafka in {}", view.word());
        shared(name, move |world| each_is_answered_alike(world, view))
    });
    let denied = shared("apis: who may do nothing is told what Kafka tells, and nothing is done", denied::nobody_may);
    alike.into_iter().chain([denied]).collect()
}

fn each_is_answered_alike(world: &World, view: View) {
    let mut bare = Way::bare(world, view);
    let mut through = Way::through(world, view);
    let mut complaints = Vec::new();
    for row in SERVED {
        let aside: Vec<_> = DIFFERENCES
            .iter()
            .filter(|(api, ..)| *api == row.api)
            .flat_map(|(_, fields, _)| *fields)
            .copied()
            .collect();
        let is_played = |version: &i16| full() || view != View::Single || [row.lowest(), row.max].contains(version);
        for version in (row.lowest()..=row.max).filter(is_played) {
            let (one, other) = (
                requests::ask(&mut bare, row.api, version, &aside),
                requests::ask(&mut through, row.api, version, &aside),
            );
            if let Some(difference) = difference(&one, &other) {
                complaints.push(format!("{:?} {version}\n{difference}", row.api));
            }
        }
    }
    assert!(complaints.is_empty(), "{} answers differ:\n{}", complaints.len(), complaints.join("\n"));
}

/// Where two answers begin to differ, and some of what comes before and after.
fn difference(bare: &str, through: &str) -> Option<String> {
    const BEFORE: usize = 120;
    const AFTER: usize = 240;
    if bare == through {
        return None;
    }
    let same = bare.chars().zip(through.chars()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| text.chars().skip(same.saturating_sub(BEFORE)).take(BEFORE + AFTER).collect::<String>();
    Some(format!("  bare Kafka: ..{}\n  Fishplate:  ..{}", part(bare), part(through)))
}

/// To whom a request goes where no proxy finds that out.
pub enum To {
    /// Any broker.
    Any,
    /// The leader of the one partition of the topic that has records.
    Leader,
    /// The coordinator of this group.
    Coordinator(String),
    /// The coordinator of this transactional id.
    TransactionCoordinator(String),
}

// What a coordinator is for.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// A way to cluster `a`: to its brokers, or through Fishplate.
pub struct Way<'w> {
    world: &'w World,
    /// Stands in the names of all that is made on this way.
    pub name: String,
    /// A topic with one partition and a record in it, and its id; the same on all ways.
    pub topic: String,
    pub id: Uuid,
    /// To each broker, or to Fishplate under any number.
    connections: HashMap<i32, Raw>,
    /// Makes one.
    connect: Box<dyn Fn(i32) -> Raw + 'w>,
    /// Who asks for this way where coordinators are, and begins its transactions: itself, where it may.
    eyes: Option<Box<Self>>,
}

impl<'w> Way<'w> {
    fn bare(world: &'w World, view: View) -> Self {
        Self::bare_about(world, view.word(), format!("bare{}", view.word()))
    }

    /// With a topic of this name's own.
    fn bare_about(world: &'w World, what: &str, name: String) -> Self {
        let connect = |broker| Raw::connect(&format!("127.0.0.1:{}", world.a.broker(broker).port));
        Self::of(world, what, name, Box::new(connect))
    }

    fn through(world: &'w World, view: View) -> Self {
        let to = world.proxy().bootstrap_in(view).servers;
        Self::of(world, view.word(), format!("thru{}", view.word()), Box::new(move |_| Raw::connect(&to)))
    }

    /// One that finds nothing by itself.
    fn blind(eyes: Self, connect: impl Fn(i32) -> Raw + 'w) -> Self {
        let Self { world, name, topic, id, .. } = &eyes;
        let (name, topic) = (name.clone(), topic.clone());
        let connections = HashMap::new();
        Self { world, name, topic, id: *id, connections, connect: Box::new(connect), eyes: Some(Box::new(eyes)) }
    }

    fn of(world: &'w World, what: &str, name: String, connect: Box<dyn Fn(i32) -> Raw + 'w>) -> Self {
        let topic = format!("a-apis-{what}");
        if world.a.leader(&topic, 0).is_none() {
            Topics::of(&world.a.bootstrap()).create(&topic, 1, 3);
        }
        let mut way = Self { world, name, topic, id: Uuid::nil(), connections: HashMap::new(), connect, eyes: None };
        wait::until("the topic is known", wait::seconds(30), || {
            let asked = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default();
            let asked =
                MetadataRequest::default().with_topics(Some(vec![asked.with_name(Some(raw::topic(&way.topic)))]));
            let told = way.to(1).call(12, &asked);
            way.id = told.topics[0].topic_id;
            told.topics[0].error_code == 0
        });
        way
    }

    /// The connection to a broker.
    pub fn to(&mut self, broker: i32) -> &mut Raw {
        self.connections.entry(broker).or_insert_with(|| (self.connect)(broker))
    }

    fn leader(&self) -> i32 {
        wait::find("a leader", wait::seconds(10), || self.world.a.leader(&self.topic, 0))
    }

    /// A request's answer, in words that are the same on every way.
    pub fn ask<R>(&mut self, to: To, version: i16, request: &R, aside: &[&str]) -> String
    where
        R: Request,
        R::Response: Debug,
    {
        let broker = match to {
            To::Any => 1,
            To::Leader => self.eyes.as_deref().unwrap_or(self).leader(),
            To::Coordinator(group) => self.coordinator(GROUP, &group),
            To::TransactionCoordinator(id) => self.coordinator(TRANSACTION, &id),
        };
        // A coordinator that has just come up asks for patience, or to be looked for.
        let cold = ["error_code: 14,", "error_code: 15,", "error_code: 16,"];
        wait::find("an answer", wait::seconds(30), || {
            let answer = seen::seen(&self.to(broker).call(version, request), &self.name, aside);
            (!cold.iter().any(|code| answer.contains(code))).then_some(answer)
        })
    }

    /// The id and epoch of a transactional producer that begins anew.
    pub fn producer(&mut self, id: &str) -> (ProducerId, i16) {
        if let Some(eyes) = &mut self.eyes {
            return eyes.producer(id);
        }
        let broker = self.coordinator(TRANSACTION, id);
        let named = Some(TransactionalId(text(id)));
        let request = InitProducerIdRequest::default().with_transactional_id(named).with_transaction_timeout_ms(60_000);
        // What it had left open is aborted first.
        wait::find("a producer id", wait::seconds(30), || {
            let told = self.to(broker).call(4, &request);
            (told.error_code == 0).then_some((told.producer_id, told.producer_epoch))
        })
    }

    fn coordinator(&mut self, kind: i8, key: &str) -> i32 {
        if let Some(eyes) = &mut self.eyes {
            return eyes.coordinator(kind, key);
        }
        let request = FindCoordinatorRequest::default().with_key(text(key)).with_key_type(kind);
        wait::find("a coordinator", wait::seconds(30), || {
            let told = self.to(1).call(3, &request);
            (told.error_code == 0).then_some(told.node_id.0)
        })
    }
}
