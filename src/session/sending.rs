//! One part of a Produce as a link sends it, and what becomes of it then: its order, its answer, its way back where it
//! was never sent.

use super::generic::PATIENCE;
use super::orders::Changing;
use super::produce::{self, Held};
use super::underway::{Underway, understood};
use crate::api::records::produce::{Cell, Ledger, Part, Partition, fill_in};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::Target;
use crate::upstream::owed::LATE;
use crate::upstream::{Expect, Link, OnAnswer, Outgoing, Patience, Write};
use crate::wire::codec::{decode, encode_request, forward_request};
use crate::wire::head::RequestHead;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ProduceRequest};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// A part that a link has not written yet. Who writes it empties this: what is here is known not to have been sent.
type Load = Arc<Mutex<Option<Held>>>;

/// One part as the link sends it. From here on its partitions are on their way to that broker.
pub fn outgoing(
    request: &Arc<Underway>,
    ledger: &Ledger,
    order: &mut Changing<'_, Held>,
    mut part: Part,
    frame: &Bytes,
    placement: &Arc<Placement>,
    link: &Link,
) -> Outgoing {
    let whole = ledger.is_whole(&part);
    let split = (!whole).then(|| ledger.request(&part));
    let sources: Vec<_> = std::iter::once(frame).chain(ledger.made(&part)).cloned().collect();
    let held = Duration::from_millis(u64::try_from(ledger.timeout_ms).unwrap_or(0));
    let patience = Patience { late: LATE, over: PATIENCE + held };
    let to = part.to;
    let load = load(request, &part.cells, frame, link);
    part.release_records();
    let expect = match request.acks {
        0 => unanswered(request, frame.len()),
        _ => {
            let partitions: Vec<_> = part.cells.iter().filter_map(|cell| ledger.partition_of(cell)).collect();
            for (partition, cell) in partitions.iter().zip(&part.cells) {
                order.goes(partition, cell.stamp, to, link.id());
            }
            Expect::Answer(answered(Arc::clone(request), part, partitions, whole, load.clone()))
        }
    };
    let client_id = placement.client_id(to.cluster, request.client_id.as_ref());
    let write = write(to, request.version, split, sources, client_id, Arc::clone(placement));
    Outgoing { api: ApiKey::Produce, write: emptying(load, write), expect, patience }
}

/// Kept only while the link opens: one that is ready writes at once, and lets go of the frame. Without acks nothing is
/// kept: what comes after it is not held back for it, and so would overtake it.
fn load(request: &Arc<Underway>, cells: &[Cell], frame: &Bytes, link: &Link) -> Option<Load> {
    let held = || Held::new(request, frame.clone(), cells.to_vec());
    (request.acks != 0 && !link.is_ready()).then(|| Arc::new(Mutex::new(Some(held()))))
}

fn emptying(load: Option<Load>, write: Write) -> Write {
    match load {
        None => write,
        Some(load) => Box::new(move |versions, correlation| {
            drop(load.lock().take());
            write(versions, correlation)
        }),
    }
}

fn unanswered(request: &Arc<Underway>, bytes: usize) -> Expect {
    let request = Arc::clone(request);
    request.session.sends_unanswered();
    let on_fault = move |fault: Fault| {
        request.blame(None, fault.blame);
        request.session.close("upstream");
    };
    Expect::Nothing { bytes, on_fault: Box::new(on_fault) }
}

/// Nothing else of its partitions goes elsewhere before all is done here that keeps it from overtaking this part [L6].
fn answered(
    request: Arc<Underway>,
    part: Part,
    partitions: Vec<Partition>,
    whole: bool,
    load: Option<Load>,
) -> OnAnswer {
    Box::new(move |answer| {
        let orders = &request.session.orders;
        if let Some(held) = load.and_then(|load| load.lock().take())
            && produce::take_back(&request, &partitions, held)
        {
            return;
        }
        let told = understood(part.to, whole.then_some(request.version), partitions.len(), answer);
        if told.is_err() && request.must_not_be_overtaken(&part.cells) {
            orders.end().for_each(|held| held.lost());
            request.session.close("upstream");
        }
        let refused = told.as_ref().ok().map(|told| request.refused(&part, told));
        orders.landed(partitions.iter(), |order| {
            refused.into_iter().for_each(|refused| note(order, &part, &partitions, &refused));
        });
        request.answered(&part, told);
    })
}

/// Notes what a broker refused and what it wrote. The client hears of it later, so what it then sends finds it noted.
fn note(order: &mut Changing<'_, Held>, part: &Part, partitions: &[Partition], refused: &[(Partition, i16)]) {
    for (partition, cell) in partitions.iter().zip(&part.cells) {
        let Some(stamp) = cell.stamp else { continue };
        match refused.iter().find(|(refused, _)| refused == partition) {
            Some((_, code)) => order.refused(*partition, stamp, part.to, *code),
            None => order.written(partition, stamp, part.to),
        }
    }
}

/// Where a broker gets all of it and speaks the client's version, the client's frame, the first of `sources`, goes up as
/// it is.
fn write(
    to: Target,
    version: i16,
    split: Option<ProduceRequest>,
    sources: Vec<Bytes>,
    client_id: Option<Bytes>,
    placement: Arc<Placement>,
) -> Write {
    Box::new(move |versions, correlation| {
        let unwritable = |why: &dyn std::fmt::Display| Fault::upstream(to, false, why);
        let spoken = versions.nearest(ApiKey::Produce, version).ok_or_else(|| unwritable(&"it lacks Produce"))?;
        let frame = sources.first().cloned().unwrap_or_default();
        let request = match split {
            None if spoken == version => {
                return Ok((version, forward_request(&frame, correlation, client_id.as_ref())));
            }
            Some(request) => request,
            None => {
                let body_at = RequestHead::read(&frame).map_err(|e| unwritable(&e))?.body_at;
                let mut request = decode(frame.slice(body_at..), version).map_err(|e| unwritable(&e))?;
                fill_in(&mut request, &placement);
                request
            }
        };
        let written = encode_request(ApiKey::Produce, spoken, correlation, client_id.as_ref(), &request, &sources);
        written.map(|frame| (spoken, frame)).map_err(|e| unwritable(&e))
    })
}
