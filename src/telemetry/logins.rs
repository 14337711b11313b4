//! Who logged in at listeners, and who was turned away.

use super::register;
use prometheus::{CounterVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginResult {
    /// The client is in.
    Succeeded,
    /// It was in, and has shown again who it is.
    Renewed,
    /// It was turned away.
    Failed,
}

impl LoginResult {
    const ALL: [Self; 3] = [Self::Succeeded, Self::Renewed, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Renewed => "renewed",
            Self::Failed => "failed",
        }
    }
}

/// See the module's text.
pub struct LoginMeter {
    logins: IntCounterVec,
    held: CounterVec,
    users: IntGaugeVec,
    reloads: IntCounterVec,
    keys_read_at: IntGaugeVec,
    key_reads: IntCounterVec,
}

impl LoginMeter {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels));
        let logins = counters(
            "fishplate_logins_total",
            "Clients that logged in, renewed that, or were turned away.",
            &["listener", "mechanism", "result"],
        )?;
        let held = Opts::new(
            "fishplate_logins_held_seconds_total",
            "How long the answers to clients that were turned away were held, against guessing.",
        );
        let users = Opts::new("fishplate_users", "Users that may log in with a password.");
        let keys_read_at = Opts::new(
            "fishplate_jwks_read_time_seconds",
            "When the keys that tokens are checked with were last read, in seconds since 1970; 0: never yet.",
        );
        Ok(Self {
            logins,
            held: register(registry, CounterVec::new(held, &["listener"]))?,
            users: register(registry, IntGaugeVec::new(users, &["listener"]))?,
            reloads: counters(
                "fishplate_users_reloads_total",
                "Files of users that had changed: applied, or invalid (the users before stay).",
                &["listener", "result"],
            )?,
            keys_read_at: register(registry, IntGaugeVec::new(keys_read_at, &["listener"]))?,
            key_reads: counters(
                "fishplate_jwks_reads_total",
                "Times that the keys that tokens are checked with were asked for: ok, failed (those that are there stay).",
                &["listener", "result"],
            )?,
        })
    }

    /// A login has ended. The mechanism is a name of ours, or `none`.
    pub fn ended(&self, listener: SocketAddr, mechanism: &str, result: LoginResult) {
        self.logins.with_label_values(&[&*listener.to_string(), mechanism, result.as_str()]).inc();
    }

    /// An answer was held.
    pub fn held(&self, listener: SocketAddr, so_long: Duration) {
        self.held.with_label_values(&[listener.to_string()]).inc_by(so_long.as_secs_f64());
    }

    /// A listener begins, with these mechanisms and so many users: an alert on a rate needs its series to be there before.
    pub fn began<'m>(&self, listener: SocketAddr, mechanisms: impl Iterator<Item = &'m str>, users: usize) {
        let listener = listener.to_string();
        for mechanism in mechanisms {
            for result in LoginResult::ALL {
                self.logins.with_label_values(&[&*listener, mechanism, result.as_str()]);
            }
        }
        self.held.with_label_values(&[&*listener]);
        self.stand(&listener, users);
        for result in ["applied", "invalid"] {
            self.reloads.with_label_values(&[&*listener, result]);
        }
    }

    /// Another file of users was taken; nothing where it was not.
    pub fn reloaded(&self, listener: SocketAddr, users: Option<usize>) {
        let listener = listener.to_string();
        let result = if users.is_some() { "applied" } else { "invalid" };
        self.reloads.with_label_values(&[&*listener, result]).inc();
        if let Some(users) = users {
            self.stand(&listener, users);
        }
    }

    /// A listener takes tokens, and has no keys to check them with yet.
    pub fn takes_tokens(&self, listener: SocketAddr) {
        let listener = listener.to_string();
        self.keys_read_at.with_label_values(&[&*listener]).set(0);
        for result in ["ok", "failed"] {
            self.key_reads.with_label_values(&[&*listener, result]);
        }
    }

    /// Those keys were asked for, and came or did not.
    pub fn keys_read(&self, listener: SocketAddr, came: bool) {
        let listener = listener.to_string();
        self.key_reads.with_label_values(&[&*listener, if came { "ok" } else { "failed" }]).inc();
        if came {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.keys_read_at.with_label_values(&[&*listener]).set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        }
    }

    fn stand(&self, listener: &str, users: usize) {
        self.users.with_label_values(&[listener]).set(i64::try_from(users).unwrap_or(i64::MAX));
    }
}
