//! The pipelines: names, patterns, and what no topic, group or transactional id can ever reach because an earlier pipeline
//! has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::findings::{At, Findings};
use super::super::patterns::{Pattern, Patterns};
use super::super::raw::{self, File};
use super::super::read::Text;
use super::super::{DEFAULT_PIPELINE, Pipeline, Policy, Slo};
use super::clusters::Known;
use super::{label, levels, policy};
use crate::types::{Name, Slot};

/// What a list of patterns is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Topics,
    /// Groups or transactional ids, which may be called anything.
    Others,
}

/// A list of patterns, and where each stands.
#[derive(Default)]
struct Written {
    patterns: Patterns,
    include: Vec<(Pattern, Text)>,
    /// All of its patterns are in `patterns`: none was wrong.
    whole: bool,
}

/// A pipeline as far as it is right.
struct Draft {
    name: Option<Text>,
    cluster: Option<Slot>,
    topics: Written,
    groups: Written,
    transactional_ids: Written,
    /// `None` if something of it is wrong.
    policy: Option<Policy>,
    /// Likewise.
    slo: Option<Option<Slo>>,
}

/// In their order, `default` last; `None` if one of them is wrong.
pub(super) fn all(raw: &File, known: &Known, default: Option<Slot>, findings: &mut Findings) -> Option<Vec<Pipeline>> {
    let mut names = BTreeMap::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for raw in raw.pipelines.iter().flatten() {
        let draft = draft(raw, known, &mut names, findings);
        unreachable_topics(&draft, &drafts, raw.at, findings);
        unreachable("group", &draft, &drafts, |draft| &draft.groups, findings);
        unreachable("transactional id", &draft, &drafts, |draft| &draft.transactional_ids, findings);
        drafts.push(draft);
    }
    let mut pipelines: Vec<Pipeline> = drafts.into_iter().map(Draft::finish).collect::<Option<_>>()?;
    let everything = Patterns::everything();
    let name = Name::from(DEFAULT_PIPELINE);
    let (topics, groups) = (everything.clone(), everything.clone());
    let (policy, slo) = (Arc::default(), None);
    pipelines.push(Pipeline { name, topics, groups, transactional_ids: everything, cluster: default?, policy, slo });
    policy::lanes_live_there(raw, &pipelines, known, findings);
    Some(pipelines)
}

impl Draft {
    fn finish(self) -> Option<Pipeline> {
        let right = self.topics.whole && self.groups.whole && self.transactional_ids.whole;
        let (name, cluster) = (Name::from(self.name?.value.as_str()), self.cluster?);
        let (topics, groups, policy) = (self.topics.patterns, self.groups.patterns, Arc::new(self.policy?));
        let (transactional_ids, slo) = (self.transactional_ids.patterns, self.slo?);
        right.then_some(Pipeline { name, topics, groups, transactional_ids, cluster, policy, slo })
    }

    /// In a sentence; `nameless` if its name is wrong.
    fn called(&self, nameless: &str) -> String {
        self.name.as_ref().map_or_else(|| nameless.to_owned(), |name| format!("the pipeline `{name}`"))
    }

    /// In a sentence about a later pipeline.
    fn above(&self) -> String {
        format!("{} above", self.called("a pipeline"))
    }
}

fn draft(raw: &raw::Pipeline, known: &Known, names: &mut BTreeMap<String, At>, findings: &mut Findings) -> Draft {
    let cluster = raw.cluster.as_ref().and_then(|text| known.slot(text, findings));
    Draft {
        name: raw.name.as_ref().and_then(|text| unique(text, names, findings)).cloned(),
        cluster,
        topics: raw.topics.as_ref().map(|list| written(list, Of::Topics, findings)).unwrap_or_default(),
        groups: optional(raw.groups.as_deref(), findings),
        transactional_ids: optional(raw.transactional_ids.as_deref(), findings),
        policy: policy::policy(raw, known, cluster, findings),
        slo: levels::slo(raw, findings),
    }
}

fn unique<'a>(text: &'a Text, names: &mut BTreeMap<String, At>, findings: &mut Findings) -> Option<&'a Text> {
    let text = label(text, "a pipeline", findings)?;
    if text.value == DEFAULT_PIPELINE {
        let what = format!("`{DEFAULT_PIPELINE}` is the built-in pipeline of all that no other claims");
        findings.mistake(text.at, what, "take another name; where it lives is `default_cluster`");
        return None;
    }
    if let Some(first) = names.get(&text.value) {
        let what = format!("a pipeline is called `{text}` already ({})", findings.spot(*first));
        findings.mistake(text.at, what, "give each pipeline a name of its own");
        return None;
    }
    names.insert(text.value.clone(), text.at);
    Some(text)
}

