//! A limit's rate, by governor: a bucket for each key, overrides with a rate of their own. Governor lacks three things
//! that stand here: what is larger than the burst may borrow ahead, a nanosecond is too coarse for bytes, and the time is
//! asked for once a batch and not once a record.

use super::buckets::{AsItIs, Buckets};
use super::keys::Hashed;
use governor::clock::{Clock, Reference};
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So much of something in so long, and so much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much.
    pub count: NonZeroU32,
    /// In how long.
    pub per: Duration,
    /// How much may come at once.
    pub burst: NonZeroU32,
}

/// A rate that cannot be kept to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// Nothing takes no time.
    #[error("a rate in no time: say per how long")]
    NoTime,
    /// One of them takes years.
    #[error("the burst takes years to come back at this rate: make it smaller, or the rate higher")]
    TooSlow,
}

/// Ticks a nanosecond: a power of two, so that one of what is counted takes enough of them to be told exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale(u32);

impl Scale {
    /// Up to a thousand ticks a nanosecond: then the clock goes round after half a year.
    const FINEST: u32 = 10;
    /// What one should take, so that rounding is at most half a thousandth.
    const EXACT: u64 = 1000;

    fn of(rate: &Rate) -> Self {
        let finest = (0..Self::FINEST).find(|scale| Self(*scale).cell(rate) >= Self::EXACT.into());
        Self(finest.unwrap_or(Self::FINEST))
    }

    /// One that is fine enough for all.
    fn over(rate: &Rate, overrides: &[(Hashed, Rate)]) -> Self {
        let rates = overrides.iter().map(|(_, rate)| rate).chain([rate]);
        Self(rates.map(|rate| Self::of(rate).0).max().unwrap_or(Self::FINEST))
    }

    /// What one of what is counted takes, to the nearest tick.
    fn cell(self, rate: &Rate) -> u128 {
        let count = u128::from(rate.count.get());
        ((rate.per.as_nanos() << self.0) + count / 2) / count
    }

    fn ticks(self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos() << self.0).unwrap_or(u64::MAX)
    }

    fn time(self, ticks: u64) -> Duration {
        Duration::from_nanos(ticks >> self.0)
    }
}

/// The time, told once for all records of a batch. It never goes back.
#[derive(Clone, Debug, Default)]
struct Ticker(Arc<AtomicU64>);

/// A moment of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl Clock for Ticker {
    type Instant = Tick;

    #[inline]
    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::Relaxed))
    }
}

impl Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, more: Nanos) -> Self {
        Self(self.0.saturating_add(more.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, less: Nanos) -> Self {
        Self(self.0.checked_sub(less.as_u64()).unwrap_or(self.0))
    }
}

/// More than this nobody owes, and no clock runs for as long: two of them and a burst are still a number.
const FAR: u64 = 1 << 61;

type Plain = governor::middleware::NoOpMiddleware<Tick>;

/// A rate over buckets.
#[derive(Debug)]
struct Governed {
    governor: RateLimiter<Hashed, Buckets, Ticker, Plain>,
    buckets: Buckets,
    /// What one takes, in ticks.
    cell: u64,
    /// What may come at once beyond the first, in ticks.
    tolerance: u64,
    /// As it was said.
    rate: Rate,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its rate.
    pub rate: Rate,
    /// Whether that is its own.
    pub is_own: bool,
    /// How much it may have at once now.
    pub left: u64,
    /// How long until it may have what was asked about.
    pub wait: Duration,
}

impl Governed {
    /// Governor counts from when it was made: the ticker must stand at its beginning.
    fn new(rate: &Rate, scale: Scale, buckets: &Buckets, ticker: &Ticker) -> Result<Self, Unkept> {
        let cell = u64::try_from(scale.cell(rate).max(1)).ok().filter(|ticks| *ticks < FAR).ok_or(Unkept::TooSlow)?;
        let tolerance = cell.checked_mul(u64::from(rate.burst.get() - 1)).filter(|ticks| *ticks < FAR);
        let tolerance = tolerance.ok_or(Unkept::TooSlow)?;
        let quota = Quota::with_period(Duration::from_nanos(cell)).ok_or(Unkept::NoTime)?.allow_burst(rate.burst);
        let governor = RateLimiter::new(quota, buckets.clone(), ticker.clone());
        Ok(Self { governor, buckets: buckets.clone(), cell, tolerance, rate: *rate })
    }

    #[inline]
    fn take(&self, key: Hashed, count: NonZeroU32) -> bool {
        if count <= self.rate.burst {
            return self.take_whole(key, count);
        }
        // It never fits. Where anything is left it passes, and what it took beyond is paid before the next one passes.
        let passes = self.take_whole(key, NonZeroU32::MIN);
        if passes {
            self.debit(key, count.get() - 1, 0);
        }
        passes
    }

    #[inline]
    fn take_whole(&self, key: Hashed, count: NonZeroU32) -> bool {
        if count == NonZeroU32::MIN {
            return self.governor.check_key(&key).is_ok();
        }
        matches!(self.governor.check_key_n(&key, count), Ok(Ok(())))
    }

    /// What a key may have now, and in how many ticks it may have so much.
    fn look(&self, key: Hashed, count: NonZeroU32, now: u64) -> (u64, u64) {
        let behind = self.buckets.paid_at(key).saturating_sub(now);
        let left = self.tolerance.checked_sub(behind).map_or(0, |spare| spare / self.cell + 1);
        // What is larger than the burst passes where anything is left.
        let beyond = if count > self.rate.burst { 0 } else { self.cell.saturating_mul((count.get() - 1).into()) };
        (left, behind.saturating_add(beyond).saturating_sub(self.tolerance))
    }

