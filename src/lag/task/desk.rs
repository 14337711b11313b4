//! A thread that something belongs to: others have things done with it, one behind the other. What is done there takes its time where
//! there are many pairs, so no client's thread does it; and what it takes and gives back of memory stays with one thread: with a
//! thread for each job the allocator kept as much again for each of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use tokio::sync::oneshot;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// See the module's text. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Desk<S>(Sender<Job<S>>);

impl<S: Send + 'static> Desk<S> {
    /// A thread of this name, to which that belongs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn open(name: &str, mut thing: S) -> io::Result<Self> {
        let (jobs, came) = channel::<Job<S>>();
        thread::Builder::new().name(name.to_owned()).spawn(move || came.into_iter().for_each(|job| job(&mut thing)))?;
        Ok(Self(jobs))
    }

    /// Has something done. `None` where it panicked, which the thread outlives.
    pub(super) async fn done<R: Send + 'static>(&self, job: impl FnOnce(&mut S) -> R + Send + 'static) -> Option<R> {
        let (told, tells) = oneshot::channel();
        let job = move |thing: &mut S| {
            if let Ok(done) = catch_unwind(AssertUnwindSafe(|| job(thing))) {
                // Nobody waits any more where the asker was given up.
                let _ = told.send(done);
            }
        };
        self.0.send(Box::new(job)).ok()?;
        tells.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_panics_harms_himself_alone() {
        let desk = Desk::open("desk", 1).unwrap();
        assert_eq!(desk.done(|number| *number += 1).await, Some(()));
        assert_eq!(desk.done(|_| -> u8 { panic!("on purpose") }).await, None);
        assert_eq!(desk.done(|number| *number).await, Some(2));
    }
}
