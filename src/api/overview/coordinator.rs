//! FindCoordinator: where a group or a transactional id lives, as a virtual node at the address where clients find it.
//! Answered by us, once its own cluster has told its coordinator.

use crate::api::needs::Needs;
use crate::api::{Api, Effect, Effects, Missing, Plan, Seen, codes, once};
use crate::error::Fault;
use crate::types::{CoordinatorType, Name, Slot};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{ApiKey, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

/// From this version on a request names several keys.
const SEVERAL_KEYS: i16 = 4;

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
        let keys = one.into_iter().chain(&request.coordinator_keys);
        match type_of(request.key_type) {
            Some(CoordinatorType::Group) => seen.pipeline_of_groups(keys),
            Some(CoordinatorType::Transaction) => seen.pipeline_of_transactional_ids(keys),
            None => Name::none(),
        }
    }
}

/// Has the coordinator looked up anew where a code says that it is another broker.
pub(in crate::api) fn forget(code: i16, of: CoordinatorType, cluster: Slot, key: &StrBytes, effects: &mut Effects) {
    if codes::asks_for_coordinator(code) {
        once(Effect::ForgetCoordinator(cluster, of, key.clone()), effects);
    }
}

fn type_of(key_type: i8) -> Option<CoordinatorType> {
    [CoordinatorType::Group, CoordinatorType::Transaction].into_iter().find(|of| of.key_type() == key_type)
}

fn find(key_type: i8, key: &StrBytes, seen: &Seen<'_>, needs: &mut Needs) -> Coordinator {
    let refused = |code, message| nobody(key, code, message);
    let Some(of) = type_of(key_type) else {
        // What brokers keep of share groups, which they ask for among themselves, and what nobody knows.
        return refused(codes::INVALID_REQUEST, "Fishplate finds coordinators of groups and of transactional ids only");
    };
    if of == CoordinatorType::Transaction && key.is_empty() {
        // As Kafka; a cluster would be asked for nothing.
        return refused(codes::INVALID_REQUEST, "a transactional id is not empty");
    }
    match seen.find_coordinator(of, key) {
        Ok(target) => {
            let node = seen.node_of(target.cluster, target.broker.0, None);
            Coordinator::default().with_key(key.clone()).with_node_id(node.id).with_host(node.host).with_port(node.port)
        }
        Err(Missing::Code(code)) => refused(code, "its cluster has not told its coordinator"),
        Err(Missing::Need(need)) => {
            needs.push(need);
            refused(codes::COORDINATOR_NOT_AVAILABLE, "")
        }
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
    use super::*;
    use crate::api::testing::{World, text};
    use crate::api::{Need, Refusal};
    use crate::placement::build::tests::slot;

    const GROUP: i8 = CoordinatorType::Group.key_type();
    const TRANSACTION: i8 = CoordinatorType::Transaction.key_type();

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
        let need = |group| Need::Coordinator { cluster: slot(1), of: CoordinatorType::Group, key: text(group) };
        assert_eq!(needs, [need("gb-1"), need("gb-2")]);
        world.refused =
            [(need("gb-1"), Refusal::Code(30)), (need("gb-2"), Refusal::Fault(Fault::cluster(slot(1), "down")))].into();
        let answer = ask(GROUP, &["g", "gb-1", "gb-2", "gb-1"], &world, 4).unwrap();
        let codes: Vec<_> = answer.coordinators.iter().map(|c| (c.key.as_str(), c.error_code, c.node_id.0)).collect();
        assert_eq!(codes, [("g", 0, 1), ("gb-1", 30, -1), ("gb-2", 15, -1), ("gb-1", 30, -1)]);
    }

    #[test]
    fn a_transactional_id_has_a_coordinator_of_its_own() {
        // Given a group and a transactional id of one name, each at home on another broker
        let world = World::default().coordinated(1, "gb-1", 1).transacting(0, "gb-1", 2).transacting(1, "tb-1", 3);
        let node = |key_type, key| ask(key_type, &[key], &world, 6).unwrap().coordinators[0].node_id.0;
        assert_eq!((node(GROUP, "gb-1"), node(TRANSACTION, "gb-1")), ((1 << 25) | 1, 2));
        assert_eq!(node(TRANSACTION, "tb-1"), (1 << 25) | 3);
        let needs = ask(TRANSACTION, &["tb-2"], &world, 2).unwrap_err();
        assert_eq!(
            needs,
            [Need::Coordinator { cluster: slot(1), of: CoordinatorType::Transaction, key: text("tb-2") }]
        );
        assert_eq!(ask(TRANSACTION, &[""], &world, 2).unwrap().error_code, 42);
    }

    #[test]
    fn share_groups_are_refused_with_a_message() {
        assert_eq!(ask(2, &["s"], &World::default(), 6).unwrap().coordinators[0].error_code, 42);
    }
}
