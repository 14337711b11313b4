//! What a pipeline says of the records themselves: header contract, limits and lanes, checked. What it means for a record
//! is decided in the room `policy`.

use super::tokens::Token;
use crate::types::{Name, Slot};
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What holds for the records of a pipeline. Where it is empty, records are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What headers they must have.
    pub contract: Option<Contract>,
    /// How much of what may come, in the order in which they decide.
    pub limits: Vec<Limit>,
    /// Where records go that are above a limit.
    pub overflow: Option<Lane>,
    /// Where records go that break the contract.
    pub dlq: Option<Lane>,
    /// Which of those that stay go to the same topic on another cluster: the first that has a record decides.
    pub canaries: Vec<Canary>,
}

impl Policy {
    /// The headers that contract, limits and canaries ask for, each once.
    #[must_use]
    pub fn headers(&self) -> BTreeSet<&str> {
        let contract = self.contract.iter().flat_map(|contract| &contract.headers).map(|rule| &rule.name);
        let keys = self.limits.iter().map(|limit| &limit.key).chain(self.canaries.iter().map(|canary| &canary.key));
        let keys = keys.flat_map(|key| match key {
            Key::Headers(names) => &names[..],
            Key::Record | Key::Principal | Key::ClientId => &[],
        });
        let units = self.limits.iter().filter_map(|limit| match &limit.unit {
            Unit::Header(name) => Some(name),
            Unit::Records | Unit::Bytes => None,
        });
        contract.chain(keys).chain(units).map(|name| &**name).collect()
    }

    /// Whether it says anything of records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contract.is_none() && self.limits.is_empty() && self.canaries.is_empty()
    }
}

/// What headers records must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// At least one, each name once.
    pub headers: Vec<HeaderRule>,
    /// Whether a header that is not among them breaks it.
    pub closed: bool,
    /// What becomes of a record that does.
    pub on_violation: OnViolation,
}

/// What one header must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// Its name.
    pub name: Arc<str>,
    /// Each record must have it.
    pub required: bool,
    /// What its value is; `None`: any bytes.
    pub kind: Option<HeaderType>,
    /// The longest value, in bytes.
    pub max_bytes: Option<usize>,
}

/// What a header's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderType {
    /// Text.
    Utf8,
    /// A UUID with its four hyphens (RFC 9562).
    Uuid,
    /// A decimal number that 64 bits hold, with or without a minus.
    Integer,
    /// Milliseconds since 1970, between 1973 and 5138: so neither seconds nor microseconds pass for them.
    EpochMs,
    /// A date and time (RFC 3339).
    Rfc3339,
    /// `true` or `false`.
    Bool,
    /// One of these.
    Enum(Vec<Arc<str>>),
    /// This is of all of it.
    Regex(Expression),
}

impl HeaderType {
    /// As the config says it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Uuid => "uuid",
            Self::Integer => "integer",
            Self::EpochMs => "epoch_ms",
            Self::Rfc3339 => "rfc3339",
            Self::Bool => "bool",
            Self::Enum(_) => "enum",
            Self::Regex(_) => "regex",
        }
    }
}

impl fmt::Display for HeaderType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As many different headers as contract and limits of a pipeline may ask for: what is found of a record stands on the stack.
pub const MOST_HEADERS: usize = 32;
/// As many limits as a pipeline may have: what became of a record has a bit for each.
pub const MOST_LIMITS: usize = 64;
/// As many canaries: each has a lane, whose number is a byte.
pub const MOST_CANARIES: usize = 64;
/// A rate and a burst are no more: the limiter counts in 32 bits.
pub const MOST_AT_ONCE: u64 = u32::MAX as u64;
/// A burst comes back within this at its rate: a limiter's clock, as fine as it may be, runs for weeks.
pub const BURST_WITHIN: Duration = Duration::from_secs(7 * 86_400);

/// An expression of a header's value compiles to no more bytes.
const LARGEST_EXPRESSION: usize = 1 << 20;

/// A regular expression of all of a header's value. Equal when written the same.
#[derive(Clone, Debug)]
pub struct Expression {
    written: Arc<str>,
    whole: Regex,
}

impl Expression {
    /// Of a pattern.
    ///
    /// # Errors
    ///
    /// It is none, or compiles to too much.
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        let compile = |text: &str| RegexBuilder::new(text).size_limit(LARGEST_EXPRESSION).build();
        // By itself first: `)(` would be one with ours around it.
        compile(pattern)?;
        Ok(Self { written: pattern.into(), whole: compile(&format!("^(?:{pattern})$"))? })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it is of all of a value.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.whole.is_match(value)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Expression {}

/// An enum that the config says in words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$each])* $variant,)* }

