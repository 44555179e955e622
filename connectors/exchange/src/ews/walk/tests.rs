//! Walks over directories that are made up here: what a walk has to find is known from the directory alone.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Somebody in a directory: address, first name, last name.
#[derive(Debug, Clone)]
struct Person {
    address: String,
    names: Vec<String>,
}

/// How a server finds: everybody of whom something begins so, but no more than some.
#[derive(Debug)]
struct Model {
    /// What each person is found by, and what is told then.
    people: Vec<(Vec<String>, Heard)>,
    cap: usize,
    /// Characters that the comparison ignores.
    ignores: &'static str,
}

impl Model {
    fn new(people: Vec<Person>, cap: usize, ignores: &'static str) -> Self {
        let person = |person: Person| {
            let address = letters::folded(&person.address);
            let names: Vec<String> = person.names.iter().map(|name| letters::folded(name)).collect();
            let keys = names.iter().chain([&address]).map(|text| without(text, ignores)).collect();
            (keys, Heard { address, names })
        };
        Self { people: people.into_iter().map(person).collect(), cap, ignores }
    }

    fn find(&self, prefix: &str) -> (Vec<Heard>, bool) {
        let prefix = without(prefix, self.ignores);
        let hits = self.people.iter().filter(|(keys, _)| keys.iter().any(|key| key.starts_with(&prefix)));
        let mut found: Vec<Heard> = hits.take(self.cap + 1).map(|(_, heard)| heard.clone()).collect();
        let cut = found.len() > self.cap;
        found.truncate(self.cap);
        (found, cut)
    }

    /// Walks to the end: who was found, and why it may not be everybody.
    fn walk(&self, most: u32) -> (BTreeSet<String>, Walk) {
        let mut walk = Walk::new(most);
        if self.find(Walk::nonsense()).1 {
            walk.is_deaf();
        }
        let mut found = BTreeSet::new();
        while let Some(prefix) = walk.next() {
            let (heard, cut) = self.find(&prefix);
            walk.hear(&prefix, &heard, cut);
            found.extend(heard.into_iter().map(|one| one.address));
        }
        (found, walk)
    }

    fn everybody(&self) -> BTreeSet<String> {
        self.people.iter().map(|(_, heard)| heard.address.clone()).collect()
    }
}

fn without(text: &str, ignored: &str) -> String {
    text.chars().filter(|c| !ignored.contains(*c)).collect()
}

/// Names of one script.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z]{1,6}",
        "[a-zäöüßéèñçøåłžş]{1,6}",
        "[Ѐ-ѯ]{1,6}",
        "[Α-ω]{1,6}",
        "[一-龥]{1,3}",
        "[가-힣]{2,3}",
        "[\u{1f600}-\u{1f64f}]{1,2}",
        "[0-9 .,()'!-]{1,5}",
    ]
}

/// The local part of an address: of few letters, so that many begin alike, and of all that may stand in one.
fn local() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{1,7}",
        2 => "[a-c][a-z.'-]{0,6}",
        1 => "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,8}",
    ]
}

