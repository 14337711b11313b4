//! What a cluster's encrypted listeners need: a CA of its own, certificates in PEM, users, and the brokers' settings for them.
//! SECURED asks who comes by every mechanism of SASL over TLS, MUTUAL for a client's certificate; NAMED by some mechanisms without
//! TLS, so that tests can see what is said.

use super::certificates::{Authority, Signed, Validity};
use super::issuer::{Signer, jwks};
use super::ports::Ports;
use std::fs;
use std::path::{Path, PathBuf};

/// Who Fishplate is at the clusters, under every mechanism of passwords.
pub const USER: &str = "fishplate";
/// Its password.
pub const PASSWORD: &str = "planted-Secret-1";
/// Others whom the clusters know, for who comes to them as somebody else than Fishplate: by their names, with [`password_of`].
pub const OTHERS: [&str; 2] = ["capture", "replay"];
/// Whom the clusters know by a certificate besides: `CN=duke`.
pub const DUKE: &str = "duke";

/// The password of one of [`OTHERS`].
#[allow(dead_code, reason = "not in every test program")]
pub fn password_of(user: &str) -> String {
    format!("planted-Secret-of-{user}")
}

/// So long is a login believed that was made with SCRAM-SHA-512.
pub const LIFETIME_MS: u32 = 5_000;

/// Who may do nothing at the clusters, by PLAIN at NAMED.
pub const NOBODY: &str = "nobody";
/// Its password.
pub const NOBODYS_PASSWORD: &str = "planted-Secret-3";
/// What a token that NAMED takes must say.
pub const ISSUER: &str = "https://idp.test";
/// The same.
pub const AUDIENCE: &str = "kafka";

/// The files of one cluster's PKI, and an issuer of tokens that it believes.
pub struct Pki {
    directory: PathBuf,
    authority: Authority,
    issuer: Signer,
}

impl Pki {
    /// Makes a CA, a certificate for 127.0.0.1 (and no name), one for a client, and keys of an issuer, in this folder.
    pub fn make(directory: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&directory)?;
        // No two have one name: a certificate of another's would be of a known authority, and wrong.
        let authority = Authority::new(&format!("tests of Fishplate, {}", directory.display()));
        let pki = Self { directory, authority, issuer: Signer::new("ES256", "one") };
        fs::write(pki.ca(), pki.authority.certificate())?;
        fs::write(pki.directory.join(KEYS), jwks([&pki.issuer]))?;
        for (name, signed) in [
            ("broker", pki.authority.server(&["127.0.0.1"], Validity::Good)),
            ("client", pki.authority.client("client", Validity::Good)),
            (DUKE, pki.authority.client(DUKE, Validity::Good)),
        ] {
            signed.write(&pki.directory, name);
            // As Kafka wants it: both in one.
            fs::write(pki.file(name, "pem"), in_one(&signed))?;
        }
        Ok(pki)
    }

    /// Who signs the tokens that NAMED takes.
    pub fn issuer(&self) -> &Signer {
        &self.issuer
    }

    /// Another certificate and key for 127.0.0.1, in files of this name.
    pub fn another_server(&self, name: &str, validity: Validity) -> (PathBuf, PathBuf) {
        self.authority.server(&["127.0.0.1"], validity).write(&self.directory, name)
    }

    /// Another certificate and key of the client, in files of this name.
    pub fn another_client(&self, name: &str, validity: Validity) -> (PathBuf, PathBuf) {
        self.authority.client("client", validity).write(&self.directory, name)
    }

    /// The same in one file.
    pub fn another_client_in_one(&self, name: &str, validity: Validity) -> PathBuf {
        let file = self.file(name, "pem");
        fs::write(&file, in_one(&self.authority.client("client", validity))).expect("a file");
        file
    }

    /// Whom to trust.
    pub fn ca(&self) -> PathBuf {
        self.file("ca", "crt")
    }

    /// The client's certificate and key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.file("client", "crt"), self.file("client", "key"))
    }

    /// Another client's, who is `CN=duke`.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn duke(&self) -> (PathBuf, PathBuf) {
        (self.file(DUKE, "crt"), self.file(DUKE, "key"))
    }

    /// A certificate and key for 127.0.0.1, as brokers have them.
    pub fn server(&self) -> (PathBuf, PathBuf) {
        (self.file("broker", "crt"), self.file("broker", "key"))
    }

    /// The client's certificate and key in one file, as Java's clients want it.
    pub fn client_in_one(&self) -> PathBuf {
        self.file("client", "pem")
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("{name}.{kind}"))
    }

    /// `tls` of a cluster in Fishplate's config, which trusts this CA.
    pub fn tls(&self) -> String {
        format!("tls: {{ ca: \"{}\" }}", self.ca().display())
    }

    /// The same, showing the client's certificate.
    pub fn mutual_tls(&self) -> String {
        let (certificate, key) = self.client();
        let [ca, certificate, key] = [self.ca(), certificate, key].map(|path| path.display().to_string());
        format!("tls: {{ ca: \"{ca}\", certificate: \"{certificate}\", key: \"{key}\" }}")
    }
}

