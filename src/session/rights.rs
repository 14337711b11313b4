//! A session's client before the rules: what it may do, kept as long as the rules stand, and what is told of what it may not.

use super::state::Session;
use crate::api::guard::{Barred, Denial, Guard, Why};
use crate::config::Config;
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

/// The rules that something was looked at with, or that there were none. A fetch session and a share session name their topics
/// once, when they are opened: each is kept with its rules, and by others it is named, and looked at, again.
#[derive(Clone, Debug)]
pub(super) struct Rules(Option<Arc<Config>>);

impl Rules {
    /// Those of a placement.
    pub(super) fn of(placement: &Placement) -> Self {
        Self(Session::may_be_guarded(placement).then(|| Arc::clone(&placement.config)))
    }

    /// Whether they are those of this placement. After a reload they are others, though they may say the same.
    pub(super) fn hold(&self, placement: &Placement) -> bool {
        match &self.0 {
            None => !Session::may_be_guarded(placement),
            Some(then) => Arc::ptr_eq(then, &placement.config),
        }
    }
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
                granted
            }
        };
        (!granted.is_super()).then_some(granted)
    }

    /// Its client asked for what it may not do. Once a minute for each such thing it stands in the log.
    pub(super) fn denied(&self, denial: &Denial<'_>, placement: &Placement) {
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
            Why::Rules(Decision::Denied(number)) => rule(&placement.config, number),
            Why::Rules(_) => "no rule allows it".to_owned(),
            Why::Barred(slot) => no_identity(&placement.config, slot),
        };
        tracing::info!(
            target: AUDIT, session = %self.id, peer = %self.peer, client = %self.client(), %principal,
            %operation, resource = %kind, ?name, rule, held_back, "denied"
        );
    }

    /// Whether anybody is held to anything.
    pub(super) fn may_be_guarded(placement: &Placement) -> bool {
        let config = &placement.config;
        config.authorization.is_some() || config.clusters.iter().any(|one| !one.identities.is_empty())
    }

    /// Clusters that its client does not come to.
    pub(super) fn barred<'p>(&self, placement: &'p Placement) -> Barred<'p> {
        Barred::of(placement, |slot| self.links.guise(slot, placement).is_some())
    }

    /// Calls with what guards a request.
    pub(super) fn guarded<R>(&self, placement: &Placement, look: impl FnOnce(Option<Guard<'_>>) -> R) -> R {
        let granted = self.granted(placement);
        let barred = self.barred(placement);
        if granted.is_none() && barred.is_empty() {
            return look(None);
        }
        let told = |denial: &Denial<'_>| self.denied(denial, placement);
        look(Some(Guard { granted: granted.as_deref(), barred, told: &told }))
    }
}

fn rule(config: &Config, number: u32) -> String {
    let rule = config.authorization.as_ref().and_then(|rights| rights.rule(number).map(ToString::to_string));
    format!("rule {number} ({})", rule.unwrap_or_default())
}

fn no_identity(config: &Config, at: Slot) -> String {
    let cluster = config.cluster(at).map_or("", |cluster| cluster.name.as_str());
    format!("no identity of cluster {cluster} is its, and who has none is refused (`unmapped`)")
}
