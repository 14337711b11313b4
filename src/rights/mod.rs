//! What principals may do: rules in Kafka's terms, decided as Kafka's StandardAuthorizer decides. A rule that denies wins over
//! all that allow; what no rule allows is denied; super users may do everything. Pure; a question costs a few look-ups, however
//! many rules there are of others and of other names. Knows no config file, no request and no session.

mod shelf;
mod words;

pub use words::{Effect, Kind, Network, Operation, Operations, Pattern};

use shelf::{Found, Number, Shelf};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Stands for every principal, whatever its type.
pub const EVERYONE: &str = "User:*";

/// Rules as they are written, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// They may do everything. Such as `User:admin`.
    pub super_users: Vec<Box<str>>,
    /// Principals by the name of their group.
    pub groups: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// In the order of the file; numbered from 1.
    pub rules: Vec<Rule>,
}

/// Who may, or may not, do what to what, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Principals (`User:alice`), groups of [`Definition::groups`], or [`EVERYONE`].
    pub principals: Vec<Box<str>>,
    /// What they do; does not say what that implies.
    pub operations: Operations,
    /// What they do it to.
    pub resources: Vec<(Kind, Pattern)>,
    /// Where they come from; empty for anywhere.
    pub hosts: Vec<Network>,
    /// Whether they may.
    pub effect: Effect,
}

impl Rule {
    fn is_from(&self, host: IpAddr) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|network| network.has(host))
    }

    /// Whether it says something of this operation: what is allowed allows what it implies.
    fn is_about(&self, operation: Operation) -> bool {
        match self.effect {
            Effect::Allow => self.operations.with_implied().has(operation),
            Effect::Deny => self.operations.has(operation),
        }
    }
}

/// For people: `deny User:mallory Write on topics events*, from 10.0.0.0/8`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} on ", self.effect.word(), self.principals.join(", "), self.operations)?;
        let kinds: Vec<_> = Kind::ALL.into_iter().filter_map(|kind| self.of_kind(kind)).collect();
        f.write_str(&kinds.join(" and "))?;
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        if hosts.is_empty() { Ok(()) } else { write!(f, ", from {}", hosts.join(", ")) }
    }
}

impl Rule {
    fn of_kind(&self, kind: Kind) -> Option<String> {
        let patterns = self.resources.iter().filter(|(of, _)| *of == kind);
        let patterns: Vec<_> = patterns.map(|(_, pattern)| pattern.to_string()).collect();
        let named = if kind == Kind::Cluster { String::new() } else { format!(" {}", patterns.join(", ")) };
        (!patterns.is_empty()).then(|| format!("{}{named}", kind.several()))
    }
}

/// The rules, so that questions are answered quickly. Equal where they are written the same.
#[derive(Debug)]
pub struct Rights {
    written: Definition,
    /// The rules of each principal, group, and of everyone.
    subjects: Vec<Subject>,
    everyone: Option<usize>,
    /// The subjects of each principal that is named, groups included.
    of: HashMap<Box<str>, Vec<usize>>,
}

/// Whom rules are about.
#[derive(Debug, Default)]
struct Subject {
    shelves: [Shelf; Kind::ALL.len()],
}

impl PartialEq for Rights {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Rights {}

impl Rights {
    /// Those of a definition.
    #[must_use]
    pub fn new(written: Definition) -> Self {
        let mut rules_of: BTreeMap<&str, Vec<Number>> = BTreeMap::new();
        for (number, rule) in (0..).zip(&written.rules) {
            for principal in rule.principals.iter().collect::<BTreeSet<_>>() {
                rules_of.entry(principal).or_default().push(number);
            }
        }
        let (mut subjects, mut of, mut everyone) = (Vec::new(), HashMap::<Box<str>, Vec<usize>>::new(), None);
        for (name, numbers) in rules_of {
            let place = subjects.len();
            subjects.push(Subject::new(&written.rules, &numbers));
            if name == EVERYONE {
                everyone = Some(place);
            } else if let Some(members) = written.groups.get(name) {
                for member in members.iter().collect::<BTreeSet<_>>() {
                    of.entry(member.clone()).or_default().push(place);
                }
            } else {
                of.entry(name.into()).or_default().push(place);
            }
        }
        // A group may have everyone in it.
        for place in of.remove(EVERYONE).unwrap_or_default() {
            let all = of.values_mut().filter(|places| !places.contains(&place));
            all.for_each(|places| places.push(place));
            of.entry(EVERYONE.into()).or_default().push(place);
        }
        Self { written, subjects, everyone, of }
    }

    /// As they are written.
    #[must_use]
    pub fn written(&self) -> &Definition {
        &self.written
    }

