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
use super::overrule::{MOST, Overrule, with};
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
    /// As it was written, with what overrules it.
    pub written: Arc<config::Policy>,
    /// Counts what became of records.
    pub meter: PolicyMeter,
    /// And what each limit said.
    pub limits: Vec<LimitMeter>,
    /// What of it stands in no file.
    pub overrules: Vec<Overrule>,
    /// What metrics call its canaries' lanes, in their order.
    canaries: Vec<String>,
}

impl Ruling {
    /// Whether the clock of one of its limits is near its end.
    fn is_worn(&self, now: Instant) -> bool {
        self.policy.limits.iter().any(|limit| limit.limiter.is_worn(now))
    }

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

/// Which of a pipeline's canaries a lane is of.
#[must_use]
pub fn place_of_canary(lane: Lane) -> Option<usize> {
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
    /// What overrules the config; held by who makes a new table.
    making: Mutex<Vec<Overrule>>,
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
            making: Mutex::default(),
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

    /// Forgets keys that owe nothing, and idle producers, and winds up clocks that are near their end. Takes a tenth of a second
    /// where there are a million keys.
    pub fn trim(&self, now: Instant) {
        self.deputies.trim(now);
        let table = self.table.load_full();
        if let Some(config) = table.config.as_ref().filter(|_| table.all().any(|(_, ruling)| ruling.is_worn(now))) {
            let overrules = self.making.lock();
            // Not where another config has come meanwhile: its limits are looked at the next time.
            if self.table.load().config.as_ref().is_some_and(|known| Arc::ptr_eq(known, config)) {
                self.make_with(config, &overrules, now);
            }
            return;
        }
        table.all().flat_map(|(_, ruling)| &ruling.policy.limits).for_each(|limit| limit.limiter.trim(now));
    }

    fn make(&self, config: &Arc<Config>) {
        let overrules = self.making.lock();
        if !self.table.load().config.as_ref().is_some_and(|known| Arc::ptr_eq(known, config)) {
            self.make_with(config, &overrules, Instant::now());
        }
    }

    /// Puts another rate in force at once, until the next reload.
    ///
    /// # Errors
    ///
    /// In words: why it cannot be kept.
    pub fn overrule(&self, config: &Arc<Config>, overrule: Overrule) -> Result<(), String> {
        let mut overrules = self.making.lock();
        let mut then: Vec<_> = overrules.iter().filter(|known| !known.is_of_the_same(&overrule)).cloned().collect();
        if then.len() >= MOST {
            return Err(format!("{MOST} rates are set already that are in no file: write them into one and reload"));
        }
        let of = config.pipelines.iter().find(|pipeline| pipeline.name == overrule.pipeline);
        let of = of.ok_or_else(|| format!("there is no pipeline {} any more", overrule.pipeline))?;
        then.push(overrule);
        // Whether it can be kept shows here; what is in force is made of what was.
        compile(&with(&of.policy, &of_pipeline(&then, &of.name)), self.secrets, None, Instant::now())
            .map_err(|error| error.to_string())?;
        self.make_with(config, &then, Instant::now());
        *overrules = then;
        Ok(())
    }

    /// A config was loaded: what overruled the one before is over. Says how many rates that were.
    pub fn lapse(&self, config: &Arc<Config>) -> usize {
        let mut overrules = self.making.lock();
        let gone = std::mem::take(&mut *overrules);
        if !gone.is_empty() {
            self.make_with(config, &[], Instant::now());
        }
        for Overrule { pipeline, limit, token, rate, .. } in &gone {
            let token = token.as_ref().map(tracing::field::display);
            tracing::info!(%pipeline, %limit, token, %rate, "a rate that was set by an operator is over with this reload: the file's is in force");
        }
        gone.len()
    }

    fn make_with(&self, config: &Arc<Config>, overrules: &[Overrule], now: Instant) {
        let before = self.table.load_full();
        let asking = config.pipelines.iter().filter(|pipeline| !pipeline.policy.is_empty());
        let rulings = asking.filter_map(|pipeline| {
            let known = before.of(&pipeline.name);
            let overrules = of_pipeline(overrules, &pipeline.name);
            let written = with(&pipeline.policy, &overrules);
            if let Some(known) = known.filter(|known| known.written == written && known.overrules == overrules && !known.is_worn(now)) {
                return Some((pipeline.name.clone(), Arc::clone(known)));
            }
            let policy = compile(&written, self.secrets, known.map(|known| &**known), now).inspect_err(|error| {
                // The config's check refuses what cannot be made: a mistake of ours.
                tracing::error!(pipeline = %pipeline.name, %error, "a policy cannot be kept, and nothing is asked of its records");
            });
            let meter = self.telemetry.policy(&pipeline.name);
            let limits = written.limits.iter();
            let limits = limits.map(|limit| meter.limit(limit.name.as_str(), limit.action.as_str())).collect();
            let name = |slot| config.cluster(slot).map_or("", |cluster| cluster.name.as_str());
            let canaries = written.canaries.iter().map(|canary| format!("canary:{}", name(canary.to))).collect();
            let ruling = Ruling { policy: policy.ok()?, written, meter, limits, canaries, overrules };
            Some((pipeline.name.clone(), Arc::new(ruling)))
        });
        let table = Table { config: Some(Arc::clone(config)), rulings: rulings.collect() };
        self.table.store(Arc::new(table));
    }
}

fn of_pipeline(overrules: &[Overrule], pipeline: &Name) -> Vec<Overrule> {
    overrules.iter().filter(|overrule| overrule.pipeline == *pipeline).cloned().collect()
}

/// A policy by itself, of which nobody has taken anything; `None` where it cannot be kept, which the config's check refuses.
#[must_use]
pub fn fresh(written: &config::Policy) -> Option<Policy> {
    compile(written, Secrets { buckets: Secret::random(), shares: Secret::of(SHARES) }, None, Instant::now()).ok()
}

fn compile(
    written: &config::Policy,
    secrets: Secrets,
    before: Option<&Ruling>,
    now: Instant,
) -> Result<Policy, Unmade> {
    let mut names = Names::default();
    let contract = match &written.contract {
        Some(written) => Some((contract(written, &mut names)?, on_breach(written.on_violation))),
        None => None,
    };
    let mut limits = Vec::with_capacity(written.limits.len());
    let null_key = written.overflow.as_ref().is_some_and(|lane| lane.null_key);
    for written in &written.limits {
        limits.push(limit(written, null_key, secrets, &mut names, (before, now))?);
    }
    let canaries = written.canaries.iter().zip(FIRST_CANARY.0..);
    let canaries = canaries.map(|(written, lane)| canary(written, Lane(lane), secrets, &mut names));
    let canaries = canaries.collect::<Result<_, _>>()?;
    let talkers = talkers(written, &mut names, before)?;
    let mut policy = Policy::new(names, limits, secrets, talkers);
    (policy.contract, policy.canaries) = (contract, canaries);
    Ok(policy)
}

fn canary(written: &config::policy::Canary, lane: Lane, secrets: Secrets, names: &mut Names) -> Result<Canary, Unmade> {
    let key_of = |token: &Token| Key::of_text(secrets.shares, parts_of(token, &written.key));
    let listed = written.values.iter().map(key_of).collect();
    Ok(Canary { key: key(&written.key, names)?, listed, share: written.share, lane })
}

fn limit(
    written: &config::policy::Limit,
    null_key: bool,
    secrets: Secrets,
    names: &mut Names,
    (before, now): (Option<&Ruling>, Instant),
) -> Result<Limit, Unmade> {
    let key = key(&written.key, names)?;
    let unit = match &written.unit {
        config::policy::Unit::Records => Unit::Records,
        config::policy::Unit::Bytes => Unit::Bytes,
        config::policy::Unit::Header(name) => Unit::Weight(names.ask(name.as_bytes())?),
    };
    let (rate, overrides) = (rate(written.rate, written.burst), overrides(written, secrets));
    let same =
        |one: &config::policy::Limit| (&one.name, &one.key, &one.unit) == (&written.name, &written.key, &written.unit);
    let known = before.and_then(|ruling| {
        let place = ruling.written.limits.iter().position(same)?;
        ruling.policy.limits.get(place)
    });
    let limiter = match known {
        Some(known) => known.limiter.changed(rate, &overrides, now),
        None => Limiter::new(rate, KEYS, &overrides, now),
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

fn overrides(written: &config::policy::Limit, secrets: Secrets) -> Vec<(Hashed, Rate)> {
    let of = |(token, own): &(Token, config::policy::Rate)| {
        let burst = own.in_a_second().max(written.burst);
        (Key::of_text(secrets.buckets, parts_of(token, &written.key)), rate(*own, burst))
    };
    written.overrides.iter().map(of).collect()
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
/// records must have, or the first canary's key.
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
        let first = first.map(|rule| config::policy::Key::Headers(vec![Arc::clone(&rule.name)]));
        keys.extend(first.or_else(|| written.canaries.first().map(|canary| canary.key.clone())));
    }
    let before = before.map(|ruling| &ruling.policy.talkers[..]).unwrap_or_default();
    let talkers = keys.into_iter().map(|written| {
        let key = key(&written, names)?;
        Ok(match before.iter().find(|known| known.written == written) {
            Some(known) => known.under(key),
            None => Talkers::new(written, key),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::Rate;
    use crate::config::tokens::Token;
    use std::time::Duration;

    const CONFIG: &str = "\
virtual_cluster: v
default_cluster: a
listeners: [{ bind: 127.0.0.1:1 }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
pipelines:
  - { name: events, topics: [events], cluster: a, limits: [{ name: per-token, key: key, rate: 10/s }, { name: other, key: key, rate: 3/s }] }
  - { name: logs, topics: [logs], cluster: a, limits: [{ name: per-token, key: key, rate: 20/s }] }
  - { name: large, topics: [large], cluster: a, limits: [{ name: bytes, key: key, unit: bytes, rate: 1GiB/s }] }
";

    fn config() -> Arc<Config> {
        Arc::new(Config::from_text("c.yaml", CONFIG).unwrap())
    }

    fn rulings() -> Arc<Rulings> {
        Rulings::new(&Arc::new(Telemetry::new().unwrap()))
    }

    fn overrule(token: Option<&str>, amount: u64) -> Overrule {
        let rate = Rate { amount, per: Duration::from_secs(1) };
        let token = token.map(Token::from);
        Overrule { pipeline: "events".into(), limit: "per-token".into(), token, rate, burst: amount }
    }

    /// The rates of the pipeline's limits for a key, and whether they are its own.
    fn rates(rulings: &Rulings, config: &Arc<Config>, pipeline: &str, key: &str) -> Vec<(u32, bool)> {
        let table = rulings.under(config);
        let ruling = table.of(&pipeline.into()).unwrap();
        let key = Key::of_text(ruling.policy.secrets.buckets, [key]);
        let look = |limit: &Limit| limit.limiter.look(key, NonZeroU32::MIN, Instant::now());
        ruling.policy.limits.iter().map(look).map(|look| (look.rate.count.get(), look.is_own)).collect()
    }

    #[test]
    fn a_rate_that_is_set_holds_until_the_next_reload() {
        let (rulings, config) = (rulings(), config());
        assert_eq!(rates(&rulings, &config, "events", "a"), [(10, false), (3, false)]);
        let talkers = Arc::clone(rulings.under(&config).of(&"logs".into()).unwrap());
        // When somebody sets a limit's rate, and one for a key of it
        rulings.overrule(&config, overrule(None, 7)).unwrap();
        rulings.overrule(&config, overrule(Some("b"), 1)).unwrap();
        rulings.overrule(&config, overrule(Some("b"), 2)).unwrap();
        // Then they hold at once, for what they were set for, and are told
        assert_eq!(rates(&rulings, &config, "events", "a"), [(7, false), (3, false)]);
        assert_eq!(rates(&rulings, &config, "events", "b"), [(2, true), (3, false)]);
        assert_eq!(rates(&rulings, &config, "logs", "a"), [(20, false)]);
        assert_eq!(rulings.under(&config).of(&"events".into()).unwrap().overrules.len(), 2);
        assert!(Arc::ptr_eq(&talkers, rulings.under(&config).of(&"logs".into()).unwrap()), "others are not touched");
        // And also under a picture that is older or newer than the one they were set under
        let other = self::config();
        assert_eq!(rates(&rulings, &other, "events", "a"), [(7, false), (3, false)]);
        // And a reload drops them
        assert_eq!(rulings.lapse(&other), 2);
        assert_eq!(rates(&rulings, &other, "events", "b"), [(10, false), (3, false)]);
        assert_eq!(rulings.lapse(&other), 0);
    }

    #[test]
    fn who_owes_something_owes_it_under_a_rate_that_is_set() {
        let (rulings, config) = (rulings(), config());
        let left = |now| {
            let table = rulings.under(&config);
            let policy = &table.of(&"events".into()).unwrap().policy;
            let key = Key::of_text(policy.secrets.buckets, ["a"]);
            policy.limits[0].limiter.at(now);
            let _ = policy.limits[0].limiter.take(key, NonZeroU32::MIN);
            policy.limits[0].limiter.look(key, NonZeroU32::MIN, now).left
        };
        let now = Instant::now();
        assert_eq!((left(now), left(now)), (9, 8));
        rulings.overrule(&config, overrule(None, 10_000)).unwrap();
        assert!(left(now) < 10_000 - 1);
    }

    #[test]
    fn a_clock_near_its_end_is_wound_up_and_others_are_let_alone() {
        let (rulings, config) = (rulings(), config());
        let of = |pipeline: &str| Arc::clone(rulings.under(&config).of(&pipeline.into()).unwrap());
        let (large, logs) = (of("large"), of("logs"));
        // Given a limit of gigabytes that has been there for weeks
        let later = Instant::now() + Duration::from_secs(30 * 24 * 3600);
        assert!(large.is_worn(later) && !logs.is_worn(later));
        // When keys are looked through
        rulings.trim(later);
        // Then it has a new clock, in which its rate holds
        let limit = &of("large").policy.limits[0].limiter;
        assert!(!limit.is_worn(later + Duration::from_secs(3600)));
        limit.at(later);
        let second = NonZeroU32::new(1 << 30).unwrap();
        assert!(limit.take(Hashed(1), second) && !limit.take(Hashed(1), second));
        assert!(Arc::ptr_eq(&logs, &of("logs")));
    }

    #[test]
    fn what_cannot_be_kept_changes_nothing() {
        let (rulings, config) = (rulings(), config());
        let slow = Overrule { rate: Rate { amount: 1, per: Duration::from_secs(1 << 32) }, ..overrule(None, u64::MAX) };
        assert!(rulings.overrule(&config, slow).unwrap_err().contains("burst takes years"));
        assert!(rulings.overrule(&config, Overrule { pipeline: "gone".into(), ..overrule(None, 1) }).is_err());
        assert_eq!(rates(&rulings, &config, "events", "a"), [(10, false), (3, false)]);
        assert_eq!(rulings.lapse(&config), 0);
    }
}
