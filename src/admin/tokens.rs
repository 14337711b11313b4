//! Who speaks most in a pipeline: the keys that its limits count by, with what became of their records. Masked, unless
//! somebody who may see them asks otherwise.

use super::tables::{ROWS, View, plain};
use crate::config::tokens::mask;
use crate::policy::rulings::{Ruling, Table};
use crate::policy::talkers::{By, Counts, Span, Spoken, Talkers, Top};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// Rows where nobody says how many.
const FEW: usize = 20;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AskedTokens {
    /// Of which pipeline.
    pub pipeline: String,
    /// Under which key, as a limit has it; the first one of the pipeline's where it is left out.
    pub key: Option<String>,
    /// In what order.
    #[serde(default)]
    pub by: By,
    /// Of when.
    #[serde(default)]
    pub window: Span,
    /// How many rows.
    pub limit: Option<usize>,
    /// Not masked.
    #[serde(default)]
    pub reveal: bool,
}

/// Who speaks most.
#[derive(Debug, Serialize)]
pub struct Tokens {
    /// In which pipeline.
    pub pipeline: String,
    /// Under which key.
    pub key: String,
    /// Under which others there is something to ask.
    pub other_keys: Vec<String>,
    /// Of when.
    pub window: Span,
    /// How many seconds that is just now.
    pub seconds: u64,
    /// In what order.
    pub by: By,
    /// Whether tokens are masked.
    pub masked: bool,
    /// What all said together, also those of whom nothing is known.
    pub all: Counts,
    /// How many are known of.
    pub total: usize,
    /// The first of them.
    pub rows: Vec<TokenRow>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct TokenRow {
    /// Its mask, or what it is; `None` of records that have none.
    pub token: Option<String>,
    /// At least so much.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no such pipeline, or it asks nothing of its records.
    #[error("the pipeline `{pipeline}` has no contract and no limits, or there is none of that name; {}", those(.with))]
    Pipeline {
        /// The name.
        pipeline: String,
        /// Those that there are.
        with: Vec<String>,
    },
    /// Nothing is counted by that.
    #[error("nothing in the pipeline is counted by `{key}`; write one of: {}", .keys.join(", "))]
    Key {
        /// What was asked for.
        key: String,
        /// What there is.
        keys: Vec<String>,
    },
}

fn those(with: &[String]) -> String {
    if with.is_empty() {
        return "no pipeline has any".to_owned();
    }
    format!("these have: {}", with.join(", "))
}

/// What a pipeline asks of its records.
pub(super) fn ruling<'a>(table: &'a Table, pipeline: &str) -> Result<&'a Ruling, Unknown> {
    let found = table.all().find(|(name, _)| name.as_str() == pipeline).map(|(_, ruling)| &**ruling);
    found.ok_or_else(|| Unknown::Pipeline {
        pipeline: plain(pipeline.as_bytes()),
        with: table.all().map(|(name, _)| name.to_string()).collect(),
    })
}

/// What a pipeline asks of its records, and by which of its keys is counted: that of this name, or the first.
pub(super) fn counted_by(
    view: &View,
    pipeline: &str,
    key: Option<&str>,
) -> Result<(Arc<Ruling>, usize, Vec<String>), Unknown> {
    let table = view.rulings();
    let none = || Unknown::Pipeline { pipeline: plain(pipeline.as_bytes()), with: Vec::new() };
    let table = table.as_ref().ok_or_else(none)?;
    let found = table.all().find(|(name, _)| name.as_str() == pipeline).map(|(_, ruling)| Arc::clone(ruling));
    let Some(ruling) = found else { return Err(ruling(table, pipeline).err().unwrap_or_else(none)) };
    let keys: Vec<_> = ruling.policy.talkers.iter().map(|talkers| talkers.written.to_string()).collect();
    let place = key.map_or(Some(0), |wanted| keys.iter().position(|key| key == wanted));
    match place.filter(|place| *place < keys.len()) {
        Some(place) => Ok((ruling, place, keys)),
        None => Err(Unknown::Key { key: plain(key.unwrap_or_default().as_bytes()), keys }),
    }
}

