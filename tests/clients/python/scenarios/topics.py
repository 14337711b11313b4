"""Scenarios about topics and the cluster as admin sees them."""

from stage import New, Place, offsets_and_values


def life_cycle(stage):
    for topic in stage.topics:
        stage.saw(stage.topic_alias(topic), life_cycle_of(stage, topic))


def life_cycle_of(stage, topic):
    seen, library = {}, stage.library
    seen["create"] = library.create_topic(topic, 3, 1, {"cleanup.policy": "compact", "max.message.bytes": "123456"})
    stage.until("the topic is known", lambda: topic in library.topics())

    def told():
        configs = library.configs(topic)
        seen["configs"] = configs
        return isinstance(configs, dict)

    stage.until("any broker tells its configs", told)
    seen["configs"] = {key: seen["configs"].get(key) for key in ["cleanup.policy", "max.message.bytes"]}
    seen["create, existing"] = library.create_topic(topic, 3, 1, {})
    seen["create, too many replicas"] = library.create_topic(f"{topic}.x", 1, 20, {})
    seen["create, wrong config"] = library.create_topic(f"{topic}.x", 1, 1, {"no.such.config": "1"})
    seen["create, wrong value"] = library.create_topic(f"{topic}.x", 1, 1, {"retention.ms": "soon"})
    seen["create, wrong name"] = library.create_topic(f"{topic}.x y", 1, 1, {})
    seen["grow"] = library.create_partitions(topic, 5)
    seen["delete"] = library.delete_topic(topic)
    stage.until("the topic is gone", lambda: topic not in library.topics())
    seen["delete again"] = library.delete_topic(topic)
    return seen


def unknown(stage):
    """A producer's topic is made when it is not there."""
    for topic in stage.topics:
        seen, at = {}, Place(topic, 0)
        seen["listed"] = topic in stage.library.topics()
        seen["delete"] = stage.library.delete_topic(topic)
        with stage.library.writer() as writer:
            seen["produce"] = writer.send([New(*at, b"v")])
        # Another broker than the one that made it may be asked.
        stage.wait_for_leaders([at])
        seen["read"] = stage.aliased(stage.read_all([at]), offsets_and_values)
        stage.saw(stage.topic_alias(topic), seen)


def cluster(stage):
    stage.create(3)
    seen = stage.library.cluster(stage.topics)
    ids = {node["id"] for node in seen["nodes"]}
    stage.saw("has an id", bool(seen.get("id", True)))
    stage.saw("the controller is a node", seen.get("controller", min(ids)) in ids)
    stage.saw("leaders are nodes", all(leader in ids for all in seen["leaders"].values() for leader in all))
    stage.saw("partitions", {stage.topic_alias(topic): len(all) for topic, all in seen["leaders"].items()})
    stage.raw["nodes"] = seen["nodes"]
    stage.raw["leaders"] = {stage.topic_alias(topic): all for topic, all in seen["leaders"].items()}
    if "id" in seen:
        stage.raw["cluster_id"] = seen["id"]
