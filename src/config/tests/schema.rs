//! The schema, the sample that has every key, and what is read agree.

use super::*;

#[test]
fn the_checked_in_schema_is_the_schema() {
    let checked_in = fs::read_to_string("config/schema.json").expect("config/schema.json");
    let now = schema().expect("a schema");
    assert_eq!(checked_in, now, "it has changed: cargo run -- schema > config/schema.json");
}

/// The keys of a map in the schema.
fn keys(schema: &serde_json::Value, pointer: &str) -> Vec<String> {
    let map = schema.pointer(pointer).and_then(serde_json::Value::as_object).expect(pointer);
    map.keys().cloned().collect()
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(&schema().expect("a schema")).expect("JSON");
    // Each key with a value of a wrong type: a key that is not read would be unknown.
    for (pointer, before, after) in [
        ("/properties", "", ""),
        ("/$defs/Listener/properties", "listeners: [{ ", " }]"),
        ("/$defs/Cluster/properties", "clusters: { a: { ", " } }"),
        ("/$defs/Pipeline/properties", "pipelines: [{ ", " }]"),
        ("/$defs/Tls/properties", "listeners: [{ tls: { ", " } }]"),
        ("/$defs/ClientTls/properties", "clusters: { a: { tls: { ", " } } }"),
        ("/$defs/Sasl/properties", "listeners: [{ sasl: { ", " } }]"),
        ("/$defs/Oauthbearer/properties", "listeners: [{ sasl: { oauthbearer: { ", " } } }]"),
        ("/$defs/Login/properties", "clusters: { a: { sasl: { ", " } } }"),
        ("/$defs/Admin/properties", "admin: { ", " }"),
        ("/$defs/AdminTls/properties", "admin: { tls: { ", " } }"),
        ("/$defs/Memory/properties", "memory: { ", " }"),
        ("/$defs/Limits/properties", "limits: { ", " }"),
        ("/$defs/Contract/properties", "pipelines: [{ contract: { ", " } }]"),
        ("/$defs/HeaderRule/properties", "pipelines: [{ contract: { headers: { a: { ", " } } } }]"),
        ("/$defs/Limit/properties", "pipelines: [{ limits: [{ ", " }] }]"),
        ("/$defs/Stamp/properties", "pipelines: [{ limits: [{ stamp: { ", " } }] }]"),
        ("/$defs/Lanes/properties", "pipelines: [{ lanes: { ", " } }]"),
        ("/$defs/Lane/properties", "pipelines: [{ lanes: { dlq: { ", " } } }]"),
        ("/$defs/Canary/properties", "pipelines: [{ canaries: [{ ", " }] }]"),
        ("/$defs/Slo/properties", "pipelines: [{ slo: { ", " } }]"),
        ("/$defs/Metrics/properties", "metrics: { ", " }"),
        ("/$defs/Authorization/properties", "authorization: { ", " }"),
        ("/$defs/Rule/properties", "authorization: { rules: [{ ", " }] }"),
    ] {
        for key in keys(&schema, pointer) {
            let all = found(&format!("{before}{key}: 1.5{after}\n")).join("\n");
            assert!(!all.contains(&format!("has no key `{key}`")), "{key}: {all}");
            assert!(all.contains("this must be") || all.contains("not a whole number"), "{key}: {all}");
        }
    }
}

#[test]
fn full_yaml_has_every_key_of_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema().expect("a schema")).expect("JSON");
    let full = fs::read_to_string("config/full.yaml").expect("config/full.yaml");
    let parts = [
        "Listener",
        "Cluster",
        "Pipeline",
        "Contract",
        "HeaderRule",
        "Limit",
        "Lanes",
        "Lane",
        "Stamp",
        "Canary",
        "Slo",
        "Metrics",
        "Tls",
        "ClientTls",
        "Sasl",
        "Authorization",
        "Rule",
        "Oauthbearer",
        "Admin",
        "AdminTls",
    ];
    let pointers = parts.map(|part| format!("/$defs/{part}/properties"));
    let keys = pointers.iter().map(String::as_str).chain(["/properties"]).flat_map(|pointer| keys(&schema, pointer));
    let code: Vec<_> = full.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    for key in keys {
        let begins =
            |part: &str| part.trim_start().trim_start_matches("- ").trim_start().starts_with(&format!("{key}:"));
        assert!(code.iter().any(|line| line.split(['{', ',']).any(begins)), "{key}");
    }
}
