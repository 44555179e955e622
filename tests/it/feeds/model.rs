//! Random histories, held against a model that knows the script alone: alerts and reminders begin and end exactly with
//! their cause, an answer holds for its cause and no longer, cursors do not care for what is new.
//!
//! `TENANTRY_CASES` sets how many are tried, `TENANTRY_SEED` tries a single one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tenantry::model::{
    Answer, Feed, Happening, NoticeId, NoticeQuery, ObjectKind, Outcome, PlanId, RecordId, SourceId, Timestamp, Topic,
};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{ImportOptions, RunHandle};

use super::{walk, walk_events};
use crate::laws::{Dice, pick};
use crate::seeds::seeds;
use crate::world::World;

const HOUR: i64 = 3_600_000;
const LIFE: i64 = 40 * HOUR;

/// What is wrong, as far as the script tells.
#[derive(Debug, Default)]
struct Model {
    failing: Option<(Topic, i64)>,
    parked: Option<(PlanId, i64)>,
    /// Records that are set aside, since when.
    aside: BTreeMap<SourceId, i64>,
    cursor_at: Option<i64>,
    /// What somebody said, by notice without its cause, and up to which cause.
    answers: BTreeMap<String, (Answer, [i64; 2])>,
}

/// The name of a notice and its cause, as its id spells them.
fn split(id: &NoticeId) -> (String, [i64; 2]) {
    let text = id.to_string();
    let (key, cause) = text.rsplit_once('@').unwrap();
    let (first, second) = cause.split_once('.').unwrap();
    (key.to_owned(), [first.parse().unwrap(), second.parse().unwrap()])
}

type Expected = BTreeSet<(Topic, Option<i64>, Option<Answer>)>;

impl Model {
    fn expected(&self, feed: Feed, now: i64) -> Expected {
        let mut found: Vec<(Topic, String, i64, i64)> = Vec::new();
        if feed == Feed::Alerts {
            let kind = |topic| if topic == Topic::CredentialsRefused { "unauthenticated" } else { "unavailable" };
            found.extend(self.failing.map(|(topic, since)| (topic, format!("ad/{}", kind(topic)), since, since)));
            if let Some((plan, at)) = &self.parked {
                found.push((Topic::HeldForApproval, format!("ad/{plan}"), *at, *at));
                found.push((Topic::GuardTripped, format!("ad/{plan}"), *at, *at));
            }
            if let (Some(oldest), Some(newest)) = (self.aside.values().min(), self.aside.values().max()) {
                found.push((Topic::RecordsSetAside, "ad".into(), *newest, *oldest));
            }
        } else {
            for (plan, at) in self.parked.iter().filter(|(_, at)| at + 24 * HOUR <= now) {
                found.push((Topic::PlanWaiting, format!("ad/{plan}"), *at, at + 24 * HOUR));
            }
            let due = |at: i64| at + LIFE - LIFE / 4;
            let expiring = self.cursor_at.filter(|at| due(*at) <= now);
            found.extend(expiring.map(|at| (Topic::CursorExpiring, "ad".into(), at, due(at))));
        }
        let answered = |topic: Topic, of: &str, cause: i64| {
            let (answer, upto) = self.answers.get(&format!("{}/{of}", topic.as_str()))?;
            (upto[0] >= cause && upto[1] >= 0).then_some(*answer)
        };
        found.into_iter().map(|(topic, of, cause, since)| (topic, Some(since), answered(topic, &of, cause))).collect()
    }

