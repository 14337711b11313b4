//! Who may do what, as a file says it.

use super::text;
use crate::rights::{Definition, Kind, Rule};
use serde_json::{Map, Value, json};

pub(super) fn written(definition: &Definition) -> Value {
    let groups = definition.groups.iter().map(|(name, members)| {
        let members: Value = members.iter().map(text).collect();
        (name.to_string(), members)
    });
    json!({
        "super_users": definition.super_users.iter().map(text).collect::<Vec<_>>(),
        "groups": groups.collect::<Map<_, _>>(),
        "rules": definition.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(rule: &Rule) -> Value {
    let mut file = json!({
        "principals": rule.principals.iter().map(text).collect::<Vec<_>>(),
        "operations": rule.operations.words(),
        "effect": rule.effect.word(),
    });
    for (key, kind) in [("topics", Kind::Topic), ("groups", Kind::Group), ("transactional_ids", Kind::TransactionalId)]
    {
        let named = rule.resources.iter().filter(|(of, _)| *of == kind);
        let patterns: Vec<_> = named.map(|(_, pattern)| text(pattern.to_string())).collect();
        if !patterns.is_empty() {
            file[key] = patterns.into();
        }
    }
    if rule.resources.iter().any(|(kind, _)| *kind == Kind::Cluster) {
        file["cluster"] = true.into();
    }
    if !rule.hosts.is_empty() {
        file["hosts"] = rule.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().into();
    }
    file
}
