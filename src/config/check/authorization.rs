//! Who may do what: words, names, and which operations go with which resources.

use super::super::findings::{At, Findings};
use super::super::raw::{self, File};
use super::super::read::Text;
use super::super::suggest::nearest;
use crate::rights::{Definition, EVERYONE, Effect, Kind, Network, Operation, Operations, Pattern, Rights, Rule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many pairs of a principal (or group) and a pattern are read, and so many members of groups: with some 150 bytes each, 30 MB.
const MOST: usize = 100_000;

/// The rights; `Some(None)` without any, `None` where something is wrong.
pub(super) fn rights(raw: &File, findings: &mut Findings) -> Option<Option<Arc<Rights>>> {
    let Some(raw) = &raw.authorization else { return Some(None) };
    let before = findings.mistakes();
    let super_users = raw.super_users.iter().flatten().filter_map(|text| super_user(text, findings)).collect();
    let groups = groups(raw, findings);
    let known: Vec<&str> = groups.keys().map(|name| &**name).collect();
    let rules: Vec<_> = raw.rules.iter().flatten().filter_map(|raw| rule(raw, &known, findings)).collect();
    bound(raw, &groups, &rules, findings);
    let definition = Definition { super_users, groups, rules };
    (findings.mistakes() == before).then(|| Some(Arc::new(Rights::new(definition))))
}

fn super_user(text: &Text, findings: &mut Findings) -> Option<Box<str>> {
    if text.value == EVERYONE {
        let what = "everyone would be a super user";
        findings.mistake(text.at, what, "leave `authorization` out, or write a rule for `User:*`");
        return None;
    }
    principal(text, findings)
}

/// `User:alice`: a type, a colon, a name (AK `SecurityUtils.parseKafkaPrincipal`).
fn principal(text: &Text, findings: &mut Findings) -> Option<Box<str>> {
    match text.value.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Some(text.value.as_str().into()),
        _ => {
            let instead =
                if text.is_literal() { format!("did you mean `User:{text}`?") } else { "write User:NAME".into() };
            findings.mistake(text.at, format!("`{text}` is no principal: it has no type before its name"), instead);
            None
        }
    }
}

fn groups(raw: &raw::Authorization, findings: &mut Findings) -> BTreeMap<Box<str>, Vec<Box<str>>> {
    let mut groups = BTreeMap::new();
    for group in raw.groups.iter().flatten() {
        if group.name.value.contains(':') {
            let what = format!("`{}` cannot be the name of a group: a principal has a colon", group.name);
            findings.mistake(group.name.at, what, "take a name without `:`");
        }
        let members = group.members.iter().flatten().filter_map(|text| principal(text, findings)).collect();
        groups.insert(group.name.value.as_str().into(), members);
    }
    groups
}

fn rule(raw: &raw::Rule, groups: &[&str], findings: &mut Findings) -> Option<Rule> {
    let before = findings.mistakes();
    let principals = raw.principals.iter().flatten().filter_map(|text| whom(text, groups, findings)).collect();
    let resources = resources(raw, findings);
    let operations = operations(raw, &resources, findings);
    let hosts = raw.hosts.iter().flatten().filter_map(|text| network(text, findings)).collect();
    let effect = raw.effect.as_ref().and_then(|text| effect(text, findings)).unwrap_or_default();
    let whole = raw.principals.is_some() && raw.operations.is_some() && findings.mistakes() == before;
    whole.then_some(Rule { principals, operations, resources, hosts, effect })
}

/// A principal, or the name of a group of them.
pub(super) fn whom(text: &Text, groups: &[&str], findings: &mut Findings) -> Option<Box<str>> {
    if text.value.contains(':') {
        return principal(text, findings);
    }
    if groups.contains(&text.value.as_str()) {
        return Some(text.value.as_str().into());
    }
    let near = text.is_literal().then(|| nearest(&text.value, groups.iter().copied())).flatten();
    let instead = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if text.is_literal() => format!("write `User:{text}` for a principal, or add the group to `groups`"),
        None => "write User:NAME for a principal, or add the group to `groups`".to_owned(),
    };
    findings.mistake(text.at, format!("no group of principals is called `{text}`"), instead);
    None
}

fn resources(raw: &raw::Rule, findings: &mut Findings) -> Vec<(Kind, Pattern)> {
    let lists =
        [(Kind::Topic, &raw.topics), (Kind::Group, &raw.groups), (Kind::TransactionalId, &raw.transactional_ids)];
    let mut all = Vec::new();
    for (kind, list) in lists {
        all.extend(list.iter().flatten().filter_map(|text| Some((kind, pattern(text, kind, findings)?))));
    }
    if raw.cluster == Some(true) {
        all.push((Kind::Cluster, Pattern::Any));
    }
    if lists.iter().all(|(_, list)| list.is_none()) && raw.cluster != Some(true) {
        let what = "this rule is about nothing";
        findings.mistake(raw.at, what, "name `topics`, `groups` or `transactional_ids`, or write `cluster: true`");
    }
    all
}

