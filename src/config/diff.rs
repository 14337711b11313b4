//! What lies between two configs: what a reload would change, and which of it a running proxy cannot do. Pure.

use super::{Admin, Cluster, Config, Login, Mapped, Patterns, Pipeline, TextFrom};
use crate::rights::{Definition, Rights};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a reload of the second config over the first one means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What would be done, in the order of the file.
    pub changes: Vec<Change>,
    /// What cannot be done while the proxy runs: any of it refuses the whole file.
    pub needs_restart: Vec<Fixed>,
}

/// One thing that is added, removed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens to it.
    pub what: What,
    /// The key of the file it is under.
    pub key: &'static str,
    /// Its name; the key's own where there is but one.
    pub name: String,
    /// How it differs, in words.
    pub how: Vec<String>,
}

/// What happens to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It was not there.
    Added,
    /// It is no longer there.
    Removed,
    /// It is another.
    Changed,
}

/// A key that stands for as long as the process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fixed {
    /// Such as `clusters.main.slot`.
    pub key: String,
    /// What it is now.
    pub now: String,
    /// What the file says.
    pub then: String,
}

impl Diff {
    /// Between what runs and what would.
    #[must_use]
    pub fn between(now: &Config, then: &Config) -> Self {
        let mut changes = Vec::new();
        changes.extend(default_cluster(now, then));
        changes.extend(clusters(now, then));
        changes.extend(pipelines(now, then));
        changes.extend(transaction_version(now, then));
        changes.extend(clients(now, then));
        changes.extend(authorization(now, then));
        changes.extend(["metrics", "memory", "limits"].into_iter().filter_map(|key| numbers(key, now, then)));
        changes.extend(log(now, then));
        Self { changes, needs_restart: fixed(now, then) }
    }

    /// Nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.needs_restart.is_empty()
    }
}

impl Fixed {
    /// What is the matter, in a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { key, now, then } = self;
        format!("{key} is {now} and would be {then}: this needs a restart")
    }
}

fn change(what: What, key: &'static str, name: impl Into<String>, how: Vec<String>) -> Change {
    Change { what, key, name: name.into(), how }
}

fn differs(word: &str, now: &str, then: &str) -> Option<String> {
    (now != then).then(|| format!("{word}: {now} -> {then}"))
}

fn name_of(config: &Config, slot: crate::types::Slot) -> &str {
    config.cluster(slot).map_or("", |cluster| cluster.name.as_str())
}

fn default_cluster(now: &Config, then: &Config) -> Option<Change> {
    let (before, after) = (name_of(now, now.default_cluster), name_of(then, then.default_cluster));
    let how = vec![format!("{before} -> {after}")];
    (before != after).then(|| change(What::Changed, "default_cluster", "default_cluster", how))
}

fn log(now: &Config, then: &Config) -> Option<Change> {
    let word = |config: &Config| config.log.as_deref().unwrap_or("info").to_owned();
    let how = vec![format!("{} -> {}", word(now), word(then))];
    (word(now) != word(then)).then(|| change(What::Changed, "log", "log", how))
}

fn transaction_version(now: &Config, then: &Config) -> Option<Change> {
    let (before, after) = (now.transaction_version, then.transaction_version);
    let how = vec![format!("{before} -> {after}")];
    (before != after).then(|| change(What::Changed, "transaction_version", "transaction_version", how))
}

/// Entries of the list; one name may have several, for several versions. Who is connected keeps what it was shown.
fn clients(now: &Config, then: &Config) -> Vec<Change> {
    let list = |config: &Config| -> Vec<(String, Vec<String>)> {
        config.clients.own().iter().map(|rule| (rule.to_string(), vec![format!("view: {}", rule.view)])).collect()
    };
    let how = |now: &(String, Vec<String>), then: &(String, Vec<String>)| {
        (now.1 != then.1).then(|| format!("{} -> {}", now.1.concat(), then.1.concat())).into_iter().collect()
    };
    by_name("clients", (&list(now), &list(then)), |one| one.0.as_str(), how, |one| one.1.clone())
}

