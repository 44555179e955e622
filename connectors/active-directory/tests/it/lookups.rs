//! Single objects: there, elsewhere, gone, or not to be told.

use tenantry::endpoint::{Endpoint, Evidence, Presence, Reason};
use tenantry::model::{ObjectKind, TombstoneKind};

use tenantry_fakes::ldap::{Fault, When};

use crate::domain::{GROUPS, PEOPLE, directory, object, start};

#[tokio::test]
async fn present_moved_excluded_and_no_longer_matching_are_told_apart() {
    let directory = directory();
    directory.add_ou("OU=Elsewhere,DC=corp,DC=example");
    directory.add_ou("OU=Old,OU=People,DC=corp,DC=example");
    let user = |name: &str| directory.add_user(PEOPLE, name).attribute("department", "Sales").create();
    let (here, moved, excluded, left) = (user("here"), user("moved"), user("excluded"), user("left"));
    let mut domain = start(directory.clone()).await;
    domain.config.domain.base = Some(PEOPLE.into());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.exclude = vec!["OU=Old,OU=People,DC=corp,DC=example".into()];
    directory.move_to(moved, "OU=Elsewhere,DC=corp,DC=example");
    directory.move_to(excluded, "OU=Old,OU=People,DC=corp,DC=example");
    directory.clear(left, "department");
    let asked = [moved, here, excluded, left].map(|guid| object(ObjectKind::User, guid));
    let answer = domain.endpoint().lookup(&domain.cx, &asked).await.unwrap();
    let Presence::Present(Some(patch)) = &answer[1] else { panic!("{:?}", answer[1]) };
    assert_eq!(**patch, *domain.listing().await.objects.patch(crate::domain::id(here)));
    for at in [0, 2, 3] {
        assert_eq!(answer[at], Presence::OutOfScope, "{at}");
    }
}

#[tokio::test]
async fn a_short_answer_to_what_is_in_scope_puts_nobody_out_of_it() {
    let directory = directory();
    let user = directory.add_user(PEOPLE, "anna").attribute("department", "Sales").create();
    let mut domain = start(directory).await;
    domain.config.domain.users = Some("(department=*)".into());
    let asked = [object(ObjectKind::User, user)];
    let endpoint = domain.endpoint();
    assert!(matches!(endpoint.lookup(&domain.cx, &asked).await.unwrap()[0], Presence::Present(_)));
    domain.fake.faults().on(When::FilterContains("department".into()), Fault::EmptySuccess);
    assert_eq!(endpoint.lookup(&domain.cx, &asked).await.unwrap(), [Presence::Unknown(Reason::Failed)]);
}

#[tokio::test]
async fn a_tombstone_is_proof_and_the_recycle_bin_can_give_back() {
    let directory = directory();
    let [hard, soft, recycled] = ["hard", "soft", "recycled"].map(|name| directory.add_user(PEOPLE, name).create());
    let group = directory.add_group(GROUPS, "Gone").create();
    directory.delete(hard);
    directory.delete(group);
    directory.set_recycle_bin(true);
    directory.delete(soft);
    directory.delete(recycled);
    directory.recycle(recycled);
    directory.rights("reader").read_deleted(true);
    let domain = start(directory).await;
    let mut asked = [hard, soft, recycled].map(|guid| object(ObjectKind::User, guid)).to_vec();
    asked.push(object(ObjectKind::Group, group));
    let answer = domain.endpoint().lookup(&domain.cx, &asked).await.unwrap();
    let gone = |kind| Presence::Gone(Evidence::Tombstone(kind));
    assert_eq!(answer[0], gone(TombstoneKind::Hard));
    assert_eq!(answer[1], gone(TombstoneKind::Soft));
    assert_eq!(answer[2], gone(TombstoneKind::Hard));
    assert_eq!(answer[3], gone(TombstoneKind::Hard));
}

#[tokio::test]
async fn a_hidden_object_is_not_gone_where_tombstones_can_be_read() {
    let directory = directory();
    let [hidden, deleted] = ["hidden", "deleted"].map(|name| directory.add_user(PEOPLE, name).create());
    directory.delete(deleted);
    directory.rights("reader").read_deleted(true).hide(hidden);
    let domain = start(directory.clone()).await;
    let asked = [object(ObjectKind::User, hidden)];
    let answer = domain.endpoint().lookup(&domain.cx, &asked).await.unwrap();
    assert_eq!(answer, [Presence::Unknown(Reason::NoTombstone)]);
    directory.rights("reader").read_deleted(false);
    let answer = domain.endpoint().lookup(&domain.cx, &asked).await.unwrap();
    assert_eq!(answer, [Presence::Gone(Evidence::NotFound)], "the engine asks the siblings then");
}

#[tokio::test]
async fn many_ids_are_answered_in_the_order_asked() {
    let directory = directory();
    let users: Vec<_> = (0..250).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
    for user in users.iter().step_by(3) {
        directory.delete(user);
    }
    let domain = start(directory).await;
    let asked: Vec<_> = users.iter().map(|guid| object(ObjectKind::User, *guid)).collect();
    let answer = domain.endpoint().lookup(&domain.cx, &asked).await.unwrap();
    for (at, presence) in answer.iter().enumerate() {
        let there = matches!(presence, Presence::Present(Some(patch)) if patch.object == asked[at].key);
        assert_eq!(there, at % 3 != 0, "{at}");
    }
}

#[tokio::test]
async fn a_look_up_that_fails_is_an_error_and_no_answer() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = start(directory).await;
    let endpoint = domain.endpoint();
    endpoint.coverage(&domain.cx).await.unwrap();
    let fault = tenantry_fakes::ldap::Fault::Answer { code: 50, text: String::new() };
    domain.fake.faults().on(tenantry_fakes::ldap::When::FilterContains("objectGUID".into()), fault);
    assert!(endpoint.lookup(&domain.cx, &[object(ObjectKind::User, anna)]).await.is_err());
}
