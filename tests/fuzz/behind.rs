//! What is behind the codec: clients' requests through the real plans, and what clusters answer to their parts through
//! the real ways back, up to the bytes that the client gets. Two clusters of three brokers; topics of one letter, as the
//! dice like them, of which every other lives on the second.

use super::clusters::World;
use super::messages::damage::damage;
use super::messages::dice::roll;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::api::{
    Api, Codes, Effects, ErrorCodes, Plan, Refusal, by_group, by_leader, cluster_info, configs, coordinator,
    group_lists, metadata, offsets, producer_id, topics,
};
use fishplate::error::Fault;
use fishplate::types::Target;
use fishplate::wire::codec::{decode, encode_body, encode_response};
use fishplate::wire::versions::served;
use kafka_protocol::protocol::{Decodable, Encodable};

/// Any version that we serve of an API, and that or a lower one for the link to a broker.
pub(super) fn versions(rng: &mut Rng, api: i16) -> (i16, i16) {
    let row = served(api).expect("an API that is served");
    let client = rng.i16(row.lowest()..=row.max);
    let link = if rng.bool() { client } else { rng.i16(row.lowest()..=client) };
    (client, link)
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

/// One of the APIs that go the common way.
pub(super) fn any(world: &World, rng: &mut Rng) -> bool {
    match rng.u8(..19) {
        0 => round::<by_leader::ListOffsets>(world, rng),
        1 => round::<by_leader::OffsetForLeaderEpoch>(world, rng),
        2 => round::<producer_id::InitProducerId>(world, rng),
        3 => round::<coordinator::FindCoordinator>(world, rng),
        4 => round::<by_group::JoinGroup>(world, rng),
        5 => round::<by_group::SyncGroup>(world, rng),
        6 => round::<by_group::Heartbeat>(world, rng),
        7 => round::<by_group::LeaveGroup>(world, rng),
        8 => round::<offsets::OffsetCommit>(world, rng),
        9 => round::<offsets::OffsetFetch>(world, rng),
        10 => round::<group_lists::DescribeGroups>(world, rng),
        11 => round::<group_lists::ListGroups>(world, rng),
        12 => round::<group_lists::DeleteGroups>(world, rng),
        13 => round::<topics::CreateTopics>(world, rng),
        14 => round::<topics::DeleteTopics>(world, rng),
        15 => round::<configs::DescribeConfigs>(world, rng),
        16 => round::<cluster_info::DescribeCluster>(world, rng),
        17 => round::<cluster_info::DescribeTopicPartitions>(world, rng),
        _ => round::<metadata::Metadata>(world, rng),
    }
}

/// Plans a request, answers its parts, and writes what the client gets. Whether a broker's answer was taken.
fn round<A: Api>(world: &World, rng: &mut Rng) -> bool {
    let (client, link) = versions(rng, A::KEY as i16);
    let Ok(request) = decode::<A::Request>(told::<A::Request>(rng, client), client) else { return false };
    let mut refused = Vec::new();
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
                    refused.push((need, refusal));
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

/// What a broker answers to a part, in the link's version; nothing where the part cannot be written.
fn answer<A: Api>(rng: &mut Rng, asked: &A::Request, from: Target, link: i16) -> Result<A::Response, Fault> {
    if encode_body(asked, link).is_err() || rng.u8(..8) == 0 {
        return Err(fault(rng, from));
    }
    decode(told::<A::Response>(rng, link), link).map_err(|e| Fault::upstream(from, true, e))
}
