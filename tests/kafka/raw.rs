//! A client that sends exactly the requests a test wants, on the connection it wants, and sees the answers' bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, ProduceRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection.
pub struct Raw {
    socket: TcpStream,
    correlation: i32,
}

impl Raw {
    /// Connects from an address of loopback, and says nothing.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn from(own: [u8; 4], address: &str) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((own, 0)).into()).unwrap();
        socket.connect(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        Self::over(socket.into())
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { socket, correlation: 0 }
    }

    /// Connects and says that it is a Java client, which may be shown many nodes at one address.
    pub fn connect(address: &str) -> Self {
        let mut raw = Self::over(TcpStream::connect(address).unwrap());
        let hello = ApiVersionsRequest::default()
            .with_client_software_name(text("apache-kafka-java"))
            .with_client_software_version(text("4.3.1"));
        assert_eq!(raw.call(3, &hello).error_code, 0);
        raw
    }

    /// Logs in with a password.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn log_in(&mut self, user: &str, password: &str) {
        let shaken = self.call(1, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN")));
        assert_eq!(shaken.error_code, 0, "{shaken:?}");
        let message = Bytes::from(format!("\0{user}\0{password}"));
        let told = self.call(2, &SaslAuthenticateRequest::default().with_auth_bytes(message));
        assert_eq!(told.error_code, 0, "{told:?}");
    }

    /// Sends a request and reads its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    /// Sends a request.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let head = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(text("raw")));
        let mut body = BytesMut::new();
        head.encode(&mut body, ApiKey::try_from(R::KEY).unwrap().request_header_version(version)).unwrap();
        request.encode(&mut body, version).unwrap();
        self.socket.write_all(&framed(&body)).unwrap();
    }

    /// Sends bytes, whatever they are. The other end may have closed the connection already.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn throw(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Takes so many bytes of what was answered; `false` where the connection was closed.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn sip(&mut self, bytes: usize) -> bool {
        match self.socket.read_exact(&mut vec![0; bytes]) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => false,
            Err(error) => panic!("no bytes of an answer: {error}"),
        }
    }

    /// Reads the answer to the oldest request of this kind that is not read yet.
    pub fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut frame = self.read_frame().expect("an answer");
        let api = ApiKey::try_from(R::KEY).unwrap();
        ResponseHeader::decode(&mut frame, api.response_header_version(version)).unwrap();
        R::Response::decode(&mut frame, version).unwrap()
    }

    /// The next answer's bytes; `None` where the connection ended.
    pub fn read_frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from((&length[..]).get_u32()).unwrap()];
        self.socket.read_exact(&mut frame).ok()?;
        Some(Bytes::from(frame))
    }
}

/// A request's frame, its length field before it, without a client id.
#[allow(dead_code, reason = "not in every test program")]
pub fn request(api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i16(api as i16);
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_i16(-1);
    frame.put_bytes(0, usize::from(api.request_header_version(version) >= 2));
    frame.put_slice(body);
    framed(&frame)
}

/// Bytes, and their length before them.
pub fn framed(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

/// A message's body.
#[allow(dead_code, reason = "not in every test program")]
pub fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    message.encode(&mut body, version).unwrap();
    body.freeze()
}

/// A text of the protocol.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic's name.
pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A batch of records with these values, from a producer that is not idempotent.
pub fn batch(values: &[&str]) -> Bytes {
    batch_of(None, values)
}

/// A batch of one record from an idempotent producer of this id, in its first epoch.
pub fn batch_in_sequence(producer: i64, sequence: i32, value: &str) -> Bytes {
    batch_of(Some((producer, sequence)), &[value])
}

fn batch_of(producer: Option<(i64, i32)>, values: &[&str]) -> Bytes {
    let record = |(offset, value): (i32, &&str)| Record {
        transactional: false,
        control: false,
        partition_leader_epoch: -1,
        producer_id: producer.map_or(-1, |(id, _)| id),
        producer_epoch: producer.map_or(-1, |_| 0),
        timestamp_type: TimestampType::Creation,
        offset: offset.into(),
        sequence: producer.map_or(0, |(_, first)| first) + offset,
        timestamp: 1_700_000_000_000,
        delete_horizon: false,
        key: None,
        value: Some(Bytes::from((*value).to_owned())),
        headers: IndexMap::default(),
    };
    let records: Vec<_> = (0..).zip(values).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

/// A Produce of one batch for partition 0 of each topic.
pub fn produce(topics: &[(&str, &Bytes)]) -> ProduceRequest {
    let data = |(name, records): &(&str, &Bytes)| {
        let partition = PartitionProduceData::default().with_index(0).with_records(Some((*records).clone()));
        TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![partition])
    };
    ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(topics.iter().map(data).collect())
}

/// A full Fetch of partition 0 of each topic, from its beginning, without a session.
pub fn fetch(topics: &[&str], max_wait_ms: i32) -> FetchRequest {
    let asked = |name: &&str| {
        let partition = FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
        FetchTopic::default().with_topic(topic(name)).with_partitions(vec![partition])
    };
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(topics.iter().map(asked).collect())
}
