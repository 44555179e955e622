//! Actions on accounts: one property and no other, and nothing where nothing should be done.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use serde_json::json;
use tenantry::endpoint::{Action, ActionOutcome, Actor, Endpoint};
use tenantry::model::{ObjectKey, ObjectKind, SourceId};
use tenantry::{Error, ErrorKind};
use tenantry_fakes::graph::{Call, Fault, Id, On, Tenant};
use tenantry_office365::Office365;

use crate::running::{DOMAIN, Running, source, start};

const WRITING: [&str; 5] = [
    "User.Read.All",
    "MailboxSettings.Read",
    "User.EnableDisableAccount.All",
    "User-PasswordProfile.ReadWrite.All",
    "User.RevokeSessions.All",
];
const OFFERED: [Action; 4] = [Action::Suspend, Action::Resume, Action::ForcePasswordChange, Action::RevokeSessions];

fn tenant() -> Tenant {
    let tenant = Tenant::new(DOMAIN);
    tenant.set_permissions(&WRITING);
    tenant
}

fn actor(endpoint: &Office365) -> &dyn Actor {
    endpoint.as_actor().expect("it takes actions")
}

impl Running {
    async fn act(&self, action: Action, id: Id) -> tenantry::Result<ActionOutcome> {
        let key = ObjectKey { kind: ObjectKind::User, id: source(id) };
        actor(&self.endpoint()).act(&self.cx, action, &key).await
    }

    async fn done(&self, action: Action, id: Id) {
        let outcome = self.act(action, id).await.unwrap();
        assert!(matches!(outcome, ActionOutcome::Done), "{action}: {outcome:?}");
    }

    async fn already_so(&self, action: Action, id: Id) {
        let outcome = self.act(action, id).await.unwrap();
        assert!(matches!(outcome, ActionOutcome::AlreadySo), "{action}: {outcome:?}");
    }

    async fn refusal(&self, action: Action, id: Id) -> Error {
        match self.act(action, id).await.unwrap() {
            ActionOutcome::Refused(refusal) => refusal,
            outcome => panic!("{action}: {outcome:?}"),
        }
    }

    fn writes(&self) -> u64 {
        self.fake.log().count(Call::Write)
    }

    fn is_enabled(&self, id: Id) -> bool {
        self.tenant.value(id, "accountEnabled") == true
    }
}

#[tokio::test]
async fn each_action_is_done_and_found_done_the_second_time() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    running.done(Action::Suspend, anna).await;
    assert!(!running.is_enabled(anna));
    running.already_so(Action::Suspend, anna).await;
    running.done(Action::Resume, anna).await;
    assert!(running.is_enabled(anna));
    running.already_so(Action::Resume, anna).await;
    assert_eq!(running.writes(), 2);

    running.done(Action::ForcePasswordChange, anna).await;
    assert!(running.tenant.must_change_password(anna));
    // Graph does not show it, so that it is asked for again, which is the same as once.
    running.done(Action::ForcePasswordChange, anna).await;
    let before = running.tenant.value(anna, "signInSessionsValidFromDateTime");
    running.done(Action::RevokeSessions, anna).await;
    assert_ne!(running.tenant.value(anna, "signInSessionsValidFromDateTime"), before);
    assert!(running.is_enabled(anna));
}

#[tokio::test]
async fn both_ways_of_saying_that_sessions_end_are_done() {
    for without_content in [false, true] {
        let tenant = tenant();
        let anna = tenant.user("anna").create();
        tenant.edit_settings(|settings| settings.revoke_without_content = without_content);
        start(tenant).await.done(Action::RevokeSessions, anna).await;
    }
}

