//! DescribeClientQuotas and AlterClientQuotas: no cluster owns a client, so a quota is set on every one, and what all
//! have is told together. Each broker holds a client to its quota by itself, as in one cluster. Where clusters have
//! different values of one quota the smaller is told.

use crate::api::Seen;
use crate::api::everywhere::{
    Changes, Merged, UNHEARD, Where, Word, add_each, asked_everywhere, changed_where_it_belongs, join,
};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::types::Slot;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData as Entity, EntryData as Entry};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, ApiKey, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, alter_client_quotas_request, alter_client_quotas_response,
};
use kafka_protocol::protocol::StrBytes;

asked_everywhere!(DescribeClientQuotas, DescribeClientQuotasRequest, DescribeClientQuotasResponse);

impl Merged for DescribeClientQuotas {
    fn unheard() -> Self::Response {
        let answer = DescribeClientQuotasResponse::default().with_error_code(UNHEARD);
        answer.with_error_message(None).with_entries(Some(Vec::new()))
    }

    fn merge(so_far: &mut Self::Response, told: Self::Response, from: Slot, seen: &Seen<'_>) {
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(told.throttle_time_ms);
        let why = scrubbed_message(told.error_message, from, seen.placement);
        Self::fail(so_far, Word { code: told.error_code, why });
        // Null with an error, as Kafka has it.
        let Some(all) = so_far.entries.as_mut() else { return };
        let mut told = told.entries.unwrap_or_default();
        told.iter_mut().for_each(Untag::untag);
        add_each(all, told, |entry| who(&entry.entity), put_together);
    }

    fn fail(so_far: &mut Self::Response, word: Word) {
        join(&mut so_far.error_code, &mut so_far.error_message, word, UNHEARD);
        if !matches!(so_far.error_code, UNHEARD | crate::api::codes::NONE) {
            so_far.entries = None;
        }
    }
}

/// The parts, which come in any order.
fn who(entity: &[Entity]) -> Vec<(StrBytes, Option<StrBytes>)> {
    let mut parts: Vec<_> = entity.iter().map(|part| (part.entity_type.clone(), part.entity_name.clone())).collect();
    parts.sort_unstable();
    parts
}

fn put_together(known: &mut Entry, entry: Entry) {
    for value in entry.values {
        match known.values.iter_mut().find(|known| known.key == value.key) {
            Some(known) => known.value = known.value.min(value.value),
            None => known.values.push(value),
        }
    }
}

changed_where_it_belongs!(AlterClientQuotas, AlterClientQuotasRequest, AlterClientQuotasResponse {});

impl Changes for AlterClientQuotas {
    type Change = alter_client_quotas_request::EntryData;
    type Told = alter_client_quotas_response::EntryData;
    type Key = Vec<(StrBytes, Option<StrBytes>)>;

    fn changes(request: &Self::Request) -> Vec<Self::Change> {
        request.entries.clone()
    }

    fn request(request: &Self::Request, changes: Vec<Self::Change>) -> Self::Request {
        request.clone().with_entries(changes)
    }

    fn place(_: &Self::Change, _: &Seen<'_>) -> Result<Where, Word> {
        Ok(Where::Everywhere)
    }

    fn unheard(change: &Self::Change) -> Self::Told {
        let part = |part: &alter_client_quotas_request::EntityData| {
            alter_client_quotas_response::EntityData::default()
                .with_entity_type(part.entity_type.clone())
                .with_entity_name(part.entity_name.clone())
        };
        let told = Self::Told::default().with_error_code(UNHEARD).with_error_message(None);
        told.with_entity(change.entity.iter().map(part).collect())
    }

    fn told(answer: &mut Self::Response) -> &mut Vec<Self::Told> {
        &mut answer.entries
    }

    fn throttle_ms(answer: &mut Self::Response) -> &mut i32 {
        &mut answer.throttle_time_ms
    }

    fn word(told: &mut Self::Told) -> (&mut i16, &mut Option<StrBytes>) {
        (&mut told.error_code, &mut told.error_message)
    }

