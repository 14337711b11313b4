//! Fetch from the request to the answer: what one broker answers alone, and the split over several, whose polls come back in any
//! order, late, twice, damaged, or never.

use super::behind::{any_versions, fault, refusal, told};
use super::clusters::World;
use super::messages::damage::damage;
use super::messages::dice::roll;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::api::fetch::split::Polls;
use fishplate::api::fetch::{self, Plan};
use fishplate::api::fetch::{Ask, Leaving, Move, Moves};
use fishplate::api::{Effects, Refusals, Seen};
use fishplate::types::Target;
use fishplate::wire::codec::{decode, encode_body, encode_response};
use fishplate::wire::fetch::Reading;
use fishplate::wire::glance::plain_fetch;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// What brokers say most.
const CODES: [i16; 10] = [0, 0, 0, 0, 1, 3, 6, 74, 76, -1];
/// What a session may keep. The first is less than any frame.
const SHARES: [usize; 3] = [0, 200, 1 << 20];
/// Longer than any client of these waits.
const AFTER_ALL: Duration = Duration::from_secs(1 << 32);

/// A client's session: the versions it speaks and is served in, and its split Fetches.
struct Session<'w> {
    world: &'w World,
    client: i16,
    link: i16,
    polls: Polls<u32>,
    share: usize,
    now: Instant,
    /// What brokers have to answer, none twice.
    outstanding: Vec<Ask>,
    /// The Fetches that nobody has answered yet, and each one's partitions, topic by topic.
    unanswered: VecDeque<(u32, Order)>,
    largest: usize,
    taken: bool,
}

/// The partitions that a Fetch names, and the offset in each.
type Order = Vec<Vec<(i32, i64)>>;

/// One session, from its first Fetch until all are answered. Whether a broker's answer was taken.
pub(super) fn round(world: &World, rng: &mut Rng) -> bool {
    let (client, link) = any_versions(rng, ApiKey::Fetch as i16);
    let share = SHARES[rng.usize(..SHARES.len())];
    let mut session = Session {
        world,
        client,
        link,
        polls: Polls::new(share),
        share,
        now: Instant::now(),
        outstanding: Vec::new(),
        unanswered: VecDeque::new(),
        largest: 0,
        taken: false,
    };
    for whose in 0..rng.u32(1..12) {
        match rng.u8(..8) {
            0..3 => session.fetch(rng, whose),
            3 => session.pass(Duration::from_millis(rng.u64(..600))),
            4 => session.fail(rng),
            _ => session.answer(rng),
        }
    }
    session.end(rng);
    session.taken
}

impl<'w> Session<'w> {
    /// The client asks.
    fn fetch(&mut self, rng: &mut Rng, whose: u32) {
        let Some(mut request) = request(rng, self.client) else { return };
        let (world, client) = (self.world, self.client);
        let session_at = |id: i32| (id % 3 == 1).then(|| world.a());
        let split = self.polls.is_split(self.now) || rng.bool();
        let mut refused = Refusals::default();
        if rng.bool() && self.at_a_glance(&request, whose) {
            return;
        }
        loop {
            let order = order(&request);
            match fetch::plan(request, session_at, split, &world.seen(client, &refused)) {
                Plan::Wait(again, needs) => {
                    assert!(!needs.is_empty(), "a Fetch waits for nothing");
                    for need in needs {
                        assert!(world.seen(client, &refused).refusal(&need).is_none(), "it waits again for {need:?}");
                        let refusal = refusal(rng, world.a());
                        refused.extend([(need, refusal)]);
                    }
                    request = *again;
                }
                Plan::Answer(answer) => return self.written(&answer),
                Plan::Through { to, request, .. } => return self.through(rng, to, &request),
                Plan::Split(flat) => {
                    self.unanswered.push_back((whose, order));
                    let seen = world.seen(client, &refused);
                    let asked = self.polls.settle(flat.terms, flat.named(), 1, &seen).asked;
                    let moves = self.polls.submit(asked, whose, self.now);
                    return self.follow(moves);
                }
            }
        }
    }

    /// The client's bytes are read for what a split needs, where they hold nothing else. Whether it was split.
    fn at_a_glance(&mut self, request: &FetchRequest, whose: u32) -> bool {
        let Ok(bytes) = encode_body(request, self.client) else { return false };
        let Some(mut reading) = Reading::begin(&bytes, 0, self.client) else { return false };
        let settled = self.polls.settle(reading.terms, &mut reading, 1, &self.seen());
        if !reading.is_plain() || settled.unsought || settled.asked.is_empty() {
            return false;
        }
        if self.polls.passes_through(&settled.asked, self.now) {
            let (_, flat) = self.polls.through(&settled.asked).expect("a broker");
            assert!(encode_body(&FetchRequest::from(&flat), self.link).is_ok_and(|body| body == flat.body(self.link)));
            return false;
        }
        self.unanswered.push_back((whose, order(request)));
        let moves = self.polls.submit(settled.asked, whose, self.now);
        self.follow(moves);
        true
    }

