//! A forwarder before a broker that speaks enough Kafka to refuse one Produce: that request never reaches the broker, which
//! is asked for its versions instead, so that all answers keep their order; that answer becomes "not leader". What the
//! client had sent behind it goes through.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

const NOT_LEADER: i16 = 6;

/// Listens on a port of its own as long as the process lives.
pub struct Refusing {
    port: u16,
    topics: Arc<Topics>,
}

/// Those of which a Produce is refused, and how many pass before it.
type Topics = Mutex<BTreeMap<String, usize>>;
/// By its correlation id, what becomes of an answer.
type Instead = Mutex<BTreeMap<i32, Bytes>>;

impl Refusing {
    /// Forwards to this port of loopback.
    pub fn before(to: u16) -> anyhow::Result<Self> {
        let topics = Arc::new(Topics::default());
        let armed = Arc::clone(&topics);
        let port = forward(to, move |client, server| {
            let (instead, topics) = (Arc::new(Instead::default()), Arc::clone(&armed));
            let noted = Arc::clone(&instead);
            carry_frames(client, server, move |frame| request(frame, &topics, &noted), move |f| answer(f, &instead));
        })?;
        Ok(Self { port, topics })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next Produce for this topic is refused.
    pub fn refuse_one_of(&self, topic: &str) {
        self.refuse_one_after(topic, 0);
    }

    /// So many Produce requests for this topic pass, and the one behind them is refused.
    pub fn refuse_one_after(&self, topic: &str, pass: usize) {
        lock(&self.topics).insert(topic.to_owned(), pass);
    }

    /// Whether that has happened.
    pub fn has_refused(&self, topic: &str) -> bool {
        !lock(&self.topics).contains_key(topic)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens on a port of its own, which is given back; `carry` sees to each connection and to the one it leads to.
pub(super) fn forward(to: u16, carry: impl Fn(TcpStream, TcpStream) + Send + 'static) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A broker that is away looks as it looks without us.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) {
                carry(client, server);
            }
        }
    });
    Ok(port)
}

/// Carries frames both ways, each as it comes out of its function.
pub(super) fn carry_frames(
    client: TcpStream,
    server: TcpStream,
    request: impl Fn(Bytes) -> Bytes + Send + 'static,
    answer: impl Fn(Bytes) -> Bytes + Send + 'static,
) {
    let ends = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let (Some(up), Some(down)) = (ends(), ends()) else { return };
    for end in [&client, &server] {
        // Fails only on an end that is gone.
        let _ = end.set_nodelay(true);
    }
    thread::spawn(move || pump(up.0, up.1, request));
    thread::spawn(move || pump(down.1, down.0, answer));
}

/// Carries frames one way until it ends.
fn pump(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(Bytes) -> Bytes) {
    while let Some(frame) = read(&mut from) {
        let frame = pass(frame);
        let length = u32::try_from(frame.len()).unwrap_or_default().to_be_bytes();
        if to.write_all(&[&length[..], &frame].concat()).is_err() {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

fn read(from: &mut TcpStream) -> Option<Bytes> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
    from.read_exact(&mut frame).ok()?;
    Some(frame.into())
}

fn request(frame: Bytes, topics: &Topics, instead: &Instead) -> Bytes {
    let Some((correlation, refusal)) = refused(frame.clone(), topics) else { return frame };
    lock(instead).insert(correlation, refusal);
    // ApiVersions 0, without a client id.
    let mut other = BytesMut::new();
    other.put_i16(ApiKey::ApiVersions as i16);
    other.put_i16(0);
    other.put_i32(correlation);
    other.put_i16(-1);
    other.freeze()
}

/// The answer to a Produce for one of these topics, which then is no longer among them.
fn refused(mut frame: Bytes, topics: &Topics) -> Option<(i32, Bytes)> {
    let mut start = frame.clone();
    let (key, version) = (start.try_get_i16().ok()?, start.try_get_i16().ok()?);
    if key != ApiKey::Produce as i16 || lock(topics).is_empty() {
        return None;
    }
    let head = RequestHeader::decode(&mut frame, ApiKey::Produce.request_header_version(version)).ok()?;
    let request = ProduceRequest::decode(&mut frame, version).ok()?;
    let mut armed = lock(topics);
    let topic = request.topic_data.iter().find(|topic| armed.contains_key(topic.name.as_str()))?.name.to_string();
    if let Some(pass) = armed.get_mut(&topic).filter(|pass| **pass > 0) {
        *pass -= 1;
        return None;
    }
    armed.remove(&topic);
    let refusal = request.topic_data.into_iter().map(|topic| {
        let told = topic.partition_data.iter().map(|data| {
            let told = PartitionProduceResponse::default().with_index(data.index).with_error_code(NOT_LEADER);
            told.with_base_offset(-1).with_log_append_time_ms(-1).with_log_start_offset(-1)
        });
        TopicProduceResponse::default().with_name(topic.name).with_partition_responses(told.collect())
    });
    let mut answer = BytesMut::new();
    let version_of_head = ApiKey::Produce.response_header_version(version);
    ResponseHeader::default().with_correlation_id(head.correlation_id).encode(&mut answer, version_of_head).ok()?;
    ProduceResponse::default().with_responses(refusal.collect()).encode(&mut answer, version).ok()?;
    Some((head.correlation_id, answer.freeze()))
}

fn answer(frame: Bytes, instead: &Instead) -> Bytes {
    let correlation = frame.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
    correlation.and_then(|correlation| lock(instead).remove(&correlation)).unwrap_or(frame)
}
