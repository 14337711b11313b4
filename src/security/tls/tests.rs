//! Handshakes in memory between what is loaded here and there; and files that are wrong.

use super::testing::{Authority, Signed, Validity};
use super::*;
use crate::config::{ClientAuth, ClientCertificates, ClientTls, Identity, PrincipalMapping, Tls};
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion, ServerConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A directory that goes when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fishplate-tls-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    fn identity(&self, name: &str, signed: &Signed) -> Identity {
        let (certificate, key) = signed.write(&self.0, name);
        Identity { certificate, key }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An authority with its file, and what a server and a client are set up with in it.
struct Stage {
    directory: Directory,
    authority: Authority,
    ca: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let (directory, authority) = (Directory::new(), Authority::new("Test CA"));
        let ca = directory.file("ca.crt", authority.certificate());
        Self { directory, authority, ca }
    }

    fn tls(&self) -> Tls {
        let signed = self.authority.server(&["kafka.example", "127.0.0.1"], Validity::Good);
        Tls { identity: self.directory.identity("server", &signed), clients: None, min_version: TlsVersion::Tls12 }
    }

    /// Who asks clients for certificates.
    fn mutual(&self, auth: ClientAuth) -> Tls {
        let principals = PrincipalMapping::parse(["RULE:^CN=(.*)$/$1/U"]).expect("a rule");
        Tls { clients: Some(ClientCertificates { ca: self.ca.clone(), auth, principals }), ..self.tls() }
    }

    fn client(&self) -> ClientTls {
        ClientTls { ca: Some(self.ca.clone()), ..ClientTls::default() }
    }

    /// A client that shows what this authority has signed.
    fn known(&self, name: &str, validity: Validity) -> ClientTls {
        let identity = self.directory.identity(name, &self.authority.client(name, validity));
        ClientTls { identity: Some(identity), ..self.client() }
    }
}

fn server(tls: &Tls) -> Server {
    Server::load(tls).expect("a server")
}

fn client(tls: &ClientTls) -> Client {
    Client::load(tls).expect("a client")
}

/// Both ends of a connection, after a handshake; or who ended it and why.
fn shake(server: &Server, client: &Client) -> Result<(ServerConnection, ClientConnection), String> {
    let name = client.server_name("kafka.example").expect("a name");
    let mut client = ClientConnection::new(client.current(), name).expect("a client");
    let mut server = ServerConnection::new(server.current()).expect("a server");
    for _ in 0..10 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).expect("memory");
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("memory");
            server.process_new_packets().map_err(|error| format!("server: {error}"))?;
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).expect("memory");
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("memory");
            client.process_new_packets().map_err(|error| format!("client: {error}"))?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((server, client))
}

fn refused(server: &Server, client: &Client) -> String {
    shake(server, client).map(drop).expect_err("refused")
}

/// What a text says before its file's directory, and behind it.
fn said(problem: &TlsProblem) -> String {
    let file = problem.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    format!("{} {}", file.unwrap_or_default(), problem.what)
}

fn why(tls: &Tls) -> String {
    said(&Server::load(tls).expect_err("a problem"))
}

#[test]
fn a_client_that_trusts_the_ca_is_served_in_the_newest_version() {
    let stage = Stage::new();
    let (server, client) = shake(&server(&stage.tls()), &client(&stage.client())).expect("a connection");
    assert_eq!((server.protocol_version(), client.protocol_version()), [Some(ProtocolVersion::TLSv1_3); 2].into());
}