    /// The same parts in any order.
    fn key(told: &Self::Told, _: usize) -> Self::Key {
        let part =
            |part: &alter_client_quotas_response::EntityData| (part.entity_type.clone(), part.entity_name.clone());
        let mut parts: Vec<_> = told.entity.iter().map(part).collect();
        parts.sort_unstable();
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, text};
    use crate::error::Fault;
    use kafka_protocol::messages::describe_client_quotas_response::ValueData;

    fn entry(client: &str, values: &[(&str, f64)]) -> Entry {
        let value = |(key, value): &(&str, f64)| ValueData::default().with_key(text(key)).with_value(*value);
        let entity = Entity::default().with_entity_type(text("client-id")).with_entity_name(Some(text(client)));
        Entry::default().with_entity(vec![entity]).with_values(values.iter().map(value).collect())
    }

    #[test]
    fn quotas_of_all_clusters_are_one_list() {
        let (answer, _) = round::<DescribeClientQuotas>(&Default::default(), &World::default().seen(1), |to, _| {
            let told = if to == at(0, 2) {
                vec![entry("x", &[("producer_byte_rate", 9.0)]), entry("y", &[])]
            } else {
                vec![entry("x", &[("producer_byte_rate", 5.0), ("request_percentage", 1.0)])]
            };
            Ok(DescribeClientQuotasResponse::default().with_entries(Some(told)))
        });
        let both = entry("x", &[("producer_byte_rate", 5.0), ("request_percentage", 1.0)]);
        assert_eq!((answer.error_code, answer.entries), (0, Some(vec![both, entry("y", &[])])));
    }

    #[test]
    fn a_list_that_lacks_a_cluster_is_none() {
        let (answer, _) = round::<DescribeClientQuotas>(&Default::default(), &World::default().seen(1), |to, _| {
            let told = DescribeClientQuotasResponse::default().with_entries(Some(vec![entry("x", &[])]));
            if to == at(0, 2) { Err(Fault::upstream(to, true, "gone")) } else { Ok(told) }
        });
        assert_eq!((answer.error_code, answer.entries), (7, None));
        assert!(answer.error_message.is_some_and(|why| why.contains("`a` did not answer")));
    }

    #[test]
    fn a_quota_is_set_on_every_cluster() {
        let entity = alter_client_quotas_request::EntityData::default()
            .with_entity_type(text("user"))
            .with_entity_name(Some(text("u")));
        let change = alter_client_quotas_request::EntryData::default().with_entity(vec![entity]);
        let request = AlterClientQuotasRequest::default().with_entries(vec![change]).with_validate_only(true);
        let mut asked = Vec::new();
        let (answer, _) = round::<AlterClientQuotas>(&request, &World::default().seen(1), |to, part| {
            assert_eq!(part, request);
            asked.push(to);
            let code = if to == at(1, 2) { 42 } else { 0 };
            let told = AlterClientQuotas::unheard(&part.entries[0]).with_error_code(code);
            Ok(AlterClientQuotasResponse::default().with_entries(vec![told]))
        });
        assert_eq!((asked, answer.entries.len()), (vec![at(0, 2), at(1, 2)], 1));
        assert_eq!(answer.entries[0].error_code, 42);
        assert_eq!(answer.entries[0].error_message, Some(text("On cluster `b`: INVALID_REQUEST")));
    }

    #[test]
    fn very_many_quotas_keep_nobody_waiting() {
        // Given two clusters with quotas for more clients than anybody has, told in another order by each
        let began = Effort::begin();
        let (answer, _) = round::<DescribeClientQuotas>(&Default::default(), &World::default().seen(1), |to, _| {
            let mut all: Vec<_> = (0..60_000).map(|number: i32| entry(&number.to_string(), &[("x", 1.0)])).collect();
            if to.cluster.number() == 1 {
                all.reverse();
            }
            Ok(DescribeClientQuotasResponse::default().with_entries(Some(all)))
        });
        // Then each is told once, and it does not take the square of that
        let all = answer.entries.unwrap();
        assert!(all.len() == 60_000 && all.iter().all(|entry| entry.values.len() == 1));
        began.must_be_small();
    }
}
