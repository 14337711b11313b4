//! Over a clock of our own: what passes in ten seconds, what a burst is, who is on whose account.

use super::*;
use proptest::prelude::*;

const CAP: usize = 1000;
const KEY: Hashed = Hashed(7);

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn rate(each_second: u32, burst: u32) -> Rate {
    Rate { count: count(each_second), per: Duration::from_secs(1), burst: count(burst) }
}

fn limiter(rate: Rate) -> (Limiter, Instant) {
    let now = Instant::now();
    (Limiter::new(rate, CAP, &[], now).unwrap(), now)
}

/// How much of so many that a key wants every millisecond it gets in ten seconds, after its burst is spent.
fn in_ten_seconds(rate: Rate, each: u32) -> f64 {
    let (limiter, began) = limiter(rate);
    assert!(limiter.take(KEY, rate.burst));
    let mut got = 0.0;
    for millisecond in 0..10_000 {
        limiter.at(began + Duration::from_millis(millisecond));
        if limiter.take(KEY, count(each)) {
            got += f64::from(each);
        }
    }
    got
}

#[test]
fn a_burst_may_come_at_once_and_then_the_rate() {
    let (limiter, began) = limiter(rate(10, 5));
    let passed = (0..20).filter(|_| limiter.take(KEY, NonZeroU32::MIN)).count();
    assert_eq!(passed, 5);
    limiter.at(began + Duration::from_millis(99));
    assert!(!limiter.take(KEY, NonZeroU32::MIN));
    limiter.at(began + Duration::from_millis(100));
    assert!(limiter.take(KEY, NonZeroU32::MIN) && !limiter.take(KEY, NonZeroU32::MIN));
    assert!(limiter.take(Hashed(8), count(5)), "others have their own");
}

#[test]
fn rates_are_kept_to_within_one_percent_over_ten_seconds_from_a_few_to_gigabytes() {
    for (each_second, burst, each) in [
        (100, 20, 1),
        (5_000, 20_000, 7),
        (1_000_000, 50_000, 1_500),
        (20_971_520, 1 << 20, 30_000),
        (333_333_333, 1 << 28, 1 << 20),
        (1_000_000_000, 1 << 30, 1_234_567),
    ] {
        let got = in_ten_seconds(rate(each_second, burst), each);
        let fair = f64::from(each_second) * 10.0;
        assert!((got / fair - 1.0).abs() < 0.01, "{each_second}/s in pieces of {each}: {got} of {fair}");
    }
}

#[test]
fn what_is_larger_than_the_burst_borrows_ahead_and_pays() {
    // Given a rate of 1000 a second with a burst of 10, and pieces of 2500
    let got = in_ten_seconds(rate(1000, 10), 2500);
    // Then one passes every 2.5 seconds
    assert!((got - 10_000.0).abs() <= 2500.0, "{got}");
    // And nothing passes until it is paid
    let (limiter, began) = limiter(rate(1000, 10));
    assert!(limiter.take(KEY, count(2500)));
    limiter.at(began + Duration::from_millis(2480));
    assert!(!limiter.take(KEY, NonZeroU32::MIN) && !limiter.take(KEY, count(2500)));
    limiter.at(began + Duration::from_millis(2500));
    assert!(limiter.take(KEY, NonZeroU32::MIN));
}

#[test]
fn who_is_charged_hears_how_long_to_be_silent() {
    let (limiter, began) = limiter(rate(1000, 100));
    assert_eq!(limiter.charge(KEY, count(100)), Duration::ZERO, "the burst");
    assert_eq!(limiter.charge(KEY, count(500)), Duration::from_millis(500));
    limiter.at(began + Duration::from_millis(200));
    assert_eq!(limiter.charge(KEY, count(1)), Duration::from_millis(301));
    limiter.at(began + Duration::from_secs(10));
    assert_eq!(limiter.charge(KEY, count(100)), Duration::ZERO);
}

#[test]
fn an_override_has_its_own_rate() {
    let now = Instant::now();
    let limiter = Limiter::new(rate(10, 1), CAP, &[(KEY, rate(10, 50))], now).unwrap();
    assert!(limiter.take(KEY, count(50)) && !limiter.take(KEY, NonZeroU32::MIN));
    assert!(limiter.take(Hashed(8), count(1)) && !limiter.take(Hashed(8), NonZeroU32::MIN));
    assert_eq!(limiter.buckets().live(), 1, "it takes no place of others");
}