#[test]
fn whoever_is_not_who_it_should_be_is_refused() {
    let stage = Stage::new();
    let stranger = Authority::new("Another CA");
    let other_ca = ClientTls { ca: Some(stage.directory.file("other.crt", stranger.certificate())), ..stage.client() };
    assert_eq!(refused(&server(&stage.tls()), &client(&other_ca)), "client: invalid peer certificate: UnknownIssuer");
    let other_name = ClientTls { server_name: Some("other.example".into()), ..stage.client() };
    let refusal = refused(&server(&stage.tls()), &client(&other_name));
    assert!(refusal.contains("not valid for name"), "{refusal}");
    for (validity, why) in [(Validity::Expired, "expired"), (Validity::NotYet, "not valid yet")] {
        let signed = stage.authority.server(&["kafka.example"], validity);
        let tls = Tls { identity: stage.directory.identity("late", &signed), ..stage.tls() };
        let late = server(&tls);
        let refusal = refused(&late, &client(&stage.client()));
        assert!(refusal.starts_with("client: ") && refusal.contains(why), "{refusal}");
        assert!(late.lapsed().is_some_and(|problem| said(&problem).starts_with("late.crt holds a certificate that")));
    }
}

#[test]
fn a_name_of_the_config_stands_for_all_brokers() {
    let stage = Stage::new();
    let tls = ClientTls { server_name: Some("127.0.0.1".into()), ..stage.client() };
    assert!(shake(&server(&stage.tls()), &client(&tls)).is_ok());
    let named = client(&stage.client());
    assert!(named.server_name("b-1.kafka.example").is_ok() && named.server_name("[::1]").is_ok());
    assert_eq!(
        said(&named.server_name("a b").expect_err("no name")),
        " `a b` is no host name that a certificate could bear"
    );
}

#[test]
fn clients_are_who_their_certificates_say() {
    let stage = Stage::new();
    let (required, optional) =
        (server(&stage.mutual(ClientAuth::Required)), server(&stage.mutual(ClientAuth::Optional)));
    let duke = client(&stage.known("duke", Validity::Good));
    for server in [&required, &optional] {
        let (accepted, _) = shake(server, &duke).expect("a connection");
        assert_eq!(server.principal(accepted.peer_certificates().unwrap_or_default()), Ok(Some("DUKE".to_owned())));
    }
    // Who shows nothing is nobody, where that is allowed.
    let nobody = client(&stage.client());
    assert!(refused(&required, &nobody).contains("peer sent no certificates"));
    let (accepted, _) = shake(&optional, &nobody).expect("a connection");
    assert_eq!(optional.principal(accepted.peer_certificates().unwrap_or_default()), Ok(None));
    // And who shows what is wrong is refused in either case.
    let stranger = Authority::new("Another CA").client("duke", Validity::Good);
    let stranger = ClientTls { identity: Some(stage.directory.identity("stranger", &stranger)), ..stage.client() };
    let expired = stage.known("expired", Validity::Expired);
    for server in [&required, &optional] {
        assert_eq!(refused(server, &client(&stranger)), "server: invalid peer certificate: UnknownIssuer");
        assert!(refused(server, &client(&expired)).contains("expired"));
    }
}

#[test]
fn a_client_that_no_rule_names_is_nobody() {
    let stage = Stage::new();
    let mut tls = stage.mutual(ClientAuth::Required);
    if let Some(clients) = &mut tls.clients {
        clients.principals = PrincipalMapping::parse(["RULE:^OU=(.*)$/$1/"]).expect("a rule");
    }
    let server = server(&tls);
    let (accepted, _) = shake(&server, &client(&stage.known("duke", Validity::Good))).expect("a connection");
    let nobody = server.principal(accepted.peer_certificates().unwrap_or_default()).expect_err("nobody");
    assert_eq!(nobody.to_string(), "no rule of `principal_mapping` makes a principal of CN=duke");
}

#[test]
fn a_version_that_is_too_old_is_not_spoken() {
    let stage = Stage::new();
    let newest = Tls { min_version: TlsVersion::Tls13, ..stage.tls() };
    assert!(shake(&server(&newest), &client(&stage.client())).is_ok());
    let only_old = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut old = ClientConnection::new(Arc::new(only_old), "a.example".try_into().expect("a name")).expect("a client");
    let mut flight = Vec::new();
    old.write_tls(&mut flight).expect("memory");
    for (tls, speaks) in [(stage.tls(), true), (newest, false)] {
        let mut accepted = ServerConnection::new(server(&tls).current()).expect("a server");
        accepted.read_tls(&mut &flight[..]).expect("memory");
        assert_eq!(accepted.process_new_packets().is_ok(), speaks);
    }
}

