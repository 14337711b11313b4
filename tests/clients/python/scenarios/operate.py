"""What an operator does with confluent-kafka's admin client: each change, what it answers, and what is there afterwards.
Brokers hear of a change one after another, and any may be asked: what is told is what the first one tells that has heard."""

from confluent_kafka import (OFFSET_END, ConsumerGroupState, ConsumerGroupTopicPartitions, ElectionType, IsolationLevel,
                             TopicCollection, TopicPartition)
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AlterConfigOpType,
                                   ConfigEntry, ConfigResource, ConfigSource, NewPartitions, OffsetSpec,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialDeletion, UserScramCredentialUpsertion)

from stage import SOON


def operate(stage):
    stage.create(3)
    stage.fill("v", 3, 5)
    for topic in stage.topics:
        seen = {}
        # Told as far as it came where it gives up.
        stage.saw(stage.topic_alias(topic), seen)
        for about in [partitions, described, configs, records, acls, users]:
            about(stage, topic, seen)
    for number, group in enumerate(stage.groups):
        stage.saw(f"group {number + 1}", of_group(stage, group))
    about = stage.library.admin.describe_cluster(include_authorized_operations=True).result(SOON)
    ids = {node.id for node in about.nodes}
    stage.saw("cluster", {"has an id": bool(about.cluster_id), "the controller is a node": about.controller.id in ids,
                          "operations": sorted(one.name for one in about.authorized_operations)})


def only(futures):
    """What the one future of a dict brings."""
    (future,) = futures.values()
    return future.result(SOON)


def partitions(stage, topic, seen):
    admin = stage.library.admin

    def grow(name, count, **more):
        return stage.error_of(lambda: only(admin.create_partitions([NewPartitions(name, count)], **more)))

    seen["grow, as many"] = grow(topic, 3)
    seen["grow, fewer"] = grow(topic, 1)
    seen["grow, no such topic"] = grow(f"{topic}.x", 2)
    seen["grow, validate"] = grow(topic, 4, validate_only=True)
    seen["grow"] = grow(topic, 4)

    def has_grown():
        found = admin.list_topics(topic, SOON).topics[topic]
        return len(found.partitions) == 4 and all(one.leader >= 0 for one in found.partitions.values())

    stage.until("the topic has grown", has_grown)


def described(stage, topic, seen):
    admin = stage.library.admin
    nodes = {node.id for node in admin.describe_cluster().result(SOON).nodes}

    def look(name):
        asked = admin.describe_topics(TopicCollection([name]), include_authorized_operations=True)
        return asked[name].result(SOON)

    found = [None]

    def is_known():
        found[0] = look(topic)
        return len(found[0].partitions) == 4

    stage.until("the topic is described", is_known)
    seen["described"] = {
        "internal": found[0].is_internal,
        "operations": sorted(one.name for one in found[0].authorized_operations),
        "partitions": [f"{one.id}: leader is a node: {one.leader.id in nodes}, replicas are the leader: "
                       f"{[node.id for node in one.replicas] == [one.leader.id]}, in sync: {len(one.isr)}"
                       for one in found[0].partitions],
    }
    seen["described, no such topic"] = stage.error_of(lambda: look(f"{topic}.x"))

    def elect(partition):
        (error,) = admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, partition)]).result(SOON).values()
        return "none" if error is None else stage.library.name_of(error)

    seen["elect"] = elect(0)
    seen["elect, no such partition"] = elect(99)


