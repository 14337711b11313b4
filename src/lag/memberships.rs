//! Members that join groups, read topics and leave: what such facts change of a group, and which topics are its business.

use super::Ledger;
use super::clock::Moment;
use super::readers::GroupAt;
use crate::telemetry::observed::Fact;

impl Ledger {
    /// A fact about members, or about readers who were told to wait.
    pub(super) fn about_members(&mut self, fact: Fact, at: Moment) {
        match fact {
            Fact::Beat { group, member, by, within_ms } => {
                let Some(place) = self.heard(&group, at) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                let until = group.members.beat(member, within_ms, at);
                self.readers.beat(by, place, until);
            }
            Fact::Subscribed { group, member, topics } => {
                let Some(place) = self.heard(&group, at) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                if group.members.subscribed(member, topics, at) {
                    self.groups.soil(place);
                }
            }
            Fact::Left { group, member } => {
                let Some(place) = self.groups.find(&group) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                if group.members.left(member, at) {
                    self.groups.soil(place);
                }
            }
            Fact::Stands { group, has_members } => {
                let Some(place) = self.heard(&group, at) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                group.members.stands(has_members, at);
                if !has_members {
                    self.groups.soil(place);
                }
            }
            Fact::Throttled { by, ms } if ms > 0 => {
                for place in self.readers.groups(by, at) {
                    if let Some(group) = self.groups.get_mut(place) {
                        group.throttled = Some(at);
                    }
                }
            }
            _ => {}
        }
    }

    /// Finds out what groups read where that has changed: once for many facts, for a group may have thousands of members.
    pub(super) fn clean(&mut self, at: Moment) {
        for place in self.groups.take_dirty() {
            self.leave_behind(place, at);
        }
    }

    /// Topics that none of a group's members reads any more are no business of it, until it commits offsets of them anew.
    fn leave_behind(&mut self, place: GroupAt, at: Moment) {
        let Some(group) = self.groups.get_mut(place) else { return };
        let keys = group.members.subscription(at);
        group.reads = keys.map(|keys| keys.into_iter().filter_map(|key| self.topics.find(key)).collect());
        let Some(reads) = &group.reads else { return };
        let left = group.commits_to.iter().filter(|topic| !reads.contains(topic));
        group.left_behind = left.copied().collect();
    }
}