#[test]
fn a_changed_rate_holds_at_once_and_debts_stay() {
    let (limiter, began) = limiter(rate(10_000, 100));
    limiter.at(began + Duration::from_secs(1));
    assert!(limiter.take(KEY, count(100)) && !limiter.take(KEY, NonZeroU32::MIN));
    // When it is changed, later
    let changed = limiter.changed(rate(20_000, 100), &[], began + Duration::from_secs(1)).unwrap();
    changed.at(began + Duration::from_secs(1));
    assert!(!changed.take(KEY, NonZeroU32::MIN), "it has had its burst");
    changed.at(began + Duration::from_millis(1010));
    let passed = (0..1000).filter(|_| changed.take(KEY, NonZeroU32::MIN)).count();
    assert!((99..=100).contains(&passed), "{passed}");
}

#[test]
fn beyond_the_cap_others_share_and_who_is_there_stays() {
    let now = Instant::now();
    let limiter = Limiter::new(rate(10, 10), 3, &[], now).unwrap();
    (0..3).for_each(|key| assert!(limiter.take(Hashed(key), NonZeroU32::MIN)));
    let passed = (100..200).filter(|key| limiter.take(Hashed(*key), NonZeroU32::MIN)).count();
    assert_eq!(passed, 10, "of all of them together");
    assert!((0..3).all(|key| limiter.take(Hashed(key), count(9))));
    assert_eq!(limiter.buckets().spilled(), 100);
    // When time has passed, then there is room
    limiter.trim(now + Duration::from_secs(10));
    limiter.at(now + Duration::from_secs(10));
    assert_eq!(limiter.buckets().live(), 0);
    assert!(limiter.take(Hashed(100), count(10)) && limiter.take(Hashed(101), count(10)));
}

#[test]
fn who_owes_is_not_forgotten() {
    let (limiter, began) = limiter(rate(1000, 10));
    assert!(limiter.take(KEY, count(2000)));
    limiter.trim(began + Duration::from_secs(1));
    limiter.at(began + Duration::from_secs(1));
    assert!(!limiter.take(KEY, NonZeroU32::MIN));
    assert_eq!(limiter.buckets().live(), 1);
}

#[test]
fn debts_stay_where_a_rate_wants_finer_ticks_after_weeks() {
    // Given a limit that has been there for a month, one key that owes something and one with a rate of its own
    let own = Hashed(2);
    let began = Instant::now();
    let limiter = Limiter::new(rate(1000, 1000), 1000, &[(own, rate(10, 10))], began).unwrap();
    let later = |millis| began + Duration::from_hours(30 * 24) + Duration::from_millis(millis);
    limiter.at(later(0));
    assert!(limiter.take(KEY, count(1000)) && limiter.take(own, count(10)));
    // When it is to count bytes by the gigabyte
    let mega = 1 << 20;
    let changed = limiter.changed(rate(1000 * mega, 1000 * mega), &[(own, rate(10, 10))], later(500)).unwrap();
    // Then it has not worn out, who owes half a second owes it still, and the others may have all
    changed.at(later(500));
    assert!(!changed.is_worn(later(500)));
    assert!(changed.take(KEY, count(499 * mega)) && !changed.take(KEY, count(2 * mega)));
    assert!(changed.take(own, count(5)) && !changed.take(own, NonZeroU32::MIN));
    assert!(changed.take(Hashed(3), count(1000 * mega)) && !changed.take(Hashed(3), NonZeroU32::MIN));
}

#[test]
fn who_has_a_rate_of_its_own_owes_under_another_too() {
    let (own, other) = (Hashed(2), Hashed(3));
    let now = Instant::now();
    let limiter = Limiter::new(rate(10, 10), 10, &[(own, rate(20, 20)), (other, rate(20, 20))], now).unwrap();
    assert!(limiter.take(own, count(20)) && limiter.take(other, count(20)));
    let changed = limiter.changed(rate(10, 10), &[(own, rate(30, 30))], now).unwrap();
    assert!(!changed.take(own, count(30)), "it has had something");
    assert!(changed.take(other, count(10)), "it has the rate of all");
}

