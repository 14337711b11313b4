//! Who logs in at a listener that asks for it: what is served before, in which order, and anew before the time is over (KIP-368).
//! Orders, errors and texts are Kafka's (`SaslServerAuthenticator`).

use super::gate::Gate;
use super::reader::{Broken, answer_versions};
use super::state::Session;
use super::ticket::Ticket;
use crate::api::codes;
use crate::error::Blame;
use crate::security::brake::Place;
use crate::security::server::{Refusal, ServerExchange, Step};
use crate::telemetry::{AUDIT, LoginResult};
use crate::types::{Mechanism, Principal};
use crate::wire::head::RequestHead;
use crate::wire::pool::Tab;
use crate::wire::versions;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

/// Who has not logged in sends no larger frames: a token takes a few KiB.
pub(super) const LARGEST_FRAME: usize = 64 << 10;
/// What was sent before a login was over may be read so much later, where all are busy: clients begin anew at the last moment.
const GRACE: Duration = Duration::from_secs(1);
/// No sooner after the last time is a login taken anew.
const ANEW_AFTER: Duration = Duration::from_secs(1);
/// ApiVersions is answered so often in a version that we lack: clients then ask in one that we have.
const MOST_IN_VAIN: u8 = 3;
/// How long the last answer may take to leave before the connection is closed.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// From this version on SaslHandshake is followed by SaslAuthenticate, and not by bare messages.
const WITH_REQUESTS: i16 = 1;
/// From this version on a client hears of its session's lifetime.
const TELLS_LIFETIME: i16 = 1;
const SASL_AUTHENTICATE: i16 = ApiKey::SaslAuthenticate as i16;

/// A session's login.
pub(super) struct Login {
    gate: Arc<Gate>,
    stage: Stage,
    proven: Option<Proven>,
}

enum Stage {
    /// ApiVersions or SaslHandshake comes next. ApiVersions was asked for in so many versions that we lack.
    Fresh { in_vain: u8 },
    /// SaslHandshake does: ApiVersions was answered.
    Greeted,
    /// Messages of the mechanism do.
    Exchange {
        exchange: ServerExchange,
        /// Without requests around them.
        bare: bool,
    },
    /// The client began anew with another mechanism than at first, and will be told with its next request.
    OtherMechanism(String),
    /// Anything does.
    In,
}

/// What a session has shown.
struct Proven {
    principal: Principal,
    mechanism: Mechanism,
    /// It ends then.
    until: Option<Instant>,
    /// When it last began to log in anew.
    anew_at: Option<Instant>,
}

/// What was tried. The default one: it did not come to that.
#[derive(Default)]
struct Tried<'t> {
    mechanism: Option<Mechanism>,
    /// Whom it claimed to be.
    claims: Option<&'t str>,
    place: Option<Place>,
}

/// What the next message of an exchange is looked at with.
struct Leave {
    /// Among those of an address that has failed.
    place: Option<Place>,
    processor: Option<OwnedSemaphorePermit>,
}

/// Who is not let in.
enum NotIn {
    /// It is told this.
    Told(String),
    /// Its connection ends without a word: a client takes words for good, and comes again without.
    Untold,
}

/// What is to be done with a session.
pub(super) enum Then {
    /// It goes on.
    Goes,
    /// It was told why, and ends.
    Ends,
}

