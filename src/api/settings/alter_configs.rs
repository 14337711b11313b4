//! AlterConfigs and IncrementalAlterConfigs: topics and groups at their home, a broker and its loggers at the broker
//! behind the virtual node, what is of a whole cluster (the brokers' default, client metrics) on every cluster.
//!
//! In `single` one node stands for all brokers, and what is of one of them cannot be changed there: which one would be
//! chance. The brokers' default can.

use crate::api::everywhere::{Changes, UNHEARD, Where, Word, changed_where_it_belongs};
use crate::api::settings::config_values;
use crate::api::settings::configs::{BROKER, BROKER_LOGGER, GROUP, TOPIC, node, refusal_of_broker};
use crate::api::{OF_TWIN, Seen, codes};
use crate::error::Fault;
use crate::types::{BrokerId, Name, Slot, Target, View};
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, ApiKey, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    alter_configs_request, alter_configs_response, incremental_alter_configs_request,
    incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;

/// Where the config of a resource is changed.
fn place(kind: i8, name: &StrBytes, seen: &Seen<'_>) -> Result<Where, Word> {
    let any = |cluster| {
        let lost = || Word::lost(&Fault::cluster(cluster, "none of its brokers is known"), cluster, seen);
        seen.placement.any_broker(cluster).map(Where::At).ok_or_else(lost)
    };
    match kind {
        TOPIC if seen.placement.fence.why(name).is_some() => {
            Err(Word::new(codes::UNKNOWN_TOPIC_OR_PARTITION, "This topic is kept from clients; the log says why."))
        }
        TOPIC if seen.is_reserved(name) => Err(Word::new(codes::INVALID_TOPIC_EXCEPTION, OF_TWIN)),
        TOPIC => any(seen.placement.home_of_topic(name)),
        GROUP => any(seen.placement.home_of_group(name)),
        BROKER | BROKER_LOGGER if !name.is_empty() && seen.view == View::Single => Err(Word::new(
            codes::INVALID_REQUEST,
            "This client is shown one node that stands for all brokers: change their default (no name), or come to a \
             listener that shows brokers.",
        )),
        BROKER | BROKER_LOGGER if !name.is_empty() => {
            node(name, seen).map(Where::At).map_err(|(code, why)| Word::new(code, why))
        }
        _ => Ok(Where::Everywhere),
    }
}

/// A resource's name as its cluster has it.
fn real_name(kind: i8, name: &StrBytes, seen: &Seen<'_>) -> StrBytes {
    match (kind, node(name, seen)) {
        (BROKER | BROKER_LOGGER, Ok(to)) if !name.is_empty() => StrBytes::from_string(to.broker.0.to_string()),
        _ => name.clone(),
    }
}

/// A resource's name as clients have it.
fn virtual_name(kind: i8, name: &StrBytes, from: Slot, seen: &Seen<'_>) -> StrBytes {
    match (kind, name.parse()) {
        (BROKER | BROKER_LOGGER, Ok(id)) => {
            let node = seen.placement.nodes.virtual_of(Target { cluster: from, broker: BrokerId(id) });
            StrBytes::from_string(node.0.to_string())
        }
        _ => name.clone(),
    }
}

macro_rules! alters {
    ($api:ident, $request:ident in $asked:ident, $response:ident in $told:ident) => {
        changed_where_it_belongs!($api, $request, $response {
            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                let config = &seen.placement.config;
                Name::of_all(request.resources.iter().filter_map(|asked| match asked.resource_type {
                    TOPIC => Some(&config.pipeline_of_topic(&asked.resource_name).name),
                    GROUP => Some(&config.pipeline_of_group(&asked.resource_name).name),
                    _ => None,
                }))
            }
        });

        impl Changes for $api {
            type Change = $asked::AlterConfigsResource;
            type Told = $told::AlterConfigsResourceResponse;
            type Key = (i8, StrBytes);

            fn changes(request: &$request) -> Vec<Self::Change> {
                request.resources.clone()
            }

            fn request(request: &$request, changes: Vec<Self::Change>) -> $request {
                request.clone().with_resources(changes)
            }

            fn place(change: &Self::Change, seen: &Seen<'_>) -> Result<Where, Word> {
                place(change.resource_type, &change.resource_name, seen)
            }

            fn for_cluster(change: &Self::Change, cluster: Slot, seen: &Seen<'_>) -> Self::Change {
                let mut change = change.clone();
                change.resource_name = real_name(change.resource_type, &change.resource_name, seen);
                for config in &mut change.configs {
                    config_values::to_real(&config.name, &mut config.value, cluster, seen);
                }
                change
            }

            fn unheard(change: &Self::Change) -> Self::Told {
                Self::Told::default()
                    .with_error_code(UNHEARD)
                    .with_error_message(None)
                    .with_resource_type(change.resource_type)
                    .with_resource_name(change.resource_name.clone())
            }

            fn told(answer: &mut $response) -> &mut Vec<Self::Told> {
                &mut answer.responses
            }

            fn throttle_ms(answer: &mut $response) -> &mut i32 {
                &mut answer.throttle_time_ms
            }

            fn word(told: &mut Self::Told) -> (&mut i16, &mut Option<StrBytes>) {
                (&mut told.error_code, &mut told.error_message)
            }

            fn for_client(told: &mut Self::Told, from: Slot, seen: &Seen<'_>) {
                told.resource_name = virtual_name(told.resource_type, &told.resource_name, from, seen);
                let of_broker = matches!(told.resource_type, BROKER | BROKER_LOGGER);
                if of_broker && told.error_code == codes::INVALID_REQUEST {
                    told.error_message = Some(refusal_of_broker());
                }
            }

            fn key(told: &Self::Told, _: usize) -> Self::Key {
                (told.resource_type, told.resource_name.clone())
            }
        }
    };
}