#[test]
fn a_clock_wears_out_and_is_wound_up() {
    let (limiter, began) = limiter(rate(1_000_000_000, 1));
    let later = |days: u64| began + Duration::from_secs(days * 86_400);
    assert!(!limiter.is_worn(later(12)));
    assert!(limiter.is_worn(later(14)));
    let wound = limiter.changed(rate(1_000_000_000, 1), &[], later(14)).unwrap();
    assert!(!wound.is_worn(later(20)));
    let (records, began) = self::limiter(rate(5000, 1));
    assert!(!records.is_worn(began + Duration::from_secs(10 * 365 * 86_400)));
}

#[test]
fn a_rate_that_cannot_be_kept_is_refused() {
    let now = Instant::now();
    let slow = Rate { count: NonZeroU32::MIN, per: Duration::from_secs(86_400), burst: NonZeroU32::MAX };
    assert_eq!(Limiter::new(slow, CAP, &[], now).unwrap_err(), Unkept::TooSlow);
}

#[test]
fn several_threads_get_no_more_than_one() {
    let (limiter, _) = limiter(rate(10, 1000));
    let take = || (0..1000).filter(|_| limiter.take(KEY, NonZeroU32::MIN)).count();
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 1000);
}

proptest! {
    /// Whatever is asked, a key never gets more than its burst, its rate and one piece that was larger than its burst.
    #[test]
    fn nobody_gets_more_than_burst_and_rate(
        each_second in 1..2_000_000_000_u32,
        burst in 1..1_000_000_u32,
        asked in prop::collection::vec((0..200_000_u64, 1..u32::MAX, any::<bool>()), 1..60),
    ) {
        let (limiter, began) = limiter(rate(each_second, burst));
        let (mut now, mut got, mut largest) = (0_u64, 0_u128, 0_u128);
        for (microseconds, wanted, one) in asked {
            now += microseconds;
            limiter.at(began + Duration::from_micros(now));
            let wanted = if one { 1 } else { wanted };
            if limiter.take(KEY, count(wanted)) {
                got += u128::from(wanted);
                largest = largest.max(u128::from(wanted));
            }
        }
        let fair = u128::from(burst) + u128::from(each_second) * u128::from(now) / 1_000_000;
        prop_assert!(got <= fair + fair / 100 + largest + 1, "{} of {}", got, fair);
    }
}

#[test]
fn a_look_says_what_would_be_and_costs_nothing() {
    let began = Instant::now();
    let after = |ms| began + Duration::from_millis(ms);
    let of = |count| NonZeroU32::new(count).unwrap();
    let rate = |count, burst| Rate { count: of(count), per: Duration::from_secs(1), burst: of(burst) };
    let (key, own) = (Hashed(1), Hashed(2));
    let limiter = Limiter::new(rate(10, 5), 100, &[(own, rate(1, 1))], began).unwrap();
    let look = |key, count, ms| {
        let Look { left, wait, is_own, .. } = limiter.look(key, of(count), after(ms));
        (left, wait, is_own)
    };
    let ms = Duration::from_millis;
    // Given a key that has taken three of five, whoever looks
    assert_eq!(look(key, 5, 0), (5, ms(0), false));
    limiter.at(began);
    (0..3).for_each(|_| assert!(limiter.take(key, NonZeroU32::MIN)));
    (0..9).for_each(|_| assert_eq!(look(key, 2, 0), (2, ms(0), false)));
    // Then three wait for the third, which comes back in a tenth of a second, and what is larger than the burst passes
    assert_eq!(look(key, 3, 0), (2, ms(100), false));
    assert_eq!(look(key, 3, 100), (3, ms(0), false));
    assert_eq!(look(key, 50, 0), (2, ms(0), false));
    // And what it says is so
    limiter.at(after(50));
    assert!(limiter.take(key, of(2)) && !limiter.take(key, of(1)));
    assert_eq!(look(key, 1, 50), (0, ms(50), false));
    // And a key with a rate of its own is told by that
    assert_eq!(look(own, 1, 50), (1, ms(0), true));
    assert!(limiter.take(own, of(1)));
    assert_eq!(look(own, 1, 50), (0, ms(1000), true));
}