    /// Takes over what an import has done.
    fn import(
        &mut self,
        outcome: Outcome,
        plan: Option<&PlanId>,
        failed: Option<Topic>,
        unread: &BTreeSet<SourceId>,
        times: (i64, i64),
    ) {
        let (began, now) = times;
        match outcome {
            Outcome::Failed => {
                let topic = failed.unwrap();
                if self.failing.is_none_or(|(before, _)| before != topic) {
                    self.failing = Some((topic, now));
                }
            }
            Outcome::Done | Outcome::Held => {
                self.failing = None;
                self.aside.retain(|id, _| unread.contains(id));
                for id in unread {
                    self.aside.entry(id.clone()).or_insert(now);
                }
                self.parked = plan.cloned().map(|plan| match self.parked.take() {
                    Some((before, at)) if before == plan => (before, at),
                    _ => (plan, now),
                });
                self.cursor_at = Some(began);
            }
            Outcome::Cancelled | Outcome::Planned => {}
        }
    }
}

struct Case {
    world: World,
    model: Model,
    dice: Dice,
    next_user: u128,
}

impl Case {
    async fn new(seed: u64) -> Self {
        let mut directory = World::directory(40);
        directory.tombstones_readable = true;
        let endpoint = ScriptedEndpoint::new("ad", directory, 9).unwrap().with_deltas().with_actions();
        let endpoint = endpoint.with_cursor_lifetime(Duration::from_millis(LIFE.unsigned_abs()));
        let world = World::with_endpoint(endpoint).await;
        Self { world, model: Model::default(), dice: Dice(seed), next_user: 100 }
    }

    fn now(&self) -> i64 {
        self.world.clock.now_unix_millis()
    }

    fn users(&self) -> Vec<SourceId> {
        self.world.endpoint.change(|directory| {
            let users = directory.objects.iter().filter(|(_, object)| object.kind == ObjectKind::User);
            users.map(|(id, _)| id.clone()).collect()
        })
    }

    async fn import(&mut self, lie: Option<(Lie, Topic)>, approve: bool) {
        let failed = lie.as_ref().map(|(_, topic)| *topic);
        self.world.endpoint.lie(lie.into_iter().map(|(lie, _)| lie).collect::<Vec<_>>());
        let approve = self.model.parked.as_ref().filter(|_| approve).map(|(plan, _)| plan.clone());
        let began = self.now();
        // A listing of everything: what a delta does not tell of stays as it was.
        let report = self.world.import_with(ImportOptions { full: true, approve, ..ImportOptions::default() }).await;
        self.world.endpoint.lie(Vec::new());
        assert_eq!(report.outcome == Outcome::Failed, failed.is_some(), "{report:?}");
        let unread: BTreeSet<SourceId> = self.world.endpoint.change(|directory| {
            let unread = directory.objects.iter().filter(|(_, object)| object.unintelligible);
            unread.map(|(id, _)| id.clone()).collect()
        });
        let times = (began, self.now());
        self.model.import(report.outcome, report.plan.as_ref(), failed, &unread, times);
    }

    async fn step(&mut self) {
        let users = self.users();
        let chosen = pick(&users, self.dice.roll());
        match self.dice.below(14) {
            0..=3 => self.import(None, false).await,
            4 => self.import(None, true).await,
            5 => self.import(Some((Lie::FailsAfter(0), Topic::ImportFailed)), false).await,
            6 => self.import(Some((Lie::RefusesCredentials, Topic::CredentialsRefused)), false).await,
            7 => {
                let many = 6 + usize::try_from(self.dice.below(4)).unwrap();
                let doomed: Vec<SourceId> = users.into_iter().take(many).collect();
                self.world.endpoint.change(|directory| doomed.iter().for_each(|id| directory.delete(id)));
            }
            8 => {
                let new = self.next_user;
                self.next_user += 9;
                self.world.endpoint.change(|directory| {
                    (0..9).for_each(|number| drop(directory.add_user(new + number, "oslo")));
                });
            }
            9 | 10 => {
                let turned = self.dice.one_in(2);
                if let Some(id) = chosen {
                    self.world.endpoint.change(|directory| {
                        directory.objects.get_mut(&id).unwrap().unintelligible = turned;
                    });
                }
            }
            11 => self.answer().await,
            12 => {
                let hours = 1 + self.dice.below(20);
                self.world.clock.advance(Duration::from_secs(hours * 3600));
            }
            _ => {
                // Who stops half-way has neither failed nor seen anything.
                self.world.endpoint.lie([Lie::CancelsAfter(1)]);
                let name = self.world.endpoint.info_name();
                let options = ImportOptions { full: true, ..ImportOptions::default() };
                let handle: RunHandle = self.world.service.start(&self.world.customer, &name, options).await.unwrap();
                assert_eq!(handle.wait().await.unwrap().outcome, Outcome::Cancelled);
                self.check("cancelled").await;
                // The next one goes on behind what was read, before that changes.
                self.import(None, false).await;
            }
        }
        self.world.clock.advance(Duration::from_millis(1 + self.dice.below(1000)));
    }

