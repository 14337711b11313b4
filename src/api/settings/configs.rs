//! DescribeConfigs: topics and groups at their home, brokers and their loggers at the broker behind the virtual node,
//! what is of a whole cluster (the brokers' default, client metrics) at the default cluster.
//!
//! Values that are addresses are taken away (`config_values`). A resource without an answer gets 7: it was only read.

use crate::api::scrub::{scrubbed, scrubbed_message};
use crate::api::settings::config_values;
use crate::api::untag::Untag;
use crate::api::{Api, Effects, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::placement::nodes::SINGLE;
use crate::types::{Name, Slot, Target, View, VirtualNode};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{ApiKey, DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap, VecDeque};

// Kafka's ConfigResource.Type.
pub(in crate::api) const TOPIC: i8 = 2;
pub(in crate::api) const BROKER: i8 = 4;
pub(in crate::api) const BROKER_LOGGER: i8 = 8;
pub(in crate::api) const GROUP: i8 = 32;

/// See the module's text.
pub struct DescribeConfigs;

/// What one broker was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    cluster: Slot,
    resources: Vec<Resource>,
}

/// A resource as a cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resource {
    kind: i8,
    name: StrBytes,
    /// Where in the answer it is told of.
    at: usize,
}

impl Api for DescribeConfigs {
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;
    type Origin = Described;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let mut seed = DescribeConfigsResponse::default();
        let mut parts: BTreeMap<Target, Part<Self>> = BTreeMap::new();
        for (at, asked) in request.resources.iter().enumerate() {
            let told = match place(asked, seen) {
                Ok((to, name)) => {
                    let part = parts.entry(to).or_insert_with(|| Part {
                        to,
                        request: request.clone().with_resources(Vec::new()),
                        origin: Described { cluster: to.cluster, resources: Vec::new() },
                    });
                    part.request.resources.push(asked.clone().with_resource_name(name.clone()));
                    part.origin.resources.push(Resource { kind: asked.resource_type, name, at });
                    refused(asked, codes::REQUEST_TIMED_OUT, "no answer from where this is kept")
                }
                Err((code, why)) => refused(asked, code, why),
            };
            seed.results.push(told);
        }
        send_or_wait(seed, parts.into_values().collect(), Vec::new())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Described,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        _: &mut Effects,
    ) {
        // The seed's code stands.
        let Ok(answer) = answer else { return };
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
        // One that is asked about twice (each time about other keys, say) is told of twice, in that order.
        let mut places: HashMap<_, VecDeque<usize>> = HashMap::new();
        for asked in origin.resources {
            places.entry((asked.kind, asked.name)).or_default().push_back(asked.at);
        }
        for mut told in answer.results {
            told.untag();
            rewrite(&mut told, origin.cluster, seen);
            let places = places.get_mut(&(told.resource_type, told.resource_name.clone()));
            let place = places.and_then(VecDeque::pop_front).and_then(|at| so_far.results.get_mut(at));
            if let Some(place) = place {
                let name = std::mem::take(&mut place.resource_name);
                *place = told.with_resource_name(name);
            }
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        let config = &seen.placement.config;
        Name::of_all(request.resources.iter().filter_map(|asked| match asked.resource_type {
            TOPIC => Some(&config.pipeline_of_topic(&asked.resource_name).name),
            GROUP => Some(&config.pipeline_of_group(&asked.resource_name).name),
            _ => None,
        }))
    }

    fn lower(request: &mut Self::Request, version: i16) {
        if version < 3 {
            request.include_documentation = false;
        }
    }
}

/// Which broker knows a resource, and by what name.
fn place(asked: &DescribeConfigsResource, seen: &Seen<'_>) -> Result<(Target, StrBytes), (i16, &'static str)> {
    let name = &asked.resource_name;
    let cluster = match asked.resource_type {
        TOPIC => seen.placement.home_of_topic(name),
        GROUP => seen.placement.home_of_group(name),
        BROKER | BROKER_LOGGER if !name.is_empty() => {
            let to = node(name, seen)?;
            return Ok((to, StrBytes::from_string(to.broker.0.to_string())));
        }
        _ => seen.placement.config.default_cluster,
    };
    let unreachable = (codes::REQUEST_TIMED_OUT, "the cluster that keeps this cannot be reached");
    let name = if asked.resource_type == TOPIC { seen.placement.name_at_home(name) } else { name.clone() };
    seen.placement.any_broker(cluster).map(|to| (to, name)).ok_or(unreachable)
}

