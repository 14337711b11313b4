//! What contract and limits would make of a record now: of a running proxy with what its keys have left, of a file as if nobody
//! had sent anything. Costs nobody anything.

use crate::config::policy::{Action, OnViolation};
use crate::config::tokens::mask;
use crate::config::{self, Config};
use crate::policy::admission::Policy;
use crate::policy::keys::Who;
use crate::policy::outlook::{Becomes, Standing};
use crate::policy::overrule::Overrule;
use crate::policy::rulings::{DLQ, OVERFLOW, fresh, place_of_canary};
use crate::policy::sample::Sample;
use crate::types::Name;
use crate::wire::batch::edit::Lane;
use serde::{Deserialize, Serialize};
use std::time::Instant;

use super::tables::View;

/// A record that is asked about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRecord {
    /// Its topic.
    pub topic: String,
    /// Its headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Its key.
    pub key: Option<String>,
    /// The client id of who sends it.
    pub client_id: Option<String>,
}

/// What would become of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// The pipeline of its topic.
    pub pipeline: String,
    /// Whether a running proxy says so, which knows what keys have left.
    pub live: bool,
    /// What the contract says, where there is one.
    pub contract: Option<ContractSays>,
    /// What each limit says.
    pub limits: Vec<LimitSays>,
    /// What would become of it.
    pub becomes: String,
}

/// What the contract says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractSays {
    /// Which rule the record breaks, without the value.
    pub breaks: Option<String>,
    /// What happens to a record that does.
    pub on_violation: String,
}

/// What a limit says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSays {
    /// Its name.
    pub limit: String,
    /// What it counts by.
    pub key: String,
    /// What that is of the record, masked; `None`: it has no such thing, and shares a bucket with others that have not.
    pub value: Option<String>,
    /// How much the record counts, and of what.
    pub counts: String,
    /// The rate for this key.
    pub rate: String,
    /// How much may come at once.
    pub burst: u64,
    /// The rate is this key's own.
    pub own_rate: bool,
    /// An operator set it: it stands in no file.
    pub until_reload: bool,
    /// How much the key may have at once now.
    pub left: u64,
    /// How long until it may have this record; 0: it may now.
    pub wait_ms: u64,
    /// What becomes of more.
    pub action: String,
    /// For which share of keys.
    pub enforced: String,
    /// Whether this key is in it.
    pub is_enforced: bool,
    /// What it says to the record.
    pub says: String,
}

/// By a config alone: every key has all that it may have.
#[must_use]
pub fn by_config(config: &Config, asked: &AskedRecord) -> Outlook {
    let pipeline = config.pipeline_of_topic(&asked.topic);
    match fresh(&pipeline.policy).filter(|policy| !policy.is_empty()) {
        Some(policy) => Asking {
            config,
            topic: &asked.topic,
            written: &pipeline.policy,
            policy: &policy,
            overrules: &[],
            live: false,
        }
        .outlook(&pipeline.name, asked, Instant::now()),
        None => nothing(&pipeline.name, false),
    }
}

/// As it is now.
#[must_use]
pub fn live(view: &View, asked: &AskedRecord) -> Outlook {
    let placement = view.current.load();
    let pipeline = placement.config.pipeline_of_topic(&asked.topic);
    let table = view.rulings();
    let ruling = table.as_ref().and_then(|table| table.of(&pipeline.name));
    match ruling {
        Some(ruling) => {
            let config = &placement.config;
            Asking {
                config,
                topic: &asked.topic,
                written: &ruling.written,
                policy: &ruling.policy,
                overrules: &ruling.overrules,
                live: true,
            }
            .outlook(&pipeline.name, asked, Instant::now())
        }
        None => nothing(&pipeline.name, true),
    }
}

fn nothing(pipeline: &Name, live: bool) -> Outlook {
    let becomes = "it goes on: the pipeline has no contract and no limits".to_owned();
    Outlook { pipeline: pipeline.to_string(), live, contract: None, limits: Vec::new(), becomes }
}