/// Rules have no names: each is there by what it says.
fn authorization(now: &Config, then: &Config) -> Option<Change> {
    const KEY: &str = "authorization";
    let (before, after) = (now.authorization.as_ref(), then.authorization.as_ref());
    let what = match (before, after) {
        (before, after) if before == after => return None,
        (None, _) => What::Added,
        (_, None) => What::Removed,
        _ => What::Changed,
    };
    let of = |rights: Option<&Arc<Rights>>| rights.map_or_else(Definition::default, |rights| rights.written().clone());
    let (before, after) = (of(before), of(after));
    let members =
        |of: &Definition, name: &str| of.groups.get(name).map_or_else(|| "none".to_owned(), |all| all.join(", "));
    let names: BTreeSet<_> = before.groups.keys().chain(after.groups.keys()).collect();
    let groups = names
        .into_iter()
        .filter_map(|name| differs(&format!("groups.{name}"), &members(&before, name), &members(&after, name)));
    let super_users = differs("super_users", &before.super_users.join(", "), &after.super_users.join(", "));
    let gone = before.rules.iter().filter(|rule| !after.rules.contains(rule)).map(|rule| format!("no longer: {rule}"));
    let new = after.rules.iter().filter(|rule| !before.rules.contains(rule)).map(|rule| format!("now: {rule}"));
    let how: Vec<_> = super_users.into_iter().chain(groups).chain(gone).chain(new).collect();
    let how = if how.is_empty() { vec!["the rules stand in another order, or twice".to_owned()] } else { how };
    Some(change(what, KEY, KEY, how))
}

/// A table of plain values: `metrics`, `memory`, `limits`.
fn numbers(key: &'static str, now: &Config, then: &Config) -> Option<Change> {
    let (before, after) = (super::written(now), super::written(then));
    let of = |file: &Value| file.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (of(&before), of(&after));
    let text = |value: Option<&Value>| value.map(|value| value.to_string().replace('"', "")).unwrap_or_default();
    let how: Vec<_> =
        after.iter().filter_map(|(key, is)| differs(key, &text(before.get(key)), &text(Some(is)))).collect();
    (!how.is_empty()).then(|| change(What::Changed, key, key, how))
}

/// Everything that is in either list by its name, the new list's order first.
fn by_name<T>(
    key: &'static str,
    (now, then): (&[T], &[T]),
    name: impl Fn(&T) -> &str,
    how: impl Fn(&T, &T) -> Vec<String>,
    words: impl Fn(&T) -> Vec<String>,
) -> Vec<Change> {
    let find = |list: &[T], wanted: &str| list.iter().position(|one| name(one) == wanted);
    let mut changes = Vec::new();
    for one in then {
        match find(now, name(one)).and_then(|at| now.get(at)) {
            None => changes.push(change(What::Added, key, name(one), words(one))),
            Some(before) => {
                let how = how(before, one);
                changes.extend((!how.is_empty()).then(|| change(What::Changed, key, name(one), how)));
            }
        }
    }
    let gone = now.iter().filter(|one| find(then, name(one)).is_none());
    changes.extend(gone.map(|one| change(What::Removed, key, name(one), words(one))));
    changes
}

fn clusters(now: &Config, then: &Config) -> Vec<Change> {
    let addresses =
        |cluster: &Cluster| cluster.bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let links = |one: &Cluster| format!("{}, {} a second", one.max_links, one.links_per_second);
    let racks = |one: &Cluster| {
        let pairs = one.racks.written().map(|(ours, theirs)| format!("{ours} is {theirs}"));
        Some(pairs.collect::<Vec<_>>().join(", "))
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| "as they are".into())
    };
    let login = |one: &Cluster| one.login.as_ref().map_or_else(|| "none".to_owned(), Login::words);
    let tls = |one: &Cluster| one.tls.as_ref().map_or_else(|| "none".to_owned(), super::written::tls::words);
    let how = |now: &Cluster, then: &Cluster| {
        let differences = [
            differs("bootstrap", &addresses(now), &addresses(then)),
            differs("links", &links(now), &links(then)),
            differs("kind", &now.kind.to_string(), &then.kind.to_string()),
            differs("racks", &racks(now), &racks(then)),
            differs("sasl", &login(now), &login(then)).or_else(|| other_password(now, then)),
            differs("tls", &tls(now), &tls(then)),
            differs("unmapped", now.identities.unmapped().as_str(), then.identities.unmapped().as_str()),
        ];
        differences.into_iter().flatten().chain(identities(now, then)).collect()
    };
    let words = |one: &Cluster| {
        let encrypted = one.tls.as_ref().map(|_| format!(", tls {}", tls(one))).unwrap_or_default();
        vec![format!("slot {}, bootstrap {}{encrypted}", one.slot, addresses(one))]
    };
    by_name("clusters", (&now.clusters, &then.clusters), |one| one.name.as_str(), how, words)
}

/// Nobody is told which it was, nor which it is.
fn other_password(now: &Cluster, then: &Cluster) -> Option<String> {
    is_another(now.login.as_ref(), then.login.as_ref()).then(|| "sasl: another password".to_owned())
}

