//! The tasks of lag: read what sessions noted, ask clusters for what does not pass by, and answer who wants to know. All else in this
//! room is pure.

mod desk;
mod sweeping;

use desk::Desk;

use super::exposition::{self, Swept, Wanted};
use super::levels::Aims;
use super::rows::{Rows, Which};
use super::sweep::{self, FETCH};
use super::{Ledger, Now, Unknown, place};
use crate::config::Config;
use crate::error::Fault;
use crate::placement::task::Current;
use crate::telemetry::Notes;
use crate::telemetry::observed::{Fact, Noted};
use crate::types::{Name, Partition};
use crate::upstream::{Cluster, Clusters};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// What sessions noted is read so often.
const READ_EVERY: Duration = Duration::from_millis(50);
/// Clusters are asked for all so often.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// And where facts were lost, or a sweep failed, no sooner than this.
const SWEEP_AGAIN: Duration = Duration::from_secs(10);
/// What is not known is asked for so often, and so much of it at a time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS: usize = 16;
/// Finding that out may take no more than one part in so many of a core's time, and is put off for no longer than this.
const LOOK_SHARE: u32 = 50;
const LOOK_PUT_OFF: Duration = Duration::from_secs(10);
/// What was asked for is asked again no sooner than this: an answer may leave it unknown.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The lag of all groups, kept up to date by [`run`].
#[derive(Debug)]
pub struct Lag {
    notes: Notes,
    current: Current,
    desk: Desk<State>,
    sweeps: Mutex<HashMap<Name, Sweep>>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    notes: Notes,
    current: Current,
    /// The placement whose topics the ledger knows.
    generation: u64,
    config: Option<Arc<Config>>,
}

/// How asking a cluster went.
#[derive(Clone, Copy, Debug, Default)]
struct Sweep {
    told: u64,
    failed: u64,
    /// When it first began, when it last did, and when it last told all.
    first: Option<Instant>,
    began: Option<Instant>,
    told_at: Option<Instant>,
    running: bool,
    /// Facts that were lost before it began.
    lost: u64,
}

impl Lag {
    /// One that knows nothing yet.
    ///
    /// # Errors
    /// When the system gives its ledger no thread.
    pub fn new(notes: Notes, current: Current) -> std::io::Result<Arc<Self>> {
        let ledger = Ledger::new(Now::read());
        let state = State { ledger, notes: Arc::clone(&notes), current: current.clone(), generation: 0, config: None };
        Ok(Arc::new(Self { notes, current, desk: Desk::open("lag", state)?, sweeps: Mutex::default() }))
    }

    /// How far groups are behind, now. `None` where that panicked: a mistake in Fishplate.
    pub async fn rows(&self, which: Which) -> Option<Rows> {
        self.desk.done(move |state| state.up_to_date(|ledger, now| ledger.rows(&which, now))).await
    }

    /// The same as Prometheus reads it, behind what is in the text already.
    pub async fn write(&self, mut text: String) -> Option<String> {
        let metrics = self.current.load().config.metrics;
        let wanted = Wanted { max_pairs: metrics.max_pairs, compatibility: metrics.compatibility };
        let swept = self.swept();
        let written = self.desk.done(move |state| {
            state.up_to_date(|ledger, now| exposition::write(ledger, wanted, &swept, now, &mut text));
            text
        });
        written.await
    }

    fn swept(&self) -> Vec<Swept> {
        let sweeps = self.sweeps.lock();
        let mut all: Vec<_> = sweeps
            .iter()
            .map(|(cluster, sweep)| Swept {
                cluster: cluster.clone(),
                told: sweep.told,
                failed: sweep.failed,
                age: sweep.told_at.or(sweep.first).map(|at| at.elapsed()),
            })
            .collect();
        all.sort_by(|one, other| one.cluster.cmp(&other.cluster));
        all
    }

