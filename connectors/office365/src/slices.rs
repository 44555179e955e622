//! How users are cut into ranges of login names that are listed side by side. It proves nothing: each login name lies in
//! at least one range whatever the numbers say, and whatever order the directory sorts by.
//!
//! Bounds are searched by counting: every round asks how many users lie up to some names between two known ones, until
//! no range holds much more than its part. The numbers come from the search index, which may be wrong or refused.

use futures::future::try_join_all;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request};
use tenantry::{Context, Error, ErrorKind, Result};

use crate::client::Graph;
use crate::cursor::Task;
use crate::operation::Operation;

/// Users in a range that one chain of pages reads in good time.
const PER_SLICE: u64 = 10_000;
/// Names that are tried in one round, and at least in one range.
const PROBES: usize = 24;
const PROBES_IN_RANGE: usize = 3;
/// Rounds at most.
const ROUNDS: usize = 16;
/// Questions at most.
const QUESTIONS: usize = 400;

/// What login names are made of, in the order of ASCII.
const ALPHABET: &[u8] = b"-.0123456789@_abcdefghijklmnopqrstuvwxyz";

/// A search for bounds, one round of questions after another.
#[derive(Debug)]
pub(crate) struct Search {
    /// Ranges at most.
    most: usize,
    /// Nothing before the first round, which asks how many users there are.
    known: Option<Known>,
    part: u64,
    probes: Vec<String>,
    asked: usize,
    rounds: usize,
}

/// What a round of questions leads to.
#[derive(Debug)]
pub(crate) enum Cut {
    /// Another round.
    Further(Search),
    /// The ranges, which together hold every user.
    Ranges(Vec<Task>),
}

impl Search {
    /// Begins a search for bounds between so many ranges at most.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, known: None, part: 0, probes: Vec::new(), asked: 0, rounds: 0 }
    }

    /// Asks one round of questions, all side by side.
    pub(crate) async fn round(mut self, graph: &Graph, cx: &Context) -> Result<Cut> {
        match self.ask(graph, cx).await {
            Ok(()) if !self.probes.is_empty() => Ok(Cut::Further(self)),
            Ok(()) => {
                let bounds = self.known.as_ref().map(|known| known.choose(self.part)).unwrap_or_default();
                Ok(Cut::Ranges(ranges(&bounds)))
            }
            // Without numbers one chain reads them all.
            Err(error) if is_no_answer(&error) => Ok(Cut::Ranges(ranges(&[]))),
            Err(error) => Err(error),
        }
    }

    /// Asks one round, and thinks of the questions of the next one.
    async fn ask(&mut self, graph: &Graph, cx: &Context) -> Result<()> {
        if let Some(known) = &mut self.known {
            let probes = std::mem::take(&mut self.probes);
            let counts = try_join_all(probes.iter().map(|name| count(graph, cx, Some(name)))).await?;
            self.rounds += 1;
            self.asked += probes.len();
            for (name, count) in probes.into_iter().zip(counts) {
                let Some(count) = count else {
                    self.known = None;
                    return Ok(());
                };
                known.add(name, count);
            }
        } else if self.most >= 2
            && let Some(total) = count(graph, cx, None).await?
        {
            let wanted = usize::try_from(total / PER_SLICE).unwrap_or(self.most).min(self.most);
            if wanted >= 2 {
                self.part = total / wanted as u64;
                self.known = Some(Known { total, points: Vec::new() });
            }
        }
        if let Some(known) = self.known.as_ref().filter(|_| self.rounds < ROUNDS) {
            self.probes = known.probes(self.part, QUESTIONS.saturating_sub(self.asked));
        }
        Ok(())
    }
}

fn is_no_answer(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Cancelled | ErrorKind::Unauthenticated | ErrorKind::Unavailable | ErrorKind::Throttled
    )
}

