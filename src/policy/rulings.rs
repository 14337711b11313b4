//! What each pipeline of a config asks of its records, compiled, and carried over when the config changes: who owes a limit
//! something owes it still.

use super::admission::{OnBreach, Policy};
use super::canary::Canary;
use super::contract::{Contract, Rule};
use super::deputies::Deputies;
use super::keys::{Hashed, Key, Part, Secret};
use super::limit::{Action, Limit, Secrets, Unit};
use super::limiter::{Limiter, Rate, Unkept};
use super::names::{Names, TooMany};
use super::talkers::{MOST_KEYS, Talkers};
use crate::config::tokens::Token;
use crate::config::{self, Config};
use crate::telemetry::{LimitMeter, PolicyMeter, Telemetry};
use crate::types::Name;
use crate::wire::batch::edit::Lane;
use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use parking_lot::Mutex;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

/// So many keys a limit tells apart; what comes beyond them shares one bucket.
const KEYS: usize = 1_000_000;
/// Shares of keys are the same in every process and after a restart.
const SHARES: &str = "fishplate shares";

/// Records above a limit.
pub const OVERFLOW: Lane = Lane(1);
/// Records that break the contract.
pub const DLQ: Lane = Lane(2);
/// Records of a pipeline's first canary; those of the next ones are the numbers behind it.
const FIRST_CANARY: Lane = Lane(3);

/// What a pipeline asks of its records.
pub struct Ruling {
    /// The verdicts.
    pub policy: Policy,
    /// As it was written.
    pub written: Arc<config::Policy>,
    /// Counts what became of records.
    pub meter: PolicyMeter,
    /// And what each limit said.
    pub limits: Vec<LimitMeter>,
    /// What metrics call its canaries' lanes, in their order.
    canaries: Vec<String>,
}

impl Ruling {
    /// The canary whose records go to a lane.
    #[must_use]
    pub fn canary(&self, lane: Lane) -> Option<&config::policy::Canary> {
        self.written.canaries.get(place_of_canary(lane)?)
    }

    /// What metrics call a lane.
    #[must_use]
    pub fn name_of(&self, lane: Lane) -> &str {
        match lane {
            OVERFLOW => "overflow",
            DLQ => "dlq",
            other => place_of_canary(other).and_then(|place| self.canaries.get(place)).map_or("main", String::as_str),
        }
    }

    /// So many records stay where they were meant for: counted where others go over to another cluster.
    pub fn stay(&self, count: u64) {
        if !self.canaries.is_empty() {
            self.meter.moved("main", count);
        }
    }

    /// Where a lane leads.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> Option<&config::policy::Lane> {
        match lane {
            OVERFLOW => self.written.overflow.as_ref(),
            DLQ => self.written.dlq.as_ref(),
            _ => None,
        }
    }
}

fn place_of_canary(lane: Lane) -> Option<usize> {
    lane.0.checked_sub(FIRST_CANARY.0).map(usize::from)
}

/// Why a policy cannot be kept.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Names(#[from] TooMany),
    #[error("limit {0}: {1}")]
    Limit(Name, Unkept),
}

/// The rulings of one config.
pub struct Table {
    config: Option<Arc<Config>>,
    rulings: Vec<(Name, Arc<Ruling>)>,
}

impl Table {
    /// Whether no pipeline asks anything of its records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rulings.is_empty()
    }

    /// What a pipeline asks of its records, if anything.
    #[must_use]
    pub fn of(&self, pipeline: &Name) -> Option<&Arc<Ruling>> {
        self.rulings.iter().find(|(name, _)| name.is_same(pipeline) || name == pipeline).map(|(_, ruling)| ruling)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &(Name, Arc<Ruling>)> {
        self.rulings.iter()
    }
}

/// The rulings of the config that is in force.
pub struct Rulings {
    /// Who writes for idempotent producers where a pipeline parts their batches. Who began so goes on so, also under a config
    /// that would not have it begin.
    pub deputies: Deputies,
    telemetry: Arc<Telemetry>,
    secrets: Secrets,
    table: ArcSwap<Table>,
    /// Held by who makes a new table.
    making: Mutex<()>,
}

impl Rulings {
    /// None yet.
    #[must_use]
    pub fn new(telemetry: &Arc<Telemetry>) -> Arc<Self> {
        Arc::new(Self {
            deputies: Deputies::default(),
            telemetry: Arc::clone(telemetry),
            secrets: Secrets { buckets: Secret::random(), shares: Secret::of(SHARES) },
            table: ArcSwap::from_pointee(Table { config: None, rulings: Vec::new() }),
            making: Mutex::new(()),
        })
    }

