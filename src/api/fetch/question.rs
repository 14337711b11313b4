//! What one broker of a split Fetch is asked, and for how much of it.

use super::asked::{Asked, Whom};
use super::roll::{Roll, Slot};
use crate::wire::fetch::{Flat, FlatTopic, Terms};
use crate::wire::pool::Pool;

/// What is asked of one broker of a Fetch, and the slots of that.
pub(super) fn question(asked: &Asked, broker: u16, roll: &Roll, terms: impl FnOnce(&mut Terms)) -> (Flat, Vec<Slot>) {
    let mut flat = Flat { terms: asked.terms, rack: asked.rack.clone(), ..Flat::default() };
    terms(&mut flat.terms);
    let room = asked.entries.len() / asked.brokers.len().max(1);
    flat.parts.reserve(room);
    let mut slots = Vec::with_capacity(room);
    for (topic, entries) in asked.each() {
        let before = slots.len();
        for entry in entries.iter().filter(|entry| entry.whom == Whom::Broker(broker)) {
            flat.parts.push(entry.part);
            slots.push(entry.slot);
        }
        if slots.len() > before {
            let (name, id) = roll.name_of(topic);
            flat.topics.push(FlatTopic { name, id, end: slots.len() });
        }
    }
    (flat, slots)
}

/// How many bytes of records may be asked for so that the buffer of an answer takes no more than so many: the answer has
/// other fields beside them.
#[must_use]
pub fn records_within(bytes: usize) -> usize {
    let fits = Pool::fits(bytes);
    fits - fits / 16
}
