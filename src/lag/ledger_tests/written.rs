//! The text that Prometheus reads.

use super::*;

#[test]
fn who_knows_no_end_tells_none() {
    let mut play = Play::new();
    play.hear("g", 10);
    assert_eq!(play.lag("g"), (None, None));
    let text = play.text(Wanted::default());
    assert!(
        text.contains("fishplate_lag_unknown{reason=\"end\"} 1\n") && !text.contains("fishplate_group_lag_records{")
    );
}

#[test]
fn of_too_many_the_worst_are_shown_and_sums_are_of_all_pairs() {
    let mut play = Play::new();
    play.produce(0, 100).commit("a", 90).commit("b", 10).commit("c", 50);
    let text = play.text(Wanted { max_pairs: 2, compatibility: false });
    let shown = |group: &str| {
        text.contains(&format!(
            "lag_records{{pipeline=\"orders\",cluster=\"east\",group=\"{group}\",topic=\"t\",partition"
        ))
    };
    assert_eq!(["a", "b", "c"].map(shown), [false, true, true]);
    assert!(text.contains("fishplate_lag_pairs 3\n") && text.contains("fishplate_lag_pairs_hidden 1\n"));
    let sums = |family: &str| text.lines().filter(|line| line.starts_with(&format!("{family}{{"))).count();
    assert_eq!(["fishplate_topic_lag_records", "fishplate_pipeline_lag_records"].map(sums), [3, 3]);
    let text = play.text(Wanted { max_pairs: 1, compatibility: true });
    assert!(text.contains("fishplate_pipeline_lag_records{pipeline=\"orders\",group=\"b\"} 90\n"));
    assert_eq!(text.matches("\nfishplate_group_members{").count(), 0);
    play.aim().beat("a", ALICE).beat("b", ALICE).beat("c", ALICE);
    let text = play.text(Wanted { max_pairs: 1, compatibility: true });
    for (family, shown) in [
        ("fishplate_group_members", 3),
        ("fishplate_slo_records_total", 3),
        ("kafka_consumergroup_group_max_lag", 1),
        ("fishplate_group_lag_records", 1),
    ] {
        assert_eq!(text.matches(&format!("\n{family}{{")).count(), shown, "{family}");
    }
}

#[test]
fn every_family_is_written_as_the_table_says() {
    let mut play = Play::new();
    play.aim().beat("g", ALICE).produce_in_ms(3, 0, 10).wait(1.0).fetch(ALICE, 0, 7, high(10));
    play.commit("g", 3).wait(0.5).commit("g", 5).wait(1.0);
    play.ledger.tick(play.now());
    let text = play.text(Wanted { max_pairs: 10, compatibility: true });
    for family in families::ALL {
        let head = format!("# HELP {} {}\n# TYPE {} ", family.name, family.means, family.name);
        assert_eq!(text.matches(&head).count(), 1, "{}:\n{text}", family.name);
        let part = if matches!(family.kind, Kind::Histogram | Kind::Summary) { "_sum" } else { "" };
        let start = format!("{}{part}{}", family.name, if family.labels.is_empty() { " " } else { "{" });
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}\n{text}"));
        let names: Vec<_> = line.split("=\"").map(|part| part.rsplit(['{', ',']).next().unwrap()).collect();
        assert_eq!(&names[..names.len() - 1], family.labels, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn names_that_need_it_are_escaped() {
    let mut play = Play::new();
    play.produce(0, 10).commit("a\"b\\c\nd", 5);
    assert!(play.text(Wanted::default()).contains("group=\"a\\\"b\\\\c\\nd\""));
}