fn people(local: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<Person>> {
    let person = (local, vec(name(), 0..4)).prop_map(|(local, names)| (format!("{local}@corp.example"), names));
    vec(person, 0..60).prop_map(|all| {
        let mut seen = BTreeSet::new();
        let new = |(address, names): (String, Vec<String>)| {
            seen.insert(letters::folded(&address)).then_some(Person { address, names })
        };
        all.into_iter().filter_map(new).collect()
    })
}

/// Enough for every directory here.
const PLENTY: u32 = 2_000_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn splitting_finds_every_visible_recipient_whatever_the_alphabet_of_the_names(
        people in people(local()), cap in 2_usize..8,
    ) {
        let model = Model::new(people, cap, "");
        let (found, walk) = model.walk(PLENTY);
        prop_assert_eq!(walk.gap(), None);
        prop_assert_eq!(found, model.everybody());
    }

    #[test]
    fn splitting_finds_every_visible_recipient_whatever_the_alphabet_of_the_addresses(
        people in people(prop_oneof!["[Ѐ-џ]{1,6}", "[Α-ΡΣ-Ωα-ω]{1,6}", "[äöüßéèñçøåłžş]{1,4}", "[א-ת]{1,4}", local()]),
        cap in 2_usize..8,
    ) {
        let model = Model::new(people, cap, "");
        let (found, walk) = model.walk(PLENTY);
        let all = model.everybody();
        // A letter that is a mark is honestly said to have been too much.
        prop_assert!(found == all || walk.gap().is_some(), "{:?}", all.difference(&found).collect::<Vec<_>>());
        prop_assert!(found.is_subset(&all));
    }

    #[test]
    fn a_walk_that_leaves_somebody_out_says_so(
        people in people(local()), cap in 2_usize..8, most in 1_u32..2000,
    ) {
        let model = Model::new(people, cap, "");
        let (found, walk) = model.walk(most);
        prop_assert!(walk.gap().is_some() || found == model.everybody());
        prop_assert!(walk.asked() <= most);
    }

    #[test]
    fn a_walk_goes_on_behind_a_checkpoint_as_if_it_had_not_been_interrupted(people in people(local()), at in 0_usize..400) {
        let model = Model::new(people, 4, "");
        let mut walk = Walk::new(PLENTY);
        let mut found = BTreeSet::new();
        for step in 0.. {
            if step == at {
                walk = serde_json::from_slice(&serde_json::to_vec(&walk).unwrap()).unwrap();
            }
            let Some(prefix) = walk.next() else { break };
            let (heard, cut) = model.find(&prefix);
            walk.hear(&prefix, &heard, cut);
            found.extend(heard.into_iter().map(|one| one.address));
        }
        let (undisturbed, other) = model.walk(PLENTY);
        prop_assert_eq!(found, undisturbed);
        prop_assert_eq!(walk.asked(), other.asked());
    }
}

#[test]
fn an_address_in_a_script_without_an_alphabet_leaves_the_listing_open() {
    let model = Model::new(vec![person("a王@corp.example", "Ann")], 4, "");
    let (found, walk) = model.walk(PLENTY);
    assert_eq!((found.len(), walk.gap()), (1, Some(Gap::Script)));
}

fn person(address: &str, name: &str) -> Person {
    Person { address: address.to_owned(), names: vec![name.to_owned()] }
}

fn many(count: usize, name: impl Fn(usize) -> String) -> Vec<Person> {
    (0..count).map(|n| person(&format!("{n:04}.x@corp.example"), &name(n))).collect()
}

#[test]
fn hundreds_of_the_same_name_are_all_found_by_their_addresses() {
    let model = Model::new(many(450, |_| "John Smith".to_owned()), 100, "");
    let (found, walk) = model.walk(PLENTY);
    assert_eq!((walk.gap(), found), (None, model.everybody()));
    assert!(walk.asked() < 3_000, "{}", walk.asked());
}

#[test]
fn a_server_that_compares_without_hyphens_is_not_asked_without_end() {
    let people = (0..300).map(|n| person(&format!("ann-{n:04}@corp.example"), "Ann-Marie")).collect();
    let model = Model::new(people, 100, "-'");
    let (found, walk) = model.walk(PLENTY);
    assert_eq!((walk.gap(), found), (None, model.everybody()));
    assert!(walk.asked() < 10_000, "{}", walk.asked());
}

#[test]
fn a_server_that_tells_everybody_to_any_question_is_not_believed() {
    let one = |n: usize| Heard { address: format!("{n}@corp.example"), names: vec![format!("{n}")] };
    let everybody: Vec<Heard> = (0..100).map(one).collect();
    let mut walk = Walk::new(PLENTY);
    walk.is_deaf();
    while let Some(prefix) = walk.next() {
        walk.hear(&prefix, &everybody, true);
    }
    assert_eq!(walk.gap(), Some(Gap::Deaf));
    assert!(walk.asked() < 2_000, "{}", walk.asked());
}

#[test]
fn a_server_that_keeps_somebody_back_under_the_own_address_is_caught() {
    let mut walk = Walk::new(PLENTY);
    let ann = Heard { address: "ann@corp.example".to_owned(), names: vec!["zoe".to_owned()] };
    walk.hear("z", std::slice::from_ref(&ann), false);
    assert_eq!(walk.gap(), None);
    walk.hear("an", &[], false);
    assert_eq!(walk.gap(), Some(Gap::Contradiction));
}

#[test]
fn more_than_fit_under_one_long_beginning_are_told_as_a_gap() {
    let mut walk = Walk::new(PLENTY);
    let long = "a".repeat(DEPTH);
    walk.hear(&long[1..], &[], true);
    assert_eq!(walk.gap(), None);
    walk.hear(&long, &[], true);
    assert_eq!(walk.gap(), Some(Gap::TooDeep));
}
