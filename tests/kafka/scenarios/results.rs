//! What came of each scenario, kept in `tests/clients/results.jsonl` when `FISHPLATE_RESULTS` is set: a run replaces what
//! it played anew and leaves the rest. `docs/compatibility.md` is made of it (`matrix.rs`).

use super::clients::CLIENTS;
use super::contract::{Client, View};
use crate::harness::repository;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

static SEEN: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());

/// One scenario of one client in one view.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub client: String,
    pub view: String,
    pub scenario: String,
    pub came_of_it: CameOfIt,
    /// The day it was played, as `YYYY-MM-DD`.
    pub on: String,
}

/// Against bare Kafka.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum CameOfIt {
    /// The same.
    Same,
    /// What `differences.yaml` gives a reason for.
    Listed,
    /// Something else: the trial failed.
    Failed,
}

/// Notes what comes of `judge`, which says whether listed differences were seen, and panics at others.
pub fn noted(client: &Client, view: View, scenario: &str, judge: impl FnOnce() -> bool) {
    let outcome = catch_unwind(AssertUnwindSafe(judge));
    let came_of_it = match &outcome {
        Ok(false) => CameOfIt::Same,
        Ok(true) => CameOfIt::Listed,
        Err(_) => CameOfIt::Failed,
    };
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(Outcome {
        client: client.name.into(),
        view: view.name().into(),
        scenario: scenario.into(),
        came_of_it,
        on: today(),
    });
    if let Err(cause) = outcome {
        resume_unwind(cause);
    }
}

/// What was kept of earlier runs.
pub fn kept() -> Vec<Outcome> {
    let text = fs::read_to_string(repository().join(FILE)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{FILE}: {error}"))).collect()
}

const FILE: &str = "tests/clients/results.jsonl";

/// At the end of a run.
pub fn keep() {
    if env::var_os("FISHPLATE_RESULTS").is_none() {
        return;
    }
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut all = BTreeMap::new();
    for one in kept().into_iter().chain(seen) {
        let client = CLIENTS.iter().position(|client| client.name == one.client);
        let view = View::ALL.iter().position(|view| view.name() == one.view);
        // Who is in the table no more is forgotten.
        if let (Some(client), Some(view)) = (client, view) {
            all.insert((client, view, one.scenario.clone()), one);
        }
    }
    let lines = all.values().map(|one| serde_json::to_string(one).unwrap_or_default() + "\n");
    fs::write(repository().join(FILE), lines.collect::<String>()).unwrap_or_else(|error| panic!("{FILE}: {error}"));
}

pub fn today() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%F"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
