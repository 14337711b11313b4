//! Loads a file again whenever it was written: it is looked at once a second, since links of mounted secrets change without a word in
//! the directory that is watched. It counts as written when two looks in a row see the same: half a file is nobody's word.

use crate::security::look::Look;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at a file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// For as long as it is polled. `seen` is how the file looked before it was loaded last: what is written meanwhile is not missed.
pub(super) async fn follow<T: Send + 'static>(
    file: PathBuf,
    mut seen: Option<Look>,
    load: impl Fn(&Path) -> T + Clone + Send + 'static,
    mut take: impl FnMut(T),
) {
    let mut unsettled = seen;
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let (file, load, before, last) = (file.clone(), load.clone(), seen, unsettled);
        let looked = spawn_blocking(move || {
            let now = Look::at(&file);
            let is_settled = now == before || now == last;
            (now, is_settled, (is_settled && now != before).then(|| load(&file)))
        });
        // The process is ending.
        let Ok((now, is_settled, loaded)) = looked.await else { return };
        if is_settled {
            (seen, unsettled) = (now, now);
        } else {
            unsettled = now;
        }
        if let Some(loaded) = loaded {
            take(loaded);
        }
    }
}
