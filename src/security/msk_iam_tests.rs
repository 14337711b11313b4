//! Signatures held against AWS's own vectors and against what was computed without AWS's crates; credentials found where they are.

use super::*;
use crate::security::testing::endpoint::{Endpoint, Says};
use crate::security::testing::iam::{Account, check, pairs, signature};
use proptest::prelude::*;
use std::process::Command;
use std::time::UNIX_EPOCH;

const NOW: u64 = 1_800_000_000;
const REGION: &str = "eu-central-1";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn credentials(session_token: Option<&str>, expires: Option<SystemTime>) -> Credentials {
    Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token.map(Into::into),
        expires,
        "test",
    )
}

fn account(session_token: Option<&str>) -> Account<'_> {
    Account { access_key: "AKIDEXAMPLE", secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token }
}

/// `query-signature.txt` of the cases that sign a GET of `/`, in the suite that aws-sigv4 1.6.4 comes with: the query, the
/// session token, the signature.
const VECTORS: [(&str, Option<&str>, &str); 7] = [
    // get-vanilla
    ("", None, "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    // get-vanilla-empty-query-key
    ("?Param1=value1", None, "49096700cbbaa5753443850f40df10f904fc2fdb544dc9512203cc77c471a9de"),
    // get-vanilla-query
    ("", None, "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    // get-vanilla-query-order-encoded
    (
        "?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        None,
        "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787",
    ),
    // get-vanilla-query-order-key-case
    ("?Param2=value2&Param1=value1", None, "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"),
    // get-vanilla-query-unreserved
    (
        "?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        None,
        "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf",
    ),
    // get-vanilla-with-session-token
    (
        "",
        Some("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
        "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c",
    ),
];

#[test]
fn signatures_are_those_of_awss_suite() {
    for (query, session_token, wanted) in VECTORS {
        let url = format!("https://example.amazonaws.com/{query}");
        let scope = Scope { service: "service", region: "us-east-1" };
        let signed =
            presigned(credentials(session_token, None), scope, &url, Duration::from_secs(3_600), at(1_440_938_160))
                .unwrap();
        let mut query = pairs(signed.split_once('?').unwrap().1).unwrap();
        assert_eq!(query.remove("X-Amz-Signature").as_deref(), Some(wanted), "{url}");
        let anew = signature(
            account(None).secret_key,
            &query,
            "example.amazonaws.com",
            "20150830T123600Z",
            "us-east-1",
            "service",
        );
        assert_eq!(anew, wanted, "and the one who checks computes the same");
    }
}

#[test]
fn a_token_is_taken_by_who_checks_it_as_aws_does() {
    for session_token in [None, Some("IQoJb3JpZ2luX2VjE/+=")] {
        let token = signed(credentials(session_token, None), REGION, at(NOW)).unwrap();
        let checked = |account: &Account<'_>, region, now| check(token.secret.reveal(), account, region, at(now));
        assert_eq!(token.expires, Some(at(NOW + 900)));
        assert_eq!(checked(&account(session_token), REGION, NOW), Ok(()));
        assert_eq!(checked(&account(session_token), REGION, NOW + 899), Ok(()));
        assert!(checked(&account(session_token), REGION, NOW + 900).is_err(), "its time is over");
        assert!(checked(&account(session_token), "us-east-1", NOW).is_err(), "another region");
        assert!(checked(&Account { secret_key: "other", ..account(session_token) }, REGION, NOW).is_err());
        assert!(checked(&account(Some("other")), REGION, NOW).is_err());
    }
}

#[test]
fn a_token_is_written_as_awss_signers_write_it() {
    let token = signed(credentials(Some("a/b"), None), REGION, at(NOW)).unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token.secret.reveal()).unwrap()).unwrap();
    let shape = shape_of(&url);
    assert_eq!(
        shape,
        "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIDEXAMPLE%2F20270115%2Feu-central-1%2Fkafka-cluster%2Faws4_request&X-Amz-Date=20270115T080000Z\
         &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=(64)&X-Amz-Security-Token=a%2Fb&User-Agent=fishplate%2F0.1.0"
    );
}

/// The address with the length of the signature in its place.
fn shape_of(url: &str) -> String {
    let (before, rest) = url.split_once("X-Amz-Signature=").unwrap();
    let (signature, after) = rest.split_once('&').unwrap();
    format!("{before}X-Amz-Signature=({})&{after}", signature.len())
}

#[test]
fn a_token_lasts_no_longer_than_its_credentials() {
    let token = signed(credentials(Some("t"), Some(at(NOW + 60))), REGION, at(NOW)).unwrap();
    assert_eq!(token.expires, Some(at(NOW + 60)));
}

proptest! {
    #[test]
    fn whatever_the_secret_and_the_time_the_token_is_taken(
        access in "[A-Z0-9]{16,20}", secret in "[A-Za-z0-9/+=]{40}", session in proptest::option::of("[A-Za-z0-9/+=]{1,300}"),
        now in 1_000_000_000..4_000_000_000_u64,
    ) {
        let credentials = Credentials::new(&access, &secret, session.clone(), None, "test");
        let token = signed(credentials, REGION, at(now)).unwrap();
        let account = Account { access_key: &access, secret_key: &secret, session_token: session.as_deref() };
        prop_assert_eq!(check(token.secret.reveal(), &account, REGION, at(now)), Ok(()));
    }

    #[test]
    fn nothing_of_a_token_can_be_changed_but_the_name_of_the_program(byte in any::<prop::sample::Index>(), bit in 0..7_u8) {
        let token = signed(credentials(Some("session"), None), REGION, at(NOW)).unwrap();
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token.secret.reveal()).unwrap()).unwrap();
        let mut damaged = url.clone().into_bytes();
        let byte = byte.index(damaged.len());
        damaged[byte] ^= 1 << bit;
        let damaged = String::from_utf8(damaged).unwrap();
        let said = |url: &str| url.split_once('?').and_then(|(host, query)| {
            let mut pairs = pairs(query).ok()?;
            pairs.remove("User-Agent");
            Some((host.to_owned(), pairs))
        });
        prop_assume!(said(&damaged) != said(&url));
        prop_assert!(check(&URL_SAFE_NO_PAD.encode(damaged), &account(Some("session")), REGION, at(NOW)).is_err());
    }
}

