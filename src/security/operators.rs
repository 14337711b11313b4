//! Operators, who prove by a token that they may see secrets and change what runs. Of those in a file only sums are kept: who
//! reads this process's memory finds none that was not just sent.

pub mod file;
#[cfg(test)]
mod tests;

use super::oauthbearer::is_token;
use crate::security::source::MOST_WRONG;
use ring::digest::{Digest, SHA256, digest};
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// So short a token could be guessed, whatever holds guessing up.
const SHORTEST: usize = 16;
/// Longer than any that somebody makes.
const LONGEST: usize = 1_024;
/// More than operators, their programs and each one's next token.
const MOST: usize = 1_000;

/// Everybody who has a token; at least one.
pub struct Operators(Vec<Known>);

struct Known {
    who: Operator,
    sum: Digest,
}

/// Whose token it is: what may be told of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The name before it.
    Named(Arc<str>),
    /// It has no name, and stands in this line.
    Line(usize),
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// What is wrong with tokens; nothing of them is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// There is none.
    #[error("there is no token in it: nobody could show one")]
    None,
    /// There are too many.
    #[error("there are more than {MOST} tokens in it")]
    TooMany,
    /// A line is neither a token nor a name and a token.
    #[error("line {0} is no token, nor a name and a token")]
    Shape(usize),
    /// A name has characters that would not stand in a line of the log.
    #[error("line {0} begins with what cannot be a name: letters, digits, `.`, `_`, `-` and `@` can")]
    Name(usize),
    /// A token has characters that a header would not carry.
    #[error("line {0}: its token has characters that none can have: letters, digits and `-._~+/=` can")]
    Characters(usize),
    /// It could be guessed.
    #[error("line {0}: its token has {1} characters; one of fewer than {SHORTEST} could be guessed")]
    Short(usize, usize),
    /// It could not be sent.
    #[error("line {0}: its token has {1} characters; more than {LONGEST} are not taken")]
    Long(usize, usize),
    /// Whose it is could not be told.
    #[error("line {0} has the token of line {1}")]
    Twice(usize, usize),
}

impl Operators {
    /// Of lines: a token, or a name and a token. Those that are empty or begin with `#` mean nothing.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(text: &str) -> Result<Self, Vec<Wrong>> {
        let (mut known, mut wrong) = (Vec::<(usize, Known)>::new(), Vec::new());
        for (number, line) in lines(text) {
            match Known::read(number, line) {
                Err(problem) => wrong.push(problem),
                Ok(one) => match known.iter().find(|(_, other)| other.sum.as_ref() == one.sum.as_ref()) {
                    Some((first, _)) => wrong.push(Wrong::Twice(number, *first)),
                    None => known.push((number, one)),
                },
            }
            if known.len() > MOST {
                return Err(vec![Wrong::TooMany]);
            }
            if wrong.len() == MOST_WRONG {
                break;
            }
        }
        if known.is_empty() && wrong.is_empty() {
            wrong.push(Wrong::None);
        }
        if wrong.is_empty() { Ok(Self(known.into_iter().map(|(_, one)| one).collect())) } else { Err(wrong) }
    }

    /// Whose token this is. Takes as long for each of them, and for none.
    #[must_use]
    pub fn of(&self, token: &str) -> Option<&Operator> {
        let sum = digest(&SHA256, token.as_bytes());
        let fits = |known: &&Known| bool::from(known.sum.as_ref().ct_eq(sum.as_ref()));
        self.0.iter().fold(None, |found, known| found.or(Some(known).filter(fits))).map(|known| &known.who)
    }

    /// How many there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|known| &known.who)).finish()
    }
}

/// The lines that mean something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(place, line)| (place + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The first token of such lines, for who sends one.
#[must_use]
pub fn first(text: &str) -> Option<&str> {
    lines(text).next().and_then(|(_, line)| line.split_whitespace().next_back())
}

impl Known {
    fn read(number: usize, line: &str) -> Result<Self, Wrong> {
        let mut words = line.split_whitespace();
        let (who, token) = match (words.next(), words.next(), words.next()) {
            (Some(token), None, _) => (Operator::Line(number), token),
            (Some(name), Some(token), None) => {
                let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
                if !name.chars().all(of_name) || name.len() > 100 {
                    return Err(Wrong::Name(number));
                }
                (Operator::Named(name.into()), token)
            }
            _ => return Err(Wrong::Shape(number)),
        };
        match token.chars().count() {
            _ if !is_token(token) => Err(Wrong::Characters(number)),
            short @ ..SHORTEST => Err(Wrong::Short(number, short)),
            long if long > LONGEST => Err(Wrong::Long(number, long)),
            _ => Ok(Self { who, sum: digest(&SHA256, token.as_bytes()) }),
        }
    }
}
