//! Tasks that must not end: one that panics is begun anew.

use crate::telemetry::Telemetry;
use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Before a task is begun anew: one that always panics must not take a core.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `begin` makes until it ends by itself.
pub(super) async fn run<F: Future<Output = ()>>(
    task: &'static str,
    telemetry: &Telemetry,
    mut begin: impl FnMut() -> F,
) {
    loop {
        let mut running = pin!(begin());
        // What it left half done is its own: it begins anew with nothing of it.
        let ended = poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
            match polled {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        let Err(panic) = ended.await else { return };
        telemetry.task_restarted(task);
        tracing::error!(
            task,
            reason = words(&*panic),
            "a task of Fishplate panicked: a mistake of ours; it begins anew"
        );
        sleep(PAUSE).await;
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_task_that_panics_is_begun_anew() {
        let telemetry = Telemetry::new().unwrap();
        let runs = Cell::new(0);
        run("test", &telemetry, || {
            runs.set(runs.get() + 1);
            let first = runs.get() == 1;
            async move {
                tokio::task::yield_now().await;
                assert!(!first, "as planned");
            }
        })
        .await;
        assert_eq!(runs.get(), 2);
        assert_eq!(telemetry.shown("fishplate_task_restarts_total", &[("task", "test")]), Some(1.0));
    }
}
