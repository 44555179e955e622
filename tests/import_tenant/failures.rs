//! What goes wrong: configurations, passwords, one endpoint of two; and that no secret is told of any of it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use tenantry_fakes::ldap::{FakeLdap, Fault, When};

use crate::program::{command, events_and_summary, run};
use crate::world::{CANARY, World, directory};

#[test]
fn every_problem_of_a_configuration_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenant.toml");
    let text = "[customer]\nname = \"Corp\"\n\n[[endpoint]]\nname = \"ad\"\nkind = \"active-directory\"\n\
                url = \"ldaps://dc1.corp.example\"\nbind = \"sync@corp.example\"\npassword = \"canary-in-the-file\"\n\
                cotnacts = true\n";
    std::fs::write(&file, text).unwrap();
    let said = run(command(&["--json", "--config"]).arg(&file));
    assert_eq!((said.status, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert!(said.err.contains("tenant.toml:9:") && said.err.contains("tenant.toml:10:"), "{}", said.err);
    assert_eq!(said.err.lines().count(), 2, "{}", said.err);
    assert!(!said.err.contains("canary-in-the-file"), "{}", said.err);

    let said = run(command(&["--config"]).arg(folder.path().join("absent.toml")));
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(said.err.contains("does not exist"), "{said:?}");
    assert_eq!(run(&mut command(&["--no-such-option"])).status, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_never_configured_is_a_bad_configuration() {
    let world = World::new(5).await;
    let said = world.run(&["--endpoint", "adx"]);
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(said.err.contains("did you mean ad?"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_does_not_stop_the_others() {
    let world = World::new(10).await;
    let broken = FakeLdap::start(directory("DC=plant,DC=example", 10)).await;
    world.configure(&[("plant", &broken, CANARY), ("ad", &world.server, CANARY)]);
    broken
        .faults()
        .on(When::FilterContains("objectCategory=person".into()), Fault::Answer { code: 50, text: "no".into() });
    let said = world.run(&["--json"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    let (events, summary) = events_and_summary(&said);
    let [plant, ad] = summary["endpoints"].as_array().unwrap().as_slice() else { panic!("{summary}") };
    assert_eq!((&plant["name"], &plant["outcome"]), (&"plant".into(), &"failed".into()));
    assert!(plant["error"].as_str().is_some_and(|error| !error.is_empty()), "{plant}");
    assert_eq!((&ad["name"], &ad["outcome"]), (&"ad".into(), &"done".into()));
    assert!(summary["users"].as_u64().unwrap() >= 10 && !events.is_empty());
    assert!(said.err.contains("plant: failed"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_wins_over_parked_removals() {
    let world = World::new(40).await;
    let other = FakeLdap::start(directory("DC=plant,DC=example", 10)).await;
    world.configure(&[("plant", &other, CANARY), ("ad", &world.server, CANARY)]);
    assert_eq!(world.run(&[]).status, Some(0));
    world.delete(0..12);
    assert_eq!(world.run(&[]).status, Some(3));
    world.configure(&[("plant", &other, "wrong"), ("ad", &world.server, CANARY)]);
    assert_eq!(world.run(&[]).status, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once() {
    let world = World::new(5).await;
    world.configure(&[("ad", &world.server, "canary-wrong-password")]);
    let said = world.run(&[]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.out.contains("unauthenticated"), "{said:?}");
    assert_eq!(world.server.log().binds().len(), 1, "{:?}", world.server.log().binds());
    assert!(!said.out.contains("canary") && !said.err.contains("canary"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_and_no_log_tells_the_password() {
    let world = World::new(5).await;
    let mut told = String::new();
    for arguments in [&["--verify"][..], &["--plan"], &["--json"], &[]] {
        let said = run(world.command(arguments).env("RUST_LOG", "trace"));
        assert_eq!(said.status, Some(0), "{said:?}");
        told += &(said.out + &said.err);
    }
    world.configure(&[("ad", &world.server, &format!("wrong-{CANARY}"))]);
    let said = run(world.command(&["--json"]).env("RUST_LOG", "trace"));
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains(" WARN "), "nothing was logged: {}", said.err);
    told += &(said.out + &said.err);
    assert!(!told.contains(CANARY), "the password was told");
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "secret") {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{path:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_server_that_is_not_reached_says_what_it_waits_for() {
    let world = World::new(1).await;
    // A port that was just free, and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = world.folder.path().join("tenant.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&world.server.ldaps_url(), &format!("ldaps://{free}"))).unwrap();
    let mut child = world.command(&["--verify"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("ad: no answer yet") && line.contains("host and port"), "{line}");
}

#[test]
fn a_state_file_of_another_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("notes.txt");
    std::fs::write(&state, "not a database, and somebody needs it\n".repeat(100)).unwrap();
    let before = std::fs::read(&state).unwrap();
    for arguments in [&["--state"][..], &["--plan", "--state"]] {
        let said = run(command(arguments).arg(&state));
        assert_eq!(said.status, Some(1), "{said:?}");
        assert!(said.err.contains("name another file"), "{said:?}");
    }
    let said = run(command(&["--json", "--state"]).arg(&state));
    assert_eq!(said.status, Some(1), "{said:?}");
    assert_eq!(events_and_summary(&said).1["endpoints"][0]["outcome"], "failed");
    assert!(std::fs::read(&state).unwrap() == before);
}
