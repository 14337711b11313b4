//! The admin address of the running program, over real sockets and by its own command line: who may see secrets and change what runs,
//! over TLS and without, and that no token is in anything that is told. Before librdkafka's mock clusters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]
#![allow(dead_code, reason = "the harness has more than this needs")]

mod harness;

use harness::certificates::{Authority, Validity};
use harness::config::Config;
use harness::metrics::{Metrics, page};
use harness::proxy::Proxy;
use harness::{Bootstrap, wait};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WITHIN: Duration = wait::seconds(30);
const ALICE: &str = "planted-alice-0123456789abcdef";
const NAMELESS: &str = "planted-nameless-0123456789abcdef";
const NEW: &str = "planted-new-0123456789abcdef";
const WRONG: &str = "planted-wrong-0123456789abcdef";
const LIMITS: &str = "limits: [{ name: drops, key: header(token), rate: 1/h, burst: 5, action: drop }]\n";

/// Fishplate before two clusters of a broker each.
struct World {
    _clusters: [MockCluster<'static, DefaultProducerContext>; 2],
    directory: PathBuf,
    proxy: Proxy,
    /// Everything that the command line said.
    said: Mutex<String>,
}

impl World {
    /// `admin` is what stands at that key, made in the directory that the files are in.
    fn start(name: &str, admin: impl Fn(&Path) -> String) -> Self {
        let directory = std::env::temp_dir().join(format!("fishplate-admin-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let clusters = [0; 2].map(|_| MockCluster::new(1).expect("a mock cluster"));
        let [a, b] = clusters.each_ref().map(|one| Bootstrap { name: "mock".into(), servers: one.bootstrap_servers() });
        let config = Config::two_clusters(&a, &b).transacting_on_a().policy("left", LIMITS);
        let own = format!("admin: {{ bind: 127.0.0.1:0, {} }}\n", admin(&directory));
        let file = directory.join("fishplate.yaml");
        fs::write(&file, config.yaml().replace("admin: { bind: 127.0.0.1:0 }\n", &own)).unwrap();
        let proxy = Proxy::of_file(&file, config.views(), &directory).unwrap();
        Self { _clusters: clusters, directory, proxy, said: Mutex::default() }
    }

    fn put(&self, name: &str, text: &str) -> String {
        put(&self.directory, name, text)
    }

    /// What the command line says, and its exit code. `environment` is beside the arguments.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fishplate"));
        for variable in ["", "_TOKEN", "_TOKEN_FILE", "_CA", "_CERTIFICATE", "_KEY"] {
            command.env_remove(format!("FISHPLATE_ADMIN{variable}"));
        }
        // Whom the system trusts is the same on every machine.
        let nobody = self.directory.join("system.crt");
        fs::write(&nobody, Authority::new("System CA").certificate()).unwrap();
        command.env("SSL_CERT_FILE", nobody).env_remove("SSL_CERT_DIR");
        let output = command.args(arguments).envs(environment.iter().copied()).output().expect("fishplate");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8")).concat();
        self.said.lock().unwrap().push_str(&said);
        (output.status.code().expect("an exit code"), said)
    }

    /// `limits set`, with more words.
    fn set(&self, admin: &str, more: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let words = ["limits", "set", "--pipeline", "left", "--limit", "drops", "--rate", "9/s", "--admin", admin];
        self.run(&[&words, more].concat(), environment)
    }

    fn admin(&self) -> String {
        self.proxy.admin()
    }

    /// The lines of the audit log that hold this.
    fn audit(&self, text: &str) -> Vec<String> {
        let lines = self.proxy.log().lines_with("fishplate::audit");
        lines.into_iter().filter(|line| line.contains(text)).collect()
    }

    /// The end of a test: no token is in anything that was said, logged or told.
    fn end(self, told: &[String]) {
        let log = self.proxy.log().lines_with("").join("\n");
        for (place, text) in [("command line", &*self.said.lock().unwrap()), ("log", &log), ("answers", &told.concat())]
        {
            assert!(!text.contains("planted"), "a token is in what the {place} says: {text}");
        }
        self.proxy.finish();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn put(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn who_has_a_token_changes_things_and_is_told_of_by_name() {
    let world = World::start("tokens", |directory| {
        let file = put(directory, "tokens", &format!("# operators\nalice {ALICE}\n{NAMELESS}\n"));
        format!("token_file: \"{file}\"")
    });
    let log = world.proxy.log();
    log.allow("an operator's request was refused");
    let admin = world.admin();
    // Given nothing, or a wrong one, then nothing is changed, and it is said what to do
    let (code, said) = world.set(&admin, &[], &[]);
    assert!(code == 1 && said.starts_with("fishplate: this needs a token: send"), "{code}: {said}");
    let wrong = world.put("wrong", WRONG);
    let began = Instant::now();
    let (code, said) = world.set(&admin, &["--admin-token-file", &wrong], &[]);
    assert!(code == 1 && said.starts_with("fishplate: this token is not among those"), "{code}: {said}");
    assert!(began.elapsed() >= Duration::from_millis(100), "who guesses waits");
    let (code, said) = world.run(&["tokens", "--pipeline", "left", "--reveal", "--admin", &admin], &[]);
    assert!(code == 1 && said.contains("this needs a token"), "{code}: {said}");
    // But everybody may look, as probes and scrapes do
    for words in
        [&["topics"][..], &["limits"], &["tokens", "--pipeline", "left"], &["diff", "-c", "config/minimal.yaml"]]
    {
        let (code, said) = world.run(&[words, &["--admin", &admin]].concat(), &[]);
        assert!(code == i32::from(words[0] == "diff"), "{words:?}: {code} {said}");
    }
    assert!(page(&admin, "/healthz").unwrap().starts_with("HTTP/1.1 200 "));
    // When it is shown, from wherever it is taken, then it is done, and told who did
    let (right, file) = (world.put("right", &format!("{NAMELESS}\n")), world.directory.join("tokens"));
    let file = file.to_str().expect("UTF-8");
    for (more, environment, who) in [
        (&["--admin-token-file", &*right][..], &[][..], "line 3"),
        (&[], &[("FISHPLATE_ADMIN_TOKEN_FILE", file)], "alice"),
        (&[], &[("FISHPLATE_ADMIN_TOKEN", ALICE)], "alice"),
        (&["--admin-token-file", file], &[("FISHPLATE_ADMIN_TOKEN", WRONG)], "alice"),
    ] {
        let before = world.audit(&format!("\"operator\":\"{who}\"")).len();
        let (code, said) = world.set(&admin, more, environment);
        assert!(code == 0 && said.contains("until the next reload"), "{code}: {said}");
        let told = || world.audit(&format!("\"operator\":\"{who}\"")).len() > before;
        wait::until("the log says who it was", WITHIN, told);
    }
    let reveal = ["tokens", "--pipeline", "left", "--reveal", "--admin", &admin, "--admin-token-file", &right];
    assert_eq!(world.run(&reveal, &[]).0, 0);
    wait::until("the log says who saw them", WITHIN, || !world.audit("tokens are shown to an operator").is_empty());
    let refused = world.audit("an operator's request was refused");
    let of = |word: &str| refused.iter().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{refused:?}"));
    assert!(of("no_token").contains("POST /api/v1/limits"), "{refused:?}");
    assert!(of("wrong_token").contains("\"peer\":\"127.0.0.1:"), "{refused:?}");
    // And one that is cut short is no token
    let (code, said) = world.set(&admin, &["--admin-token-file", &world.put("none", "# nothing\n")], &[]);
    assert!(code == 1 && said.contains("there is no token in "), "{code}: {said}");
    let told = told(&admin);
    world.end(&told);
}

/// What the admin address tells of everything.
fn told(admin: &str) -> Vec<String> {
    let paths = ["/metrics", "/api/v1/config", "/api/v1/limits", "/api/v1/clients", "/api/v1/topics", "/nowhere"];
    paths.map(|path| page(admin, path).unwrap()).to_vec()
}

#[test]
fn tokens_are_replaced_while_it_runs_and_a_bad_file_changes_nothing() {
    let world = World::start("rotation", |directory| {
        format!("token_file: \"{}\"", put(directory, "tokens", &format!("alice {ALICE}\n")))
    });
    let log = world.proxy.log();
    log.allow("an operator's request was refused");
    log.allow("admin tokens refused; those that were there before stay");
    let admin = world.admin();
    let works = |token: &str| world.set(&admin, &[], &[("FISHPLATE_ADMIN_TOKEN", token)]).0 == 0;
    let count =
        |name: &str, result: &[(&str, &str)]| Metrics::of(&admin).sum(&format!("fishplate_admin_{name}"), result);
    assert!(works(ALICE) && !works(NEW));
    // When there is a second, then both are taken: who has the first changes it in peace
    world.put("tokens", &format!("alice {NEW}\nold {ALICE}\n"));
    wait::until("there are two", WITHIN, || count("tokens", &[]) == Some(2.0));
    assert!(works(ALICE) && works(NEW));
    world.put("tokens", &format!("alice {NEW}\n"));
    wait::until("there is one", WITHIN, || count("tokens", &[]) == Some(1.0));
    assert!(!works(ALICE) && works(NEW));
    // When the file is empty, too short or gone, then who had one has it still
    for (number, text) in ["", "alice short\n"].iter().enumerate() {
        world.put("tokens", text);
        let refused = || count("token_reloads_total", &[("result", "invalid")]) == Some(number as f64 + 1.0);
        wait::until("it is told of", WITHIN, refused);
    }
    fs::remove_file(world.directory.join("tokens")).unwrap();
    wait::until("that is told of", WITHIN, || count("token_reloads_total", &[("result", "invalid")]) == Some(3.0));
    assert!(works(NEW) && !works(WRONG));
    let told = told(&admin);
    assert!(told[1].contains("\"token_file\":"), "{}", told[1]);
    world.end(&told);
}

#[test]
fn tokens_of_the_config_itself_are_in_nothing_that_is_told() {
    let world = World::start("inline", |_| format!("token: \"alice {ALICE}\""));
    let admin = world.admin();
    assert_eq!(world.set(&admin, &[], &[("FISHPLATE_ADMIN_TOKEN", ALICE)]).0, 0);
    let told = told(&admin);
    assert!(told[1].contains("\"token\":\"(hidden)\""), "{}", told[1]);
    world.end(&told);
}

#[test]
fn without_tokens_it_is_as_it_was() {
    let world = World::start("none", |_| String::new());
    world.proxy.log().allow("an operator's request was refused");
    let admin = world.admin();
    assert_eq!(world.set(&admin, &[], &[]).0, 0);
    wait::until("who it was", WITHIN, || !world.audit("\"operator\":\"this machine\"").is_empty());
    // A page that had its name lead here
    let mut socket = TcpStream::connect(&admin).unwrap();
    let head = "POST /api/v1/limits HTTP/1.0\r\nhost: fishplate.example\r\ncontent-type: application/json\r\n";
    write!(socket, "{head}content-length: 2\r\n\r\n{{}}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 403 ") && answer.contains("not from a web page"), "{answer}");
    world.end(&[]);
}

#[test]
fn over_tls_each_side_knows_whom_it_speaks_to_or_says_why_not() {
    let (authority, operators) = (Authority::new("Admin CA"), Authority::new("Operators CA"));
    let world = World::start("tls", |directory| {
        put(directory, "ca.crt", &authority.certificate());
        put(directory, "other.crt", &Authority::new("Another CA").certificate());
        let ca = put(directory, "operators.crt", &operators.certificate());
        operators.client("alice", Validity::Good).write(directory, "alice");
        let signed = authority.server(&["localhost"], Validity::For(wait::seconds(86_400)));
        let (certificate, key) = signed.write(directory, "admin");
        let tokens = put(directory, "tokens", &format!("alice {ALICE}\n"));
        format!(
            "token_file: \"{tokens}\", tls: {{ certificate: \"{}\", key: \"{}\", client_ca: \"{ca}\", client_auth: optional }}",
            certificate.display(),
            key.display()
        )
    });
    world.proxy.log().allow("an operator's request was refused");
    world.proxy.log().allow("a certificate needs somebody");
    let file = |name: &str| world.directory.join(name).to_str().expect("UTF-8").to_owned();
    let (ca, other, certificate, key) = (file("ca.crt"), file("other.crt"), file("alice.crt"), file("alice.key"));
    let port = world.admin().rsplit(':').next().expect("a port").to_owned();
    let secure = format!("https://localhost:{port}");
    // Whom nobody vouches for is not spoken to, and it is said what to do
    for (admin, more, code, words) in [
        (&*secure, &[][..], 3, "is signed by nobody whom the system trusts; name its authority with --admin-ca"),
        (&secure, &["--admin-ca", &*other], 3, "is signed by nobody that is in "),
        (&secure, &["--admin-ca", "nowhere.crt"], 1, "nowhere.crt does not exist; put it there"),
        (&secure.replace("localhost", "127.0.0.1"), &["--admin-ca", &ca], 3, "does not bear the name 127.0.0.1"),
        (&world.admin(), &[], 1, "this admin address speaks TLS: call it by https://"),
        (&secure, &["--admin-ca", &ca, "--admin-key", &key], 2, "--admin-certificate"),
    ] {
        let (is, said) = world.run(&[&["topics", "--admin", admin], more].concat(), &[]);
        assert!(is == code && said.contains(words), "{admin} {more:?}: {is} {said}");
    }
    // With its authority it is, with a token and without, with a certificate and without
    let trusts = ["--admin-ca", &*ca];
    let ready = || world.run(&[&["topics", "--admin", &secure][..], &trusts].concat(), &[]).0 == 0;
    wait::until("it answers", WITHIN, ready);
    assert_eq!(world.run(&["topics"], &[("FISHPLATE_ADMIN", &*secure), ("FISHPLATE_ADMIN_CA", &*ca)]).0, 0);
    let (code, said) = world.set(&secure, &trusts, &[]);
    assert!(code == 1 && said.contains("this needs a token"), "{code}: {said}");
    assert_eq!(world.set(&secure, &trusts, &[("FISHPLATE_ADMIN_TOKEN", ALICE)]).0, 0);
    let shows = [&trusts[..], &["--admin-certificate", &*certificate, "--admin-key", &*key]].concat();
    assert_eq!(world.set(&secure, &shows, &[("FISHPLATE_ADMIN_TOKEN", ALICE)]).0, 0);
    wait::until("the log says whose it was", WITHIN, || !world.audit("CN=alice").is_empty());
    // A client whose authority it does not know is refused
    Authority::new("Strangers CA").client("alice", Validity::Good).write(&world.directory, "alice");
    let (code, said) = world.set(&secure, &shows, &[("FISHPLATE_ADMIN_TOKEN", ALICE)]);
    assert!(code == 3 && said.contains("it does not take this connection"), "{code}: {said}");
    // When another certificate is put there, then it is shown; its expiry is told all the time
    let metric = |name: &str, result: &str| {
        let page = curl(&secure, &ca, "/metrics");
        let line = page
            .lines()
            .find(|line| line.starts_with(name) && line.contains("side=\"admin\"") && line.contains(result));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let ends = || metric("fishplate_certificate_expiry_time_seconds", "part=\"certificate\"");
    wait::until("when it ends is told", WITHIN, || ends().is_some_and(|at| at < 4e9));
    authority.server(&["localhost"], Validity::Good).write(&world.directory, "admin");
    wait::until("that another is there", WITHIN, || ends().is_some_and(|at| at > 4e9));
    assert_eq!(metric("fishplate_certificate_reloads_total", "applied"), Some(1.0));
    world.end(&[curl(&secure, &ca, "/api/v1/config")]);
}

/// A page of an admin address over TLS, as the command line does not ask for it.
fn curl(admin: &str, ca: &str, path: &str) -> String {
    use fishplate::security::tls::Client;
    let tls = fishplate::config::ClientTls { ca: Some(ca.into()), ..Default::default() };
    let client = Client::load(&tls).expect("a client");
    let stream = TcpStream::connect(admin.strip_prefix("https://").expect("https")).unwrap();
    let connection = rustls::ClientConnection::new(client.current(), client.server_name("localhost").unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_certificate_that_is_required_is_asked_for_and_https_to_a_plain_one_is_told() {
    let (authority, operators) = (Authority::new("Admin CA"), Authority::new("Operators CA"));
    let world = World::start("mutual", |directory| {
        put(directory, "ca.crt", &authority.certificate());
        let ca = put(directory, "operators.crt", &operators.certificate());
        operators.client("alice", Validity::Good).write(directory, "alice");
        let (certificate, key) = authority.server(&["localhost"], Validity::Good).write(directory, "admin");
        format!(
            "tls: {{ certificate: \"{}\", key: \"{}\", client_ca: \"{ca}\" }}",
            certificate.display(),
            key.display()
        )
    });
    let file = |name: &str| world.directory.join(name).to_str().expect("UTF-8").to_owned();
    let (ca, certificate, key) = (file("ca.crt"), file("alice.crt"), file("alice.key"));
    let secure = format!("https://localhost:{}", world.admin().rsplit(':').next().expect("a port"));
    let (code, said) = world.run(&["topics", "--admin", &secure, "--admin-ca", &ca], &[]);
    assert!(
        code == 3 && said.contains("it asks for a certificate: name yours with --admin-certificate"),
        "{code}: {said}"
    );
    let environment = [("FISHPLATE_ADMIN_CERTIFICATE", &*certificate), ("FISHPLATE_ADMIN_KEY", &*key)];
    let topics = || world.run(&["topics", "--admin", &secure, "--admin-ca", &ca], &environment).0;
    wait::until("it answers", WITHIN, || topics() == 0);
    world.end(&[]);
    // And the reverse
    let plain = World::start("plain", |_| String::new());
    let (code, said) = plain.run(&["topics", "--admin", &format!("https://{}", plain.admin())], &[]);
    assert!(code == 3 && said.contains("it does not speak TLS: call it by http://"), "{code}: {said}");
    let told = |admin: &str| plain.run(&["topics", "--admin", admin], &[]);
    wait::until("it answers", WITHIN, || told(&format!("http://{}/", plain.admin())).0 == 0);
    plain.end(&[]);
}

#[test]
fn who_reaches_it_from_elsewhere_sends_no_token_in_the_open() {
    let directory = std::env::temp_dir().join(format!("fishplate-admin-open-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let tokens = put(&directory, "tokens", ALICE);
    let checked = |admin: &str| {
        let text = fs::read_to_string("config/minimal.yaml").unwrap();
        let file = put(&directory, "c.yaml", &format!("{text}\nadmin: {{ {admin} }}\n"));
        let output = Command::new(env!("CARGO_BIN_EXE_fishplate")).args(["check", "-c", &file]).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = checked(&format!("bind: 0.0.0.0:0, token_file: \"{tokens}\""));
    assert!(code == 1 && said.contains("everybody on the way could read the token"), "{code}: {said}");
    let (code, said) = checked("bind: 0.0.0.0:0");
    assert!(code == 0 && said.contains("and it speaks no TLS"), "{code}: {said}");
    // A certificate that ends soon, and tokens that could be guessed, are told of
    let signed = Authority::new("Admin CA").server(&["localhost"], Validity::For(wait::seconds(10 * 86_400 + 3_600)));
    let (certificate, key) = signed.write(&directory, "admin");
    let tls = format!("tls: {{ certificate: \"{}\", key: \"{}\" }}", certificate.display(), key.display());
    let (code, said) = checked(&format!("bind: 0.0.0.0:0, token_file: \"{tokens}\", {tls}"));
    assert!(code == 0 && said.contains("tls of the admin address") && said.contains(": 10 days"), "{code}: {said}");
    put(&directory, "tokens", "planted-short");
    let (code, said) = checked(&format!("bind: 127.0.0.1:0, token_file: \"{tokens}\""));
    assert!(code == 1 && said.contains("line 1: its token has 13 characters") && !said.contains("planted"), "{said}");
    fs::remove_dir_all(directory).unwrap();
}
