//! What is read, by what reads it.

use super::clusters::World;
use super::messages::damage::{blow_up, damage};
use super::messages::{Kind, kinds};
use super::sasl::Sasl;
use super::tokens::Tokens;
use super::{behind, fetch, produce, strangers};
use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;
use fishplate::config::Config;
use fishplate::wire::batch::Batches;
use fishplate::wire::codec::decode;
use fishplate::wire::frame::Reader;
use fishplate::wire::glance::{Produce, plain_fetch, plain_produce};
use fishplate::wire::head::{RequestHead, read_response};
use fishplate::wire::pool::Pool;
use fishplate::wire::transport::Transport;
use fishplate::wire::versions::serves;
use kafka_protocol::messages::{ApiKey, MetadataResponse};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A batch of records that a broker wrote.
pub(super) static BATCH: &[u8] = include_bytes!("../vectors/broker-compacted.bin");
static CONFIG: &str = include_str!("../../config/full.yaml");
/// The largest frame that Fishplate takes, and how often a swollen case is that large.
const LARGEST: usize = 100 << 20;
const LARGE: f64 = 0.000_5;
/// What a glance may take for each byte: a partition of five is an entry of 56, in a list that grows by doubling.
const GLANCE_PER_BYTE: usize = 64;

pub struct Targets {
    kinds: Vec<Kind>,
    world: World,
    sasl: Sasl,
    tokens: Tokens,
    runtime: Runtime,
}

impl Targets {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { kinds: kinds(), world: World::new(), sasl: Sasl::new(), tokens: Tokens::new(), runtime }
    }

    /// One case: which target it was for, and whether what it made passed.
    pub fn run(&self, rng: &mut Rng) -> (&'static str, bool) {
        match rng.u16(..1_000) {
            0 => ("frames", self.frames(rng)),
            1..50 => ("glance", self.glance(rng)),
            50..100 => ("records", records(rng)),
            100..200 => ("heads", self.heads(rng)),
            200..400 => ("encoded", self.encoded(rng)),
            400..450 => ("noise", self.noise(rng)),
            450..500 => ("swollen", self.swollen(rng)),
            500..580 => ("behind", behind::any(&self.world, rng)),
            580..620 => ("produce", produce::round(&self.world, rng)),
            620..650 => ("fetch", fetch::round(&self.world, rng)),
            650..660 => ("clusters", self.clusters(rng)),
            660..665 => ("config", config(rng)),
            665..680 => ("proxy", strangers::proxy_header(rng)),
            680..690 => ("certificates", strangers::certificate(rng)),
            690..720 => ("sasl", self.sasl.any(rng, &self.runtime)),
            720..740 => ("tokens", self.tokens.run(rng)),
            740..800 => self.message(rng, "requests", "Request"),
            _ => self.message(rng, "answers", "Response"),
        }
    }

    fn any(&self, rng: &mut Rng) -> (&Kind, i16) {
        let kind = &self.kinds[rng.usize(..self.kinds.len())];
        (kind, kind.version(rng))
    }

    fn named(&self, name: &str) -> &Kind {
        self.kinds.iter().find(|kind| kind.name == name).expect("a kind of message")
    }

    /// A damaged request of a client, or a damaged answer of a broker.
    fn message(&self, rng: &mut Rng, target: &'static str, which: &str) -> (&'static str, bool) {
        let (kind, version) = loop {
            let (kind, version) = self.any(rng);
            if kind.name.ends_with(which) {
                break (kind, version);
            }
        };
        let body = (kind.make)(rng, version).unwrap_or_default();
        (target, (kind.judge_any)(&damage(rng, &body), version))
    }

    /// What kafka-protocol wrote.
    fn encoded(&self, rng: &mut Rng) -> bool {
        let (kind, version) = self.any(rng);
        (kind.judge_sound)(rng, version)
    }

    /// Bytes at random, mostly small: large ones end at the first length.
    fn noise(&self, rng: &mut Rng) -> bool {
        let (kind, version) = self.any(rng);
        let most = [2, 4, 16, 255][rng.usize(..4)];
        let body = (0..rng.usize(..200)).map(|_| rng.u8(..=most)).collect();
        (kind.judge_any)(&body, version)
    }

    /// Lists and tagged fields without end; seldom, of the largest frame there may be.
    fn swollen(&self, rng: &mut Rng) -> bool {
        let (kind, version) = self.any(rng);
        let bits = rng.u8(8..18);
        let size = if rng.f64() < LARGE { LARGEST } else { rng.usize(..1 << bits) };
        let body = (kind.make)(rng, version).unwrap_or_default();
        (kind.judge_any)(&blow_up(rng, &body, size), version)
    }

    /// A frame's head, and its body as the head says.
    fn heads(&self, rng: &mut Rng) -> bool {
        let (kind, version) = self.any(rng);
        let request = kind.name.ends_with("Request");
        let mut frame = BytesMut::new();
        if request {
            frame.put_i16(kind.api as i16);
            frame.put_i16(version);
        }
        frame.put_i32(rng.i32(..));
        if request {
            frame.put_i16(3);
            frame.put_slice(b"abc");
        }
        frame.put_bytes(0, usize::from(rng.bool()));
        frame.extend((kind.make)(rng, version).unwrap_or_default());
        let frame = damage(rng, &frame.freeze());
        if request { self.request(&frame) } else { self.answer(&frame, kind, version) }
    }

    fn request(&self, frame: &Bytes) -> bool {
        let Ok(head) = RequestHead::read(frame) else { return false };
        let Some(api) = serves(head.api_key, head.version) else { return false };
        let kind = self.kinds.iter().find(|kind| kind.api == api && kind.name.ends_with("Request"));
        kind.is_some_and(|kind| (kind.judge_any)(&frame.slice(head.body_at..), head.version))
    }

    fn answer(&self, frame: &Bytes, kind: &Kind, version: i16) -> bool {
        let Ok((_, body_at)) = read_response(frame, kind.api, version) else { return false };
        (kind.judge_any)(&frame.slice(body_at..), version)
    }

    /// What is read without the codec.
    fn glance(&self, rng: &mut Rng) -> bool {
        let name = ["ProduceRequest", "ProduceResponse", "FetchResponse"][rng.usize(..3)];
        let kind = self.named(name);
        let version = kind.version(rng);
        let body = (kind.make)(rng, version).unwrap_or_default();
        let body =
            if rng.u8(..4) == 0 { blow_up(rng, &body, rng.clone().usize(..1 << 16)) } else { damage(rng, &body) };
        let at = rng.usize(..2).min(body.len());
        let mut read = false;
        let info = allocation_counter::measure(|| {
            read = match (kind.api, name) {
                (ApiKey::Produce, "ProduceRequest") => Produce::read(&body, at, version).is_ok(),
                (ApiKey::Produce, _) => plain_produce(&body, at, version, |_, _, _| {}).is_some(),
                _ => plain_fetch(&body, at, version, |_, heard| {
                    let _ = heard.stretch(version % 2 == 0);
                })
                .is_some(),
            };
        });
        let most = GLANCE_PER_BYTE * body.len() + 4_096;
        assert!(info.bytes_max <= most as u64, "{name}: {} bytes for {}", info.bytes_max, body.len());
        read
    }

    /// A cluster that describes itself oddly: what clients are then told of it, and what becomes of their requests.
    fn clusters(&self, rng: &mut Rng) -> bool {
        let told = |rng: &mut Rng| decode::<MetadataResponse>(behind::told::<MetadataResponse>(rng, 12), 12);
        let answers: Vec<_> = (0..rng.usize(1..4)).filter_map(|_| Some((told(rng).ok()?, rng.bool()))).collect();
        let world = self.world.described(&answers);
        behind::any(&world, rng) | produce::round(&world, rng) | fetch::round(&world, rng)
    }

    /// A connection's bytes, in pieces.
    fn frames(&self, rng: &mut Rng) -> bool {
        let mut sent = BytesMut::new();
        for _ in 0..rng.usize(..6) {
            let (kind, version) = self.any(rng);
            let body = (kind.make)(rng, version).unwrap_or_default();
            sent.put_u32(u32::try_from(body.len()).expect("a small body"));
            sent.extend(body);
        }
        let sent = damage(rng, &sent.freeze());
        let pieces = rng.usize(1..300);
        self.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let (from, to) = tokio::join!(TcpStream::connect(listener.local_addr().expect("it")), listener.accept());
            let (mut from, (to, _)) = (from.expect("a connection"), to.expect("a connection"));
            let sending = async move {
                for piece in sent.chunks(pieces) {
                    // It is closed when a length is too large.
                    if from.write_all(piece).await.is_err() {
                        break;
                    }
                }
            };
            let reading = async move {
                let (mut reader, to) = (Reader::new(Pool::new(0), 1 << 20), Transport::plain(to));
                while reader.next(&to).await?.is_some() {}
                Ok::<_, fishplate::wire::frame::FrameError>(())
            };
            tokio::join!(sending, reading).1.is_ok()
        })
    }
}