    /// One broker answers all of it, or nobody does.
    fn through(&mut self, rng: &mut Rng, to: Target, request: &FetchRequest) {
        let seen = self.seen();
        let mut effects = Effects::new();
        let body = said(rng, request, self.link);
        let told = encode_body(request, self.link).is_ok().then(|| decode::<FetchResponse>(body.clone(), self.link));
        let Some(Ok(told)) = told.filter(|_| rng.u8(..8) > 0) else {
            return self.written(&fetch::failed_through(request, &seen, &mut effects));
        };
        self.taken = true;
        if let Some(plain) = plain_fetch(&body, 0, self.link, |_, heard| {
            let _ = heard.stretch(true);
        }) {
            assert!(plain.session == told.session_id && fetch::is_plain(&told), "it goes as it is: {told:?}");
        }
        fetch::note(&told, to, &seen, &mut effects);
        self.written(&fetch::translate(told, to, &seen));
    }

    /// A broker answers a poll; now and then one that nobody waits for any more.
    fn answer(&mut self, rng: &mut Rng) {
        let Some(ask) = self.any_poll(rng) else { return };
        let asked = decode(ask.question.body(self.link), self.link).expect("a request that brokers can read");
        let frame = said(rng, &asked, self.link);
        self.largest = self.largest.max(frame.len());
        let number = if rng.u8(..16) == 0 { ask.number.wrapping_sub(1) } else { ask.number };
        let of = (ask.to, number);
        let plain = (self.link == self.client).then(|| self.polls.told_plainly(of, (&frame, 0), self.now).ok());
        let moves = match plain.flatten() {
            Some(moves) => moves,
            None => {
                let Ok(told) = decode::<FetchResponse>(frame.clone(), self.link) else { return self.lost(rng, &ask) };
                let (seen, mut effects) = (self.seen(), Effects::new());
                self.polls.told(of, (told, frame), self.now, &seen, &mut effects)
            }
        };
        self.taken = true;
        if number != ask.number {
            assert!(moves.is_empty(), "a poll that nobody made was answered");
            self.outstanding.push(ask);
        }
        self.follow(moves);
        let (kept, most) = (self.polls.kept_bytes(), self.share.max(self.largest));
        assert!(kept <= most, "{kept} bytes are kept, and {most} may be");
    }

    fn fail(&mut self, rng: &mut Rng) {
        if let Some(ask) = self.any_poll(rng) {
            self.lost(rng, &ask);
        }
    }

    fn any_poll(&mut self, rng: &mut Rng) -> Option<Ask> {
        (!self.outstanding.is_empty()).then(|| self.outstanding.swap_remove(rng.usize(..self.outstanding.len())))
    }

    fn lost(&mut self, rng: &mut Rng, ask: &Ask) {
        let (why, mut effects) = (fault(rng, ask.to), Effects::new());
        let moves = self.polls.failed((ask.to, ask.number), &why, self.now, &mut effects);
        self.follow(moves);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let moves = self.polls.tick(self.now);
        self.follow(moves);
    }

    /// The client goes, or waits until all is answered.
    fn end(&mut self, rng: &mut Rng) {
        if rng.u8(..8) == 0 {
            let waited = self.polls.end();
            assert!(waited.into_iter().eq(self.unanswered.drain(..).map(|(whose, _)| whose)), "somebody is forgotten");
            return;
        }
        // Each tick may begin the next.
        for _ in 0..=2 * self.unanswered.len() {
            self.pass(AFTER_ALL);
        }
        assert!(self.unanswered.is_empty() && self.polls.wake(self.now).is_none(), "a Fetch is never answered");
    }

