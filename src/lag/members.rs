//! Who belongs to a group, as far as passes by or clusters tell, and which topics they read.

use super::clock::Moment;
use super::measure::STALE;
use crate::telemetry::observed::MemberReads;
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
    /// It spoke here, and owes that it does so again; else its cluster alone tells of it.
    is_heard: bool,
    topics: Option<Subscription>,
    /// As of when it reads those.
    said: Moment,
}

/// What members read, most of them the same: in order, each once, with a hash of all.
type Subscription = (u64, Arc<[TopicKey]>);

impl Member {
    const NEW: Self = Self { until: NEVER, within_ms: 0, is_heard: false, topics: None, said: NEVER };

    fn counts(&mut self, within_ms: i64, is_heard: bool, from: Moment) {
        (self.until, self.within_ms, self.is_heard) = (from.plus(within_ms), within_ms, is_heard);
    }

    /// When it last said that it is there, or its cluster did.
    fn spoke(&self) -> Moment {
        self.until.less(self.within_ms)
    }

    /// It reads these topics. Whether that is news.
    fn reads(&mut self, topics: Option<Subscription>, as_of: Moment) -> bool {
        let before = std::mem::replace(&mut self.topics, topics);
        self.said = as_of;
        before.map(|before| before.0) != self.topics.as_ref().map(|topics| topics.0)
    }
}

