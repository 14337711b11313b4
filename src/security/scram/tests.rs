use super::client::{self, Login};
use super::messages::{self, ClientFinal, ClientFirst, Malformed, ServerFinal, ServerFirst};
use super::*;
use crate::config::Secret;
use crate::security::client::Refused;
use crate::security::server::{OTHERS_NAME, Refusal, Step};
use crate::security::users::{Line, Users, with};
use proptest::prelude::*;

const CLIENT: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const ROUNDS: NonZeroU32 = NonZeroU32::new(FEWEST_ITERATIONS).unwrap();

/// What is said in an exchange of user `user` with password `pencil` and the nonces of RFC 7677, for each hash: that of
/// RFC 7677, and the same reckoned with Python's hashlib.
fn vectors() -> [(Hash, &'static str, [&'static str; 3]); 2] {
    let sha512 = include_str!("sha512.txt").lines().collect::<Vec<_>>();
    [
        (
            Hash::Sha256,
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            [
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ],
        ),
        (Hash::Sha512, sha512[0], [sha512[1], sha512[2], sha512[3]]),
    ]
}

fn users(hash: Hash, salt: &str, name: &str) -> Users {
    use base64::Engine;
    let salt = base64::engine::general_purpose::STANDARD.decode(salt).unwrap();
    let credential = Credential::derive(hash, "pencil", &salt, ROUNDS);
    Users::read(&with("", &[Line { name, hash, credential }])).unwrap()
}

fn client(hash: Hash, name: &str, password: &str) -> client::Exchange {
    client::Exchange::with_nonce(&Login::new(hash, name, Secret::new(password.to_owned())), CLIENT.to_owned())
}

fn challenge(server: &mut server::Exchange, users: &Users, first: &str) -> String {
    match server.step(first.as_bytes(), users) {
        Ok(Step::Challenge(answer)) => String::from_utf8(answer.to_vec()).unwrap(),
        other => panic!("{first}: {other:?}"),
    }
}

#[test]
fn both_sides_say_what_the_vectors_say() {
    for (hash, salt, [server_first, client_final, server_final]) in vectors() {
        let users = users(hash, salt, "user");
        let mut client = client(hash, "user", "pencil");
        let mut server = server::Exchange::with_nonce(hash, SERVER.to_owned());
        assert_eq!(client.first(), format!("n,,n=user,r={CLIENT}"));
        assert_eq!(challenge(&mut server, &users, &client.first()), server_first);
        assert_eq!(client.step(server_first.as_bytes()).unwrap().unwrap(), client_final);
        let done = server.step(client_final.as_bytes(), &users).unwrap();
        assert_eq!(done, Step::done("user", server_final.to_owned().into()));
        assert_eq!(client.step(server_final.as_bytes()), Ok(None));
        assert!(client.is_over() && client.step(server_final.as_bytes()).is_err());
        assert!(server.step(client_final.as_bytes(), &users).is_err(), "an exchange is over once");
    }
}

/// How an exchange ends at the server, and what it said first.
fn ends(users: &Users, name: &str, password: &str) -> (Result<Step, Refusal>, String) {
    let hash = Hash::Sha256;
    let (mut client, mut server) = (client(hash, name, password), server::Exchange::new(hash).unwrap());
    let told = challenge(&mut server, users, &client.first());
    let proof = client.step(told.as_bytes()).unwrap().unwrap();
    (server.step(proof.as_bytes(), users), told)
}

#[test]
fn who_is_unknown_is_told_what_is_told_to_a_wrong_password() {
    let users = users(Hash::Sha256, "W22ZaJ0SNY7soEsUEjb6gQ==", "user");
    let [(wrong, of_user), (unknown, of_nobody)] = [ends(&users, "user", "pen"), ends(&users, "nobody", "pencil")];
    let (wrong, unknown) = (wrong.unwrap_err(), unknown.unwrap_err());
    assert_eq!((wrong.told, unknown.told), (None, None));
    assert_eq!((wrong.why, unknown.why), ("the password is wrong", "there is no such user"));
    assert_eq!(unknown.claims.as_deref(), Some("nobody"));
    let salt = |told: &str| {
        let read = ServerFirst::read(told.as_bytes()).unwrap();
        (read.salt, read.iterations)
    };
    let (real, made_up) = (salt(&of_user), salt(&of_nobody));
    assert_eq!((real.0.len(), real.1), (made_up.0.len(), made_up.1), "they look alike");
    assert_eq!(salt(&ends(&users, "nobody", "x").1), made_up, "and the same each time");
    assert_ne!(salt(&ends(&users, "somebody", "x").1), made_up);
    assert_eq!(ends(&users, "user", "pencil").0.map(|step| matches!(step, Step::Done { .. })), Ok(true));
}

