//! The laws of the design that need real clusters, each by its number. L3 is a property of `session::replies` and
//! `session::orders`.

use crate::harness::metrics::Metrics;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::raw::{Raw, batch, batch_in_sequence, fetch, produce, topic};
use crate::world::{World, alone, shared};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, FetchRequest, FetchResponse, JoinGroupRequest, ListOffsetsRequest,
    MetadataRequest,
};
use libtest_mimic::Trial;
use std::time::Instant;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("L1: one connection serves topics of both clusters", l1_content_routes),
        shared("L2: a topic passes through untouched", l2_untouched),
        shared("L5: what a gone client had sent is delivered and its links end", l5_the_clients_end),
        shared("L6: what follows a refused batch does not overtake it", l6_not_overtaken),
        alone("L5: a dead link is an error to every waiter, never a hang", l5_a_dead_link),
    ]
}

/// The partition 0 of each topic in an answer, in its order.
fn partitions(answer: &FetchResponse) -> Vec<(&str, &PartitionData)> {
    answer.responses.iter().flat_map(|t| t.partitions.iter().map(|p| (&*t.topic.0, p))).collect()
}

fn l1_content_routes(world: &World) {
    // Given a topic on each cluster, and one connection that never asked where they are
    Topics::of(&world.a.bootstrap()).create("a-l1", 1, 3);
    Topics::of(&world.b.bootstrap()).create("b-l1", 1, 1);
    let others = Topics::of(&world.proxy().bootstrap());
    ["a-l1", "b-l1"].iter().for_each(|name| others.wait_until_led(name, 1));
    let mut client = Raw::connect(&world.proxy().bootstrap().servers);
    // When it produces to both in one request
    let (left, right) = (batch(&["left"]), batch(&["right"]));
    let answer = client.call(9, &produce(&[("b-l1", &right), ("a-l1", &left)]));
    // Then each is written, and answered in the order it was asked
    let told: Vec<_> = answer.responses.iter().map(|t| (&*t.name.0, t.partition_responses[0].error_code)).collect();
    assert_eq!(told, [("b-l1", 0), ("a-l1", 0)]);
    // And Fetches of both read both back: each is answered as soon as one broker has told something
    let (names, mut read) = (["a-l1", "b-l1"], [0; 2]);
    let deadline = Instant::now() + wait::seconds(20);
    while read != [1, 1] {
        assert!(Instant::now() < deadline, "read {read:?} of {names:?}");
        let mut request = fetch(&names, 500);
        for (topic, offset) in request.topics.iter_mut().zip(read) {
            topic.partitions[0].fetch_offset = offset;
        }
        let answer = client.call(12, &request);
        assert_eq!(answer.session_id, 0, "a fetch over two brokers has no session");
        let told = partitions(&answer);
        assert_eq!(
            told.iter().map(|(name, told)| (*name, told.error_code)).collect::<Vec<_>>(),
            names.map(|name| (name, 0))
        );
        for ((_, told), offset) in told.iter().zip(&mut read) {
            *offset += i64::from(told.records.as_ref().is_some_and(|records| !records.is_empty()));
        }
    }
    // And each is where its pipeline says, and nowhere else
    let holds = |cluster: &crate::harness::cluster::Cluster, name| {
        cluster.metadata(None).unwrap().topics().iter().any(|topic| topic.name() == name)
    };
    assert!(holds(&world.a, "a-l1") && !holds(&world.b, "a-l1"));
    assert!(holds(&world.b, "b-l1") && !holds(&world.a, "b-l1"));
}

