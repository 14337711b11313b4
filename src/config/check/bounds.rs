//! Numbers: the pools of memory and the limits, what fits into what, and the version of transactions.

use std::time::Duration;

use super::super::amounts::Amount;
use super::super::findings::Findings;
use super::super::login::Login;
use super::super::raw::{self, File};
use super::super::read::Number;
use super::super::{Cluster, Limits, Memory, Pace};

/// A pool is no smaller: an eighth of it must hold more than the frames that are always read (64 KiB).
const SMALLEST_POOL: usize = 1 << 20;
/// The largest size that a frame may have, and so the largest useful share.
const LARGEST_POOL: usize = 1 << 40;

/// The versions of transactions that clients may be shown.
const LOWEST_TRANSACTIONS: i16 = 1;
const HIGHEST_TRANSACTIONS: i16 = 2;

/// The pools; the default where a value is wrong, which is told.
pub(super) fn memory(raw: &File, findings: &mut Findings) -> Memory {
    let default = Memory::default();
    let Some(raw) = &raw.memory else { return default };
    let mut pool = |amount: Option<Amount>, default| amount.map_or(default, |amount| pool(amount, findings));
    Memory {
        requests: pool(raw.requests, default.requests),
        responses: pool(raw.responses, default.responses),
        parked: pool(raw.parked, default.parked),
    }
}

fn pool(amount: Amount, findings: &mut Findings) -> usize {
    let bytes = usize::try_from(amount.value).unwrap_or(usize::MAX);
    if !(SMALLEST_POOL..=LARGEST_POOL).contains(&bytes) {
        findings.mistake(amount.at, format!("{bytes} bytes are no pool of memory"), "write from 1MiB to 1024GiB");
    }
    bytes.clamp(SMALLEST_POOL, LARGEST_POOL)
}

/// The limits; the default where a value is wrong, which is told.
pub(super) fn limits(raw: &File, findings: &mut Findings) -> Limits {
    let default = Limits::default();
    let Some(raw::Limits { request, handshake, stalled, idle, sessions, sessions_per_address }) = &raw.limits else {
        return default;
    };
    Limits {
        request: request.map_or(default.request, |amount| largest_request(amount, findings)),
        handshake: time(*handshake, default.handshake, findings),
        stalled: time(*stalled, default.stalled, findings),
        idle: time(*idle, default.idle, findings),
        sessions: count(*sessions, default.sessions, findings),
        sessions_per_address: count(*sessions_per_address, default.sessions_per_address, findings),
    }
}

/// The version of transactions; the lowest where it is wrong, which is told.
pub(super) fn transaction_version(raw: &File, findings: &mut Findings) -> i16 {
    let Some(number) = raw.transaction_version else { return LOWEST_TRANSACTIONS };
    let version = i16::try_from(number.value).unwrap_or(i16::MAX);
    if !(LOWEST_TRANSACTIONS..=HIGHEST_TRANSACTIONS).contains(&version) {
        let what = format!("there is no transaction.version {} to show", number.value);
        findings.mistake(number.at, what, "write 1, or 2 where every cluster with transactional ids has it");
    }
    version.clamp(LOWEST_TRANSACTIONS, HIGHEST_TRANSACTIONS)
}

fn largest_request(amount: Amount, findings: &mut Findings) -> usize {
    let bytes = usize::try_from(amount.value).unwrap_or(usize::MAX);
    if bytes == 0 {
        findings.mistake(amount.at, "no request fits into 0 bytes", "write for example 1MiB");
    } else if bytes > Limits::LARGEST_OF_ALL {
        let what = format!("{bytes} bytes are more than Fishplate takes in one request");
        findings.mistake(amount.at, what, "write at most 200MiB; Kafka's own limit is 100MiB");
    }
    bytes.clamp(1, Limits::LARGEST_OF_ALL)
}

fn time(amount: Option<Amount>, default: Duration, findings: &mut Findings) -> Duration {
    let Some(amount) = amount else { return default };
    if amount.value == 0 {
        findings.mistake(amount.at, "no time at all is too short", "write for example 10s");
    }
    Duration::from_millis(amount.value)
}

/// How many connections a cluster's brokers get, in all and in a second.
pub(super) fn links(raw: &raw::Cluster, login: Option<&Login>, findings: &mut Findings) -> (usize, usize) {
    let Pace { most, a_second } = Cluster::pace(login);
    (count(raw.max_links, most, findings), count(raw.links_per_second, a_second, findings))
}

fn count(number: Option<Number>, default: usize, findings: &mut Findings) -> usize {
    let Some(number) = number else { return default };
    if number.value == 0 {
        findings.mistake(number.at, "0 lets nobody through", "write a number from 1 up, or leave the key out");
    }
    usize::try_from(number.value).unwrap_or(usize::MAX)
}
