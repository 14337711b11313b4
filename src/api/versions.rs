//! ApiVersions: our own table, whatever any cluster knows.

use super::codes;
use crate::wire::versions::{SERVED, served};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

/// The answer, and the version it must be written in: one that we do not have is answered 35 in version 0, with the
/// table all the same (KIP-511).
#[must_use]
pub fn answer(version: i16) -> (ApiVersionsResponse, i16) {
    let row = |row: &crate::wire::versions::Served| {
        ApiVersion::default().with_api_key(row.api as i16).with_min_version(row.min).with_max_version(row.max)
    };
    let table = ApiVersionsResponse::default().with_api_keys(SERVED.iter().map(row).collect());
    let known = served(ApiKey::ApiVersions as i16).is_some_and(|row| (row.min..=row.max).contains(&version));
    if known { (table, version) } else { (table.with_error_code(codes::UNSUPPORTED_VERSION), 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_answered_35_in_version_0_with_the_table() {
        let (answer, version) = answer(5);
        assert_eq!((answer.error_code, version), (35, 0));
        assert_eq!(answer.api_keys.len(), SERVED.len());
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
