//! What operators ask about transactions. DescribeTransactions: each id at its own coordinator. ListTransactions: every broker
//! of every cluster that transactional ids live on is asked (others may be too old to have it), and an id is shown from its
//! home only; **each answer is the whole list**, for the reasons that
//! `groups::lists` gives (Java's AllBrokersStrategy keeps lists by broker, and who puts them together sees an id once for each
//! node; in the `single` view once). **A list that lacks a part is an error** (15), beside what there is: of a broker that gives
//! no answer, and of a cluster that is known to be down where transactional ids live on it. Who looks for a transaction that
//! hangs would take a shorter list for the whole one. (ListGroups leaves such a cluster out: groups are listed to be shown.)

use crate::api::by_coordinator::{self, Asked, Asks, Key, Tells, by_coordinator};
use crate::api::{Api, Effects, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::types::{Name, Slot, Target};
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{
    ApiKey, DescribeTransactionsRequest, DescribeTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse, TransactionalId,
};

by_coordinator! {
    DescribeTransactions of TransactionalId:
        DescribeTransactionsRequest.transactional_ids [TransactionalId], DescribeTransactionsResponse {}
}

impl Tells for DescribeTransactionsResponse {
    type Key = TransactionalId;
    type Told = TransactionState;

    fn told(&mut self) -> &mut Vec<TransactionState> {
        &mut self.transaction_states
    }

    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn key(told: &TransactionState) -> &TransactionalId {
        &told.transactional_id
    }

    fn code(told: &TransactionState) -> i16 {
        told.error_code
    }

    fn refused(id: &TransactionalId, code: i16) -> TransactionState {
        TransactionState::default().with_transactional_id(id.clone()).with_error_code(code)
    }
}

/// See the module's text.
pub struct ListTransactions;

/// From these versions on brokers select transactions by how long they are open, and by their ids.
const BY_DURATION: i16 = 1;
const BY_PATTERN: i16 = 2;

/// "Whatever its duration".
const ANY_DURATION: i64 = -1;

/// Which cluster a list comes from, and what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    cluster: Slot,
    by_duration: bool,
    by_pattern: bool,
}

