//! The list of metrics is held against what is exported, and the page against the list.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use fishplate::telemetry::catalogue::{FAMILIES, Of, family, page};
use fishplate::telemetry::{MeterKey, PoolFacts, Telemetry, Use};
use fishplate::types::Guise;
use std::collections::BTreeSet;

#[test]
fn the_registry_has_every_metric_of_the_list_and_no_other() {
    let text = everything_counted_once();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let there: BTreeSet<_> = types.collect();
    // The others are written beside the registry.
    let listed = FAMILIES.iter().filter(|family| family.of < Of::Lag);
    let listed: BTreeSet<_> = listed.map(|family| (family.name, family.kind.as_str())).collect();
    assert_eq!(there, listed);
}

#[test]
fn series_have_the_labels_of_the_list() {
    let text = everything_counted_once();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = family(name).expect(name);
        let inside = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels: BTreeSet<_> = inside.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
        let labels: BTreeSet<_> = labels.into_iter().filter(|label| *label != "le").collect();
        assert_eq!(labels, family.labels.iter().copied().collect(), "{line}");
    }
}

#[test]
fn names_say_what_they_are() {
    let mut seen = BTreeSet::new();
    for one in FAMILIES {
        assert!(seen.insert(one.name), "{} stands twice", one.name);
        assert!(!one.means.is_empty() && one.means.ends_with('.'), "{}", one.name);
        if one.of != Of::Compatibility {
            assert!(one.name.starts_with("fishplate_"), "{}", one.name);
        }
        assert_eq!(one.kind.as_str() == "counter", one.name.ends_with("_total"), "{}", one.name);
    }
    assert_eq!(family("fishplate_upstream_duration_seconds_bucket").map(|one| one.labels), Some(&["cluster"][..]));
    assert_eq!(family("fishplate_sessions_bucket"), None, "a gauge has none");
    let interval = |part| family(&format!("fishplate_group_commit_interval_seconds{part}")).is_some();
    assert_eq!(["_sum", "_count", "_bucket"].map(interval), [true, true, false], "a summary of ours has no quantiles");
}

#[test]
fn the_page_is_what_the_list_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("FISHPLATE_WRITE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page(), "docs/metrics.md is old: FISHPLATE_WRITE=1 cargo test --test metrics");
}

/// A family that counted nothing yet is not in the text, so each is given something.
fn everything_counted_once() -> String {
    let telemetry = Telemetry::new().unwrap();
    telemetry.meter(&MeterKey::ours("ApiVersions")).error_code("UNSUPPORTED_VERSION");
    let cluster = telemetry.cluster(&"a".into());
    cluster.metadata_refreshed(true);
    cluster.link_failed(Guise::OWN, "connect");
    let alice = Guise::Identity { name: "alice".into(), who: "PLAIN as alice".into() };
    cluster.link_failed(&alice, "login");
    drop(cluster.link_opened(Use::Session, &alice));
    cluster.token_fetched(true);
    cluster.set_up(true);
    drop(cluster.link_opened(Use::Own, Guise::OWN));
    telemetry.session_refused("sessions");
    telemetry.memory("requests", PoolFacts::default());
    telemetry.session_opened().client("x", "1", fishplate::types::View::Single);
    telemetry.config().reloaded("applied", 1);
    telemetry.handshake_failed("io");
    let listener = "127.0.0.1:9093".parse().unwrap();
    telemetry.logins().began(listener, std::iter::once("PLAIN"), 1);
    telemetry.logins().held(listener, std::time::Duration::from_secs(1));
    telemetry.logins().reloaded(listener, Some(1));
    telemetry.logins().takes_tokens(listener);
    telemetry.logins().keys_read(listener, true);
    telemetry.certificates().holds_until("listener", "127.0.0.1:9093", "certificate", 1);
    telemetry.admin().began(Some(1));
    telemetry.admin().refused("no_token");
    telemetry.denied("Write", "Topic");
    telemetry.misplaced(1, 0);
    telemetry.task_restarted("metadata");
    let policy = telemetry.policy(&"p".into());
    policy.limit("l", "drop").said(1, 0, 0);
    policy.broken("dlq", 1);
    policy.moved("dlq", 1);
    policy.lane_clock("dlq").stop();
    policy.refused("contract");
    telemetry.render().unwrap()
}
