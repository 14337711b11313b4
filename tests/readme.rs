//! README's config, and the metrics that it names, are held against the program.

#![allow(clippy::unwrap_used, reason = "a test fails so")]

use fishplate::config::Reading;
use fishplate::telemetry::catalogue;

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
fn the_readme_names_no_metric_that_is_not_there() {
    let named = README.split('`').filter(|word| word.starts_with("fishplate_"));
    let unknown: Vec<_> = named.filter(|name| catalogue::family(name).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