    /// A rule, by its number from 1.
    #[must_use]
    pub fn rule(&self, number: u32) -> Option<&Rule> {
        self.written.rules.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// What a principal that comes from there may do.
    #[must_use]
    pub fn of(self: &Arc<Self>, principal: &str, host: IpAddr) -> Granted {
        let named = self.of.get(principal).or_else(|| self.of.get(EVERYONE));
        let subjects = named.into_iter().flatten().copied().chain(self.everyone).collect();
        let is_super = self.written.super_users.iter().any(|one| **one == *principal);
        Granted { rights: Arc::clone(self), subjects, host, is_super }
    }
}

impl Subject {
    fn new(rules: &[Rule], numbers: &[Number]) -> Self {
        let about = |kind| {
            let rule = |number: &Number| Some((rules.get(usize::try_from(*number).ok()?)?, *number));
            let patterns = numbers.iter().filter_map(rule).flat_map(move |(rule, number)| {
                let of_kind = rule.resources.iter().filter(move |(of, _)| *of == kind);
                of_kind.map(move |(_, pattern)| (pattern, number))
            });
            Shelf::new(patterns)
        };
        Self { shelves: Kind::ALL.map(about) }
    }
}

/// What one principal may do, from one address.
#[derive(Clone, Debug)]
pub struct Granted {
    rights: Arc<Rights>,
    /// Whose rules are its own.
    subjects: Box<[usize]>,
    host: IpAddr,
    is_super: bool,
}

/// Whether something may be done, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Super users may do everything.
    SuperUser,
    /// This rule allows it: its number, from 1.
    Allowed(u32),
    /// This rule denies it.
    Denied(u32),
    /// No rule allows it.
    NoRule,
}

impl Decision {
    /// Whether it may be done.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::SuperUser | Self::Allowed(_))
    }
}

impl Granted {
    /// The rules that this comes from.
    #[must_use]
    pub fn rights(&self) -> &Arc<Rights> {
        &self.rights
    }

    /// Everything may be done.
    #[must_use]
    pub fn is_super(&self) -> bool {
        self.is_super
    }

    /// Whether this may be done to that.
    #[must_use]
    pub fn decide(&self, operation: Operation, kind: Kind, name: &str) -> Decision {
        if self.is_super {
            return Decision::SuperUser;
        }
        let mut allowed: Option<Number> = None;
        for shelf in self.shelves(kind) {
            for number in shelf.of(name) {
                match self.rule(number).filter(|rule| rule.is_about(operation)).map(|rule| rule.effect) {
                    Some(Effect::Deny) => return Decision::Denied(number + 1),
                    Some(Effect::Allow) => allowed = Some(allowed.map_or(number, |before| before.min(number))),
                    None => {}
                }
            }
        }
        allowed.map_or(Decision::NoRule, |number| Decision::Allowed(number + 1))
    }

    /// The same, for who does not ask why.
    #[must_use]
    pub fn may(&self, operation: Operation, kind: Kind, name: &str) -> bool {
        self.decide(operation, kind, name).is_allowed()
    }

    /// Whether this may be done to at least one resource of a kind (AK `Authorizer.authorizeByResourceType`, to the letter: what is
    /// implied does not count here, and a rule that denies counts only where it covers all that one allows).
    #[must_use]
    pub fn may_any(&self, operation: Operation, kind: Kind) -> bool {
        // As Kafka asks, for the sake of super users.
        if self.may(operation, kind, "hardcode") {
            return true;
        }
        let (mut allowed, mut denied_names, mut denied_prefixes) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for (found, number) in self.shelves(kind).flat_map(Shelf::all) {
            let Some(rule) = self.rule(number).filter(|rule| rule.operations.has(operation)) else { continue };
            match (rule.effect, found) {
                (Effect::Deny, Found::Any) => return false,
                (Effect::Deny, Found::Literal(name)) => drop(denied_names.insert(name)),
                (Effect::Deny, Found::Prefix(prefix)) => drop(denied_prefixes.insert(prefix)),
                (Effect::Allow, found) => allowed.push(found),
            }
        }
        let begins_denied = |name: &str| {
            let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.filter_map(|end| name.get(..end)).any(|prefix| denied_prefixes.contains(prefix))
        };
        allowed.into_iter().any(|found| match found {
            Found::Any => true,
            Found::Literal(name) => !denied_names.contains(name) && !begins_denied(name),
            Found::Prefix(prefix) => !begins_denied(prefix),
        })
    }

    /// Whether some rule allows this to some resource of a kind, whatever others deny: where none does, a list of them is empty.
    #[must_use]
    pub fn may_some(&self, operation: Operation, kind: Kind) -> bool {
        let mut rules = self.shelves(kind).flat_map(Shelf::all).filter_map(|(_, number)| self.rule(number));
        self.is_super || rules.any(|rule| rule.effect == Effect::Allow && rule.is_about(operation))
    }

    /// All that may be done to a resource (KIP-430).
    #[must_use]
    pub fn operations(&self, kind: Kind, name: &str) -> Operations {
        let all = Operation::ALL.into_iter().filter(|one| kind.operations().has(*one));
        let may: Vec<_> = all.filter(|one| self.may(*one, kind, name)).collect();
        Operations::of(&may)
    }

    fn shelves(&self, kind: Kind) -> impl Iterator<Item = &Shelf> {
        let subjects = self.subjects.iter().filter_map(|at| self.rights.subjects.get(*at));
        subjects.filter_map(move |subject| subject.shelves.get(kind as usize))
    }

    /// A rule, where it is for who comes from here.
    fn rule(&self, number: Number) -> Option<&Rule> {
        let rule = self.rights.written.rules.get(usize::try_from(number).ok()?)?;
        rule.is_from(self.host).then_some(rule)
    }
}

#[cfg(test)]
mod tests;