/// The live broker behind a virtual node. Behind the one of `single`, that of the default cluster which is asked about the
/// cluster itself too.
pub(in crate::api) fn node(name: &StrBytes, seen: &Seen<'_>) -> Result<Target, (i16, &'static str)> {
    let odd = (codes::INVALID_REQUEST, "this is not the id of a node; Metadata tells the ids");
    let node = name.parse().map(VirtualNode).map_err(|_| odd)?;
    if seen.view == View::Single && node != SINGLE {
        return Err(odd);
    }
    let unreachable = (codes::REQUEST_TIMED_OUT, "the broker behind this node cannot be reached");
    let missing = if seen.view == View::Single { unreachable } else { odd };
    let target = seen.broker_behind(node).ok_or(missing)?;
    let cluster = seen.placement.cluster(target.cluster).ok_or(odd)?;
    let live = cluster.snapshot.brokers.contains_key(&target.broker);
    if live { Ok(target) } else { Err((codes::REQUEST_TIMED_OUT, "this node is not there now")) }
}

fn refused(asked: &DescribeConfigsResource, code: i16, why: &'static str) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_code(code)
        .with_error_message(Some(StrBytes::from_static_str(why)))
        .with_resource_type(asked.resource_type)
        .with_resource_name(asked.resource_name.clone())
}

/// Instead of Kafka's text, which names a broker by its real id.
pub(in crate::api) fn refusal_of_broker() -> StrBytes {
    StrBytes::from_static_str("the broker refuses this request")
}

/// Takes away what only the cluster itself should know.
fn rewrite(told: &mut DescribeConfigsResult, cluster: Slot, seen: &Seen<'_>) {
    let of_broker = matches!(told.resource_type, BROKER | BROKER_LOGGER);
    told.error_message = match told.error_message.take() {
        // Kafka's text names the broker that it is by its real id.
        Some(_) if of_broker && told.error_code == codes::INVALID_REQUEST => Some(refusal_of_broker()),
        message => scrubbed_message(message, cluster, seen.placement),
    };
    for config in &mut told.configs {
        rewrite_config(config, cluster, seen);
    }
}

