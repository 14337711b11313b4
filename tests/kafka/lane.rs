//! Trials that break something run one after the other on a thread of their own, from the start on and before clusters of
//! their own, while the others run beside each other: what takes the time is waiting.

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

type Outcome = thread::Result<Result<(), Failed>>;
type Job = Box<dyn FnOnce() -> Result<(), Failed> + Send>;

/// What is to be run, by the names of its trials, until [`start`] takes it.
static JOBS: Mutex<Vec<(String, Job, mpsc::Sender<Outcome>)>> = Mutex::new(Vec::new());

/// A trial that is run on the lane, and waits for what comes of it.
pub fn trial(name: String, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let (outcome, came) = mpsc::channel();
    JOBS.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), Box::new(run), outcome));
    Trial::test(name, move || match came.recv() {
        Ok(Ok(ended)) => ended,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(Failed::from("it was not run: is it wanted by libtest-mimic, and not by tests/kafka/lane.rs?")),
    })
}

/// These take minutes: beside them there should be others to run.
const LONG: [&str; 2] = ["fault: ", "parted: "];

/// Begins with those that are wanted, the long ones first. They come last among all trials, so that nobody waits for them who could run.
pub fn start(trials: &mut [Trial], arguments: &Arguments) {
    let mut jobs = std::mem::take(&mut *JOBS.lock().unwrap_or_else(PoisonError::into_inner));
    jobs.sort_by_key(|(name, ..)| !LONG.iter().any(|long| name.starts_with(long)));
    let places: BTreeMap<_, _> = jobs.iter().enumerate().map(|(place, (name, ..))| (name.clone(), place)).collect();
    trials.sort_by_key(|trial| places.get(trial.name()).copied());
    if arguments.list {
        return;
    }
    let ignored: Vec<_> =
        trials.iter().filter(|trial| trial.has_ignored_flag()).map(|trial| trial.name().to_owned()).collect();
    let wanted = |name: &String| is_wanted(arguments, name, ignored.contains(name));
    let jobs: Vec<_> = jobs.into_iter().filter(|(name, ..)| wanted(name)).collect();
    thread::spawn(move || {
        for (_, run, outcome) in jobs {
            // Nobody waits any more where the run was ended.
            let _ = outcome.send(catch_unwind(AssertUnwindSafe(run)));
        }
    });
}

/// As libtest-mimic decides it.
pub fn is_wanted(arguments: &Arguments, name: &str, ignored: bool) -> bool {
    let matches = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter.as_str()) };
    let named = arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches);
    let flagged = if arguments.ignored { ignored } else { !ignored || arguments.include_ignored };
    named && flagged
}
