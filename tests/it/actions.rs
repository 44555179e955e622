//! Actions on remote accounts, asked for by record: each gets its own word, and no record changes before an import.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry::endpoint::Action;
use tenantry::model::{EndpointName, EventType, ObjectKind, RecordId, SourceId, UserKind, UserState, names};
use tenantry::service::{ActionRequest, ActionResult, RecordResult};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ErrorKind};
use tokio_util::sync::CancellationToken;

use crate::world::World;

async fn world(directory: ScriptedDirectory) -> World {
    let world = World::with_endpoint(ScriptedEndpoint::new("ad", directory, 7).unwrap().with_actions()).await;
    world.import_done().await;
    world
}

impl World {
    async fn act_until(
        &self,
        action: Action,
        records: &[RecordId],
        cancel: &CancellationToken,
    ) -> tenantry::Result<Vec<RecordResult>> {
        let request = ActionRequest::new(action, "operator").through(self.endpoint.info().name.clone());
        self.service.act(&self.customer, &request, records, cancel).await
    }

    async fn act(&self, action: Action, records: &[RecordId]) -> Vec<RecordResult> {
        self.act_until(action, records, &CancellationToken::new()).await.unwrap()
    }

    async fn offered(&self, record: RecordId) -> Vec<Action> {
        let available = self.service.available_actions(&self.customer, record).await.unwrap();
        available.into_iter().filter(|one| one.obstacle.is_none()).map(|one| one.action).collect()
    }

    /// The records of users, by their numbers.
    fn by_number(&self) -> BTreeMap<SourceId, RecordId> {
        let users = self.records(ObjectKind::User);
        users.values().map(|user| (user.identities[0].source_id.clone(), user.id)).collect()
    }

    fn remote_state(&self, number: u128) -> String {
        let id = ScriptedDirectory::id(number);
        self.endpoint.change(|directory| directory.objects[&id].attributes.text(&names::STATE).unwrap().to_owned())
    }
}

fn words(results: &[RecordResult]) -> Vec<&'static str> {
    results.iter().map(|result| result.result.as_str()).collect()
}

fn count(results: &[RecordResult], word: &str) -> usize {
    results.iter().filter(|result| result.result.as_str() == word).count()
}

#[tokio::test]
async fn every_record_gets_its_own_word_in_the_order_asked() {
    let mut directory = World::directory(30);
    directory.set(&ScriptedDirectory::id(3), names::STATE, UserState::Suspended);
    let contact = directory.add_user(31, "oslo");
    directory.set(&contact, names::KIND, UserKind::Contact);
    let world = world(directory).await;
    let ids = world.by_number();
    let user = |number| ids[&ScriptedDirectory::id(number)];
    world
        .endpoint
        .lie([Lie::ActionRefused(vec![ScriptedDirectory::id(4)]), Lie::ActionFails(vec![ScriptedDirectory::id(5)])]);
    let nobody = RecordId(uuid::Uuid::from_u128(7));
    let computer = *world.records(ObjectKind::Computer).keys().next().unwrap();
    let groups = world.records(ObjectKind::Group);
    let own = groups.values().find(|group| group.identities.is_empty()).unwrap().id;
    let asked = [
        user(5),
        user(2),
        user(3),
        user(4),
        nobody,
        computer,
        world.group(),
        own,
        contact_of(&world),
        user(2),
        user(1),
    ];
    let results = world.act(Action::Suspend, &asked).await;
    let answered: Vec<_> = results.iter().map(|result| result.record).collect();
    assert_eq!(answered, [&asked[..9], &asked[10..]].concat(), "once each, in the order asked");
    let expected = [
        "failed",
        "done",
        "already-so",
        "refused",
        "not-found-here",
        "not-offered",
        "not-offered",
        "not-found-here",
        "not-offered",
        "done",
    ];
    assert_eq!(words(&results), expected);
    assert!(results[3].result.to_string().contains("leave it alone"), "reason and remedy are told");
    assert_eq!([1, 2, 4, 5].map(|number| world.remote_state(number)), ["suspended", "suspended", "active", "active"]);
}

fn contact_of(world: &World) -> RecordId {
    world.by_number()[&ScriptedDirectory::id(31)]
}

#[tokio::test]
async fn nothing_changes_here_before_the_next_import_reads_it() {
    let mut world = world(World::directory(20)).await;
    let ids = world.by_number();
    let anna = ids[&ScriptedDirectory::id(1)];
    let before = world.records(ObjectKind::User);
    world.events();
    assert_eq!(words(&world.act(Action::Suspend, &[anna]).await), ["done"]);
    assert_eq!(world.records(ObjectKind::User), before);
    assert_eq!(world.events().len(), 0);
    let report = world.import_done().await;
    assert_eq!(report.updated, 1);
    let told: Vec<_> = world.events().iter().map(|event| event.event_type).collect();
    assert!(told.contains(&EventType::UserUpserted), "{told:?}");
    let state =
        |world: &World| world.records(ObjectKind::User)[&anna].attributes.text(&names::STATE).map(str::to_owned);
    assert_eq!(state(&world).as_deref(), Some("suspended"));
    assert_eq!(words(&world.act(Action::Resume, &[anna]).await), ["done"]);
    world.import_done().await;
    assert_eq!(world.records(ObjectKind::User), before);
}

