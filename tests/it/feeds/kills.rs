//! Killed around any commit of an action or an answer: nothing is told that was not, and asked again it ends the same.

use std::path::Path;
use std::sync::Arc;

use tenantry::endpoint::Action;
use tenantry::model::{ActionId, Answer, CustomerId, Feed, Happening, NoticeQuery, ObjectKind, RecordId};
use tenantry::service::ActionRequest;
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};
use tokio_util::sync::CancellationToken;

use super::walk_events;
use crate::dying::{self, Commits};
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
    let commits = Commits::watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(operate_here(path.as_ref()));
    commits.tell();
}

fn operate(path: &Path, at: Option<u64>) -> Option<u64> {
    dying::run(CHILD, [("TENANTRY_FEED_STATE", path.as_os_str())], at).map(|told| told.points)
}

/// Actions by record with their results, whether each alert was answered, and the feed of one user.
type Seen = (Vec<(RecordId, Option<String>)>, Vec<bool>, Vec<String>);

/// What the feeds tell: actions by record, with their results; and what was answered.
fn seen(path: &Path) -> Seen {
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
        service.import(&customer(), &name("ad"), ImportOptions::default()).await.unwrap();
        endpoint.lie([Lie::FailsAfter(1)]);
        service.import(&customer(), &name("ad"), ImportOptions::default()).await.unwrap();
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
