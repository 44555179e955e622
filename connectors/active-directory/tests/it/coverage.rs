//! What can be seen at all: the same for the same domain and rights, another when either changes.

use tenantry::ErrorKind;
use tenantry::endpoint::Endpoint;
use tenantry_fakes::ldap::{Directory, FakeLdap};

use crate::domain::{PEOPLE, directory, start};

#[tokio::test]
async fn it_is_the_same_whichever_server_answers_and_names_the_domain_by_its_id() {
    let directory = directory();
    let domain = start(directory.clone()).await;
    let first = domain.endpoint().coverage(&domain.cx).await.unwrap();
    assert_eq!(first.identity, directory.guid_of("DC=corp,DC=example").to_string());
    directory.restore_from_backup(90_000);
    let other = FakeLdap::start(directory).await;
    let mut config = domain.config.clone();
    config.domain.urls = vec![other.ldaps_url()];
    config.domain.ca = Some(other.ca_pem().as_bytes().to_vec());
    let second = crate::domain::endpoint(config).coverage(&domain.cx).await.unwrap();
    assert_eq!(first, second);
}

#[tokio::test]
async fn another_domain_of_the_same_name_is_another_identity() {
    let other = Directory::seeded("DC=corp,DC=example", 2);
    other.add_user("CN=Users,DC=corp,DC=example", "reader").password("Passw0rd!Read1").create();
    let (domain, other) = (start(directory()).await, start(other).await);
    let one = domain.endpoint().coverage(&domain.cx).await.unwrap();
    assert_ne!(one.identity, other.endpoint().coverage(&other.cx).await.unwrap().identity);
}

#[tokio::test]
async fn a_withdrawn_right_is_named() {
    let directory = directory();
    let gone = directory.add_user(PEOPLE, "gone").create();
    directory.add_user(PEOPLE, "anna").attribute("department", "Sales").create();
    directory.delete(gone);
    directory.rights("reader").read_deleted(true);
    let mut domain = start(directory.clone()).await;
    domain.config.domain.users = Some("(department=*)".into());
    let before = domain.endpoint().coverage(&domain.cx).await.unwrap();
    let named: Vec<_> = before.rights.iter().map(String::as_str).collect();
    assert_eq!(named, ["read deleted objects", "read department of users", "read members of groups"]);
    directory.rights("reader").read_deleted(false).hide_attribute("member").hide_attribute("department");
    let after = domain.endpoint().coverage(&domain.cx).await.unwrap();
    assert!(after.rights.is_empty());
    assert!(after.difference(&before).contains("right lost: read department of users"));
}

#[tokio::test]
async fn the_spelling_of_a_base_is_no_change_and_another_filter_is() {
    let mut domain = start(directory()).await;
    let bare = domain.endpoint().coverage(&domain.cx).await.unwrap();
    domain.config.domain.base = Some("dc=CORP, dc=example".into());
    assert_eq!(domain.endpoint().coverage(&domain.cx).await.unwrap().digest(), bare.digest());
    domain.config.domain.users = Some("(title=*)".into());
    assert_ne!(domain.endpoint().coverage(&domain.cx).await.unwrap().digest(), bare.digest());
}

#[tokio::test]
async fn the_right_to_read_deleted_objects_does_not_come_and_go_with_tombstones() {
    let directory = directory();
    let guid = directory.add_user(PEOPLE, "anna").create();
    directory.rights("reader").read_deleted(true);
    let domain = start(directory.clone()).await;
    let before = domain.endpoint().coverage(&domain.cx).await.unwrap();
    assert!(before.rights.contains("read deleted objects"));
    directory.delete(guid);
    assert_eq!(domain.endpoint().coverage(&domain.cx).await.unwrap(), before);
    directory.rights("reader").read_deleted(false);
    let after = domain.endpoint().coverage(&domain.cx).await.unwrap();
    assert_eq!(after.difference(&before), "right lost: read deleted objects");
}

#[tokio::test]
async fn a_base_that_is_not_there_is_an_error_and_never_an_empty_directory() {
    let mut domain = start(directory()).await;
    for base in ["OU=Nowhere,DC=corp,DC=example", "DC=west,DC=example"] {
        domain.config.domain.base = Some(base.into());
        let error = domain.endpoint().coverage(&domain.cx).await.unwrap_err();
        assert_eq!((error.kind(), error.context("key")), (&ErrorKind::Config, Some("base")), "{error}");
        let mut pager = domain.endpoint().snapshot(&domain.cx, None).await.unwrap();
        assert_eq!(*pager.next().await.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn a_check_tells_server_rights_work_and_what_will_not_be_seen() {
    let directory = directory();
    directory.add_user(PEOPLE, "anna").create();
    let mut domain = start(directory).await;
    domain.config.domain.base = Some(PEOPLE.into());
    let verification = domain.endpoint().verify(&domain.cx).await.unwrap();
    assert!(verification.server.starts_with("dc1.corp.example, domain controller"), "{}", verification.server);
    assert_eq!((verification.estimate.users, verification.estimate.groups), (Some(1), Some(0)));
    let deleted = verification.rights.iter().find(|right| right.name == "read deleted objects").unwrap();
    assert!(!deleted.granted);
    for part in ["Other domains", "Deleted objects cannot", "outside of the base", "Contacts"] {
        assert!(verification.not_seen.iter().any(|sentence| sentence.contains(part)), "{part}");
    }
    assert!(domain.fake.log().writes().is_empty());
}