fn in_one(signed: &Signed) -> String {
    format!("{}{}", signed.key, signed.certificate)
}

/// The file with the issuer's keys, in the PKI's folder.
const KEYS: &str = "keys.json";

/// Brokers may read the issuer's keys nowhere else: the file of the cluster in whose folder that of a broker is.
pub fn keys_of(broker: &Path) -> String {
    format!("file://{}", broker.with_file_name("tls").join(KEYS).display())
}

/// A broker's ports for who says who it is.
#[derive(Clone, Copy)]
pub struct Doors {
    /// SASL over TLS.
    pub secured: u16,
    /// TLS with client certificates.
    pub mutual: u16,
    /// SASL without TLS, with some mechanisms; its tokens are signed.
    pub named: u16,
}

impl Doors {
    /// On free ports.
    pub fn take(ports: &Ports) -> Self {
        Self { secured: ports.take(), mutual: ports.take(), named: ports.take() }
    }

    /// For `listeners` and `advertised.listeners`.
    pub fn listeners(self) -> String {
        let Self { secured, mutual, named } = self;
        format!(",SECURED://127.0.0.1:{secured},MUTUAL://127.0.0.1:{mutual},NAMED://127.0.0.1:{named}")
    }
}

/// For `listener.security.protocol.map`.
pub const PROTOCOLS: &str = ",SECURED:SASL_SSL,MUTUAL:SSL,NAMED:SASL_PLAINTEXT";

/// What a broker needs for these listeners.
pub fn settings(pki: &Pki) -> String {
    let (store, ca) = (pki.file("broker", "pem"), pki.ca());
    let (store, ca, keys) = (store.display(), ca.display(), keys_of(&pki.directory));
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let oauth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"broker\";";
    format!(
        "ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.mutual.ssl.client.auth=required
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.secured.plain.sasl.jaas.config={plain} user_{USER}=\"{PASSWORD}\";
listener.name.secured.scram-sha-256.sasl.jaas.config={scram}
listener.name.secured.scram-sha-512.sasl.jaas.config={scram}
listener.name.secured.oauthbearer.sasl.jaas.config={oauth}
listener.name.secured.scram-sha-512.connections.max.reauth.ms={LIFETIME_MS}
listener.name.named.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER
listener.name.named.plain.sasl.jaas.config={plain} user_{USER}=\"{PASSWORD}\" user_{NOBODY}=\"{NOBODYS_PASSWORD}\";
listener.name.named.scram-sha-256.sasl.jaas.config={scram}
listener.name.named.oauthbearer.sasl.jaas.config={oauth}
listener.name.named.oauthbearer.sasl.server.callback.handler.class={SIGNED}
sasl.oauthbearer.jwks.endpoint.url={keys}
sasl.oauthbearer.expected.issuer={ISSUER}
sasl.oauthbearer.expected.audience={AUDIENCE}
"
    )
}

/// Takes tokens that an issuer signed; SECURED has the default, which takes unsigned ones.
const SIGNED: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler";

/// What Kafka's own tool is told so that the first users exist: arguments of `StorageTool format`.
pub fn first_users() -> Vec<String> {
    let user = |mechanism: &str, name: &str, password: &str| format!("{mechanism}=[name={name},password={password}]");
    let of = |mechanism| {
        let others = OTHERS.into_iter().map(move |name| user(mechanism, name, &password_of(name)));
        [user(mechanism, USER, PASSWORD)].into_iter().chain(others)
    };
    let all = of("SCRAM-SHA-256").chain(of("SCRAM-SHA-512"));
    all.flat_map(|user| ["--add-scram".to_owned(), user]).collect()
}
