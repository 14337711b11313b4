//! A pipeline's policy as the file would say it. Tokens stand in it masked.

use super::super::Config;
use super::super::policy::{Canary, Contract, HeaderRule, HeaderType, Lane, Limit, Policy};
use super::{cluster_name, text};
use serde_json::{Map, Value, json};

/// Puts into a pipeline's part of the file what its policy says.
pub(in super::super) fn add(file: &mut Value, policy: &Policy, config: &Config) {
    if let Some(one) = &policy.contract {
        file["contract"] = contract(one);
    }
    if !policy.limits.is_empty() {
        file["limits"] = policy.limits.iter().map(limit).collect::<Vec<_>>().into();
    }
    let lanes = [("overflow", &policy.overflow), ("dlq", &policy.dlq)];
    let lanes = lanes.into_iter().filter_map(|(name, one)| Some((name.to_owned(), lane(one.as_ref()?))));
    let lanes: Map<_, _> = lanes.collect();
    if !lanes.is_empty() {
        file["lanes"] = lanes.into();
    }
    if !policy.canaries.is_empty() {
        file["canaries"] = policy.canaries.iter().map(|one| canary(one, config)).collect::<Vec<_>>().into();
    }
}

fn contract(contract: &Contract) -> Value {
    let headers = contract.headers.iter().map(|rule| (rule.name.to_string(), header(rule)));
    json!({
        "headers": headers.collect::<Map<_, _>>(),
        "unknown": if contract.closed { "violation" } else { "allow" },
        "on_violation": contract.on_violation.as_str(),
    })
}

fn header(rule: &HeaderRule) -> Value {
    let mut file = json!({ "required": rule.required });
    if let Some(kind) = &rule.kind {
        file["type"] = kind.as_str().into();
    }
    match &rule.kind {
        Some(HeaderType::Enum(values)) => file["values"] = values.iter().map(text).collect::<Vec<_>>().into(),
        Some(HeaderType::Regex(pattern)) => file["pattern"] = text(pattern.as_str()),
        _ => {}
    }
    if let Some(bytes) = rule.max_bytes {
        file["max_bytes"] = bytes.into();
    }
    file
}

fn limit(limit: &Limit) -> Value {
    let mut file = json!({
        "name": text(limit.name.as_str()),
        "key": text(limit.key.to_string()),
        "unit": text(limit.unit.to_string()),
        "rate": limit.rate.to_string(),
        "burst": limit.burst,
        "action": limit.action.as_str(),
        "enforced": limit.enforced.to_string(),
    });
    if let Some(stamp) = &limit.stamp {
        file["stamp"] = json!({ "header": text(&stamp.header), "value": text(&stamp.value) });
    }
    let overrides = limit.overrides.iter().map(|(token, rate)| (token.to_string(), Value::from(rate.to_string())));
    let overrides: Map<_, _> = overrides.collect();
    if !overrides.is_empty() {
        file["overrides"] = overrides.into();
    }
    if limit.needs_acceptance() {
        file["shared_sessions"] = "accept".into();
    }
    file
}

fn lane(lane: &Lane) -> Value {
    json!({ "topic": text(&lane.topic), "on_down": lane.on_down.as_str(), "null_key": lane.null_key })
}

fn canary(canary: &Canary, config: &Config) -> Value {
    let mut file = json!({
        "key": text(canary.key.to_string()),
        "share": canary.share.to_string(),
        "to": cluster_name(config, canary.to),
        "on_down": canary.on_down.as_str(),
    });
    if !canary.values.is_empty() {
        file["values"] = canary.values.iter().map(ToString::to_string).collect::<Vec<_>>().into();
    }
    file
}