#[tokio::test]
async fn there_is_no_unlocking_and_nothing_for_groups() {
    let running = start(tenant()).await;
    let endpoint = running.endpoint();
    let actor = actor(&endpoint);
    for action in Action::ALL {
        assert_eq!(actor.offers(action, ObjectKind::User), OFFERED.contains(&action), "{action}");
        assert!(!actor.offers(action, ObjectKind::Group) && !actor.offers(action, ObjectKind::Computer));
    }
    let key = ObjectKey { kind: ObjectKind::User, id: source(running.tenant.user("anna").create()) };
    let error = actor.act(&running.cx, Action::Unlock, &key).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn what_belongs_to_active_directory_is_to_be_changed_there() {
    let tenant = tenant();
    let anna = tenant.user("anna").synced("anna").create();
    let running = start(tenant).await;
    for action in [Action::Suspend, Action::ForcePasswordChange] {
        let refusal = running.refusal(action, anna).await;
        assert!(refusal.message().contains("Active Directory"), "{refusal}");
    }
    assert_eq!(running.writes(), 0);
    assert!(running.is_enabled(anna));
    // Her sessions are the tenant's.
    running.done(Action::RevokeSessions, anna).await;
}

#[tokio::test]
async fn an_account_that_became_synchronised_meanwhile_is_explained_when_graph_refuses() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    // What is read is behind.
    running.tenant.freeze_listings();
    running.tenant.update(anna, [("onPremisesSyncEnabled", json!(true))]);
    let refusal = running.refusal(Action::Suspend, anna).await;
    assert_eq!(*refusal.kind(), ErrorKind::Config);
    assert_eq!(refusal.context("code"), Some("Request_BadRequest"), "{refusal}");
    assert!(refusal.context("request id").is_some(), "{refusal}");
    running.tenant.thaw_listings();
    assert!(running.refusal(Action::Suspend, anna).await.message().contains("Active Directory"));
}

#[tokio::test]
async fn accounts_of_the_system_and_of_restricted_units_are_left_alone() {
    let tenant = tenant();
    let connect = "Sync_DC1_0123456789ab@example.onmicrosoft.com";
    let sync = tenant.user("sync").with("userPrincipalName", json!(connect)).create();
    let vip = tenant.user("vip").with("isManagementRestricted", json!(true)).create();
    let running = start(tenant).await;
    for action in OFFERED {
        let refusal = running.refusal(action, sync).await;
        assert_eq!(*refusal.kind(), ErrorKind::Unsupported, "{refusal}");
        assert!(!format!("{refusal:?}").contains("Sync_"), "{refusal:?}");
    }
    for action in [Action::Suspend, Action::ForcePasswordChange] {
        assert_eq!(*running.refusal(action, vip).await.kind(), ErrorKind::Unsupported);
    }
    assert_eq!(running.writes(), 0);
}

#[tokio::test]
async fn a_guest_is_suspended_but_signs_in_at_home() {
    let tenant = tenant();
    let guest = tenant.guest("gerd").create();
    let running = start(tenant).await;
    for action in [Action::ForcePasswordChange, Action::RevokeSessions] {
        assert_eq!(*running.refusal(action, guest).await.kind(), ErrorKind::Config);
    }
    assert_eq!(running.writes(), 0);
    running.done(Action::Suspend, guest).await;
}

#[tokio::test]
async fn the_account_of_a_shared_mailbox_stays_disabled() {
    let tenant = tenant();
    let (info, room) = (tenant.user("info").shared_mailbox().create(), tenant.user("room").room().create());
    let anna = tenant.user("anna").disabled().create();
    let nobody = tenant.user("nobody").without_mail().disabled().create();
    let running = start(tenant).await;
    for id in [info, room] {
        assert!(running.refusal(Action::Resume, id).await.message().contains("mailbox"));
    }
    running.done(Action::Resume, anna).await;
    running.done(Action::Resume, nobody).await;
    // Who may not know what a mailbox is for is not kept from anything.
    running.tenant.revoke("MailboxSettings.Read");
    running.tenant.expire_access_tokens();
    running.done(Action::Resume, info).await;
}

#[tokio::test]
async fn an_administrator_is_protected_by_graph_and_that_is_explained() {
    let tenant = tenant();
    let root = tenant.user("root").admin().create();
    let running = start(tenant).await;
    for (action, word) in [(Action::Suspend, "higher role"), (Action::ForcePasswordChange, "User Administrator")] {
        let refusal = running.refusal(action, root).await;
        assert!(matches!(refusal.kind(), ErrorKind::PermissionDenied { .. }), "{refusal}");
        assert!(refusal.message().contains(word), "{refusal}");
    }
    assert!(running.is_enabled(root));
}

