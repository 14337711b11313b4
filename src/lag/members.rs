//! Who belongs to a group, as far as passes by or clusters tell, and which topics they read.

use super::clock::Moment;
use super::measure::STALE;
use crate::types::{FastMap, TopicKey, fast_hash};
use std::collections::HashSet;
use std::sync::Arc;

/// Members that are kept of a group.
const MOST: usize = 10_000;
/// Topics that a member may read: of more it is not known which.
const TOPICS: usize = 10_000;
/// A member that promises to speak within more than this, in ms, is not believed: Kafka's longest is half an hour.
const LONGEST: i64 = 3_600_000;
/// How long a member counts that says nothing, where it is not known what it owes, in ms.
const USUAL: i64 = 60_000;

/// Who commits without being a member does so again within this time, in ms: with each of Flink's checkpoints.
const OUTSIDE: i64 = 900_000;

#[derive(Clone, Debug)]
struct Member {
    until: Moment,
    within_ms: i64,
    topics: Option<Subscription>,
}

/// What members read, most of them the same: in order, each once, with a hash of all.
type Subscription = (u64, Arc<[TopicKey]>);

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    all: FastMap<u64, Member>,
    /// When the last one left, or ceased to speak.
    gone: Option<Moment>,
    /// What the cluster said, and when.
    stands: Option<(bool, Moment)>,
    /// When somebody last committed in its name who is no member.
    outside: Option<Moment>,
}

impl Members {
    /// A member is there, and need not say so again for some time. Until when it counts.
    pub(super) fn beat(&mut self, member: u64, within_ms: u32, at: Moment) -> Moment {
        let known = self.all.get(&member).map(|known| known.within_ms);
        let within_ms = if within_ms == 0 { known.unwrap_or(USUAL) } else { i64::from(within_ms).min(LONGEST) };
        let until = at.plus(within_ms);
        if let Some(known) = self.all.get_mut(&member) {
            (known.until, known.within_ms) = (until, within_ms);
        } else if self.all.len() < MOST {
            self.all.insert(member, Member { until, within_ms, topics: None });
        }
        until
    }

    /// A member reads these topics and no others, or it is not known which. Whether that is news.
    pub(super) fn subscribed(&mut self, member: u64, topics: Option<Box<[TopicKey]>>, at: Moment) -> bool {
        if !self.all.contains_key(&member) {
            self.beat(member, 0, at);
        }
        let topics = topics.and_then(|topics| self.shared(topics.into_vec()));
        let Some(known) = self.all.get_mut(&member) else { return false };
        let before = std::mem::replace(&mut known.topics, topics);
        before.map(|before| before.0) != known.topics.as_ref().map(|topics| topics.0)
    }

    fn shared(&self, mut topics: Vec<TopicKey>) -> Option<Subscription> {
        topics.sort_unstable();
        topics.dedup();
        if topics.len() > TOPICS {
            return None;
        }
        let hash = fast_hash(&topics);
        let same = self.all.values().filter_map(|member| member.topics.as_ref()).find(|known| known.0 == hash);
        Some(same.cloned().unwrap_or_else(|| (hash, topics.into())))
    }

    /// A member left. Whether it was known.
    pub(super) fn left(&mut self, member: u64, at: Moment) -> bool {
        let known = self.all.remove(&member).is_some();
        if known {
            self.gone = self.gone.max(Some(at));
        }
        known
    }

    /// The cluster told.
    pub(super) fn stands(&mut self, has_members: bool, at: Moment) {
        self.stands = Some((has_members, at));
        if !has_members {
            self.all.clear();
        }
    }

    /// Somebody committed in its name. Where that is no member, it has a reader all the same, whom no cluster counts: Flink's source,
    /// and whoever assigns himself partitions.
    pub(super) fn committed(&mut self, at: Moment) {
        if self.all.values().all(|member| member.until < at) {
            self.outside = Some(at);
        }
    }

    /// Forgets who speaks no more. Whether there was one.
    pub(super) fn expire(&mut self, now: Moment) -> bool {
        let gone = self.all.values().map(|member| member.until).filter(|until| *until < now).max();
        self.all.retain(|_, member| member.until >= now);
        self.gone = self.gone.max(gone);
        gone.is_some()
    }

    /// Whether there is a member, where that is known.
    #[must_use]
    pub(super) fn any(&self, now: Moment) -> Option<bool> {
        if self.all.values().any(|member| member.until >= now) {
            return Some(true);
        }
        let gone = self.all.values().map(|member| member.until).max().max(self.gone);
        let outside = self.outside.filter(|outside| gone.is_none_or(|gone| gone < *outside));
        if outside.is_some_and(|outside| outside.until(now) <= OUTSIDE) {
            return None;
        }
        match self.stands {
            Some((has, at)) if gone.is_none_or(|gone| gone < at) => (at.until(now) <= STALE).then_some(has),
            _ => gone.map(|_| false),
        }
    }