/// Before all that is known.
const NEVER: Moment = Moment(i64::MIN);

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
        let owes = self.all.get(&member).filter(|known| known.is_heard).map(|known| known.within_ms);
        let within_ms = if within_ms == 0 { owes.unwrap_or(USUAL) } else { i64::from(within_ms).min(LONGEST) };
        if let Some(known) = self.known(member) {
            known.counts(within_ms, true, at);
        }
        at.plus(within_ms)
    }

    /// What is known of one, from now on at the latest. `None` where there are too many.
    fn known(&mut self, member: u64) -> Option<&mut Member> {
        if self.all.len() >= MOST && !self.all.contains_key(&member) {
            return None;
        }
        Some(self.all.entry(member).or_insert(Member::NEW))
    }

    /// A member reads these topics and no others, or it is not known which. Whether that is news.
    pub(super) fn subscribed(&mut self, member: u64, topics: Option<Box<[TopicKey]>>, at: Moment) -> bool {
        if self.all.get(&member).is_none_or(|known| !known.is_heard) {
            self.beat(member, 0, at);
        }
        let topics = topics.and_then(|topics| self.shared(topics.into_vec()));
        self.all.get_mut(&member).is_some_and(|known| known.reads(topics, at))
    }

    /// The cluster told who its members were when it was asked, or later, and what each reads: what they said here since is newer.
    /// Whether that is news.
    pub(super) fn described(&mut self, members: Box<[MemberReads]>, asked: Moment) -> bool {
        // One that left since may be among them, or not all are kept: the next sweep tells again, what passes by until then.
        if members.len() > MOST || self.gone.is_some_and(|gone| gone >= asked) {
            return false;
        }
        let listed: HashSet<_> = members.iter().map(|(member, _)| *member).collect();
        let before = self.all.len();
        self.all.retain(|member, known| listed.contains(member) || known.spoke() >= asked);
        let mut is_news = self.all.len() < before;
        for (member, topics) in members {
            is_news |= self.told_of(member, topics, asked);
        }
        is_news
    }

    fn told_of(&mut self, member: u64, topics: Option<Box<[TopicKey]>>, asked: Moment) -> bool {
        let is_new = !self.all.contains_key(&member);
        let topics = topics.and_then(|topics| self.shared(topics.into_vec()));
        let Some(known) = self.known(member) else { return false };
        // Who owes us a word is judged by that.
        if !known.is_heard || known.until < asked {
            known.counts(STALE, false, asked);
        }
        let reads_other = known.said < asked && known.reads(topics, asked);
        is_new || reads_other
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
        let before = self.all.len();
        self.gone = self.gone.max(self.silent().filter(|until| *until < now).max());
        self.all.retain(|_, member| member.until >= now);
        self.all.len() < before
    }

    /// Until when members counted, of those that spoke here: of others their cluster just told no more.
    fn silent(&self) -> impl Iterator<Item = Moment> {
        self.all.values().filter(|member| member.is_heard).map(|member| member.until)
    }

    /// Whether there is a member, where that is known.
    #[must_use]
    pub(super) fn any(&self, now: Moment) -> Option<bool> {
        if self.all.values().any(|member| member.until >= now) {
            return Some(true);
        }
        let gone = self.silent().max().max(self.gone);
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

    fn reads(member: u64, topics: &[TopicKey]) -> MemberReads {
        (member, Some(topics.into()))
    }

    fn read(members: &Members, now: i64) -> Option<Vec<TopicKey>> {
        let mut all: Vec<_> = members.subscription(Moment(now))?.into_iter().collect();
        all.sort_unstable();
        Some(all)
    }

    #[test]
    fn what_the_cluster_tells_of_members_is_so_until_they_say_otherwise_here() {
        let mut members = Members::default();
        // One passes by here and has not said what it reads, another does not pass by
        members.beat(1, 45_000, Moment(0));
        assert_eq!(read(&members, 5), None);
        assert!(members.described([reads(1, &[1, 2]), reads(2, &[3])].into(), Moment(10)));
        assert_eq!(read(&members, 20), Some(vec![1, 2, 3]));
        assert!(!members.described([reads(1, &[1, 2]), reads(2, &[3])].into(), Moment(30)), "nothing new");
        // What is said here counts at once, and more than an answer to what was asked before
        assert!(members.subscribed(1, Some([1].into()), Moment(40)));
        assert_eq!(read(&members, 40), Some(vec![1, 3]));
        assert!(!members.described([reads(1, &[1, 2]), reads(2, &[3])].into(), Moment(39)));
        assert_eq!(read(&members, 50), Some(vec![1, 3]));
        // And less than what the cluster was asked for since
        assert!(members.described([reads(1, &[2]), (2, None)].into(), Moment(60)));
        assert_eq!(read(&members, 60), None, "an expression says what the other one reads");
    }

    #[test]
    fn who_the_cluster_no_longer_counts_reads_nothing_and_who_came_since_does() {
        let mut members = Members::default();
        members.subscribed(1, Some([1].into()), Moment(0));
        members.described([reads(2, &[2])].into(), Moment(10));
        assert_eq!(read(&members, 20), Some(vec![2]), "the first went on elsewhere, or died");
        members.subscribed(3, Some([3].into()), Moment(30));
        members.described([reads(2, &[2])].into(), Moment(25));
        assert_eq!(read(&members, 30), Some(vec![2, 3]));
        // One that leaves here is gone at once, whatever the cluster said before
        assert!(members.left(2, Moment(40)));
        assert!(!members.described([reads(2, &[2]), reads(3, &[3])].into(), Moment(40)));
        assert_eq!(read(&members, 41), Some(vec![3]));
        members.stands(false, Moment(50));
        assert_eq!(read(&members, 50), None);
    }

    #[test]
    fn members_that_the_cluster_tells_of_count_until_it_tells_no_more() {
        let mut members = Members::default();
        members.described([reads(1, &[1])].into(), Moment(0));
        members.committed(Moment(1));
        assert_eq!((members.any(Moment(STALE)), members.any(Moment(STALE + 1))), (Some(true), None));
        assert!(members.expire(Moment(STALE + 1)));
        assert_eq!(members.any(Moment(STALE + 1)), None, "nobody said that it is gone");
        // One that speaks here is judged by that
        members.described([reads(1, &[1])].into(), Moment(STALE + 2));
        members.beat(1, 10_000, Moment(STALE + 3));
        assert_eq!(members.any(Moment(STALE + 10_004)), Some(false));
        // Until the cluster counts it all the same
        members.described([reads(1, &[1])].into(), Moment(STALE + 10_005));
        assert_eq!(members.any(Moment(STALE + 70_000)), Some(true));
    }

    #[test]
    fn of_more_members_than_are_kept_nothing_is_told() {
        let mut members = Members::default();
        let many = (0..=MOST as u64).map(|member| reads(member, &[1])).collect();
        assert!(!members.described(many, Moment(0)));
        assert!(members.all.is_empty());
    }
}
