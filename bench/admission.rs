//! What policy costs: processor time of one thread a record, beside what decompressing alone costs, in one run and taken
//! in turns. `cargo bench --bench admission` prints Markdown tables; words behind `--` choose sections and codecs by their names.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a program that prints its results")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

use bytes::Bytes;
use fishplate::config;
use fishplate::policy::admission::{Asked, Policy};
use fishplate::policy::keys::{Hashed, Key, Part, Secret, Share, Who};
use fishplate::policy::limit::{Action, Limit, Secrets, Unit};
use fishplate::policy::limiter::{Limiter, Rate};
use fishplate::policy::names::Names;
use fishplate::policy::talkers::Talkers;
use fishplate::policy::verdict::Verdict;
use fishplate::wire::batch::edit::{Edit, Lane, Sender};
use fishplate::wire::batch::produced::{lay_out, open, plain};
use fishplate::wire::batch::{Codec, HEADER};
use fishplate::wire::compression::{Desk, Press, Scratch, pack, unpack};
use rustix::time::{ClockId, clock_gettime};
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

#[path = "src/events.rs"]
mod events;

const CODECS: [(&str, Codec, i16); 5] = [
    ("none", Codec::None, 0),
    ("lz4", Codec::Lz4, 3),
    ("snappy", Codec::Snappy, 2),
    ("zstd", Codec::Zstd, 4),
    ("gzip", Codec::Gzip, 1),
];
/// Different tokens in a batch.
const TOKENS: usize = 50;
/// Each is measured so often, the others in between; the median is shown.
const ROUNDS: usize = 25;
/// So long at least is measured at once.
const ONE: Duration = Duration::from_millis(4);

fn main() {
    let sections: [(&str, fn()); 5] =
        [("admission", admission), ("edited", edited), ("limiter", limiter), ("keys", keys), ("hash", hashes)];
    chosen(&sections, |(name, _)| name).into_iter().for_each(|(_, section)| section());
}

/// Those that the words of the command line name, or all.
fn chosen<T: Copy>(all: &[T], name: impl Fn(&T) -> &str) -> Vec<T> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let named: Vec<_> = all.iter().copied().filter(|one| words.iter().any(|word| word == name(one))).collect();
    if named.is_empty() { all.to_vec() } else { named }
}

fn codecs() -> Vec<(&'static str, Codec, i16)> {
    chosen(&CODECS, |(name, ..)| name)
}

