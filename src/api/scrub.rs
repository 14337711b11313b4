//! Free text from a cluster (error messages, config values) may name its brokers. Their hosts are known, from the
//! metadata and from the config, and are taken out; what a text says besides stays, for it is why an operator asked.

use crate::placement::Placement;
use crate::types::Slot;
use kafka_protocol::protocol::StrBytes;

/// What stands where a host stood.
const HIDDEN: &str = "(hidden)";

/// Whether a text names a host of a cluster.
#[must_use]
pub fn names_host(text: &str, cluster: Slot, placement: &Placement) -> bool {
    hosts(cluster, placement).any(|host| find(text, host).is_some())
}

/// The text without the hosts of a cluster, each with the port that follows it.
#[must_use]
pub fn scrubbed(text: StrBytes, cluster: Slot, placement: &Placement) -> StrBytes {
    if !names_host(&text, cluster, placement) {
        return text;
    }
    let clean = hosts(cluster, placement).fold(text.to_string(), |text, host| without(&text, host));
    StrBytes::from_string(clean)
}

/// The same for a text that may be missing.
#[must_use]
pub fn scrubbed_message(text: Option<StrBytes>, cluster: Slot, placement: &Placement) -> Option<StrBytes> {
    text.map(|text| scrubbed(text, cluster, placement))
}

/// What is before and after a host in a text: as a name of its own, not as a part of a longer one.
fn find<'t>(text: &'t str, host: &str) -> Option<(&'t str, &'t str)> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let alone = |before: &str, after: &str| {
        let goes_on = after.strip_prefix('.').unwrap_or(after).starts_with(of_name);
        !before.ends_with(|c| of_name(c) || c == '.') && !goes_on
    };
    let at = |(at, _)| Some((text.get(..at)?, text.get(at + host.len()..)?));
    text.match_indices(host).filter_map(at).find(|(before, after)| alone(before, after))
}

fn without(text: &str, host: &str) -> String {
    let Some((before, after)) = find(text, host) else { return text.to_owned() };
    let digit = |c: char| c.is_ascii_digit();
    let port = after.strip_prefix("]:").or_else(|| after.strip_prefix(':')).filter(|port| port.starts_with(digit));
    let after = port.map_or(after, |port| port.trim_start_matches(digit));
    format!("{before}{HIDDEN}{}", without(after, host))
}

fn hosts(cluster: Slot, placement: &Placement) -> impl Iterator<Item = &str> {
    let brokers = placement.cluster(cluster).into_iter().flat_map(|place| place.snapshot.brokers.values());
    let configured = placement.config.clusters.iter().filter(move |config| config.slot == cluster);
    let bootstrap = configured.flat_map(|config| &config.bootstrap).map(|address| &*address.host);
    brokers.map(|broker| &*broker.address.host).chain(bootstrap).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, text};
    use crate::placement::build::tests::slot;

    #[test]
    fn hosts_go_with_their_ports_and_the_rest_stays() {
        let world = World::default();
        let scrub = |told: &str| scrubbed(text(told), slot(1), &world.placement).to_string();
        assert_eq!(scrub("no such topic: b-1"), "no such topic: b-1");
        assert_eq!(scrub("at secret-b-1.internal:9092, secret-b-2.internal: down"), "at (hidden), (hidden): down");
        assert_eq!(scrub("sub.b.example b.example.org b.example."), "sub.b.example b.example.org (hidden).");
        assert_eq!(scrub("PLAINTEXT://b.example:1"), "PLAINTEXT://(hidden)");
        assert_eq!(scrub("secret-a-1.internal"), "secret-a-1.internal", "another cluster's never come from this one");
    }
}
