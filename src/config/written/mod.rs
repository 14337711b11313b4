//! A config as a file that says the same, in one piece and with nothing left to defaults: how a running proxy tells what it
//! runs with. JSON is YAML. Whatever is a secret must never be in here.

mod admin;
mod authorization;
mod identities;
mod login;
pub(super) mod policy;
mod sasl;
pub(super) mod tls;

use super::{ClientRule, Cluster, Config, Hosts, Kind, Listener, Nodes, Pipeline};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The file. [`Config::from_text`] reads the same config out of it.
#[must_use]
pub fn written(config: &Config) -> Value {
    let clusters = config.clusters.iter().map(|one| (one.name.to_string(), cluster(one))).collect::<Map<_, _>>();
    let pipelines = config.pipelines.iter().filter(|one| !one.is_default()).map(|one| pipeline(config, one));
    let mut file = json!({
        "virtual_cluster": text(&config.virtual_cluster),
        "default_cluster": cluster_name(config, config.default_cluster),
        "listeners": config.listeners.iter().map(listener).collect::<Vec<_>>(),
        "clusters": clusters,
        "pipelines": pipelines.collect::<Vec<_>>(),
        "transaction_version": config.transaction_version,
        "clients": config.clients.own().iter().map(client).collect::<Vec<_>>(),
    });
    let super::Metrics { compatibility, max_pairs } = config.metrics;
    file["metrics"] = json!({ "compatibility": compatibility, "max_pairs": max_pairs });
    let super::Memory { requests, responses, parked } = config.memory;
    file["memory"] = json!({ "requests": bytes(requests), "responses": bytes(responses), "parked": bytes(parked) });
    let super::Limits { request, handshake, stalled, idle, sessions, sessions_per_address } = config.limits;
    file["limits"] = json!({
        "request": bytes(request),
        "handshake": time(handshake),
        "stalled": time(stalled),
        "idle": time(idle),
        "sessions": sessions,
        "sessions_per_address": sessions_per_address,
    });
    if let Some(rights) = &config.authorization {
        file["authorization"] = authorization::written(rights.written());
    }
    if let Some(admin) = &config.admin {
        file["admin"] = admin::written(admin);
    }
    if let Some(log) = &config.log {
        file["log"] = text(log);
    }
    file
}