fn is_another(now: Option<&Login>, then: Option<&Login>) -> bool {
    let secret = |of: Option<&Login>| of.and_then(Login::secret).cloned();
    secret(now).zip(secret(then)).is_some_and(|(now, then)| now.is_other(&then))
}

/// Who is who there, by the identities' names; a group's members are told with the group.
fn identities(now: &Cluster, then: &Cluster) -> Vec<String> {
    let find = |of: &Cluster, name: &str| of.identities.all().iter().find(|one| one.guise.name() == name).cloned();
    let of = |mapped: Option<&Mapped>| {
        mapped.map_or_else(|| "none".to_owned(), |one| format!("{} for {}", one.guise.who(), one.principals.join(", ")))
    };
    let all = now.identities.all().iter().chain(then.identities.all());
    let names: BTreeSet<_> = all.map(|one| one.guise.name()).collect();
    let how = |name: &str| {
        let (before, after) = (find(now, name), find(then, name));
        let key = format!("identities.{name}");
        differs(&key, &of(before.as_ref()), &of(after.as_ref())).or_else(|| {
            let (before, after) = (before?, after?);
            is_another(before.login.as_ref(), after.login.as_ref()).then(|| format!("{key}: another password"))
        })
    };
    names.into_iter().filter_map(how).collect()
}

fn pipelines(now: &Config, then: &Config) -> Vec<Change> {
    let list = |patterns: &Patterns| patterns.written().collect::<Vec<_>>().join(", ");
    let own = |config: &Config| config.pipelines.iter().filter(|one| !one.is_default()).cloned().collect::<Vec<_>>();
    let how = |one: &Pipeline, other: &Pipeline| {
        let differences = [
            differs("topics", &list(&one.topics), &list(&other.topics)),
            differs("groups", &list(&one.groups), &list(&other.groups)),
            differs("transactional_ids", &list(&one.transactional_ids), &list(&other.transactional_ids)),
            differs("cluster", name_of(now, one.cluster), name_of(then, other.cluster)),
        ];
        let (before, after) = (policy(one, now), policy(other, then));
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let word = |of: &BTreeMap<String, String>, key: &String| of.get(key).map_or("none", String::as_str).to_owned();
        let of_policy = keys.into_iter().filter_map(|key| differs(key, &word(&before, key), &word(&after, key)));
        differences.into_iter().flatten().chain(of_policy).collect()
    };
    let words = |one: &Pipeline| {
        let config = if then.pipelines.contains(one) { then } else { now };
        let some = |key: &str, of: &Patterns| (!of.is_empty()).then(|| format!("{key}: {}", list(of)));
        let all = [
            Some(format!("topics: {}", list(&one.topics))),
            some("groups", &one.groups),
            some("transactional_ids", &one.transactional_ids),
            Some(format!("cluster: {}", name_of(config, one.cluster))),
        ];
        let of_policy = policy(one, config).into_iter().map(|(key, is)| format!("{key}: {is}"));
        all.into_iter().flatten().chain(of_policy).collect()
    };
    let (before, after) = (own(now), own(then));
    let mut changes = by_name("pipelines", (&before, &after), |one| one.name.as_str(), how, words);
    let order = |of: &[Pipeline], others: &[Pipeline]| {
        let both = of.iter().filter(|one| others.iter().any(|other| other.name == one.name));
        both.map(|one| one.name.to_string()).collect::<Vec<_>>()
    };
    let (was, is) = (order(&before, &after), order(&after, &before));
    if was != is {
        changes.push(change(What::Changed, "pipelines", "their order", vec![is.join(", ")]));
    }
    changes
}

/// What a pipeline says of records and promises of them, each value by its path: `limits.per-token.rate`, `slo.objective`.
fn policy(pipeline: &Pipeline, config: &Config) -> BTreeMap<String, String> {
    let mut file = Value::Object(serde_json::Map::new());
    super::written::policy::add(&mut file, &pipeline.policy, config);
    super::written::add_slo(&mut file, pipeline);
    let mut paths = BTreeMap::new();
    flatten("", &file, &mut paths);
    paths
}

fn flatten(path: &str, value: &Value, paths: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(&below(name), value, paths)),
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for (place, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map_or_else(|| place.to_string(), str::to_owned);
                flatten(&below(&name), item, paths);
            }
        }
        plain => drop(paths.insert(path.to_owned(), plain.to_string().replace('"', ""))),
    }
}

type InWords = fn(&Admin) -> Option<String>;

