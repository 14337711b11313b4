//! Keeps the operators of the admin address what their file of tokens says. A file that cannot be taken leaves those that there are, and is
//! told of.

use super::follow::follow;
use crate::admin::Door;
use crate::config::{Admin, TextFrom};
use crate::security::look::Look;
use crate::security::operators::Operators;
use crate::security::operators::file::load;
use crate::security::source::Unusable;
use crate::telemetry::Telemetry;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The door of the admin address, which is watched over from now on.
pub(super) fn guard(admin: &Admin, telemetry: &Arc<Telemetry>, tasks: &mut JoinSet<()>) -> Result<Arc<Door>, Unusable> {
    // Before it is read: what is written meanwhile is seen by the first look.
    let file = admin.operators.as_ref().and_then(TextFrom::file);
    let seen = file.and_then(Look::at);
    let door = Door::new(admin.operators.as_ref().map(load).transpose()?, telemetry);
    let Some(file) = file.map(Path::to_owned) else { return Ok(door) };
    let (there, telemetry) = (Arc::clone(&door), Arc::clone(telemetry));
    let take = move |loaded: Result<Operators, Unusable>| match loaded {
        Ok(operators) => {
            tracing::info!(tokens = operators.len(), "the admin tokens have changed");
            telemetry.admin().reloaded(Some(operators.len()));
            there.change(operators);
        }
        Err(problem) => {
            tracing::error!(%problem, "admin tokens refused; those that were there before stay");
            telemetry.admin().reloaded(None);
        }
    };
    tasks.spawn(follow(file, seen, |file| load(&TextFrom::File(file.to_owned())), take));
    Ok(door)
}
