//! Actions on accounts: one flag and no other, whatever others do meanwhile, and nothing where nothing should be done.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tenantry::endpoint::{Action, ActionOutcome, Actor, Endpoint};
use tenantry::model::{ObjectKey, ObjectKind};
use tenantry::{Error, ErrorKind, Secret};
use tenantry_active_directory::{ActiveDirectory, Contacts};
use tenantry_fakes::ldap::{ComputerKind, Directory, Fault, Guid, Request, Target, TokenGroups, When, WriteRights};

use crate::domain::{Domain, PEOPLE, directory, id, start, timed_context};

/// What the server computes, and what makes it an account of a machine.
const NOT_OF_PEOPLE: i32 = 0x10 | 0x80_0000 | 0x800 | 0x1000 | 0x2000 | 0x400_0000;
const OFFERED: [Action; 4] = [Action::Suspend, Action::Resume, Action::Unlock, Action::ForcePasswordChange];

/// A domain whose reader may also write everything.
async fn writable(directory: Directory) -> Domain {
    directory.rights("reader").write(WriteRights::Everything);
    start(directory).await
}

fn key(guid: Guid) -> ObjectKey {
    ObjectKey { kind: ObjectKind::User, id: id(guid) }
}

fn actor(endpoint: &ActiveDirectory) -> &dyn Actor {
    endpoint.as_actor().expect("it takes actions")
}

impl Domain {
    async fn act(&self, action: Action, guid: Guid) -> tenantry::Result<ActionOutcome> {
        actor(&self.endpoint()).act(&self.cx, action, &key(guid)).await
    }

    async fn done(&self, action: Action, guid: Guid) {
        let outcome = self.act(action, guid).await.unwrap();
        assert!(matches!(outcome, ActionOutcome::Done), "{action}: {outcome:?}");
    }

    async fn already_so(&self, action: Action, guid: Guid) {
        let outcome = self.act(action, guid).await.unwrap();
        assert!(matches!(outcome, ActionOutcome::AlreadySo), "{action}: {outcome:?}");
    }

    async fn refusal(&self, action: Action, guid: Guid) -> Error {
        match self.act(action, guid).await.unwrap() {
            ActionOutcome::Refused(refusal) => refusal,
            outcome => panic!("{action}: {outcome:?}"),
        }
    }

    fn writes(&self) -> usize {
        self.fake.log().writes().len()
    }

    fn flags(&self, target: impl Into<Target>) -> i64 {
        self.directory.get(target, "userAccountControl")[0].parse().unwrap()
    }
}

#[tokio::test]
async fn each_action_is_done_once_and_found_done_the_second_time() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").flags(0x1_0000).locked().create();
    let domain = writable(directory).await;
    assert_eq!(domain.flags(anna), 66_048);
    domain.done(Action::Suspend, anna).await;
    assert_eq!(domain.flags(anna), 66_050);
    domain.already_so(Action::Suspend, anna).await;
    domain.done(Action::Resume, anna).await;
    assert_eq!(domain.flags(anna), 66_048);
    domain.already_so(Action::Resume, anna).await;
    domain.done(Action::Unlock, anna).await;
    assert_eq!(domain.directory.get(anna, "lockoutTime"), ["0"]);
    domain.already_so(Action::Unlock, anna).await;

    domain.directory.set(anna, "userAccountControl", ["512"]);
    domain.done(Action::ForcePasswordChange, anna).await;
    assert_eq!(domain.directory.get(anna, "pwdLastSet"), ["0"]);
    domain.already_so(Action::ForcePasswordChange, anna).await;
    assert_eq!(domain.writes(), 4, "what is so already is not written");
}

#[tokio::test]
async fn accounts_are_named_by_their_id_and_flags_are_swapped_in_one_request() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory).await;
    domain.done(Action::Suspend, anna).await;
    let written = domain.fake.log().writes();
    let Request::Modify { dn, changes } = &written[0].request else { panic!("{written:?}") };
    assert_eq!(*dn, format!("<GUID={}>", id(anna)));
    let swap = [("delete", "userAccountControl".to_owned()), ("add", "userAccountControl".to_owned())];
    assert_eq!(changes[..], swap);
    assert!(written[0].secure);
}

