//! A session's client before the rules: what it may do, kept as long as the rules stand, and what is told of what it may not.

use super::state::Session;
use crate::api::guard::{Denial, Guard};
use crate::placement::Placement;
use crate::rights::{Decision, Granted};
use crate::telemetry::AUDIT;
use crate::types::Principal;
use parking_lot::Mutex;
use std::sync::Arc;

/// Of longer names that a client gives, the end is cut in the log.
const LONGEST_NAME: usize = 100;

/// What its client may do, by the rules that were looked at last.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<Asked>>);

struct Asked {
    principal: Principal,
    granted: Arc<Granted>,
}

impl Session {
    /// What its client may do; `None` where it may do everything.
    pub(super) fn granted(&self, placement: &Placement) -> Option<Arc<Granted>> {
        let rights = placement.config.authorization.as_ref()?;
        let principal = self.principal();
        let mut known = self.rights.0.lock();
        let same = |asked: &&Asked| asked.principal == principal && Arc::ptr_eq(asked.granted.rights(), rights);
        let granted = match known.as_ref().filter(same) {
            Some(asked) => Arc::clone(&asked.granted),
            None => {
                let granted = Arc::new(rights.of(principal.as_str(), self.peer.ip().to_canonical()));
                *known = Some(Asked { principal, granted: Arc::clone(&granted) });
                drop(known);
                self.forget_what_was_opened();
                granted
            }
        };
        (!granted.is_super()).then_some(granted)
    }

    /// Whether the rules are the ones that a placement was looked at with: what was opened under others must be opened anew.
    pub(super) fn has_same_rights(&self, then: &Placement) -> bool {
        let now = self.context.current.load();
        match (&then.config.authorization, &now.config.authorization) {
            (None, None) => true,
            (Some(then), Some(now)) => Arc::ptr_eq(then, now),
            _ => false,
        }
    }

    /// Fetches name their topics once, when a session is opened at a broker: by other rules they are named, and looked at, again.
    fn forget_what_was_opened(&self) {
        self.fetch_sessions.lock().clear();
        self.share_sessions.forget_all();
    }

    /// Its client asked for what it may not do. Once a minute for each such thing it stands in the log.
    pub(super) fn denied(&self, denial: &Denial<'_>) {
        let Denial { operation, kind, name, why, aside } = *denial;
        if aside {
            return;
        }
        self.context.telemetry.denied(operation.word(), kind.word());
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let principal = self.principal();
        let key = format!("{principal} {operation} {kind} {name}");
        let Some(held_back) = self.context.denials.pass(key) else { return };
        let rule = match why {
            Decision::Denied(number) => self.rule(number),
            _ => "no rule allows it".to_owned(),
        };
        tracing::info!(
            target: AUDIT, session = %self.id, peer = %self.peer, client = %self.client(), %principal,
            %operation, resource = %kind, ?name, rule, held_back, "denied"
        );
    }

    fn rule(&self, number: u32) -> String {
        let config = &self.context.current.load().config;
        let rule = config.authorization.as_ref().and_then(|rights| rights.rule(number).map(ToString::to_string));
        format!("rule {number} ({})", rule.unwrap_or_else(|| "no longer there".to_owned()))
    }

    /// Calls with what guards a request.
    pub(super) fn guarded<R>(&self, placement: &Placement, look: impl FnOnce(Option<Guard<'_>>) -> R) -> R {
        match self.granted(placement) {
            None => look(None),
            Some(granted) => {
                let told = |denial: &Denial<'_>| self.denied(denial);
                look(Some(Guard { granted: &granted, told: &told }))
            }
        }
    }
}
