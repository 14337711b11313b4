//! A broker that keeps nothing: every Produce is written, every Fetch gets one batch of the size that was asked for when
//! it was made, every Heartbeat is well.

use super::harness::Bootstrap;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use fishplate::wire::versions::SERVED;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchResponse, FindCoordinatorResponse, HeartbeatResponse, MetadataResponse,
    ProduceResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Serves ten thousand connections on two threads. Ends when dropped.
pub struct Broker {
    port: u16,
    runtime: Option<Runtime>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Broker {
    /// Has this topic, and answers a Fetch with `size` bytes of records.
    pub fn start(topic: &'static str, size: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Script { port, topic, records: Bytes::from(vec![0; size]) });
        runtime.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let script = Arc::clone(&script);
                // One that Fishplate closes ends there.
                tokio::spawn(async move { script.serve(socket).await });
            }
        });
        Self { port, runtime: Some(runtime) }
    }

    pub fn bootstrap(&self) -> Bootstrap {
        Bootstrap { name: "synthetic".into(), servers: format!("127.0.0.1:{}", self.port) }
    }
}

struct Script {
    port: u16,
    topic: &'static str,
    records: Bytes,
}

impl Script {
    async fn serve(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        loop {
            let size = socket.read_u32().await?;
            let mut frame = vec![0; size as usize];
            socket.read_exact(&mut frame).await?;
            socket.write_all(&self.answer(frame.into())).await?;
        }
    }

    fn answer(&self, mut frame: Bytes) -> BytesMut {
        let api = ApiKey::try_from(i16::from_be_bytes([frame[0], frame[1]])).unwrap();
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let head = RequestHeader::decode(&mut frame, api.request_header_version(version)).unwrap();
        let mut body = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(head.correlation_id)
            .encode(&mut body, api.response_header_version(version))
            .unwrap();
        match api {
            ApiKey::ApiVersions => versions().encode(&mut body, version),
            ApiKey::Metadata => self.metadata().encode(&mut body, version),
            ApiKey::Produce => self.written().encode(&mut body, version),
            ApiKey::Fetch => self.fetched().encode(&mut body, version),
            ApiKey::FindCoordinator => self.coordinator().encode(&mut body, version),
            ApiKey::Heartbeat => HeartbeatResponse::default().encode(&mut body, version),
            other => panic!("this broker does not know {other:?}"),
        }
        .unwrap();
        let mut answer = BytesMut::with_capacity(4 + body.len());
        answer.put_u32(u32::try_from(body.remaining()).unwrap());
        answer.put_slice(&body);
        answer
    }

    fn metadata(&self) -> MetadataResponse {
        let broker = MetadataResponseBroker::default()
            .with_node_id(1.into())
            .with_host(super::text("127.0.0.1"))
            .with_port(self.port.into());
        let partition = MetadataResponsePartition::default().with_leader_id(1.into());
        let name = Some(super::raw::topic(self.topic));
        let topic = MetadataResponseTopic::default().with_name(name).with_partitions(vec![partition]);
        MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(1.into()).with_topics(vec![topic])
    }

    fn fetched(&self) -> FetchResponse {
        let partition = PartitionData::default().with_high_watermark(9).with_records(Some(self.records.clone()));
        let name = super::raw::topic(self.topic);
        let topic = FetchableTopicResponse::default().with_topic(name).with_partitions(vec![partition]);
        FetchResponse::default().with_responses(vec![topic])
    }

    fn written(&self) -> ProduceResponse {
        let partition = PartitionProduceResponse::default();
        let name = super::raw::topic(self.topic);
        let topic = TopicProduceResponse::default().with_name(name).with_partition_responses(vec![partition]);
        ProduceResponse::default().with_responses(vec![topic])
    }

    fn coordinator(&self) -> FindCoordinatorResponse {
        FindCoordinatorResponse::default()
            .with_node_id(1.into())
            .with_host(super::text("127.0.0.1"))
            .with_port(self.port.into())
    }
}

/// What Fishplate speaks, but no topic ids.
fn versions() -> ApiVersionsResponse {
    let known = [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::Produce,
        ApiKey::Fetch,
        ApiKey::FindCoordinator,
        ApiKey::Heartbeat,
    ];
    let rows = SERVED.iter().filter(|row| known.contains(&row.api)).map(|row| {
        let most = if matches!(row.api, ApiKey::Fetch | ApiKey::Produce | ApiKey::Metadata) {
            row.max.min(9)
        } else {
            row.max
        };
        let most = if row.api == ApiKey::Fetch { 12 } else { most };
        let most = if row.api == ApiKey::FindCoordinator { 3 } else { most };
        ApiVersion::default().with_api_key(row.api as i16).with_min_version(row.min).with_max_version(most)
    });
    ApiVersionsResponse::default().with_api_keys(rows.collect())
}
