//! Runs of real configurations: first, second, planned.

use crate::program::{count, events_and_summary, sequences};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_the_same_tells_nothing_but_its_end() {
    let world = World::new(40).await;
    let first = world.run(&["--json"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    let (events, summary) = events_and_summary(&first);
    assert!(count(&events, "tenantry.user.upserted") >= 40);
    assert_eq!(summary["endpoints"][0]["outcome"], "done");
    assert!(world.state().exists());

    let second = world.run(&["--json"]);
    assert_eq!(second.status, Some(0), "{second:?}");
    let (again, summary) = events_and_summary(&second);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0]["type"], "tenantry.import.finished");
    assert_eq!(sequences(&again), [events.len() as u64 + 1]);
    for figure in ["created", "updated", "removed", "missing", "members_added", "members_removed"] {
        assert_eq!(summary["endpoints"][0][figure], 0, "{figure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_for_people_says_what_changed_and_leaves_the_events_to_the_next_reader_of_json() {
    let world = World::new(10).await;
    let first = world.run(&[]);
    assert_eq!(first.status, Some(0), "{first:?}");
    assert!(first.out.contains("+ user      user0003 <user0003@corp.example>"), "{}", first.out);
    world.directory.set("user0003", "title", ["Pilot"]);
    let second = world.run(&[]);
    assert!(second.out.contains("title nothing → Pilot"), "{}", second.out);
    assert!(!second.out.contains("user0004"), "{}", second.out);
    let (events, _) = events_and_summary(&world.run(&["--json"]));
    assert_eq!(count(&events, "tenantry.import.finished"), 3);
    assert_eq!(sequences(&events)[0], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_and_says_with_its_status_that_removals_would_be_parked() {
    let world = World::new(40).await;
    let planned = world.run(&["--plan", "--json"]);
    assert_eq!(planned.status, Some(0), "{planned:?}");
    let (events, summary) = events_and_summary(&planned);
    assert!(events.is_empty() && !world.state().exists(), "a plan left something");
    let would = summary["endpoints"][0]["created"].clone();
    assert_eq!(summary["endpoints"][0]["outcome"], "planned");

    let (_, summary) = events_and_summary(&world.run(&["--json"]));
    assert_eq!(summary["endpoints"][0]["created"], would);
    world.delete(0..12);
    let before = std::fs::read(world.state()).unwrap();
    let planned = world.run(&["--plan"]);
    assert_eq!(planned.status, Some(3), "{planned:?}");
    assert!(planned.out.contains("12 users to be removed"), "{}", planned.out);
    assert!(planned.out.contains("run again with --approve"), "{}", planned.out);
    assert!(std::fs::read(world.state()).unwrap() == before, "a plan wrote into the state file");
    let (_, summary) = events_and_summary(&world.run(&["--plan", "--json"]));
    assert_eq!((&summary["endpoints"][0]["parked"], &summary["endpoints"][0]["removed"]), (&12.into(), &0.into()));
    assert!(std::fs::read(world.state()).unwrap() == before, "a plan wrote into the state file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_who_answers_and_what_will_not_be_seen_and_makes_no_state() {
    let world = World::new(5).await;
    let said = world.run(&["--verify"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    for wanted in ["ad: ", "dc1.corp.example", "granted   read deleted objects", "not seen", "estimate"] {
        assert!(said.out.contains(wanted), "{wanted} is not in {}", said.out);
    }
    world.directory.rights("sync").read_deleted(false);
    let (lines, summary) = events_and_summary(&world.run(&["--verify", "--json"]));
    assert_eq!(lines[0]["type"], "tenantry.verification");
    let rights = lines[0]["verification"]["rights"].as_array().unwrap();
    assert!(rights.iter().any(|right| right["name"] == "read deleted objects" && right["granted"] == false));
    assert_eq!(summary["endpoints"][0]["outcome"], "done");
    assert!(!world.state().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_chosen_endpoint_is_imported() {
    let world = World::new(5).await;
    let other = tenantry_fakes::ldap::FakeLdap::start(crate::world::directory("DC=plant,DC=example", 5)).await;
    world.configure(&[("ad", &world.server, crate::world::CANARY), ("plant", &other, crate::world::CANARY)]);
    let (_, summary) = events_and_summary(&world.run(&["--json", "--endpoint", "plant"]));
    assert_eq!(summary["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(summary["endpoints"][0]["name"], "plant");
    assert!(world.server.log().all().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_deletion_in_a_new_domain_is_a_removal_like_any_other() {
    let world = World::of(crate::world::directory("DC=corp,DC=example", 30)).await;
    assert_eq!(world.run(&[]).status, Some(0));
    world.delete(7..8);
    let said = world.run(&["--json"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let (events, _) = events_and_summary(&said);
    assert_eq!(count(&events, "tenantry.user.removed"), 1);
}
