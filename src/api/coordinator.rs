//! FindCoordinator: where a group lives, as a virtual node at the address where clients find it. Answered by us, once the
//! group's own cluster has told its coordinator.
//!
//! Transactions are not served yet. A producer that asks for their coordinator is told 31
//! CLUSTER_AUTHORIZATION_FAILED with a message: the one code at which both Java (TransactionManager's
//! FindCoordinatorHandler) and librdkafka (rd_kafka_txn_handle_FindCoordinator) stop at once and show the message. At
//! 35 or 42 librdkafka would ask again until its time is over, and at 53 Java would show a text of its own.

use super::needs::Needs;
use super::{Api, Effects, Missing, Plan, Seen, codes};
use crate::error::Fault;
use crate::types::Name;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{ApiKey, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

/// From this version on a request names several keys.
const SEVERAL_KEYS: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// See the module's text.
pub struct FindCoordinator;

impl Api for FindCoordinator {
    const KEY: ApiKey = ApiKey::FindCoordinator;
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;
    type Origin = ();

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let mut needs = Needs::default();
        let mut find = |key: &StrBytes| find(request.key_type, key, seen, &mut needs);
        let answer = if seen.version < SEVERAL_KEYS {
            one(find(&request.key))
        } else {
            let found = request.coordinator_keys.iter().map(find).collect();
            FindCoordinatorResponse::default().with_coordinators(found)
        };
        let needs = needs.all();
        if needs.is_empty() { Plan::Answer(answer) } else { Plan::Wait(needs) }
    }

    fn absorb(_: &mut Self::Response, (): (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        let one = (seen.version < SEVERAL_KEYS).then_some(&request.key);
        let of_groups = |_: &&StrBytes| request.key_type == GROUP;
        seen.pipeline_of_groups(one.into_iter().chain(&request.coordinator_keys).filter(of_groups))
    }
}

fn find(key_type: i8, key: &StrBytes, seen: &Seen<'_>, needs: &mut Needs) -> Coordinator {
    let refused = |code, message| nobody(key, code, message);
    match key_type {
        GROUP => match seen.coordinator_of(key) {
            Ok(target) => {
                let node = seen.node_of(target.cluster, target.broker.0, None);
                Coordinator::default()
                    .with_key(key.clone())
                    .with_node_id(node.id)
                    .with_host(node.host)
                    .with_port(node.port)
            }
            Err(Missing::Code(code)) => refused(code, "the group's cluster has not told its coordinator"),
            Err(Missing::Need(need)) => {
                needs.push(need);
                refused(codes::COORDINATOR_NOT_AVAILABLE, "")
            }
        },
        TRANSACTION => refused(
            codes::CLUSTER_AUTHORIZATION_FAILED,
            "Fishplate does not serve transactions in this version; configure the producer without transactional.id",
        ),
        // Share groups, and what nobody knows. Kafka answers the same where share groups are not enabled.
        _ => refused(codes::INVALID_REQUEST, "Fishplate finds coordinators of groups only"),
    }
}

/// As Kafka's `Node.noNode`.
fn nobody(key: &StrBytes, code: i16, message: &'static str) -> Coordinator {
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id(BrokerId(-1))
        .with_port(-1)
        .with_error_code(code)
        .with_error_message(Some(StrBytes::from_static_str(message)))
}

/// The shape of the versions with one key.
fn one(found: Coordinator) -> FindCoordinatorResponse {
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, text};
    use super::super::{Need, Refusal};
    use super::*;
    use crate::placement::build::tests::slot;

    fn ask(key_type: i8, keys: &[&str], world: &World, version: i16) -> Result<FindCoordinatorResponse, Vec<Need>> {
        let request = FindCoordinatorRequest::default().with_key_type(key_type);
        let request = if version < SEVERAL_KEYS {
            request.with_key(text(keys[0]))
        } else {
            request.with_coordinator_keys(keys.iter().map(|key| text(key)).collect())
        };
        match FindCoordinator::plan(&request, &world.seen(version)) {
            Plan::Answer(answer) => Ok(answer),
            Plan::Wait(needs) => Err(needs),
            Plan::Send { .. } => panic!("nothing is to be sent"),
        }
    }

    #[test]
    fn groups_are_at_virtual_nodes_at_our_address() {
        let world = World::default().coordinated(0, "g", 1).coordinated(1, "gb-1", 1);
        let answer = ask(GROUP, &["g", "gb-1"], &world, 6).unwrap();
        let told: Vec<_> = answer.coordinators.iter().map(|c| (c.node_id.0, c.host.as_str(), c.port)).collect();
        assert_eq!(told, [(1, "proxy.example", 9092), ((1 << 25) | 1, "proxy.example", 9092)]);
        let answer = ask(GROUP, &["gb-1"], &world, 0).unwrap();
        assert_eq!((answer.node_id.0, answer.host.as_str(), answer.error_code), ((1 << 25) | 1, "proxy.example", 0));
    }

    #[test]
    fn what_is_not_known_is_asked_for_and_then_answered_key_by_key() {
        let mut world = World::default().coordinated(0, "g", 1);
        let needs = ask(GROUP, &["g", "gb-1", "gb-2", "gb-1"], &world, 4).unwrap_err();
        let need = |group| Need::Coordinator { cluster: slot(1), group: text(group) };
        assert_eq!(needs, [need("gb-1"), need("gb-2")]);
        world.refused =
            vec![(need("gb-1"), Refusal::Code(30)), (need("gb-2"), Refusal::Fault(Fault::cluster(slot(1), "down")))];
        let answer = ask(GROUP, &["g", "gb-1", "gb-2", "gb-1"], &world, 4).unwrap();
        let codes: Vec<_> = answer.coordinators.iter().map(|c| (c.key.as_str(), c.error_code, c.node_id.0)).collect();
        assert_eq!(codes, [("g", 0, 1), ("gb-1", 30, -1), ("gb-2", 15, -1), ("gb-1", 30, -1)]);
    }

    #[test]
    fn transactions_and_share_groups_are_refused_with_a_message() {
        for version in [1, 6] {
            let answer = ask(TRANSACTION, &["t"], &World::default(), version).unwrap();
            let (code, message) = match answer.coordinators.first() {
                Some(found) => (found.error_code, found.error_message.clone()),
                None => (answer.error_code, answer.error_message),
            };
            assert_eq!(code, 31);
            assert!(message.unwrap().contains("does not serve transactions"));
        }
        assert_eq!(ask(2, &["s"], &World::default(), 6).unwrap().coordinators[0].error_code, 42);
    }
}
