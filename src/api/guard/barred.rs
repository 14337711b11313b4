//! Clusters that who asks does not come to, since it has no identity there: what lives on one of them is as what no rule allows.

use crate::placement::Placement;
use crate::rights::Kind;
use crate::types::Slot;

/// See the module's text.
#[derive(Clone, Copy)]
pub struct Barred<'a> {
    /// A bit for each slot.
    slots: u32,
    placement: &'a Placement,
}

impl<'a> Barred<'a> {
    /// The clusters of a placement that `comes` says no of.
    pub fn of(placement: &'a Placement, comes: impl Fn(Slot) -> bool) -> Self {
        let clusters = &placement.config.clusters;
        // Most have no identities, and everybody comes.
        let barred = clusters.iter().filter(|one| !one.identities.is_empty() && !comes(one.slot));
        Self { slots: barred.fold(0, |slots, one| slots | bit(one.slot)), placement }
    }

    /// Everybody comes everywhere.
    #[must_use]
    pub fn nowhere(placement: &'a Placement) -> Self {
        Self { slots: 0, placement }
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// All are.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.placement.config.clusters.iter().all(|one| self.has(one.slot))
    }

    /// Whether this cluster is one.
    #[must_use]
    pub fn has(&self, slot: Slot) -> bool {
        self.slots & bit(slot) != 0
    }

    /// The one that a resource lives on. The cluster as a whole lives on all.
    #[must_use]
    pub fn home_of(&self, kind: Kind, name: &str) -> Option<Slot> {
        if self.is_empty() {
            return None;
        }
        let home = match kind {
            Kind::Topic => self.placement.home_of_topic(name),
            Kind::Group => self.placement.home_of_group(name),
            Kind::TransactionalId => self.placement.home_of_transactional_id(name),
            Kind::Cluster => {
                return self.placement.config.clusters.iter().map(|one| one.slot).find(|slot| self.has(*slot));
            }
        };
        self.has(home).then_some(home)
    }
}

fn bit(slot: Slot) -> u32 {
    1 << slot.number()
}