/// What a person may write in a config: each mistake is told, none is a panic.
fn config(rng: &mut Rng) -> bool {
    const ODD: [&str; 12] = ["{", "[", "&a ", "*a", "<<: ", "\t", "? ", "- ", "!!binary ", "${", "'", "\u{feff}"];
    let mut lines: Vec<_> = CONFIG.lines().filter(|line| !line.starts_with("include")).map(ToOwned::to_owned).collect();
    for _ in 0..rng.usize(..5) {
        let (at, other) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
        match rng.u8(..5) {
            0 => lines.swap(at, other),
            1 => lines.insert(at, lines[other].clone()),
            2 => lines[at].insert_str(0, "  "),
            3 => lines[at].push_str(ODD[rng.usize(..ODD.len())]),
            _ => drop(lines.remove(at)),
        }
    }
    let text = damage(rng, &Bytes::from(lines.join("\n")));
    match Config::from_text("fuzz.yaml", &String::from_utf8_lossy(&text)) {
        Ok(_) => true,
        Err(mistakes) => mistakes.to_string().is_empty(),
    }
}

/// Batches of records.
fn records(rng: &mut Rng) -> bool {
    let set = damage(rng, &Bytes::from_static(BATCH));
    let mut all_well = true;
    for batch in Batches::of(&set) {
        let Ok(batch) = batch else { return false };
        for record in batch.records().into_iter().flatten() {
            let Ok(record) = record else { return false };
            all_well &= record.headers.count() < set.len();
        }
    }
    all_well
}
