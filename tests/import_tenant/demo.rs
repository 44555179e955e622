//! Without a configuration: the demo tenant.

use crate::program::{command, count, events_and_summary, run, sequences};

#[test]
fn the_demo_shows_an_import_a_change_a_removal_a_lock_and_a_refusal() {
    let said = run(&mut command(&[]));
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{said:?}");
    for wanted in [
        "63 created",
        "4 people are shown by both",
        "\"lock\": {",
        "0 changes were told",
        "+ user      Nia Ólafsdóttir <nolafs@harbour.example>",
        "- user      Dana Stone",
        "primary_email ckoch@harbour.example → cwinter@harbour.example",
        "state active → suspended",
        "- member    Amal Botros in Safety Officers",
        "nothing is removed",
    ] {
        assert!(said.out.contains(wanted), "{wanted} is not in\n{}", said.out);
    }
}

#[test]
fn the_last_line_of_json_has_every_field_and_the_events_match_it() {
    let said = run(&mut command(&["--json"]));
    assert_eq!(said.status, Some(0), "{said:?}");
    let (events, summary) = events_and_summary(&said);
    let expected: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(sequences(&events), expected);

    for field in ["users", "groups", "computers", "memberships", "peak_rss_bytes"] {
        assert!(summary[field].as_u64().is_some_and(|number| number > 0), "{field}: {summary}");
    }
    assert!(summary["cpu_seconds"].is_f64(), "{summary}");
    assert_eq!(summary["customer"], "harbour");
    let endpoints = summary["endpoints"].as_array().unwrap();
    let named: Vec<_> = endpoints.iter().map(|endpoint| (&endpoint["name"], &endpoint["kind"])).collect();
    assert_eq!(named, [(&"ad".into(), &"active-directory".into()), (&"cloud".into(), &"office365".into())]);
    for endpoint in endpoints {
        assert_eq!((&endpoint["outcome"], &endpoint["mode"]), (&"done".into(), &"snapshot".into()));
        for field in ["plan", "error"] {
            assert!(
                endpoint.as_object().unwrap().contains_key(field) && endpoint[field].is_null(),
                "{field}: {endpoint}"
            );
        }
        for field in ["missing", "parked", "quarantined", "pages", "requests", "throttled"] {
            assert!(endpoint[field].is_u64(), "{field}: {endpoint}");
        }
        assert!(endpoint["seconds"].is_f64());
    }

    let of = |kind: &str| count(&events, &format!("tenantry.{kind}"));
    // The endpoint's own group is told as well, and counted nowhere.
    let own = events.iter().filter(|event| event["data"]["record"]["kind"] == "endpoint").count();
    let upserted = of("user.upserted") + of("group.upserted") + of("computer.upserted") - own;
    let sum = |name: &str| endpoints.iter().map(|endpoint| endpoint[name].as_u64().unwrap()).sum::<u64>();
    let figure = |name: &str| usize::try_from(sum(name)).unwrap();
    assert_eq!(upserted, figure("created") + figure("updated"));
    assert_eq!((of("user.removed"), of("group.removed"), of("computer.removed")), (figure("removed"), 0, 0));
    assert_eq!((of("member.added"), of("member.removed")), (figure("members_added"), figure("members_removed")));
}

#[test]
fn the_demo_can_be_checked_and_planned_like_any_tenant() {
    let said = run(&mut command(&["--verify"]));
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.out.contains("dc1.harbour.example") && said.out.contains("not seen"), "{said:?}");
    let said = run(&mut command(&["--plan"]));
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.out.contains("63 would be created"), "{said:?}");
}