#[tokio::test]
async fn a_missing_permission_is_an_error_by_its_name_and_nothing_is_sent() {
    let tenant = tenant();
    tenant.set_permissions(&["User.Read.All"]);
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    for (action, permission) in [
        (Action::Suspend, "User.EnableDisableAccount.All"),
        (Action::ForcePasswordChange, "User-PasswordProfile.ReadWrite.All"),
        (Action::RevokeSessions, "User.RevokeSessions.All"),
    ] {
        let error = running.act(action, anna).await.unwrap_err();
        let missing = ErrorKind::PermissionDenied { missing: vec![permission.to_owned()] };
        assert_eq!(*error.kind(), missing, "{error}");
    }
    assert_eq!((running.writes(), running.fake.log().count(Call::One)), (0, 0));
    // The wide one is as good.
    running.tenant.grant("User.ReadWrite.All");
    running.tenant.expire_access_tokens();
    let endpoint = running.endpoint();
    actor(&endpoint).begin(&running.cx).await.unwrap();
    running.done(Action::Suspend, anna).await;
}

#[tokio::test]
async fn who_is_gone_is_not_found() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    running.tenant.delete(anna);
    assert_eq!(*running.refusal(Action::Suspend, anna).await.kind(), ErrorKind::NotFound);
    let key = ObjectKey { kind: ObjectKind::User, id: SourceId::parse("../groups/1") };
    let outcome = actor(&running.endpoint()).act(&running.cx, Action::Suspend, &key).await.unwrap();
    assert!(matches!(outcome, ActionOutcome::Refused(_)), "{outcome:?}");
    assert_eq!(running.writes(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_the_change_is_made_once() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    running.fake.faults().on(On::call(Call::Write).nth(1), Fault::LoseAnswer);
    running.done(Action::Suspend, anna).await;
    assert_eq!(running.writes(), 2);
    assert!(!running.is_enabled(anna));
}

#[tokio::test]
async fn a_change_that_cannot_be_read_back_is_said_to_be_uncertain() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    let broken = Fault::Error { status: 400, code: "SomethingNew".into(), message: "x".into() };
    running.fake.faults().on(On::call(Call::One).from(2), broken);
    let error = running.act(Action::Suspend, anna).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("may have been made"), "{error}");
}

#[tokio::test]
async fn a_copy_that_is_behind_is_looked_at_again_and_in_the_end_not_believed() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    running.tenant.freeze_listings();
    let refusal = running.refusal(Action::Suspend, anna).await;
    assert_eq!(*refusal.kind(), ErrorKind::Conflict, "{refusal}");
    assert_eq!(running.fake.log().count(Call::One), 1 + 4);
    assert!(!running.is_enabled(anna));
}

#[tokio::test]
async fn begin_finds_a_refused_proof_before_any_account_is_touched() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    running.tenant.replace_secret("another");
    let endpoint = running.endpoint();
    let error = actor(&endpoint).begin(&running.cx).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("client_secret"), "{error}");
    let error = running.act(Action::Suspend, anna).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert_eq!(running.writes(), 0);
}

#[tokio::test]
async fn who_is_cancelled_before_anything_is_sent_is_told_so() {
    let tenant = tenant();
    let anna = tenant.user("anna").create();
    let running = start(tenant).await;
    running.cx.cancel().cancel();
    let endpoint = running.endpoint();
    let gate = running.cx.gate().with_cancel(running.cx.cancel().clone());
    let cx = tenantry::Context::new(gate, running.cx.cancel().clone());
    let key = ObjectKey { kind: ObjectKind::User, id: source(anna) };
    let error = actor(&endpoint).act(&cx, Action::Suspend, &key).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Cancelled);
    assert_eq!(running.writes(), 0);
}