    /// Those of a config: made when it is asked for first.
    #[inline]
    #[must_use]
    pub fn under(&self, config: &Arc<Config>) -> Guard<Arc<Table>> {
        let table = self.table.load();
        if table.config.as_ref().is_some_and(|known| Arc::ptr_eq(known, config)) {
            return table;
        }
        drop(table);
        self.make(config);
        self.table.load()
    }

    /// Tells how many keys there are, and how many deputies.
    pub fn tell(&self) {
        self.telemetry.deputies(self.deputies.count());
        for (_, ruling) in self.table.load().all() {
            for (limit, meter) in ruling.policy.limits.iter().zip(&ruling.limits) {
                let buckets = limit.limiter.buckets();
                meter.keys(buckets.live(), buckets.spilled());
            }
        }
    }

    /// Forgets keys that owe nothing, and idle producers. Takes a tenth of a second where there are a million keys.
    pub fn trim(&self, now: Instant) {
        self.deputies.trim(now);
        let table = self.table.load_full();
        table.all().flat_map(|(_, ruling)| &ruling.policy.limits).for_each(|limit| limit.limiter.trim(now));
    }

    fn make(&self, config: &Arc<Config>) {
        let _one_at_a_time = self.making.lock();
        let before = self.table.load_full();
        if before.config.as_ref().is_some_and(|known| Arc::ptr_eq(known, config)) {
            return;
        }
        let asking = config.pipelines.iter().filter(|pipeline| !pipeline.policy.is_empty());
        let rulings = asking.filter_map(|pipeline| {
            let known = before.of(&pipeline.name);
            if let Some(known) = known.filter(|known| known.written == pipeline.policy) {
                return Some((pipeline.name.clone(), Arc::clone(known)));
            }
            let made = self.compile(&pipeline.policy, known.map(|known| &**known));
            let policy = made.inspect_err(|error| {
                // The config's check refuses what cannot be made: a mistake of ours.
                tracing::error!(pipeline = %pipeline.name, %error, "a policy cannot be kept, and nothing is asked of its records");
            });
            let meter = self.telemetry.policy(&pipeline.name);
            let limits = pipeline.policy.limits.iter();
            let limits = limits.map(|limit| meter.limit(limit.name.as_str(), limit.action.as_str())).collect();
            let name = |slot| config.cluster(slot).map_or("", |cluster| cluster.name.as_str());
            let canaries = pipeline.policy.canaries.iter().map(|canary| format!("canary:{}", name(canary.to))).collect();
            let ruling =
                Ruling { policy: policy.ok()?, written: Arc::clone(&pipeline.policy), meter, limits, canaries };
            Some((pipeline.name.clone(), Arc::new(ruling)))
        });
        let table = Table { config: Some(Arc::clone(config)), rulings: rulings.collect() };
        self.table.store(Arc::new(table));
    }

    fn compile(&self, written: &config::Policy, before: Option<&Ruling>) -> Result<Policy, Unmade> {
        let mut names = Names::default();
        let contract = match &written.contract {
            Some(written) => Some((contract(written, &mut names)?, on_breach(written.on_violation))),
            None => None,
        };
        let mut limits = Vec::with_capacity(written.limits.len());
        let null_key = written.overflow.as_ref().is_some_and(|lane| lane.null_key);
        for written in &written.limits {
            limits.push(self.limit(written, null_key, &mut names, before)?);
        }
        let canaries = written.canaries.iter().zip(FIRST_CANARY.0..);
        let canaries = canaries.map(|(written, lane)| self.canary(written, Lane(lane), &mut names));
        let canaries = canaries.collect::<Result<_, _>>()?;
        let talkers = talkers(written, &mut names, before)?;
        Ok(Policy { names, contract, limits, canaries, secrets: self.secrets, talkers })
    }

    fn canary(&self, written: &config::policy::Canary, lane: Lane, names: &mut Names) -> Result<Canary, Unmade> {
        let key_of = |token: &Token| Key::of_text(self.secrets.shares, parts_of(token, &written.key));
        let listed = written.values.iter().map(key_of).collect();
        Ok(Canary { key: key(&written.key, names)?, listed, share: written.share, lane })
    }

    fn limit(
        &self,
        written: &config::policy::Limit,
        null_key: bool,
        names: &mut Names,
        before: Option<&Ruling>,
    ) -> Result<Limit, Unmade> {
        let key = key(&written.key, names)?;
        let unit = match &written.unit {
            config::policy::Unit::Records => Unit::Records,
            config::policy::Unit::Bytes => Unit::Bytes,
            config::policy::Unit::Header(name) => Unit::Weight(names.ask(name.as_bytes())?),
        };
        let (rate, overrides) = (rate(written.rate, written.burst), self.overrides(written));
        let same = |one: &config::policy::Limit| one.name == written.name && one.key == written.key;
        let known = before.and_then(|ruling| {
            let place = ruling.written.limits.iter().position(same)?;
            ruling.policy.limits.get(place)
        });
        let limiter = match known {
            Some(known) => known.limiter.changed(rate, &overrides),
            None => Limiter::new(rate, KEYS, &overrides, Instant::now()),
        };
        let unkept = |unkept| Unmade::Limit(written.name.clone(), unkept);
        Ok(Limit {
            name: written.name.to_string(),
            key,
            unit,
            limiter: limiter.map_err(unkept)?,
            action: action(written, null_key),
            enforced: written.enforced,
        })
    }

