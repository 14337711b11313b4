//! A client's answer: of each partition what its broker told, or that there is nothing new, or what we say.

use super::asked::{Asked, Whom};
use super::handed::{READ_COMMITTED, fetched, handed, handed_as_read};
use super::kept::{Claim, Kept, Told};
use super::roll::{Roll, Slot};
use crate::api::{Codes, codes};
use crate::error::Fault;
use crate::telemetry::observed::{Fact, Reader};
use crate::wire::fetch::{Heard, Writing};
use kafka_protocol::messages::fetch_response::NodeEndpoint;

/// Writes all partitions of an answer. The errors in it; `hear` is told of each that we answer ourselves.
pub(super) fn write(
    to: &mut Writing<'_>,
    asked: &Asked,
    claims: &[Claim],
    kept: &[Option<Kept>],
    roll: &Roll,
    mut hear: impl FnMut(Slot),
) -> Codes {
    let (mut codes, mut claims, mut at) = (Codes::default(), claims.iter().peekable(), 0);
    for (topic, entries) in asked.each() {
        let (name, id) = roll.called(topic);
        to.topic(name, id, entries.len());
        for entry in entries {
            let claim = claims.next_if(|claim| claim.entry == at);
            at += 1;
            if let Whom::Us(code) = entry.whom {
                hear(entry.slot);
                codes.note(code);
                to.nothing(entry.part.index, code, [-1; 3]);
                continue;
            }
            let kept = claim.and_then(|claim| kept.get(claim.broker)?.as_ref().zip(Some(claim.piece)));
            match kept.and_then(|(kept, piece)| Some((kept, kept.pieces.get(piece)?))) {
                Some((kept, piece)) => match &piece.told {
                    Told::Slice(place) => to.slice(kept.frame.get(place.clone()).unwrap_or_default()),
                    Told::Read(told) => {
                        codes.note(told.error_code);
                        to.told(told);
                    }
                },
                // Nothing new: its ends, as they were last heard of.
                None => to.nothing(entry.part.index, codes::NONE, roll.ends(entry.slot)),
            }
        }
        to.end_topic();
    }
    codes
}

/// The fact that a client's answer hands out what it does, for who keeps count.
pub(super) fn handed_out(
    asked: &Asked,
    claims: &[Claim],
    kept: &[Option<Kept>],
    roll: &Roll,
    by: Reader,
) -> Option<Fact> {
    let committed_only = asked.terms.isolation == READ_COMMITTED;
    let mut topics = asked.each().scan(0, |from, (topic, entries)| {
        *from += entries.len();
        Some((topic, *from))
    });
    let mut topic = topics.next();
    let all = claims.iter().filter_map(|claim| {
        while topic.is_some_and(|(_, end)| claim.entry >= end) {
            topic = topics.next();
        }
        let kept = kept.get(claim.broker)?.as_ref()?;
        let piece = kept.pieces.get(claim.piece)?;
        let (name, id) = roll.called(topic?.0);
        match &piece.told {
            Told::Slice(place) => {
                let heard = Heard::at(&kept.frame, place.start, asked.version)?;
                handed((name.as_bytes(), id), &heard, committed_only)
            }
            Told::Read(told) => handed_as_read((name.as_bytes(), id), told, committed_only),
        }
    });
    fetched(all.collect(), by, committed_only)
}

/// What goes with these claims: the faults of their brokers, and the nodes that those named.
pub(super) fn with_them(claims: &[Claim], kept: &mut [Option<Kept>]) -> (Vec<Fault>, Vec<NodeEndpoint>) {
    let mut used = vec![false; kept.len()];
    for claim in claims {
        if let Some(used) = used.get_mut(claim.broker) {
            *used = true;
        }
    }
    let (mut faults, mut nodes) = (Vec::new(), Vec::new());
    for kept in kept.iter_mut().zip(used).filter_map(|(kept, used)| kept.as_mut().filter(|_| used)) {
        faults.extend(kept.fault.take());
        nodes.extend(kept.endpoints.iter().cloned());
    }
    nodes.sort_by_key(|node| node.node_id);
    nodes.dedup_by_key(|node| node.node_id);
    (faults, nodes)
}

/// What went to the client is here no longer.
pub(super) fn take_away(claims: &[Claim], kept: &mut [Option<Kept>]) {
    for (broker, kept) in kept.iter_mut().enumerate() {
        let Some(kept) = kept else { continue };
        let mut stays = vec![true; kept.pieces.len()];
        for claim in claims.iter().filter(|claim| claim.broker == broker) {
            if let Some(stays) = stays.get_mut(claim.piece) {
                *stays = false;
            }
        }
        let mut stays = stays.into_iter();
        kept.pieces.retain(|_| stays.next().unwrap_or(true));
    }
}
