//! What one broker speaks, as it told when it was asked; and what its cluster has agreed on, where it told that too.

use crate::wire::features::{self, TRANSACTION_VERSION};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use std::collections::BTreeMap;

/// A broker's table of APIs and versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    apis: BTreeMap<i16, (i16, i16)>,
    /// The finalized `transaction.version`; 0 where it has none.
    transactions: i16,
}

impl Versions {
    /// Out of the broker's answer.
    #[must_use]
    pub fn of(answer: &ApiVersionsResponse) -> Self {
        let apis = answer.api_keys.iter().map(|row| (row.api_key, (row.min_version, row.max_version))).collect();
        let of_transactions = answer.finalized_features.iter().find(|feature| &*feature.name == TRANSACTION_VERSION);
        Self { apis, transactions: of_transactions.map_or(0, |feature| feature.max_version_level) }
    }

    /// The version to speak where `wanted` is best: that one where the broker has it, else the broker's nearest.
    /// `None` where it lacks the API.
    #[must_use]
    pub fn nearest(&self, api: ApiKey, wanted: i16) -> Option<i16> {
        self.apis.get(&(api as i16)).map(|(min, max)| wanted.max(*min).min(*max))
    }

    /// The highest version of an API that it speaks; `None` where it lacks it.
    #[must_use]
    pub fn highest(&self, api: ApiKey) -> Option<i16> {
        self.apis.get(&(api as i16)).map(|(_, max)| *max)
    }

    /// The APIs it speaks: key, lowest and highest version.
    pub fn iter(&self) -> impl Iterator<Item = (i16, i16, i16)> + '_ {
        self.apis.iter().map(|(api, (min, max))| (*api, *min, *max))
    }

    /// What it lacks so that its clients may be shown this `transaction.version`, in words. It is asked with a version of
    /// ApiVersions that has features.
    #[must_use]
    pub fn lacks_for_transactions(&self, version: i16) -> Option<String> {
        // The first is what a cluster without the feature does.
        if version > 1 && self.transactions < version {
            return Some(format!("its {TRANSACTION_VERSION} is {}", self.transactions));
        }
        let has = |(api, least): &&(ApiKey, i16)| self.apis.get(&(*api as i16)).is_some_and(|(_, max)| max >= least);
        features::needs(version)
            .iter()
            .find(|needed| !has(needed))
            .map(|(api, least)| format!("it lacks {api:?} {least}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    #[test]
    fn the_wanted_version_or_the_nearest() {
        let row = ApiVersion::default().with_api_key(1).with_min_version(4).with_max_version(12);
        let versions = Versions::of(&ApiVersionsResponse::default().with_api_keys(vec![row]));
        assert_eq!(versions.nearest(ApiKey::Fetch, 11), Some(11));
        assert_eq!(versions.nearest(ApiKey::Fetch, 17), Some(12));
        assert_eq!(versions.nearest(ApiKey::Fetch, 0), Some(4));
        assert_eq!(versions.nearest(ApiKey::Produce, 9), None);
    }

    #[test]
    fn a_cluster_without_version_2_of_transactions_is_told() {
        use kafka_protocol::messages::api_versions_response::FinalizedFeatureKey;
        use kafka_protocol::protocol::StrBytes;
        let versions = |end_txn: i16, finalized: Option<i16>| {
            let row = |api: ApiKey, max| ApiVersion::default().with_api_key(api as i16).with_max_version(max);
            let rows = vec![row(ApiKey::Produce, 13), row(ApiKey::EndTxn, end_txn), row(ApiKey::TxnOffsetCommit, 5)];
            let feature = |level| {
                let name = StrBytes::from_static_str(TRANSACTION_VERSION);
                FinalizedFeatureKey::default().with_name(name).with_max_version_level(level)
            };
            let features = finalized.map(feature).into_iter().collect();
            Versions::of(&ApiVersionsResponse::default().with_api_keys(rows).with_finalized_features(features))
        };
        assert_eq!(versions(5, Some(2)).lacks_for_transactions(2), None);
        assert_eq!(versions(5, Some(1)).lacks_for_transactions(2).as_deref(), Some("its transaction.version is 1"));
        assert_eq!(versions(5, None).lacks_for_transactions(2).as_deref(), Some("its transaction.version is 0"));
        assert_eq!(versions(4, Some(2)).lacks_for_transactions(2).as_deref(), Some("it lacks EndTxn 5"));
        assert_eq!(versions(4, None).lacks_for_transactions(1), None);
    }
}
