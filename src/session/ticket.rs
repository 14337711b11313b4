//! The obligation to answer one request. Whoever holds it answers once; dropping it unanswered ends the session, for
//! the client would wait for ever. Here the request is counted: once, whatever happens to it.

use super::state::Session;
use crate::api::{Codes, ErrorCodes, Refusal, Refusals, each};
use crate::error::Blame;
use crate::telemetry::{Meter, MeterKey};
use crate::types::Name;
use crate::wire::budget::Charge;
use crate::wire::codec::{Frame, Unwritable, decode, encode_response, frame_response, size_of};
use crate::wire::frame::LENGTH;
use crate::wire::glance::Produce;
use crate::wire::head::RequestHead;
use crate::wire::malformed::Malformed;
use crate::wire::pool::Tab;
use crate::wire::shape::Shaped;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Encodable;
use parking_lot::Mutex;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// See the module's text.
pub struct Ticket {
    session: Arc<Session>,
    number: u64,
    api: ApiKey,
    head: RequestHead,
    began: Instant,
    bytes_in: usize,
    /// What the request is counted under.
    key: MeterKey,
    /// Who failed it, each once.
    blamed: Vec<Blame>,
    /// The errors in its answer.
    codes: Codes,
    answered: bool,
    /// What its frame has drawn: the frame's, which may go before the request is answered.
    tab: Weak<Mutex<Charge>>,
}

impl Ticket {
    /// Promises an answer to a request of this session.
    pub(super) fn new(session: &Arc<Session>, api: ApiKey, head: RequestHead, frame: &Bytes) -> Self {
        let bytes_in = LENGTH + frame.len();
        let number = session.promise(bytes_in);
        session.gauge.began();
        Self {
            session: Arc::clone(session),
            number,
            api,
            head,
            began: Instant::now(),
            bytes_in,
            key: MeterKey::ours(each::name(api).unwrap_or("Other")),
            blamed: Vec::new(),
            codes: Codes::default(),
            answered: false,
            tab: Weak::new(),
        }
    }

    /// The request's frame has drawn this.
    pub(super) fn charged(mut self, tab: &Tab) -> Self {
        self.tab = Arc::downgrade(tab);
        self
    }

    /// What its frame has drawn, for who lets it wait.
    #[must_use]
    pub fn tab(&self) -> Weak<Mutex<Charge>> {
        Weak::clone(&self.tab)
    }

    /// The request's number: later ones of its session have higher ones.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When the last byte of its request was read.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
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

    /// What is asked in this frame.
    pub fn read<M: Shaped>(&mut self, frame: &Bytes) -> Result<M, Malformed> {
        let body = frame.slice(self.head.body_at.min(frame.len())..);
        decode(body, self.head.version).inspect_err(|_| self.malformed())
    }

    /// Its answer may take so many bytes: counted from now on, since many such requests may be on their way before the
    /// first answer comes.
    pub fn expects(&self, bytes: usize) {
        self.session.expect(self.number, bytes);
    }

    /// What of a Produce routing needs.
    pub fn glance(&mut self, frame: &Bytes) -> Result<Produce, Malformed> {
        let read = Produce::read(frame, self.head.body_at, self.head.version);
        read.inspect_err(|_| self.malformed())
    }

    fn malformed(&mut self) {
        self.session.gauge.closing("protocol");
        self.blame(Blame::Client);
    }

    /// The request is counted under this pipeline.
    pub fn of_pipeline(&mut self, pipeline: Name) {
        self.key.pipeline = pipeline;
    }

    /// And under this cluster.
    pub fn at_cluster(&mut self, cluster: Name) {
        self.key.cluster = cluster;
    }

    /// What it is counted under, for what happens after it was answered.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        self.session.meters.meter(&self.session.context.telemetry, &self.key)
    }

    /// Somebody failed us on this request's behalf. However often they did, it counts once. Where no cluster was asked
    /// so far, it is that one's from now on.
    pub fn blame(&mut self, blame: Blame) {
        let same = |known: &Blame| mem::discriminant(known) == mem::discriminant(&blame);
        if self.blamed.iter().any(same) {
            return;
        }
        self.blamed.push(blame);
        if let Blame::Cluster(slot) = blame
            && let Some(cluster) = self.session.context.cluster(slot)
            && self.key.cluster == Name::none()
        {
            self.key.cluster = cluster.name().clone();
        }
    }

    /// The answer was made without what these needs would have brought.
    pub fn blame_refusals(&mut self, refused: &Refusals) {
        for (_, refusal) in refused.iter() {
            if let Refusal::Fault(fault) = refusal {
                self.blame(fault.blame);
            }
        }
    }

    /// The answer bears these errors.
    pub fn note(&mut self, told: &impl ErrorCodes) {
        told.tell(&mut self.codes);
    }

    /// Answers with a message; `sources` are the frames that its large fields are slices of.
    pub fn answer<M: Encodable + ErrorCodes>(self, message: &M, sources: &[Bytes]) {
        let version = self.head.version;
        self.answer_in(version, message, sources);
    }

    /// The same, in a version that was not asked for (an ApiVersions that we do not have).
    pub fn answer_in<M: Encodable + ErrorCodes>(mut self, version: i16, message: &M, sources: &[Bytes]) {
        self.note(message);
        match encode_response(self.api, version, self.head.correlation, message, sources) {
            Ok(frame) => self.reply(Some(frame)),
            Err(unwritable) => self.close_unwritable(&unwritable),
        }
    }

    /// Answers with a body that is written already, in the request's version, and bears these errors.
    pub fn answer_written(mut self, codes: &Codes, body: Result<Vec<Bytes>, Unwritable>) {
        self.note(codes);
        match body {
            Ok(body) => {
                let frame = frame_response(self.api, self.head.version, self.head.correlation, body);
                self.reply(Some(frame));
            }
            Err(unwritable) => self.close_unwritable(&unwritable),
        }
    }

    fn close_unwritable(mut self, unwritable: &Unwritable) {
        self.blame(Blame::Proxy);
        let Session { id, peer, .. } = &*self.session;
        let client = self.session.client();
        tracing::error!(
            session = %id, %peer, %client, api = ?self.api, %unwritable,
            "an answer cannot be written: a mistake in Fishplate; closing the connection, the client connects again"
        );
        self.session.close("unwritable");
    }

    /// Answers with a frame that is ready, or with nothing (acks=0).
    pub fn reply(mut self, frame: Option<Frame>) {
        self.answered = true;
        let bytes_out = frame.as_ref().map_or(0, size_of);
        let meter = self.meter();
        meter.answered(self.began.elapsed(), self.bytes_in, bytes_out);
        self.codes.names().for_each(|code| {
            meter.error_code(code);
            self.session.erred(self.api, code);
        });
        self.count_blames();
        self.session.gauge.ended();
        self.session.keep(self.number, frame);
    }

    fn count_blames(&mut self) {
        if !self.blamed.is_empty() {
            let meter = self.meter();
            mem::take(&mut self.blamed).into_iter().for_each(|blame| meter.failed(blame));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.count_blames();
            self.session.gauge.ended();
            self.session.close("unanswered");
        }
    }
}