fn l2_untouched(world: &World) {
    for (cluster, name, replicas) in [(&world.a, "a-l2", 3), (&world.b, "b-l2", 1)] {
        // Given batches on a cluster
        Topics::of(&cluster.bootstrap()).create(name, 1, replicas);
        let proxy = world.proxy().bootstrap();
        Topics::of(&proxy).wait_until_led(name, 1);
        let mut through = Raw::connect(&proxy.servers);
        for values in [&["one", "two"][..], &["three"]] {
            let answer = through.call(9, &produce(&[(name, &batch(values))]));
            assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        }
        // When they are read from the leader itself and through Fishplate
        let mut first = Raw::connect(bare(cluster.bootstrap().servers.as_str()));
        let described = describe(&mut first, name);
        let mut bare = Raw::connect(&leader_address(&mut first, name));
        let (direct, proxied) = (bare.call(12, &fetch(&[name], 500)), through.call(12, &fetch(&[name], 500)));
        // Then batch bytes and offsets are the same
        let (direct, proxied) = (partitions(&direct)[0].1.clone(), partitions(&proxied)[0].1.clone());
        assert_eq!(direct.records.as_ref().map(bytes::Bytes::len), proxied.records.as_ref().map(bytes::Bytes::len));
        assert_eq!(direct, proxied, "bytes, offsets, watermarks");
        // And ids, epochs and offsets by time
        let seen = describe(&mut through, name);
        assert_eq!(seen.topic_id, described.topic_id);
        assert_eq!(seen.partitions[0].leader_epoch, described.partitions[0].leader_epoch);
        let offsets = |raw: &mut Raw| {
            let asked = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-1);
            let asked = ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![asked]);
            let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
            raw.call(7, &request).topics[0].partitions[0].clone()
        };
        assert_eq!(offsets(&mut through), offsets(&mut bare));
    }
}

/// The first of several servers.
fn bare(servers: &str) -> &str {
    servers.split(',').next().unwrap()
}

fn ask(name: &str) -> MetadataRequest {
    let asked = MetadataRequestTopic::default().with_name(Some(topic(name)));
    MetadataRequest::default().with_topics(Some(vec![asked]))
}

fn describe(raw: &mut Raw, name: &str) -> MetadataResponseTopic {
    raw.call(12, &ask(name)).topics.remove(0)
}

fn leader_address(raw: &mut Raw, name: &str) -> String {
    let answer = raw.call(12, &ask(name));
    let leader = answer.topics[0].partitions[0].leader_id;
    let node = answer.brokers.iter().find(|node| node.node_id == leader).unwrap();
    format!("{}:{}", &*node.host, node.port)
}

fn l5_the_clients_end(world: &World) {
    // Given a client with produces under way, a long poll and a group it waits for
    Topics::of(&world.a.bootstrap()).create("a-l5", 1, 3);
    let proxy = world.start_proxy(&world.config());
    Topics::of(&proxy.bootstrap()).wait_until_led("a-l5", 1);
    let mut client = Raw::connect(&proxy.bootstrap().servers);
    let batches: Vec<_> = (0..50).map(|n| batch(&[format!("value {n}").as_str()])).collect();
    let answer = client.call(9, &produce(&[("a-l5", &batches[0])]));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    for batch in &batches[1..] {
        client.send(9, &produce(&[("a-l5", batch)]));
    }
    client.send(9, &JoinGroupRequest::default().with_rebalance_timeout_ms(60_000).with_session_timeout_ms(30_000));
    // When it hangs up without reading an answer
    drop(client);
    // Then all it had sent is on the cluster
    let mut reader = Raw::connect(&proxy.bootstrap().servers);
    wait::until("all 50 batches are written", wait::seconds(30), || {
        let answer = reader.call(12, &fetch(&["a-l5"], 100));
        partitions(&answer)[0].1.high_watermark == 50
    });
    // And no link of a client that is gone stays
    drop(reader);
    wait::until("no session and no link is left", wait::seconds(30), || {
        let shown = Metrics::of(&proxy.admin());
        let links = shown.sum("fishplate_links", &[("use", "session")]);
        (shown.sum("fishplate_sessions", &[]), links) == (Some(0.0), Some(0.0))
    });
    proxy.finish();
}