/// Where credentials are is said in the environment of a process: this test runs itself in one of its own.
fn in_a_process_with(environment: &[(&str, String)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "security::msk_iam::tests::prints_a_token", "--ignored", "--nocapture"]);
    for name in
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_REGION"]
    {
        child.env_remove(name);
    }
    child.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    let output = child.envs(environment.iter().map(|(name, value)| (name, value))).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
#[ignore = "prints what other tests ask for, in processes of their own"]
async fn prints_a_token() {
    let ca = crate::security::testing::certificate_file();
    let https = Https::trusting(Some(&ca)).unwrap();
    std::fs::remove_file(ca).unwrap();
    let role = std::env::var("FISHPLATE_TEST_ROLE").ok().map(Into::into);
    let whom = MskIam { region: REGION.into(), role, profile: None };
    match MskSigner::new(&whom, https).fetch(SystemTime::now()).await {
        Ok(token) => println!("token:{}", token.secret.reveal()),
        Err(error) => println!("error:{error}"),
    }
}

fn token_of(output: &str) -> &str {
    let (_, token) = output.split_once("token:").unwrap_or_else(|| panic!("{output}"));
    token.lines().next().unwrap()
}

fn assert_taken(output: &str, session_token: Option<&str>) {
    assert_eq!(check(token_of(output), &account(session_token), REGION, SystemTime::now()), Ok(()));
}

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")];

fn keys() -> Vec<(&'static str, String)> {
    KEYS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[test]
fn credentials_come_from_the_environment() {
    assert_taken(&in_a_process_with(&keys()), None);
}

#[test]
fn credentials_come_from_a_profile() {
    let file = std::env::temp_dir().join(format!("fishplate-aws-{}", std::process::id()));
    let text = format!(
        "[default]\naws_access_key_id={}\naws_secret_access_key={}\naws_session_token=st\n",
        KEYS[0].1, KEYS[1].1
    );
    std::fs::write(&file, text).unwrap();
    let output = in_a_process_with(&[("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string())]);
    std::fs::remove_file(file).unwrap();
    assert_taken(&output, Some("st"));
}

/// What a container's and an instance's metadata answer.
fn answer() -> String {
    serde_json::json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": KEYS[0].1, "SecretAccessKey": KEYS[1].1, "Token": "st",
        "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_container() {
    let stand = Endpoint::start(Says::This(200, answer())).await;
    let url = format!("http://127.0.0.1:{}/creds", stand.port);
    let environment =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc".to_owned())];
    let output = tokio::task::spawn_blocking(move || in_a_process_with(&environment)).await.unwrap();
    assert_taken(&output, Some("st"));
    assert_eq!((stand.asked()[0].what.as_str(), stand.asked()[0].authorization.as_str()), ("GET /creds", "Basic abc"));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_an_instance() {
    let stand = Endpoint::start(Says::This(200, answer())).await;
    let url = format!("http://127.0.0.1:{}", stand.port);
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url), ("AWS_EC2_METADATA_DISABLED", "false".to_owned())];
    let output = tokio::task::spawn_blocking(move || in_a_process_with(&environment)).await.unwrap();
    assert!(stand.asked().iter().any(|asked| asked.what == "PUT /latest/api/token"), "{:?} {output}", stand.asked());
}

/// What STS answers to AssumeRoleWithWebIdentity and AssumeRole.
fn sts(action: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>st</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>\
         <AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser></{action}Result></{action}Response>",
        KEYS[0].1, KEYS[1].1
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_web_identity() {
    let stand = Endpoint::start(Says::This(200, sts("AssumeRoleWithWebIdentity"))).await;
    let file = std::env::temp_dir().join(format!("fishplate-web-{}", std::process::id()));
    std::fs::write(&file, "header.payload.signature").unwrap();
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.display().to_string()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r".to_owned()),
        ("AWS_ENDPOINT_URL_STS", format!("http://127.0.0.1:{}", stand.port)),
    ];
    let output = tokio::task::spawn_blocking(move || in_a_process_with(&environment)).await.unwrap();
    std::fs::remove_file(file).unwrap();
    assert_taken(&output, Some("st"));
    assert!(stand.asked()[0].body.contains("WebIdentityToken=header.payload.signature"), "{:?}", stand.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_taken_on() {
    let stand = Endpoint::start(Says::This(200, sts("AssumeRole"))).await;
    let mut environment = keys();
    environment.push(("FISHPLATE_TEST_ROLE", "arn:aws:iam::1:role/kafka".to_owned()));
    environment.push(("AWS_ENDPOINT_URL_STS", format!("http://127.0.0.1:{}", stand.port)));
    let output = tokio::task::spawn_blocking(move || in_a_process_with(&environment)).await.unwrap();
    assert_taken(&output, Some("st"));
    assert!(stand.asked()[0].body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fkafka"), "{:?}", stand.asked());
}

#[test]
fn where_there_are_no_credentials_it_is_said_where_they_could_be() {
    let output = in_a_process_with(&[]);
    assert!(output.contains("error:AWS_MSK_IAM: no credentials of AWS in the environment, profile,"), "{output}");
}