impl Login {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, stage: Stage::Fresh { in_vain: 0 }, proven: None }
    }

    /// Nobody knows who it is yet.
    pub(super) fn is_outside(&self) -> bool {
        self.proven.is_none()
    }

    /// Whether this frame is for here, and not for the APIs.
    pub(super) fn takes(&self, frame: &[u8], now: Instant) -> bool {
        match &self.stage {
            Stage::In => is_of(frame, ApiKey::SaslHandshake) && self.may_begin_anew(now),
            _ => true,
        }
    }

    /// What it has shown is good no longer.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.proven.as_ref().and_then(|proven| proven.until).is_some_and(|until| now >= until + GRACE)
    }

    /// As Kafka, who takes a SaslHandshake for out of order otherwise.
    fn may_begin_anew(&self, now: Instant) -> bool {
        self.proven.as_ref().is_some_and(|proven| {
            let since = proven.anew_at.map(|then| now.saturating_duration_since(then));
            proven.until.is_some() && since.is_none_or(|since| since >= ANEW_AFTER)
        })
    }

    /// Takes a frame, and waits for what it needs: nothing further is read of the session meanwhile.
    pub(super) async fn take(&mut self, session: &Arc<Session>, frame: &Bytes, tab: &Tab) -> Result<Then, Broken> {
        if let Stage::Exchange { bare: true, .. } = self.stage {
            return Ok(self.bare_message(session, frame, tab).await);
        }
        let head = RequestHead::read(frame)?;
        session.hear_client_id(&head);
        let api = ApiKey::try_from(head.api_key).map_err(|()| Broken::Outside { api: head.api_key })?;
        match (&self.stage, api) {
            (Stage::Fresh { in_vain }, ApiKey::ApiVersions) if *in_vain < MOST_IN_VAIN => {
                let is_served = versions::serves(head.api_key, head.version).is_some();
                self.stage = if is_served { Stage::Greeted } else { Stage::Fresh { in_vain: in_vain + 1 } };
                answer_versions(session, head, frame)?;
                Ok(Then::Goes)
            }
            (Stage::Fresh { .. } | Stage::Greeted | Stage::In, ApiKey::SaslHandshake) => {
                self.handshake(session, asked(session, head, frame, tab)?, frame).await
            }
            (Stage::Exchange { .. }, ApiKey::SaslAuthenticate) => {
                self.authenticate(session, asked(session, head, frame, tab)?, frame).await
            }
            (Stage::OtherMechanism(told), ApiKey::SaslAuthenticate) => {
                let told = told.clone();
                self.refuse_mechanism(session, asked(session, head, frame, tab)?, told).await;
                Ok(Then::Ends)
            }
            (Stage::Exchange { .. }, ApiKey::SaslHandshake) => {
                out_of_order(asked(session, head, frame, tab)?);
                self.end(session).await;
                Ok(Then::Ends)
            }
            _ => Err(Broken::Outside { api: head.api_key }),
        }
    }

    async fn handshake(&mut self, session: &Session, mut ticket: Ticket, frame: &Bytes) -> Result<Then, Broken> {
        let version = ticket.head().version;
        let request: SaslHandshakeRequest = ticket.read(frame)?;
        let wanted = Mechanism::named(&request.mechanism).filter(|wanted| self.gate.mechanisms().contains(wanted));
        let mechanisms = self.gate.mechanisms().iter().map(|one| StrBytes::from_static_str(one.as_str())).collect();
        let answer = SaslHandshakeResponse::default().with_mechanisms(mechanisms);
        let Some(wanted) = wanted else {
            ticket.blame(Blame::Client);
            self.fail(session, Tried::default(), &Refusal::of("it wants a mechanism that this listener does not have"))
                .await;
            ticket.answer(&answer.with_error_code(codes::UNSUPPORTED_SASL_MECHANISM), &[]);
            self.end(session).await;
            return Ok(Then::Ends);
        };
        if let Some(proven) = &mut self.proven {
            proven.anew_at = Some(Instant::now());
        }
        self.stage = match self.proven.as_ref().map(|proven| proven.mechanism) {
            Some(before) if before != wanted => Stage::OtherMechanism(format!(
                "SASL mechanism '{wanted}' requested by client is not supported for re-authentication of mechanism '{before}'"
            )),
            _ => Stage::Exchange { exchange: begin(wanted)?, bare: version < WITH_REQUESTS },
        };
        ticket.answer(&answer, &[]);
        Ok(Then::Goes)
    }

    async fn authenticate(&mut self, session: &Session, mut ticket: Ticket, frame: &Bytes) -> Result<Then, Broken> {
        let version = ticket.head().version;
        let request: SaslAuthenticateRequest = ticket.read(frame)?;
        let answer = SaslAuthenticateResponse::default();
        match self.step(session, request.auth_bytes).await {
            Ok((bytes, lifetime)) => {
                let lifetime = lifetime.filter(|_| version >= TELLS_LIFETIME);
                let lifetime = lifetime.map_or(0, |lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
                ticket.answer(&answer.with_auth_bytes(bytes).with_session_lifetime_ms(lifetime), &[]);
                Ok(Then::Goes)
            }
            Err(not_in) => {
                ticket.blame(Blame::Client);
                match not_in {
                    NotIn::Told(told) => ticket.answer(&failed(told), &[]),
                    NotIn::Untold => ticket.reply(None),
                }
                self.end(session).await;
                Ok(Then::Ends)
            }
        }
    }

    /// As clients before Kafka 1.0 do it, and kafka-python before 2.1: messages have no request around them, and who fails is
    /// told nothing.
    async fn bare_message(&mut self, session: &Arc<Session>, frame: &Bytes, tab: &Tab) -> Then {
        let head = RequestHead { api_key: SASL_AUTHENTICATE, version: 0, correlation: 0, client_id: None, body_at: 0 };
        let mut ticket = Ticket::new(session, ApiKey::SaslAuthenticate, head, frame).charged(tab);
        match self.step(session, frame.clone()).await {
            Ok((bytes, _)) => {
                let mut length = BytesMut::with_capacity(4);
                length.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                ticket.reply(Some(vec![length.freeze(), bytes]));
                Then::Goes
            }
            Err(_) => {
                ticket.blame(Blame::Client);
                ticket.reply(None);
                self.end(session).await;
                Then::Ends
            }
        }
    }

    /// One step of the exchange: what to answer, and for how long the session is good if it is in now; or what to tell who is
    /// not let in.
    async fn step(&mut self, session: &Session, message: Bytes) -> Result<(Bytes, Option<Duration>), NotIn> {
        let Stage::Exchange { exchange, bare } = mem::replace(&mut self.stage, Stage::Fresh { in_vain: MOST_IN_VAIN })
        else {
            return Err(NotIn::Untold);
        };
        let (mechanism, told_before) = (exchange.mechanism(), exchange.has_refused());
        let claims = exchange.claims(&message).map(str::to_owned);
        let leave = self.leave(session, &exchange, claims.as_deref()).await;
        let Leave { place, processor } = leave.ok_or(NotIn::Untold)?;
        let (exchange, step) = self.gate.step(exchange, message).await;
        drop(processor);
        let tried = Tried { mechanism: Some(mechanism), claims: claims.as_deref(), place };
        let refusal = match step {
            Ok(Step::Challenge(bytes)) => {
                self.stage = Stage::Exchange { exchange, bare };
                return Ok((bytes, None));
            }
            Ok(Step::Refused { answer, why }) => {
                self.fail(session, tried, &why).await;
                self.stage = Stage::Exchange { exchange, bare };
                return Ok((answer, None));
            }
            Ok(Step::Done { user, answer, lifetime }) => match self.changes_principal(&user) {
                None => {
                    if claims.is_some() {
                        self.gate.regulars.came(session.peer.ip(), &user);
                    }
                    return Ok((answer, self.let_in(session, mechanism, &user, lifetime)));
                }
                Some(told) => {
                    let refusal = Refusal::of("it wants to go on as somebody else").claiming(&user);
                    self.fail(session, tried, &refusal).await;
                    return Err(NotIn::Told(told));
                }
            },
            Err(refusal) => refusal,
        };
        if !told_before {
            self.fail(session, tried, &refusal).await;
        }
        Err(NotIn::Told(refusal.told.map_or_else(|| self.invalid(mechanism), str::to_owned)))
    }

    /// Waits until a message may be looked at; `None` where the session ends before. Who logs in anew, as who it is, waits for nobody
    /// who is outside.
    async fn leave(&self, session: &Session, exchange: &ServerExchange, name: Option<&str>) -> Option<Leave> {
        let is_itself = |proven: &Proven| name.is_none_or(|name| name == proven.principal.name());
        let renews = self.proven.as_ref().is_some_and(is_itself);
        let needs = || self.gate.places(session.peer.ip(), name).filter(|_| !renews && exchange.may_be_guessed());
        let ready = async {
            let place = match needs() {
                Some(places) => places.acquire_owned().await.ok(),
                None => None,
            };
            let processor = self.gate.processor(exchange, renews).await;
            // Others of its address may have failed while it stood in that queue.
            let Some(places) = needs().filter(|_| place.is_none() && processor.is_some()) else {
                return Leave { place, processor };
            };
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                return Leave { place: Some(place), processor };
            }
            drop(processor);
            let place = places.acquire_owned().await.ok();
            Leave { place, processor: self.gate.processor(exchange, renews).await }
        };
        tokio::select! {
            leave = ready => Some(leave),
            () = session.closed() => None,
        }
    }

    /// Kafka's words, which tell nothing.
    fn invalid(&self, mechanism: Mechanism) -> String {
        let what = if self.is_outside() { "authentication" } else { "re-authentication" };
        format!("Authentication failed during {what} due to invalid credentials with SASL mechanism {mechanism}")
    }

    fn changes_principal(&self, user: &str) -> Option<String> {
        let before = self.proven.as_ref()?.principal.name();
        (before != user)
            .then(|| format!("Cannot change principals during re-authentication from User.{before}: User.{user}"))
    }

    fn let_in(
        &mut self,
        session: &Session,
        mechanism: Mechanism,
        user: &str,
        of_proof: Option<Duration>,
    ) -> Option<Duration> {
        let (lifetime, now) = (self.gate.lifetime(of_proof), Instant::now());
        let until = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        let result = match &mut self.proven {
            Some(proven) => {
                proven.until = until;
                LoginResult::Renewed
            }
            None => {
                let principal = Principal::user(user);
                session.identify(principal.clone());
                self.proven = Some(Proven { principal, mechanism, until, anew_at: None });
                LoginResult::Succeeded
            }
        };
        self.stage = Stage::In;
        session.context.telemetry.logins().ended(session.front.bound, mechanism.as_str(), result);
        tell(session, mechanism, lifetime, result);
        lifetime
    }

    /// Counts and tells it, and lets it wait.
    async fn fail(&self, session: &Session, tried: Tried<'_>, refusal: &Refusal) {
        let Tried { mechanism, claims, place } = tried;
        let address = session.peer.ip();
        self.tell_refused(session, mechanism, refusal);
        if let Some(name) = claims {
            self.gate.regulars.failed(address, name);
        }
        let wait = self.gate.brake.failed(address, place, Instant::now());
        session.context.telemetry.logins().held(session.front.bound, wait);
        tokio::select! {
            () = sleep(wait) => {}
            () = session.closed() => {}
        }
    }

    fn tell_refused(&self, session: &Session, mechanism: Option<Mechanism>, refusal: &Refusal) {
        let (context, listener) = (&session.context, session.front.bound);
        let mechanism = mechanism.map_or("none", Mechanism::as_str);
        context.telemetry.logins().ended(listener, mechanism, LoginResult::Failed);
        if let Some(held_back) = context.seldom.pass(format!("login {}", session.peer.ip())) {
            let claims = refusal.claims.as_deref().unwrap_or("nobody");
            tracing::warn!(
                target: AUDIT, session = %session.id, peer = %session.peer, %listener, mechanism, client = %session.client(),
                claims, reason = refusal.why, held_back, "a client was not let in"
            );
        }
    }

    async fn refuse_mechanism(&self, session: &Session, mut ticket: Ticket, told: String) {
        ticket.blame(Blame::Client);
        let refusal = Refusal::of("it wants to log in anew with another mechanism");
        self.fail(session, Tried::default(), &refusal).await;
        ticket.answer(&failed(told), &[]);
        self.end(session).await;
    }

    /// Lets what was told leave.
    async fn end(&self, session: &Session) {
        session.gauge.closing("login");
        let _or_not = timeout(TOLD_WITHIN, session.told()).await;
    }
}