alters!(
    AlterConfigs,
    AlterConfigsRequest in alter_configs_request,
    AlterConfigsResponse in alter_configs_response
);

alters!(
    IncrementalAlterConfigs,
    IncrementalAlterConfigsRequest in incremental_alter_configs_request,
    IncrementalAlterConfigsResponse in incremental_alter_configs_response
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;
    use crate::api::testing::{World, at, round, sent, text};
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    use incremental_alter_configs_response::AlterConfigsResourceResponse;

    fn alter(resources: &[(i8, &str)]) -> IncrementalAlterConfigsRequest {
        let config = AlterableConfig::default().with_name(text("follower.replication.throttled.replicas"));
        let config = config.with_value(Some(text("0:33554433,1:*")));
        let resource = |(kind, name): &(i8, &str)| {
            AlterConfigsResource::default()
                .with_resource_type(*kind)
                .with_resource_name(text(name))
                .with_configs(vec![config.clone()])
        };
        let resources = resources.iter().map(resource).collect();
        IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(true)
    }

    fn altered(request: &IncrementalAlterConfigsRequest, code: i16) -> IncrementalAlterConfigsResponse {
        let told = |asked: &AlterConfigsResource| {
            AlterConfigsResourceResponse::default()
                .with_resource_type(asked.resource_type)
                .with_resource_name(asked.resource_name.clone())
                .with_error_code(code)
        };
        IncrementalAlterConfigsResponse::default().with_responses(request.resources.iter().map(told).collect())
    }

    fn told(answer: &IncrementalAlterConfigsResponse) -> Vec<(i8, &str, i16)> {
        answer.responses.iter().map(|told| (told.resource_type, told.resource_name.as_str(), told.error_code)).collect()
    }

    #[test]
    fn each_config_is_changed_where_it_is_kept() {
        let resources =
            [(TOPIC, "x"), (BROKER, "33554435"), (GROUP, "gb-1"), (TOPIC, "b-1"), (BROKER, ""), (BROKER, "4")];
        let mut asked = Vec::new();
        let world = World::default();
        let (answer, _) = round::<IncrementalAlterConfigs>(&alter(&resources), &world.seen(1), |to, request| {
            assert!(request.validate_only);
            asked.push((to, request.resources.iter().map(|one| one.resource_name.to_string()).collect::<Vec<_>>()));
            Ok(altered(&request, 0))
        });
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected =
            [(at(0, 2), names(&["x", ""])), (at(1, 3), names(&["3"])), (at(1, 2), names(&["gb-1", "b-1", ""]))];
        assert_eq!(asked, expected);
        let codes = [0, 0, 0, 0, 0, 7];
        let expected: Vec<_> = resources.iter().zip(codes).map(|((kind, name), code)| (*kind, *name, code)).collect();
        assert_eq!(told(&answer), expected);
    }

    #[test]
    fn nodes_in_a_value_become_brokers_of_the_cluster() {
        let (_, parts) = sent(IncrementalAlterConfigs::plan(&alter(&[(TOPIC, "b-1")]), &World::default().seen(1)));
        assert_eq!(parts[0].request.resources[0].configs[0].value, Some(text("0:1,1:*")));
    }

    #[test]
    fn a_cluster_that_fails_is_named() {
        let request = alter(&[(BROKER, ""), (TOPIC, "x")]);
        let (answer, _) = round::<IncrementalAlterConfigs>(&request, &World::default().seen(1), |to, request| {
            if to == at(1, 2) { Ok(altered(&request, 40)) } else { Ok(altered(&request, 0)) }
        });
        assert_eq!(told(&answer), [(BROKER, "", 40), (TOPIC, "x", 0)]);
        assert_eq!(answer.responses[0].error_message, Some(text("On cluster `b`: INVALID_CONFIG")));
        let (answer, _) = round::<IncrementalAlterConfigs>(&request, &World::default().seen(1), |to, request| {
            if to == at(1, 2) { Err(Fault::upstream(to, true, "gone")) } else { Ok(altered(&request, 0)) }
        });
        assert_eq!(told(&answer), [(BROKER, "", 7), (TOPIC, "x", 0)]);
        assert!(answer.responses[0].error_message.as_ref().is_some_and(|why| why.contains("`b` did not answer")));
    }

    #[test]
    fn in_single_no_broker_is_changed_by_chance() {
        let world = World::default().shown(View::Single);
        let request = alter(&[(BROKER, "1040187392")]);
        let (answer, _) = round::<IncrementalAlterConfigs>(&request, &world.seen(1), |_, _| panic!("sent"));
        assert_eq!(told(&answer), [(BROKER, "1040187392", 42)]);
    }
}
