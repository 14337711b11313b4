//! Groups whose coordinator assigns partitions (KIP-848, KIP-932): what is refused, and how it is said. What clients see of
//! those that are served: the scenarios `assigned` and `shares`.

use crate::harness::config::View;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::raw::{Raw, text, topic};
use crate::scenarios::tool;
use crate::world::{World, shared};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, FindCoordinatorRequest, GroupId,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use libtest_mimic::Trial;
use std::time::Duration;

const SOON: Duration = wait::seconds(60);

/// In the log.
const REFUSED: &str = "subscribes to topics of another cluster";

pub fn trials() -> Vec<Trial> {
    [View::Brokers, View::Single]
        .into_iter()
        .flat_map(|view| {
            let name = |what: &str| format!("assigned: {what} in {}", view.word());
            vec![
                shared(name("what lives elsewhere is refused"), move |world| elsewhere_is_refused(world, view)),
                shared(name("a regular expression counts all that it matches"), move |world| a_regex(world, view)),
                shared(name("share groups"), move |world| share_groups(world, view)),
            ]
        })
        .chain([shared("assigned: operators see them", operators_see_them)])
        .collect()
}

/// A member, and the connection that it heartbeats over.
struct Member<'w> {
    world: &'w World,
    view: View,
    raw: Raw,
    group: String,
    id: String,
    epoch: i32,
}

impl<'w> Member<'w> {
    fn new(world: &'w World, view: View, group: &str) -> Self {
        let group = format!("{group}-{}", view.word());
        let mut member = Self {
            world,
            view,
            raw: connect(world, view),
            group,
            id: format!("{:032x}", fastrand::u128(..)),
            epoch: 0,
        };
        member.find();
        member
    }

    /// Until there is a coordinator.
    fn find(&mut self) {
        wait::until("a coordinator", SOON, || {
            let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&self.group)]);
            self.raw.call(6, &request).coordinators[0].error_code == 0
        });
    }

    /// It goes on over another connection.
    fn move_on(&mut self) {
        self.raw = connect(self.world, self.view);
    }

    fn beat(&mut self, names: Option<&[&str]>, regex: Option<&str>) -> ConsumerGroupHeartbeatResponse {
        let joins = self.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(&self.id))
            .with_member_epoch(self.epoch)
            .with_rebalance_timeout_ms(if joins { 60_000 } else { -1 })
            .with_subscribed_topic_names(names.map(|names| names.iter().map(|name| topic(name)).collect()))
            .with_subscribed_topic_regex(regex.map(text))
            .with_topic_partitions(joins.then(Vec::new));
        // A coordinator that has just come up asks for patience.
        let answer = wait::find("an answer", SOON, || {
            let answer = self.raw.call(1, &request);
            let cold = matches!(answer.error_code, 14 | 15) || answer.error_code == 16 && names.is_some();
            (!cold).then_some(answer)
        });
        if answer.error_code == 0 {
            self.epoch = answer.member_epoch;
        }
        answer
    }

    fn leave(&mut self) {
        self.epoch = -1;
        self.beat(None, None);
    }
}

fn connect(world: &World, view: View) -> Raw {
    Raw::connect(&world.proxy().bootstrap_in(view).servers)
}

#[track_caller]
fn said(answer: &ConsumerGroupHeartbeatResponse, code: i16, parts: &[&str]) {
    let message = answer.error_message.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!(answer.error_code, code, "{message}");
    for part in parts {
        assert!(message.contains(part), "no {part} in {message}");
    }
}

