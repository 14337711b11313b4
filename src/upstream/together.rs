//! Several asked together.

use std::future::pending;
use std::panic::resume_unwind;
use tokio::task::JoinSet;

/// What all of them answered, in the order of their ends. Never where one of them was given up: only the runtime does that, when it
/// ends, and its end takes who waits here as well. Tokio's `join_all` panics there.
///
/// # Panics
/// Where one of them did.
pub async fn all_answers<T: 'static>(mut asked: JoinSet<T>) -> Vec<T> {
    let mut answers = Vec::with_capacity(asked.len());
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => pending().await,
            },
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn asked(numbers: impl IntoIterator<Item = u8>) -> JoinSet<u8> {
        numbers.into_iter().map(|number| async move { number }).collect()
    }

    #[tokio::test]
    async fn all_are_waited_for() {
        let mut answers = all_answers(asked(0..5)).await;
        answers.sort_unstable();
        assert_eq!(answers, [0, 1, 2, 3, 4]);
    }

    /// A process that ended while a sweep was under way logged a panic.
    #[tokio::test]
    async fn who_was_given_up_is_no_panic_of_who_waits() {
        let mut asked = asked([1]);
        asked.spawn(pending()).abort();
        assert!(timeout(Duration::from_millis(50), all_answers(asked)).await.is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_is_that_of_who_waits() {
        let mut asked = asked([1]);
        asked.spawn(async { panic!("on purpose") });
        all_answers(asked).await;
    }
}
