//! What kinds of clients are shown.

use super::super::clients::{ClientRule, Clients, version};
use super::super::findings::Findings;
use super::super::raw::{self, File};
use super::super::suggest::nearest;
use crate::types::View;

/// `None` if one of them is wrong.
pub(super) fn all(raw: &File, findings: &mut Findings) -> Option<Clients> {
    let written = raw.clients.as_deref().unwrap_or_default();
    let mut rules: Vec<ClientRule> = Vec::with_capacity(written.len());
    let mut wrong = false;
    for raw in written {
        match rule(raw, findings) {
            Some(rule) if rules.iter().any(|other| (&other.name, other.from) == (&rule.name, rule.from)) => {
                let what = format!("this client stands in the list already: {rule}");
                findings.mistake(raw.at, what, "leave one of them");
                wrong = true;
            }
            Some(rule) => rules.push(rule),
            None => wrong = true,
        }
    }
    (!wrong).then(|| Clients::new(rules))
}

fn rule(raw: &raw::Client, findings: &mut Findings) -> Option<ClientRule> {
    let from = match &raw.from {
        None => Some((0, 0)),
        Some(text) => {
            let from = version(&text.value);
            if from.is_none() {
                findings.mistake(text.at, format!("`{text}` is no version"), "write for example \"1.2\"");
            }
            from
        }
    };
    let view = raw.view.as_ref().and_then(|text| {
        let view = View::named(&text.value);
        if view.is_none() {
            let near = text.is_literal().then(|| nearest(&text.value, ["brokers", "hosts", "single"])).flatten();
            let instead =
                near.map_or("write brokers, hosts or single".to_owned(), |near| format!("did you mean `{near}`?"));
            findings.mistake(text.at, format!("`{text}` is no view"), instead);
        }
        view
    });
    Some(ClientRule { name: raw.name.as_ref()?.value.as_str().into(), from: from?, view: view? })
}
