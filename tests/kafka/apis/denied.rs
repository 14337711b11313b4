//! Every API in every version, asked by somebody who may do nothing: told what Kafka tells such a one, told the same of what is
//! there and of what is not, and nothing is done.

use super::{DIFFERENCES, Way, difference, requests};
use crate::harness::config::View;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{NOBODY, NOBODYS_PASSWORD};
use crate::harness::wait;
use crate::raw::{Raw, text, topic};
use crate::security::add;
use crate::turned_away::allow_plain;
use crate::world::World;
use fishplate::wire::versions::SERVED;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::*;
use uuid::Uuid;

/// What is answered otherwise than Kafka answers who has no rights, and why.
const OTHERWISE: &[(ApiKey, &[&str], &str)] = &[
    (ApiKey::ListPartitionReassignments, &["topics"], "Kafka says again what was asked"),
    (ApiKey::DescribeUserScramCredentials, &["results"], "the same, without the names"),
];
/// What answers tell of a topic that is there and of one that is not, and why that is none of what is hidden.
const TELLS: &[(ApiKey, i16, &str)] = &[
    (
        ApiKey::Produce,
        13,
        "who knows a topic's id knows that it is there: 29, and 100 for an id that nobody has, as by Kafka",
    ),
    (ApiKey::Fetch, 13, "the same"),
];

pub fn nobody_may(world: &World) {
    let mut eyes = Way::bare_about(world, "denied", "denied".into());
    let users = world.directory.join("denied.users");
    add(&users, NOBODY, NOBODYS_PASSWORD);
    let sasl = format!("sasl: {{ mechanisms: [PLAIN], users_file: \"{}\" }}", users.display());
    let config = world.config().only("apis").showing(View::Brokers, None).keeps(&sasl);
    let proxy = world.start_proxy(&config.with("authorization: { super_users: [\"User:admin\"] }\n"));
    allow_plain(&proxy);
    let before = state(&mut eyes);
    let mut bare = as_nobody(world, "baredenied", None);
    let mut through = as_nobody(world, "thrudenied", Some(&proxy));
    let mut hidden = as_nobody(world, "thrudenied", Some(&proxy));
    (hidden.topic, hidden.id) = ("a-apis-absent".into(), Uuid::from_u128(0x1234_5678_9abc_def0));
    let mut complaints = Vec::new();
    for row in SERVED {
        let aside: Vec<_> = DIFFERENCES
            .iter()
            .chain(OTHERWISE)
            .filter(|(api, ..)| *api == row.api)
            .flat_map(|(_, fields, _)| *fields)
            .copied()
            .collect();
        for version in row.lowest()..=row.max {
            let [one, other, of_hidden] =
                [&mut bare, &mut through, &mut hidden].map(|way| requests::ask(way, row.api, version, &aside));
            let of_hidden = of_hidden.replace(&hidden.topic, &through.topic);
            if let Some(difference) = difference(&one, &other) {
                complaints.push(format!("{:?} {version}\n{difference}", row.api));
            }
            if TELLS.iter().any(|(api, since, _)| *api == row.api && version >= *since) {
                continue;
            }
            if let Some(difference) = difference(&of_hidden, &other) {
                let difference = difference.replace("bare Kafka", "not there").replace("Fishplate", "there");
                complaints.push(format!("{:?} {version} tells what is there\n{difference}", row.api));
            }
        }
    }
    let after = state(&mut eyes);
    complaints.extend(difference(&before, &after).map(|difference| format!("something was done:\n{difference}")));
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    proxy.finish();
}

/// A way of who may do nothing; who may do everything finds out for it where coordinators are.
fn as_nobody<'w>(world: &'w World, name: &str, proxy: Option<&Proxy>) -> Way<'w> {
    let eyes = Way::bare_about(world, "denied", name.into());
    let address = proxy.map(|proxy| proxy.bootstrap().servers);
    let connect = move |broker: i32| {
        let of_broker = || format!("127.0.0.1:{}", world.a.broker(broker).doors.named);
        let mut raw = Raw::connect(&address.clone().unwrap_or_else(of_broker));
        raw.log_in(NOBODY, NOBODYS_PASSWORD);
        raw
    };
    Way::blind(eyes, connect)
}

/// All that could have been done, as the cluster itself tells it.
fn state(eyes: &mut Way<'_>) -> String {
    let name = topic(&eyes.topic);
    let mut told = Vec::new();
    // No topic, group, user, quota or ACL of a name that was asked to be made.
    let all = eyes.to(1).call(12, &MetadataRequest::default().with_topics(None));
    let mut topics: Vec<_> = all.topics.iter().filter(|one| is_ours(one.name.as_ref().map(|name| &***name))).collect();
    topics.sort_by_key(|topic| topic.name.clone());
    told.push(format!("{:?}", topics.iter().map(|one| (&one.name, one.partitions.len())).collect::<Vec<_>>()));
    let leader = eyes.leader();
    for at in [-2, -1] {
        let partition = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(at);
        let asked = ListOffsetsTopic::default().with_name(name.clone()).with_partitions(vec![partition]);
        let asked = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
        told.push(format!("{:?}", eyes.to(leader).call(7, &asked).topics));
    }
    let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text(&eyes.topic));
    let configs = DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
    told.push(format!("{:?}", eyes.to(1).call(4, &configs).results));
    let acls = DescribeAclsRequest::default().with_resource_type_filter(1).with_pattern_type_filter(1);
    let acls = eyes.to(1).call(3, &acls.with_operation(1).with_permission_type(1));
    told.extend(ours(&acls.resources));
    let quotas = eyes.to(1).call(1, &DescribeClientQuotasRequest::default().with_components(Vec::new()));
    told.extend(ours(quotas.entries.unwrap_or_default()));
    let users = eyes.to(1).call(0, &DescribeUserScramCredentialsRequest::default().with_users(None));
    told.extend(ours(&users.results));
    for broker in 1..=3 {
        let groups = eyes.to(broker).call(5, &ListGroupsRequest::default());
        told.extend(ours(&groups.groups));
        let transactions = eyes.to(broker).call(0, &ListTransactionsRequest::default());
        let states = transactions.transaction_states;
        told.extend(
            states.iter().filter(|one| &*one.transaction_state == "Ongoing").filter_map(|one| ours([one]).pop()),
        );
    }
    for way in ["baredenied", "thrudenied"] {
        let id = format!("ga-apis-{way}");
        let asked = OffsetFetchRequestGroup::default().with_group_id(GroupId(text(&id))).with_topics(None);
        let asked = OffsetFetchRequest::default().with_groups(vec![asked]);
        let coordinator = eyes.coordinator(super::GROUP, &id);
        // One that has just come up asks for patience.
        told.push(wait::find("offsets", wait::seconds(30), || {
            let groups = eyes.to(coordinator).call(9, &asked).groups;
            (groups[0].error_code == 0).then(|| format!("{groups:?}"))
        }));
    }
    told.join("\n")
}

/// What names one of the ways.
fn ours<T: std::fmt::Debug>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| format!("{one:?}")).filter(|shown| is_ours(Some(shown))).collect()
}

fn is_ours(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.contains("denied") || name.contains("absent") || name.contains("a-apis-nobody"))
}
