//! Until when certificates hold.

use super::certificate::Certificate;
use super::problem::{TlsProblem, Trouble};
use rustls::pki_types::CertificateDer;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which part of a side's material it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What the other side is shown: of the chain, the first that ends.
    Certificate,
    /// Whom it is trusted to be signed by: of several, the last that ends, as others may be there to be left behind.
    Ca,
}

impl Part {
    /// As metrics say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Ca => "ca",
        }
    }
}

/// Until when a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Of what.
    pub part: Part,
    /// From when on, in seconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl Expiry {
    /// Of a chain that is shown to others; `None` where it cannot be read.
    pub(super) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let read: Vec<_> = chain.iter().filter_map(|one| Certificate::read(one)).collect();
        let from = read.iter().map(|one| one.not_before).max()?;
        let until = read.iter().map(|one| one.not_after).min()?;
        Some(Self { part: Part::Certificate, from, until })
    }

    /// Of all that are trusted.
    pub(super) fn of_authorities(all: &[CertificateDer<'_>]) -> Option<Self> {
        let read: Vec<_> = all.iter().filter_map(|one| Certificate::read(one)).collect();
        let from = read.iter().map(|one| one.not_before).min()?;
        let until = read.iter().map(|one| one.not_after).max()?;
        Some(Self { part: Part::Ca, from, until })
    }

    /// Why it does not hold then: it stands in this file.
    pub(super) fn lapsed(&self, file: &Path, now: i64) -> TlsProblem {
        let what = if now < self.from { Trouble::NotYet(day(self.from)) } else { Trouble::Expired(day(self.until)) };
        TlsProblem::of(file, what)
    }

    /// It holds then.
    pub(super) fn holds(&self, now: i64) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

/// In seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A day of the calendar, for people.
pub(super) fn day(seconds: i64) -> String {
    // Howard Hinnant's civil_from_days.
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, is) in
            [(0, "1970-01-01"), (1_709_208_000, "2024-02-29"), (-1, "1969-12-31"), (4_102_444_800, "2100-01-01")]
        {
            assert_eq!(day(seconds), is);
        }
    }
}
