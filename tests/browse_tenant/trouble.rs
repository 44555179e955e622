//! What is refused, closed pipes, and a state file that is being written.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;

use tenantry::model::CustomerId;
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use crate::demo;
use crate::program::{browse, browser, lines, list, run};

#[test]
fn wrong_options_and_unknown_names_end_with_status_2_and_say_why() {
    let state = demo();
    let cursor = list(&state, &["users", "--limit", "2"]).1["next"].as_str().unwrap().to_owned();
    for (arguments, word) in [
        (&["users", "--state", "gone"][..], "possible values"),
        (&["users", "--state", "tenant.db"], "goes before the command"),
        (&["groups", "--state", "tenant.db"], "goes before the command"),
        (&["users", "--source", "nope"], "there are: ad, cloud"),
        (&["groups", "--source", "nope"], "there are: ad, cloud"),
        (&["users", "--group", "00000000-0000-4000-8000-000000000000"], "nobody"),
        (&["users", "--customer", "nobody"], "harbour"),
        (&["user", "nobody@harbour.example"], "nobody"),
        (&["user", "00000000-0000-4000-8000-000000000000"], "nobody"),
        (&["users", "--cursor", "zz"], "no cursor"),
        (&["users", "--sort", "last", "--cursor", cursor.as_str()], "another query"),
        (&["users", "--group", "Everyone"], "by its id"),
        (&["users", "--nested"], "--group"),
        (&["users", "--csv", "--json"], "--json"),
        (&["users", "--limit", "0"], "write a number, 1 or more"),
        (&["feed", "--limit", "100001"], "from 1 to 100000"),
        (&["runs", "--cursor", "5"], "unexpected argument"),
        (&["explain", "nobody", "state"], "nobody"),
        (&[], "Usage"),
    ] {
        let said = run(browser(&state, arguments));
        assert_eq!(said.status, Some(2), "{arguments:?}: {said:?}");
        assert!(said.err.contains(word) && said.out.is_empty(), "{arguments:?}: {said:?}");
    }
}

#[test]
fn where_there_is_nothing_to_show_that_is_said_to_people() {
    let state = demo();
    for (arguments, line) in [
        (&["conflicts"][..], "no conflicts\n"),
        (&["feed", "--only", "alerts"], "no alerts\n"),
        (&["probable"], "no users seem to be one person and are not joined\n"),
    ] {
        assert_eq!(browse(&state, arguments), line);
    }
    assert!(lines(&state, &["conflicts"]).is_empty());
    assert!(browse(&state, &["users", "--source", "cloud"]).contains(" users\n"));
}

#[test]
fn a_file_that_is_not_there_is_not_created_and_one_of_another_program_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant.db");
    let said = run(browser(&path, &["users"]));
    assert_eq!((said.status, path.exists()), (Some(2), false), "{said:?}");
    std::fs::write(&path, "not a database at all, but long enough to be looked at as if it were one").unwrap();
    let said = run(browser(&path, &["users"]));
    assert_eq!(said.status, Some(1), "{said:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the file that was there");
}

#[test]
fn a_reader_who_has_enough_is_no_error() {
    let state = demo();
    for arguments in [&["users", "--json"][..], &["users", "--csv"], &["users"], &["feed"], &["runs"]] {
        let mut child = browser(&state, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn it_reads_beside_a_running_import() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.db");
    let mut directory = ScriptedDirectory::new("domain-1");
    for number in 1..=4000 {
        directory.add_user(number, "people");
    }
    let endpoint = ScriptedEndpoint::new("ad", directory, 50).unwrap();
    let name = endpoint.info().name.clone();
    let service = Service::new(Arc::new(SqliteStore::open(&state).unwrap()));
    let customer = CustomerId::new("c1").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    let import = service.start(&customer, &name, ImportOptions::default()).await.unwrap();
    let looks = tokio::task::spawn_blocking(move || {
        let mut before = 0;
        loop {
            let (_, page) = list(&state, &["users", "--limit", "5"]);
            let total = page["total"].as_u64().unwrap();
            assert!(total >= before, "{total} after {before}");
            before = total;
            if total == 4000 {
                return;
            }
        }
    });
    import.wait().await.unwrap();
    looks.await.unwrap();
}
