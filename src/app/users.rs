//! Keeps each listener's users what their file says. A file that cannot be taken leaves those that there are, and is told of.

use super::follow::follow;
use crate::config::{Sasl, TextFrom};
use crate::security::look::Look;
use crate::security::source::Unusable;
use crate::security::users::Users;
use crate::security::users::file::load;
use crate::session::Context;
use crate::session::gate::Gate;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Closes a listener's gate for who has not logged in, and watches over its users. `at` is where it listens.
pub(super) fn guard(
    sasl: Option<&Sasl>,
    at: SocketAddr,
    context: &Context,
    tasks: &mut JoinSet<()>,
) -> Result<(), Unusable> {
    let Some(sasl) = sasl else { return Ok(()) };
    // Before it is read: what is written meanwhile is seen by the first look.
    let file = sasl.users.as_ref().and_then(TextFrom::file);
    let seen = file.and_then(Look::at);
    let users = load(sasl)?;
    let names = sasl.mechanisms.iter().map(|one| one.as_str());
    let telemetry = Arc::clone(&context.telemetry);
    telemetry.logins().began(at, names, users.len());
    if sasl.oauthbearer.is_some() {
        telemetry.logins().takes_tokens(at);
    }
    let counted = Arc::clone(&telemetry);
    let gate = Gate::new(sasl, users, Box::new(move |came| counted.logins().keys_read(at, came)));
    context.close_gate(Arc::clone(&gate));
    let Some(file) = file.map(Path::to_owned) else { return Ok(()) };
    let sasl = sasl.clone();
    let take = move |loaded: Result<Users, Unusable>| match loaded {
        // Rather a file that is about to be written than that nobody is to come in any more.
        Ok(users) if users.is_empty() => {
            tracing::error!(listener = %at, "the file of users has none: those that were there before stay");
            telemetry.logins().reloaded(at, None);
        }
        Ok(users) => {
            tracing::info!(listener = %at, users = users.len(), "the users have changed");
            telemetry.logins().reloaded(at, Some(users.len()));
            gate.admit(users);
        }
        Err(problem) => {
            tracing::error!(listener = %at, %problem, "users refused; those that were there before stay");
            telemetry.logins().reloaded(at, None);
        }
    };
    tasks.spawn(follow(file, seen, move |_| load(&sasl), take));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Running;
    use crate::config::Config;
    use crate::upstream::testing::{FakeCluster, Reply};
    use std::fs;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    use tokio::time::{sleep, timeout};

    const KEYS: &str = r#"{ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" }] }"#;

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(60), wait).await.expect(what);
    }

    #[tokio::test]
    async fn whether_the_keys_of_tokens_can_be_read_is_counted() {
        let file = std::env::temp_dir().join(format!("fishplate-keys-{}", std::process::id()));
        fs::write(&file, KEYS).unwrap();
        let a = FakeCluster::start(1, &[], |_, _| Reply::Silence).await;
        let tokens = format!("{{ jwks: '{}', issuer: 'https://idp.example' }}", file.display());
        let config = format!(
            "virtual_cluster: v\ndefault_cluster: a\nclusters: {{ a: {{ slot: 0, bootstrap: ['{}'] }} }}\n\
             listeners: [{{ bind: '127.0.0.1:0', sasl: {{ mechanisms: [OAUTHBEARER], oauthbearer: {tokens} }} }}]\n",
            a.bootstrap()[0]
        );
        let running = Running::start(Config::from_text("c.yaml", &config).unwrap()).await.unwrap();
        let reads = |result| running.telemetry().shown("fishplate_jwks_reads_total", &[("result", result)]);
        let read_at = || running.telemetry().shown("fishplate_jwks_read_time_seconds", &[]).unwrap_or_default();
        until("they are read", || reads("ok").is_some_and(|count| count > 0.0)).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - read_at()).abs() < 60.0 && reads("failed") == Some(0.0));
        // When they are gone, that is counted, and when they were there is told still
        fs::write(&file, "{").unwrap();
        until("they are not", || reads("failed").is_some_and(|count| count > 0.0)).await;
        let before = read_at();
        until("they are not again", || reads("failed").is_some_and(|count| count > 1.0)).await;
        assert!(before > 0.0 && before == read_at());
        running.stop().await;
        fs::remove_file(file).unwrap();
    }
}