struct Asking<'a> {
    config: &'a Config,
    topic: &'a str,
    written: &'a config::Policy,
    policy: &'a Policy,
    overrules: &'a [Overrule],
    live: bool,
}

impl Asking<'_> {
    fn outlook(&self, pipeline: &Name, asked: &AskedRecord, now: Instant) -> Outlook {
        let headers: Vec<_> = asked.headers.iter().map(|(name, value)| (&**name, Some(&**value))).collect();
        let sample = Sample { key: asked.key.as_deref(), value: "", headers: &headers };
        let who = Who { principal: "", client_id: asked.client_id.as_deref().unwrap_or_default() };
        // What we wrote ourselves can be read.
        let found = self.policy.outlook(&sample, who, now).unwrap_or_default();
        let contract = self.written.contract.as_ref().map(|contract| ContractSays {
            breaks: found.breach.as_ref().map(ToString::to_string),
            on_violation: contract.on_violation.as_str().to_owned(),
        });
        let limits = self.written.limits.iter().zip(&found.limits).map(|(limit, standing)| self.says(limit, standing));
        let limits: Vec<_> = limits.collect();
        let is_too_much = found.limits.iter().any(|standing| standing.is_asked && !standing.passes);
        let becomes = self.becomes(found.becomes, found.breach.is_some(), is_too_much);
        Outlook { pipeline: pipeline.to_string(), live: self.live, contract, limits, becomes }
    }

    fn says(&self, limit: &config::policy::Limit, standing: &Standing) -> LimitSays {
        let Standing { is_asked, key, counts, look, passes, is_enforced } = standing;
        let set = |overrule: &Overrule| match &overrule.token {
            Some(token) => look.is_own && key.as_deref() == Some(token.as_str().as_bytes()),
            None => !look.is_own,
        };
        let action = limit.action;
        let says = match (is_asked, passes, is_enforced) {
            (false, ..) => "not asked: the record has left before".to_owned(),
            (true, true, _) => "passes".to_owned(),
            (true, false, true) => format!("too much: {}", self.done(action)),
            (true, false, false) if action == Action::Observe => "too much: counted only".to_owned(),
            (true, false, false) => "too much: counted only, since the key is not in the enforced share".to_owned(),
        };
        let of_seconds = |seconds| match seconds {
            3_600 => "h",
            60 => "m",
            _ => "s",
        };
        LimitSays {
            limit: limit.name.to_string(),
            key: limit.key.to_string(),
            value: key.as_deref().map(mask),
            counts: format!("{counts} of {}", limit.unit),
            rate: format!("{}/{}", look.rate.count, of_seconds(look.rate.per.as_secs())),
            burst: look.rate.burst.get().into(),
            own_rate: look.is_own,
            until_reload: self.overrules.iter().any(|one| one.limit == limit.name && set(one)),
            left: look.left,
            wait_ms: u64::try_from(look.wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
            action: action.as_str().to_owned(),
            enforced: limit.enforced.to_string(),
            is_enforced: *is_enforced,
            says,
        }
    }

    /// What clients call the topic that a lane leads to.
    fn lane(&self, lane: Lane) -> String {
        let lanes = match lane {
            OVERFLOW => self.written.overflow.as_ref(),
            DLQ => self.written.dlq.as_ref(),
            _ => None,
        };
        let canary = place_of_canary(lane).and_then(|place| self.written.canaries.get(place));
        let twin = canary.map(|canary| self.config.name_of_twin(self.topic, canary.to));
        lanes.map(|lane| lane.topic.to_string()).or(twin).unwrap_or_else(|| "its own topic".to_owned())
    }

    fn done(&self, action: Action) -> String {
        match action {
            Action::Observe => "counted only".to_owned(),
            Action::Throttle => "its client waits".to_owned(),
            Action::Stamp => "it gets the stamp".to_owned(),
            Action::Overflow => format!("it goes to {}", self.lane(OVERFLOW)),
            Action::Drop => "it is acknowledged and dropped".to_owned(),
            Action::Reject => "its batch is refused (44 POLICY_VIOLATION)".to_owned(),
        }
    }

    fn becomes(&self, becomes: Becomes, breaks: bool, is_too_much: bool) -> String {
        let counted = self.written.contract.as_ref().filter(|_| breaks);
        let counted = counted.is_some_and(|contract| contract.on_violation == OnViolation::Observe);
        match becomes {
            Becomes::Kept if is_too_much => "it goes on, with what limits do to it".to_owned(),
            Becomes::Kept if counted => "it goes on, and is counted as one that breaks the contract".to_owned(),
            Becomes::Kept => "it goes on as it is".to_owned(),
            Becomes::Moved(lane) => format!("it goes to {}", self.lane(lane)),
            Becomes::Dropped => "it is acknowledged and goes nowhere".to_owned(),
            Becomes::Refused if breaks => "its batch is refused (87 INVALID_RECORD)".to_owned(),
            Becomes::Refused => "its batch is refused (44 POLICY_VIOLATION)".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
virtual_cluster: v
default_cluster: a
listeners: [{ bind: 127.0.0.1:1 }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
pipelines:
  - name: events
    topics: [events]
    cluster: a
    contract: { headers: { token: { required: true }, at: { type: integer } }, on_violation: dlq }
    limits:
      - { name: seen, key: client_id, rate: 10/s }
      - { name: per-token, key: header(token), rate: 100/m, burst: 50, action: overflow, enforced: 0%, overrides: { phc_a_large_one: 7/h } }
    lanes: { dlq: { topic: events_dlq }, overflow: { topic: events_overflow } }
";

    fn outlook(topic: &str, headers: &[(&str, &str)]) -> Outlook {
        let config = Config::from_text("c.yaml", CONFIG).expect("a config");
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        by_config(&config, &AskedRecord { topic: topic.to_owned(), headers, ..AskedRecord::default() })
    }

    #[test]
    fn a_record_is_told_what_each_would_say() {
        let told = outlook("events", &[("token", "phc_a_large_one"), ("at", "5")]);
        assert_eq!(
            (told.pipeline.as_str(), told.live, told.becomes.as_str()),
            ("events", false, "it goes on as it is")
        );
        assert_eq!(told.contract.as_ref().and_then(|contract| contract.breaks.as_deref()), None);
        let [seen, token] = &told.limits[..] else { panic!("{told:?}") };
        assert_eq!((seen.rate.as_str(), seen.left, seen.says.as_str()), ("10/s", 10, "passes"));
        assert_eq!((token.rate.as_str(), token.burst, token.own_rate), ("7/h", 50, true));
        assert_eq!((token.enforced.as_str(), token.is_enforced), ("0%", false));
        assert!(token.value.as_deref().is_some_and(|value| value.starts_with("phc") && !value.contains("large")));
    }

    #[test]
    fn what_breaks_the_contract_is_told_with_its_rule_and_not_with_its_value() {
        let told = outlook("events", &[("token", "x"), ("at", "secret")]);
        let breaks = told.contract.and_then(|contract| contract.breaks).unwrap_or_default();
        assert!(breaks.contains("\"at\"") && !breaks.contains("secret"), "{breaks}");
        assert_eq!(told.becomes, "it goes to events_dlq");
        assert!(told.limits.iter().all(|limit| limit.says.starts_with("not asked")));
    }

    #[test]
    fn a_canary_is_told_by_the_name_that_consumers_find_it_under() {
        let text = CONFIG
            .replace("clusters: {", "clusters: { b: { slot: 1, bootstrap: ['b.example:1'] },")
            .replace("    contract:", "    canaries: [{ key: header(token), values: [phc_b], to: b }]\n    contract:");
        let config = Config::from_text("c.yaml", &text).expect("a config");
        let headers = vec![("token".to_owned(), "phc_b".to_owned())];
        let told = by_config(&config, &AskedRecord { topic: "events".to_owned(), headers, ..AskedRecord::default() });
        assert_eq!(told.becomes, "it goes to events--at--b");
    }

    #[test]
    fn a_topic_of_which_nothing_is_asked_is_told_so() {
        assert!(outlook("others", &[]).becomes.contains("no contract and no limits"));
    }
}
