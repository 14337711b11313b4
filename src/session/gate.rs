//! What a listener asks of who comes: by which mechanisms clients log in, who there is, for how long they are let in.

use super::regulars::Regulars;
use crate::config::Sasl;
use crate::security::brake::Brake;
use crate::security::jwks_task::{Told, Verifier};
use crate::security::server::{Refusal, ServerExchange, Step};
use crate::security::users::Users;
use crate::types::Mechanism;
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// Attempts of one address that are looked at beside each other, once it has failed.
const BESIDE_EACH_OTHER: usize = 16;

/// See the module's text.
pub struct Gate {
    mechanisms: Vec<Mechanism>,
    /// A session that has not logged in anew by then ends; `None`: it lasts.
    lifetime: Option<Duration>,
    users: ArcSwap<Users>,
    /// Judges tokens, where they are taken.
    tokens: Option<Verifier>,
    /// Holds up who guesses: the answer, and the next attempts of its address.
    pub(super) brake: Brake,
    pub(super) regulars: Regulars,
    /// Passwords that are salted at the same time: half of the processors stay for who is in already.
    salting: Arc<Semaphore>,
    /// The same of who logs in anew: nobody who is outside stands before it.
    salting_anew: Arc<Semaphore>,
}

impl Gate {
    /// As a listener says it, with these users. Begins to read the keys that tokens are checked with; `told` is told of each time.
    #[must_use]
    pub fn new(sasl: &Sasl, users: Users, told: Told) -> Arc<Self> {
        let half = available_parallelism().map_or(1, |all| all.get().div_ceil(2));
        Arc::new(Self {
            mechanisms: sasl.mechanisms.clone(),
            lifetime: sasl.session_lifetime,
            users: ArcSwap::from_pointee(users),
            tokens: sasl.oauthbearer.clone().map(|rules| Verifier::start(rules, told)),
            brake: Brake::new(BESIDE_EACH_OTHER),
            regulars: Regulars::default(),
            salting: Arc::new(Semaphore::new(half)),
            salting_anew: Arc::new(Semaphore::new(half)),
        })
    }

    /// By which clients may log in, in the order of the config.
    #[must_use]
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// For how long a login is good whose own proof lasts for so long; `None`: for ever.
    #[must_use]
    pub fn lifetime(&self, of_proof: Option<Duration>) -> Option<Duration> {
        [self.lifetime, of_proof].into_iter().flatten().min()
    }

    /// From now on these; who is in stays until its session's lifetime is over.
    pub fn admit(&self, users: Users) {
        self.users.store(Arc::new(users));
    }

    /// Where a proof of this name from this address must stand before it is looked at; `None`: nowhere.
    pub(super) fn places(&self, address: IpAddr, name: Option<&str>) -> Option<Arc<Semaphore>> {
        if name.is_some_and(|name| self.regulars.has(address, name)) {
            return None;
        }
        self.brake.places(address, Instant::now())
    }

    /// A processor for the next step of an exchange, where that takes long.
    pub(super) async fn processor(&self, exchange: &ServerExchange, anew: bool) -> Option<OwnedSemaphorePermit> {
        if !exchange.is_costly() {
            return None;
        }
        let salting = if anew { &self.salting_anew } else { &self.salting };
        // It is never closed.
        Arc::clone(salting).acquire_owned().await.ok()
    }

    /// A step of an exchange, against the users that there are now, with a [`Gate::processor`]. Gives the exchange back.
    pub(super) async fn step(
        &self,
        mut exchange: ServerExchange,
        message: Bytes,
    ) -> (ServerExchange, Result<Step, Refusal>) {
        if let (ServerExchange::OauthBearer(_), Some(tokens)) = (&exchange, &self.tokens) {
            let step = exchange.judge(&message, tokens, SystemTime::now()).await;
            return (exchange, step);
        }
        let users = self.users.load_full();
        if !exchange.is_costly() {
            let step = exchange.step(&message, &users);
            return (exchange, step);
        }
        let salted = spawn_blocking(move || {
            let step = exchange.step(&message, &users);
            (exchange, step)
        });
        // It panics nowhere; and if it did, nobody would be let in.
        salted.await.unwrap_or_else(|_| (ServerExchange::Plain, Err(Refusal::of("Fishplate is ending"))))
    }
}
