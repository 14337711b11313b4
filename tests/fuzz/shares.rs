//! A split share session (`api::groups::shares::split`) before brokers that answer in any order, with anything, or not at all:
//! each request of its member is answered once, and what it is answered can be written.

use super::behind::{fault, told};
use super::clusters::World;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::api::groups::shares::split::{Now, Split};
use fishplate::api::groups::shares::{Answer, Ask, Asked, Leaving, Move, Moves, Sent};
use fishplate::api::{Codes, Effects, ErrorCodes, Refusals};
use fishplate::error::Fault;
use fishplate::wire::codec::{decode, encode_body};
use kafka_protocol::messages::{
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
};
use std::time::{Duration, Instant};

const VERSION: i16 = 1;
const REQUESTS: u32 = 6;

/// Whether a broker's answer was taken.
pub(super) fn round(world: &World, rng: &mut Rng) -> bool {
    let mut stage = Stage {
        world,
        split: Split::new(("g", "m"), world.a().cluster, 1 << 16).numbered(1),
        clock: Instant::now(),
        inbox: Vec::new(),
        answered: 0,
        taken: false,
    };
    let mut asked = 0;
    for epoch in 0..REQUESTS {
        let Some(request) = any_request(rng, epoch) else { continue };
        asked += 1;
        stage.change(|split, now| split.submit(request, asked, now));
        for _ in 0..rng.u8(..8) {
            stage.step(rng);
        }
    }
    // Whatever brokers do, the members' time is over some day
    for _ in 0..2 * REQUESTS {
        stage.clock += Duration::from_secs(100 * 24 * 3_600);
        stage.change(|split, now| split.tick(now));
    }
    assert_eq!(stage.answered, asked, "not each request was answered once");
    stage.taken
}

/// Mostly the next of its session.
fn any_request(rng: &mut Rng, epoch: u32) -> Option<Asked> {
    let epoch = if rng.u8(..8) == 0 { rng.i32(-2..9) } else { i32::try_from(epoch).unwrap_or(0) };
    if rng.u8(..3) > 0 {
        let request: ShareFetchRequest = decode(told::<ShareFetchRequest>(rng, VERSION), VERSION).ok()?;
        let mut request = request.with_share_session_epoch(epoch);
        if epoch == 0 {
            let partitions = request.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(|partition| partition.acknowledgement_batches.clear());
        }
        Some(request.into())
    } else {
        let request: ShareAcknowledgeRequest = decode(told::<ShareAcknowledgeRequest>(rng, VERSION), VERSION).ok()?;
        Some(request.with_share_session_epoch(epoch).into())
    }
}

struct Stage<'w> {
    world: &'w World,
    split: Split<u32>,
    clock: Instant,
    inbox: Vec<(Sent, Ask)>,
    answered: u32,
    taken: bool,
}

impl Stage<'_> {
    fn change(&mut self, change: impl FnOnce(&mut Split<u32>, &Now<'_, '_>) -> Moves<u32>) {
        let refused = Refusals::default();
        let seen = self.world.seen(VERSION, &refused);
        for next in change(&mut self.split, &Now { at: self.clock, seen: &seen, generation: 1 }) {
            match next {
                Move::Send(sent, ask) => self.inbox.push((sent, ask)),
                Move::Answer(leaving) => {
                    self.answered += 1;
                    check(&leaving);
                }
            }
        }
    }

    /// A broker answers something, or time passes.
    fn step(&mut self, rng: &mut Rng) {
        if self.inbox.is_empty() || rng.u8(..4) == 0 {
            self.clock += Duration::from_millis(rng.u64(..20_000));
            return self.change(|split, now| split.tick(now));
        }
        let (sent, ask) = self.inbox.swap_remove(rng.usize(..self.inbox.len()));
        let (mut effects, breaks) = (Effects::new(), rng.u8(..6) == 0);
        let malformed = |e| Fault::upstream(sent.to, true, e);
        match ask {
            Ask::Poll(_) if breaks => {
                let fault = fault(rng, sent.to);
                self.change(|split, now| split.told(sent, Err(fault), now, &mut effects));
            }
            Ask::Poll(_) => {
                let frame = told::<ShareFetchResponse>(rng, VERSION);
                let answer = decode(frame.clone(), VERSION).map_err(malformed);
                self.taken |= answer.is_ok();
                let answer = answer.map(|answer| (answer, frame));
                self.change(|split, now| split.told(sent, answer, now, &mut effects));
            }
            Ask::Acknowledge(_) => {
                let frame: Bytes = told::<ShareAcknowledgeResponse>(rng, VERSION);
                let answer = if breaks { Err(fault(rng, sent.to)) } else { decode(frame, VERSION).map_err(malformed) };
                self.taken |= answer.is_ok();
                self.change(|split, now| split.acknowledged(sent, answer, now, &mut effects));
            }
        }
    }
}

fn check(leaving: &Leaving<u32>) {
    let written = match &leaving.answer {
        Answer::Fetch(answer, _) => {
            answer.tell(&mut Codes::default());
            encode_body(&**answer, VERSION).err()
        }
        Answer::Acknowledge(answer) => {
            answer.tell(&mut Codes::default());
            encode_body(answer, VERSION).err()
        }
    };
    assert!(written.is_none(), "{written:?}");
}