/// Processor time that this thread has used.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds that each of these works takes for one of `units`, taken in turns.
fn measure(units: usize, works: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut runs = vec![1_u32; works.len()];
    for (work, runs) in works.iter_mut().zip(&mut runs) {
        work();
        loop {
            let before = used();
            (0..*runs).for_each(|_| work());
            if used().saturating_sub(before) >= ONE {
                break;
            }
            *runs *= 2;
        }
    }
    let mut took = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for ((work, runs), took) in works.iter_mut().zip(&runs).zip(&mut took) {
            let before = used();
            (0..*runs).for_each(|_| work());
            took.push(used().saturating_sub(before).as_nanos() as f64 / f64::from(*runs) / units as f64);
        }
    }
    took.into_iter().map(median).collect()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn batch(records: usize, codec: Codec, bits: i16) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    pack(codec, &events::section(0, records, TOKENS), b"", &mut bytes, &mut Press::default()).unwrap();
    let length = i32::try_from(bytes.len() - 12).unwrap();
    let count = i32::try_from(records).unwrap();
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(8, &length.to_be_bytes());
    put(16, &[2]);
    put(21, &bits.to_be_bytes());
    put(23, &(count - 1).to_be_bytes());
    put(43, &[0xff; 14]);
    put(57, &count.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

const PLENTY: Rate = Rate { count: NonZeroU32::MAX, per: Duration::from_secs(1), burst: NonZeroU32::MAX };

/// So many limits by token, of which nobody has too much; or, where `few`, nearly everybody.
fn policy(limits: usize, action: &Action, few: bool) -> Policy {
    made(limits, action, few, false)
}

/// The same; where `heard`, it is noted who speaks most.
fn made(limits: usize, action: &Action, few: bool, heard: bool) -> Policy {
    let mut names = Names::default();
    let token = names.ask(b"token").unwrap();
    let rate = if few { Rate { count: NonZeroU32::MIN, burst: NonZeroU32::MIN, ..PLENTY } } else { PLENTY };
    let limit = |number| Limit {
        name: format!("limit-{number}"),
        key: Key::new(vec![Part::Header(token)]),
        unit: Unit::Records,
        limiter: Limiter::new(rate, 1_000_000, &[], Instant::now()).unwrap(),
        action: action.clone(),
        enforced: Share::ALL,
    };
    let by_token = || Talkers::new(config::policy::Key::Record, Key::new(vec![Part::Header(token)]));
    let talkers = heard.then(by_token).into_iter().collect();
    let secrets = Secrets { buckets: Secret::random(), shares: Secret::of("bench") };
    Policy::new(names, (0..limits).map(limit).collect(), secrets, talkers)
}

/// All that is done to a batch that goes on as it is.
fn admit(bytes: &[u8], policy: &Policy, desk: &mut Desk, verdict: &mut Verdict) {
    let batch = open(bytes).unwrap();
    lay_out(&batch, desk).unwrap();
    let asked = Asked {
        header: &batch.header,
        plain: plain(&batch, &desk.plain),
        who: Who::default(),
        may_be_parted: true,
        now: Instant::now(),
        time: SystemTime::now(),
    };
    policy.judge(&asked, verdict).unwrap();
}

fn admission() {
    println!("### Admission, ns a record of 1 KiB, {TOKENS} tokens a batch, nothing is too much\n");
    println!(
        "| codec | records | decompress | walk, no limit | 1 limit | with top talkers | 8 limits | 1 limit / decompress |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (name, codec, bits) in codecs() {
        for records in [100, 1000] {
            let bytes = batch(records, codec, bits);
            let policies = [0, 1, 8].map(|limits| policy(limits, &Action::Observe, false));
            let (mut plain, mut press) = (Scratch::default(), Press::default());
            let mut decompress = || {
                if codec != Codec::None {
                    unpack(codec, &bytes[HEADER..], &mut plain, &mut press).unwrap();
                    black_box(plain.filled());
                }
            };
            let heard = made(1, &Action::Observe, false, true);
            let mut tables = [0, 1, 2, 3].map(|_| (Desk::default(), Verdict::default()));
            let [(desk0, verdict0), (desk1, verdict1), (desk8, verdict8), (deskh, verdicth)] = &mut tables;
            let mut admit0 = || admit(black_box(&bytes), &policies[0], desk0, verdict0);
            let mut admit1 = || admit(black_box(&bytes), &policies[1], desk1, verdict1);
            let mut admit8 = || admit(black_box(&bytes), &policies[2], desk8, verdict8);
            let mut admit_heard = || admit(black_box(&bytes), &heard, deskh, verdicth);
            let took =
                measure(records, &mut [&mut decompress, &mut admit0, &mut admit1, &mut admit_heard, &mut admit8]);
            let ratio = if codec == Codec::None { "-".to_owned() } else { format!("{:.3}", took[2] / took[0]) };
            println!(
                "| {name} | {records} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {ratio} |",
                took[0], took[1], took[2], took[3], took[4]
            );
        }
    }
    println!();
}

fn edited() {
    println!("### Edited, ns a record: a batch of 1 KiB records, most of them to another lane\n");
    println!("| codec | records | decompress + compress | admitted and edited | ratio |");
    println!("|---|---:|---:|---:|---:|");
    let lane = Lane(1);
    for (name, codec, bits) in codecs() {
        for records in [100, 1000] {
            let bytes = batch(records, codec, bits);
            let policy = policy(1, &Action::Overflow { lane, null_key: false }, true);
            let (mut scratch, mut press) = (Scratch::default(), Press::default());
            let mut alone = || {
                unpack(codec, &bytes[HEADER..], &mut scratch, &mut press).unwrap();
                let mut out = Vec::new();
                pack(codec, scratch.filled(), &bytes[HEADER..], &mut out, &mut press).unwrap();
                black_box(Bytes::from(out));
            };
            let (mut desk, mut verdict) = (Desk::default(), Verdict::default());
            let mut edit = || {
                admit(black_box(&bytes), &policy, &mut desk, &mut verdict);
                let batch = open(&bytes).unwrap();
                assert!(batch.is_intact());
                let Desk { plain, edited, press } = &mut desk;
                let plain = if codec == Codec::None { batch.section() } else { plain.filled() };
                let edit = Edit { batch: &batch, plain, fates: &verdict.fates, changes: &verdict.changes };
                for lane in [Lane::MAIN, lane] {
                    black_box(edit.to(lane, Sender::of(&batch.header), edited, press).unwrap());
                }
            };
            let took = measure(records, &mut [&mut alone, &mut edit]);
            println!("| {name} | {records} | {:.1} | {:.1} | {:.3} |", took[0], took[1], took[1] / took[0]);
        }
    }
    println!();
}

/// Keys as they come: no order.
fn scattered(count: usize) -> Vec<Hashed> {
    let mut dice = events::Dice(3);
    (0..count).map(|_| Hashed(dice.roll() ^ dice.roll() << 32)).collect()
}

fn limiter() {
    println!("### The limiter, ns a check\n");
    println!("| keys | ours, time told once a batch | governor's own dashmap and clock |");
    println!("|---:|---:|---:|");
    for count in [1, 50, 1000, 100_000, 1_000_000] {
        let keys = scattered(count);
        let ours = Limiter::new(PLENTY, 2_000_000, &[], Instant::now()).unwrap();
        let quota = governor::Quota::per_second(NonZeroU32::MAX);
        let theirs = governor::RateLimiter::<u64, _, _>::keyed(quota);
        let (mut one, mut other) = (0, 0);
        let mut ask_ours = || {
            ours.at(Instant::now());
            for _ in 0..1000 {
                one = (one + 1) % count;
                black_box(ours.take(keys[one], NonZeroU32::MIN));
            }
        };
        let mut ask_theirs = || {
            for _ in 0..1000 {
                other = (other + 1) % count;
                black_box(theirs.check_key(&keys[other].0).is_ok());
            }
        };
        (0..count / 1000).for_each(|_| ask_ours());
        (0..count / 1000).for_each(|_| ask_theirs());
        let took = measure(1000, &mut [&mut ask_ours, &mut ask_theirs]);
        println!("| {count} | {:.1} | {:.1} |", took[0], took[1]);
    }
    println!();
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

fn keys() {
    println!("### A million keys in one limit\n");
    let before = resident();
    // One an hour: nobody has paid for anything when they are counted.
    let hour = Duration::from_secs(3600);
    let slow = Rate { count: NonZeroU32::MIN, per: hour, burst: NonZeroU32::new(1000).unwrap() };
    let limiter = Limiter::new(slow, 2_000_000, &[], Instant::now()).unwrap();
    let keys = scattered(1_000_000);
    let with_keys = resident();
    limiter.at(Instant::now());
    for key in &keys {
        black_box(limiter.take(*key, NonZeroU32::MIN));
    }
    let after = resident();
    println!("- {:.1} MiB for {} keys, {:.1} MiB for none", (after - with_keys) / 1048576.0, keys.len(), {
        (with_keys - before) / 1048576.0 - 8_000_000.0 / 1048576.0
    });
    let begin = used();
    limiter.trim(Instant::now());
    let none = used().saturating_sub(begin);
    let begin = used();
    limiter.trim(Instant::now() + 2 * hour);
    println!("- trimming them: {none:?} where all stay, {:?} where all go; a shard of 1024 at a time", used() - begin);
    println!("- {:.1} MiB when they are gone\n", (resident() - with_keys) / 1048576.0);
}

fn hashes() {
    println!("### Hashing a token of 40 bytes, ns\n");
    let tokens: Vec<String> = (0..1000).map(|number| format!("phc_{:032x}{number:04}", 7)).collect();
    let secret = Secret::random();
    let key = Key::new(vec![Part::ClientId]);
    let ours = |token: &str| key.of_client(secret, Who { client_id: token, ..Who::default() }).0;
    let state = std::hash::RandomState::new();
    let standard = |token: &str| written(state.build_hasher(), token);
    let quality = foldhash::quality::RandomState::default();
    let folded = |token: &str| written(quality.build_hasher(), token);
    let all = |hash: &dyn Fn(&str) -> u64| tokens.iter().map(|token| hash(token)).fold(0, u64::wrapping_add);
    let mut ours = || _ = black_box(all(&ours));
    let mut standard = || _ = black_box(all(&standard));
    let mut fold = || _ = black_box(all(&folded));
    let took = measure(tokens.len(), &mut [&mut ours, &mut standard, &mut fold]);
    println!("| SipHash-1-3 (ours) | SipHash-1-3 of std | foldhash |");
    println!("|---:|---:|---:|");
    println!("| {:.1} | {:.1} | {:.1} |\n", took[0], took[1], took[2]);
}

fn written(mut hasher: impl Hasher, token: &str) -> u64 {
    hasher.write(token.as_bytes());
    hasher.finish()
}
