//! What a connector's author reads when nothing of his first listing can be understood. It knows no check.

use tenantry::model::{ObjectKind, Outcome, names};

use crate::world::World;

#[tokio::test]
async fn a_first_listing_of_misfits_says_why_and_blames_no_rights() {
    let world = World::new(World::directory(3)).await;
    world.endpoint.change(|directory| {
        let users = directory.objects.iter().filter(|(_, object)| object.kind == ObjectKind::User);
        let users: Vec<_> = users.map(|(id, _)| id.clone()).collect();
        for id in &users {
            directory.set(id, names::KIND, "human");
        }
    });
    let report = world.import().await;
    assert_eq!(report.outcome, Outcome::Failed);
    let error = report.error.unwrap();
    for part in ["users were listed and none can be understood", "attribute kind of a user cannot hold what was read"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("rights"), "{error}");
}

#[tokio::test]
async fn a_first_listing_of_records_set_aside_gives_the_connectors_reason() {
    let world = World::new(World::directory(3)).await;
    world.endpoint.change(|directory| {
        let users = directory.objects.values_mut().filter(|object| object.kind == ObjectKind::User);
        users.for_each(|user| user.unintelligible = true);
    });
    let error = world.import().await.error.unwrap();
    assert!(error.contains("users were listed and none can be understood"), "{error}");
}