    /// Takes in any case; says how many ticks are owed.
    fn debit(&self, key: Hashed, count: u32, now: u64) -> u64 {
        let more = self.cell.saturating_mul(count.into()).min(FAR);
        self.buckets.replace(key, |paid_at| {
            let next = paid_at.max(now).saturating_add(more).min(2 * FAR);
            (next.saturating_sub(now).saturating_sub(self.tolerance.saturating_add(self.cell)), next)
        })
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Limiter {
    all: Governed,
    overrides: HashMap<Hashed, Governed, BuildHasherDefault<AsItIs>>,
    /// The overrides' buckets.
    theirs: Buckets,
    ticker: Ticker,
    scale: Scale,
    began: Instant,
}

impl Limiter {
    /// A limit of at most `cap` keys, some of them with a rate of their own.
    pub fn new(rate: Rate, cap: usize, overrides: &[(Hashed, Rate)], now: Instant) -> Result<Self, Unkept> {
        Self::over((Buckets::new(cap), Buckets::few(overrides.len())), rate, overrides, now)
    }

    /// The same limit with other rates: who owes something, owes it as long as before. Its clock begins anew where it is near its
    /// end, or other rates want finer ticks.
    pub fn changed(&self, rate: Rate, overrides: &[(Hashed, Rate)], now: Instant) -> Result<Self, Unkept> {
        let (all, theirs, few) = (&self.all.buckets, &self.theirs, Buckets::few(overrides.len()));
        let is_overridden = |key| overrides.iter().any(|(known, _)| *known == key);
        let scale = Scale::over(&rate, overrides);
        if scale == self.scale && !self.is_worn(now) {
            theirs.carry(&few, |key, paid_at| is_overridden(key).then_some(paid_at));
            return Self::over((all.clone(), few), rate, overrides, self.began);
        }
        let ticks = self.ticks(now);
        let owed = |paid_at: u64| {
            let owed = paid_at.checked_sub(ticks).filter(|owed| *owed > 0)?;
            Some(scale.ticks(self.scale.time(owed)).min(FAR))
        };
        let anew = all.anew();
        all.carry(&anew, |_, paid_at| owed(paid_at));
        theirs.carry(&few, |key, paid_at| owed(paid_at).filter(|_| is_overridden(key)));
        Self::over((anew, few), rate, overrides, now)
    }

    fn over(
        (buckets, theirs): (Buckets, Buckets),
        rate: Rate,
        overrides: &[(Hashed, Rate)],
        began: Instant,
    ) -> Result<Self, Unkept> {
        let (ticker, scale) = (Ticker::default(), Scale::over(&rate, overrides));
        let governed = |(key, rate): &(Hashed, Rate)| Ok((*key, Governed::new(rate, scale, &theirs, &ticker)?));
        let overrides = overrides.iter().map(governed).collect::<Result<_, _>>()?;
        let all = Governed::new(&rate, scale, &buckets, &ticker)?;
        Ok(Self { all, overrides, theirs, ticker, scale, began })
    }

    /// Tells the time. What is asked next is asked then, whoever asks.
    pub fn at(&self, now: Instant) {
        self.ticker.0.fetch_max(self.ticks(now), Ordering::Relaxed);
    }

    fn ticks(&self, now: Instant) -> u64 {
        self.scale.ticks(now.saturating_duration_since(self.began)).min(FAR)
    }

    #[inline]
    fn of(&self, key: Hashed) -> &Governed {
        if self.overrides.is_empty() {
            return &self.all;
        }
        self.overrides.get(&key).unwrap_or(&self.all)
    }

    /// Whether a key may have so much now; what may not pass costs it nothing.
    #[inline]
    #[must_use]
    pub fn take(&self, key: Hashed, count: NonZeroU32) -> bool {
        self.of(key).take(key, count)
    }

    /// Whether a key may have all of what several come to, one after the other, now: what is larger than the burst may not, and
    /// what may not pass costs nothing.
    #[inline]
    #[must_use]
    pub fn take_whole(&self, key: Hashed, count: NonZeroU32) -> bool {
        self.of(key).take_whole(key, count)
    }

    /// Gives a key so much in any case, and says how long it must be silent then.
    pub fn charge(&self, key: Hashed, count: NonZeroU32) -> Duration {
        self.scale.time(self.of(key).debit(key, count.get(), self.ticker.now().0))
    }

    /// How a key stands, and when it may have so much; it costs it nothing.
    #[must_use]
    pub fn look(&self, key: Hashed, count: NonZeroU32, now: Instant) -> Look {
        let governed = self.of(key);
        let (left, wait) = governed.look(key, count, self.ticks(now));
        // A tick that is begun is not over.
        let wait = self.scale.time(wait).max(Duration::from_nanos(wait.min(1)));
        Look { rate: governed.rate, is_own: self.overrides.contains_key(&key), left, wait }
    }

    /// The buckets of all keys but the overrides'.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.all.buckets
    }

    /// Forgets keys that owe nothing. Off the path.
    pub fn trim(&self, now: Instant) {
        self.all.buckets.trim(self.ticks(now));
    }

    /// Whether its clock is near its end: then it is to be [changed](Limiter::changed), if only to what it is. A limit of a gigabyte a
    /// second lasts for two weeks, one of records for years.
    #[must_use]
    pub fn is_worn(&self, now: Instant) -> bool {
        self.ticks(now) >= FAR / 2
    }
}

#[cfg(test)]
mod tests;