#[tokio::test]
async fn all_is_offered_for_users_but_the_end_of_sessions_and_nothing_for_others() {
    let domain = start(directory()).await;
    let endpoint = domain.endpoint();
    for action in Action::ALL {
        assert_eq!(actor(&endpoint).offers(action, ObjectKind::User), OFFERED.contains(&action), "{action}");
        assert!(!actor(&endpoint).offers(action, ObjectKind::Group));
        assert!(!actor(&endpoint).offers(action, ObjectKind::Computer));
    }
    assert_eq!(domain.fake.log().all(), [], "nobody was asked");
}

#[test]
fn whatever_flags_an_account_has_only_one_of_them_changes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (domain, anna, endpoint) = runtime.block_on(async {
        let directory = directory();
        let anna = directory.add_user(PEOPLE, "anna").create();
        let domain = writable(directory).await;
        let endpoint = domain.endpoint();
        (domain, anna, endpoint)
    });
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() });
    let flags = any::<i32>().prop_map(|flags| flags & !NOT_OF_PEOPLE);
    let outcome = runner.run(&(flags, any::<bool>()), |(flags, suspend)| {
        domain.directory.set(anna, "userAccountControl", [flags.to_string()]);
        let action = if suspend { Action::Suspend } else { Action::Resume };
        let outcome = runtime.block_on(actor(&endpoint).act(&domain.cx, action, &key(anna))).unwrap();
        let expected = if suspend { flags | 2 } else { flags & !2 };
        prop_assert_eq!(domain.flags(anna), i64::from(expected));
        prop_assert_eq!(matches!(outcome, ActionOutcome::Done), expected != flags);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_flag_that_somebody_else_sets_between_reading_and_writing_stays_set() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory.clone()).await;
    for flags in ["66048", "66112"] {
        let directory = directory.clone();
        domain.fake.faults().before_write(move || directory.set(anna, "userAccountControl", [flags]));
    }
    domain.done(Action::Suspend, anna).await;
    assert_eq!(domain.flags(anna), 66_114);
    let codes: Vec<_> = domain.fake.log().writes().iter().map(|line| line.result).collect();
    assert_eq!(codes, [Some(16), Some(16), Some(0)]);
}

#[tokio::test]
async fn what_somebody_else_did_first_is_so_already() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory.clone()).await;
    domain.fake.faults().before_write(move || directory.set(anna, "userAccountControl", ["514"]));
    domain.already_so(Action::Suspend, anna).await;
}

#[tokio::test]
async fn an_account_that_never_holds_still_is_given_up_unchanged() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory.clone()).await;
    for number in 0..50 {
        let directory = directory.clone();
        let flags = if number % 2 == 0 { "66048" } else { "512" };
        domain.fake.faults().before_write(move || directory.set(anna, "userAccountControl", [flags]));
    }
    let refusal = domain.refusal(Action::Suspend, anna).await;
    assert_eq!(*refusal.kind(), ErrorKind::Conflict);
    assert_eq!(domain.flags(anna) & 2, 0);
    assert!(domain.writes() < 20);
}

#[tokio::test]
async fn an_account_that_is_deleted_in_between_is_refused_as_gone() {
    for recycle_bin in [false, true] {
        for readable in [false, true] {
            let directory = directory();
            directory.set_recycle_bin(recycle_bin);
            directory.rights("reader").read_deleted(readable);
            let [during, before] = ["during", "before"].map(|name| directory.add_user(PEOPLE, name).create());
            directory.delete(before);
            let domain = writable(directory.clone()).await;
            domain.fake.faults().before_write(move || directory.delete(during));
            for guid in [during, before] {
                let refusal = domain.refusal(Action::Suspend, guid).await;
                assert_eq!(*refusal.kind(), ErrorKind::NotFound, "{refusal}");
                assert_eq!(domain.flags(guid) & 2, 0);
            }
            assert_eq!(domain.writes(), 1);
        }
    }
}