def configs(stage, topic, seen):
    admin = stage.library.admin

    def change(name, how, value):
        return ConfigEntry(name, value, incremental_operation=how)

    def alter(name, *changes, **more):
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=list(changes))
        return stage.error_of(lambda: only(admin.incremental_alter_configs([resource], **more)))

    def told(wanted):
        own = [None]

        def tells():
            found = only(admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
            own[0] = sorted(f"{one.name}={one.value}" for one in found.values()
                            if one.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value)
            return own[0] == wanted

        stage.until(lambda: f"a broker tells {wanted} and not {own[0]}", tells)
        return own[0]

    kinds = AlterConfigOpType
    seen["config, set"] = alter(topic, change("max.message.bytes", kinds.SET, "123456"),
                                change("cleanup.policy", kinds.APPEND, "compact"))
    seen["config, told"] = told(["cleanup.policy=delete,compact", "max.message.bytes=123456"])
    seen["config, less"] = alter(topic, change("cleanup.policy", kinds.SUBTRACT, "delete"),
                                 change("max.message.bytes", kinds.DELETE, None))
    seen["config, told of less"] = told(["cleanup.policy=compact"])
    seen["config, validate"] = alter(topic, change("retention.ms", kinds.SET, "7"), validate_only=True)
    seen["config, wrong value"] = alter(topic, change("retention.ms", kinds.SET, "soon"))
    seen["config, unknown"] = alter(topic, change("no.such.config", kinds.SET, "1"))
    seen["config, no such topic"] = alter(f"{topic}.x", change("retention.ms", kinds.SET, "7"))
    # Nothing is changed: the brokers serve other scenarios too.
    broker = ConfigResource(ConfigResource.Type.BROKER, "", incremental_configs=[
        change("log.cleaner.threads", kinds.SET, "1")])
    seen["config of brokers, validate"] = stage.error_of(
        lambda: only(admin.incremental_alter_configs([broker], validate_only=True)))


def records(stage, topic, seen):
    admin = stage.library.admin

    def drop(partition, before):
        try:
            return only(admin.delete_records([TopicPartition(topic, partition, before)])).low_watermark
        except Exception as error:
            return stage.library.name_of(error)

    def offset(spec, partition=0, **more):
        try:
            return only(admin.list_offsets({TopicPartition(topic, partition): spec}, **more)).offset
        except Exception as error:
            return stage.library.name_of(error)

    seen["delete records"] = drop(0, 3)
    seen["earliest"] = offset(OffsetSpec.earliest())
    seen["latest"] = offset(OffsetSpec.latest())
    seen["latest, committed"] = offset(OffsetSpec.latest(), isolation_level=IsolationLevel.READ_COMMITTED)
    seen["of a time"] = offset(OffsetSpec.for_timestamp(0))
    seen["of a time to come"] = offset(OffsetSpec.for_timestamp(2**60))
    seen["latest, no such partition"] = offset(OffsetSpec.latest(), 99)
    seen["delete records, beyond the end"] = drop(0, 99)
    seen["delete all records"] = drop(0, OFFSET_END)


def acls(stage, topic, seen):
    admin = stage.library.admin
    user = f"User:{topic}"

    def binding(kind, name, pattern):
        return AclBinding(kind, name, pattern, user, "*", AclOperation.DESCRIBE, AclPermissionType.DENY)

    def shown(found):
        return sorted(f"{one.restype.name} {one.name} {one.resource_pattern_type.name}".replace(
            topic, stage.topic_alias(topic)) for one in found)

    wanted = [binding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL),
              binding(ResourceType.TOPIC, topic, ResourcePatternType.PREFIXED),
              binding(ResourceType.GROUP, topic, ResourcePatternType.LITERAL),
              binding(ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL)]
    made = admin.create_acls(wanted)
    seen["acls, create"] = [stage.error_of(lambda: made[one].result(SOON)) for one in wanted]
    everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, user, None, AclOperation.ANY,
                                  AclPermissionType.ANY)
    told = lambda: shown(admin.describe_acls(everything).result(SOON))

    def has_heard():
        seen["acls"] = told()
        return len(seen["acls"]) == len(wanted)

    stage.until("a broker has heard of them", has_heard)
    seen["acls deleted"] = shown(only(admin.delete_acls([everything])))
    stage.until("brokers have forgotten them", lambda: told() == [])
    seen["acls deleted again"] = shown(only(admin.delete_acls([everything])))


def users(stage, topic, seen):
    admin = stage.library.admin
    kind = ScramMechanism.SCRAM_SHA_512

    def alter(change):
        return stage.error_of(lambda: only(admin.alter_user_scram_credentials([change])))

    def told():
        try:
            found = only(admin.describe_user_scram_credentials([topic]))
            return [f"{one.mechanism.name} {one.iterations}" for one in found.scram_credential_infos]
        except Exception as error:
            return stage.library.name_of(error)

    unknown = told()
    seen["user, unknown"] = unknown
    seen["user, delete an unknown one"] = alter(UserScramCredentialDeletion(topic, kind))
    seen["user, make"] = alter(UserScramCredentialUpsertion(topic, ScramCredentialInfo(kind, 4096), b"secret"))
    if seen["user, make"] != "none":
        return

    def is_known():
        seen["user"] = told()
        return seen["user"] != unknown

    stage.until("a broker knows the user", is_known)
    seen["user, delete"] = alter(UserScramCredentialDeletion(topic, kind))
    stage.until("brokers have forgotten the user", lambda: told() == unknown)


def of_group(stage, group):
    """Offsets of a group that nobody is in."""
    admin, seen = stage.library.admin, {}
    offsets = [TopicPartition(topic, 1, 2) for topic in stage.topics]
    seen["commit"] = stage.error_of(lambda: only(admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, offsets)])))
    found = only(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    seen["committed"] = sorted(f"{stage.alias((one.topic, one.partition))}@{one.offset}"
                               for one in found.topic_partitions)
    about = only(admin.describe_consumer_groups([group], include_authorized_operations=True))
    seen["described"] = [about.state.name, about.is_simple_consumer_group, len(about.members),
                         sorted(one.name for one in about.authorized_operations)]

    def listed(*states):
        all_of_them = admin.list_consumer_groups(states=set(states)).result(SOON)
        return any(one.group_id == group for one in all_of_them.valid)

    seen["listed"] = listed(ConsumerGroupState.EMPTY)
    seen["listed by another state"] = listed(ConsumerGroupState.STABLE)
    seen["delete"] = stage.library.delete_group(group)
    seen["delete again"] = stage.library.delete_group(group)
    return seen