    fn overrides(&self, written: &config::policy::Limit) -> Vec<(Hashed, Rate)> {
        let of = |(token, own): &(Token, config::policy::Rate)| {
            let burst = own.in_a_second().max(written.burst);
            (Key::of_text(self.secrets.buckets, parts_of(token, &written.key)), rate(*own, burst))
        };
        written.overrides.iter().map(of).collect()
    }
}

/// The parts of a key that is written out.
fn parts_of<'t>(token: &'t Token, key: &config::policy::Key) -> Vec<&'t str> {
    match key {
        config::policy::Key::Headers(names) if names.len() > 1 => token.as_str().split('+').collect(),
        _ => vec![token.as_str()],
    }
}

fn count(number: u64) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}

fn rate(written: config::policy::Rate, burst: u64) -> Rate {
    Rate { count: count(written.amount), per: written.per, burst: count(burst) }
}

fn key(written: &config::policy::Key, names: &mut Names) -> Result<Key, TooMany> {
    Ok(Key::new(match written {
        config::policy::Key::Headers(headers) => {
            let parts = headers.iter().map(|name| names.ask(name.as_bytes()).map(Part::Header));
            parts.collect::<Result<_, _>>()?
        }
        config::policy::Key::Record => vec![Part::RecordKey],
        config::policy::Key::Principal => vec![Part::Principal],
        config::policy::Key::ClientId => vec![Part::ClientId],
    }))
}

/// Those who are listened to: under what limits count by, and where there are none under the contract's first header that
/// records must have.
fn talkers(written: &config::Policy, names: &mut Names, before: Option<&Ruling>) -> Result<Vec<Talkers>, TooMany> {
    let mut keys: Vec<config::policy::Key> = Vec::new();
    for limit in &written.limits {
        if keys.len() < MOST_KEYS && !keys.contains(&limit.key) {
            keys.push(limit.key.clone());
        }
    }
    if keys.is_empty() {
        let headers = written.contract.iter().flat_map(|contract| &contract.headers);
        let first = headers.clone().find(|rule| rule.required).or_else(|| headers.clone().next());
        keys.extend(first.map(|rule| config::policy::Key::Headers(vec![Arc::clone(&rule.name)])));
    }
    let of_all_limits = written.limits.iter().all(|limit| keys.first() == Some(&limit.key));
    let before = before.map(|ruling| &ruling.policy.talkers[..]).unwrap_or_default();
    let talkers = keys.into_iter().map(|written| {
        let key = key(&written, names)?;
        Ok(match before.iter().find(|known| known.written == written) {
            Some(known) => known.under(key, of_all_limits),
            None => Talkers::new(written, key, of_all_limits),
        })
    });
    talkers.collect()
}

fn action(written: &config::policy::Limit, null_key: bool) -> Action {
    let bytes = |text: &Arc<str>| Bytes::copy_from_slice(text.as_bytes());
    match (written.action, &written.stamp) {
        (config::policy::Action::Throttle, _) => Action::Throttle,
        (config::policy::Action::Stamp, Some(stamp)) => Action::Stamp(bytes(&stamp.header), bytes(&stamp.value)),
        (config::policy::Action::Overflow, _) => Action::Overflow { lane: OVERFLOW, null_key },
        (config::policy::Action::Drop, _) => Action::Drop,
        (config::policy::Action::Reject, _) => Action::Reject,
        (config::policy::Action::Observe | config::policy::Action::Stamp, _) => Action::Observe,
    }
}

fn on_breach(written: config::policy::OnViolation) -> OnBreach {
    match written {
        config::policy::OnViolation::Observe => OnBreach::Observe,
        config::policy::OnViolation::Reject => OnBreach::Reject,
        config::policy::OnViolation::Dlq => OnBreach::Dlq(DLQ),
    }
}

fn contract(written: &config::policy::Contract, names: &mut Names) -> Result<Contract, Unmade> {
    let rule = |rule: &config::policy::HeaderRule| {
        Ok::<_, Unmade>(Rule {
            header: names.ask(rule.name.as_bytes())?,
            required: rule.required,
            kind: rule.kind.clone(),
            max_bytes: rule.max_bytes,
        })
    };
    let rules = written.headers.iter().map(rule).collect::<Result<_, _>>()?;
    Ok(Contract { rules, unknown_breaks: written.closed })
}
