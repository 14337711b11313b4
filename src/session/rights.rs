//! A session's client before the rules: what it may do, kept as long as the rules stand, and what is told of what it may not.

use super::state::Session;
use crate::api::guard::{Barred, Denial, Guard, Why};
use crate::config::Config;
use crate::placement::Placement;
use crate::rights::{Decision, Granted, Rights};
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
pub(super) struct Rules {
    rights: Option<Arc<Rights>>,
    /// Where clients come to clusters as somebody, that is part of it.
    identities: Option<Arc<Config>>,
}

impl Rules {
    /// Those of a placement.
    pub(super) fn of(placement: &Placement) -> Self {
        let has_identities = placement.config.clusters.iter().any(|one| !one.identities.all().is_empty());
        Self {
            rights: placement.config.authorization.clone(),
            identities: has_identities.then(|| Arc::clone(&placement.config)),
        }
    }

    /// Whether they are those of this placement. After a reload they are others, though they may say the same.
    pub(super) fn hold(&self, placement: &Placement) -> bool {
        let now = Self::of(placement);
        is_same(self.rights.as_ref(), now.rights.as_ref()) && is_same(self.identities.as_ref(), now.identities.as_ref())
    }
}

fn is_same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
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