/// One of those that speak, masked or not.
pub(super) fn row(Spoken { text, counts }: Spoken, reveal: bool) -> TokenRow {
    let show = |token: &[u8]| if reveal { plain(token) } else { mask(token) };
    TokenRow { token: text.as_deref().map(show), counts }
}

/// Those who speak most in a pipeline. Whoever asks for more than masks must be one who may see them.
pub fn tokens(view: &View, asked: &AskedTokens, now: Instant) -> Result<Tokens, Unknown> {
    let table = view.rulings();
    let ruling = match &table {
        Some(table) => ruling(table, &asked.pipeline)?,
        None => return Err(Unknown::Pipeline { pipeline: plain(asked.pipeline.as_bytes()), with: Vec::new() }),
    };
    of(&ruling.policy.talkers, asked, now)
}

fn of(talkers: &[Talkers], asked: &AskedTokens, now: Instant) -> Result<Tokens, Unknown> {
    let keys: Vec<_> = talkers.iter().map(|talkers| talkers.written.to_string()).collect();
    let wanted = asked.key.as_deref().unwrap_or_else(|| keys.first().map_or("", |key| key));
    let place = keys.iter().position(|key| key == wanted);
    let Some((place, talkers)) = place.and_then(|place| Some((place, talkers.get(place)?))) else {
        return Err(Unknown::Key { key: plain(wanted.as_bytes()), keys });
    };
    let Top { over, all, known, keys: spoken } =
        talkers.top(asked.window, asked.by, asked.limit.unwrap_or(FEW).min(ROWS), now);
    Ok(Tokens {
        pipeline: asked.pipeline.clone(),
        key: wanted.to_owned(),
        other_keys: keys.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, key)| key.clone()).collect(),
        window: asked.window,
        seconds: over.as_secs() + u64::from(over.subsec_nanos() > 0),
        by: asked.by,
        masked: !asked.reveal,
        all,
        total: known,
        rows: spoken.into_iter().map(|spoken| row(spoken, asked.reveal)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy;
    use crate::policy::keys::{Key, Part, Secret};
    use crate::policy::talkers::Heard;

    fn talkers(now: Instant) -> [Talkers; 2] {
        let by_token = policy::Key::Headers(vec![Arc::from("token")]);
        let talkers = Talkers::new(by_token, Key::new(vec![Part::RecordKey]));
        let mut heard = Heard::default();
        for (token, records) in [("phc_loud_and_long", 9), ("phc_quiet_and_long", 2)] {
            let counts = Counts { records, bytes: 10 * records, ..Counts::default() };
            heard.add(Key::of_text(Secret::of("x"), [token]), counts, |out| {
                out.extend(token.bytes());
                true
            });
        }
        talkers.take(&mut heard, now);
        [talkers, Talkers::new(policy::Key::Record, Key::new(vec![Part::RecordKey]))]
    }

    #[test]
    fn tokens_are_masked_unless_they_are_asked_for() {
        let now = Instant::now();
        let asked = AskedTokens { pipeline: "events".to_owned(), ..AskedTokens::default() };
        let told = of(&talkers(now), &asked, now).expect("tokens");
        assert_eq!((told.key.as_str(), &told.other_keys[..]), ("header(token)", &["key".to_owned()][..]));
        assert_eq!((told.total, told.all.records, told.rows[0].counts.records), (2, 11, 9));
        let text = serde_json::to_string(&told).expect("JSON");
        assert!(!text.contains("loud") && !text.contains("quiet") && text.contains("phc_…"), "{text}");
        let revealed = of(&talkers(now), &AskedTokens { reveal: true, limit: Some(1), ..asked }, now).expect("tokens");
        assert_eq!(revealed.rows[0].token.as_deref(), Some("phc_loud_and_long"));
        assert_eq!((revealed.rows.len(), revealed.total), (1, 2));
    }

    #[test]
    fn what_is_not_counted_by_is_told_with_what_is() {
        let now = Instant::now();
        let asked = AskedTokens { key: Some("header(tokn)".to_owned()), ..AskedTokens::default() };
        let error = of(&talkers(now), &asked, now).expect_err("no such key").to_string();
        assert!(error.ends_with("write one of: header(token), key"), "{error}");
    }
}
