//! The canaries of a pipeline: what they need, and the cluster that they name.

use super::super::findings::Findings;
use super::super::policy::{Canary, OnDown, Share};
use super::super::raw;
use super::super::tokens::Token;
use super::clusters::Known;
use super::policy::{key, parts, word};
use crate::types::Slot;

/// In their order; what is wrong is left out, which is told. `home` is the pipeline's own cluster.
pub(super) fn canaries(
    raws: &[raw::Canary],
    known: &Known,
    home: Option<Slot>,
    findings: &mut Findings,
) -> Vec<Canary> {
    let mut canaries: Vec<Canary> = Vec::new();
    for raw in raws {
        let Some(canary) = canary(raw, known, home, findings) else { continue };
        if canaries.iter().any(|other| other.to == canary.to && other.on_down != canary.on_down) {
            let at = raw.on_down.as_ref().map_or(raw.at, |text| text.at);
            let what = "canaries on one cluster differ in `on_down`, and their records go to one topic";
            findings.mistake(at, what, "write the same to all of them");
        }
        canaries.push(canary);
    }
    canaries
}

fn canary(raw: &raw::Canary, known: &Known, home: Option<Slot>, findings: &mut Findings) -> Option<Canary> {
    let key = raw.key.as_ref().and_then(|text| key(text, "a canary can tell records by", findings));
    let to = raw.to.as_ref().and_then(|text| known.slot(text, findings));
    let on_down = word(raw.on_down.as_ref(), OnDown::ALL, OnDown::as_str, "on_down", findings);
    let values = raw.values.iter().flatten().filter_map(|text| {
        parts(text, key.as_ref()?, findings)?;
        Some(Token::from(text.value.as_str()))
    });
    let values = values.collect();
    if raw.values.as_ref().is_none_or(Vec::is_empty) && raw.share.is_none() {
        let instead = "add for example `values: [phc_test]` or `share: 1%`";
        findings.mistake(raw.at, "a canary needs to know which records", instead);
    }
    if let (Some(text), true) = (&raw.to, to.is_some() && to == home) {
        let what = format!("`{text}` is the cluster that the pipeline lives on");
        findings.mistake(text.at, what, "name another one");
    }
    let share = raw.share.map_or(Share::NONE, |share| Share(share.millionths));
    Some(Canary { key: key?, values, share, to: to?, on_down })
}
