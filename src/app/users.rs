//! Keeps each listener's users what their file says. A file that cannot be taken leaves those that there are, and is told of.

use crate::config::{Sasl, UsersFrom};
use crate::security::users::file::{Look, UsersProblem, load};
use crate::session::Context;
use crate::session::gate::Gate;
use crate::telemetry::Telemetry;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at a file: links of mounted secrets change without a word in the directory that is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Closes a listener's gate for who has not logged in, and watches over its users. `at` is where it listens.
pub(super) fn guard(
    sasl: Option<&Sasl>,
    at: SocketAddr,
    context: &Context,
    tasks: &mut JoinSet<()>,
) -> Result<(), UsersProblem> {
    let Some(sasl) = sasl else { return Ok(()) };
    // Before it is read: what is written meanwhile is seen by the first look.
    let look = file(sasl).and_then(|file| Look::at(&file));
    let users = load(sasl)?;
    let names = sasl.mechanisms.iter().map(|one| one.as_str());
    context.telemetry.logins().began(at, names, users.len());
    let gate = Gate::new(sasl, users);
    context.close_gate(Arc::clone(&gate));
    if let Some(file) = file(sasl) {
        tasks.spawn(watch(file, look, sasl.clone(), gate, at, Arc::clone(&context.telemetry)));
    }
    Ok(())
}

fn file(sasl: &Sasl) -> Option<PathBuf> {
    match &sasl.users {
        Some(UsersFrom::File(file)) => Some(file.clone()),
        _ => None,
    }
}

async fn watch(
    file: PathBuf,
    mut seen: Option<Look>,
    sasl: Sasl,
    gate: Arc<Gate>,
    at: SocketAddr,
    telemetry: Arc<Telemetry>,
) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let (file, sasl, before) = (file.clone(), sasl.clone(), seen);
        let looked = spawn_blocking(move || {
            let now = Look::at(&file);
            (now, (now != before).then(|| load(&sasl)))
        });
        let Ok((now, loaded)) = looked.await else { return };
        seen = now;
        match loaded {
            None => {}
            Some(Ok(users)) => {
                tracing::info!(listener = %at, users = users.len(), "the users have changed");
                telemetry.logins().reloaded(at, Some(users.len()));
                gate.admit(users);
            }
            Some(Err(problem)) => {
                tracing::error!(listener = %at, %problem, "users refused; those that were there before stay");
                telemetry.logins().reloaded(at, None);
            }
        }
    }
}