impl Api for ListTransactions {
    const KEY: ApiKey = ApiKey::ListTransactions;
    type Request = ListTransactionsRequest;
    type Response = ListTransactionsResponse;
    type Origin = Listed;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let listed = |cluster| Listed {
            cluster,
            by_duration: request.duration_filter >= 0,
            by_pattern: request.transactional_id_pattern.as_ref().is_some_and(|pattern| !pattern.is_empty()),
        };
        let part = |to: Target| Part { to, request: request.clone(), origin: listed(to.cluster) };
        let mut homes = seen.placement.config.homes_of_transactions();
        homes.retain(|home| seen.guard.is_none_or(|guard| !guard.barred.has(*home)));
        let at_home = |broker: &Target| homes.contains(&broker.cluster);
        let parts: Vec<_> = seen.brokers_in_reach().filter(at_home).map(part).collect();
        let whole = homes.iter().all(|home| parts.iter().any(|part| part.to.cluster == *home));
        let code = if whole { codes::NONE } else { codes::COORDINATOR_NOT_AVAILABLE };
        send_or_wait(ListTransactionsResponse::default().with_error_code(code), parts, Vec::new())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Listed,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        _: &mut Effects,
    ) {
        let Ok(answer) = answer else {
            so_far.error_code = codes::worse(so_far.error_code, codes::COORDINATOR_NOT_AVAILABLE);
            return;
        };
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
        so_far.error_code = codes::worse(so_far.error_code, answer.error_code);
        // A filter that all brokers know nothing of, or one that is older than the client.
        for unknown in answer.unknown_state_filters {
            if !so_far.unknown_state_filters.contains(&unknown) {
                so_far.unknown_state_filters.push(unknown);
            }
        }
        let listed = answer.transaction_states;
        by_coordinator::list(&mut so_far.transaction_states, listed, |one| &one.transactional_id, origin.cluster, seen);
    }

    fn lower(request: &mut Self::Request, version: i16) {
        if version < BY_DURATION {
            request.duration_filter = ANY_DURATION;
        }
        if version < BY_PATTERN {
            request.transactional_id_pattern = None;
        }
    }

    /// An old broker has not selected, and does not tell what we could select by.
    fn raise(response: &mut Self::Response, origin: &Listed, version: i16) {
        if (version < BY_DURATION && origin.by_duration) || (version < BY_PATTERN && origin.by_pattern) {
            response.transaction_states.clear();
            response.error_code = codes::UNSUPPORTED_VERSION;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, text};
    use crate::api::{Effect, Refusal};
    use crate::config::Patterns;
    use crate::placement::build::tests::slot;
    use crate::types::{BrokerId, CoordinatorType};
    use kafka_protocol::messages::list_transactions_response::TransactionState as ListedState;
    use std::sync::Arc;

    fn describe(ids: &[&str]) -> DescribeTransactionsRequest {
        let ids = ids.iter().map(|id| TransactionalId(text(id))).collect();
        DescribeTransactionsRequest::default().with_transactional_ids(ids)
    }

    fn told(asked: &DescribeTransactionsRequest, code: i16) -> DescribeTransactionsResponse {
        let state = |id: &TransactionalId| DescribeTransactionsResponse::refused(id, code).with_producer_id(7.into());
        DescribeTransactionsResponse::default()
            .with_transaction_states(asked.transactional_ids.iter().map(state).collect())
    }

    #[test]
    fn each_transactional_id_is_described_by_its_own_coordinator() {
        let world = World::default().transacting(0, "t", 2).transacting(1, "tb-1", 3);
        let (answer, effects) =
            round::<DescribeTransactions>(&describe(&["t", "tb-1", "t"]), &world.seen(0), |to, asked| {
                let expected = if to == at(0, 2) { describe(&["t"]) } else { describe(&["tb-1"]) };
                assert_eq!(asked, expected);
                Ok(told(&asked, if to == at(0, 2) { 0 } else { 105 }))
            });
        let seen: Vec<_> =
            answer.transaction_states.iter().map(|one| (&**one.transactional_id, one.error_code)).collect();
        assert_eq!((seen, effects.len()), (vec![("t", 0), ("tb-1", 105), ("t", 0)], 0));
    }

    #[test]
    fn one_that_is_not_answered_is_asked_for_again() {
        let mut world = World::default().transacting(0, "t", 2);
        let gone = |to, _| Err(Fault::upstream(to, true, "gone"));
        let (answer, effects) = round::<DescribeTransactions>(&describe(&["t"]), &world.seen(0), gone);
        assert_eq!(answer.transaction_states[0].error_code, 16);
        assert_eq!(effects, [Effect::ForgetCoordinator(slot(0), CoordinatorType::Transaction, text("t"))]);
        world.refuse_needs::<DescribeTransactions>(&describe(&["t", "u"]), 0, &Refusal::Code(53));
        let all_well = |_, asked: DescribeTransactionsRequest| Ok(told(&asked, 0));
        let (answer, _) = round::<DescribeTransactions>(&describe(&["t", "u"]), &world.seen(0), all_well);
        let codes: Vec<_> = answer.transaction_states.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 53]);
    }

    fn listed(ids: &[&str]) -> ListTransactionsResponse {
        let state = |id: &&str| ListedState::default().with_transactional_id(TransactionalId(text(id)));
        ListTransactionsResponse::default()
            .with_transaction_states(ids.iter().map(state).collect())
            .with_unknown_state_filters(vec![text("Odd")])
    }

    #[test]
    fn the_list_is_put_together_from_all_brokers_and_shows_an_id_from_its_home() {
        let world = World::default();
        let (answer, _) = round::<ListTransactions>(&ListTransactionsRequest::default(), &world.seen(2), |to, _| {
            Ok(match (to.cluster.number(), to.broker.0) {
                (0, 1) => listed(&["t", "tb-left-over"]),
                (0, 2) => listed(&["u", "t"]),
                (1, 1) => listed(&["tb-1", "t"]),
                _ => listed(&[]),
            })
        });
        let mut ids: Vec<_> = answer.transaction_states.iter().map(|one| one.transactional_id.to_string()).collect();
        ids.sort();
        assert_eq!(ids, ["t", "tb-1", "u"]);
        assert_eq!((answer.error_code, answer.unknown_state_filters), (0, vec![text("Odd")]));
    }

    #[test]
    fn a_list_that_lacks_a_brokers_part_says_so() {
        let world = World::default();
        let (answer, _) = round::<ListTransactions>(&ListTransactionsRequest::default(), &world.seen(2), |to, _| {
            if to.broker.0 == 1 { Err(Fault::upstream(to, true, "gone")) } else { Ok(listed(&[])) }
        });
        assert_eq!(answer.error_code, 15);
    }

    #[test]
    fn a_cluster_that_no_transactional_id_lives_on_is_not_asked() {
        let mut world = World::default();
        let mut config = crate::config::Config::clone(&world.placement.config);
        config
            .pipelines
            .iter_mut()
            .filter(|one| one.cluster == slot(1))
            .for_each(|one| one.transactional_ids = Patterns::default());
        world.placement.config = Arc::new(config);
        world.placement.clusters[1].up = false;
        let (answer, _) = round::<ListTransactions>(&ListTransactionsRequest::default(), &world.seen(2), |to, _| {
            assert_eq!(to.cluster, slot(0));
            Ok(listed(&["t"]))
        });
        assert_eq!((answer.error_code, answer.transaction_states.len()), (0, 1));
    }

    #[test]
    fn a_list_that_lacks_a_cluster_says_so_beside_what_the_others_tell() {
        let mut world = World::default();
        let down = |world: &mut World, at: usize| world.placement.clusters[at].up = false;
        down(&mut world, 1);
        let list = |world: &World| {
            round::<ListTransactions>(&ListTransactionsRequest::default(), &world.seen(2), |_, _| Ok(listed(&["t"]))).0
        };
        let answer = list(&world);
        assert_eq!((answer.error_code, answer.transaction_states.len()), (15, 1));
        // Where nothing is up, there is nobody to ask.
        down(&mut world, 0);
        let answer = list(&world);
        assert_eq!((answer.error_code, answer.transaction_states.len()), (15, 0));
    }

    #[test]
    fn what_an_old_broker_cannot_select_is_refused() {
        let asked = ListTransactionsRequest::default().with_duration_filter(5);
        let asked = asked.with_transactional_id_pattern(Some(text("t.*")));
        let origin = |by_duration, by_pattern| Listed { cluster: slot(0), by_duration, by_pattern };
        let mut lowered = asked.clone();
        ListTransactions::lower(&mut lowered, 0);
        assert_eq!(lowered, ListTransactionsRequest::default());
        for (version, by_duration, by_pattern, code) in
            [(0, true, false, 35), (0, false, false, 0), (1, true, false, 0), (1, true, true, 35), (2, true, true, 0)]
        {
            let mut answer = listed(&["t"]);
            ListTransactions::raise(&mut answer, &origin(by_duration, by_pattern), version);
            assert_eq!((answer.error_code, answer.transaction_states.is_empty()), (code, code != 0));
        }
    }

    #[test]
    fn very_many_transactional_ids_keep_nobody_waiting() {
        // Given a request about more of them than anybody has, of one coordinator that tells of them in an order of its own or not at all
        let (world, began) = (World::default(), Effort::begin());
        let coordinator = |_: Slot, _: CoordinatorType, _: &str| Some(BrokerId(1));
        let seen = Seen { coordinator: &coordinator, ..world.seen(0) };
        let ids = (0..60_000).map(|number| TransactionalId(text(&number.to_string()))).collect();
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        for (answers, code) in [(true, 0), (false, 16)] {
            let (answer, _) = round::<DescribeTransactions>(&request, &seen, |to, mut asked| {
                asked.transactional_ids.reverse();
                if answers { Ok(told(&asked, 0)) } else { Err(Fault::upstream(to, true, "gone")) }
            });
            assert!(answer.transaction_states.len() == 60_000);
            assert!(answer.transaction_states.iter().all(|one| one.error_code == code));
        }
        // Then each is answered for, and it does not take the square of that
        began.must_be_small();
    }
}
