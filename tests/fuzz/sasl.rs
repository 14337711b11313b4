//! Logging in, at both sides: whole exchanges with what was damaged on the way, and files of users.

use super::messages::damage::damage;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::config::Secret;
use fishplate::security::client::{ClientExchange, Credentials};
use fishplate::security::plain::{LONGEST, Message};
use fishplate::security::scram::messages::{ClientFinal, ClientFirst, ServerFinal, ServerFirst};
use fishplate::security::scram::{Credential, Hash};
use fishplate::security::server::{ServerExchange, Step};
use fishplate::security::users::{Line, Users, with};
use fishplate::types::Mechanism;
use std::num::NonZeroU32;
use tokio::runtime::Runtime;

/// One user, and who logs in as it.
pub struct Sasl {
    text: String,
    users: Users,
    logins: Vec<Credentials>,
}

impl Sasl {
    pub fn new() -> Self {
        let iterations = NonZeroU32::new(4096).expect("not zero");
        let credential = Credential::derive(Hash::Sha256, "secret", b"a salt of 16 byt", iterations);
        let text = with("", &[Line { name: "alice", hash: Hash::Sha256, credential }]);
        let login = |user| Credentials::password(Mechanism::ScramSha256, user, Secret::new("secret".to_owned()));
        let users = Users::read(&text).expect("users");
        Self { text, users, logins: ["alice", "nobody", "a=l,i"].map(login).to_vec() }
    }

    /// Whether what was made passed. Panics where somebody is let in by what was damaged or is not there.
    pub fn any(&self, rng: &mut Rng, runtime: &Runtime) -> bool {
        match rng.u8(..10) {
            0 => Users::read(&String::from_utf8_lossy(&damage(rng, &Bytes::from(self.text.clone())))).is_ok(),
            1 => noise(rng),
            2 => plain(rng),
            _ => self.exchange(rng, runtime).is_some(),
        }
    }

    /// Salts a password for what is damaged in one case of many: that takes milliseconds.
    fn exchange(&self, rng: &mut Rng, runtime: &Runtime) -> Option<()> {
        let who = rng.usize(..self.logins.len());
        let mut client: ClientExchange = runtime.block_on(self.logins.get(who)?.exchange()).ok()?;
        let mut server = ServerExchange::new(Mechanism::ScramSha256).ok()?;
        let (at, mut spoiled) = (rng.u8(..4), false);
        let first = spoil(rng, at == 0, client.first(), &mut spoiled);
        let Ok(Step::Challenge(challenge)) = server.step(&first, &self.users) else { return None };
        // The password is not salted anew for each damaged salt.
        let is_due = at == 1 && rng.u8(..50) == 0;
        let challenge = spoil(rng, is_due, challenge, &mut spoiled);
        let proof = client.step(&challenge).ok()??;
        let proof = spoil(rng, at == 2, proof, &mut spoiled);
        let Ok(Step::Done { user, answer, .. }) = server.step(&proof, &self.users) else { return None };
        assert!(user == "alice" && who == 0, "{user} was let in");
        assert!(!spoiled, "somebody was let in by what was damaged");
        let last = spoil(rng, at == 3, answer, &mut spoiled);
        let is_over = client.step(&last).ok()?;
        assert!(is_over.is_none() && !spoiled, "a server was believed that was not the one");
        Some(())
    }
}

fn spoil(rng: &mut Rng, is_due: bool, message: Bytes, spoiled: &mut bool) -> Bytes {
    let sent = if is_due { damage(rng, &message) } else { message.clone() };
    *spoiled |= sent != message;
    sent
}

/// A message of PLAIN: what is read of it stands in it, between zeros.
fn plain(rng: &mut Rng) -> bool {
    let sound = [&b"\0alice\0secret"[..], b"alice\0alice\0secret", "\0\u{e4}\0\u{1f511}".as_bytes()][rng.usize(..3)];
    let message = damage(rng, &Bytes::from_static(sound));
    let Ok(read) = Message::read(&message) else { return false };
    let again = [read.authorization_id, read.username, read.password].join("\0");
    assert!(message.starts_with(again.as_bytes()) && message.len() <= LONGEST, "{message:?}");
    assert!(
        !read.username.is_empty()
            && !read.password.is_empty()
            && !format!("{read:?}").contains(&format!("{:?}", "secret"))
    );
    true
}

fn noise(rng: &mut Rng) -> bool {
    let letters = b"n,=acrspveim0x\0\xff";
    let message: Vec<u8> = (0..rng.usize(..80)).map(|_| letters[rng.usize(..letters.len())]).collect();
    let read = [
        ClientFirst::read(&message).is_ok(),
        ServerFirst::read(&message).is_ok(),
        ClientFinal::read(&message).is_ok(),
        ServerFinal::read(&message).is_ok(),
    ];
    read.contains(&true)
}