    fn follow(&mut self, moves: Moves<u32>) {
        for next in moves {
            match next {
                Move::Ask(ask) => self.ask(*ask),
                Move::Answer(leaving) => self.leave(*leaving),
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        assert!(self.outstanding.iter().all(|other| other.to != ask.to), "two polls at {}", ask.to);
        let asked: FetchRequest = decode(ask.question.body(18), 18).expect("a request that brokers can read");
        let ours = (asked.session_id, asked.session_epoch) == (fetch::NO_SESSION, -1);
        assert!(ours && asked.rack_id.is_empty() && asked.forgotten_topics_data.is_empty());
        self.outstanding.push(ask);
    }

    fn leave(&mut self, leaving: Leaving<u32>) {
        let (whose, order) = self.unanswered.pop_front().expect("somebody who waits");
        assert_eq!(whose, leaving.whose, "they are answered in their order");
        let body = leaving.body.expect("an answer that can be written").concat();
        let answer: FetchResponse = decode(body.into(), self.client).expect("an answer that clients can read");
        let told = answer.responses.iter();
        let told: Vec<Vec<_>> =
            told.map(|topic| topic.partitions.iter().map(|told| told.partition_index).collect()).collect();
        let asked: Vec<Vec<_>> = order.iter().map(|topic| topic.iter().map(|(index, _)| *index).collect()).collect();
        assert_eq!(told, asked, "each partition once, in the client's order");
        for (topic, offsets) in answer.responses.iter().zip(&order) {
            for (told, (_, offset)) in topic.partitions.iter().zip(offsets) {
                is_of_this_offset(told, *offset);
            }
        }
    }

    fn written(&self, answer: &FetchResponse) {
        let written = encode_response(ApiKey::Fetch, self.client, 1, answer, &[]);
        assert!(written.is_ok(), "version {}, link {}: {written:?} of {answer:?}", self.client, self.link);
    }

    fn seen(&self) -> Seen<'w> {
        self.world.seen(self.client, Refusals::none())
    }
}

/// A request, mostly of topics that there are; sometimes it is damaged.
fn request(rng: &mut Rng, version: i16) -> Option<FetchRequest> {
    if rng.u8(..4) == 0 {
        return decode(told::<FetchRequest>(rng, version), version).ok();
    }
    let (mut request, _) = roll::<FetchRequest>(rng, version)?;
    request.max_wait_ms = [-1, 0, 1, 500, 30_000, i32::MAX][rng.usize(..6)];
    request.min_bytes = [-1, 0, 1, 1, 100, i32::MAX][rng.usize(..6)];
    request.max_bytes = [i32::MIN, 0, 50, 1 << 20, i32::MAX][rng.usize(..5)];
    if rng.u8(..4) > 0 {
        request = request.with_session_id(0).with_session_epoch(-1);
    }
    for _ in 0..rng.usize(..5) {
        // Named, or by the id that it has in these worlds.
        let letter = rng.u8(b'a'..=b'z');
        let mut topic = FetchTopic::default();
        if version < 13 {
            topic.topic = TopicName(StrBytes::from_string(char::from(letter).to_string()));
        } else {
            topic.topic_id = uuid::Uuid::from_bytes([letter - b'a'; 16]);
        }
        for _ in 0..rng.usize(..4) {
            let one = FetchPartition::default().with_partition(rng.i32(-1..7)).with_fetch_offset(rng.i64(-1..4));
            topic.partitions.push(one);
        }
        request.topics.push(topic);
    }
    Some(request)
}

/// As Kafka sees it: a partition that is named twice is asked where it was named last, and told of where it was first.
fn order(request: &FetchRequest) -> Order {
    let all = || request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
    let last: HashMap<_, _> = all().map(|(topic, one)| (key(topic, one), one.fetch_offset)).collect();
    let mut named = HashSet::new();
    let of = |topic: &FetchTopic| {
        let first = topic.partitions.iter().filter(|one| named.insert(key(topic, one)));
        first.map(|one| (one.partition, last[&key(topic, one)])).collect()
    };
    let topics: Order = request.topics.iter().map(of).collect();
    topics.into_iter().filter(|topic| !topic.is_empty()).collect()
}

fn key(topic: &FetchTopic, one: &FetchPartition) -> (StrBytes, uuid::Uuid, i32) {
    (topic.topic.0.clone(), topic.topic_id, one.partition)
}

/// Records tell where they were asked.
fn records(offset: i64) -> Bytes {
    Bytes::from(format!("records@{offset}"))
}

fn is_of_this_offset(told: &PartitionData, offset: i64) {
    let records = told.records.clone().unwrap_or_default();
    // What the damage has hit tells nothing any more.
    let tells = records.strip_prefix(b"records@").and_then(|at| std::str::from_utf8(at).ok()?.parse::<i64>().ok());
    let at = tells.filter(|_| told.high_watermark == WHOLE);
    assert!(at.is_none_or(|at| at == offset), "records at {at:?} went to who stands at {offset}");
}

/// An undamaged answer says this.
const WHOLE: i64 = 0x0123_4567_89ab_cdef;

/// What a broker answers: of each partition, of some, of others, of some twice, or nonsense.
fn said(rng: &mut Rng, asked: &FetchRequest, version: i16) -> Bytes {
    if rng.u8(..4) == 0 {
        return told::<FetchResponse>(rng, version);
    }
    let (mut answer, _) = roll::<FetchResponse>(rng, version).unwrap_or_default();
    if rng.u8(..4) > 0 {
        answer.error_code = 0;
    }
    let harm = rng.u8(..3) == 0;
    for topic in &asked.topics {
        let mut said = FetchableTopicResponse::default();
        if version < 13 {
            said.topic = topic.topic.clone();
        } else {
            said.topic_id = topic.topic_id;
        }
        for asked in &topic.partitions {
            let told = PartitionData::default()
                .with_partition_index(asked.partition)
                .with_error_code(CODES[rng.usize(..CODES.len())])
                .with_high_watermark(if harm { 7 } else { WHOLE })
                .with_records(rng.bool().then(|| records(asked.fetch_offset)));
            // None, once or twice.
            said.partitions.extend(std::iter::repeat_n(told, [0, 1, 1, 1, 1, 1, 2][rng.usize(..7)]));
        }
        if rng.bool() {
            answer.responses.insert(0, said);
        } else {
            answer.responses.push(said);
        }
    }
    let body = encode_body(&answer, version).unwrap_or_default();
    if harm { damage(rng, &body) } else { body }
}