/// Makes ranges of bounds: each includes both of its own, so that none is missing whatever the order is.
fn ranges(bounds: &[String]) -> Vec<Task> {
    let bound = |at: Option<usize>| at.and_then(|at| bounds.get(at)).map(|text| text.as_str().into());
    (0..=bounds.len())
        .map(|at| Task::Users { from: bound(at.checked_sub(1)), to: bound(Some(at)), next: None })
        .collect()
}

/// Asks for the number of users up to a login name. Graph may leave it out: then nothing is known.
async fn count(graph: &Graph, cx: &Context, to: Option<&str>) -> Result<Option<u64>> {
    let url = graph.requests.count_users(to);
    let request = || {
        let mut request = Request::new(Method::GET, url.clone());
        // Without it nothing is counted.
        let name = HeaderName::from_static("consistencylevel");
        request.headers_mut().insert(name, HeaderValue::from_static("eventual"));
        request
    };
    graph
        .ask(cx, Operation::CountUsers, 2, request, |answer| {
            let text = std::str::from_utf8(&answer.body).unwrap_or_default();
            Ok(text.trim_start_matches('\u{feff}').trim().parse().ok())
        })
        .await
}

/// Login names and how many users lie up to each.
#[derive(Debug)]
struct Known {
    total: u64,
    points: Vec<(String, u64)>,
}

impl Known {
    fn add(&mut self, name: String, count: u64) {
        if let Err(at) = self.points.binary_search_by(|(known, _)| known.cmp(&name)) {
            self.points.insert(at, (name, count));
        }
    }

    /// Returns names to ask for, in the ranges that hold more than a part.
    fn probes(&self, part: u64, most: usize) -> Vec<String> {
        let mut large = Vec::new();
        let (mut from, mut below) = (None, 0);
        let ends = self.points.iter().map(|(name, count)| (Some(name.as_str()), *count));
        for (to, count) in ends.chain([(None, self.total)]) {
            if count.saturating_sub(below) > part + part / 4 {
                large.push((from, to));
            }
            (from, below) = (to, count);
        }
        let each = (PROBES / large.len().max(1)).max(PROBES_IN_RANGE);
        let mut probes: Vec<String> = large.into_iter().flat_map(|(from, to)| between(from, to, each)).collect();
        probes.truncate(most);
        probes
    }

    /// Returns the bounds nearest behind each part's end.
    fn choose(&self, part: u64) -> Vec<String> {
        let mut bounds: Vec<String> = Vec::new();
        let mut end = part;
        for (name, count) in &self.points {
            if *count >= end && *count < self.total {
                bounds.push(name.clone());
                end = count + part;
            }
        }
        bounds
    }
}

