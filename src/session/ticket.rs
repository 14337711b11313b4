//! The obligation to answer one request. Whoever holds it answers once; dropping it unanswered ends the session, for
//! the client would wait for ever.

use super::state::Session;
use crate::error::Blame;
use crate::telemetry::{MeterKey, NO_CLUSTER, NO_PIPELINE};
use crate::types::Name;
use crate::wire::codec::{Frame, encode_response, size_of};
use crate::wire::head::RequestHead;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Encodable;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// See the module's text.
pub struct Ticket {
    session: Arc<Session>,
    number: u64,
    api: ApiKey,
    head: RequestHead,
    began: Instant,
    bytes_in: usize,
    subject: Subject,
    answered: bool,
}

/// What a request is counted under.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The pipeline.
    pub pipeline: Name,
    /// The cluster.
    pub cluster: Name,
}

impl Default for Subject {
    fn default() -> Self {
        static NOBODYS: LazyLock<Subject> =
            LazyLock::new(|| Subject { pipeline: NO_PIPELINE.into(), cluster: NO_CLUSTER.into() });
        NOBODYS.clone()
    }
}

impl Ticket {
    /// Promises an answer to a request of this session.
    pub(super) fn new(session: &Arc<Session>, api: ApiKey, head: RequestHead, bytes_in: usize) -> Self {
        let number = session.promise(bytes_in);
        session.gauge.began();
        let session = Arc::clone(session);
        let began = Instant::now();
        Self { session, number, api, head, began, bytes_in, subject: Subject::default(), answered: false }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The request's head.
    #[must_use]
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// What the request is counted under.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Sets that.
    pub fn set_subject(&mut self, subject: Subject) {
        self.subject = subject;
    }

    /// Somebody failed us on this request's behalf.
    pub fn blame(&self, blame: Blame) {
        self.session.context.telemetry.meter(&self.key()).failed(blame);
    }

    /// Answers with a message; `sources` are the frames that its large fields are slices of.
    pub fn answer<M: Encodable>(self, message: &M, sources: &[Bytes]) {
        let version = self.head.version;
        self.answer_in(version, message, sources);
    }

    /// The same, in a version that was not asked for (an ApiVersions that we do not have).
    pub fn answer_in<M: Encodable>(self, version: i16, message: &M, sources: &[Bytes]) {
        match encode_response(self.api, version, self.head.correlation, message, sources) {
            Ok(frame) => self.reply(Some(frame)),
            Err(unwritable) => {
                let (session, api) = (self.session.id, self.api);
                tracing::error!(%session, ?api, %unwritable, "an answer cannot be written; closing the connection");
                self.session.close("unwritable");
            }
        }
    }

    /// Answers with a frame that is ready, or with nothing (acks=0).
    pub fn reply(mut self, frame: Option<Frame>) {
        self.answered = true;
        let bytes_out = frame.as_ref().map_or(0, size_of);
        let meter = self.session.context.telemetry.meter(&self.key());
        meter.answered(self.began.elapsed(), self.bytes_in, bytes_out);
        self.session.gauge.ended();
        self.session.keep(self.number, frame);
    }

    fn key(&self) -> MeterKey {
        let Subject { pipeline, cluster } = self.subject.clone();
        MeterKey { api: name_of(self.api), pipeline, cluster }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.session.gauge.ended();
            self.session.close("unanswered");
        }
    }
}

/// Kafka's name of an API that we serve.
fn name_of(api: ApiKey) -> &'static str {
    match api {
        ApiKey::Produce => "Produce",
        ApiKey::Fetch => "Fetch",
        ApiKey::ListOffsets => "ListOffsets",
        ApiKey::Metadata => "Metadata",
        ApiKey::OffsetCommit => "OffsetCommit",
        ApiKey::OffsetFetch => "OffsetFetch",
        ApiKey::FindCoordinator => "FindCoordinator",
        ApiKey::JoinGroup => "JoinGroup",
        ApiKey::Heartbeat => "Heartbeat",
        ApiKey::LeaveGroup => "LeaveGroup",
        ApiKey::SyncGroup => "SyncGroup",
        ApiKey::DescribeGroups => "DescribeGroups",
        ApiKey::ListGroups => "ListGroups",
        ApiKey::ApiVersions => "ApiVersions",
        ApiKey::CreateTopics => "CreateTopics",
        ApiKey::DeleteTopics => "DeleteTopics",
        ApiKey::InitProducerId => "InitProducerId",
        ApiKey::OffsetForLeaderEpoch => "OffsetForLeaderEpoch",
        ApiKey::DescribeConfigs => "DescribeConfigs",
        ApiKey::DeleteGroups => "DeleteGroups",
        ApiKey::DescribeCluster => "DescribeCluster",
        ApiKey::DescribeTopicPartitions => "DescribeTopicPartitions",
        _ => "Other",
    }
}
