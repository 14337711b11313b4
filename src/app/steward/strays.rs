//! Topics that exist where they do not live: what was found of each, and which are kept from clients for it. These are topics
//! that were so when a cluster told its topics for the first time under a config: what comes later, behind our back, does not
//! take a topic from clients that may be at work with it, and is reported.

use super::fence_of;
use crate::admin::guard::{self, Held, Questions, Stray, Verdict};
use crate::config::Config;
use crate::placement::Fence;
use crate::telemetry::log::few;
use crate::types::Slot;
use crate::upstream::Cluster;
use kafka_protocol::protocol::StrBytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// See the module's text.
#[derive(Default)]
pub(super) struct Strays {
    judged: HashMap<StrBytes, (Stray, Verdict)>,
    /// Clusters that have told their topics before.
    met: HashSet<Slot>,
    /// Topics that are kept from clients where their records are away.
    guarded: HashSet<StrBytes>,
    fence: Arc<Fence>,
}

impl Strays {
    /// Another config is in force: everything is judged again.
    pub(super) fn reset(&mut self) {
        // Until then what was kept from clients is.
        let guarded = &self.guarded;
        self.judged.retain(|topic, (_, verdict)| guarded.contains(topic) && matches!(verdict, Verdict::Away(_)));
        self.met.clear();
    }

    /// What is kept from clients.
    pub(super) fn fence(&self) -> Arc<Fence> {
        Arc::clone(&self.fence)
    }

    /// How many topics have records elsewhere and none at home.
    pub(super) fn kept(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Away(_)))
    }

    /// How many have records at home and elsewhere.
    pub(super) fn twice(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Both(_)))
    }

    fn count(&self, which: impl Fn(&Verdict) -> bool) -> usize {
        self.judged.values().filter(|(_, verdict)| which(verdict)).count()
    }

    /// Looks at those that are new or have changed; `again` also at those that somebody may have resolved since. Another
    /// fence, where it must be.
    pub(super) async fn look(&mut self, config: &Config, clusters: &[Arc<Cluster>], again: bool) -> Option<Arc<Fence>> {
        let seen = guard::seen(clusters);
        let strays = guard::strays(config, &seen);
        let is_new = |stray: &Stray| {
            stray.on.iter().chain([&stray.home]).any(|slot| seen.contains_key(slot) && !self.met.contains(slot))
        };
        let new: Vec<_> = strays.iter().filter(|stray| is_new(stray)).map(|stray| stray.topic.clone()).collect();
        self.guarded.extend(new);
        self.met.extend(seen.keys());
        let is_open = |verdict: &Verdict| matches!(verdict, Verdict::Away(_) | Verdict::Unknown(..));
        let judged = |stray: &Stray| {
            let known = self.judged.get(&stray.topic).filter(|(before, _)| before == stray);
            known.filter(|(_, verdict)| !(again && is_open(verdict))).is_some()
        };
        let mut questions = Questions::new();
        let ask: Vec<_> = strays.iter().filter(|stray| !judged(stray)).cloned().collect();
        ask.iter().for_each(|stray| stray.question(&mut questions));
        let held = Held::ask(clusters, &questions).await;
        let mut news = News::default();
        let guarded = &mut self.guarded;
        let there: HashMap<_, _> = strays.iter().map(|stray| (&stray.topic, stray)).collect();
        // Gone from there, or at home there by now.
        self.judged.retain(|topic, (_, verdict)| {
            let goes = !there.contains_key(topic);
            if goes && guarded.remove(topic) && matches!(verdict, Verdict::Away(_)) {
                news.served.push(topic.to_string());
            }
            !goes
        });
        for stray in ask {
            let verdict = stray.verdict(&held);
            let before = self.judged.get(&stray.topic).map(|(_, verdict)| verdict.clone());
            let verdict = match (verdict, before) {
                // A cluster that is away for a while resolves nothing, and why it does not tell may change with each look.
                (Verdict::Unknown(..), Some(Verdict::Away(slot))) => Verdict::Away(slot),
                (verdict @ Verdict::Unknown(..), Some(Verdict::Unknown(..))) => verdict,
                (verdict, before) => {
                    if before.as_ref() != Some(&verdict) {
                        news.note(&stray, &verdict, before.as_ref(), guarded.contains(&stray.topic), config);
                    }
                    verdict
                }
            };
            if matches!(verdict, Verdict::Fine | Verdict::Both(_)) {
                guarded.remove(&stray.topic);
            }
            self.judged.insert(stray.topic.clone(), (stray, verdict));
        }
        news.tell();
        let away = self.judged.values().filter_map(|(stray, verdict)| match verdict {
            Verdict::Away(slot) if guarded.contains(&stray.topic) => Some((stray.topic.clone(), *slot)),
            _ => None,
        });
        let fence = fence_of(away);
        let changed = *fence != *self.fence;
        self.fence = fence;
        changed.then(|| Arc::clone(&self.fence))
    }
}

/// What one look has found, each topic in words.
#[derive(Default)]
struct News {
    served: Vec<String>,
    kept: Vec<String>,
    would_be_kept: Vec<String>,
    twice: Vec<String>,
    unknown: Vec<String>,
}

impl News {
    fn note(&mut self, stray: &Stray, verdict: &Verdict, before: Option<&Verdict>, guarded: bool, config: &Config) {
        let named = |slot| config.cluster(slot).map_or_else(|| slot.to_string(), |cluster| cluster.name.to_string());
        let Stray { topic, pipeline, home, .. } = stray;
        let on = |slot| format!("{topic} (pipeline {pipeline}: {}; records on {})", named(*home), named(slot));
        match verdict {
            Verdict::Fine if guarded && matches!(before, Some(Verdict::Away(_))) => self.served.push(topic.to_string()),
            Verdict::Fine => {}
            Verdict::Away(slot) if guarded => self.kept.push(on(*slot)),
            Verdict::Away(slot) => self.would_be_kept.push(on(*slot)),
            Verdict::Both(slot) => self.twice.push(on(*slot)),
            Verdict::Unknown(slot, why) => self.unknown.push(format!("{topic} (on {}: {why})", named(*slot))),
        }
    }

    /// A line for each kind of news, however many topics there are.
    fn tell(mut self) {
        if let Some((topics, first)) = few(&mut self.served) {
            tracing::info!(topics, first, "topics are served again: nothing of them is elsewhere");
        }
        if let Some((topics, first)) = few(&mut self.kept) {
            tracing::warn!(
                topics,
                first,
                "topics are kept from clients: their records are on another cluster and none at home; give them to a pipeline \
                 on the cluster that has them, or delete them there; `fishplate topics` shows all"
            );
        }
        if let Some((topics, first)) = few(&mut self.would_be_kept) {
            tracing::info!(
                topics,
                first,
                "topics have got records on another cluster and have none at home; Fishplate would keep them from clients if it \
                 started now"
            );
        }
        if let Some((topics, first)) = few(&mut self.twice) {
            tracing::warn!(topics, first, "topics have records on two clusters; clients see those at home only");
        }
        if let Some((topics, first)) = few(&mut self.unknown) {
            tracing::info!(topics, first, "it is not known yet whether topics have records elsewhere");
        }
    }
}
