//! ApiVersions: our own table, whatever any cluster knows, and the `transaction.version` of the config.

use crate::api::codes;
use crate::wire::features::{TRANSACTION_VERSION, TRANSACTION_VERSIONS};
use crate::wire::versions::{SERVED, Served, served};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

/// From this version on an answer has features.
const FEATURES: i16 = 3;

/// The answer, and the version it must be written in. A version that we do not have is answered 35 in version 0, with
/// nothing but the row of ApiVersions itself, as Kafka does (KIP-511): franz-go takes a whole table for the answer, and
/// asks no more with a version in which it could say its name.
#[must_use]
pub fn answer(version: i16, transaction_version: i16) -> (ApiVersionsResponse, i16) {
    let own = served(ApiKey::ApiVersions as i16);
    if own.is_some_and(|row| (row.min..=row.max).contains(&version)) {
        let table = table(SERVED.iter());
        let table = if version >= FEATURES { with_feature(table, transaction_version) } else { table };
        return (table, version);
    }
    (table(own.iter()).with_error_code(codes::UNSUPPORTED_VERSION), 0)
}

fn table<'a>(rows: impl Iterator<Item = &'a Served>) -> ApiVersionsResponse {
    let row = |row: &Served| {
        ApiVersion::default().with_api_key(row.api as i16).with_min_version(row.min).with_max_version(row.max)
    };
    ApiVersionsResponse::default().with_api_keys(rows.map(row).collect())
}

/// Clients heed what is finalized where its epoch is higher than the one they know (AK `ApiVersions.update`): the version
/// itself is one that all replicas agree on. It can be set from 1 on, and so a client of any version may be told of it:
/// of features that begin at 0 those before ApiVersions 4 must not hear (KIP-1022).
fn with_feature(answer: ApiVersionsResponse, version: i16) -> ApiVersionsResponse {
    let name = StrBytes::from_static_str(TRANSACTION_VERSION);
    let supported = SupportedFeatureKey::default()
        .with_name(name.clone())
        .with_min_version(*TRANSACTION_VERSIONS.start())
        .with_max_version(*TRANSACTION_VERSIONS.end());
    let finalized =
        FinalizedFeatureKey::default().with_name(name).with_min_version_level(version).with_max_version_level(version);
    answer
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(version.into())
        .with_finalized_features(vec![finalized])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_answered_35_in_version_0_with_the_versions_to_ask_in() {
        let (answer, version) = answer(5, 2);
        assert_eq!((answer.error_code, version, answer.finalized_features.len()), (35, 0, 0));
        let rows: Vec<_> = answer.api_keys.iter().map(|row| (row.api_key, row.max_version)).collect();
        assert_eq!(rows, [(ApiKey::ApiVersions as i16, 4)]);
    }

    #[test]
    fn every_answer_bears_the_same_table() {
        assert_eq!(answer(0, 1).0.api_keys, answer(4, 2).0.api_keys);
        assert_eq!(
            answer(4, 1).0.api_keys.iter().filter(|row| row.api_key == 0).map(|row| row.min_version).max(),
            Some(0)
        );
    }

    #[test]
    fn the_transaction_version_of_the_config_is_shown_from_version_3_on() {
        for (asked, transactions) in [(3, 1), (4, 1), (3, 2), (4, 2)] {
            let answer = answer(asked, transactions).0;
            let told: Vec<_> = answer
                .finalized_features
                .iter()
                .map(|one| (&*one.name, one.min_version_level, one.max_version_level))
                .collect();
            assert_eq!(told, [("transaction.version", transactions, transactions)]);
            assert_eq!(answer.finalized_features_epoch, i64::from(transactions), "a change is heeded");
            assert!(answer.supported_features.iter().all(|one| one.min_version > 0));
        }
        let old = answer(2, 2).0;
        assert_eq!((old.finalized_features.len(), old.supported_features.len()), (0, 0));
    }
}