fn tokens_in(from: &TextFrom) -> String {
    from.file().map_or_else(|| "in the config".to_owned(), |file| file.display().to_string())
}

const ADMIN: [(&str, InWords); 3] = [
    ("bind", |admin| Some(admin.bind.to_string())),
    ("tls", |admin| admin.tls.as_ref().map(|tls| super::written::tls::server(tls).to_string())),
    ("token_file", |admin| admin.operators.as_ref().map(tokens_in)),
];

/// Nobody is told which they were, nor which they are.
fn other_tokens(now: &Config, then: &Config) -> bool {
    fn tokens(of: &Config) -> Option<&TextFrom> {
        of.admin.as_ref()?.operators.as_ref()
    }
    tokens(now).zip(tokens(then)).is_some_and(|(now, then)| now.is_other_text(then))
}

/// The same of the users of listeners that stand in the config.
fn other_users(now: &Config, then: &Config) -> bool {
    fn users(of: &Config) -> impl Iterator<Item = Option<&TextFrom>> {
        of.listeners.iter().map(|one| one.sasl.as_ref().and_then(|sasl| sasl.users.as_ref()))
    }
    users(now).zip(users(then)).any(|pair| matches!(pair, (Some(now), Some(then)) if now.is_other_text(then)))
}

/// What cannot change while the process runs.
fn fixed(now: &Config, then: &Config) -> Vec<Fixed> {
    let mut fixed = Vec::new();
    let mut note = |key: String, now: String, then: String| {
        if now != then {
            fixed.push(Fixed { key, now, then });
        }
    };
    note("virtual_cluster".into(), now.virtual_cluster.to_string(), then.virtual_cluster.to_string());
    let listeners =
        |config: &Config| super::written(config).get("listeners").map(ToString::to_string).unwrap_or_default();
    note("listeners".into(), listeners(now), listeners(then));
    if other_users(now, then) {
        note("listeners.sasl.users".into(), "these".into(), "others".into());
    }
    let of_admin = |config: &Config, words: fn(&Admin) -> Option<String>| {
        config.admin.as_ref().and_then(words).unwrap_or_else(|| "none".to_owned())
    };
    for (key, words) in ADMIN {
        note(format!("admin.{key}"), of_admin(now, words), of_admin(then, words));
    }
    if other_tokens(now, then) {
        note("admin.token".into(), "one".into(), "another".into());
    }
    for cluster in &then.clusters {
        if let Some(before) = now.clusters.iter().find(|before| before.name == cluster.name) {
            note(format!("clusters.{}.slot", cluster.name), before.slot.to_string(), cluster.slot.to_string());
        } else if let Some(before) = now.cluster(cluster.slot) {
            let (key, then) = (format!("clusters.{}.slot", cluster.name), cluster.slot.to_string());
            note(key, format!("taken by {}", before.name), then);
        }
    }
    fixed
}