#[tokio::test]
async fn a_change_that_does_not_show_is_not_reported_as_done() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory.clone()).await;
    domain.fake.faults().after_write(move || directory.set(anna, "userAccountControl", ["512"]));
    let refusal = domain.refusal(Action::Suspend, anna).await;
    assert_eq!(*refusal.kind(), ErrorKind::Conflict, "{refusal}");
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_reading() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").flags(0x1_0000).locked().create();
    let domain = writable(directory).await;
    for action in [Action::Suspend, Action::Unlock] {
        domain.fake.faults().on(When::Write(1), Fault::LoseAnswer);
        domain.done(action, anna).await;
        assert_eq!(domain.fake.faults().pending(), 0);
    }
    assert_eq!(domain.flags(anna), 66_050);
}

#[tokio::test]
async fn a_connection_that_breaks_anywhere_leaves_the_one_flag_changed_and_says_so() {
    for number in 1..=12 {
        let directory = directory();
        let anna = directory.add_user(PEOPLE, "anna").flags(0x1_0000).create();
        let domain = writable(directory).await;
        domain.fake.faults().on(When::Message(number), Fault::Cut);
        domain.done(Action::Suspend, anna).await;
        assert_eq!(domain.flags(anna), 66_050, "{number}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_that_does_not_hide_what_may_have_happened() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory).await;
    let busy = Fault::Answer { code: 51, text: String::new() };
    domain.fake.faults().on(When::Writes, busy);
    let error = domain.act(Action::Suspend, anna).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    assert!(!error.message().contains("may have been made"), "busy is an answer: {error}");
    domain.fake.faults().clear();
    domain.fake.faults().on(When::Writes, Fault::LoseAnswer);
    // Each time it is done, its answer is lost; then reading fails as well.
    domain.fake.faults().on(When::SearchesFrom(6), Fault::Cut);
    let error = domain.act(Action::Suspend, anna).await.unwrap_err();
    assert!(error.message().contains("may have been made"), "{error}");
    assert_eq!(domain.flags(anna), 514);
}

#[tokio::test]
async fn who_stops_while_a_change_is_under_way_is_not_told_that_nothing_was_sent() {
    let directory = directory();
    let [anna, bert] = ["anna", "bert"].map(|name| directory.add_user(PEOPLE, name).create());
    let domain = writable(directory).await;
    let (cx, _time) = timed_context();
    let cx = tenantry::Context::new(cx.gate().with_cancel(cx.cancel().clone()), cx.cancel().clone());
    let endpoint = domain.endpoint();
    let cancel = cx.cancel().clone();
    domain.fake.faults().before_write(move || cancel.cancel());
    domain.fake.faults().on(When::Writes, Fault::LoseAnswer);
    let error = actor(&endpoint).act(&cx, Action::Suspend, &key(anna)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("may have been made"), "{error}");
    let error = actor(&endpoint).act(&cx, Action::Suspend, &key(bert)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Cancelled);
    assert_eq!(domain.writes(), 1);
}

#[tokio::test]
async fn what_the_server_refuses_has_a_remedy_and_leaves_the_account_alone() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").locked().create();
    let domain = writable(directory).await;
    for (code, text) in [
        (17, ""),
        (19, "00002081: AtrErr: DSID-03153367"),
        (20, ""),
        (21, ""),
        (32, "0000208D: NameErr: DSID-03100241"),
        (50, "00002098: SecErr: DSID-031514A0"),
        (53, "00002035: SvcErr: DSID-031A12D2"),
        (65, ""),
    ] {
        domain.fake.faults().clear();
        domain.fake.faults().on(When::Writes, Fault::Answer { code, text: text.into() });
        for action in [Action::Suspend, Action::Unlock, Action::ForcePasswordChange] {
            let refusal = domain.refusal(action, anna).await;
            assert_eq!(refusal.context("result code"), Some(code.to_string().as_str()));
            assert!(refusal.message().contains([';', ',']) || code == 32, "no remedy: {refusal}");
            assert!(!format!("{refusal:?}").contains("Passw0rd"), "no secret");
        }
    }
    for code in [8, 10, 51, 52] {
        domain.fake.faults().clear();
        domain.fake.faults().on(When::Writes, Fault::Answer { code, text: String::new() });
        domain.act(Action::Suspend, anna).await.unwrap_err();
    }
    assert_eq!(domain.flags(anna), 512);
    assert_ne!(domain.directory.get(anna, "lockoutTime"), ["0"]);
}

#[tokio::test]
async fn a_password_against_the_policy_is_named_as_what_keeps_an_account_disabled() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").disabled().create();
    let domain = writable(directory).await;
    let text = "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0".into();
    domain.fake.faults().on(When::Writes, Fault::Answer { code: 53, text });
    let refusal = domain.refusal(Action::Resume, anna).await;
    assert!(refusal.message().contains("policy of the domain; set another one first"), "{refusal}");
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").locked().create();
    let attributes = ["lockoutTime", "pwdLastSet"].map(str::to_owned).to_vec();
    directory.rights("reader").write(WriteRights::Attributes(attributes));
    let domain = start(directory.clone()).await;
    let refusal = domain.refusal(Action::Suspend, anna).await;
    let missing = ErrorKind::PermissionDenied { missing: vec!["write userAccountControl".into()] };
    assert_eq!(*refusal.kind(), missing);
    domain.done(Action::Unlock, anna).await;
    domain.done(Action::ForcePasswordChange, anna).await;
    directory.rights("reader").hide_attribute("userAccountControl");
    let refusal = domain.refusal(Action::Suspend, anna).await;
    let missing = ErrorKind::PermissionDenied { missing: vec!["read userAccountControl".into()] };
    assert_eq!(*refusal.kind(), missing);
}

