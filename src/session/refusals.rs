//! The batches of idempotent producers that were refused and not sent again yet, by partition (L6). A refusal alone loses
//! nothing: the client sends the batch again. But what it had sent behind it may be on its way still, and a broker that
//! does not know the producer takes any first sequence: were a later batch routed to a new leader meanwhile, it would be
//! written before the refused one, whose retry the broker then takes for an old duplicate, or refuses for ever.
//!
//! So what follows a refused batch goes to no other broker than the one that refused it, until the client has sent the
//! batch itself again, or one before it, or has begun anew with a newer epoch. That broker says what it would say
//! without us between: that it does not lead the partition either, or that the sequence has a gap. Where it has written a
//! later one all the same, the refusal is over: the client has sent the batch over another connection meanwhile, or has
//! given it up.
//!
//! A broker that has not shown that it knows the producer (`known`) could take a later one too, as soon as it leads again.
//! It gets none: those that the client had sent before it heard of the refusal are refused with it. One that comes much
//! later is another matter: mostly the client has sent the first over another connection meanwhile. We cannot know, so
//! the session ends, and the client sends again from the lowest that it misses.
//!
//! Pure. One refusal a partition, the earliest: it stands for all that follow. They live as long as their session, which ends
//! where there are too many: whoever wants to may be refused for ever, and for partitions that nobody has.

use crate::api::codes;
use crate::api::records::produce::Partition;
use crate::api::records::stamp::Stamp;
use crate::types::{FastMap, Target};
use std::time::{Duration, Instant};

/// So long after a refusal what follows may have been sent before the client heard of it, or took it in.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// A session with so many takes no more; each is a hundred bytes.
const PARTITIONS: usize = 1 << 12;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Refusals(FastMap<Partition, Refusal>);

#[derive(Clone, Copy, Debug)]
struct Refusal {
    stamp: Stamp,
    by: Refuser,
    since: Instant,
}

/// Who refused a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// We: no broker was asked.
    Ourselves,
    /// A broker that may be sent what follows: it would find the gap, or clients do not send such a batch again.
    Broker(Target),
    /// A broker that might take what follows.
    Stranger,
}

impl Refuser {
    /// A broker, which had shown that it knows the producer or had not, and gave this code.
    #[must_use]
    pub fn broker(at: Target, knew: bool, code: i16) -> Self {
        let knows = codes::is_of_sequence(code) || (knew && !codes::is_topic_gone(code));
        if knows || codes::is_for_good(code) { Self::Broker(at) } else { Self::Stranger }
    }
}

/// Where a batch may go, for what was refused before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Where it is routed.
    Free,
    /// To the broker that refused an earlier one.
    Only(Target),
    /// To nobody: it is refused, as the earlier one was.
    Refused,
    /// To nobody, and nobody can say why: the session must end.
    Barred,
}