fn rewrite_config(config: &mut DescribeConfigsResourceResult, cluster: Slot, seen: &Seen<'_>) {
    let show = |name: &StrBytes, value: &mut Option<StrBytes>| config_values::show(name, value, cluster, seen);
    config.is_sensitive |= show(&config.name, &mut config.value);
    for DescribeConfigsSynonym { name, value, .. } in &mut config.synonyms {
        if config.is_sensitive {
            *value = None;
        }
        config.is_sensitive |= show(name, value);
    }
    config.documentation = config.documentation.take().map(|text| scrubbed(text, cluster, seen.placement));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, text};
    use proptest::prelude::*;

    fn ask(resources: &[(i8, &str)]) -> DescribeConfigsRequest {
        let resource = |(kind, name): &(i8, &str)| {
            DescribeConfigsResource::default().with_resource_type(*kind).with_resource_name(text(name))
        };
        DescribeConfigsRequest::default().with_resources(resources.iter().map(resource).collect())
    }

    /// A broker that tells the same config of everything.
    fn tell(request: &DescribeConfigsRequest, name: &str, value: &str) -> DescribeConfigsResponse {
        let synonym =
            DescribeConfigsSynonym::default().with_name(text(name)).with_value(Some(text(value))).with_source(5);
        let config = DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_config_source(4)
            .with_synonyms(vec![synonym]);
        let told = |asked: &DescribeConfigsResource| {
            DescribeConfigsResult::default()
                .with_resource_type(asked.resource_type)
                .with_resource_name(asked.resource_name.clone())
                .with_configs(vec![config.clone()])
        };
        DescribeConfigsResponse::default().with_results(request.resources.iter().map(told).collect())
    }

    fn told(answer: &DescribeConfigsResponse) -> Vec<(i8, &str, i16)> {
        answer.results.iter().map(|told| (told.resource_type, told.resource_name.as_str(), told.error_code)).collect()
    }

    #[test]
    fn everything_is_asked_where_it_is_kept_and_told_by_the_clients_own_name() {
        let world = World::default();
        let resources = [
            (BROKER, "33554435"),
            (TOPIC, "b-1"),
            (TOPIC, "x"),
            (GROUP, "gb-1"),
            (BROKER, "3"),
            (BROKER_LOGGER, "33554433"),
            (BROKER, ""),
            (BROKER, "33554439"),
            (BROKER, "kafka"),
        ];
        let mut asked = Vec::new();
        let (answer, _) = round::<DescribeConfigs>(&ask(&resources), &world.seen(4), |to, request| {
            let names = |asked: &DescribeConfigsResource| (asked.resource_type, asked.resource_name.to_string());
            asked.push((to, request.resources.iter().map(names).collect::<Vec<_>>()));
            Ok(tell(&request, "retention.ms", "1"))
        });
        let owned = |list: &[(i8, &str)]| list.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect();
        let expected: [(Target, Vec<(i8, String)>); 5] = [
            (at(0, 2), owned(&[(TOPIC, "x"), (BROKER, "")])),
            (at(0, 3), owned(&[(BROKER, "3")])),
            (at(1, 1), owned(&[(BROKER_LOGGER, "1")])),
            (at(1, 2), owned(&[(TOPIC, "b-1"), (GROUP, "gb-1")])),
            (at(1, 3), owned(&[(BROKER, "3")])),
        ];
        assert_eq!(asked, expected);
        let expected: Vec<_> =
            resources.iter().zip([0, 0, 0, 0, 0, 0, 0, 7, 42]).map(|((k, n), c)| (*k, *n, c)).collect();
        assert_eq!(told(&answer), expected);
    }

    #[test]
    fn addresses_are_taken_away_and_ids_are_virtual() {
        let world = World::default();
        let shown = |name: &str, value: &str| {
            let request = ask(&[(BROKER, "33554433")]);
            let (answer, _) =
                round::<DescribeConfigs>(&request, &world.seen(4), |_, request| Ok(tell(&request, name, value)));
            let config = answer.results[0].configs[0].clone();
            assert_eq!(config.synonyms[0].value, config.value);
            assert_eq!((config.config_source, config.synonyms[0].source), (4, 5));
            (config.value.map(|value| value.to_string()), config.is_sensitive)
        };
        assert_eq!(shown("advertised.listeners", "PLAINTEXT://h:1"), (None, true));
        assert_eq!(shown("vendor.url", "http://secret-b-2.internal/"), (None, true));
        assert_eq!(shown("node.id", "1"), (Some("33554433".to_owned()), false));
        assert_eq!(shown("log.dirs", "/data"), (Some("/data".to_owned()), false));
    }

    #[test]
    fn what_gets_no_answer_says_so() {
        let request = ask(&[(TOPIC, "x"), (TOPIC, "b-1")]);
        let (answer, _) = round::<DescribeConfigs>(&request, &World::default().seen(4), |to, request| {
            if to == at(0, 2) { Ok(tell(&request, "a", "b")) } else { Err(Fault::upstream(to, true, "gone")) }
        });
        assert_eq!(told(&answer), [(TOPIC, "x", 0), (TOPIC, "b-1", 7)]);
    }

    #[test]
    fn a_topic_that_is_asked_about_twice_is_told_of_twice_however_often() {
        // Given each time other keys, and as often as nobody asks
        let (world, began) = (World::default(), Effort::begin());
        let request = ask(&[(TOPIC, "x"); 60_000]);
        let (answer, _) = round::<DescribeConfigs>(&request, &world.seen(4), |_, request| {
            let one = |(at, asked): (usize, &DescribeConfigsResource)| {
                let config = DescribeConfigsResourceResult::default().with_name(text(&at.to_string()));
                refused(asked, 0, "").with_configs(vec![config])
            };
            let results = request.resources.iter().enumerate().map(one).collect();
            Ok(DescribeConfigsResponse::default().with_results(results))
        });
        // Then each has the answer to its own keys, and it does not take the square of that
        assert_eq!(answer.results.len(), 60_000);
        for (at, told) in answer.results.iter().enumerate() {
            assert_eq!((told.error_code, told.configs[0].name.as_str()), (0, at.to_string().as_str()));
        }
        began.must_be_small();
    }

    proptest! {
        #[test]
        fn every_resource_is_answered_once(
            asked in prop::collection::vec((0..6_usize, 0..6_usize), 0..8),
            fails: bool,
            leaves_out: bool,
        ) {
            let names = ["", "1", "33554433", "33554439", "b-1", "x"];
            let kinds = [TOPIC, BROKER, BROKER_LOGGER, 16, GROUP, 0];
            let asked: Vec<_> = asked.iter().map(|(kind, name)| (kinds[*kind], names[*name])).collect();
            let (answer, _) = round::<DescribeConfigs>(&ask(&asked), &World::default().seen(4), |to, request| {
                let mut answer = tell(&request, "a", "b");
                if leaves_out {
                    answer.results.pop();
                }
                if fails { Err(Fault::upstream(to, false, "gone")) } else { Ok(answer) }
            });
            let named: Vec<_> = told(&answer).into_iter().map(|(kind, name, _)| (kind, name)).collect();
            prop_assert_eq!(named, asked);
        }
    }
}