fn tell(session: &Session, mechanism: Mechanism, lifetime: Option<Duration>, result: LoginResult) {
    let (principal, listener) = (session.principal(), session.front.bound);
    let seconds = lifetime.map(|lifetime| lifetime.as_secs());
    match result {
        LoginResult::Renewed => tracing::debug!(
            target: AUDIT, session = %session.id, peer = %session.peer, %listener, %mechanism, %principal, seconds,
            "a client has logged in anew"
        ),
        _ => tracing::info!(
            target: AUDIT, session = %session.id, peer = %session.peer, %listener, %mechanism, %principal,
            client = %session.client(), seconds, "a client has logged in"
        ),
    }
}

fn failed(told: String) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(codes::SASL_AUTHENTICATION_FAILED)
        .with_error_message(Some(StrBytes::from_string(told)))
}

fn begin(mechanism: Mechanism) -> Result<ServerExchange, Broken> {
    ServerExchange::new(mechanism).map_err(|_| Broken::Randomness)
}

/// The obligation to answer, where we have the version.
fn asked(session: &Arc<Session>, head: RequestHead, frame: &Bytes, tab: &Tab) -> Result<Ticket, Broken> {
    let (key, version) = (head.api_key, head.version);
    let api = versions::serves(key, version).ok_or(Broken::NotServed { api: key, version })?;
    Ok(Ticket::new(session, api, head, frame).charged(tab))
}

