//! What a principal may do, and by which rule: by the config alone.

use crate::config::Config;
use crate::rights::{Decision, Granted, Kind, Operation, Rights};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What it may do to what was asked about.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Allowed {
    /// Who.
    pub principal: String,
    /// Where it comes from; `None`: from where no rule says.
    pub host: Option<IpAddr>,
    /// The config says nothing of rights: everybody may do everything.
    pub open: bool,
    /// It may do everything.
    pub super_user: bool,
    /// Each operation, resource by resource.
    pub answers: Vec<Answer>,
}

/// Whether one thing may be done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The kind of resource, in Kafka's word.
    pub resource: &'static str,
    /// Which one.
    pub name: String,
    /// What is done, in Kafka's word.
    pub operation: &'static str,
    /// Whether it may be.
    pub allowed: bool,
    /// Why, or why not.
    pub why: String,
}

/// Explains what a principal may do to resources; to the cluster where none is named.
#[must_use]
pub fn explain(config: &Config, principal: &str, host: Option<IpAddr>, to: &[(Kind, &str)]) -> Allowed {
    let mut told =
        Allowed { principal: principal.to_owned(), host, open: true, super_user: false, answers: Vec::new() };
    let Some(rights) = &config.authorization else { return told };
    let granted = rights.of(principal, host.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    (told.open, told.super_user) = (false, granted.is_super());
    let to = if to.is_empty() { &[(Kind::Cluster, Kind::CLUSTER)] } else { to };
    told.answers = to.iter().flat_map(|resource| answers(&granted, rights, *resource)).collect();
    told
}

fn answers(granted: &Granted, rights: &Arc<Rights>, (kind, name): (Kind, &str)) -> Vec<Answer> {
    let operations = Operation::ALL.into_iter().filter(|operation| kind.operations().has(*operation));
    let answer = |operation: Operation| {
        let decision = granted.decide(operation, kind, name);
        Answer {
            resource: kind.word(),
            name: name.to_owned(),
            operation: operation.word(),
            allowed: decision.is_allowed(),
            why: why(decision, rights),
        }
    };
    operations.map(answer).collect()
}

fn why(decision: Decision, rights: &Rights) -> String {
    match decision {
        Decision::SuperUser => "a super user".to_owned(),
        Decision::NoRule => "no rule allows it".to_owned(),
        Decision::Allowed(number) | Decision::Denied(number) => {
            let rule = rights.rule(number).map(ToString::to_string).unwrap_or_default();
            format!("rule {number}: {rule}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn it_is_told_what_may_be_done_and_by_which_rule() {
        let config = Config::from_file(Path::new("config/full.yaml")).expect("config/full.yaml");
        let told = |principal: &str, host: Option<&str>, topic: &str| {
            let host = host.map(|host| host.parse().expect("an address"));
            let told = explain(&config, principal, host, &[(Kind::Topic, topic)]);
            let said = told.answers.iter().filter(|answer| matches!(answer.operation, "Read" | "Write"));
            said.map(|answer| (answer.allowed, answer.why.clone())).collect::<Vec<_>>()
        };
        let no_rule = || (false, "no rule allows it".to_owned());
        let writes = "rule 1: allow ingestion Write on topics events*, session_replay_a";
        assert_eq!(told("User:replay", None, "events_eu"), [no_rule(), (true, writes.into())]);
        let denied = "rule 5: deny User:replay Write on topics events_dlq";
        assert_eq!(told("User:replay", None, "events_dlq"), [no_rule(), (false, denied.into())]);
        assert_eq!(told("User:clickhouse", None, "events_eu"), [no_rule(), no_rule()]);
        assert!(told("User:clickhouse", Some("10.1.2.3"), "events_eu")[0].0);
        assert_eq!(told("User:admin", None, "x")[0], (true, "a super user".into()));
        let on_cluster = explain(&config, "User:any", None, &[]);
        assert!(on_cluster.answers.iter().any(|answer| answer.operation == "Describe" && answer.allowed));
    }
}