/// What old librdkafka says, whose proof is right for it.
#[test]
fn the_clients_part_of_the_nonce_may_be_said_twice_and_nothing_else() {
    let (hash, salt, [server_first, ..]) = vectors()[0];
    let users = users(hash, salt, "user");
    let salt = ServerFirst::read(server_first.as_bytes()).unwrap().salt;
    let keys = Keys::derive(hash, "pencil", &salt, ROUNDS);
    for (before, is_taken) in [("", true), (CLIENT, true), ("x", false), (&CLIENT[1..], false)] {
        let mut server = server::Exchange::with_nonce(hash, SERVER.to_owned());
        challenge(&mut server, &users, &format!("n,,n=user,r={CLIENT}"));
        let without_proof = format!("c=biws,r={before}{CLIENT}{SERVER}");
        let signed = format!("n=user,r={CLIENT},{server_first},{without_proof}");
        let signature = hash.hmac(&hash.digest(&keys.client), signed.as_bytes());
        let proof = messages::base64(&xor(&keys.client, &signature));
        let ended = server.step(format!("{without_proof},p={proof}").as_bytes(), &users);
        assert_eq!(ended.is_ok(), is_taken, "{before}: {ended:?}");
    }
}

#[test]
fn a_message_of_another_exchange_is_refused() {
    let (hash, salt, [_, client_final, _]) = vectors()[0];
    let users = users(hash, salt, "user");
    let mut server = server::Exchange::new(hash).unwrap();
    challenge(&mut server, &users, &format!("n,,n=user,r={CLIENT}"));
    let refusal = server.step(client_final.as_bytes(), &users).unwrap_err();
    assert!(refusal.why.contains("replayed"), "{refusal:?}");
}

#[test]
fn what_must_not_be_asked_for_is_refused() {
    let users = users(Hash::Sha256, "W22ZaJ0SNY7soEsUEjb6gQ==", "user");
    let step = |first: &str| server::Exchange::new(Hash::Sha256).unwrap().step(first.as_bytes(), &users);
    assert_eq!(step("n,a=root,n=user,r=x").unwrap_err().told, Some(OTHERS_NAME));
    assert_eq!(step("n,a=root,n=nobody,r=x").unwrap_err().told, Some(OTHERS_NAME), "whoever it is");
    assert!(step("n,a=user,n=user,r=x").is_ok());
    assert!(step("n,,n=user,r=x,tokenauth=true").is_err());
    assert!(step("n,,n=user,r=x,tokenauth=false,other=1").is_ok());
    for malformed in [
        "",
        "n",
        "n,",
        "n,,",
        "y,,n=user,r=x",
        "p=tls-unique,,n=user,r=x",
        "n,,m=x,n=user,r=x",
        "n,,n=,r=x",
        "n,,n=us=er,r=x",
        "n,,n=us=2cer,r=x",
        "n,,n=user,r=",
        "n,,n=user,r=x,",
        "n,,n=user,r=x,=1",
        "n,,n=\u{e4},r=x",
        "n,,n=a\0b,r=x",
        "n,b=user,n=user,r=x",
        "n,a=,n=user,r=x",
        "n,,r=x,n=user",
        "n,,n=user,r=a b",
    ] {
        assert!(step(malformed).is_err(), "{malformed}");
    }
    assert!(step(&format!("n,,n=user,r={}", "x".repeat(messages::LONGEST))).is_err());
}

#[test]
fn a_proof_binds_to_what_was_said_at_first() {
    let users = users(Hash::Sha256, "W22ZaJ0SNY7soEsUEjb6gQ==", "user");
    for (first, binding, is_bound) in [("n,a=user,", "biws", false), ("n,,", "biws", true), ("n,,", "eSws", false)] {
        let mut server = server::Exchange::new(Hash::Sha256).unwrap();
        let told = challenge(&mut server, &users, &format!("{first}n=user,r=x"));
        let nonce = ServerFirst::read(told.as_bytes()).unwrap().nonce;
        let refusal = server.step(format!("c={binding},r={nonce},p=AAAA").as_bytes(), &users).unwrap_err();
        assert_eq!(refusal.why == "the password is wrong", is_bound, "{refusal:?}");
    }
}

