"""One file for each library, which gives `Library(bootstrap)` the same face:

    create_topic(name, partitions, replicas, configs), delete_topic(name), create_partitions(name, count)  -> error's name or `none`
    topics()                       -> names of all topics
    cluster()                      -> {"id", "controller", "nodes": [{id, host, port}], "leaders": {topic: [node]}}; what a
                                      library does not tell is left out
    configs(topic)                 -> {key: value}, or the error's name
    groups()                       -> names of all groups
    group(name)                    -> {"state", "members": [client ids]}, or the error's name
    delete_group(name)             -> error's name or `none`
    name_of(error)                 -> the name of an exception
    writer(**options)              -> Writer
    reader(group, **options)       -> Reader

Options have Kafka's names with underscores. A Writer has `send(records)`, which tells of each record its offset or the
error's name; it ends with its `with` block. A Reader has `subscribe`, `assign`, `poll`, `assigned`, `commit`, `committed`,
`seek`, `pause`, `resume`, `ends`, `times` and `close`; `poll(seconds)` returns records. A Reader is used by one thread.
A library that lacks a call lacks the scenarios that need it (`tests/kafka/scenarios/clients.rs` says so).
"""