    /// Whether it is time to ask a cluster again; then it counts as begun.
    fn begins(&self, cluster: &Name) -> bool {
        let (now, lost) = (Instant::now(), self.notes.lost());
        let mut sweeps = self.sweeps.lock();
        let sweep = sweeps.entry(cluster.clone()).or_default();
        let in_doubt = lost > sweep.lost || sweep.told_at < sweep.began;
        let every = if in_doubt { SWEEP_AGAIN } else { SWEEP_EVERY };
        if sweep.running || sweep.began.is_some_and(|began| now.duration_since(began) < every) {
            return false;
        }
        (sweep.first, sweep.began) = (sweep.first.or(Some(now)), Some(now));
        (sweep.running, sweep.lost) = (true, lost);
        true
    }

    fn ended(&self, cluster: &Name, told: bool) {
        let mut sweeps = self.sweeps.lock();
        let Some(sweep) = sweeps.get_mut(cluster) else { return };
        sweep.running = false;
        if told {
            (sweep.told, sweep.told_at) = (sweep.told + 1, Some(Instant::now()));
        } else {
            sweep.failed += 1;
        }
    }

    /// Clusters that are not in the config any more are asked nothing.
    fn forget_all_but(&self, clusters: &[Arc<Cluster>]) {
        self.sweeps.lock().retain(|name, _| clusters.iter().any(|cluster| cluster.name() == name));
    }
}

impl State {
    /// Does something with the ledger once all that was noted is in it.
    fn up_to_date<R>(&mut self, look: impl FnOnce(&mut Ledger, Now) -> R) -> R {
        self.catch_up();
        // Behind what was noted: nothing in the ledger is younger.
        look(&mut self.ledger, Now::read())
    }

    /// Takes these facts in, as of now, behind all that was noted.
    fn take_in(&mut self, facts: Vec<Fact>) {
        self.up_to_date(|ledger, now| ledger.apply(facts.into_iter().map(|fact| Noted { at: now.at, fact })));
    }

    /// Takes in what was noted, and does what is due with time.
    fn read_on(&mut self) {
        self.up_to_date(Ledger::tick);
    }

    /// Takes in what was noted, under the topics that there are.
    fn catch_up(&mut self) {
        self.ledger.apply(self.notes.read());
        // The number first: a placement that is published meanwhile is newer than it says, and looked at again.
        let generation = self.current.generation();
        if generation == self.generation && self.config.is_some() {
            return;
        }
        let placement = self.current.load();
        self.generation = generation;
        if !self.config.as_ref().is_some_and(|config| Arc::ptr_eq(config, &placement.config)) {
            self.config = Some(Arc::clone(&placement.config));
            self.ledger.aim(aims(&placement.config));
        }
        self.ledger.place(&place::places(&placement), Now::read());
    }
}

/// What the config's pipelines promise.
fn aims(config: &Arc<Config>) -> Aims {
    let slos = config.pipelines.iter().filter_map(|pipeline| Some((pipeline.name.clone(), pipeline.slo?))).collect();
    let (config, homes) = (Arc::clone(config), Arc::clone(config));
    let home_of = move |group: &str| Some(homes.pipeline_of_group(group).cluster);
    let pipeline_of = move |group: &str| {
        let pipeline = config.pipeline_of_group(group);
        if pipeline.service_level(group).is_some() { pipeline.name.clone() } else { Name::none() }
    };
    Aims { slos, pipeline_of: Arc::new(pipeline_of), home_of: Arc::new(home_of) }
}

/// Keeps the ledger up to date until the process ends.
pub async fn run(lag: Arc<Lag>, clusters: Clusters) {
    let (mut read, mut look) = (interval(READ_EVERY), interval(LOOK_EVERY));
    read.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = Looked::default();
    // Ends with this task: nobody is left who would read what they note.
    let mut asking = JoinSet::new();
    loop {
        tokio::select! {
            _ = read.tick() => lag.desk.done(State::read_on).await.unwrap_or_default(),
            _ = look.tick() => {
                let all = clusters.all();
                lag.forget_all_but(&all);
                for cluster in all.iter().filter(|cluster| cluster.news().borrow().read && lag.begins(cluster.name())) {
                    let (lag, cluster) = (Arc::clone(&lag), Arc::clone(cluster));
                    asking.spawn(async move {
                        sweeping::sweep(lag, cluster).await;
                        None
                    });
                }
                if looked.is_time() {
                    look_up(&lag, &clusters, &mut looked, &mut asking).await;
                }
            }
            Some(asked) = asking.join_next() => looked.ended(asked.ok().flatten()),
        }
    }
}

