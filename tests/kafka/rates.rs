//! What an operator sees of limits and changes while records flow: who speaks most, and a rate until the next reload.

use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::operator::says;
use crate::policy::{read, record, start, write};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use serde_json::Value;

pub fn trials() -> Vec<Trial> {
    vec![shared(
        "policy: an operator finds the noisy token, and sets a rate until the next reload",
        noisy_and_another_rate,
    )]
}

const LIMITS: &str = "limits: [{ name: drops, key: header(token), rate: 1/h, burst: 5, action: drop }]\n";
const TOPIC: &str = "a-policy-rates";

fn asked(proxy: &Proxy, words: &[&str]) -> Value {
    let (code, said) = says(proxy, &[words, &["--json"]].concat());
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).expect("JSON")
}

fn noisy_and_another_rate(world: &World) {
    Topics::of(&world.a.bootstrap()).create(TOPIC, 1, 3);
    let proxy = start(world, "rates", LIMITS);
    let send = |token: &str, count: usize| {
        let sent: Vec<_> = (0..count).map(|number| record(number, Some(token))).collect();
        assert_eq!(write(&proxy.bootstrap(), TOPIC, &[], &sent), [""; 0]);
        read(&proxy.bootstrap(), TOPIC).len()
    };
    // Given a noisy token and a quiet one, and a limit of five
    assert_eq!(send("phc_the_noisy_one", 40), 5);
    assert_eq!(send("phc_the_quiet_one", 3), 8);
    // Then the noisy one is told first, masked, with what was dropped of it
    let tokens = |more: &[&str]| asked(&proxy, &[&["tokens", "--pipeline", "left"], more].concat());
    let told = tokens(&[]);
    let (loudest, all) = (&told["rows"][0], &told["all"]);
    assert_eq!((&loudest["records"], &loudest["diverted"]), (&40.into(), &35.into()), "{told}");
    assert_eq!((&all["records"], &told["total"], &told["key"]), (&43.into(), &2.into(), &"header(token)".into()));
    let mask = loudest["token"].as_str().expect("a mask").to_owned();
    assert!(mask.starts_with("phc_…") && !told.to_string().contains("noisy"), "{told}");
    assert_eq!(tokens(&["--by", "diverted", "--reveal"])["rows"][0]["token"], "phc_the_noisy_one");
    let (code, said) = says(&proxy, &["tokens", "--pipeline", "left"]);
    assert!(code == 0 && said.contains(&mask) && said.contains("93.0%") && said.contains("████"), "{said}");
    // And explain says what would become of the next one of it, and charges nothing
    let admin = proxy.admin();
    let explain = |token: &str| {
        let header = format!("token={token}");
        let words = ["explain", "--admin", &admin, "--topic", TOPIC, "--header", &header, "--json"];
        let (code, said) = crate::operator::run(&words);
        assert_eq!(code, 0, "{said}");
        let told: Value = serde_json::from_str(&said).expect("JSON");
        told["record"]["limits"][0].clone()
    };
    let (noisy, quiet) = (explain("phc_the_noisy_one"), explain("phc_the_quiet_one"));
    assert_eq!(
        (&noisy["left"], &quiet["left"], &quiet["left"]),
        (&0.into(), &2.into(), &explain("phc_the_quiet_one")["left"])
    );
    assert!(noisy["says"].as_str().is_some_and(|says| says.contains("dropped")), "{noisy}");
    // When an operator sets the limit's rate, then it holds at once, and is told as what stands in no file
    let set =
        |more: &[&str]| says(&proxy, &[&["limits", "set", "--pipeline", "left", "--limit", "drops"], more].concat());
    let (code, said) = set(&["--rate", "1000/s", "--burst", "1000"]);
    assert!(code == 0 && said.contains("until the next reload or restart"), "{said}");
    assert_eq!(send("phc_another_one", 50), 58);
    assert_eq!(asked(&proxy, &["limits"])["rows"][0]["until_reload"], Value::from(vec!["rate"]));
    assert_eq!(explain("phc_a_new_one")["until_reload"], true);
    // And one that the config could not have is refused in its words
    let (code, said) = set(&["--rate", "0/s"]);
    assert!(code == 1 && said.starts_with("fishplate: 0 lets nothing through"), "{code}: {said}");
    let (code, said) = says(&proxy, &["tokens", "--pipeline", "lft"]);
    assert!(code == 1 && said.contains("these have: left"), "{code}: {said}");
    // And a reload, even of the same file, ends it
    proxy.hang_up();
    let lapsed = || asked(&proxy, &["limits"])["rows"][0]["until_reload"] == Value::Array(Vec::new());
    wait::until("the file's rate is in force", wait::seconds(30), lapsed);
    assert_eq!(send("phc_one_more", 50), 63);
    proxy.finish();
}
