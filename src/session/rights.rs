//! A session's client before the rules: what it may do, kept as long as the rules stand, and what is told of what it may not.

use super::state::Session;
use crate::api::guard::{Barred, Denial, Guard, Why};
use crate::placement::Placement;
use crate::rights::{Decision, Granted};
use crate::telemetry::AUDIT;
use crate::types::{Principal, Slot};
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
        let comes_everywhere = |placement: &Placement| {
            Barred::of(placement, |slot| self.links.guise(slot, placement).is_some()).is_empty()
        };
        if !(comes_everywhere(then) && comes_everywhere(&now)) {
            return Arc::ptr_eq(&then.config, &now.config);
        }
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
            Why::Rules(Decision::Denied(number)) => self.rule(number),
            Why::Rules(_) => "no rule allows it".to_owned(),
            Why::Barred(slot) => self.no_identity(slot),
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

    fn no_identity(&self, at: Slot) -> String {
        let config = &self.context.current.load().config;
        let cluster = config.cluster(at).map_or("", |cluster| cluster.name.as_str());
        format!("no identity of cluster {cluster} is its, and who has none is refused (`unmapped`)")
    }

    /// Whether anybody is held to anything.
    pub(super) fn may_be_guarded(placement: &Placement) -> bool {
        let config = &placement.config;
        config.authorization.is_some() || config.clusters.iter().any(|one| !one.identities.is_empty())
    }

    /// Calls with what guards a request.
    pub(super) fn guarded<R>(&self, placement: &Placement, look: impl FnOnce(Option<Guard<'_>>) -> R) -> R {
        let granted = self.granted(placement);
        let barred = Barred::of(placement, |slot| self.links.guise(slot, placement).is_some());
        if granted.is_none() && barred.is_empty() {
            return look(None);
        }
        let told = |denial: &Denial<'_>| self.denied(denial);
        look(Some(Guard { granted: granted.as_deref(), barred, told: &told }))
    }
}
