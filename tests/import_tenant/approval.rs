//! What is parked, and what it takes to let it go.

use crate::program::{count, events_and_summary};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn removals_beyond_the_guard_are_parked_until_they_are_approved() {
    let world = World::new(40).await;
    assert_eq!(world.run(&[]).status, Some(0));
    world.delete(0..12);
    let parked = world.run(&["--json"]);
    assert_eq!(parked.status, Some(3), "{parked:?}");
    let (events, summary) = events_and_summary(&parked);
    assert_eq!((count(&events, "tenantry.user.removed"), count(&events, "tenantry.removals.parked")), (0, 1));
    assert_eq!(summary["endpoints"][0]["outcome"], "held");
    let id = summary["endpoints"][0]["plan"].as_str().unwrap().to_owned();
    assert!(parked.err.contains(&format!("--approve {id}")), "{}", parked.err);

    // The same set has the same id, in words as well.
    let again = world.run(&[]);
    assert_eq!(again.status, Some(3));
    assert!(again.out.contains(&format!("--approve {id}")), "{}", again.out);

    let approved = world.run(&["--json", "--approve", &id]);
    assert_eq!(approved.status, Some(0), "{approved:?}");
    let (events, summary) = events_and_summary(&approved);
    assert_eq!(count(&events, "tenantry.user.removed"), 12);
    assert_eq!(summary["endpoints"][0]["removed"], 12);
    // An approval is good for one run.
    assert_eq!(world.run(&["--approve", &id]).status, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_would_park_can_be_approved_by_its_id() {
    let world = World::new(40).await;
    assert_eq!(world.run(&[]).status, Some(0));
    world.delete(0..12);
    let (_, summary) = events_and_summary(&world.run(&["--plan", "--json"]));
    let id = summary["endpoints"][0]["plan"].as_str().unwrap().to_owned();
    let (_, summary) = events_and_summary(&world.run(&["--json", "--approve", &id]));
    assert_eq!(summary["endpoints"][0]["removed"], 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_approval_is_a_bad_configuration_and_imports_nothing() {
    let world = World::new(5).await;
    let said = world.run(&["--json", "--approve", "0123456789abcdef"]);
    assert_eq!((said.status, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert!(!world.state().exists(), "{said:?}");
    assert_eq!(world.run(&[]).status, Some(0));
    world.server.log().clear();
    let said = world.run(&["--approve", "0123456789abcdef"]);
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(said.err.contains("nothing is parked or planned under this id"), "{said:?}");
    assert_eq!(world.run(&["--approve", "yes"]).status, Some(2));
    assert!(world.server.log().all().is_empty());
}
