//! A page for each alert: what it means, how to look, what to do; and what it compares with in this config.

use super::MARK;
use super::alerts::Alert;
use super::words::cell;
use std::collections::BTreeMap;

/// What is said of an alert, whoever it concerns. `GROUP`, `TOPIC`, `PIPELINE` and `CLUSTER` stand for its labels.
struct Guide {
    alert: &'static str,
    means: &'static str,
    /// Commands and queries, each with what it tells.
    look: &'static [(&'static str, &'static str)],
    act: &'static [&'static str],
}

const GUIDES: &[Guide] = &[
    Guide {
        alert: "FishplateLateRecords",
        means: "Of the records that the group committed, too many were committed later than the pipeline promises (`slo` in the config). Both \
                windows say so: it is much, and it goes on. What a dead consumer does not commit is not in here: see FishplateLateTime.",
        look: &[
            (
                "fishplate lag --group GROUP",
                "where the backlog is, and why: not fetched, not committed, a surge, throttled",
            ),
            (
                "fishplate_topic_lag_seconds{pipeline=\"PIPELINE\", group=\"GROUP\"}",
                "which topic is late, and by how much",
            ),
            (
                "topk(5, fishplate_group_lag_seconds{pipeline=\"PIPELINE\", group=\"GROUP\"})",
                "whether a few partitions are late (one slow member, one key that has most records) or all of them",
            ),
            (
                "sum by (topic) (rate(fishplate_partition_produced_records_total{pipeline=\"PIPELINE\"}[5m]))",
                "whether more came than usual",
            ),
        ],
        act: &[
            "Not fetched, all partitions: the group is too slow. Give it more members, up to one a partition, or find what slows it down \
             behind itself (a database, a cluster).",
            "Not fetched, few partitions: look at the member that has them (`fishplate clients`), and at who fills them (`fishplate tokens \
             --pipeline PIPELINE`). A limit can move a noisy key to a lane: docs/policy.md.",
            "Not committed: records are fetched and worked on, and commits come late. Commit more often, or read less at a time.",
            "After an incident the budget stays spent until it leaves the window: silence the ticket's window, not the page's.",
        ],
    },
    Guide {
        alert: "FishplateLateTime",
        means: "For too much of the time some record waited longer for the group's commit than the pipeline promises (`slo` in the config). \
                This counts also while nobody commits anything, as with a consumer that is dead or hangs.",
        look: &[
            ("fishplate lag --group GROUP --watch", "whether the lag grows, and why"),
            ("fishplate_group_members{pipeline=\"PIPELINE\", group=\"GROUP\"}", "whether anybody is in the group"),
            (
                "fishplate_group_committed_offset{pipeline=\"PIPELINE\", group=\"GROUP\"}",
                "whether commits move; beside `fishplate_group_fetched_offset`, whether records are read at all",
            ),
        ],
        act: &[
            "No members: start the consumers; their own logs say why they are gone.",
            "Members, and commits do not move: they hang or are in a circle of rebalances. Look at a member's stack, at `max.poll.interval.ms`, \
             and at the records at the committed offset (one that cannot be read stops everything behind it).",
            "Commits move, and slower than records come: as for FishplateLateRecords.",
        ],
    },
    Guide {
        alert: "FishplateLagGrowing",
        means: "The oldest record that the group has not committed gets older all the time: the group stands (it grows by a second each \
                second), or is slower than producers.",
        look: &[
            ("fishplate lag --group GROUP --watch", "where, and why"),
            (
                "deriv(fishplate_topic_lag_seconds{pipeline=\"PIPELINE\", group=\"GROUP\"}[10m])",
                "1: nothing is committed; less: it is too slow",
            ),
        ],
        act: &[
            "As for FishplateLateTime where it grows by 1, as for FishplateLateRecords where it grows by less.",
            "A group that nobody uses any more: delete it (`kafka-consumer-groups --delete --group GROUP`), its series go at once.",
        ],
    },
    Guide {
        alert: "FishplateRetentionNear",
        means: "The topic's retention comes nearer to records that the group has not committed. If it reads nothing, it loses them at the time \
                that the alert says. A lag that lies behind what is kept cannot be read any more, whatever the group does.",
        look: &[
            ("fishplate lag --group GROUP", "how far behind it is, and why"),
            (
                "min by (topic) (fishplate_group_retention_margin_seconds{pipeline=\"PIPELINE\", group=\"GROUP\"})",
                "how much time is left",
            ),
        ],
        act: &[
            "Gain time first: raise `retention.ms` (and `retention.bytes`) of TOPIC, through Fishplate or at its cluster.",
            "Then make the group faster, or decide that the oldest records may go: reset its offsets.",
        ],
    },
    Guide {
        alert: "FishplateGroupWithoutMembers",
        means: "Records wait for the group, and nobody is in it.",
        look: &[
            ("fishplate groups", "where the group lives"),
            ("fishplate clients", "who is connected"),
            ("fishplate_group_members{pipeline=\"PIPELINE\"}", "since when nobody is in it"),
        ],
        act: &[
            "Start its consumers; where they run, their logs say what they cannot do (an address that does not answer, rights).",
            "A group that nobody uses any more: delete it (`kafka-consumer-groups --delete --group GROUP`).",
        ],
    },
    Guide {
        alert: "FishplateLaneFilling",
        means: "Of the pipeline's records, too many are moved aside: to the lane `dlq` since they break the contract, or to `overflow` since \
                they are above a limit.",
        look: &[
            ("fishplate tokens --pipeline PIPELINE --by diverted", "whose records they are"),
            ("fishplate limits --pipeline PIPELINE", "which limit is in force"),
            (
                "sum by (limit, verdict) (rate(fishplate_limit_records_total{pipeline=\"PIPELINE\"}[5m]))",
                "which limit moves them",
            ),
            ("rate(fishplate_contract_violations_total{pipeline=\"PIPELINE\"}[5m])", "how many break the contract"),
        ],
        act: &[
            "dlq: the records there bear the header `dlq_reason`; tell their producer, or mend the contract.",
            "overflow: one key that is meant to be so large gets a rate of its own (`overrides`; at once with `fishplate limits set`). If all \
             grew, the limit is too low.",
        ],
    },
    Guide {
        alert: "FishplateClusterDown",
        means: "No Fishplate hears anything from the cluster. What lives there is refused or held; other clusters go on.",
        look: &[
            ("fishplate check -c FILE --live", "asks it from where you are"),
            ("fishplate_cluster_up", "which clusters answer"),
            ("rate(fishplate_links_failed_total{cluster=\"CLUSTER\"}[5m])", "why connections fail"),
        ],
        act: &[
            "Look at the cluster itself, and at the way there (DNS, firewalls, certificates).",
            "Nothing is to be done at Fishplate: it goes on by itself when the cluster is back.",
        ],
    },
    Guide {
        alert: "FishplateDown",
        means: "A Fishplate that Prometheus knows of does not answer at its admin address.",
        look: &[
            ("curl http://INSTANCE/healthz", "whether the process lives"),
            ("up{job=\"fishplate\"}", "which ones answer"),
        ],
        act: &[
            "Its last log lines say why it ended; what a config must not have is in the log with line and column.",
            "A process that lives and does not answer: note its stack and memory before it is started anew.",
        ],
    },
    Guide {
        alert: "FishplateAbsent",
        means: "Prometheus has no series of any Fishplate. Nothing else can alert now: an absent series is silent.",
        look: &[
            ("up{job=\"fishplate\"}", "nothing: Prometheus does not know where Fishplate is; 0: it does not answer"),
            ("curl http://INSTANCE/metrics", "whether there is something to scrape"),
        ],
        act: &[
            "Start Fishplate, or mend the scrape config: the job must be called `fishplate`.",
            "Where Fishplate was taken away for good, remove these rules.",
        ],
    },
    Guide {
        alert: "FishplateObservationsLost",
        means: "More passes by than Fishplate finds time to count. Traffic is not affected. Lag is right again after the next sweep, a minute \
                late; service levels miss what was lost.",
        look: &[("rate(fishplate_observations_lost_total[5m])", "how much is lost")],
        act: &[
            "Give Fishplate more processor time, or one more replica.",
            "Where that does not help, it is a mistake of ours: report it.",
        ],
    },
    Guide {
        alert: "FishplateSweepsFailing",
        means: "Fishplate compares the lag that it counted with what each cluster says, every minute. For this cluster that has failed for a \
                while: what is produced and committed past Fishplate is not in the lag.",
        look: &[
            ("fishplate_lag_sweep_age_seconds{cluster=\"CLUSTER\"}", "since when"),
            ("increase(fishplate_lag_sweeps_total{cluster=\"CLUSTER\"}[15m])", "with what result"),
            ("sum by (reason) (fishplate_lag_unknown)", "what is not known, and why"),
        ],
        act: &[
            "The log says what the cluster answered. Fishplate needs the rights to describe topics and groups there.",
            "A cluster that is too slow for it: see its brokers' request queues.",
        ],
    },
    Guide {
        alert: "FishplateLagHidden",
        means: "There are more pairs of a group and a partition than `metrics.max_pairs`. Sums over topics are right; of single partitions \
                only those with the largest lag are shown.",
        look: &[
            ("fishplate_lag_pairs", "how many there are"),
            ("fishplate_lag_pairs_hidden", "how many are not shown"),
        ],
        act: &[
            "Raise `metrics.max_pairs` in the config (a reload is enough) and see that Prometheus bears so many series.",
            "Or delete groups that nobody uses.",
        ],
    },
    Guide {
        alert: "FishplateCertificateExpires",
        means: "A certificate ends within two weeks, or has ended. When it has, no new connection there succeeds: to a listener or the admin \
                address, its callers' (`certificate`) or, where they show certificates, those of all who were signed by this authority (`ca`); to a cluster, \
                ours. Connections that live stay. Where several Fishplates run, it may be the file of one of them.",
        look: &[
            (
                "fishplate_certificate_expiry_time_seconds - time()",
                "how long each holds, by whose it is and at which instance",
            ),
            ("fishplate check -c FILE", "which file it is"),
            ("increase(fishplate_certificate_reloads_total[1d])", "whether a new one came and could not be used"),
        ],
        act: &[
            "Put the renewed certificate, with its key, into the same files: Fishplate reads them within ten seconds, and no connection ends.",
            "Where something renews them by itself (cert-manager, an agent), find out why it did not, or why its files do not reach this instance.",
        ],
    },
    Guide {
        alert: "FishplateCertificateRefused",
        means: "Files of certificates, keys or trust have changed, and what they say now cannot be used: a key that does not fit, a file that \
                is empty or damaged, a certificate whose time is over. What was there before is in use, and ends when it ends.",
        look: &[
            ("fishplate check -c FILE", "which file is wrong, and how; the log of INSTANCE says the same"),
            ("fishplate_certificate_expiry_time_seconds - time()", "how long what is in use holds"),
        ],
        act: &["Mend the file: it is read again within ten seconds. The log says when it is in use."],
    },
    Guide {
        alert: "FishplateTokenKeysOld",
        means: "A listener with OAUTHBEARER checks clients' tokens with the keys of their issuer (`jwks`), and has not been able to read these \
                for two hours. The keys that it has stay in use: clients whose tokens bear a newer one are turned away, and a key that the \
                issuer has withdrawn is believed. Where none were ever read, nobody logs in there with a token.",
        look: &[
            ("increase(fishplate_jwks_reads_total[1h])", "how often it was tried, by listener and what came of it"),
            (
                "rate(fishplate_logins_total{mechanism=\"OAUTHBEARER\", result=\"failed\"}[5m])",
                "whether clients are turned away",
            ),
            (
                "the log of INSTANCE: `keys to check tokens with cannot be read`",
                "why: no answer, another status, no keys in it, or whom nobody trusts",
            ),
        ],
        act: &[
            "Ask for the address of `jwks` from where INSTANCE runs: is it reached, and is its certificate signed by whom `ca` names, or the system trusts?",
            "Where the issuer has moved, name its new address (or a file with its keys) in `jwks`, and restart.",
        ],
    },
];

