//! As whom principals come to clusters: by the config alone, and what of it nobody can have meant.

use crate::config::{Cluster, Config, Listener, Mistake, Severity};
use crate::rights::EVERYONE;
use crate::security::users::file::load;
use crate::types::{Principal, Slot};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// As whom a principal comes to a cluster.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Comes {
    /// The cluster.
    pub cluster: String,
    /// The identity, or `own`; `None`: it does not come.
    pub identity: Option<String>,
    /// Who that is there, without what is secret.
    pub who: Option<String>,
}

/// As whom a principal comes to clusters that were asked about, or to all; nothing where no cluster has identities.
#[must_use]
pub fn explain(config: &Config, principal: &str, asked: &BTreeSet<Slot>) -> Vec<Comes> {
    if config.clusters.iter().all(|one| one.identities.is_empty()) {
        return Vec::new();
    }
    let comes = |one: &Cluster| {
        let guise = one.identities.of(principal);
        Comes {
            cluster: one.name.to_string(),
            identity: guise.map(|guise| guise.name().to_owned()),
            who: guise.map(|guise| guise.who().to_owned()),
        }
    };
    config.clusters.iter().filter(|one| asked.is_empty() || asked.contains(&one.slot)).map(comes).collect()
}

/// What is odd about who has which identity, for a config in `file`. Reads the files of users.
#[must_use]
pub fn survey(config: &Config, file: &str) -> Vec<Mistake> {
    let warning = |what: String, instead: &str| Mistake {
        severity: Severity::Warning,
        file: file.to_owned(),
        place: None,
        what,
        instead: instead.to_owned(),
    };
    let strangers = strangers(config).into_iter().map(|(what, who)| {
        let who = who.into_iter().collect::<Vec<_>>().join(", ");
        let what = format!("{what} is for {who}, whom no listener lets in: they are in no file of users");
        warning(what, "add them with `fishplate users add`, or take them out")
    });
    let astray = astray(config).into_iter().map(|what| {
        warning(
            what,
            "give them an identity there, with rights to write, or move the lane or canary to their own cluster",
        )
    });
    strangers.chain(astray).collect()
}

/// Principals of identities whom no listener could let in, by the identity; nothing where somebody else than we says who comes.
fn strangers(config: &Config) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<String>>::new();
    let Some(known) = config.listeners.iter().map(principals).collect::<Option<Vec<_>>>() else { return all };
    let known: BTreeSet<String> = known.into_iter().flatten().collect();
    // That nobody is asked who he is stands beside the identity already.
    if known.iter().all(|one| *one == Principal::anonymous().to_string()) {
        return all;
    }
    for cluster in config.clusters.iter().filter(|one| !one.identities.is_empty()) {
        for (principal, place) in cluster.identities.principals().filter(|(principal, _)| !known.contains(*principal)) {
            let name = cluster.identities.all().get(place).map_or("", |one| one.guise.name());
            all.entry(format!("the identity `{name}` of cluster {}", cluster.name))
                .or_default()
                .insert(principal.to_owned());
        }
    }
    all
}

/// Who may come through a listener, where that can be listed.
fn principals(listener: &Listener) -> Option<Vec<String>> {
    match &listener.sasl {
        Some(sasl) if sasl.oauthbearer.is_some() => None,
        Some(sasl) => Some(load(sasl).ok()?.iter().map(|(name, _)| Principal::user(name).to_string()).collect()),
        None if listener.tls.as_ref().is_some_and(|tls| tls.clients.is_some()) => None,
        None => Some(vec![Principal::anonymous().to_string()]),
    }
}