#[test]
fn sessions_are_resumed_but_where_clients_show_certificates() {
    let stage = Stage::new();
    let kinds = |server: &Server, client: &Client| {
        [0, 1].map(|_| shake(server, client).expect("a connection").1.handshake_kind())
    };
    let (plain, mutual) = (server(&stage.tls()), server(&stage.mutual(ClientAuth::Required)));
    let (full, resumed) = (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed));
    assert_eq!(kinds(&plain, &client(&stage.client())), [full, resumed]);
    assert_eq!(kinds(&mutual, &client(&stage.known("duke", Validity::Good))), [full, full]);
    // And after a reload nothing of before is.
    let anon = client(&stage.client());
    assert_eq!(kinds(&plain, &anon), [full, resumed]);
    let _new = stage.tls();
    assert_eq!(plain.reload(), Ok(Reload::Changed));
    assert_eq!(shake(&plain, &anon).expect("a connection").1.handshake_kind(), full);
}

#[test]
fn a_reload_is_for_new_handshakes_and_a_bad_file_changes_nothing() {
    let stage = Stage::new();
    let tls = stage.tls();
    let server = server(&tls);
    let shown = |server: &Server| {
        let (_, client) = shake(server, &client(&stage.client())).expect("a connection");
        client.peer_certificates().map(|chain| chain[0].to_vec())
    };
    let first = shown(&server);
    assert_eq!((server.reload(), first == shown(&server)), (Ok(Reload::Unchanged), true));
    // A key without its certificate, as while both are being replaced.
    let signed = stage.authority.server(&["kafka.example"], Validity::Good);
    fs::write(&tls.identity.key, &signed.key).expect("a file");
    let problem = server.reload().expect_err("a problem");
    assert!(said(&problem).starts_with("server.key holds a key that does not fit the certificate in"), "{problem}");
    assert!(first == shown(&server));
    fs::write(&tls.identity.certificate, &signed.certificate).expect("a file");
    assert_eq!((server.reload(), shown(&server) == Some(signed.der)), (Ok(Reload::Changed), true));
    // One whose time is over is no better than the one that is there.
    let expired = stage.authority.server(&["kafka.example"], Validity::Expired);
    let _ = stage.directory.identity("server", &expired);
    assert_eq!(
        said(&server.reload().expect_err("expired")),
        "server.crt holds a certificate that was good until 2001-01-01"
    );
    assert!(shown(&server).is_some());
}

#[test]
fn a_links_side_is_replaced_the_same_way() {
    let stage = Stage::new();
    let server = server(&stage.mutual(ClientAuth::Required));
    let tls = stage.known("duke", Validity::Good);
    let links = client(&tls);
    assert_eq!(links.reload(), Ok(Reload::Unchanged));
    assert_eq!(links.expiries().iter().map(|one| one.part).collect::<Vec<_>>(), [Part::Ca, Part::Certificate]);
    let _ = stage.directory.identity("duke", &stage.authority.client("mary", Validity::Good));
    assert_eq!(links.reload(), Ok(Reload::Changed));
    let (accepted, _) = shake(&server, &links).expect("a connection");
    assert_eq!(server.principal(accepted.peer_certificates().unwrap_or_default()), Ok(Some("MARY".to_owned())));
    fs::write(&stage.ca, "").expect("a file");
    assert_eq!(said(&links.reload().expect_err("empty")), "ca.crt has no certificate in it");
    assert!(shake(&server, &links).is_ok());
    assert_eq!(links.become_as(&ClientTls { ca: None, ..tls.clone() }).err(), None, "the system's");
    assert!(refused(&server, &links).contains("UnknownIssuer"));
}

