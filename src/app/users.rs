//! Keeps each listener's users what their file says. A file that cannot be taken leaves those that there are, and is told of.

use super::follow::follow;
use crate::config::{Sasl, UsersFrom};
use crate::security::look::Look;
use crate::security::users::Users;
use crate::security::users::file::{UsersProblem, load};
use crate::session::Context;
use crate::session::gate::Gate;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Closes a listener's gate for who has not logged in, and watches over its users. `at` is where it listens.
pub(super) fn guard(
    sasl: Option<&Sasl>,
    at: SocketAddr,
    context: &Context,
    tasks: &mut JoinSet<()>,
) -> Result<(), UsersProblem> {
    let Some(sasl) = sasl else { return Ok(()) };
    // Before it is read: what is written meanwhile is seen by the first look.
    let seen = file(sasl).and_then(|file| Look::at(&file));
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
    let Some(file) = file(sasl) else { return Ok(()) };
    let sasl = sasl.clone();
    let take = move |loaded: Result<Users, UsersProblem>| match loaded {
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

fn file(sasl: &Sasl) -> Option<PathBuf> {
    match &sasl.users {
        Some(UsersFrom::File(file)) => Some(file.clone()),
        _ => None,
    }
}
