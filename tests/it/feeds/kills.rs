//! Killed around any commit of an action or an answer: nothing is told that was not, and asked again it ends the same.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenantry::endpoint::Action;
use tenantry::model::{ActionId, Answer, CustomerId, Feed, Happening, NoticeQuery, ObjectKind, RecordId};
use tenantry::service::ActionRequest;
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint, on_commit};
use tenantry::{Customer, Endpoint, Service, SqliteStore};
use tokio_util::sync::CancellationToken;

use super::walk_events;
use crate::operations::name;
use crate::world::{World, folder};

const CHILD: &str = "feeds::kills::child";

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

fn user(number: u128) -> RecordId {
    RecordId::founded_by(&customer(), &name("ad"), ObjectKind::User, &ScriptedDirectory::id(number).key())
}

async fn service(path: &Path) -> (Service, ScriptedEndpoint) {
    let endpoint = ScriptedEndpoint::new("ad", World::directory(50), 20).unwrap().with_actions();
    let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
    service.register(Customer::new(customer()), vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>]).await.unwrap();
    (service, endpoint)
}

async fn operate_here(path: &Path) {
    let (service, _) = service(path).await;
    let (directory, customer) = (service.directory(), customer());
    let request = ActionRequest::new(Action::Suspend, "kim").with_id(ActionId(uuid::Uuid::from_u128(5)));
    let users: Vec<RecordId> = (1..=50).map(user).collect();
    service.act(&customer, &request, &users, &CancellationToken::new()).await.unwrap();
    let alerts = directory.notices(&customer, &NoticeQuery::new(Feed::Alerts), None, 10).await.unwrap().entries;
    directory.answer(&customer, &alerts[0].id, Answer::Acknowledged, "kim").await.unwrap();
    directory.happened(&customer, Some(user(3)), None, 10).await.unwrap();
}

/// The operation; aborts at a commit if it is told to.
#[test]
fn child() {
    let text = |name: &str| std::env::var(name).ok();
    let Some(path) = text("TENANTRY_FEED_STATE") else { return };
    let points = Arc::new(AtomicU64::new(0));
    let (counted, at) = (Arc::clone(&points), text("TENANTRY_KILL_AT").and_then(|text| text.parse().ok()));
    on_commit(move || {
        if Some(counted.fetch_add(1, Ordering::Relaxed)) == at {
            println!("\nkilled");
            std::process::abort();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(operate_here(path.as_ref()));
    println!("\npoints {}", points.load(Ordering::Relaxed));
}

fn operate(path: &Path, at: Option<u64>) -> Option<u64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CHILD, "--nocapture", "--test-threads=1"]).env("TENANTRY_FEED_STATE", path);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(at) = at {
        command.env("TENANTRY_KILL_AT", at.to_string());
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() || text.contains("killed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().find_map(|line| line.strip_prefix("points ")?.trim().parse().ok())
}

/// What the feeds tell: actions by record, with their results; and what was answered.
fn seen(path: &Path) -> (Vec<(RecordId, Option<String>)>, Vec<bool>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
        let (directory, customer) = (service.directory(), customer());
        let mut asked = Vec::new();
        for entry in walk_events(&directory, &customer, None, 1000).await {
            if let Happening::Action(one) = entry {
                asked.push((one.record, one.result));
            }
        }
        asked.sort();
        let alerts = directory.notices(&customer, &NoticeQuery::new(Feed::Alerts), None, 10).await.unwrap().entries;
        let answered = alerts.iter().map(|alert| alert.answered.is_some()).collect();
        let of_one = walk_events(&directory, &customer, Some(user(3)), 10).await;
        let of_one = of_one.iter().map(|entry| match entry {
            Happening::Event(event) => event.id.clone(),
            Happening::Action(asked) => asked.record.to_string(),
        });
        (asked, answered, of_one.collect())
    })
}

#[test]
fn killed_around_any_commit_actions_and_answers_that_are_made_again_end_the_same() {
    let folder = folder();
    let before = folder.path().join("before.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (service, endpoint) = service(&before).await;
        service.import(&customer(), &name("ad"), Default::default()).await.unwrap();
        endpoint.lie([Lie::FailsAfter(1)]);
        service.import(&customer(), &name("ad"), Default::default()).await.unwrap();
    });
    let undisturbed = folder.path().join("undisturbed.db");
    std::fs::copy(&before, &undisturbed).unwrap();
    let points = operate(&undisturbed, None).unwrap();
    let expected = seen(&undisturbed);
    assert_eq!((expected.0.len(), expected.1.as_slice()), (50, &[true][..]));
    assert!(points >= 8, "{points}");
    for at in 0..points {
        let inside = tempfile::tempdir_in(folder.path()).unwrap();
        let path = inside.path().join("killed.db");
        std::fs::copy(&before, &path).unwrap();
        let what = format!("killed at {at} of {points}");
        assert_eq!(operate(&path, Some(at)), None, "{what}");
        let (asked, ..) = seen(&path);
        assert!(asked.is_empty() || asked.len() == 50, "{what}: noted is all that may be sent: {}", asked.len());
        operate(&path, None).unwrap();
        assert_eq!(seen(&path), expected, "{what}");
    }
}
