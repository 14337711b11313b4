//! Policy on a Produce's way in: each batch of a pipeline that asks something of its records is looked into, judged, and goes
//! on as it is, edited, to a lane, or nowhere. What is decided is `policy`'s; what is done about it stands here.

mod deputised;
mod judging;

use self::judging::Judging;
use super::state::Session;
use crate::api::records::produce::{Cell, Ledger, Partition};
use crate::api::records::stamp::Stamp;
use crate::placement::Placement;
use crate::policy::deputies::Post;
use crate::policy::deputy::{Before, Shared};
use crate::policy::keys::Who;
use crate::policy::rulings::{Ruling, Rulings};
use crate::policy::verdict::Verdict;
use crate::types::{Name, fast_hash};
use crate::wire::batch::Header;
use crate::wire::compression::at_desk;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A request's cells as policy leaves them.
#[derive(Default)]
pub(super) struct Admitted {
    /// To be routed.
    pub cells: Vec<Cell>,
    /// Batches of idempotent producers that were refused: nothing may overtake them (L6).
    pub refused: Vec<(Partition, Stamp)>,
    /// How long its client is to wait.
    pub wait: Duration,
    /// For how long of that its answer is held, and whose limit wants it.
    held: Option<(Duration, Arc<Ruling>)>,
}

thread_local! {
    /// Used again and again.
    static VERDICT: RefCell<Verdict> = RefCell::default();
}

/// Judges a request's cells, each once. One whose topic is not known yet, by the id that the client gave, is not judged, nor one
/// that has to wait for those before it: whoever routes it again asks again. `before` says what of a partition
/// stands before such a batch.
pub(super) fn admit(
    session: &Session,
    client_id: Option<&[u8]>,
    ledger: &mut Ledger,
    cells: Vec<Cell>,
    placement: &Placement,
    before: &dyn Fn(&Partition, Stamp) -> Before,
) -> Admitted {
    let rulings = &session.context.rulings;
    let table = rulings.under(&placement.config);
    if table.is_empty() && rulings.deputies.is_empty() {
        return Admitted { cells, ..Admitted::default() };
    }
    let client_id = String::from_utf8_lossy(client_id.unwrap_or_default());
    let principal = session.principal();
    let who = Who { principal: principal.name(), client_id: &client_id };
    let (now, time) = (Instant::now(), SystemTime::now());
    let mut admitted = Admitted::default();
    for mut cell in cells {
        let Some(pipeline) = pipeline_of(&cell, ledger, placement) else {
            admitted.cells.push(cell);
            continue;
        };
        let ruling = table.of(pipeline);
        let writer = writer(&cell, ledger, placement, rulings, ruling, before);
        if matches!(writer, Writer::Later) {
            cell.waits = true;
            admitted.cells.push(cell);
            continue;
        }
        cell.judged = true;
        at_desk(|desk| {
            let mut verdict = VERDICT.take();
            let may_be_parted = cell.stamp.is_none() || matches!(writer, Writer::Deputy(..));
            let mut judging =
                Judging { ledger, session, placement, who, may_be_parted, now, time, desk, admitted: &mut admitted };
            match (writer, ruling) {
                (Writer::Deputy(deputy, before), _) => {
                    judging.deputised(cell, (&deputy, before), ruling, &mut verdict);
                }
                (_, Some(ruling)) => judging.cell(cell, ruling, &mut verdict),
                (_, None) => judging.admitted.cells.push(cell),
            }
            verdict.clear();
            VERDICT.set(verdict);
        });
    }
    if let Some((held, ruling)) = admitted.held.take() {
        ruling.meter.held(held);
    }
    admitted
}

/// The pipeline of a cell that is to be judged.
fn pipeline_of<'p>(cell: &Cell, ledger: &Ledger, placement: &'p Placement) -> Option<&'p Name> {
    let (name, id) = ledger.named(cell).filter(|_| !cell.judged)?;
    // What clients write to a twin is refused when it is routed.
    let is_twin = || placement.topic_by_id(id).is_some_and(|place| place.is_twin());
    if placement.config.twin(name).is_some() || is_twin() {
        return None;
    }
    placement.home_of(name, id).map(|(pipeline, _)| pipeline)
}

/// Who writes a batch.
enum Writer {
    /// The client, under its own id.
    Client,
    /// A deputy of ours, with what stands before it.
    Deputy(Shared, Before),
    /// To be seen when the topic is known, and what came before it has come to its end under the client's id.
    Later,
}

/// Where a pipeline may part an idempotent producer's batches, a deputy writes them, and goes on to once it has begun. Not where
/// they are of a transaction, whose records are written together or not at all.
fn writer(
    cell: &Cell,
    ledger: &Ledger,
    placement: &Placement,
    rulings: &Rulings,
    ruling: Option<&Arc<Ruling>>,
    before: &dyn Fn(&Partition, Stamp) -> Before,
) -> Writer {
    let may_part = ruling.is_some_and(|ruling| ruling.policy.may_part());
    let Some(stamp) = cell.stamp.filter(|_| (may_part || !rulings.deputies.is_empty()) && !is_transactional(cell))
    else {
        return Writer::Client;
    };
    let place = ledger.named(cell).and_then(|(name, id)| placement.topic_of(name, id));
    let (Some(place), Some(partition)) = (place, ledger.partition_of(cell)) else {
        return if may_part { Writer::Later } else { Writer::Client };
    };
    let topic = fast_hash(&(place.topic.name.as_str(), place.id));
    let post = Post { producer: stamp.producer, topic, index: partition.index };
    let before = || before(&partition, stamp);
    match rulings.deputies.known(&post) {
        Some(deputy) => Writer::Deputy(deputy, before()),
        None if !may_part => Writer::Client,
        None => match before() {
            Before::Nothing => {
                let deputy = rulings.deputies.at(post, Instant::now());
                deputy.map_or(Writer::Client, |deputy| Writer::Deputy(deputy, Before::Nothing))
            }
            Before::Underway | Before::Refused => Writer::Later,
        },
    }
}

fn is_transactional(cell: &Cell) -> bool {
    let header = cell.records().and_then(|records| Header::read(records).ok().flatten());
    header.is_some_and(|header| header.is_transactional())
}

/// An answer is held so long at most: longer ones look like a broker that is gone.
const HELD: Duration = Duration::from_secs(1);
/// And its session is read no further for so long at most, well below what clients give a request.
const PAUSED: Duration = Duration::from_secs(8);

impl Session {
    /// A limit has its client wait: this answer for a while, and what it sends then until its debt is paid. Nobody waits
    /// longer than clients are patient.
    pub(super) fn throttle(&self, wait: Duration) -> Option<Instant> {
        if wait.is_zero() {
            return None;
        }
        let now = Instant::now();
        *self.pause.lock() = Some(now + wait.min(PAUSED));
        Some(now + wait.min(HELD))
    }
}