/// Names whose home is another one by the second config, with both homes.
pub fn moved<'n>(
    now: &Config,
    then: &Config,
    names: impl IntoIterator<Item = &'n str>,
    of: fn(&Config, &str) -> crate::types::Slot,
) -> Vec<(&'n str, crate::types::Slot, crate::types::Slot)> {
    let names: BTreeSet<_> = names.into_iter().collect();
    let homes = names.into_iter().map(|name| (name, of(now, name), of(then, name)));
    homes.filter(|(_, now, then)| now != then).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:0' }]
clusters:
  a: { slot: 0, bootstrap: ['a.example:1'] }
  b: { slot: 1, bootstrap: ['b.example:1'] }
pipelines:
  - { name: one, topics: ['b-*'], groups: ['gb-*'], cluster: b }
  - { name: two, topics: ['c-*'], cluster: a }
";

    fn config(text: &str) -> Config {
        Config::from_text("c.yaml", text).expect("a config")
    }

    /// What replacing the first text by the second in the file does, in words.
    fn changed(from: &str, to: &str) -> (Vec<String>, Vec<String>) {
        assert!(NOW.contains(from), "{from}");
        let diff = Diff::between(&config(NOW), &config(&NOW.replace(from, to)));
        let words = |one: &Change| format!("{:?} {} {}: {}", one.what, one.key, one.name, one.how.join("; "));
        (diff.changes.iter().map(words).collect(), diff.needs_restart.iter().map(Fixed::words).collect())
    }

    #[test]
    fn a_config_is_no_different_from_itself() {
        assert!(Diff::between(&config(NOW), &config(NOW)).is_empty());
    }

    #[test]
    fn what_is_added_removed_and_changed_is_told() {
        for (from, to, told) in [
            ("['b-*']", "['b-*', '!b-x']", "Changed pipelines one: topics: b-* -> b-*, !b-x"),
            ("cluster: a }", "cluster: b }", "Changed pipelines two: cluster: a -> b"),
            ("  - { name: two, topics: ['c-*'], cluster: a }\n", "", "Removed pipelines two: topics: c-*; cluster: a"),
            (
                "cluster: a }\n",
                "cluster: a }\n  - { name: three, topics: [d], cluster: b }\n",
                "Added pipelines three: topics: d; cluster: b",
            ),
            ("'a.example:1'", "'a.example:2'", "Changed clusters a: bootstrap: a.example:1 -> a.example:2"),
            ("pipelines:", "limits: { sessions: 7 }\npipelines:", "Changed limits limits: sessions: 20000 -> 7"),
            ("pipelines:", "memory: { parked: 7MiB }\npipelines:", "Changed memory memory: parked: 32MiB -> 7MiB"),
            (
                "pipelines:",
                "clients: [{ name: x, from: '1.2', view: single }]\npipelines:",
                "Added clients x from 1.2: view: single",
            ),
            (
                "topics: ['c-*']",
                "topics: ['c-*'], limits: [{ name: t, key: client_id, rate: 5/s }]",
                "Changed pipelines two: limits.t.action: none -> observe; limits.t.burst: none -> 5; \
                 limits.t.enforced: none -> 100%; limits.t.key: none -> client_id; limits.t.name: none -> t; \
                 limits.t.rate: none -> 5/s; limits.t.unit: none -> records",
            ),
            (
                "groups: ['gb-*']",
                "groups: ['gb-*'], slo: { committed_within: 5s, objective: 99.9% }",
                "Changed pipelines one: slo.committed_within: none -> 5000ms; slo.objective: none -> 99.9%",
            ),
            (
                "pipelines:",
                "metrics: { compatibility: true, max_pairs: 7 }\npipelines:",
                "Changed metrics metrics: compatibility: false -> true; max_pairs: 50000 -> 7",
            ),
            ("pipelines:", "log: debug\npipelines:", "Changed log log: info -> debug"),
            ("default_cluster: a", "default_cluster: b", "Changed default_cluster default_cluster: a -> b"),
            (
                "pipelines:",
                "  c: { slot: 2, bootstrap: ['c:1'] }\npipelines:",
                "Added clusters c: slot 2, bootstrap c:1",
            ),
        ] {
            assert_eq!(changed(from, to), (vec![told.to_owned()], vec![]), "{from} -> {to}");
        }
    }

    #[test]
    fn the_order_of_pipelines_is_a_change() {
        let text =
            NOW.replace("name: one", "name: x").replace("name: two", "name: one").replace("name: x", "name: two");
        let diff = Diff::between(&config(NOW), &config(&text));
        assert!(diff.changes.iter().any(|one| one.name == "their order" && one.how == ["two, one"]), "{diff:?}");
    }

    #[test]
    fn what_needs_a_restart_is_named_by_its_key() {
        for (from, to, told) in [
            ("virtual_cluster: v", "virtual_cluster: w", "virtual_cluster is v and would be w: this needs a restart"),
            ("slot: 1", "slot: 2", "clusters.b.slot is 1 and would be 2: this needs a restart"),
            (
                "pipelines:",
                "admin: { bind: '127.0.0.1:1' }\npipelines:",
                "admin.bind is none and would be 127.0.0.1:1: this needs a restart",
            ),
        ] {
            assert_eq!(changed(from, to).1, [told], "{from} -> {to}");
        }
        let (_, listeners) = changed("127.0.0.1:0", "127.0.0.1:9");
        assert!(listeners.len() == 1 && listeners[0].starts_with("listeners is "), "{listeners:?}");
        let other = NOW.replace("  b: {", "  new: {").replace("cluster: b", "cluster: new");
        let diff = Diff::between(&config(NOW), &config(&other));
        assert_eq!(
            diff.needs_restart[0].words(),
            "clusters.new.slot is taken by b and would be 1: this needs a restart"
        );
    }

    #[test]
    fn names_that_change_home_are_told() {
        let (now, then) = (config(NOW), config(&NOW.replace("'c-*'", "'b-1'").replace("['b-*']", "['b-2*']")));
        let of: fn(&Config, &str) -> crate::types::Slot = |config, name| config.pipeline_of_topic(name).cluster;
        let told = moved(&now, &then, ["b-1", "b-2", "x"], of);
        assert_eq!(told.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), ["b-1"]);
    }
}
