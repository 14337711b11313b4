//! Clusters that who asks does not come to, since it has no identity there: what lives on one of them is as what no rule allows.

use crate::placement::Placement;
use crate::rights::Kind;
use crate::types::Slot;

/// Some clusters, by their slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarredSlots(
    /// A bit for each.
    u32,
);

impl FromIterator<Slot> for BarredSlots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        Self(slots.into_iter().fold(0, |all, slot| all | bit(slot)))
    }
}

impl BarredSlots {
    /// There are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// See the module's text.
#[derive(Clone, Copy)]
pub struct Barred<'a> {
    slots: BarredSlots,
    placement: &'a Placement,
}

impl<'a> Barred<'a> {
    /// The clusters of a placement that `comes` says no of.
    pub fn of(placement: &'a Placement, comes: impl Fn(Slot) -> bool) -> Self {
        let clusters = &placement.config.clusters;
        // Most have no identities, and everybody comes.
        let barred = clusters.iter().filter(|one| !one.identities.is_empty() && !comes(one.slot));
        Self { slots: barred.map(|one| one.slot).collect(), placement }
    }

    /// Everybody comes everywhere.
    #[must_use]
    pub fn nowhere(placement: &'a Placement) -> Self {
        Self::at(BarredSlots::default(), placement)
    }

    /// The clusters of a placement that were found before.
    #[must_use]
    pub fn at(slots: BarredSlots, placement: &'a Placement) -> Self {
        Self { slots, placement }
    }

    /// Which they are.
    #[must_use]
    pub fn slots(&self) -> BarredSlots {
        self.slots
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All are.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.placement.config.clusters.iter().all(|one| self.has(one.slot))
    }

    /// Whether this cluster is one.
    #[must_use]
    pub fn has(&self, slot: Slot) -> bool {
        self.slots.0 & bit(slot) != 0
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