#[tokio::test]
async fn accounts_of_the_system_protected_ones_and_its_own_are_refused_before_anything_is_sent() {
    let directory = directory();
    // Known by its number alone.
    directory.clear("Administrator", "adminCount");
    directory.clear("Administrator", "isCriticalSystemObject");
    let mut left_alone = vec![
        ("the administrator", directory.guid_of("Administrator")),
        ("the guest", directory.guid_of("Guest")),
        ("the key distribution account", directory.guid_of("krbtgt")),
        ("the controller", directory.guid_of("DC1$")),
        ("the reader itself", directory.guid_of("reader")),
    ];
    let user = |name: &str| directory.add_user(PEOPLE, name);
    left_alone.extend([
        ("a protected account", user("chief").attribute("adminCount", "1").create()),
        ("a critical account", user("critical").attribute("isCriticalSystemObject", "TRUE").create()),
        ("a trust", user("FABRIKAM$").control(2080).create()),
        ("a read-only controller's", user("krbtgt_12345").create()),
        ("a default account", user("born").sid(directory.domain_sid().with_rid(503)).create()),
        ("a mailbox of exchange", user("HealthMailbox0a1b2c3").control(66_048).create()),
        ("a system mailbox", user("sm").attribute("msExchRecipientTypeDetails", "536870912").create()),
        ("a machine", user("machine").control(4096).create()),
        ("a computer", directory.add_computer(PEOPLE, "PC1", ComputerKind::Workstation).create()),
        ("a group", directory.add_group(PEOPLE, "Staff").create()),
        ("a contact", directory.add_contact(PEOPLE, "Carla").create()),
    ]);
    let managed = [("sAMAccountName", "svc$"), ("userAccountControl", "4096")];
    left_alone.push((
        "a managed service account",
        directory.add_raw(&format!("CN=svc,{PEOPLE}"), "msDS-GroupManagedServiceAccount", &managed),
    ));
    let mut domain = writable(directory).await;
    for contacts in [Contacts::Ignored, Contacts::Imported] {
        domain.config.contacts = contacts;
        for (what, guid) in &left_alone {
            for action in OFFERED {
                let refusal = domain.refusal(action, *guid).await;
                assert!(refusal.message().contains("in the directory"), "{what}: {refusal}");
            }
        }
    }
    assert_eq!(domain.writes(), 0);
}