    async fn answer(&mut self) {
        let directory = self.world.service.directory();
        let feed = if self.dice.one_in(3) { Feed::Reminders } else { Feed::Alerts };
        let query = NoticeQuery::new(feed).with_dismissed();
        let listed = walk(&directory, &self.world.customer, &query, 1000).await;
        let Some(notice) = pick(&listed, self.dice.roll()) else { return };
        let (key, cause) = split(&notice.id);
        match self.dice.below(4) {
            0 => {
                directory.take_answer_back(&self.world.customer, &notice.id).await.unwrap();
                self.model.answers.remove(&key);
            }
            1 => {
                directory.answer(&self.world.customer, &notice.id, Answer::Dismissed, "kim").await.unwrap();
                self.model.answers.insert(key, (Answer::Dismissed, cause));
            }
            _ => {
                directory.answer(&self.world.customer, &notice.id, Answer::Acknowledged, "kim").await.unwrap();
                self.model.answers.insert(key, (Answer::Acknowledged, cause));
            }
        }
    }

    async fn check(&mut self, what: &str) {
        let (directory, customer) = (self.world.service.directory(), self.world.customer.clone());
        let limit = 1 + usize::try_from(self.dice.below(3)).unwrap();
        for feed in [Feed::Alerts, Feed::Reminders] {
            let all = walk(&directory, &customer, &NoticeQuery::new(feed).with_dismissed(), 1000).await;
            let found: Expected = all
                .iter()
                .map(|notice| {
                    let answer = notice.answered.as_ref().map(|answered| answered.answer);
                    (notice.topic, notice.since.map(|since| since.0), answer)
                })
                .collect();
            assert_eq!(found, self.model.expected(feed, self.now()), "{what}: {feed:?} of {:?}", self.model);
            assert!(all.iter().all(|notice| !notice.text.is_empty() && !notice.remedy.is_empty()));
            assert!(all.is_sorted_by_key(|notice| std::cmp::Reverse(notice.since)), "{what}: newest first");
            let paged = walk(&directory, &customer, &NoticeQuery::new(feed).with_dismissed(), limit).await;
            assert_eq!(paged, all, "{what}: in pages of {limit}");
            let open = walk(&directory, &customer, &NoticeQuery::new(feed), limit).await;
            let dismissed = |notice: &tenantry::model::Notice| {
                notice.answered.as_ref().is_some_and(|answered| answered.answer == Answer::Dismissed)
            };
            assert_eq!(open, all.into_iter().filter(|notice| !dismissed(notice)).collect::<Vec<_>>(), "{what}");
        }
    }

    /// Begins to walk through what happened, lets more happen, and walks on.
    async fn walk_beside(&mut self, what: &str) {
        let (directory, customer) = (self.world.service.directory(), self.world.customer.clone());
        let before = told(&walk_events(&directory, &customer, None, 1000).await);
        let limit = 1 + usize::try_from(self.dice.below(30)).unwrap();
        let page = directory.happened(&customer, None, None, limit).await.unwrap();
        let mut walked = told(&page.entries);
        let mut after = page.next;
        while let Some(cursor) = after {
            if self.dice.one_in(3) {
                self.step().await;
            }
            let page = directory.happened(&customer, None, Some(&cursor), limit).await.unwrap();
            walked.append(&mut told(&page.entries));
            after = page.next;
        }
        assert_eq!(walked, before, "{what}: what is new comes before what was listed");
    }
}

