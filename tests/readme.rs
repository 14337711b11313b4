//! README's config and its table of metrics are held against the program.

#![allow(clippy::unwrap_used, reason = "a test fails so")]

use fishplate::config::Reading;
use fishplate::telemetry::{MeterKey, PoolFacts, Telemetry, Use};
use std::collections::BTreeSet;

const README: &str = include_str!("../README.md");

#[test]
fn the_config_in_the_readme_has_no_mistake() {
    let (_, rest) = README.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let reading = Reading::of_text("README.md", text);
    assert!(reading.found.is_empty(), "{}", reading.found);
    assert_eq!(reading.config, Reading::of_text("minimal.yaml", include_str!("../config/minimal.yaml")).config);
}

#[test]
fn the_readme_names_every_metric_and_no_other() {
    let named = README.split('`').filter(|word| word.starts_with("fishplate_")).collect::<BTreeSet<_>>();
    let text = everything_counted_once();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let there = types.filter_map(|rest| rest.split(' ').next()).collect::<BTreeSet<_>>();
    assert_eq!(named, there);
}

/// A family that counted nothing yet is not in the text, so each is given something.
fn everything_counted_once() -> String {
    let telemetry = Telemetry::new().unwrap();
    telemetry.meter(&MeterKey::ours("ApiVersions")).error_code("UNSUPPORTED_VERSION");
    let cluster = telemetry.cluster(&"a".into());
    cluster.metadata_refreshed(true);
    cluster.link_failed("connect");
    cluster.set_up(true);
    drop(cluster.link_opened(Use::Own));
    telemetry.session_refused("sessions");
    telemetry.memory("requests", PoolFacts::default());
    telemetry.session_opened().client("x", "1", fishplate::types::View::Single);
    telemetry.config().reloaded("applied", 1);
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
