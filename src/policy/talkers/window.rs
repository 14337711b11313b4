//! The last minute and the last ten: each a few slices of time, the oldest of which goes when a new one begins. Only the
//! newest slice of the minute is written to; when it is over, the ten minutes take it in.

use super::Span;
use super::heard::Heard;
use super::sketch::{Counts, Sketch, Text};
use crate::policy::keys::Hashed;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many whole slices make a window; the one that runs comes on top.
const SLICES: u32 = 3;
const MINUTE: Duration = Duration::from_secs(60);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Windows {
    minute: Window,
    ten: Window,
}

impl Default for Windows {
    fn default() -> Self {
        Self { minute: Window::of(MINUTE), ten: Window::of(10 * MINUTE) }
    }
}

impl Windows {
    /// Takes in what was heard.
    pub(super) fn hear(&mut self, heard: &Heard, now: Instant) {
        let running = self.turn(now);
        heard.each().for_each(|(key, counts, text)| running.note(key, counts, text));
        running.add(heard.all);
    }

    /// Each key of a window, some of them more than once; gives since how long ago, and what all said together.
    pub(super) fn each(
        &mut self,
        span: Span,
        now: Instant,
        mut see: impl FnMut(Hashed, Option<&Text>, Counts),
    ) -> (Duration, Counts) {
        if self.minute.running.is_none() {
            return (Duration::ZERO, Counts::default());
        }
        let _ = self.turn(now);
        // What the ten minutes have not taken in yet is the newest slice of the one.
        let newest = self.minute.running.iter().filter(|_| span == Span::TenMinutes);
        let window = if span == Span::Minute { &self.minute } else { &self.ten };
        let mut all = Counts::default();
        let mut since = Duration::ZERO;
        for (began, sketch) in window.past.iter().chain(&window.running).chain(newest) {
            sketch.each(&mut see);
            all += sketch.all();
            since = since.max(now.saturating_duration_since(*began));
        }
        (since, all)
    }

    /// The slice of the minute that runs now.
    fn turn(&mut self, now: Instant) -> &mut Sketch {
        if self.minute.is_over(now)
            && let Some((began, over)) = &self.minute.running
        {
            self.ten.turn(*began).absorb(over);
        }
        self.ten.forget(now);
        self.minute.turn(now)
    }
}

/// With when it began.
type Slice = (Instant, Box<Sketch>);

#[derive(Debug)]
struct Window {
    slice: Duration,
    running: Option<Slice>,
    /// The oldest first.
    past: VecDeque<Slice>,
}

impl Window {
    fn of(long: Duration) -> Self {
        Self { slice: long / SLICES, running: None, past: VecDeque::new() }
    }

    /// Whether the slice that ran has ended.
    fn is_over(&self, now: Instant) -> bool {
        self.running.as_ref().is_some_and(|(began, _)| now >= *began + self.slice)
    }

    /// The slice that runs now: a new one where none does.
    fn turn(&mut self, now: Instant) -> &mut Sketch {
        let over = self.is_over(now);
        self.past.extend(self.running.take_if(|_| over));
        let freed = self.forget(now);
        let anew = || {
            let mut sketch = freed.unwrap_or_default();
            sketch.clear();
            (now, sketch)
        };
        &mut self.running.get_or_insert_with(anew).1
    }

    /// Forgets slices of which nothing is in the window any more; gives the room of one.
    fn forget(&mut self, now: Instant) -> Option<Box<Sketch>> {
        let gone = |(began, _): &Slice| now >= *began + self.slice * (SLICES + 1);
        let mut freed = None;
        while self.past.front().is_some_and(gone) {
            freed = self.past.pop_front().map(|(_, sketch)| sketch);
        }
        let running = self.running.take_if(|slice| now >= slice.0 + self.slice * (SLICES + 1));
        running.map(|(_, sketch)| sketch).or(freed)
    }
}
