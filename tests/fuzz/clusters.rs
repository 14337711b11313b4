//! Two clusters as Fishplate sees them, well or as some broker describes them.

use bytes::Bytes;
use fishplate::api::{Refusals, Seen};
use fishplate::config::{Config, Hosts};
use fishplate::placement::build::Heard;
use fishplate::placement::{Front, Placement, TopicPlace};
use fishplate::telemetry::observed::Reader;
use fishplate::types::{BrokerId, CoordinatorType, HostPort, Slot, Target, View};
use fishplate::upstream::Snapshot;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

const CONFIG: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:0' }]
clusters:
  a: { slot: 0, bootstrap: ['a.example:1'] }
  b: { slot: 1, bootstrap: ['b.example:1'] }
pipelines:
  - name: right
    topics: ['/[bdfhjlnprtvxz]/']
    groups: ['/[bdfhjlnprtvxz].*/']
    transactional_ids: ['/[bdfhjlnprtvxz].*/']
    cluster: b
";

/// What plans look at.
pub(super) struct World {
    config: Arc<Config>,
    placement: Placement,
    front: Front,
}

fn front() -> Front {
    let hosts = Hosts::Ports { host: "proxy.example".into(), ports: 100..=163 };
    Front { hosts: Some(hosts), ..Front::plain(HostPort::new("proxy.example", 9092)) }
}

fn slot(number: u8) -> Slot {
    Slot::new(number).expect("a slot")
}

impl World {
    pub(super) fn new() -> Self {
        let config = Arc::new(Config::from_text("fuzz.yaml", CONFIG).unwrap_or_else(|e| panic!("{e}")));
        let told =
            |from: u8| Snapshot::default().after(&metadata((b'a' + from..=b'z').step_by(2)), true, Instant::now());
        let placement = placement(&config, told(0), told(1), None);
        Self { config, placement, front: front() }
    }

    /// The same config, where cluster `a` is what this broker says it is, one answer after the other.
    pub(super) fn described(&self, answers: &[(MetadataResponse, bool)]) -> Self {
        let mut snapshot = Snapshot::default();
        let mut placement = self.placement.clone();
        for (answer, whole) in answers {
            snapshot = snapshot.after(answer, *whole, Instant::now());
            placement = self::placement(&self.config, snapshot.clone(), snapshot.clone(), Some(&placement));
        }
        Self { config: Arc::clone(&self.config), placement, front: self.front.clone() }
    }

    /// What a request in this version sees.
    pub(super) fn seen<'w>(&'w self, version: i16, refused: &'w Refusals) -> Seen<'w> {
        // Each version in one of the views.
        let view = match version.rem_euclid(3) {
            0 => View::Brokers,
            1 => View::Hosts,
            _ => View::Single,
        };
        let (placement, front) = (&self.placement, &self.front);
        Seen {
            version,
            placement,
            view,
            front,
            coordinator: &coordinator,
            follows: &follows,
            refused,
            reader: Reader::default(),
            guard: None,
            sight: &|_| None,
        }
    }

    /// A broker of `a`.
    pub(super) fn a(&self) -> Target {
        Target { cluster: slot(0), broker: BrokerId(1) }
    }
}

/// One partition in three is read from another broker than its leader, or from one that is not there.
fn follows(_: &TopicPlace, partition: i32) -> Option<BrokerId> {
    (partition % 3 == 1).then_some(BrokerId(partition % 4))
}

/// Known for most groups and transactional ids.
fn coordinator(_: Slot, _: CoordinatorType, group: &str) -> Option<BrokerId> {
    let broker = i32::from(group.bytes().next().unwrap_or(0) % 4);
    (broker > 0).then_some(BrokerId(broker))
}

fn placement(config: &Arc<Config>, a: Snapshot, b: Snapshot, before: Option<&Placement>) -> Placement {
    let heard = |snapshot| Heard { snapshot: Arc::new(snapshot), up: true };
    let heard = HashMap::from([(slot(0), heard(a)), (slot(1), heard(b))]);
    Placement::build(config, &heard, &Arc::default(), before).0
}

/// Topics of these letters, with an id that the dice may roll, and six partitions of which one has no leader.
fn metadata(letters: impl Iterator<Item = u8>) -> MetadataResponse {
    let broker = |id: i32| {
        MetadataResponseBroker::default()
            .with_node_id(id.into())
            .with_host(StrBytes::from_static_str("secret.internal"))
            .with_port(9092)
    };
    let partition = |index: i32| {
        let leader = if index == 4 { -1 } else { 1 + index % 3 };
        MetadataResponsePartition::default().with_partition_index(index).with_leader_id(leader.into())
    };
    let topic = |letter: u8| {
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::try_from(Bytes::from(vec![letter])).expect("a letter"))))
            .with_topic_id(Uuid::from_bytes([letter - b'a'; 16]))
            .with_partitions((0..6).map(partition).collect())
    };
    MetadataResponse::default()
        .with_brokers((1..=3).map(broker).collect())
        .with_controller_id(1.into())
        .with_topics(letters.map(topic).collect())
}
