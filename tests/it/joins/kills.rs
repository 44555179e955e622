//! Killed around any commit of an import that joins, or of a join by hand, and done again: as if nothing had been.

use std::path::Path;
use std::sync::Arc;

use tenantry::model::{CustomerId, EventType, Identity, ObjectKind, Outcome, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use super::crowd::{DOMAINS, ENDPOINTS, account, crowd};
use crate::dying::{self, Commits};
use crate::laws::Dice;
use crate::operations::{Replica, name, wide};
use crate::world::{count, folder};

const CHILD: &str = "joins::kills::child";

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

/// The directories of a seed; changed, some learn who they are, and somebody goes.
fn directories(seed: u64, changed: bool) -> Vec<ScriptedDirectory> {
    let mut dice = Dice(seed ^ 0x0701);
    let mut directories = crowd(&mut dice, 3, false);
    if changed {
        for (endpoint, directory) in directories.iter_mut().enumerate() {
            for person in 1..=6 {
                let id = ScriptedDirectory::id(account(endpoint, person, 0));
                directory.set(&id, names::PRIMARY_EMAIL, format!("p{person}@corp.example"));
                directory.set(&id, names::FIRST_NAME, format!("First{person}"));
                directory.set(&id, names::LAST_NAME, format!("Last{person}"));
            }
            directory.delete(&ScriptedDirectory::id(account(endpoint, 2, 0)));
        }
    }
    directories
}

async fn registered(path: &Path, seed: u64, changed: bool) -> Service {
    let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
    let endpoints = ENDPOINTS
        .into_iter()
        .zip(directories(seed, changed))
        .map(|(name, directory)| Arc::new(ScriptedEndpoint::new(name, directory, 4).unwrap()) as Arc<dyn Endpoint>);
    let customer = Customer { domains: vec![DOMAINS[0].into()], ..Customer::new(customer()) };
    service.register(customer, endpoints.collect()).await.unwrap();
    service
}

async fn import(service: &Service, endpoints: &[usize]) {
    for endpoint in endpoints {
        let endpoint = name(ENDPOINTS[*endpoint]);
        let report = service.import(&customer(), &endpoint, ImportOptions { full: true, ..wide() }).await.unwrap();
        assert!(matches!(report.outcome, Outcome::Done | Outcome::Held), "{report:?}");
    }
}

/// Joins the two who are seen nowhere else, and takes whoever is joined apart; what is done already is refused.
async fn by_hand(service: &Service) {
    let (directory, customer) = (service.directory(), customer());
    let users = service.store().records(&customer, ObjectKind::User, None, 999).unwrap();
    let only = |endpoint: usize| {
        let source_id = ScriptedDirectory::id(account(endpoint, 99, 0));
        let identity = Identity { endpoint: name(ENDPOINTS[endpoint]), source_id };
        users.iter().find(|user| user.identities.contains(&identity)).unwrap().id
    };
    let _ = directory.join(&customer, only(0), only(1)).await;
    for user in users.iter().filter(|user| user.identities.len() > 1) {
        for identity in user.identities.iter().skip(1).rev() {
            if identity.source_id != ScriptedDirectory::id(account(1, 99, 0)) {
                let _ = directory.unjoin(&customer, user.id, identity).await;
            }
        }
    }
}

/// One operation; aborts at a commit if it is told to.
#[test]
fn child() {
    let text = |name: &str| std::env::var(name).ok();
    let Some(path) = text("TENANTRY_JOIN_STATE") else { return };
    let (operation, seed) = (text("TENANTRY_JOIN").unwrap(), text("TENANTRY_JOIN_SEED").unwrap().parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let commits = runtime.block_on(async {
        let service = registered(path.as_ref(), seed, operation == "changed").await;
        let commits = Commits::watch();
        match operation.as_str() {
            "import" => import(&service, &[1, 2]).await,
            "changed" => import(&service, &[0, 1, 2]).await,
            "by hand" => by_hand(&service).await,
            other => panic!("{other}"),
        }
        commits
    });
    commits.tell();
}

fn operate(path: &Path, operation: &str, seed: u64, at: Option<u64>) -> Option<u64> {
    let seed = seed.to_string();
    let variables = [
        ("TENANTRY_JOIN_STATE", path.as_os_str()),
        ("TENANTRY_JOIN", operation.as_ref()),
        ("TENANTRY_JOIN_SEED", seed.as_ref()),
    ];
    dying::run(CHILD, variables, at).map(|told| told.points)
}

/// What outsiders see, wherever the events have come to.
fn seen(path: &Path, what: &str) -> Replica {
    Replica { position: 0, ..Replica::of_file(path, &customer(), what) }
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to.with_extension("db.work"));
    for end in ["", "-wal", "-shm"] {
        let with = |path: &Path| std::path::PathBuf::from(format!("{}{end}", path.display()));
        let _ = std::fs::remove_file(with(to));
        if with(from).exists() {
            std::fs::copy(with(from), with(to)).unwrap();
        }
    }
}

#[tokio::test]
async fn killed_around_any_commit_the_same_people_are_one_in_the_end() {
    let folder = folder();
    let (mut merged, mut split) = (0, 0);
    for seed in [0, 3, 5] {
        let mut before = folder.path().join(format!("{seed}.db"));
        import(&registered(&before, seed, false).await, &[0]).await;
        for operation in ["import", "changed", "by hand"] {
            let undisturbed = folder.path().join(format!("{seed}-{operation}.db"));
            copy(&before, &undisturbed);
            let points = operate(&undisturbed, operation, seed, None).unwrap();
            let expected = seen(&undisturbed, operation);
            let events = SqliteStore::open(&undisturbed).unwrap().events(&customer(), 0, usize::MAX).unwrap();
            merged += count(&events, EventType::UserMerged);
            split += count(&events, EventType::UserSplit);
            // Each of the commits, a few at a time.
            for at in (0..points).step_by(if operation == "by hand" { 1 } else { 3 }) {
                let killed = folder.path().join("killed.db");
                copy(&before, &killed);
                let what = format!("seed {seed}, {operation}, killed at {at} of {points}");
                assert_eq!(operate(&killed, operation, seed, Some(at)), None, "{what}");
                seen(&killed, &what);
                operate(&killed, operation, seed, None).unwrap();
                let ended = seen(&killed, &what);
                ended.same_as(&expected, &what);
            }
            before = undisturbed;
        }
    }
    assert!(merged > 3 && split > 3, "{merged} {split}");
}
