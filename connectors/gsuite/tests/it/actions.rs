//! What is asked of an account is done, read back, and touches nothing else.

use serde_json::json;
use tenantry::Endpoint;
use tenantry::endpoint::{Action, ActionOutcome};
use tenantry::model::{ObjectKey, ObjectKind, SourceId};
use tenantry_fakes::google::{Fault, When};
use tenantry_gsuite::{Gsuite, Writes};

use crate::account::{Tenant, small, start};

async fn writing() -> (Tenant, Gsuite, String) {
    let mut tenant = start(small()).await;
    tenant.config.writes = Writes::On;
    let endpoint = tenant.endpoint();
    let anna = tenant.account.user("anna@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
    (tenant, endpoint, anna)
}

async fn act(tenant: &Tenant, endpoint: &Gsuite, action: Action, id: &str) -> ActionOutcome {
    let key = ObjectKey { kind: ObjectKind::User, id: SourceId::Id(id.into()) };
    endpoint.as_actor().unwrap().act(&tenant.cx, action, &key).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_action_changes_its_own_field_and_nothing_else() {
    let (tenant, endpoint, anna) = writing().await;
    tenant.account.edit_user(&anna, |user| {
        user.insert("phones".to_owned(), json!([{"value": "1", "type": "work"}]));
        user.insert("aliases".to_owned(), json!(["a@corp.example"]));
    });
    let before = tenant.account.user(&anna).unwrap();
    assert!(matches!(act(&tenant, &endpoint, Action::Suspend, &anna).await, ActionOutcome::Done));
    assert!(matches!(act(&tenant, &endpoint, Action::Suspend, &anna).await, ActionOutcome::AlreadySo));
    assert_eq!(tenant.account.user(&anna).unwrap()["suspended"], true);
    assert!(matches!(act(&tenant, &endpoint, Action::Resume, &anna).await, ActionOutcome::Done));
    assert_eq!(tenant.account.user(&anna).unwrap(), before);
    assert!(matches!(act(&tenant, &endpoint, Action::ForcePasswordChange, &anna).await, ActionOutcome::Done));
    assert!(matches!(act(&tenant, &endpoint, Action::RevokeSessions, &anna).await, ActionOutcome::Done));
    assert_eq!(tenant.account.signed_out(&anna), 1);
    let after = tenant.account.user(&anna).unwrap();
    assert_eq!((&after["phones"], &after["aliases"]), (&before["phones"], &before["aliases"]));
    assert_eq!(after["changePasswordAtNextLogin"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn super_administrators_and_the_endpoints_own_account_are_left_alone() {
    let (tenant, endpoint, _) = writing().await;
    let admin = tenant.account.user("admin@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
    let outcome = act(&tenant, &endpoint, Action::Suspend, &admin).await;
    assert!(matches!(outcome, ActionOutcome::Refused(_)), "{outcome:?}");
    assert!(tenant.fake.log().of("users.update").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_answer_was_lost_is_found_done() {
    let (tenant, endpoint, anna) = writing().await;
    tenant.fake.faults().on(When::Call("users.update", 1), Fault::LoseAnswer);
    assert!(matches!(
        act(&tenant, &endpoint, Action::Suspend, &anna).await,
        ActionOutcome::Done | ActionOutcome::AlreadySo
    ));
    assert_eq!(tenant.account.user(&anna).unwrap()["suspended"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_switch_nothing_can_be_changed_and_no_right_to_is_asked_for() {
    let tenant = start(small()).await;
    assert!(tenant.endpoint().as_actor().is_none());
}
