//! The config as a whole: what is written once, twice or nowhere, and what contradicts what. Raw in, [`Config`] out;
//! `None` where something was wrong, and then everything that is wrong is in the findings. Pure.

mod addresses;
mod admin;
mod authorization;
mod bounds;
mod canaries;
mod clients;
mod clusters;
mod hosts;
mod identities;
mod kinds;
mod levels;
mod logins;
mod oauthbearer;
mod pipelines;
mod policy;
mod sasl;
mod tls;

use super::Config;
use super::findings::Findings;
use super::raw::File;
use super::read::Text;
use crate::types::Name;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// The config of a file, or all of its mistakes.
pub(super) fn config(raw: &File, findings: &mut Findings) -> Option<Config> {
    let virtual_cluster = raw.virtual_cluster.as_ref().and_then(|text| name(text, "virtual_cluster", findings));
    let clusters = clusters::Known::new(raw, findings);
    let default_cluster = raw.default_cluster.as_ref().and_then(|name| clusters.slot(name, findings));
    let listeners = addresses::listeners(raw, findings);
    let clients = clients::all(raw, findings);
    let authorization = authorization::rights(raw, findings);
    let admin = admin::admin(raw, findings);
    addresses::apart(raw, findings);
    sasl::principals(raw, findings);
    let pipelines = pipelines::all(raw, &clusters, default_cluster, findings);
    let transaction_version = bounds::transaction_version(raw, findings);
    let metrics = levels::metrics(raw, findings);
    let log = raw.log.as_ref().and_then(|text| log(text, findings));
    let memory = bounds::memory(raw, findings);
    let limits = bounds::limits(raw, findings);
    Some(Config {
        virtual_cluster: virtual_cluster?.value.as_str().into(),
        default_cluster: default_cluster?,
        listeners: listeners?,
        clusters: clusters.into_config()?,
        pipelines: pipelines?,
        transaction_version,
        clients: clients?,
        authorization: authorization?,
        admin: admin?,
        metrics,
        log,
        memory,
        limits,
    })
}

/// What is to be logged, in the words of the library that does.
fn log(text: &Text, findings: &mut Findings) -> Option<Arc<str>> {
    match EnvFilter::try_new(&text.value) {
        Ok(_) => Some(text.value.as_str().into()),
        Err(why) => {
            let what = format!("`{text}` does not say what is to be logged: {why}");
            findings.mistake(text.at, what, "write for example `info` or `fishplate=debug,warn`");
            None
        }
    }
}

/// A name that can stand in a metric's label and in a URL as it is. `what` has it, in a sentence.
fn name<'a>(text: &'a Text, what: &str, findings: &mut Findings) -> Option<&'a Text> {
    const LONGEST: usize = 100;
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.value.len() <= LONGEST && text.value.chars().all(letter) {
        return Some(text);
    }
    let what = format!("`{text}` cannot be the name of {what}");
    findings.mistake(text.at, what, format!("use at most {LONGEST} letters, digits, `_`, `-` and `.`"));
    None
}

/// A name that metrics have as a label. There, two words mean something else.
fn label<'a>(text: &'a Text, what: &str, findings: &mut Findings) -> Option<&'a Text> {
    let means = match name(text, what, findings)?.value.as_str() {
        Name::NONE => "belongs to none",
        Name::SEVERAL => "belongs to more than one",
        _ => return Some(text),
    };
    let what = format!("`{text}` cannot be the name of {what}: metrics say it of a request that {means}");
    findings.mistake(text.at, what, "take another name");
    None
}
