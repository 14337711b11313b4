use super::*;
use crate::security::server::{OTHERS_NAME, ServerExchange, Step, WRONG_PASSWORD};
use crate::types::Mechanism;
use proptest::prelude::*;

fn kept(name: &str, hash: Hash, password: &str, iterations: u32) -> String {
    let iterations = NonZeroU32::new(iterations).unwrap();
    Line { name, hash, credential: Credential::new(hash, password, iterations).unwrap() }.to_string()
}

fn wrong(text: &str) -> String {
    Users::read(text).map(|_| ()).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_is_read_line_by_line() {
    let alice = kept("alice", Hash::Sha256, "secret", 4096);
    let bob = kept("bob", Hash::Sha512, "secret", 8192);
    let users = Users::read(&format!("# users\n\n{alice}\n  {bob}  \n")).unwrap();
    assert_eq!((users.len(), users.is_empty(), users.lacking(Hash::Sha256)), (2, false, 1));
    let mut all: Vec<_> = users.iter().collect();
    all.sort();
    assert_eq!(all, [("alice", vec![(Hash::Sha256, 4096)]), ("bob", vec![(Hash::Sha512, 8192)])]);
    assert!(users.scram("alice", Hash::Sha256).is_real && !users.scram("alice", Hash::Sha512).is_real);
    let made_up = users.scram("alice", Hash::Sha512).credential;
    assert_eq!((made_up.iterations.get(), made_up.salt.len()), (8192, 32), "as those that there are");
    assert!(Users::read("").unwrap().is_empty());
}

#[test]
fn what_is_told_of_nobody_stays_the_same_and_looks_like_somebody() {
    let lines = |names: &[&str]| {
        let iterations = |place: usize| if place.is_multiple_of(3) { 8192 } else { 4096 };
        let lines = names.iter().enumerate().map(|(place, name)| kept(name, Hash::Sha256, "secret", iterations(place)));
        lines.collect::<Vec<_>>().join("\n")
    };
    let of = |text: &str, name: &str| {
        let found = Users::read(text).unwrap().scram(name, Hash::Sha256).credential;
        (found.salt.to_vec(), found.iterations.get())
    };
    let before = keyed(&lines(&["a", "b", "c"]), &[7; 32]);
    assert_eq!(keyed(&before, &[8; 32]), before, "it is written once");
    let after = keyed(&lines(&["a", "b", "c", "d", "e", "f"]), &[7; 32]);
    assert_eq!(of(&before, "nobody").0, of(&after, "nobody").0, "also when there are other users");
    assert_ne!(of(&before, "nobody").0, of(&before, "nobody else").0);
    let rare = (0..300).filter(|number| of(&after, &number.to_string()).1 == 8192).count();
    assert!((60..140).contains(&rare), "a third, as of the users: {rare}");
    let replica = Users::read(&after).unwrap();
    assert_eq!(replica.len(), 6, "to who reads users it is a comment");
}

#[test]
fn what_kafka_keeps_is_read() {
    // As `kafka-configs --describe` showed it, of Kafka 2.6 with ZooKeeper.
    let salt = "salt=MXEwcGtncnpsd3p6OGU5aDdtMXl4bWo0bQ==";
    let key = messages_of(32);
    let line = format!("alice SCRAM-SHA-256 {salt},stored_key={key},server_key={key},iterations=4096");
    assert_eq!(Users::read(&line).unwrap().len(), 1);
}

fn messages_of(bytes: usize) -> String {
    crate::security::scram::messages::base64(&vec![7; bytes])
}

#[test]
fn what_is_wrong_is_told_by_lines_and_without_secrets() {
    let key = messages_of(32);
    let rest = format!("salt=c2FsdHNhbHQ=,stored_key={key},server_key={key}");
    let good = format!("a SCRAM-SHA-256 {rest},iterations=4096");
    for (text, what) in [
        ("alice hunter2".to_owned(), "line 1: a line is a name, a mechanism"),
        (format!("a PLAIN {rest},iterations=4096"), "keeps no credentials"),
        (format!("a SCRAM-SHA-256 {rest}"), "needs iterations of 4096 to 16384"),
        (format!("a SCRAM-SHA-256 {rest},iterations=100"), "needs iterations"),
        (format!("a SCRAM-SHA-512 {rest},iterations=4096"), "has a stored_key that is not of 64 bytes"),
        (format!("a SCRAM-SHA-256 {rest},iterations=4096,password=hunter2"), "none of salt, stored_key"),
        (format!("a SCRAM-SHA-256 {rest},iterations=4096,iterations=4096"), "has two of iterations"),
        ("a SCRAM-SHA-256 salt=hunter2!,iterations=4096".to_owned(), "has a salt that is not base64"),
        (
            format!("a SCRAM-SHA-256 salt=AAAA,stored_key={key},server_key={key},iterations=4096"),
            "not of 8 to 255 bytes",
        ),
        (format!("\u{e4} SCRAM-SHA-256 {rest},iterations=4096"), "visible ASCII"),
        (format!("{good}\n\n{good}"), "line 3: `a` has another SCRAM-SHA-256 above"),
    ] {
        let told = wrong(&text);
        assert!(told.contains(what), "{text}: {told}");
        assert!(!told.contains("hunter2") && !told.contains(&key), "{told}");
    }
    assert_eq!(wrong(&"x\n".repeat(1000)).lines().count(), 20);
}

#[test]
fn a_file_is_changed_where_it_must_be() {
    let [old, new] =
        ["old", "new"].map(|password| Credential::new(Hash::Sha256, password, NonZeroU32::new(4096).unwrap()).unwrap());
    let line = |name, credential: &Credential| Line { name, hash: Hash::Sha256, credential: credential.clone() };
    let text = format!("# mine\n{}\n{}\n", line("alice", &old), line("bob", &old));
    let changed = with(&text, &[line("alice", &new), line("eve", &new)]);
    assert_eq!(changed, format!("# mine\n{}\n{}\n{}\n", line("alice", &new), line("bob", &old), line("eve", &new)));
    assert_eq!(without(&changed, "alice").unwrap(), format!("# mine\n{}\n{}\n", line("bob", &old), line("eve", &new)));
    assert_eq!(without(&text, "al"), None);
    assert!(with("", &[line("alice", &new)]).starts_with("# Users"));
}

fn plain(users: &Users, message: &str) -> Result<Step, crate::security::server::Refusal> {
    ServerExchange::new(Mechanism::Plain).unwrap().step(message.as_bytes(), users)
}

#[test]
fn plain_is_checked_against_what_scram_keeps() {
    for hash in Hash::ALL {
        let users = Users::read(&kept("alice", hash, "secret", 4096)).unwrap();
        assert_eq!(plain(&users, "\0alice\0secret"), Ok(Step::done("alice", bytes::Bytes::new())));
        assert_eq!(plain(&users, "alice\0alice\0secret"), Ok(Step::done("alice", bytes::Bytes::new())));
        let told = |message| plain(&users, message).unwrap_err().told;
        assert_eq!(told("\0alice\0Secret"), Some(WRONG_PASSWORD));
        assert_eq!(told("\0nobody\0secret"), Some(WRONG_PASSWORD));
        assert_eq!(told("root\0alice\0secret"), Some(OTHERS_NAME));
        assert_eq!(told("root\0alice\0wrong"), Some(WRONG_PASSWORD), "who knows no password learns nothing else");
        for (malformed, words) in [
            ("", "expected 3 tokens, got 1"),
            ("alice", "expected 3 tokens, got 1"),
            ("\0alice", "expected 3 tokens, got 2"),
            ("alice\0alice\0secret\0more", "expected 3 tokens, got 4"),
            ("alice\0alice\0secret\0", "expected 3 tokens, got 4"),
            ("\0\0secret", "username not specified"),
            ("\0alice\0", "password not specified"),
        ] {
            assert!(told(malformed).is_some_and(|told| told.contains(words)), "{malformed}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-zA-Z0-9 =,#\n\\PC-]{0,200}") {
        let _any = Users::read(&text).map(|_| ());
    }
}
