//! What is behind the codec: clients' requests through the real plans, and what clusters answer to their parts through
//! the real ways back, up to the bytes that the client gets. Two clusters of three brokers; topics of one letter, as the
//! dice like them, of which every other lives on the second.

use super::clusters::World;
use super::messages::damage::damage;
use super::messages::dice::roll;
use super::{fetch, produce, shares};
use bytes::Bytes;
use fastrand::Rng;
use fishplate::api::each::{Visitor, show};
use fishplate::api::groups::shares::{self as share_groups, ShareRequest};
use fishplate::api::overview::metadata;
use fishplate::api::{Api, Codes, Effects, ErrorCodes, Plan, Refusal, Refusals};
use fishplate::error::Fault;
use fishplate::types::Target;
use fishplate::wire::codec::{decode, encode_body, encode_response};
use fishplate::wire::shape::Shaped;
use fishplate::wire::versions::{SERVED, served};
use kafka_protocol::messages::{ApiKey, ShareAcknowledgeRequest, ShareFetchRequest};
use kafka_protocol::protocol::{Decodable, Encodable};

/// Any version that we serve of an API, and that or a lower one for the link to a broker.
fn versions(rng: &mut Rng, api: i16) -> (i16, i16) {
    let row = served(api).expect("an API that is served");
    let client = rng.i16(row.lowest()..=row.max);
    let link = if rng.bool() { client } else { rng.i16(row.lowest()..=client) };
    (client, link)
}

/// The same; now and then a broker no longer speaks the client's version.
pub(super) fn any_versions(rng: &mut Rng, api: i16) -> (i16, i16) {
    let (client, link) = versions(rng, api);
    let highest = served(api).map_or(client, |row| row.max);
    (client, if rng.u8(..8) == 0 { rng.i16(client..=highest) } else { link })
}

/// Why a part has no answer.
pub(super) fn fault(rng: &mut Rng, to: Target) -> Fault {
    match rng.u8(..4) {
        0 => Fault::left(rng.bool()),
        1 => Fault::lacking(to, "it"),
        2 => Fault::cluster(to.cluster, "it is away"),
        _ => Fault::upstream(to, rng.bool(), "it broke"),
    }
}

pub(super) fn refusal(rng: &mut Rng, to: Target) -> Refusal {
    match rng.u8(..3) {
        0 => Refusal::Code(rng.i16(-1..130)),
        1 => Refusal::Fault(fault(rng, to)),
        _ => Refusal::Done,
    }
}

/// A message that the dice made, mostly damaged.
pub(super) fn told<M: Decodable + Encodable>(rng: &mut Rng, version: i16) -> Bytes {
    let body = roll::<M>(rng, version).map(|(_, body)| body).unwrap_or_default();
    if rng.u8(..3) == 0 { damage(rng, &body) } else { body }
}

/// One of the APIs that we serve, in any version.
pub(super) fn any(world: &World, rng: &mut Rng) -> bool {
    struct Led<'w>(&'w World, &'w mut Rng);
    impl Visitor for Led<'_> {
        type Output = bool;

        fn visit<A: Api>(self) -> bool {
            round::<A>(self.0, self.1)
        }
    }
    match SERVED[rng.usize(..SERVED.len())].api {
        ApiKey::Produce => produce::round(world, rng),
        ApiKey::Fetch => fetch::round(world, rng),
        ApiKey::ShareFetch | ApiKey::ShareAcknowledge if rng.bool() => shares::round(world, rng),
        ApiKey::ShareFetch => share::<ShareFetchRequest>(world, rng),
        ApiKey::ShareAcknowledge => share::<ShareAcknowledgeRequest>(world, rng),
        // They are answered from our table, or by who keeps the gate (the target `sasl`), and no cluster is asked.
        ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => {
            round::<metadata::Metadata>(world, rng)
        }
        other => show(other, Led(world, rng)).unwrap_or_else(|| panic!("{other:?} is led through nothing here")),
    }
}

/// Plans a request, answers its parts, and writes what the client gets. Whether a broker's answer was taken.
fn round<A: Api>(world: &World, rng: &mut Rng) -> bool {
    let (client, link) = versions(rng, A::KEY as i16);
    let Ok(request) = decode::<A::Request>(told::<A::Request>(rng, client), client) else { return false };
    let mut refused = Refusals::default();
    let (mut response, parts) = loop {
        match A::plan(&request, &world.seen(client, &refused)) {
            Plan::Answer(answer) => break (answer, Vec::new()),
            Plan::Send { seed, parts } => break (seed, parts),
            Plan::Wait(needs) => {
                assert!(!needs.is_empty(), "{:?} waits for nothing", A::KEY);
                for need in needs {
                    let seen = world.seen(client, &refused);
                    assert!(seen.refusal(&need).is_none(), "{:?} waits again for {need:?}", A::KEY);
                    let refusal = refusal(rng, world.a());
                    refused.extend([(need, refusal)]);
                }
            }
        }
    };
    let seen = world.seen(client, &refused);
    let (mut effects, mut taken) = (Effects::new(), false);
    for mut part in parts {
        if link != client {
            A::lower(&mut part.request, link);
        }
        let answer = answer::<A>(rng, &part.request, part.to, link).map(|mut answer| {
            if link != client {
                A::raise(&mut answer, &part.origin, link);
            }
            answer
        });
        taken |= answer.is_ok();
        A::absorb(&mut response, part.origin, answer, &seen, &mut effects);
    }
    response.tell(&mut Codes::default());
    let written = encode_response(A::KEY, client, 1, &response, &[]);
    assert!(written.is_ok(), "{:?} {client}, link {link}: {written:?}", A::KEY);
    taken
}

/// The same for what members of share groups ask brokers.
fn share<R>(world: &World, rng: &mut Rng) -> bool
where
    R: ShareRequest<Answer: Shaped + Encodable + ErrorCodes> + Shaped + Encodable,
{
    let version = 1;
    let Ok(mut request) = decode::<R>(told::<R>(rng, version), version) else { return false };
    let mut left_out = None;
    let bound = rng.bool().then(|| world.a());
    let mut refused = Refusals::default();
    let (response, taken) = loop {
        match share_groups::plan(&mut request, &mut left_out, bound, &world.seen(version, &refused)) {
            share_groups::Plan::Answer(answer, _) => break (answer, false),
            share_groups::Plan::Wait(need) => {
                assert!(refused.of(&need).is_none(), "it waits again for {need:?}");
                refused.extend([(need, refusal(rng, world.a()))]);
            }
            share_groups::Plan::Send(to) => {
                let answer = decode::<R::Answer>(told::<R::Answer>(rng, version), version);
                let answer = answer.map_err(|_| fault(rng, to));
                let taken = answer.is_ok();
                break (share_groups::absorb(answer, to, &world.seen(version, &refused), &mut Effects::new()), taken);
            }
        }
    };
    response.tell(&mut Codes::default());
    let written = encode_body(&response, version);
    assert!(written.is_ok(), "{written:?}");
    taken
}

/// What a broker answers to a part, in the link's version; nothing where the part cannot be written.
fn answer<A: Api>(rng: &mut Rng, asked: &A::Request, from: Target, link: i16) -> Result<A::Response, Fault> {
    if encode_body(asked, link).is_err() || rng.u8(..8) == 0 {
        return Err(fault(rng, from));
    }
    decode(told::<A::Response>(rng, link), link).map_err(|e| Fault::upstream(from, true, e))
}