        impl $name {
            /// All of them, in the order in which they are told.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As the config says it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What becomes of a record that breaks the contract.
    OnViolation {
        /// It is counted.
        #[default]
        Observe = "observe",
        /// Its batch is refused (87 INVALID_RECORD).
        Reject = "reject",
        /// It goes to the lane `dlq`.
        Dlq = "dlq",
    }
}

words! {
    /// What becomes of what is above a limit.
    Action {
        /// It is counted.
        #[default]
        Observe = "observe",
        /// The answer is held.
        Throttle = "throttle",
        /// It gets a header.
        Stamp = "stamp",
        /// It goes to the lane `overflow`.
        Overflow = "overflow",
        /// It is acknowledged and thrown away.
        Drop = "drop",
        /// Its batch is refused (44 POLICY_VIOLATION).
        Reject = "reject",
    }
}

words! {
    /// What becomes of records while a lane's cluster is away.
    OnDown {
        /// They wait; after a while they are refused, and come again.
        #[default]
        Hold = "hold",
        /// They are refused at once, and come again.
        Reject = "reject",
        /// They stay where they were meant for.
        Main = "main",
    }
}

/// How much of what may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Unique in its pipeline.
    pub name: Name,
    /// What is counted apart.
    pub key: Key,
    /// What is counted.
    pub unit: Unit,
    /// How much of it may come.
    pub rate: Rate,
    /// How much at once after a pause; at least 1.
    pub burst: u64,
    /// What becomes of more.
    pub action: Action,
    /// The header that `stamp` sets: there if that is the action.
    pub stamp: Option<Stamp>,
    /// The share of keys for which it is done.
    pub enforced: Share,
    /// Keys with a rate of their own.
    pub overrides: Vec<(Token, Rate)>,
}

impl Limit {
    /// Whether a connection waits for one of many keys that it carries, which the config must accept.
    #[must_use]
    pub fn needs_acceptance(&self) -> bool {
        self.action == Action::Throttle && matches!(self.key, Key::Headers(_) | Key::Record)
    }
}

/// What a limit counts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// What these headers say together; at least one.
    Headers(Vec<Arc<str>>),
    /// The record's key.
    Record,
    /// Who the client is known as.
    Principal,
    /// What the client calls itself.
    ClientId,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers(names) => {
                f.write_str(&names.iter().map(|name| format!("header({name})")).collect::<Vec<_>>().join("+"))
            }
            Self::Record => f.write_str("key"),
            Self::Principal => f.write_str("principal"),
            Self::ClientId => f.write_str("client_id"),
        }
    }
}

/// What a limit counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Records.
    #[default]
    Records,
    /// Bytes of records, uncompressed.
    Bytes,
    /// What this header says, in digits.
    Header(Arc<str>),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records => f.write_str("records"),
            Self::Bytes => f.write_str("bytes"),
            Self::Header(name) => write!(f, "header({name})"),
        }
    }
}

/// So many units in a time; neither is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub amount: u64,
    /// In what time: a second, a minute or an hour.
    pub per: Duration,
}

impl Rate {
    /// What comes in a second, at least 1.
    #[must_use]
    pub fn in_a_second(self) -> u64 {
        (self.amount / self.per.as_secs().max(1)).max(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per.as_secs() {
            3_600 => "h",
            60 => "m",
            _ => "s",
        };
        write!(f, "{}/{per}", self.amount)
    }
}

/// A part of a whole, in millionths: a million at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(1_000_000);
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        let part = format!("{part:04}");
        let part = part.trim_end_matches('0');
        if part.is_empty() { write!(f, "{whole}%") } else { write!(f, "{whole}.{part}%") }
    }
}

/// A header that records get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its name.
    pub header: Arc<str>,
    /// Its value.
    pub value: Arc<str>,
}

/// A topic for records that are moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The topic: where it lives is what the pipelines say.
    pub topic: Arc<str>,
    /// What becomes of records while its cluster is away.
    pub on_down: OnDown,
    /// Whether they lose their key.
    pub null_key: bool,
}

/// Records that go to the same topic on another cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// What tells which.
    pub key: Key,
    /// Keys that go there.
    pub values: Vec<Token>,
    /// And this share of all keys, by their hash.
    pub share: Share,
    /// The cluster, which is not the pipeline's own.
    pub to: Slot,
    /// What becomes of records while it is away.
    pub on_down: OnDown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_rates_are_told_as_they_are_written() {
        for (millionths, told) in [(0, "0%"), (5_000, "0.5%"), (100_000, "10%"), (1, "0.0001%"), (1_000_000, "100%")] {
            assert_eq!(Share(millionths).to_string(), told);
        }
        let per = |seconds| Rate { amount: 90, per: Duration::from_secs(seconds) };
        assert_eq!([1, 60, 3_600].map(|seconds| per(seconds).to_string()), ["90/s", "90/m", "90/h"]);
        assert_eq!([1, 60, 3_600].map(|seconds| per(seconds).in_a_second()), [90, 1, 1]);
    }
}
