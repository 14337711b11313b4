//! Where a batch stands among those that its idempotent producer sends to a partition (KIP-98): a batch that was refused
//! must not be overtaken by one that comes after it (L6).

use crate::wire::batch::Header;
use crate::wire::batch::edit::Sender;
use crate::wire::batch::sequence::is_after;

/// See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The producer's id.
    pub producer: i64,
    /// Its epoch: with a higher one it begins anew, and sends again in order what it did not give up.
    pub epoch: i16,
    /// The sequence of the batch's first record.
    pub sequence: i32,
}

impl Stamp {
    /// That of a batch; `None` where no idempotent producer made it.
    #[must_use]
    pub fn of(header: &Header) -> Option<Self> {
        let stamp = Self { producer: header.producer_id, epoch: header.producer_epoch, sequence: header.base_sequence };
        (stamp.producer >= 0).then_some(stamp)
    }

    /// Whether it would overtake `refused`: the same producer sent it later, and without having begun anew since. The
    /// refused batch itself, when it is sent again, does not, nor one before it.
    #[must_use]
    pub fn overtakes(&self, refused: &Self) -> bool {
        self.producer == refused.producer
            && (self.epoch < refused.epoch
                || (self.epoch == refused.epoch && is_after(self.sequence, refused.sequence)))
    }
}

impl From<Stamp> for Sender {
    fn from(Stamp { producer, epoch, sequence }: Stamp) -> Self {
        Self { id: producer, epoch, sequence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(producer: i64, epoch: i16, sequence: i32) -> Stamp {
        Stamp { producer, epoch, sequence }
    }

    #[test]
    fn l6_what_the_same_producer_sent_later_overtakes() {
        let refused = stamp(7, 1, 100);
        assert!(stamp(7, 1, 101).overtakes(&refused));
        assert!(stamp(7, 0, 5).overtakes(&refused), "a straggler of an older epoch");
        assert!(!refused.overtakes(&refused), "it is sent again");
        assert!(!stamp(7, 1, 99).overtakes(&refused), "what comes before it is sent again");
        assert!(!stamp(7, 2, 200).overtakes(&refused), "the producer has begun anew");
        assert!(!stamp(8, 1, 101).overtakes(&refused), "another producer");
    }

    #[test]
    fn l6_sequences_go_round() {
        assert!(stamp(7, 1, 3).overtakes(&stamp(7, 1, i32::MAX - 1)));
        assert!(!stamp(7, 1, i32::MAX - 1).overtakes(&stamp(7, 1, 3)));
        assert!(stamp(7, 1, i32::MAX).overtakes(&stamp(7, 1, i32::MAX - 9)));
    }

    #[test]
    fn only_an_idempotent_producer_leaves_a_stamp() {
        let mut batch = [0_u8; 61];
        batch[11] = 49; // its length
        batch[16] = 2; // its format
        batch[43..51].copy_from_slice(&7_i64.to_be_bytes());
        batch[52] = 1;
        batch[56] = 100;
        let read = |batch: &[u8]| Header::read(batch).ok().flatten().as_ref().and_then(Stamp::of);
        assert_eq!(read(&batch), Some(stamp(7, 1, 100)));
        batch[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
        assert_eq!(read(&batch), None);
        assert_eq!(read(&batch[..60]), None);
    }
}