impl Refusals {
    /// Whether there are none, as nearly always.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are so many that the session must end.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= PARTITIONS
    }

    /// A batch was refused.
    pub fn note(&mut self, partition: Partition, stamp: Stamp, by: Refuser) {
        let known = self.0.get(&partition);
        if known.is_none_or(|known| !stamp.overtakes(&known.stamp)) {
            self.0.insert(partition, Refusal { stamp, by, since: Instant::now() });
        }
    }

    /// Where a batch may go.
    #[must_use]
    pub fn way(&self, partition: &Partition, stamp: Option<Stamp>) -> Way {
        let refusal = stamp.and_then(|stamp| self.0.get(partition).filter(|known| stamp.overtakes(&known.stamp)));
        match refusal {
            None => Way::Free,
            Some(Refusal { by: Refuser::Broker(target), .. }) => Way::Only(*target),
            Some(Refusal { by: Refuser::Stranger, since, .. }) if since.elapsed() < HEARD_WITHIN => Way::Refused,
            Some(Refusal { by: Refuser::Stranger | Refuser::Ourselves, .. }) => Way::Barred,
        }
    }

    /// A broker has written a batch. What was refused before it is not waited for any more.
    pub fn written(&mut self, partition: &Partition, stamp: Stamp) {
        if self.0.get(partition).is_some_and(|known| stamp.overtakes(&known.stamp)) {
            self.0.remove(partition);
        }
    }

    /// A batch is on its way. One that overtakes nothing ends the refusal: what follows it goes the same way, behind it.
    pub fn went(&mut self, partition: &Partition, stamp: Option<Stamp>) {
        let Some(stamp) = stamp.filter(|_| !self.is_empty()) else { return };
        if self.0.get(partition).is_some_and(|known| !stamp.overtakes(&known.stamp)) {
            self.0.remove(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BrokerId, Slot};

    fn partition(index: i32) -> Partition {
        Partition::new("t", index)
    }

    fn stamp(epoch: i16, sequence: i32) -> Option<Stamp> {
        Some(Stamp { producer: 7, epoch, sequence })
    }

    fn broker(id: i32) -> Target {
        Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(id) }
    }

    fn refused(sequence: i32, by: Refuser) -> Refusals {
        let mut refusals = Refusals::default();
        refusals.note(partition(0), stamp(1, sequence).unwrap(), by);
        refusals
    }

    #[test]
    fn l6_what_follows_a_refused_batch_goes_to_who_refused_it() {
        let refusals = refused(10, Refuser::Broker(broker(1)));
        assert_eq!(refusals.way(&partition(0), stamp(1, 15)), Way::Only(broker(1)));
        assert_eq!(refusals.way(&partition(1), stamp(1, 15)), Way::Free, "another partition");
        assert_eq!(refusals.way(&partition(0), stamp(1, 10)), Way::Free, "the batch itself, again");
        assert_eq!(refusals.way(&partition(0), stamp(2, 0)), Way::Free, "a newer epoch");
        assert_eq!(refusals.way(&partition(0), None), Way::Free, "a producer that is not idempotent");
        assert_eq!(refused(10, Refuser::Ourselves).way(&partition(0), stamp(1, 15)), Way::Barred, "we refused it");
    }

    #[test]
    fn a_refusal_is_over_when_its_broker_has_written_a_later_batch() {
        let mut refusals = refused(10, Refuser::Broker(broker(1)));
        refusals.written(&partition(0), stamp(1, 5).unwrap());
        assert!(!refusals.is_empty(), "what comes before it has come again, and it has not");
        refusals.written(&partition(0), stamp(1, 15).unwrap());
        assert!(refusals.is_empty());
    }

    #[test]
    fn l6_the_earliest_refusal_stands_until_it_is_sent_again() {
        let mut refusals = refused(10, Refuser::Broker(broker(1)));
        refusals.note(partition(0), stamp(1, 15).unwrap(), Refuser::Broker(broker(1)));
        refusals.went(&partition(0), stamp(1, 20));
        refusals.went(&partition(0), None);
        assert_eq!(refusals.way(&partition(0), stamp(1, 15)), Way::Only(broker(1)));
        refusals.went(&partition(0), stamp(1, 10));
        assert_eq!(refusals.way(&partition(0), stamp(1, 15)), Way::Free);
        assert!(refusals.is_empty());
        // A late refusal of what had followed it, then the retry's own.
        refusals.note(partition(0), stamp(1, 15).unwrap(), Refuser::Broker(broker(1)));
        refusals.note(partition(0), stamp(1, 10).unwrap(), Refuser::Broker(broker(2)));
        assert_eq!(refusals.way(&partition(0), stamp(1, 15)), Way::Only(broker(2)));
    }

    #[test]
    fn l6_a_broker_that_may_not_know_the_producer_gets_nothing_that_follows() {
        let mut refusals = refused(10, Refuser::Stranger);
        assert_eq!(refusals.way(&partition(0), stamp(1, 15)), Way::Refused);
        assert_eq!(refusals.way(&partition(0), stamp(1, 10)), Way::Free, "the batch itself, again");
        let refusal = refusals.0.get_mut(&partition(0)).unwrap();
        refusal.since = refusal.since.checked_sub(HEARD_WITHIN).unwrap();
        assert_eq!(refusals.way(&partition(0), stamp(1, 15)), Way::Barred, "long after");
    }

    #[test]
    fn l6_a_refusal_tells_whether_its_broker_would_find_the_gap() {
        let by = |knew, code| Refuser::broker(broker(1), knew, code);
        let (known, stranger) = (Refuser::Broker(broker(1)), Refuser::Stranger);
        for code in [codes::NOT_LEADER_OR_FOLLOWER, codes::REQUEST_TIMED_OUT, codes::KAFKA_STORAGE_ERROR, 19, 2, -1] {
            assert_eq!((by(false, code), by(true, code)), (stranger, known), "{code}");
        }
        // A topic of the same name that is made later has forgotten
        assert_eq!(by(true, codes::UNKNOWN_TOPIC_OR_PARTITION), stranger);
        // Only who knows the producer can tell
        assert_eq!(by(false, codes::OUT_OF_ORDER_SEQUENCE_NUMBER), known);
        // The client gives it up, and what follows is as good as it would be without us
        assert_eq!(by(false, codes::MESSAGE_TOO_LARGE), known);
    }
}