/// Records that policy would send to a cluster to which those who write them do not come.
fn astray(config: &Config) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for pipeline in &config.pipelines {
        let Some(home) = config.cluster(pipeline.cluster) else { continue };
        let policy = &pipeline.policy;
        let lanes = [&policy.overflow, &policy.dlq].into_iter().flatten();
        let lanes = lanes.map(|lane| (format!("lane {}", lane.topic), config.home_of_topic(&lane.topic)));
        let canaries = policy.canaries.iter().map(|canary| ("canary".to_owned(), canary.to));
        for (what, to) in lanes.chain(canaries).filter(|(_, to)| *to != home.slot) {
            let Some(there) = config.cluster(to) else { continue };
            let named = home.identities.principals().map(|(principal, _)| principal);
            // Whoever is not named comes to their home too, as everybody's identity or as Fishplate itself.
            let everyone = home.identities.of(EVERYONE).map(|_| EVERYONE);
            let lost: BTreeSet<_> = named.chain(everyone).filter(|one| there.identities.of(one).is_none()).collect();
            if !lost.is_empty() {
                let who = lost.into_iter().collect::<Vec<_>>().join(", ");
                all.insert(format!(
                    "pipeline {} has its {what} on cluster {}, where {who} has no identity and is refused: so are the records \
                     that policy sends there",
                    pipeline.name, there.name
                ));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::users;

    const FILE: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:9093', sasl: { mechanisms: [SCRAM-SHA-512], users: \"USERS\" } }]
clusters:
  a:
    slot: 0
    bootstrap: ['a.example:1']
    sasl: { mechanism: SCRAM-SHA-512, username: us, password: p }
    identities:
      alice: { principals: ['User:alice', 'User:mallory'], sasl: { mechanism: SCRAM-SHA-512, username: alice, password: p } }
    unmapped: own
  b:
    slot: 1
    bootstrap: ['b.example:1']
    sasl: { mechanism: SCRAM-SHA-512, username: us, password: p }
    identities:
      bob: { principals: ['User:bob'], sasl: { mechanism: SCRAM-SHA-512, username: bob, password: p } }
    unmapped: refuse
pipelines:
  - { name: p, topics: ['e*'], cluster: a, lanes: { dlq: { topic: dead } }, contract: { headers: { h: { required: true } }, on_violation: dlq } }
  - { name: d, topics: [dead], cluster: b }
";

    fn config() -> Config {
        with_users(&["alice", "bob"])
    }

    fn with_users(names: &[&'static str]) -> Config {
        read(FILE, names)
    }

    fn read(text: &str, users: &[&'static str]) -> Config {
        let line = |name: &'static str| {
            use crate::security::scram::{Credential, Hash};
            let iterations = std::num::NonZeroU32::new(4096).unwrap();
            let credential = Credential::derive(Hash::Sha512, "p", b"a salt of 16 byt", iterations);
            users::Line { name, hash: Hash::Sha512, credential }
        };
        let lines: Vec<_> = users.iter().map(|name| line(name)).collect();
        let users = users::with("", &lines).replace('\n', "\\n");
        Config::from_text("c.yaml", &text.replace("USERS", &users)).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    #[test]
    fn it_is_told_as_whom_a_principal_comes_where() {
        let told = |principal: &str| {
            let comes = explain(&config(), principal, &BTreeSet::new()).into_iter();
            comes.map(|one| (one.cluster, one.identity)).collect::<Vec<_>>()
        };
        let at = |cluster: &str, identity: Option<&str>| (cluster.to_owned(), identity.map(ToOwned::to_owned));
        assert_eq!(told("User:alice"), [at("a", Some("alice")), at("b", None)]);
        assert_eq!(told("User:bob"), [at("a", Some("own")), at("b", Some("bob"))]);
        let one = explain(&config(), "User:bob", &BTreeSet::from([Slot::new(1).unwrap()]));
        assert_eq!((one.len(), one[0].who.as_deref()), (1, Some("SCRAM-SHA-512 as bob")));
    }

    #[test]
    fn one_user_is_enough_to_know_who_is_no_user() {
        let found = survey(&with_users(&["alice"]), "c.yaml");
        assert!(found.iter().any(|one| one.what.contains("is for User:bob, whom no listener lets in")), "{found:?}");
        // Where nobody is asked who he is, that is told elsewhere
        let open = FILE.replace(", sasl: { mechanisms: [SCRAM-SHA-512], users: \"USERS\" }", "");
        let open = Config::from_text("c.yaml", &open).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(strangers(&open), BTreeMap::new());
    }

    #[test]
    fn who_comes_home_unnamed_and_nowhere_else_loses_records_too() {
        let (before, after) = FILE.split_once("    identities:\n      alice").expect("identities");
        let (_, after) = after.split_once("    unmapped: own\n").expect("unmapped");
        let found = astray(&read(&format!("{before}{after}"), &["alice"]));
        let what = found.first().expect("a warning");
        assert!(what.contains("where User:* has no identity and is refused"), "{what}");
    }

    #[test]
    fn whom_nobody_lets_in_and_whose_records_are_lost_is_told() {
        let found: Vec<_> = survey(&config(), "c.yaml").into_iter().map(|one| one.what).collect();
        assert_eq!(
            found,
            [
                "the identity `alice` of cluster a is for User:mallory, whom no listener lets in: they are in no file of users",
                "pipeline p has its lane dead on cluster b, where User:*, User:alice, User:mallory has no identity and is refused: so \
                 are the records that policy sends there",
            ]
        );
    }
}