#[test]
fn expiries_are_of_the_first_that_ends_and_of_the_last_authority() {
    let stage = Stage::new();
    let days = |days: u64| Validity::For(Duration::from_secs(days * 86_400));
    let (soon, late) = (Authority::of("Soon", days(3)), Authority::of("Late", days(300)));
    let mut tls = stage.mutual(ClientAuth::Required);
    fs::write(&stage.ca, soon.certificate() + &late.certificate()).expect("a file");
    let signed = stage.authority.server(&["kafka.example"], days(30));
    fs::write(&tls.identity.certificate, signed.certificate.clone() + &soon.certificate()).expect("a file");
    tls.identity.key = stage.directory.file("new.key", &signed.key);
    let left = |server: &Server, part: Part| {
        let expiry = server.expiries().into_iter().find(|one| one.part == part).expect("an expiry");
        (expiry.until - expiry::now() + 3_600) / 86_400
    };
    let server = server(&tls);
    assert_eq!((left(&server, Part::Certificate), left(&server, Part::Ca)), (3, 300));
    assert_eq!(server.lapsed(), None);
}

#[test]
fn keys_come_in_three_forms() {
    // Made by openssl 3: the same RSA key as PKCS#1, and an EC key as SEC1 behind its parameters.
    let stage = Stage::new();
    for (certificate, key) in [("rsa.crt", "rsa-pkcs1.key"), ("ec.crt", "ec-sec1.key")] {
        let of = |name: &str| PathBuf::from("tests/vectors/tls").join(name);
        let tls = Tls { identity: Identity { certificate: of(certificate), key: of(key) }, ..stage.tls() };
        assert_eq!(Server::load(&tls).err(), None, "{key}");
    }
    // And all in one file.
    let signed = stage.authority.server(&["kafka.example"], Validity::Good);
    let one = stage.directory.file("both.pem", signed.key.clone() + &signed.certificate);
    assert!(Server::load(&Tls { identity: Identity { certificate: one.clone(), key: one }, ..stage.tls() }).is_ok());
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let stage = Stage::new();
    let signed = stage.authority.server(&["kafka.example"], Validity::Good);
    let other = stage.authority.server(&["kafka.example"], Validity::Good);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, key, said) in [
        (None, None, "t.crt does not exist"),
        (Some(""), None, "t.crt has no certificate in it"),
        (Some(signed.key.as_str()), None, "t.crt has no certificate in it, only a private key"),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), None, "t.crt is damaged: a section has no -----END line"),
        (
            Some("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
            None,
            "t.crt is damaged: what stands in a section is no base64",
        ),
        (Some("0\u{0}"), None, "t.crt has no certificate in it"),
        (Some(&signed.certificate), None, "t.key does not exist"),
        (Some(&signed.certificate), Some("x"), "t.key has no private key in it"),
        (
            Some(&signed.certificate),
            Some(signed.certificate.as_str()),
            "t.key has no private key in it, only certificates",
        ),
        (Some(&signed.certificate), Some(encrypted), "t.key holds a key that is encrypted with a password"),
        (Some(&signed.certificate), Some(legacy), "t.key holds a key that is encrypted with a password"),
        (Some(&signed.certificate), Some(nonsense), "t.key holds a key that cannot be used"),
        (Some(&signed.certificate), Some(other.key.as_str()), "t.key holds a key that does not fit the certificate in"),
        (
            Some(&(stage.authority.certificate() + &signed.certificate)),
            Some(signed.key.as_str()),
            "t.crt does not begin with the certificate of the key, which is its number 2",
        ),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            Some(signed.key.as_str()),
            "t.crt holds a certificate (number 1 in it) that cannot be used",
        ),
    ] {
        let (at_certificate, at_key) = (stage.directory.0.join("t.crt"), stage.directory.0.join("t.key"));
        for (at, content) in [(&at_certificate, certificate), (&at_key, key)] {
            let _ = fs::remove_file(at);
            if let Some(content) = content {
                fs::write(at, content).expect("a file");
            }
        }
        let tls = Tls { identity: Identity { certificate: at_certificate, key: at_key }, ..stage.tls() };
        let problem = Server::load(&tls).expect_err(said);
        assert!(why(&tls).starts_with(said), "{said}: {problem}");
        assert!(!problem.to_string().contains("AAAA") && !problem.instead().is_empty());
    }
    let der = stage.directory.file("der.crt", &signed.der);
    let tls = Tls { identity: Identity { certificate: der.clone(), key: der }, ..stage.tls() };
    assert_eq!(why(&tls), "der.crt is DER and not PEM");
    let of = |identity: Identity| why(&Tls { identity, ..stage.tls() });
    let directory = Identity { certificate: stage.directory.0.clone(), key: stage.ca.clone() };
    assert!(of(directory).contains("it is a directory"));
}

