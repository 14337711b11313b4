//! The feature that clients are shown (KIP-584): `transaction.version`, and what it may be shown together with. A client that
//! sees version 2 writes without having told the coordinator first, and trusts that the broker does so for it: brokers do,
//! in the versions of these APIs that say so. Shown with lower ones, every transaction fails (protocol-rules 8).

use kafka_protocol::messages::ApiKey;

/// Kafka's name of it.
pub const TRANSACTION_VERSION: &str = "transaction.version";
/// What may be shown.
pub const TRANSACTION_VERSIONS: std::ops::RangeInclusive<i16> = 1..=2;

/// The versions of APIs, at least, that a `transaction.version` needs: the one place that ties them.
#[must_use]
pub const fn needs(transaction_version: i16) -> &'static [(ApiKey, i16)] {
    match transaction_version {
        ..2 => &[],
        2.. => &[(ApiKey::Produce, 12), (ApiKey::EndTxn, 5), (ApiKey::TxnOffsetCommit, 5)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::versions::served;
    use super::*;

    #[test]
    fn what_is_shown_with_a_transaction_version_is_served() {
        for version in TRANSACTION_VERSIONS {
            for (api, least) in needs(version) {
                assert!(served(*api as i16).is_some_and(|row| row.max >= *least), "{version}: {api:?} {least}");
            }
        }
    }

    #[test]
    fn no_client_is_shown_what_only_brokers_say_to_each_other() {
        assert_eq!(served(ApiKey::WriteTxnMarkers as i16), None);
    }
}
