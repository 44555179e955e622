//! What is read beside the core comes in any order, and makes and wakes nobody.

use tenantry::endpoint::DeltaPage;
use tenantry::model::{
    AttributeName, EventType, Facet, MfaState, ObjectKey, ObjectKind, Patch, Record, Tombstone, TombstoneKind,
    UserKind, Value, names,
};
use tenantry::testkit::ScriptedDirectory;

use crate::dump::dump;
use crate::told::{tell, told, world};
use crate::world::{World, count};

fn facet(number: u128, facet: Facet) -> Patch {
    let mut patch = Patch::new(ObjectKind::User, ScriptedDirectory::id(number));
    patch.facet = facet;
    patch
}

fn enrolled(number: u128) -> Patch {
    facet(number, Facet::Mfa).with(names::MFA, MfaState::Enrolled)
}

fn page(patches: impl IntoIterator<Item = Patch>) -> DeltaPage {
    DeltaPage { patches: patches.into_iter().collect(), ..DeltaPage::default() }
}

fn gone(number: u128) -> DeltaPage {
    let object = ObjectKey { kind: ObjectKind::User, id: ScriptedDirectory::id(number) };
    DeltaPage { tombstones: vec![Tombstone { object, kind: TombstoneKind::Soft }], ..DeltaPage::default() }
}

fn newcomer(number: u128) -> Patch {
    Patch::new(ObjectKind::User, ScriptedDirectory::id(number))
        .with(names::KIND, UserKind::Person)
        .with(names::LAST_NAME, "New")
}

fn user(world: &World, number: u128) -> Option<Record> {
    let id = ScriptedDirectory::id(number);
    world.records(ObjectKind::User).into_values().find(|user| user.identities[0].source_id == id)
}

fn value(world: &World, number: u128, name: &AttributeName) -> Option<Value> {
    user(world, number)?.attributes.get(name).cloned()
}

#[tokio::test]
async fn reports_that_come_before_everybody_are_there_when_the_listing_has_ended() {
    let mut world = world().await;
    tell(&world, vec![enrolled(3), enrolled(4), enrolled(9_999)], Vec::new()).await;
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated), (45, 0), "{report:?}");
    assert_eq!(value(&world, 3, &names::MFA), Some(MfaState::Enrolled.into()));
    assert_eq!(value(&world, 5, &names::MFA), None);
    assert_eq!(count(&world.events(), EventType::UserUpserted), 40);
    assert_eq!(world.records(ObjectKind::User).len(), 40);
    // The same again is nothing.
    let before = dump(&world);
    assert_eq!(world.import_done().await.updated, 0);
    assert_eq!(before["facets"], dump(&world)["facets"]);
}

#[tokio::test]
async fn a_report_of_a_newcomer_may_come_before_or_behind_the_newcomer_and_makes_one_event() {
    for pages in [
        vec![page([enrolled(700)]), page([newcomer(700)])],
        vec![page([newcomer(700)]), page([enrolled(700)])],
        vec![page([enrolled(700), newcomer(700)])],
    ] {
        let mut world = told(pages).await;
        let report = world.import_done().await;
        assert_eq!((report.created, report.updated), (1, 0), "{report:?}");
        let events = world.events();
        assert_eq!(count(&events, EventType::UserUpserted), 1);
        assert_eq!(value(&world, 700, &names::MFA), Some(MfaState::Enrolled.into()));
    }
}

#[tokio::test]
async fn a_report_of_nobody_makes_nobody() {
    let mut world = told(vec![page([enrolled(9_999)])]).await;
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated), (0, 0));
    assert_eq!(world.records(ObjectKind::User).len(), 40);
    assert_eq!(world.events().len(), 1);
    // Nor does it wait for somebody of this id to come one day.
    tell(&world, Vec::new(), vec![page([newcomer(9_999)])]).await;
    assert_eq!(world.import_done().await.created, 1);
    assert_eq!(value(&world, 9_999, &names::MFA), None);
}

#[tokio::test]
async fn a_report_that_goes_on_to_name_somebody_who_is_gone_brings_nobody_back() {
    for pages in [
        vec![gone(4), page([enrolled(4)])],
        vec![page([enrolled(4)]), gone(4)],
        vec![page([enrolled(4)]), page([enrolled(4)]), gone(4), page([enrolled(4)])],
    ] {
        let mut world = told(pages).await;
        assert_eq!(world.import_done().await.removed, 1);
        let events = world.events();
        assert_eq!(count(&events, EventType::UserRemoved), 1);
        assert_eq!(count(&events, EventType::UserUpserted), 0, "{events:?}");
        assert!(user(&world, 4).is_none());
        // Also in later runs.
        tell(&world, Vec::new(), vec![page([enrolled(4)])]).await;
        let report = world.import_done().await;
        assert_eq!((report.created, report.updated), (0, 0));
        assert_eq!(world.events().len(), 1);
        assert!(user(&world, 4).is_none());
    }
}

#[tokio::test]
async fn a_facet_goes_before_the_core_until_it_takes_its_word_back() {
    let mailbox = AttributeName::extra("mailbox");
    let shared =
        facet(4, Facet::Mailbox).with(names::KIND, UserKind::Shared).with(AttributeName::extra("mailbox"), "shared");
    let mut world = told(vec![page([shared])]).await;
    assert_eq!(world.import_done().await.updated, 1);
    world.events();
    assert_eq!(value(&world, 4, &names::KIND), Some(UserKind::Shared.into()));
    // The listing knows nothing of it, and changes other things.
    let renamed = newcomer(4).with(names::LAST_NAME, "Renamed");
    tell(&world, Vec::new(), vec![page([renamed])]).await;
    world.import_done().await;
    world.events();
    assert_eq!(value(&world, 4, &names::KIND), Some(UserKind::Shared.into()));
    let person = facet(4, Facet::Mailbox).forgetting(names::KIND).with(AttributeName::extra("mailbox"), "user");
    tell(&world, Vec::new(), vec![page([person.clone()])]).await;
    assert_eq!(world.import_done().await.updated, 1);
    let events = world.events();
    assert_eq!(events[0].data_value()["changed"], serde_json::json!(["attributes.mailbox", "kind"]));
    assert_eq!(value(&world, 4, &names::KIND), Some(UserKind::Person.into()));
    assert_eq!(value(&world, 4, &mailbox), Some("user".into()));
    // Said once more, it is nothing new.
    tell(&world, Vec::new(), vec![page([person])]).await;
    assert_eq!(world.import_done().await.updated, 0);
}

#[tokio::test]
async fn what_is_only_observed_beside_the_core_is_stored_and_no_event() {
    let observed = |at: &str| {
        let mut patch = facet(4, Facet::SignIn);
        patch.observations.set(AttributeName::extra("last_logon"), at);
        patch
    };
    let mut world = told(vec![page([observed("2026-01-02T03:04:05Z")])]).await;
    let mut before = dump(&world);
    for at in ["2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"] {
        tell(&world, Vec::new(), vec![page([observed(at)])]).await;
        let report = world.import_done().await;
        assert_eq!((report.created, report.updated), (0, 0), "{report:?}");
        assert_eq!(world.events().len(), 1);
        let after = dump(&world);
        assert_ne!(before["observations"], after["observations"]);
        assert_eq!(before["objects"], after["objects"]);
        before = after;
    }
}