/// What was asked for lately, and of which partitions nothing was told.
#[derive(Debug, Default)]
struct Looked {
    asked: HashMap<(Partition, i64), Instant>,
    in_vain: HashMap<Partition, Instant>,
    /// No sooner than this is it time again.
    next: Option<Instant>,
}

impl Looked {
    fn has(&self, one: &Unknown) -> bool {
        self.in_vain.contains_key(&one.at) || self.asked.contains_key(&(one.at, one.offset))
    }

    fn begins(&mut self, one: &Unknown) {
        self.asked.insert((one.at, one.offset), Instant::now());
    }

    fn is_time(&self) -> bool {
        self.next.is_none_or(|next| Instant::now() >= next)
    }

    /// It took so long to find out what is to be asked: with very many groups at partitions that is not done every time.
    fn took(&mut self, began: Instant) {
        let pause = began.elapsed().saturating_mul(LOOK_SHARE).min(LOOK_PUT_OFF);
        self.next = Some(Instant::now() + pause);
    }

    /// Asking ended, in vain for this partition.
    fn ended(&mut self, in_vain: Option<Partition>) {
        self.in_vain.extend(in_vain.map(|at| (at, Instant::now())));
    }

    fn expire(&mut self) {
        self.asked.retain(|_, at| at.elapsed() < LOOK_AGAIN);
        self.in_vain.retain(|_, at| at.elapsed() < LOOK_AGAIN);
    }
}

/// Asks for what is not known, the most important first. Of clusters that are down nothing is asked.
async fn look_up(lag: &Arc<Lag>, clusters: &Clusters, looked: &mut Looked, asking: &mut JoinSet<Option<Partition>>) {
    looked.expire();
    let placement = lag.current.load();
    let all = clusters.all();
    let down = all.iter().filter(|cluster| cluster.news().borrow().down.is_some()).map(|cluster| cluster.slot());
    let down: HashSet<_> = down.collect();
    let (under, mut known) = (Arc::clone(&placement), std::mem::take(looked));
    let found = lag.desk.done(move |state| {
        let is_down = |one: &Unknown| under.topic(&one.topic).is_none_or(|place| down.contains(&place.cluster));
        let began = Instant::now();
        let left_out = |one: &Unknown| known.has(one) || is_down(one);
        let unknown = state.up_to_date(|ledger, now| ledger.unknown(LOOKS, left_out, now));
        known.took(began);
        (known, unknown)
    });
    let Some((known, unknown)) = found.await else { return };
    *looked = known;
    for one in unknown {
        looked.begins(&one);
        let asked =
            sweep::ask_batch(&one, &placement).and_then(|(slot, to, asked)| Some((clusters.get(slot)?, to, asked)));
        let Some((cluster, broker, request)) = asked else {
            looked.ended(Some(one.at));
            continue;
        };
        let notes = Arc::clone(&lag.notes);
        asking.spawn(async move {
            match cluster.call(Some(broker), &request, FETCH).await {
                Ok(answer) => {
                    let told = sweep::batch_told(&one, &answer);
                    let in_vain = told.is_none().then_some(one.at);
                    notes.note(told);
                    in_vain
                }
                Err(fault) => {
                    not_known(&one, &fault);
                    Some(one.at)
                }
            }
        });
    }
}

fn not_known(one: &Unknown, fault: &Fault) {
    tracing::debug!(topic = %one.topic, partition = one.at.index, %fault, "cannot look when a record was written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_to_find_out_is_found_out_less_often() {
        let mut looked = Looked::default();
        assert!(looked.is_time());
        looked.took(Instant::now().checked_sub(Duration::from_secs(3600)).unwrap());
        assert!(!looked.is_time());
        assert!(looked.next.unwrap() <= Instant::now() + LOOK_PUT_OFF);
    }
}
