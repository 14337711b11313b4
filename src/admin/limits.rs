//! Limits as they are in force, and another rate for one of them until the next reload.

use super::operator::Admitted;
use super::tables::{View, plain};
use crate::config::rates::{Wanted, rate};
use crate::config::tokens::{Token, mask};
use crate::policy::overrule::Overrule;
use crate::policy::rulings::Ruling;
use crate::telemetry::AUDIT;
use serde::{Deserialize, Serialize};

/// How long what an operator sets is in force.
pub const UNTIL: &str = "the next reload or restart";

/// A limit as it is in force.
#[derive(Debug, Serialize)]
pub struct LimitRow {
    /// Its pipeline.
    pub pipeline: String,
    /// Its name.
    pub limit: String,
    /// What is counted apart.
    pub key: String,
    /// What is counted.
    pub unit: String,
    /// How much of it may come.
    pub rate: String,
    /// How much at once.
    pub burst: u64,
    /// What becomes of more.
    pub action: &'static str,
    /// For which share of keys.
    pub enforced: String,
    /// How many keys have a rate of their own.
    pub overrides: usize,
    /// How many keys it knows now.
    pub keys: usize,
    /// What of it an operator set, which stands in no file: the rate, or masks of keys.
    pub until_reload: Vec<String>,
}

/// All limits; those of one pipeline where it is named.
#[must_use]
pub fn limits(view: &View, pipeline: Option<&str>) -> Vec<LimitRow> {
    let table = view.rulings();
    let all = table.iter().flat_map(|table| table.all());
    let wanted = all.filter(|(name, _)| pipeline.is_none_or(|pipeline| name.as_str() == pipeline));
    wanted.flat_map(|(name, ruling)| rows(name.as_str(), ruling)).collect()
}

fn rows<'a>(pipeline: &'a str, ruling: &'a Ruling) -> impl Iterator<Item = LimitRow> + use<'a> {
    let limits = ruling.written.limits.iter().zip(ruling.policy.limits());
    limits.map(move |(written, limit)| {
        let set = ruling.overrules.iter().filter(|overrule| overrule.limit == written.name);
        LimitRow {
            pipeline: pipeline.to_owned(),
            limit: written.name.to_string(),
            key: written.key.to_string(),
            unit: written.unit.to_string(),
            rate: written.rate.to_string(),
            burst: written.burst,
            action: written.action.as_str(),
            enforced: written.enforced.to_string(),
            overrides: written.overrides.len(),
            keys: limit.limiter.buckets().live(),
            until_reload: set.map(|one| one.token.as_ref().map_or("rate".to_owned(), ToString::to_string)).collect(),
        }
    })
}

/// A rate that an operator wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRate {
    /// Of which pipeline.
    pub pipeline: String,
    /// Of which limit of it.
    pub limit: String,
    /// Of which key alone, as an override names it.
    pub token: Option<String>,
    /// As the config would have it.
    pub rate: String,
    /// As the config would have it.
    pub burst: Option<Much>,
}

/// A number, or text with a unit.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Much {
    /// `1000`
    Number(u64),
    /// `4MiB`
    Text(String),
}

/// What was put in force.
#[derive(Debug, Serialize)]
pub struct SetRate {
    /// Of which pipeline.
    pub pipeline: String,
    /// Of which limit.
    pub limit: String,
    /// Of which key alone, masked.
    pub token: Option<String>,
    /// The rate.
    pub rate: String,
    /// And what may come at once.
    pub burst: u64,
    /// How long it holds.
    pub until: &'static str,
}

/// Puts a rate in force, and says so in the log.
///
/// # Errors
/// In words: what the config's check would say of it.
pub fn set_rate(view: &View, asked: &AskedRate, who: &Admitted) -> Result<SetRate, String> {
    let config = view.current.load().config.clone();
    let burst = asked.burst.as_ref().map(|much| match much {
        Much::Number(number) => number.to_string(),
        Much::Text(text) => text.clone(),
    });
    let AskedRate { pipeline, limit, token, .. } = asked;
    let wanted = Wanted { pipeline, limit, token: token.as_deref(), rate: &asked.rate, burst: burst.as_deref() };
    let (rate, burst) = rate(&config, wanted)?;
    let token = token.as_deref().map(Token::from);
    let overrule = Overrule { pipeline: (**pipeline).into(), limit: (**limit).into(), token, rate, burst };
    let context = view.contexts.first().ok_or("Fishplate is starting: try again soon")?;
    context.rulings.overrule(&config, overrule)?;
    let masked = asked.token.as_ref().map(|token| mask(token.as_bytes()));
    tracing::info!(
        target: AUDIT, peer = %who.peer, operator = %who.by, certificate = who.certificate.as_deref(),
        pipeline, limit, token = masked, %rate, burst, until = UNTIL,
        "an operator set a limit's rate; it stands in no file"
    );
    Ok(SetRate {
        pipeline: plain(pipeline.as_bytes()),
        limit: plain(limit.as_bytes()),
        token: masked,
        rate: rate.to_string(),
        burst,
        until: UNTIL,
    })
}