/// What tells entries apart.
fn told(entries: &[Happening]) -> Vec<String> {
    let one = |entry: &Happening| match entry {
        Happening::Event(event) => event.id.clone(),
        Happening::Action(asked) => format!("{} {}", asked.request, asked.record),
    };
    entries.iter().map(one).collect()
}

trait Named {
    fn info_name(&self) -> tenantry::model::EndpointName;
}

impl Named for ScriptedEndpoint {
    fn info_name(&self) -> tenantry::model::EndpointName {
        tenantry::Endpoint::info(self).name.clone()
    }
}

#[tokio::test]
async fn alerts_begin_and_end_with_their_cause_and_answers_hold_for_it() {
    let seeds = seeds(40);
    let mut seen: BTreeSet<Topic> = BTreeSet::new();
    for seed in seeds.clone() {
        let mut case = Case::new(seed).await;
        case.import(None, false).await;
        for step in 0..25 {
            case.step().await;
            let what = format!("TENANTRY_SEED={seed}, step {step}");
            case.check(&what).await;
            for feed in Feed::ALL {
                seen.extend(case.model.expected(feed, case.now()).into_iter().map(|(topic, ..)| topic));
            }
        }
        case.walk_beside(&format!("TENANTRY_SEED={seed}")).await;
    }
    if seeds.end - seeds.start >= 40 {
        assert_eq!(seen.len(), 7, "each of them was there: {seen:?}");
    }
}

/// An oracle that reads every event: what is told of a record is what names it.
#[tokio::test]
async fn the_feed_of_a_record_is_what_all_events_tell_of_it() {
    for seed in 0..12 {
        let mut case = Case::new(1000 + seed).await;
        case.import(None, false).await;
        for _ in 0..12 {
            case.step().await;
            if case.dice.one_in(3) {
                let (group, users) = (ScriptedDirectory::id(1_000_000), case.users());
                let (one, other) = (pick(&users, case.dice.roll()), pick(&users, case.dice.roll()));
                case.world.endpoint.change(|directory| {
                    if let Some(user) = one {
                        directory.add_member(&group, &user);
                    }
                    if let Some(user) = other {
                        directory.remove_member(&group, &user);
                    }
                });
            }
        }
        let (directory, customer) = (case.world.service.directory(), case.world.customer.clone());
        let all = walk_events(&directory, &customer, None, 1000).await;
        let records: Vec<RecordId> = case.world.records(ObjectKind::User).into_keys().collect();
        let ids = case.world.records(ObjectKind::User);
        for id in records.into_iter().chain([case.world.group()]) {
            let text = id.to_string();
            let source = ids.get(&id).map(|record| record.identities[0].source_id.to_string());
            let names = |entry: &&Happening| {
                let Happening::Event(event) = entry else { return false };
                let data = event.data_value();
                let set_aside = event.event_type.as_str() == "tenantry.record.quarantined";
                event.subject == text
                    || data["member"] == text.as_str()
                    || (source.is_some()
                        && ((data["member_source_id"].as_str() == source.as_deref()
                            && event.event_type.as_str().starts_with("tenantry.member"))
                            || (set_aside && data["source_id"].as_str() == source.as_deref())))
            };
            let expected: Vec<Happening> = all.iter().filter(names).cloned().collect();
            let limit = 1 + usize::try_from(case.dice.below(5)).unwrap();
            let found = walk_events(&directory, &customer, Some(id), limit).await;
            assert_eq!(told(&found), told(&expected), "seed {seed}, {text}");
        }
        let since = Timestamp(case.now());
        assert!(since.0 > 0);
    }
}
