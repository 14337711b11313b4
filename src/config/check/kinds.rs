//! What a cluster is beside Apache Kafka, and what it calls its racks.

use super::super::findings::Findings;
use super::super::raw;
use super::super::read::Text;
use super::super::suggest::nearest;
use super::super::{Kind, Racks};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As the config says them.
const KAFKA: &str = "kafka";
const WARPSTREAM: &str = "warpstream";

/// A zone goes into client ids, where a comma ends it.
const LONGEST_ZONE: usize = 64;

/// What it is; `None` where that is wrong.
pub(super) fn kind(raw: &raw::Cluster, findings: &mut Findings) -> Option<Kind> {
    let is_warpstream = match raw.kind.as_ref().map(|text| (text, text.value.as_str())) {
        None | Some((_, KAFKA)) => false,
        Some((_, WARPSTREAM)) => true,
        Some((text, other)) => {
            let near = text.is_literal().then(|| nearest(other, [KAFKA, WARPSTREAM])).flatten();
            let instead =
                near.map_or_else(|| format!("write {KAFKA} or {WARPSTREAM}"), |near| format!("did you mean `{near}`?"));
            findings.mistake(text.at, format!("`{text}` is no kind of cluster"), instead);
            return None;
        }
    };
    let Some(zone) = &raw.zone else {
        return Some(if is_warpstream { Kind::Warpstream { zone: None } } else { Kind::Kafka });
    };
    if !is_warpstream {
        let what = "only a WarpStream cluster is told the zone that its clients are in";
        findings.mistake(zone.at, what, format!("write `kind: {WARPSTREAM}` beside it, or leave it out"));
        return None;
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if zone.value.len() > LONGEST_ZONE || !zone.value.chars().all(fits) {
        let what = format!("`{zone}` cannot be a zone");
        findings.mistake(zone.at, what, format!("use at most {LONGEST_ZONE} letters, digits, `_`, `-` and `.`"));
        return None;
    }
    Some(Kind::Warpstream { zone: Some(zone.value.as_str().into()) })
}

/// Its names of racks; `None` where two of ours are the same one there.
pub(super) fn racks(raw: &raw::Cluster, findings: &mut Findings) -> Option<Racks> {
    let mut taken: BTreeMap<&str, &Text> = BTreeMap::new();
    let mut pairs: Option<Vec<(Arc<str>, Arc<str>)>> = Some(Vec::new());
    for (ours, theirs) in raw.racks.iter().flatten() {
        if let Some(other) = taken.insert(&theirs.value, ours) {
            let what = format!("`{theirs}` is the rack `{other}` already");
            findings.mistake(theirs.at, what, "give each rack of the cluster one name, so that clients are told one");
            pairs = None;
        }
        if let Some(pairs) = &mut pairs {
            pairs.push((ours.value.as_str().into(), theirs.value.as_str().into()));
        }
    }
    pairs.map(|pairs| pairs.into_iter().collect())
}