    /// The topics that members read: known only where all of them have said so, and there is one.
    #[must_use]
    pub(super) fn subscription(&self, now: Moment) -> Option<HashSet<TopicKey>> {
        let (mut met, mut all) = (HashSet::new(), HashSet::new());
        for member in self.all.values().filter(|member| member.until >= now) {
            let (hash, topics) = member.topics.as_ref()?;
            if met.insert(*hash) {
                all.extend(topics.iter().copied());
            }
        }
        (!met.is_empty()).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_counts_as_long_as_it_promised() {
        let mut members = Members::default();
        assert_eq!(members.any(Moment(0)), None);
        members.beat(1, 10_000, Moment(0));
        members.beat(1, 0, Moment(5000));
        assert_eq!(members.any(Moment(15_000)), Some(true));
        assert_eq!(members.any(Moment(15_001)), Some(false));
    }

    #[test]
    fn the_cluster_is_believed_where_it_knows_more() {
        let mut members = Members::default();
        members.stands(true, Moment(0));
        assert_eq!(members.any(Moment(60_000)), Some(true), "its members do not come by here");
        members.beat(1, 10_000, Moment(60_000));
        members.left(1, Moment(61_000));
        assert_eq!(members.any(Moment(62_000)), Some(false), "that was the last one");
        members.stands(true, Moment(63_000));
        assert_eq!(members.any(Moment(64_000)), Some(true));
        members.stands(false, Moment(65_000));
        assert_eq!(members.any(Moment(66_000)), Some(false));
        assert_eq!(members.any(Moment(65_000 + STALE)), Some(false));
        assert_eq!(members.any(Moment(65_001 + STALE)), None, "it has said nothing for long");
    }

    #[test]
    fn what_a_group_reads_is_known_when_all_have_said_so() {
        let mut members = Members::default();
        members.subscribed(1, Some([1, 2].into()), Moment(0));
        members.beat(2, 0, Moment(0));
        assert_eq!(members.subscription(Moment(1)), None);
        members.subscribed(2, Some([3].into()), Moment(1));
        assert_eq!(members.subscription(Moment(1)), Some([1, 2, 3].into()));
        members.left(2, Moment(2));
        assert_eq!(members.subscription(Moment(2)), Some([1, 2].into()));
        members.left(1, Moment(3));
        assert_eq!(members.subscription(Moment(3)), None, "who stopped has not unsubscribed");
    }

    #[test]
    fn members_that_read_the_same_topics_share_what_is_kept_of_them_and_of_too_many_none_is_kept() {
        let mut members = Members::default();
        assert!(members.subscribed(1, Some([2, 1, 2].into()), Moment(0)));
        assert!(!members.subscribed(1, Some([1, 2].into()), Moment(0)), "nothing new");
        assert!(members.subscribed(2, Some([1, 2].into()), Moment(0)));
        let kept = |member| members.all[&member].topics.clone().unwrap().1;
        assert!(Arc::ptr_eq(&kept(1), &kept(2)) && kept(1).len() == 2);
        let many: Vec<_> = (0..=TOPICS as u64).collect();
        members.subscribed(2, Some(many.into()), Moment(0));
        assert_eq!(members.subscription(Moment(0)), None);
    }

    #[test]
    fn a_group_that_is_committed_for_from_outside_is_not_without_a_reader() {
        let mut members = Members::default();
        members.stands(false, Moment(1_000));
        assert_eq!(members.any(Moment(1_000)), Some(false));
        members.committed(Moment(2_000));
        members.stands(false, Moment(60_000));
        assert_eq!(members.any(Moment(60_000)), None);
        let later = 2_001 + OUTSIDE;
        members.stands(false, Moment(later));
        assert_eq!(members.any(Moment(later)), Some(false), "it has stopped");
        // What a member commits speaks for nobody when it has left
        members.beat(1, 10_000, Moment(later));
        members.committed(Moment(later + 1));
        members.left(1, Moment(later + 2));
        assert_eq!(members.any(Moment(later + 3)), Some(false));
    }

    #[test]
    fn who_comes_to_read_by_an_expression_is_not_known_to_read_what_it_named() {
        let mut members = Members::default();
        members.subscribed(1, Some([1].into()), Moment(0));
        assert!(members.subscription(Moment(1)).is_some());
        assert!(members.subscribed(1, None, Moment(2)));
        assert_eq!(members.subscription(Moment(3)), None);
    }
}