#[tokio::test]
async fn what_the_endpoint_does_not_import_it_does_not_change() {
    let directory = directory();
    directory.add_ou("OU=Elsewhere,DC=corp,DC=example");
    directory.add_ou("OU=Old,OU=People,DC=corp,DC=example");
    let user = |place: &str, name: &str| directory.add_user(place, name).attribute("department", "Sales").create();
    let inside = user(PEOPLE, "inside");
    let outside = [
        user("OU=Elsewhere,DC=corp,DC=example", "elsewhere"),
        user("OU=Old,OU=People,DC=corp,DC=example", "old"),
        directory.add_user(PEOPLE, "unfiltered").create(),
    ];
    let mut domain = writable(directory).await;
    domain.config.domain.base = Some(PEOPLE.into());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.exclude = vec!["OU=Old,OU=People,DC=corp,DC=example".into()];
    for guid in outside {
        let refusal = domain.refusal(Action::Suspend, guid).await;
        assert_eq!(*refusal.kind(), ErrorKind::Unsupported, "{refusal}");
    }
    assert_eq!(domain.writes(), 0);
    domain.done(Action::Suspend, inside).await;
}

#[tokio::test]
async fn the_account_that_binds_is_known_by_every_name_also_where_the_server_does_not_tell() {
    let directory = directory();
    let own = directory.add_user(PEOPLE, "svc").upn("sync@mail.example").password("Passw0rd!Svc").create();
    let other = directory.add_user(PEOPLE, "sync").create();
    directory.rights("svc").write(WriteRights::Everything);
    let mut domain = start(directory).await;
    domain.config.domain.password = Secret::new("Passw0rd!Svc");
    let dn = domain.directory.dn_of(own).replace("CN=svc", "cn = SVC");
    for silent in [false, true] {
        if silent {
            domain.fake.edit_settings(|settings| settings.token = TokenGroups::Silent);
        }
        for bind in ["svc@corp.example", "SYNC@mail.example", "CORP\\Svc", dn.as_str()] {
            domain.config.domain.bind = bind.into();
            let refusal = domain.refusal(Action::Suspend, own).await;
            assert!(refusal.message().contains("endpoint itself binds"), "{bind}: {refusal}");
            if bind != "CORP\\Svc" {
                let outcome = domain.act(Action::Suspend, other).await.unwrap();
                assert!(!matches!(outcome, ActionOutcome::Refused(_)), "{bind}: {outcome:?}");
            }
        }
    }
    assert_eq!(domain.flags(own), 512);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_for_a_whole_series() {
    let directory = directory();
    let users: Vec<_> = (0..5).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
    let mut domain = writable(directory).await;
    domain.config.domain.password = Secret::new("wrong");
    let endpoint = domain.endpoint();
    assert_eq!(*actor(&endpoint).begin(&domain.cx).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    for guid in users {
        actor(&endpoint).act(&domain.cx, Action::Suspend, &key(guid)).await.unwrap_err();
    }
    assert_eq!(domain.fake.log().binds().len(), 1);
}

#[tokio::test]
async fn the_account_is_read_back_from_the_controller_that_was_written_to() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = writable(directory.clone()).await;
    // The controller is restored from a backup right after it took the change: it is another database.
    domain.fake.faults().after_write(move || directory.restore_from_backup(90_000));
    domain.fake.faults().on(When::Write(1), Fault::LoseAnswer);
    let error = domain.act(Action::Suspend, anna).await.unwrap_err();
    assert!(error.message().contains("may have been made"), "{error}");
}
