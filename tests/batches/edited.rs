//! What the editor makes of batches that real clients wrote: every lane's batch is read by kafka-protocol's own reader as
//! by our walker, and together they hold every record once, in order, byte for byte.

use super::agree::{Tally, judge};
use super::codecs::decompress;
use fishplate::wire::batch::edit::{Edit, Fate, Lane, Sender};
use fishplate::wire::batch::{Batch, Batches, Record, Records};
use fishplate::wire::compression::{Desk, at_desk};

/// Where the records of a batch go, in turn: most stay, some go to either lane, one nowhere.
const FATES: [Option<Lane>; 5] = [Some(Lane::MAIN), Some(Lane(1)), Some(Lane::MAIN), Some(Lane(2)), None];
const LANES: [Lane; 3] = [Lane::MAIN, Lane(1), Lane(2)];

/// A record, but for its place in the batch.
type Seen = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

/// Panics where an edited batch is not what it should be; says how many there were.
pub fn judge_edited(set: &[u8]) -> usize {
    let mut count = 0;
    for batch in Batches::of(set).map(Result::unwrap) {
        let all = read(&batch);
        let fates: Vec<_> = (0..all.len()).map(|at| Fate { to: FATES[at % FATES.len()], change: None }).collect();
        for lane in LANES {
            let expected: Vec<_> =
                all.iter().zip(&fates).filter(|(_, fate)| fate.to == Some(lane)).map(|(seen, _)| seen).collect();
            let edited = edit(&batch, &fates, lane);
            assert_eq!(edited.is_empty(), expected.is_empty());
            if edited.is_empty() {
                continue;
            }
            judge(&edited, &mut Tally::default());
            let edited = Batches::of(&edited).next().unwrap().unwrap();
            assert_eq!(read(&edited).iter().collect::<Vec<_>>(), expected);
            assert_eq!(edited.header.attributes, batch.header.attributes);
            assert_eq!(edited.header.last_offset_delta + 1, edited.header.count, "without a gap");
            let framed = |batch: &Batch| batch.section().starts_with(b"\x82SNAPPY\0");
            assert_eq!(framed(&edited), framed(&batch), "in the client's kind of snappy");
            count += 1;
        }
    }
    count
}

/// The batch of a lane's records; empty where it has none.
fn edit(batch: &Batch, fates: &[Fate], lane: Lane) -> Vec<u8> {
    let plain = decompress(batch.header.codec().unwrap(), batch.section());
    let edit = Edit { batch, plain: &plain, fates, changes: &[] };
    let made = at_desk(|Desk { edited, press, .. }| edit.to(lane, Sender::of(&batch.header), edited, press));
    made.unwrap().map_or_else(Vec::new, |edited| edited.bytes.to_vec())
}

fn read(batch: &Batch) -> Vec<Seen> {
    let plain = decompress(batch.header.codec().unwrap(), batch.section());
    let owned = |bytes: &[u8]| bytes.to_vec();
    let see = |record: Record| {
        let headers = record.headers.map(|header| header.map(|header| (owned(header.key), header.value.map(owned))));
        let timestamp = batch.header.base_timestamp + record.timestamp_delta;
        (timestamp, record.key.map(owned), record.value.map(owned), headers.map(Result::unwrap).collect())
    };
    Records::of(&plain, batch.header.count).map(|record| see(record.unwrap())).collect()
}