#[test]
fn no_secret_is_in_what_is_printed() {
    let stage = Stage::new();
    let server = server(&stage.tls());
    let key = fs::read_to_string(&stage.tls().identity.key).expect("a key");
    let secret = key.lines().nth(1).expect("a line");
    assert!(!format!("{server:?}").contains(secret));
}

#[test]
fn a_shelf_knows_all_files_and_looks_at_them() {
    let (stage, shelf) = (Stage::new(), Shelf::default());
    let tls = stage.tls();
    let server = shelf.server(Side::Listener("127.0.0.1:9093".into()), &tls).expect("a server");
    let client = shelf
        .client(Side::Cluster("a".into()), &stage.known("duke", Validity::For(Duration::from_secs(3 * 86_400))))
        .expect("a client");
    assert_eq!(shelf.directories().into_iter().collect::<Vec<_>>(), std::slice::from_ref(&stage.directory.0));
    let found = |shelf: &Shelf| {
        let words = |look: Look| {
            format!("{}: {:?} {}", look.side, look.reload.map_err(|bad| said(&bad)), look.warning.is_some())
        };
        shelf.look().into_iter().map(words).collect::<Vec<_>>()
    };
    assert_eq!(found(&shelf), ["listener 127.0.0.1:9093: Ok(Unchanged) false", "cluster a: Ok(Unchanged) true"]);
    let _new = stage.tls();
    assert_eq!(found(&shelf), ["listener 127.0.0.1:9093: Ok(Changed) false", "cluster a: Ok(Unchanged) true"]);
    // Who holds one has what a later config says.
    assert!(Arc::ptr_eq(&client, &shelf.client(Side::Cluster("a".into()), &stage.client()).expect("a client")));
    assert!(shelf.client(Side::Cluster("a".into()), &ClientTls { ca: Some("gone".into()), ..stage.client() }).is_err());
    assert!(shake(&server, &client).is_ok());
    fs::remove_file(&stage.ca).expect("a file");
    assert_eq!(found(&shelf)[1], "cluster a: Err(\"ca.crt does not exist\") false");
    shelf.forget(&Side::Cluster("a".into()));
    assert_eq!(found(&shelf).len(), 1);
}

/// Bytes of what is written in hexadecimal.
fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect(text)).collect()
}

/// tests/vectors/names/make.sh made these pairs with Java and with Kafka's own class.
#[test]
fn names_are_what_java_prints_and_principals_what_kafka_makes_of_them() {
    let text = |hex: &str| String::from_utf8(unhex(hex)).expect("UTF-8");
    let (mut names, mut principals) = (0, 0);
    for line in include_str!("../../../tests/vectors/names/pairs.txt").lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["name", der, printed] => {
                let der = unhex(der);
                let name = Name::read(der::Elements(&der).expect(der::SEQUENCE).expect("a sequence")).expect("a name");
                assert_eq!(name.as_str(), text(printed), "{der:02x?}");
                names += 1;
            }
            ["rule", rules, name, made] => {
                let (rules, name) = (text(rules), text(name));
                let mapping = PrincipalMapping::parse([rules.as_str()]).expect("rules");
                let made = made.strip_prefix('=').map(text);
                assert_eq!(mapping.principal(&name), made, "{rules} of {name:?}");
                principals += 1;
            }
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    assert!(names == 400 && principals == 560, "{names} {principals}");
}
