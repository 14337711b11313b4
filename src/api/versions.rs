//! ApiVersions: our own table, whatever any cluster knows.

use super::codes;
use crate::wire::versions::{SERVED, Served, served};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

/// The answer, and the version it must be written in. A version that we do not have is answered 35 in version 0, with
/// nothing but the row of ApiVersions itself, as Kafka does (KIP-511): franz-go takes a whole table for the answer, and
/// asks no more with a version in which it could say its name.
#[must_use]
pub fn answer(version: i16) -> (ApiVersionsResponse, i16) {
    let own = served(ApiKey::ApiVersions as i16);
    if own.is_some_and(|row| (row.min..=row.max).contains(&version)) {
        return (table(SERVED.iter()), version);
    }
    (table(own.iter()).with_error_code(codes::UNSUPPORTED_VERSION), 0)
}

fn table<'a>(rows: impl Iterator<Item = &'a Served>) -> ApiVersionsResponse {
    let row = |row: &Served| {
        ApiVersion::default().with_api_key(row.api as i16).with_min_version(row.min).with_max_version(row.max)
    };
    ApiVersionsResponse::default().with_api_keys(rows.map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_answered_35_in_version_0_with_the_versions_to_ask_in() {
        let (answer, version) = answer(5);
        assert_eq!((answer.error_code, version), (35, 0));
        let rows: Vec<_> = answer.api_keys.iter().map(|row| (row.api_key, row.max_version)).collect();
        assert_eq!(rows, [(ApiKey::ApiVersions as i16, 4)]);
    }

    #[test]
    fn every_answer_bears_the_same_table() {
        assert_eq!(answer(0).0.api_keys, answer(4).0.api_keys);
        assert_eq!(
            answer(4).0.api_keys.iter().filter(|row| row.api_key == 0).map(|row| row.min_version).max(),
            Some(0)
        );
    }
}