/// A list that may be left out, and then matches nothing.
fn optional(list: Option<&[Text]>, findings: &mut Findings) -> Written {
    match list {
        Some(list) => written(list, Of::Others, findings),
        None => Written { whole: true, ..Written::default() },
    }
}

/// Compiles a list. A mistake where it has exclusions only, which match nothing.
fn written(list: &[Text], of: Of, findings: &mut Findings) -> Written {
    let mut out = Written { whole: true, ..Written::default() };
    for text in list {
        let (bare, excludes) = text.value.strip_prefix('!').map_or((text.value.as_str(), false), |bare| (bare, true));
        let Some(pattern) = pattern(text, bare, of, findings) else {
            out.whole = false;
            continue;
        };
        out.patterns.add(pattern.clone(), excludes);
        if !excludes {
            out.include.push((pattern, text.clone()));
        }
    }
    if let (Some(first), true, true) = (list.first(), out.include.is_empty(), out.whole) {
        findings.mistake(first.at, "only exclusions: nothing is left to match", "add what to match, for example \"*\"");
        out.whole = false;
    }
    out
}

fn pattern(text: &Text, bare: &str, of: Of, findings: &mut Findings) -> Option<Pattern> {
    let pattern = match Pattern::new(bare) {
        Ok(pattern) => pattern,
        Err(bad) => {
            // The library's words and ours may repeat a character of what `${...}` brought in.
            let what = if text.is_literal() { bad.what } else { format!("what `{text}` stands for is no pattern") };
            findings.mistake(text.at, what, bad.instead);
            return None;
        }
    };
    let letter = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let odd = pattern.characters().find(|c| !letter(c));
    if let (Of::Topics, Some(odd)) = (of, odd) {
        let what = format!("no topic can have `{odd}` in its name");
        findings.mistake(
            text.at,
            what,
            "topics have letters, digits, `.`, `_` and `-`; a regular expression stands between slashes",
        );
        return None;
    }
    Some(pattern)
}

/// A pipeline that no topic can belong to is a mistake; a pattern of it that none can is a warning.
fn unreachable_topics(draft: &Draft, earlier: &[Draft], at: At, findings: &mut Findings) {
    let include = &draft.topics.include;
    let dead: Vec<(&Text, String)> = include
        .iter()
        .filter_map(|(pattern, text)| why_dead(pattern, &draft.topics.patterns, earlier).map(|why| (text, why)))
        .collect();
    if draft.topics.whole && !dead.is_empty() && dead.len() == include.len() {
        let why: Vec<String> = dead.iter().map(|(text, why)| format!("`{text}` {why}")).collect();
        let at = draft.name.as_ref().map_or(at, |name| name.at);
        let what = format!("no topic can belong to {}: {}", draft.called("this pipeline"), why.join("; "));
        findings.mistake(
            at,
            what,
            "the first pipeline that matches has the topic: move the narrower one up, or remove it",
        );
        return;
    }
    for (text, why) in dead {
        findings.warning(
            text.at,
            format!("`{text}` can never match: it {why}"),
            "move this pipeline up, or remove the pattern",
        );
    }
}

fn why_dead(pattern: &Pattern, own: &Patterns, earlier: &[Draft]) -> Option<String> {
    if own.exclude_all_of(pattern) {
        return Some("is excluded by the same list".to_owned());
    }
    let first = earlier.iter().find(|draft| draft.topics.patterns.cover(pattern))?;
    Some(format!("belongs to {}", first.above()))
}

/// A pattern of groups, or of transactional ids, that an earlier pipeline covers never takes effect: a mistake if that sends
/// them elsewhere.
fn unreachable(kind: &str, draft: &Draft, earlier: &[Draft], list: fn(&Draft) -> &Written, findings: &mut Findings) {
    for (pattern, text) in &list(draft).include {
        let Some(first) = earlier.iter().find(|draft| list(draft).patterns.cover(pattern)) else { continue };
        let what = format!("the {kind}s of `{text}` belong to {}", first.above());
        if first.cluster == draft.cluster {
            // Its service level is still of the groups that it names.
            if kind == "group" && draft.slo != Some(None) {
                continue;
            }
            findings.warning(text.at, what, "both live on the same cluster, so that the pattern can go");
        } else {
            findings.mistake(
                text.at,
                what,
                format!("a {kind} has one home: name it in one pipeline, the narrower pattern first"),
            );
        }
    }
}
