//! Facts in any order, and of anything: what is told is never nonsense.

use super::*;

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -1i64..60, 1 => any::<i64>()]
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let given = prop::option::of((offset(), offset()));
    (offset(), given, offset(), offset()).prop_map(|(from, given, next, written_ms)| Stretch {
        from,
        given,
        next,
        written_ms,
    })
}

fn ends() -> impl Strategy<Value = Ends> {
    (offset(), offset(), offset()).prop_map(|(high, stable, start)| Ends { high, stable, start })
}

fn partition() -> impl Strategy<Value = Partition> {
    (prop_oneof![Just("t"), Just("u"), Just("never")], -1i32..3).prop_map(|(topic, index)| at(topic, index))
}

fn group() -> impl Strategy<Value = StrBytes> {
    prop_oneof![Just("a"), Just("b"), Just("-")].prop_map(text)
}

fn batches() -> impl Strategy<Value = Box<[Written]>> {
    let batch = (partition(), offset(), offset(), any::<u32>());
    let batch = batch.prop_map(|(at, base, next, bytes)| Written { at, base, next, bytes });
    prop::collection::vec(batch, 0..4).prop_map(Vec::into_boxed_slice)
}

fn handouts() -> impl Strategy<Value = Box<[Handed]>> {
    let handed = (partition(), stretch(), ends()).prop_map(|(at, stretch, ends)| Handed { at, stretch, ends });
    prop::collection::vec(handed, 0..4).prop_map(Vec::into_boxed_slice)
}

fn fact() -> impl Strategy<Value = Fact> {
    let reader = || (0u64..3).prop_map(Reader);
    let offsets = || prop::collection::vec((partition(), offset()), 0..3).prop_map(Vec::into_boxed_slice);
    prop_oneof![
        (batches(), prop::option::of(0i64..3)).prop_map(|(of, producer)| Fact::Acknowledged {
            of,
            transaction: producer.map(on_a),
            came: producer.map(|_| Instant::now())
        }),
        (prop::option::of(reader()), any::<bool>(), handouts()).prop_map(|(by, committed_only, of)| Fact::Fetched {
            by,
            committed_only,
            of
        }),
        (reader(), any::<u32>()).prop_map(|(by, ms)| Fact::Throttled { by, ms }),
        (group(), offsets(), any::<bool>()).prop_map(|(group, of, anew)| Fact::Committed { group, of, anew }),
        (group(), 0i64..3, offsets()).prop_map(|(group, producer, of)| Fact::CommitsWith {
            group,
            producer: on_a(producer),
            of
        }),
        (0i64..3, any::<bool>()).prop_map(|(producer, committed)| Fact::Ended { producer: on_a(producer), committed }),
        (group(), 0u64..3, reader(), any::<u32>()).prop_map(|(group, member, by, within_ms)| Fact::Beat {
            group,
            member,
            by,
            within_ms
        }),
        (group(), 0u64..3).prop_map(|(group, member)| Fact::Left { group, member }),
        (group(), 0u64..3, prop::collection::vec(partition(), 0..2)).prop_map(|(group, member, of)| {
            let topics = Some(of.into_iter().map(|partition| partition.topic).collect());
            Fact::Subscribed { group, member, topics }
        }),
        (group(), prop::collection::vec((0u64..3, prop::option::of(partition())), 0..3), 0u64..600).prop_map(
            |(group, members, asked)| {
                let reads = |(member, of): (u64, Option<Partition>)| (member, of.map(|of| [of.topic].into()));
                let members = members.into_iter().map(reads).collect();
                Fact::Described { group, members, asked: Instant::now() + Duration::from_secs(asked) }
            }
        ),
        (group(), offsets()).prop_map(|(group, of)| Fact::Holds { group, of, asked: Instant::now() }),
        prop::collection::vec(group(), 0..2).prop_map(|groups| Fact::Listed {
            cluster: slot(0),
            groups: groups.into(),
            asked: Instant::now() + Duration::from_secs(600)
        }),
        (group(), any::<bool>()).prop_map(|(group, has_members)| Fact::Stands { group, has_members }),
        group().prop_map(|group| Fact::GroupGone { group }),
        (group(), prop::collection::vec(partition(), 0..2))
            .prop_map(|(group, of)| Fact::OffsetsGone { group, of: of.into() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever facts come: no value is negative or NaN, no series stands twice, and nothing panics.
    #[test]
    fn nonsense_is_never_told(steps in prop::collection::vec((fact(), 0u64..90_000, 0u8..20), 0..60)) {
        let mut play = Play::new();
        play.aim();
        for (fact, pause, what) in steps {
            play.ms += pause;
            play.fact(fact);
            match what {
                0 => play.places(&[place("t", 1), place("u", 2)]),
                1 => play.places(&[place("t", 3)]),
                2 => { play.ledger.tick(play.now()); }
                _ => {}
            }
            for row in play.rows() {
                prop_assert!(row.lag.is_none_or(|lag| lag >= 0) && row.seconds.is_none_or(|seconds| seconds >= 0.0));
                prop_assert!(row.committed.is_none_or(|committed| committed >= 0));
                prop_assert!(row.lag != Some(0) || row.seconds.is_none_or(|seconds| seconds == 0.0));
            }
            let _ = play.ledger.unknown(10, |_| false, play.now());
        }
        let text = play.text(Wanted { max_pairs: 3, compatibility: true });
        let mut met = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            prop_assert!(met.insert(series), "{}", series);
            prop_assert!(value.parse::<f64>().is_ok_and(|value| value.is_finite() && value >= 0.0), "{}", line);
        }
    }
}