/// A page for each alert that there is, by its name.
pub(super) fn pages(alerts: &[&Alert]) -> BTreeMap<&'static str, String> {
    let guides = GUIDES.iter().map(|guide| {
        let there: Vec<_> = alerts.iter().filter(|alert| alert.name == guide.alert).copied().collect();
        (guide, there)
    });
    guides.filter(|(_, there)| !there.is_empty()).map(|(guide, there)| (guide.alert, page(guide, &there))).collect()
}

fn page(guide: &Guide, alerts: &[&Alert]) -> String {
    let look: String = guide.look.iter().map(|(what, tells)| format!("- `{what}`: {tells}\n")).collect();
    let act: String = guide.act.iter().map(|what| format!("- {what}\n")).collect();
    let rows: String = alerts.iter().map(|alert| row(alert)).collect();
    format!(
        "<!-- {MARK} -->\n# {}\n\n{}\n\n## Look\n\n`GROUP`, `TOPIC`, `PIPELINE`, `CLUSTER` and `INSTANCE` are the alert's labels. Lines that \
         begin with `fishplate ` are commands, `curl` likewise, the others are queries for Prometheus.\n\n{look}\n## Do\n\n{act}\n## In this \
         config\n\n| pipeline | severity | of | fires above | for |\n|---|---|---|---|---|\n{rows}",
        guide.alert, guide.means
    )
}

fn row(alert: &Alert) -> String {
    let Alert { pipeline, severity, mark, bound, pending, .. } = alert;
    let mark = mark.as_ref().map(|(label, value)| format!("{label} {value}")).unwrap_or_default();
    format!("| {} | {severity} | {} | {} | {pending} |\n", cell(pipeline), cell(&mark), cell(bound))
}

#[cfg(test)]
pub(super) fn guided() -> Vec<&'static str> {
    GUIDES.iter().map(|guide| guide.alert).collect()
}