#[tokio::test]
async fn what_is_offered_is_known_without_asking_anybody() {
    let world = world(World::directory(20)).await;
    // Whatever is asked of the endpoint now fails.
    let everybody: Vec<_> = world.by_number().into_keys().collect();
    world.endpoint.lie([Lie::ActionFails(everybody), Lie::LookupFails]);
    let pages = world.endpoint.pages();
    let offered = async |record| world.offered(record).await;
    let anna = world.by_number()[&ScriptedDirectory::id(1)];
    let all = [Action::Suspend, Action::Resume, Action::Unlock, Action::ForcePasswordChange];
    assert_eq!(offered(anna).await, all);
    assert_eq!(offered(world.group()).await, []);
    assert_eq!(offered(RecordId(uuid::Uuid::from_u128(7))).await, []);
    assert_eq!(world.endpoint.pages(), pages);
    let results = world.act(Action::RevokeSessions, &[anna]).await;
    assert_eq!(words(&results), ["not-offered"]);
    let obstacles = world.service.available_actions(&world.customer, anna).await.unwrap();
    let obstacle = obstacles.iter().find(|one| one.action == Action::RevokeSessions).unwrap().obstacle.as_ref();
    assert!(obstacle.unwrap().message().contains("in its directory"), "the reason comes with the way out");
    let nobody = EndpointName::new("other").unwrap();
    let request = ActionRequest::new(Action::Suspend, "operator").through(nobody);
    let cancel = CancellationToken::new();
    let error = world.service.act(&world.customer, &request, &[anna], &cancel).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_endpoint_that_changes_nothing_offers_nothing() {
    let world = World::new(World::directory(5)).await;
    world.import_done().await;
    let everybody: Vec<_> = world.by_number().into_values().collect();
    let results = world.act(Action::Suspend, &everybody).await;
    assert_eq!(count(&results, "not-offered"), 5);
    assert_eq!(world.offered(everybody[0]).await, []);
}

#[tokio::test]
async fn a_record_of_another_endpoint_is_not_found_here() {
    let world = world(World::directory(5)).await;
    let mut elsewhere = ScriptedDirectory::new("domain-2");
    elsewhere.add_user(1, "oslo");
    let other = ScriptedEndpoint::new("other", elsewhere, 7).unwrap().with_actions();
    let both = [Arc::new(world.endpoint.clone()) as Arc<dyn Endpoint>, Arc::new(other.clone())];
    world.service.register(Customer::new(world.customer.clone()), both.to_vec()).await.unwrap();
    let everybody: Vec<_> = world.by_number().into_values().collect();
    let name = &other.info().name;
    let cancel = CancellationToken::new();
    let request = ActionRequest::new(Action::Suspend, "operator").through(name.clone());
    let results = world.service.act(&world.customer, &request, &everybody, &cancel).await.unwrap();
    assert_eq!(count(&results, "not-found-here"), 5);
    let untouched = |directory: &mut ScriptedDirectory| {
        directory.objects.values().all(|object| object.attributes.text(&names::STATE) == Some("active"))
    };
    assert!(other.change(untouched), "the other one with the same id is another person");
}

#[tokio::test]
async fn a_removed_record_is_not_found_here() {
    let world = world(World::directory(40)).await;
    let anna = world.by_number()[&ScriptedDirectory::id(1)];
    world.endpoint.change(|directory| {
        directory.tombstones_readable = true;
        directory.delete(&ScriptedDirectory::id(1));
    });
    assert_eq!(words(&world.act(Action::Suspend, &[anna]).await), ["refused"], "not known here yet");
    world.import_done().await;
    assert_eq!(words(&world.act(Action::Suspend, &[anna]).await), ["not-found-here"]);
}

#[tokio::test]
async fn who_stops_leaves_the_rest_untried_and_is_told_which() {
    let world = world(World::directory(100)).await;
    let ids = world.by_number();
    let everybody: Vec<_> = ids.values().copied().collect();
    let tenth = ids.keys().nth(9).unwrap().clone();
    world.endpoint.lie([Lie::CancelsAfterAction(tenth)]);
    let results = world.act(Action::Suspend, &everybody).await;
    let (done, untried) = (count(&results, "done"), count(&results, "not-tried"));
    assert_eq!(done + untried, 100);
    assert!((10..=14).contains(&done), "at most so many as were under way: {done}");
    let changed = (1..=100).filter(|number| world.remote_state(*number) == "suspended").count();
    assert_eq!(changed, done, "who is told to be untried is as before");
    let cancelled = |result: &ActionResult| result.error().is_some_and(|error| *error.kind() == ErrorKind::Cancelled);
    assert!(results.iter().all(|result| result.result.is_so() || cancelled(&result.result)));
}

#[tokio::test]
async fn who_has_stopped_before_it_begins_changes_nothing() {
    let world = world(World::directory(10)).await;
    let everybody: Vec<_> = world.by_number().into_values().collect();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let results = world.act_until(Action::Suspend, &everybody, &cancel).await.unwrap();
    assert_eq!(count(&results, "not-tried"), 10);
}

#[tokio::test]
async fn single_failures_keep_nobody_else_from_being_tried() {
    let world = world(World::directory(100)).await;
    let every_third: Vec<_> = world.by_number().into_keys().step_by(3).collect();
    let failing = every_third.len();
    world.endpoint.lie([Lie::ActionFails(every_third)]);
    let everybody: Vec<_> = world.by_number().into_values().collect();
    let results = world.act(Action::Suspend, &everybody).await;
    assert_eq!((count(&results, "failed"), count(&results, "done")), (failing, 100 - failing));
}

#[tokio::test]
async fn when_all_fail_the_rest_is_not_tried_one_by_one() {
    let world = world(World::directory(100)).await;
    let ids = world.by_number();
    world.endpoint.lie([Lie::ActionFails(ids.keys().cloned().collect())]);
    let everybody: Vec<_> = ids.into_values().collect();
    let results = world.act(Action::Suspend, &everybody).await;
    let failed = count(&results, "failed");
    assert!((8..=11).contains(&failed), "{failed}");
    assert_eq!(count(&results, "not-tried"), 100 - failed);
}
