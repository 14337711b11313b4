//! Bare Kafka against Fishplate, scenario by scenario, and the list of differences that have a reason.

use super::contract::View;
use crate::harness::repository;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::sync::OnceLock;

/// An entry of `tests/clients/differences.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub clients: Vec<String>,
    pub scenario: String,
    /// In these views; absent: in all.
    #[serde(default)]
    pub views: Option<Vec<String>>,
    /// Before this stand-in for a cluster that users have (`tests/harness/standin.rs`); absent: before Apache Kafka.
    #[serde(default)]
    pub before: Option<String>,
    /// Where in the scenario's result: at each of these, keys with slashes between.
    pub at: Vec<String>,
    bare: Value,
    fishplate: Value,
    /// Why it is right that they differ, or who will mend it.
    pub why: String,
}

/// Panics where a difference is not in the list, and where the list has one that is none; says whether there are any.
#[track_caller]
pub fn judge(client: &str, view: View, scenario: &str, bare: &Value, through: &Value) -> bool {
    let known: Vec<_> = list().iter().filter(|one| one.is_about(client, view, scenario)).collect();
    let differs = compared(&known, bare, through);
    differs.unwrap_or_else(|complaint| {
        panic!("{client} sees another {scenario} through Fishplate in {}:{complaint}", view.name())
    })
}

/// The same before a stand-in, where what differs before Apache Kafka may differ too; what is to be said of it.
pub fn complaint_before(
    stand_in: &str,
    client: &str,
    view: View,
    scenario: &str,
    (bare, through): (&Value, &Value),
) -> Option<String> {
    let is_here = |one: &&Known| one.before.as_ref().is_none_or(|before| before == stand_in);
    let known: Vec<_> = list().iter().filter(is_here).filter(|one| one.is_of(client, view, scenario)).collect();
    compared(&known, bare, through).err().map(|complaint| format!("{client} sees another {scenario}:{complaint}"))
}

/// Whether there are differences, all of them known; else what is to be said of them.
fn compared(known: &[&Known], bare: &Value, through: &Value) -> Result<bool, String> {
    let mut found = Vec::new();
    compare("", bare, through, &mut found);
    let mut complaint = String::new();
    for difference in found.iter().filter(|difference| !known.iter().any(|one| one.is(difference))) {
        let Difference { at, bare, through } = difference;
        let _ = write!(complaint, "\n  at `{at}`\n    bare Kafka: {}\n    Fishplate:  {}", shown(bare), shown(through));
    }
    for (one, at) in known.iter().flat_map(|one| one.at.iter().map(move |at| (one, at))) {
        if !found.iter().any(|difference| difference.at == *at && one.is(difference)) {
            let _ = write!(complaint, "\n  `{at}` is in the list and no longer so ({})", one.why);
        }
    }
    if complaint.is_empty() { Ok(!found.is_empty()) } else { Err(complaint) }
}

/// All of it.
pub fn list() -> &'static [Known] {
    static LIST: OnceLock<Vec<Known>> = OnceLock::new();
    LIST.get_or_init(|| {
        let file = repository().join("tests/clients/differences.yaml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    })
}

impl Known {
    /// Whether this scenario of this client is meant, before Apache Kafka.
    pub fn is_about(&self, client: &str, view: View, scenario: &str) -> bool {
        self.before.is_none() && self.is_of(client, view, scenario)
    }

    fn is_of(&self, client: &str, view: View, scenario: &str) -> bool {
        let here = self.views.as_ref().is_none_or(|views| views.iter().any(|one| one == view.name()));
        here && self.scenario == scenario && self.clients.iter().any(|one| one == client)
    }

    fn is(&self, found: &Difference) -> bool {
        self.at.contains(&found.at) && self.bare == *found.bare && self.fishplate == *found.through
    }
}

struct Difference<'a> {
    at: String,
    bare: &'a Value,
    through: &'a Value,
}

/// Objects are looked into; everything else is compared as a whole. What one side lacks is null there.
fn compare<'a>(at: &str, bare: &'a Value, through: &'a Value, found: &mut Vec<Difference<'a>>) {
    const LACKING: &Value = &Value::Null;
    let (Some(one), Some(other)) = (bare.as_object(), through.as_object()) else {
        if bare != through {
            found.push(Difference { at: at.to_owned(), bare, through });
        }
        return;
    };
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}/{key}") };
    for (key, value) in one {
        compare(&below(key), value, other.get(key).unwrap_or(LACKING), found);
    }
    for (key, value) in missing_in(other, one) {
        compare(&below(key), LACKING, value, found);
    }
}

fn missing_in<'a>(
    all: &'a Map<String, Value>,
    known: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    all.iter().filter(|(key, _)| !known.contains_key(*key))
}

/// Long lists of records would hide what differs.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 600;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}
