//! A thread that something belongs to: others have things done with it, one behind the other. What is done there takes its time where
//! there are many pairs, so no client's thread does it; and what it takes and gives back of memory stays with one thread: with a
//! thread for each job the allocator kept as much again for each of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Sender, channel, sync_channel};
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

    /// Has something done, and hands over what comes of it, or its panic, which is the asker's and not the thread's.
    fn put<R>(
        &self,
        job: impl FnOnce(&mut S) -> R + Send + 'static,
        done: impl FnOnce(thread::Result<R>) + Send + 'static,
    ) {
        let job = move |thing: &mut S| done(catch_unwind(AssertUnwindSafe(|| job(thing))));
        // Were the thread gone, nobody would hand anything over, and the asker sees that.
        let _ = self.0.send(Box::new(job));
    }

    /// Has something done and waits for it: not on a thread that carries clients. Panics where that does.
    pub(super) fn wait<R: Send + 'static>(&self, job: impl FnOnce(&mut S) -> R + Send + 'static) -> R {
        let (told, tells) = sync_channel(1);
        self.put(job, move |done| _ = told.send(done));
        match tells.recv() {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => resume_unwind(Box::new("its thread has ended")),
        }
    }

    /// Has something done. `None` where it panicked.
    pub(super) async fn done<R: Send + 'static>(&self, job: impl FnOnce(&mut S) -> R + Send + 'static) -> Option<R> {
        let (told, tells) = oneshot::channel();
        self.put(job, move |done| _ = told.send(done.ok()));
        tells.await.ok().flatten()
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
        let waited = catch_unwind(AssertUnwindSafe(|| desk.wait(|_| -> u8 { panic!("on purpose") })));
        assert_eq!(waited.unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert_eq!(desk.wait(|number| *number), 2);
    }
}