#[test]
fn a_client_is_not_led_on_by_who_does_not_know_the_password() {
    let begun = |answer: &str| client(Hash::Sha256, "user", "pencil").step(answer.as_bytes());
    assert!(matches!(begun("r=other,s=AAAA,i=4096"), Err(Refused::Unexpected(_))));
    assert!(matches!(begun(&format!("r={CLIENT},s=AAAA,i=4096")), Err(Refused::Unexpected(_))), "nothing of its own");
    for (iterations, is_taken) in [(1, false), (4095, false), (4096, true), (16_384, true), (4_000_000_000_u32, false)]
    {
        let begun = begun(&format!("r={CLIENT}x,s=AAAA,i={iterations}"));
        assert_eq!(begun.is_ok(), is_taken, "{iterations}: {begun:?}");
    }
    for malformed in [
        "",
        "e=other-error",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=+4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAA,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999",
    ] {
        assert!(begun(malformed).is_err(), "{malformed}");
    }
    let (_, _, [server_first, ..]) = vectors()[0];
    let ends = |last: &str| {
        let mut client = client(Hash::Sha256, "user", "pencil");
        client.step(server_first.as_bytes()).unwrap();
        (client.step(last.as_bytes()), client.is_over()).0
    };
    assert_eq!(ends("e=invalid-proof"), Err(Refused::Told("invalid-proof".to_owned())));
    assert!(matches!(ends("v=AAAA"), Err(Refused::Unexpected(_))));
    assert!(matches!(ends(""), Err(Refused::Malformed(_))), "saying nothing is no proof");
}

#[test]
fn a_password_is_salted_once_for_many_connections() {
    let login = Login::new(Hash::Sha512, "user", Secret::new("pencil".to_owned()));
    let (one, same) = (login.known_keys(b"salt"), login.known_keys(b"salt"));
    assert!(one == same && one != login.known_keys(b"other"));
}

#[test]
fn nothing_secret_is_in_debug_output() {
    let login = Login::new(Hash::Sha256, "user", Secret::new("pencil".to_owned()));
    let credential = Credential::derive(Hash::Sha256, "pencil", b"saltsalt", ROUNDS);
    let shown = format!("{login:?} {credential:?} {:?}", client::Exchange::new(&login).unwrap());
    assert!(!shown.contains("pencil") && !shown.contains("stored_key"), "{shown}");
}

proptest! {
    // Each salts a few passwords.
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whoever_knows_the_password_is_let_in_whatever_the_name_is(name in "[!-~]{1,40}", password in "\\PC{1,40}", other in "\\PC{1,40}") {
        let name = name.trim_start_matches('#');
        prop_assume!(!name.is_empty());
        let credential = Credential::derive(Hash::Sha256, &password, b"saltsalt", ROUNDS);
        prop_assert!(credential.is_of(Hash::Sha256, &password));
        let users = Users::read(&with("", &[Line { name, hash: Hash::Sha256, credential }])).unwrap();
        let end = ends(&users, name, &password).0;
        prop_assert!(matches!(&end, Ok(Step::Done { user, .. }) if user == name), "{end:?}");
        if other != password {
            prop_assert!(ends(&users, name, &other).0.is_err());
        }
    }

}

proptest! {
    #[test]
    fn a_first_message_says_the_name_whatever_is_in_it(name in "[ -~]{1,80}", nonce in "[!-+--~]{1,40}") {
        let (first, bare) = messages::client_first(&name, &nonce);
        let read = ClientFirst::read(first.as_bytes()).unwrap();
        prop_assert_eq!((&*read.username, read.nonce, read.bare, read.gs2_header), (&*name, &*nonce, &*bare, "n,,"));
    }

    #[test]
    fn no_message_makes_a_reader_panic(message in prop::collection::vec(prop_oneof![
        4 => prop::sample::select(b"n,=acrspvei".to_vec()), 1 => any::<u8>()], 0..60)) {
        let _any = (ClientFirst::read(&message), ServerFirst::read(&message), ClientFinal::read(&message), ServerFinal::read(&message));
    }
}

#[test]
fn a_refusal_of_a_message_repeats_nothing_of_it() {
    let malformed: Malformed = ClientFirst::read(b"n,,n=hunter2").unwrap_err();
    assert!(!malformed.to_string().contains("hunter2"));
}
