//! ListConfigResources (ListClientMetricsResources in its version 0): topics, brokers and their loggers are told from
//! what is known of clusters; groups, each from its home, and client metrics by the clusters, put together. A cluster
//! that lacks a kind of resource has none.

use crate::api::everywhere::{Merged, UNHEARD, Word, add_each, ask_all, join, merge, of_each_cluster};
use crate::api::untag::Untag;
use crate::api::{Api, Effects, Plan, Seen, codes};
use crate::error::Fault;
use crate::types::{Slot, Target};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ApiKey, ListConfigResourcesRequest, ListConfigResourcesResponse};
use kafka_protocol::protocol::StrBytes;

use crate::api::settings::configs::{BROKER, BROKER_LOGGER, GROUP, TOPIC};
const CLIENT_METRICS: i8 = 16;

/// From this version on a request says which kinds it means.
const KINDS: i16 = 1;

/// See the module's text.
pub struct ListConfigResources;

/// Which cluster tells, and whether its client metrics were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    cluster: Slot,
    metrics: bool,
}

impl Api for ListConfigResources {
    const KEY: ApiKey = ApiKey::ListConfigResources;
    type Request = ListConfigResourcesRequest;
    type Response = ListConfigResourcesResponse;
    type Origin = Listed;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        if seen.version < KINDS {
            let listed = |to: Target| Listed { cluster: to.cluster, metrics: true };
            return ask_all(request, of_each_cluster(seen), listed, seen);
        }
        let all = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
        let kinds = if request.resource_types.is_empty() { all.to_vec() } else { request.resource_types.clone() };
        if kinds.iter().any(|kind| !all.contains(kind)) {
            return Plan::Answer(ListConfigResourcesResponse::default().with_error_code(codes::UNSUPPORTED_VERSION));
        }
        let known = known(&kinds, seen);
        let asked: Vec<_> = kinds.into_iter().filter(|kind| matches!(*kind, CLIENT_METRICS | GROUP)).collect();
        if asked.is_empty() {
            return Plan::Answer(ListConfigResourcesResponse::default().with_config_resources(known));
        }
        let with_known = |mut answer: ListConfigResourcesResponse| {
            answer.config_resources.extend(known);
            answer
        };
        let metrics = asked.contains(&CLIENT_METRICS);
        let listed = |to: Target| Listed { cluster: to.cluster, metrics };
        match ask_all(&request.clone().with_resource_types(asked), of_each_cluster(seen), listed, seen) {
            Plan::Answer(answer) => Plan::Answer(with_known(answer)),
            Plan::Send { seed, parts } => Plan::Send { seed: with_known(seed), parts },
            wait @ Plan::Wait(_) => wait,
        }
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Listed,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        _: &mut Effects,
    ) {
        let answer = match answer {
            Err(fault) if fault.lacking => Ok(Self::Response::default()),
            answer => answer,
        };
        merge::<Self>(so_far, origin.cluster, answer, seen);
    }

    fn lower(request: &mut Self::Request, version: i16) {
        if version < KINDS {
            request.resource_types.clear();
        }
    }

    /// All that an older broker tells is client metrics, asked for or not.
    fn raise(response: &mut Self::Response, origin: &Listed, version: i16) {
        if version < KINDS {
            response.config_resources.retain(|_| origin.metrics);
            response.config_resources.iter_mut().for_each(|one| one.resource_type = CLIENT_METRICS);
        }
    }
}

/// What is told without asking.
fn known(kinds: &[i8], seen: &Seen<'_>) -> Vec<ConfigResource> {
    let mut known = Vec::new();
    if kinds.contains(&TOPIC) {
        known.extend(seen.placement.topics().map(|place| resource(TOPIC, place.topic.name.clone())));
    }
    for kind in [BROKER, BROKER_LOGGER].into_iter().filter(|kind| kinds.contains(kind)) {
        let id = |node: crate::api::overview::nodes::Node| StrBytes::from_string(node.id.0.to_string());
        known.extend(seen.nodes().into_iter().map(|node| resource(kind, id(node))));
    }
    known
}

