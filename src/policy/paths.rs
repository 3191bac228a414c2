//! Looking up a path among patterns: one hash for each segment, however many patterns there are.
//!
//! The patterns are compiled into states, as regular expressions are: a state stands for all patterns that the segments read
//! so far fit, so no look-up ever goes back, whatever a client sends. What the winning order is, [`PathPattern`] says.

use super::pattern::{PathPattern, Segment};
use super::route::Route;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most states. Only many patterns with several `*` each, all overlapping, come near.
const MOST_STATES: usize = 50_000;

/// Patterns that combine in too many ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the `*` of these routes combine in more than {MOST_STATES} ways: use fewer of them")]
pub struct TooManyCombinations;

/// Patterns with their routes, ready for look-up.
#[derive(Debug, Clone)]
pub(super) struct PathIndex {
    /// The first is where every path begins.
    states: Vec<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    by_name: HashMap<Box<str>, usize>,
    /// Where any other segment that is not empty leads.
    otherwise: Option<usize>,
    /// For a path that ends here.
    here: Candidates,
    /// For a path that goes on to where no state is.
    beyond: Candidates,
}

/// Routes that cover a path, the most specific first.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates(Box<[Arc<Route>]>);

/// Which of the routes that cover a path are candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Down to the first one that takes every method: one of them wins.
    Winners,
    All,
}

/// Patterns by their place in the list of all.
type Places = Vec<usize>;

/// What a state is made of; two made of the same are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    depth: usize,
    /// Patterns that have as many segments as were read, or more.
    alive: Places,
    /// Patterns with a final `/*` that were passed on the way.
    passed: Places,
}

impl Candidates {
    /// The one for a method.
    pub(super) fn find(&self, method: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| route.takes(method))
    }

    /// Whether the method has a say.
    pub(super) fn depend_on_method(&self) -> bool {
        self.0.iter().any(|route| route.methods.is_some())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }
}

impl PathIndex {
    /// Compiles routes of one host. No two of one pattern may cover the same method.
    pub(super) fn new(mut routes: Vec<Arc<Route>>, keep: Keep) -> Result<Self, TooManyCombinations> {
        // Then places are in the order of what wins.
        routes.sort_by(|left, right| left.pattern.by_specificity(&right.pattern));
        let mut patterns: Vec<(PathPattern, Vec<Arc<Route>>)> = Vec::new();
        for route in routes {
            match patterns.last_mut() {
                Some((pattern, of_pattern)) if *pattern == route.pattern => of_pattern.push(route),
                _ => patterns.push((route.pattern.clone(), vec![route])),
            }
        }
        for (_, of_pattern) in &mut patterns {
            // With methods before without.
            of_pattern.sort_by_key(|route| route.methods.is_none());
        }
        Compiler {
            patterns,
            keep,
            states: Vec::new(),
            known: BTreeMap::new(),
        }
        .compile()
    }

    /// The routes for a canonical path.
    pub(super) fn find(&self, canonical_path: &str) -> Option<&Candidates> {
        let mut state = self.states.first()?;
        for segment in canonical_path.strip_prefix('/')?.split('/') {
            let next = match state.by_name.get(segment) {
                Some(next) => Some(*next),
                None => state.otherwise.filter(|_| !segment.is_empty()),
            };
            match next.and_then(|next| self.states.get(next)) {
                Some(next) => state = next,
                None => return Some(&state.beyond),
            }
        }
        Some(&state.here)
    }
}

struct Compiler {
    patterns: Vec<(PathPattern, Vec<Arc<Route>>)>,
    keep: Keep,
    states: Vec<State>,
    known: BTreeMap<Made, usize>,
}

impl Compiler {
    fn compile(mut self) -> Result<PathIndex, TooManyCombinations> {
        let everything = Made {
            depth: 0,
            alive: (0..self.patterns.len()).collect(),
            passed: Vec::new(),
        };
        let mut waiting = vec![(self.place_of(&everything)?, everything)];
        while let Some((place, made)) = waiting.pop() {
            let state = self.state(made, &mut waiting)?;
            if let Some(slot) = self.states.get_mut(place) {
                *slot = state;
            }
        }
        Ok(PathIndex { states: self.states })
    }

    /// The place of a state that may not be filled yet.
    fn place_of(&mut self, made: &Made) -> Result<usize, TooManyCombinations> {
        let place = self.states.len();
        if place >= MOST_STATES {
            return Err(TooManyCombinations);
        }
        self.states.push(State::default());
        self.known.insert(made.clone(), place);
        Ok(place)
    }

    fn state(&mut self, made: Made, waiting: &mut Vec<(usize, Made)>) -> Result<State, TooManyCombinations> {
        let Made {
            depth,
            alive,
            mut passed,
        } = made;
        let (mut ending, mut going_on) = (Vec::new(), Vec::new());
        for place in alive {
            let Some((pattern, _)) = self.patterns.get(place) else {
                continue;
            };
            match pattern.segments().get(depth) {
                Some(segment) => going_on.push((place, segment.clone())),
                None if pattern.has_rest() => passed.push(place),
                None => ending.push(place),
            }
        }
        passed.sort_unstable();
        let names: BTreeSet<Box<str>> = going_on
            .iter()
            .filter_map(|(_, segment)| match segment {
                Segment::Name(name) => Some(name.clone()),
                Segment::Any => None,
            })
            .collect();
        // Those that fit a segment; `None`: one that no pattern names.
        let fitting = |text: Option<&str>| -> Places {
            let fits = |segment: &Segment| match segment {
                Segment::Name(name) => text == Some(name),
                Segment::Any => text != Some(""),
            };
            let fitting = going_on.iter().filter(|(_, segment)| fits(segment));
            fitting.map(|(place, _)| *place).collect()
        };
        let mut state = State {
            here: self.candidates(ending.iter().chain(&passed)),
            beyond: self.candidates(passed.iter()),
            ..State::default()
        };
        let mut next = |alive: Places| -> Result<usize, TooManyCombinations> {
            let made = Made {
                depth: depth.saturating_add(1),
                alive,
                passed: passed.clone(),
            };
            if let Some(place) = self.known.get(&made) {
                return Ok(*place);
            }
            let place = self.place_of(&made)?;
            waiting.push((place, made));
            Ok(place)
        };
        for name in names {
            let place = next(fitting(Some(&name)))?;
            state.by_name.insert(name, place);
        }
        let other = fitting(None);
        if !other.is_empty() {
            state.otherwise = Some(next(other)?);
        }
        Ok(state)
    }

    fn candidates<'p>(&self, places: impl Iterator<Item = &'p usize>) -> Candidates {
        let mut places: Places = places.copied().collect();
        places.sort_unstable();
        let mut candidates = Vec::new();
        let covering = places.iter().filter_map(|place| self.patterns.get(*place));
        for route in covering.flat_map(|(_, routes)| routes) {
            candidates.push(Arc::clone(route));
            if route.methods.is_none() && self.keep == Keep::Winners {
                break;
            }
        }
        Candidates(candidates.into_boxed_slice())
    }
}