fn elsewhere_is_refused(world: &World, view: View) {
    world.proxy().log().allow(REFUSED);
    // Given topics on two clusters
    let (near, far) = (format!("a-near-{}", view.word()), format!("b-far-{}", view.word()));
    Topics::of(&world.a.bootstrap()).create(&near, 1, 1);
    Topics::of(&world.b.bootstrap()).create(&far, 1, 1);
    // When a member of a group of the first subscribes to the second's, then it is told what lives where, and what helps
    let mut member = Member::new(world, view, "ga-reaches");
    let refused = member.beat(Some(&[&far]), None);
    said(&refused, 35, &[&format!("{far} (on b)"), "lives on cluster a", "write `groups:", "group.protocol=classic"]);
    wait::until("the log names it", SOON, || !world.proxy().log().lines_with(&member.group).is_empty());
    // And so with both, and with one that nobody has made yet
    said(&member.beat(Some(&[&near, &far]), None), 35, &[&far]);
    said(&member.beat(Some(&["b-not-made-yet"]), None), 35, &["b-not-made-yet"]);
    // What lives with the group is served, and one that is nowhere waited for
    said(&member.beat(Some(&[&near, "a-not-made-yet"]), None), 0, &[]);
    wait::until("it is assigned", SOON, || member.beat(None, None).error_code == 0 && member.epoch > 0);
    // When the served one subscribes to more, it is refused, and so over another connection once it has said all again
    said(&member.beat(Some(&[&near, &far]), None), 35, &[&far]);
    member.move_on();
    said(&member.beat(None, None), 16, &[]);
    said(&member.beat(Some(&[&near]), None), 0, &[]);
    member.leave();
    // A cluster that does not serve such groups says so
    let mut member = Member::new(world, view, "gb-lacks");
    said(&member.beat(Some(&[&far]), None), 35, &["cluster b, which does not serve", "group.protocol=classic"]);
}

fn a_regex(world: &World, view: View) {
    world.proxy().log().allow(REFUSED);
    let word = view.word();
    let regex = format!("[ab]-regex-{word}-.*");
    let near = format!("a-regex-{word}-1");
    Topics::of(&world.proxy().bootstrap()).create(&near, 1, 1);
    // Given a member whose regular expression means topics of its own cluster alone
    let mut member = Member::new(world, view, "ga-regex");
    said(&member.beat(Some(&[]), Some(&regex)), 0, &[]);
    wait::until("it is assigned what the expression matches", SOON, || {
        let answer = member.beat(None, None);
        said(&answer, 0, &[]);
        answer.assignment.is_some_and(|assignment| !assignment.topic_partitions.is_empty())
    });
    // When a topic that it matches is made elsewhere, then the member is refused
    let far = format!("b-regex-{word}-2");
    Topics::of(&world.proxy().bootstrap()).create(&far, 1, 1);
    let refused = wait::find("the refusal", SOON, || {
        let answer = member.beat(None, None);
        (answer.error_code != 0).then_some(answer)
    });
    said(&refused, 35, &[&format!("{far} (on b)"), "subscribe to topics of one cluster"]);
    // And what cannot be read is not passed on
    let mut member = Member::new(world, view, "ga-unreadable");
    said(&member.beat(Some(&[]), Some("a-(")), 128, &["cannot tell which topics"]);
}

fn share_groups(world: &World, view: View) {
    world.proxy().log().allow(REFUSED);
    let group = format!("ga-share-{}", view.word());
    let mut member = Member::new(world, view, "ga-share");
    let mut beat = |names: &[&str]| -> ShareGroupHeartbeatResponse {
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&group)))
            .with_member_id(text(&member.id))
            .with_subscribed_topic_names(Some(names.iter().map(|name| topic(name)).collect()));
        wait::find("an answer", SOON, || {
            let answer = member.raw.call(1, &request);
            (!matches!(answer.error_code, 14..=16)).then_some(answer)
        })
    };
    let refused = beat(&["b-far"]);
    let message = refused.error_message.unwrap().to_string();
    assert!(refused.error_code == 42 && message.contains("b-far (on b)"), "{message}");
    let served = beat(&["a-near"]);
    assert_eq!(served.error_code, 0, "{:?}", served.error_message);
}

fn operators_see_them(world: &World) {
    // Given a group with a member
    let name = "a-operators-see";
    Topics::of(&world.a.bootstrap()).create(name, 2, 1);
    let mut member = Member::new(world, View::Brokers, "ga-operators-see");
    said(&member.beat(Some(&[name]), None), 0, &[]);
    // Then Kafka's tool describes it
    wait::until("it is described", SOON, || {
        said(&member.beat(None, None), 0, &[]);
        let told = tool(world, GROUPS, &["--describe", "--group", &member.group, "--members", "--verbose"]);
        told.contains(&member.id) && told.contains(name)
    });
    let told = tool(world, GROUPS, &["--list", "--type", "consumer"]);
    assert!(told.lines().any(|line| line.starts_with(&member.group)), "{told}");
    member.leave();
    let told = tool(world, GROUPS, &["--delete", "--group", &member.group]);
    assert!(told.contains("successful"), "{told}");
}

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
