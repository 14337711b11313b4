//! Work of one session that must be done one after the other, in the order it came: commits that wait for something.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A queue that is made when it is first needed. It is bounded by the session's unanswered requests.
#[derive(Default)]
pub struct Turns {
    queue: OnceLock<UnboundedSender<Work>>,
    open: Arc<AtomicUsize>,
}

impl Turns {
    /// Whether something queued is not done: what comes now must queue too.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// Does `work` when all that was queued before is done. Ends with whoever holds the queue.
    pub fn queue(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.open.fetch_add(1, Ordering::AcqRel);
        let queue = self.queue.get_or_init(|| {
            let (queue, queued) = unbounded_channel();
            tokio::spawn(work_off(queued, Arc::clone(&self.open)));
            queue
        });
        // The worker ends only with this sender.
        let _ = queue.send(Box::pin(work));
    }
}

async fn work_off(mut queued: UnboundedReceiver<Work>, open: Arc<AtomicUsize>) {
    while let Some(work) = queued.recv().await {
        work.await;
        open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn later_work_waits_for_earlier_work() {
        let (turns, done) = (Turns::default(), Arc::new(Mutex::new(Vec::new())));
        let (release, released) = oneshot::channel::<()>();
        let (finished, all) = oneshot::channel();
        let first = Arc::clone(&done);
        turns.queue(async move {
            let _ = released.await;
            first.lock().push(1);
        });
        let second = Arc::clone(&done);
        turns.queue(async move {
            second.lock().push(2);
            let _ = finished.send(());
        });
        tokio::task::yield_now().await;
        assert!(turns.is_busy() && done.lock().is_empty());
        release.send(()).unwrap();
        all.await.unwrap();
        assert_eq!(*done.lock(), [1, 2]);
    }
}