/// Returns names between two, evenly spread over the alphabet; none is one of both.
fn between(from: Option<&str>, to: Option<&str>, wanted: usize) -> Vec<String> {
    // Digits in the base of the alphabet: deep enough to come between any two names, and no deeper than numbers reach.
    const DEPTH: usize = 8;
    let base = ALPHABET.len() as u128 + 1;
    let digits = |text: Option<&str>, skip: usize, fill: u128| -> u128 {
        (skip..skip + DEPTH).fold(0, |number, at| {
            let digit = match text.and_then(|text| text.as_bytes().get(at)) {
                Some(byte) => ALPHABET.iter().position(|c| c >= byte).unwrap_or(ALPHABET.len() - 1) as u128 + 1,
                None => fill,
            };
            number * base + digit
        })
    };
    let shared = match (from, to) {
        (Some(from), Some(to)) => from.bytes().zip(to.bytes()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    let prefix = from.or(to).map_or("", |text| text.get(..shared).unwrap_or_default());
    let low = digits(from, shared, 0);
    let high = if to.is_some() { digits(to, shared, 0) } else { digits(None, shared, base - 1) };
    let step = high.saturating_sub(low) / (wanted as u128 + 1);
    if step == 0 {
        return Vec::new();
    }
    let mut names: Vec<String> = (1..=wanted as u128)
        .map(|at| {
            let mut number = low + step * at;
            let mut places = [0_u128; DEPTH];
            for place in places.iter_mut().rev() {
                *place = number % base;
                number /= base;
            }
            let letters = places.iter().take_while(|digit| **digit > 0).take(significant(step, base, DEPTH));
            let tail: String =
                letters.map(|digit| char::from(ALPHABET[usize::try_from(digit - 1).unwrap_or(0)])).collect();
            format!("{prefix}{tail}")
        })
        .filter(|name| from.is_none_or(|from| name.as_str() > from) && to.is_none_or(|to| name.as_str() < to))
        .collect();
    names.dedup();
    names
}

/// Returns how many places it takes to tell names apart that lie a step from each other.
fn significant(step: u128, base: u128, depth: usize) -> usize {
    let mut size = 1;
    let mut places = depth;
    while places > 1 && size * base <= step {
        size *= base;
        places -= 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches bounds over names as the connector does, with true numbers.
    fn search(names: &[String], parts: u64) -> (Vec<String>, usize) {
        let total = names.len() as u64;
        let part = total / parts;
        let mut known = Known { total, points: Vec::new() };
        let mut asked = 0;
        for _ in 0..ROUNDS {
            let probes = known.probes(part, QUESTIONS - asked);
            if probes.is_empty() {
                break;
            }
            asked += probes.len();
            for probe in probes {
                let count = names.iter().filter(|name| **name <= probe).count() as u64;
                known.add(probe, count);
            }
        }
        (known.choose(part), asked)
    }

    fn sizes(names: &[String], bounds: &[String]) -> Vec<usize> {
        ranges(bounds)
            .iter()
            .map(|task| {
                let Task::Users { from, to, .. } = task else { panic!("no range of users") };
                let inside = |name: &&String| {
                    from.as_ref().is_none_or(|from| name.as_str() >= &**from)
                        && to.as_ref().is_none_or(|to| name.as_str() <= &**to)
                };
                names.iter().filter(inside).count()
            })
            .collect()
    }

    #[test]
    fn names_that_begin_alike_are_cut_evenly_with_few_questions() {
        for pattern in ["user", "emp.no."] {
            let names: Vec<String> = (0..40_000).map(|at| format!("{pattern}{at:06}@corp.example")).collect();
            let (bounds, asked) = search(&names, 8);
            let sizes = sizes(&names, &bounds);
            assert!(sizes.iter().all(|size| *size <= 11_000), "{pattern}: {sizes:?} with {asked} questions");
            assert!(asked <= QUESTIONS);
        }
    }

    #[test]
    fn names_that_cannot_be_told_apart_in_time_are_one_range() {
        let names: Vec<String> = (0..40_000).map(|at| format!("{}{at:06}@corp.example", "x".repeat(60))).collect();
        let (bounds, asked) = search(&names, 8);
        assert_eq!(sizes(&names, &bounds).iter().sum::<usize>(), 40_000);
        assert!(asked <= QUESTIONS);
    }

    #[test]
    fn every_name_lies_in_a_range_whatever_the_bounds_are() {
        let names: Vec<String> = ["", "0", "a", "ann@corp.example", "m", "ö", "z", "~"].map(String::from).into();
        for bounds in [vec![], vec!["m".to_owned()], vec!["a".into(), "m".into()], vec!["z".into(), "a".into()]] {
            let ranges = ranges(&bounds);
            for name in &names {
                let inside = ranges.iter().any(|task| match task {
                    Task::Users { from, to, .. } => {
                        from.as_ref().is_none_or(|from| name.as_str() >= &**from)
                            && to.as_ref().is_none_or(|to| name.as_str() <= &**to)
                    }
                    _ => false,
                });
                assert!(inside, "{name:?} with {bounds:?}");
            }
        }
    }

    #[test]
    fn numbers_that_make_no_sense_still_end_the_search() {
        let mut known = Known { total: 100_000, points: Vec::new() };
        for round in 0..ROUNDS {
            for (at, probe) in known.probes(10_000, QUESTIONS).into_iter().enumerate() {
                known.add(probe, (at as u64 * 7_919 + round as u64) % 100_000);
            }
        }
        assert!(known.choose(10_000).len() <= known.points.len());
    }
}
