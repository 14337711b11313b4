//! What is asked of a virtual node: its broker answers, and tells nothing of where it is.

use crate::harness::cluster::Cluster;
use crate::raw::{Raw, text};
use crate::world::{World, shared};
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use libtest_mimic::Trial;

const VERSION: i16 = 4;
const BROKER: i8 = 4;
const BITS_OF_A_BROKER: u32 = 25;

pub fn trials() -> Vec<Trial> {
    vec![shared("nodes: a broker's configuration names no address", configuration)]
}

fn configuration(world: &World) {
    let mut through = Raw::connect(&world.proxy().bootstrap().servers);
    for (slot, cluster) in [(0, &world.a), (1, &world.b)] {
        for (id, broker) in (1..).zip(cluster.brokers()) {
            // Given what the broker tells of itself
            let mut bare = Raw::connect(&format!("127.0.0.1:{}", broker.port));
            let (own, _) = describe(&mut bare, id);
            assert!(value(&own, "listeners").is_some_and(|told| told.contains(&broker.port.to_string())));
            // When it is asked through Fishplate, by its virtual node's id
            let node = slot << BITS_OF_A_BROKER | id;
            let (seen, answer) = describe(&mut through, node);
            // Then it answers as that node, and with all that is no address
            assert_eq!((seen.error_code, &*seen.resource_name), (0, &*node.to_string()));
            assert_eq!(value(&seen, "node.id"), Some(node.to_string().as_str()));
            for name in ["max.connections", "log.retention.ms", "inter.broker.listener.name"] {
                assert_eq!(value(&seen, name), value(&own, name), "{name}");
            }
            let names = |of: &DescribeConfigsResult| of.configs.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&seen), names(&own), "the names of its settings");
            // And no address of any broker is anywhere in the answer, as a value, a default or a synonym
            for name in ["listeners", "advertised.listeners", "controller.quorum.voters"] {
                let hidden = entry(&seen, name).map(|one| (one.value.as_deref(), one.is_sensitive));
                assert_eq!(hidden, Some((None, true)), "{name}");
            }
            for port in ports(&world.a).chain(ports(&world.b)) {
                assert!(!answer.contains(&format!(":{port}")), "the configuration of node {node} names port {port}");
            }
        }
    }
}

/// What a node tells of its configuration, and the answer's bytes as text.
fn describe(client: &mut Raw, node: i32) -> (DescribeConfigsResult, String) {
    let asked =
        DescribeConfigsResource::default().with_resource_type(BROKER).with_resource_name(text(&node.to_string()));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![asked.with_configuration_keys(None)])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let told = client.call(VERSION, &request).results.remove(0);
    client.send(VERSION, &request);
    (told, String::from_utf8_lossy(&client.read_frame().unwrap()).into_owned())
}

fn entry<'a>(of: &'a DescribeConfigsResult, name: &str) -> Option<&'a DescribeConfigsResourceResult> {
    of.configs.iter().find(|one| &*one.name == name)
}

fn value<'a>(of: &'a DescribeConfigsResult, name: &str) -> Option<&'a str> {
    entry(of, name)?.value.as_deref()
}

fn ports(of: &Cluster) -> impl Iterator<Item = u16> {
    of.brokers().iter().flat_map(|broker| [broker.port, broker.link.port()])
}