fn pattern(text: &Text, kind: Kind, findings: &mut Findings) -> Option<Pattern> {
    let (begin, is_open) = text.value.strip_suffix('*').map_or((text.value.as_str(), false), |begin| (begin, true));
    if begin.contains('*') {
        let what = format!("`{text}` is no pattern of a rule: only the end may be open");
        findings.mistake(text.at, what, "write a whole name, the beginning of names with * behind it, or *");
        return None;
    }
    let letter = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let (Kind::Topic, Some(odd)) = (kind, begin.chars().find(|c| !letter(c))) {
        let what = format!("no topic can have `{odd}` in its name");
        findings.mistake(
            text.at,
            what,
            "topics have letters, digits, `.`, `_` and `-`; rules have no regular expressions",
        );
        return None;
    }
    if begin.is_empty() && !(is_open && text.is_literal()) {
        // What a variable was to bring is not there: that must not mean all.
        findings.mistake(
            text.at,
            format!("`{text}` is empty"),
            "write a name, the beginning of names, or * itself for all",
        );
        return None;
    }
    Some(match (begin, is_open) {
        ("", _) => Pattern::Any,
        (begin, true) => Pattern::Prefix(begin.into()),
        (name, false) => Pattern::Literal(name.into()),
    })
}

fn operations(raw: &raw::Rule, resources: &[(Kind, Pattern)], findings: &mut Findings) -> Operations {
    let mut all = Operations::default();
    for text in raw.operations.iter().flatten() {
        if text.value == Operations::EVERY {
            all = Operations::ALL;
            continue;
        }
        let Some(operation) = Operation::named(&text.value) else {
            unknown(text, findings);
            continue;
        };
        all = all.and(operation);
        let cannot = |kind: &Kind| !kind.operations().has(operation) && resources.iter().any(|(of, _)| of == kind);
        if let Some(kind) = Kind::ALL.into_iter().find(cannot) {
            let what = format!("`{text}` cannot be done to {}", kind.several());
            let instead = format!("{} go with {}; write a rule of its own for each", kind.several(), kind.operations());
            findings.mistake(text.at, what, instead);
        }
    }
    all
}

fn unknown(text: &Text, findings: &mut Findings) {
    let words = || Operation::ALL.into_iter().map(Operation::word).chain([Operations::EVERY]);
    // Lists of others write CLUSTER_ACTION or cluster_action.
    let plain = text.value.replace(['_', '-'], "");
    let near = text.is_literal().then(|| nearest(&plain, words())).flatten();
    let instead = near.map_or_else(
        || format!("operations are {}", words().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    findings.mistake(text.at, format!("`{text}` is no operation"), instead);
}

fn network(text: &Text, findings: &mut Findings) -> Option<Network> {
    let network = Network::parse(&text.value);
    if network.is_none() {
        let what = format!("`{text}` is no address");
        findings.mistake(
            text.at,
            what,
            "write an IP address, or a network such as 10.0.0.0/8; leave `hosts` out for anywhere",
        );
    }
    network
}

fn effect(text: &Text, findings: &mut Findings) -> Option<Effect> {
    let known = [Effect::Allow, Effect::Deny].into_iter().find(|effect| effect.word() == text.value);
    if known.is_none() {
        findings.mistake(text.at, format!("`{text}` is no effect"), "write allow or deny");
    }
    known
}

fn bound(
    raw: &raw::Authorization,
    groups: &BTreeMap<Box<str>, Vec<Box<str>>>,
    rules: &[Rule],
    findings: &mut Findings,
) {
    let pairs: usize = rules.iter().map(|rule| rule.principals.len() * rule.resources.len()).sum();
    let members: usize = groups.values().map(Vec::len).sum();
    let mut tell = |at: Option<At>, count: usize, of: &str| {
        if let Some(at) = at.filter(|_| count > MOST) {
            findings.mistake(at, format!("{count} {of}"), format!("at most {MOST} are taken: use prefixes and groups"));
        }
    };
    let first = raw.rules.iter().flatten().next().map(|rule| rule.at);
    tell(first, pairs, "pairs of a principal and a pattern");
    tell(raw.groups.iter().flatten().next().map(|group| group.name.at), members, "members of groups");
}
