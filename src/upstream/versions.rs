//! What one broker speaks, as it told the link when it opened.

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use std::collections::BTreeMap;

/// A broker's table of APIs and versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<i16, (i16, i16)>);

impl Versions {
    /// Out of the broker's answer.
    #[must_use]
    pub fn of(answer: &ApiVersionsResponse) -> Self {
        Self(answer.api_keys.iter().map(|row| (row.api_key, (row.min_version, row.max_version))).collect())
    }

    /// The version to speak where `wanted` is best: that one where the broker has it, else the broker's nearest.
    /// `None` where it lacks the API.
    #[must_use]
    pub fn nearest(&self, api: ApiKey, wanted: i16) -> Option<i16> {
        self.0.get(&(api as i16)).map(|(min, max)| wanted.max(*min).min(*max))
    }

    /// The APIs it speaks: key, lowest and highest version.
    pub fn iter(&self) -> impl Iterator<Item = (i16, i16, i16)> + '_ {
        self.0.iter().map(|(api, (min, max))| (*api, *min, *max))
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
}