fn l5_a_dead_link(world: &World) {
    // Given a long poll over a link that can be cut
    Topics::of(&world.b.bootstrap()).create("b-l5", 1, 1);
    let proxy = world.start_proxy(&world.config_over_links());
    Topics::of(&proxy.bootstrap()).wait_until_led("b-l5", 1);
    let mut client = Raw::connect(&proxy.bootstrap().servers);
    let warm = client.call(12, &fetch(&["b-l5"], 0));
    assert_eq!(partitions(&warm)[0].1.error_code, 0);
    client.send(12, &fetch(&["b-l5"], 25_000));
    let waits = || Metrics::of(&proxy.admin()).sum("fishplate_requests_in_flight", &[]) == Some(1.0);
    wait::until("the poll is under way", wait::seconds(20), waits);
    std::thread::sleep(std::time::Duration::from_millis(300));
    // When it is cut
    let cut = Instant::now();
    world.b.broker(1).link.cut();
    // Then the poll ends with an error that makes clients ask again, long before its time
    let answer = client.receive::<FetchRequest>(12);
    assert_eq!(partitions(&answer)[0].1.error_code, 6);
    assert!(cut.elapsed() < wait::seconds(10), "after {:?}", cut.elapsed());
    // And the same connection goes on over a new link
    wait::until("the topic is served again", wait::seconds(30), || {
        partitions(&client.call(12, &fetch(&["b-l5"], 0)))[0].1.error_code == 0
    });
    proxy.finish();
}

fn l6_not_overtaken(world: &World) {
    const NAME: &str = "a-l6";
    // Given a topic whose leader moves to a broker that does not know the producer, and Fishplate has not heard of it
    Topics::of(&world.a.bootstrap()).create(NAME, 1, 1);
    let led_by = || world.a.leader(NAME, 0);
    let old = wait::find("a leader", wait::seconds(10), led_by);
    let proxy = world.start_proxy(&world.config());
    let mut client = Raw::connect(&proxy.bootstrap().servers);
    wait::until("Fishplate knows the leader", wait::seconds(30), || {
        describe(&mut client, NAME).partitions.first().is_some_and(|partition| partition.leader_id.0 == old)
    });
    let new = 1 + old % 3;
    move_to(&mut Raw::connect(bare(&world.a.bootstrap().servers)), NAME, new);
    wait::until("another broker leads", wait::seconds(20), || led_by() == Some(new));
    // When the old one has refused a batch, and another comes before that is sent again
    let mut send = |sequence: i32| {
        let batch = batch_in_sequence(1 << 60, sequence, &format!("value {sequence}"));
        client.call(9, &produce(&[(NAME, &batch)])).responses[0].partition_responses[0].error_code
    };
    let refused = [3, 6];
    assert!(refused.contains(&send(0)), "the old leader refuses the first batch");
    let mut eyes = Raw::connect(&proxy.bootstrap().servers);
    wait::until("Fishplate knows the new leader", wait::seconds(45), || {
        describe(&mut eyes, NAME).partitions[0].leader_id.0 == new
    });
    // Then it is not taken either, by whom it would have overtaken the first
    assert!(refused.contains(&send(1)), "the second batch does not overtake the first");
    // And sent again in order, both are written, in order
    assert_eq!((send(0), send(1)), (0, 0));
    let answer = eyes.call(12, &fetch(&[NAME], 500));
    let told = partitions(&answer)[0].1;
    let records = told.records.as_ref().unwrap();
    let at = |value: &str| records.windows(value.len()).position(|window| window == value.as_bytes());
    assert!(told.high_watermark == 2 && at("value 0").is_some() && at("value 0") < at("value 1"));
    proxy.finish();
}

/// This broker alone bears the topic's partition from now on.
fn move_to(controller: &mut Raw, name: &str, broker: i32) {
    let partition = ReassignablePartition::default().with_replicas(Some(vec![broker.into()]));
    let moved = ReassignableTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(vec![moved]);
    let answer = controller.call(0, &request);
    assert_eq!((answer.error_code, answer.responses[0].partitions[0].error_code), (0, 0), "{answer:?}");
}