fn resource(kind: i8, name: StrBytes) -> ConfigResource {
    ConfigResource::default().with_resource_type(kind).with_resource_name(name)
}

impl Merged for ListConfigResources {
    fn unheard() -> Self::Response {
        ListConfigResourcesResponse::default().with_error_code(UNHEARD)
    }

    fn merge(so_far: &mut Self::Response, told: Self::Response, from: Slot, seen: &Seen<'_>) {
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(told.throttle_time_ms);
        Self::fail(so_far, Word::from(told.error_code));
        let mut told = told.config_resources;
        told.retain(|one| match one.resource_type {
            GROUP => seen.placement.home_of_group(&one.resource_name) == from,
            CLIENT_METRICS => true,
            _ => false,
        });
        told.iter_mut().for_each(Untag::untag);
        let what = |one: &ConfigResource| (one.resource_type, one.resource_name.clone());
        add_each(&mut so_far.config_resources, told, what, |_, _| {});
    }

    fn fail(so_far: &mut Self::Response, word: Word) {
        join(&mut so_far.error_code, &mut None, word, UNHEARD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, text};
    use crate::placement::build::tests::topic;
    use crate::types::View;

    fn list(kinds: &[i8]) -> ListConfigResourcesRequest {
        ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec())
    }

    fn told(answer: &ListConfigResourcesResponse) -> Vec<(i8, &str)> {
        let mut told: Vec<_> =
            answer.config_resources.iter().map(|one| (one.resource_type, one.resource_name.as_str())).collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn what_we_know_ourselves_nobody_is_asked() {
        let world = World::with(&[topic("x", &[1]), topic("b-1", &[1])], &[topic("b-1", &[1])]);
        let (answer, _) = round::<ListConfigResources>(&list(&[TOPIC]), &world.seen(1), |_, _| panic!("sent"));
        assert_eq!((answer.error_code, told(&answer)), (0, vec![(TOPIC, "b-1"), (TOPIC, "x")]));
        let world = world.shown(View::Single);
        let (answer, _) = round::<ListConfigResources>(&list(&[BROKER]), &world.seen(1), |_, _| panic!("sent"));
        assert_eq!(told(&answer), [(BROKER, "1040187392")]);
        let (answer, _) = round::<ListConfigResources>(&list(&[1]), &world.seen(1), |_, _| panic!("sent"));
        assert_eq!(answer.error_code, 35);
    }

    #[test]
    fn groups_are_told_by_their_homes_and_metrics_by_all() {
        let answer = |lacking| {
            let (answer, _) = round::<ListConfigResources>(&list(&[]), &World::default().seen(1), |to, asked| {
                assert_eq!(asked, list(&[CLIENT_METRICS, GROUP]));
                if to == at(1, 2) && lacking {
                    return Err(Fault::lacking(to, "it"));
                }
                let all = [(GROUP, "g"), (GROUP, "gb-1"), (CLIENT_METRICS, "m"), (TOPIC, "shadow")];
                let all = all.map(|(kind, name)| resource(kind, text(name))).to_vec();
                Ok(ListConfigResourcesResponse::default().with_config_resources(all))
            });
            let told = told(&answer).into_iter().filter(|(kind, _)| !matches!(*kind, BROKER | BROKER_LOGGER));
            (answer.error_code, told.map(|(kind, name)| (kind, name.to_owned())).collect::<Vec<_>>())
        };
        let own = |told: &[(i8, &str)]| told.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect::<Vec<_>>();
        assert_eq!(answer(false), (0, own(&[(CLIENT_METRICS, "m"), (GROUP, "g"), (GROUP, "gb-1")])));
        assert_eq!(answer(true), (0, own(&[(CLIENT_METRICS, "m"), (GROUP, "g")])));
    }
}
