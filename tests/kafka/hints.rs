//! A leader that moves is told by brokers with their refusal (KIP-951), and so by Fishplate: the client goes on at the new one
//! without asking for metadata.

use crate::harness::config::View;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::raw::{Raw, batch, produce, topic};
use crate::world::{World, shared};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest};
use libtest_mimic::Trial;
use std::time::Duration;

const SOON: Duration = wait::seconds(30);
/// The one node of `single`.
const SINGLE: i32 = 31 << 25;

pub fn trials() -> Vec<Trial> {
    vec![shared("hints: a client that is told of a new leader goes on there without metadata", goes_on)]
}

fn goes_on(world: &World) {
    let proxy = world.start_proxy(&world.config().listener(View::Single, None));
    for (name, view) in [("a-hints-brokers", View::Auto), ("a-hints-single", View::Single)] {
        // Given a Fishplate and a client that know a topic's leader
        Topics::of(&world.a.bootstrap()).create(name, 1, 3);
        let at = proxy.bootstrap_in(view).servers;
        let mut client = Raw::connect(&at);
        wait::until("a record is written", SOON, || write(&mut client, name).0 == 0);
        // When another broker leads it, of which nobody has told Fishplate; once more where it read metadata at that moment
        let (next, (code, told, address)) = wait::find("a client is told of a leader", SOON, || {
            let leader = wait::find("a leader", SOON, || world.a.leader(name, 0));
            let next = leader % 3 + 1;
            lead(world, name, [next, leader, next % 3 + 1]);
            wait::until("another leads", SOON, || world.a.leader(name, 0) == Some(next));
            let told = write(&mut client, name);
            (told.0 != 0).then_some((next, told))
        });
        // Then the client is told of the new one: in our ids, and at our address
        let node = if view == View::Single { SINGLE } else { next };
        assert_eq!((code, told, address.as_deref()), (6, node, Some(at.as_str())), "{name}");
        // And goes on there: Fishplate has heard it too
        wait::until("a record is written to the new leader", SOON, || write(&mut client, name).0 == 0);
    }
    proxy.finish();
}

/// The error, who leads by its word, and the address of a node that is told beside.
fn write(client: &mut Raw, name: &str) -> (i16, i32, Option<String>) {
    let told = client.call(10, &produce(&[(name, &batch(&["a record"]))]));
    let of = &told.responses[0].partition_responses[0];
    let node = told.node_endpoints.first().map(|node| format!("{}:{}", &*node.host, node.port));
    (of.error_code, of.current_leader.leader_id.0, node)
}

/// The first of these brokers comes to lead the topic's partition.
fn lead(world: &World, name: &str, replicas: [i32; 3]) {
    let servers = world.a.bootstrap().servers;
    let mut admin = Raw::connect(servers.split(',').next().expect("a broker"));
    let partition = ReassignablePartition::default().with_partition_index(0);
    let partition = partition.with_replicas(Some(replicas.map(BrokerId).into()));
    let of = ReassignableTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    let told =
        admin.call(0, &AlterPartitionReassignmentsRequest::default().with_timeout_ms(30_000).with_topics(vec![of]));
    assert_eq!((told.error_code, told.responses[0].partitions[0].error_code), (0, 0), "{told:?}");
    let of = TopicPartitions::default().with_topic(topic(name)).with_partitions(vec![0]);
    let elect = ElectLeadersRequest::default().with_timeout_ms(30_000).with_topic_partitions(Some(vec![of]));
    wait::until("the preferred one is elected", SOON, || {
        admin.call(2, &elect);
        world.a.leader(name, 0) == Some(replicas[0])
    });
}