/// In the largest unit that it is a whole number of.
fn bytes(count: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.into_iter().find(|(unit, _)| count > 0 && count.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{count}B"), |(unit, word)| format!("{}{word}", count / unit))
}

fn time(of: Duration) -> String {
    format!("{}ms", of.as_millis())
}

/// `${` would be looked up.
fn text(plain: impl AsRef<str>) -> Value {
    Value::String(plain.as_ref().replace("${", "$${"))
}

fn cluster_name(config: &Config, slot: crate::types::Slot) -> Value {
    config.cluster(slot).map_or(Value::Null, |cluster| text(cluster.name.as_str()))
}

fn listener(listener: &Listener) -> Value {
    let mut file = json!({ "bind": listener.bind.to_string() });
    if let Some(advertised) = &listener.advertised {
        file["advertised"] = text(advertised.to_string());
    }
    file["nodes"] = match listener.nodes {
        Nodes::Auto => "auto".into(),
        Nodes::All(view) => view.as_str().into(),
    };
    match &listener.hosts {
        Some(Hosts::Names { template, port }) => file["hosts"] = text(format!("{template}:{port}")),
        Some(Hosts::Ports { host, ports }) => {
            let ports = format!("{}-{}", ports.start(), ports.end());
            file["hosts"] = json!({ "name": text(format!("{host}:{}", Hosts::PORT)), "ports": ports });
        }
        None => {}
    }
    if let Some(tls) = &listener.tls {
        file["tls"] = tls::server(tls);
    }
    if let Some(sasl) = &listener.sasl {
        file["sasl"] = sasl::of_listener(sasl);
    }
    if listener.proxy_protocol {
        file["proxy_protocol"] = "required".into();
    }
    file
}

fn client(rule: &ClientRule) -> Value {
    let mut file = json!({ "name": text(&rule.name), "view": rule.view.as_str() });
    if rule.from != (0, 0) {
        file["from"] = format!("{}.{}", rule.from.0, rule.from.1).into();
    }
    file
}

fn cluster(cluster: &Cluster) -> Value {
    let bootstrap = cluster.bootstrap.iter().map(|address| text(address.to_string())).collect::<Vec<_>>();
    let Cluster { max_links, links_per_second, .. } = cluster;
    let mut file = json!({
        "slot": cluster.slot.number(),
        "bootstrap": bootstrap,
        "max_links": max_links,
        "links_per_second": links_per_second,
    });
    if let Some(login) = &cluster.login {
        file["sasl"] = login::login(login);
    }
    if let Kind::Warpstream { zone } = &cluster.kind {
        file["kind"] = "warpstream".into();
        if let Some(zone) = zone {
            file["zone"] = text(zone);
        }
    }
    let racks = cluster.racks.written().map(|(ours, theirs)| (ours.to_owned(), text(theirs)));
    let racks: Map<_, _> = racks.collect();
    if !racks.is_empty() {
        file["racks"] = racks.into();
    }
    if let Some(tls) = &cluster.tls {
        file["tls"] = tls::client(tls);
    }
    identities::add(&mut file, cluster);
    file
}

fn pipeline(config: &Config, pipeline: &Pipeline) -> Value {
    let list = |patterns: &super::Patterns| patterns.written().map(text).collect::<Vec<_>>();
    let mut file = json!({
        "name": text(pipeline.name.as_str()),
        "topics": list(&pipeline.topics),
        "cluster": cluster_name(config, pipeline.cluster),
    });
    if !pipeline.groups.is_empty() {
        file["groups"] = list(&pipeline.groups).into();
    }
    if !pipeline.transactional_ids.is_empty() {
        file["transactional_ids"] = list(&pipeline.transactional_ids).into();
    }
    policy::add(&mut file, &pipeline.policy, config);
    add_slo(&mut file, pipeline);
    file
}

/// Puts into a pipeline's part of the file what is promised of it.
pub(super) fn add_slo(file: &mut Value, pipeline: &Pipeline) {
    if let Some(super::Slo { committed_within, objective }) = pipeline.slo {
        file["slo"] = json!({ "committed_within": time(committed_within), "objective": objective.to_string() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use std::path::Path;

    /// The same config, but for its secrets; patterns are equal when their lists are.
    fn same(config: &Config) -> bool {
        let mut config = config.clone();
        for login in config.clusters.iter_mut().filter_map(|one| one.login.as_mut()) {
            login.hide();
        }
        config.clusters.iter_mut().for_each(|one| one.identities.hide());
        for users in config.listeners.iter_mut().filter_map(|one| one.sasl.as_mut()?.users.as_mut()) {
            if let crate::config::TextFrom::Text(text) = users {
                *text = Secret::new(Secret::HIDDEN.to_owned());
            }
        }
        if let Some(crate::config::TextFrom::Text(text)) =
            config.admin.as_mut().and_then(|admin| admin.operators.as_mut())
        {
            *text = Secret::new(Secret::HIDDEN.to_owned());
        }
        Config::from_text("written.yaml", &written(&config).to_string()).expect("a config") == config
    }

    #[test]
    fn what_is_written_says_the_same() {
        assert!(same(&Config::from_file(Path::new("config/full.yaml")).expect("full.yaml")));
        assert!(same(&Config::from_file(Path::new("config/minimal.yaml")).expect("minimal.yaml")));
    }

    #[test]
    fn what_looks_like_a_reference_is_none() {
        let text = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:0' }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
pipelines: [{ name: p, topics: ['/a$${2}/'], cluster: a }]
";
        let config = Config::from_text("c.yaml", text);
        assert!(config.is_ok_and(|config| same(&config)));
    }
}