fn is_of(frame: &[u8], api: ApiKey) -> bool {
    frame.first_chunk().is_some_and(|key| i16::from_be_bytes(*key) == api as i16)
}

/// A SaslHandshake or SaslAuthenticate of who is in already, or is let in without, or is amid another: as Kafka's request handler
/// answers it. The body is left unread.
pub(super) fn out_of_order(ticket: Ticket) {
    if ticket.head().api_key == SASL_AUTHENTICATE {
        let told = "SaslAuthenticate request received after successful authentication";
        let answer = SaslAuthenticateResponse::default()
            .with_error_code(codes::ILLEGAL_SASL_STATE)
            .with_error_message(Some(StrBytes::from_static_str(told)));
        ticket.answer(&answer, &[]);
    } else {
        let session = ticket.session();
        let is_open = session.context.gate().is_none();
        if let Some(held_back) = session.context.seldom.pass(format!("{} sasl", session.peer.ip())).filter(|_| is_open)
        {
            tracing::info!(
                session = %session.id, peer = %session.peer, client = %session.client(), held_back,
                "a client wants to log in where nobody does: its listener has no `sasl`. Set the client's security.protocol to PLAINTEXT or SSL"
            );
        }
        ticket.answer(&SaslHandshakeResponse::default().with_error_code(codes::ILLEGAL_SASL_STATE), &[]);
    }
}
