//! The session against OpenLDAP.

use std::collections::BTreeSet;

use tenantry::{ErrorKind, Retry, Secret};
use tenantry_ldap::{
    Change, Control, Credentials, Dn, Filter, PlainText, Scope, SearchRequest, Server, Session, Settings, Trust, code,
    controls, is_cookie_lost,
};

use crate::slapd::{PASSWORD, PEOPLE, SUFFIX, Slapd};

fn account(name: &str) -> Credentials {
    Credentials::Password { name: name.into(), password: Secret::new(PASSWORD) }
}

/// LDAPS as the person `sync`, to whom the server's limits apply.
fn settings(slapd: &Slapd) -> Settings {
    let server = Server::parse(&format!("ldaps://127.0.0.1:{}", slapd.tls)).unwrap();
    let trust = Trust::only(slapd.authority.pem().as_bytes()).unwrap();
    Settings::new(vec![server], account(&format!("cn=sync,{SUFFIX}"))).trust(trust)
}

fn people() -> SearchRequest {
    let filter = Filter::equals("objectClass", "inetOrgPerson").unwrap();
    SearchRequest::new(format!("ou=people,{SUFFIX}"), filter).attributes(["uid"])
}

macro_rules! slapd {
    ($extra:expr) => {
        match Slapd::start(concat!(module_path!(), " against OpenLDAP"), $extra).await {
            Some(slapd) => slapd,
            None => return,
        }
    };
}

#[tokio::test]
async fn every_page_is_read_to_the_end() {
    let slapd = slapd!("");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    let (mut cookie, mut pages, mut seen) = (None, 0, BTreeSet::new());
    loop {
        let page = session.search_page(&people(), cookie.as_ref()).await.unwrap();
        pages += 1;
        for entry in &page.entries {
            let name = Dn::parse(entry.dn()).unwrap();
            assert_eq!(name.rdn().unwrap().value(), entry.text("UID").unwrap());
            assert!(seen.insert(entry.text("uid").unwrap().unwrap().to_owned()));
        }
        cookie = page.next;
        if cookie.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (3, PEOPLE));
    session.close().await.unwrap();
}

#[tokio::test]
async fn start_tls_serves_as_well() {
    let slapd = slapd!("");
    let mut settings = settings(&slapd);
    settings.servers = vec![Server::parse(&format!("ldap://localhost:{}", slapd.plain)).unwrap()];
    let session = Session::connect(&settings).await.unwrap();
    assert!(session.is_encrypted());
    let root = session.root_dse(&["+"]).await.unwrap();
    assert!(root.texts("supportedcontrol").unwrap().contains(&"1.2.840.113556.1.4.319"));
    assert_eq!(root.text("namingContexts").unwrap(), Some(SUFFIX));
}

#[tokio::test]
async fn a_wrong_password_and_a_bind_in_the_clear_are_refused() {
    let slapd = slapd!("security simple_bind=128");
    let mut wrong = settings(&slapd);
    wrong.credentials = Credentials::Password { name: format!("cn=sync,{SUFFIX}"), password: Secret::new("wrong") };
    let error = Session::connect(&wrong).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unauthenticated, Retry::Never));
    let mut clear = settings(&slapd).plain_text(PlainText::Allowed);
    clear.servers = vec![
        Server::parse(&format!("ldap://127.0.0.1:{}", slapd.plain))
            .unwrap()
            .with_encryption(tenantry_ldap::Encryption::Plain),
    ];
    let error = Session::connect(&clear).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (&ErrorKind::Config, Some(13)));
}

#[tokio::test]
async fn a_cookie_of_another_session_is_lost_and_a_fresh_listing_works() {
    let slapd = slapd!("");
    let first = Session::connect(&settings(&slapd)).await.unwrap();
    let page = first.search_page(&people(), None).await.unwrap();
    let second = Session::connect(&settings(&slapd)).await.unwrap();
    let error = second.search_page(&people(), page.next.as_ref()).await.unwrap_err();
    assert!(is_cookie_lost(&error), "{error:?}");
    assert_eq!(second.search_page(&people(), None).await.unwrap().entries.len(), 1000);
}

#[tokio::test]
async fn changes_happen_together_and_a_stale_one_is_a_conflict() {
    let slapd = slapd!("");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    let dn = format!("uid=u7,ou=people,{SUFFIX}");
    let swap = [
        Change::delete("employeeNumber", ["512"]),
        Change::add("employeeNumber", ["514"]),
        Change::replace("title", ["x"]),
    ];
    let error = session.modify(&dn, &swap, &[]).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (&ErrorKind::Conflict, Some(16)));
    session.modify(&dn, &[Change::add("employeeNumber", ["512"])], &[]).await.unwrap();
    session.modify(&dn, &swap, &[]).await.unwrap();
    let entry = session.search_base(&dn, &["employeeNumber", "title"], &[]).await.unwrap().unwrap();
    assert_eq!((entry.i64("employeenumber").unwrap(), entry.text("TITLE").unwrap()), (Some(514), Some("x")));
    session.modify(&dn, &[Change::replace("title", Vec::<Vec<u8>>::new())], &[]).await.unwrap();
    assert!(!session.search_base(&dn, &["title"], &[]).await.unwrap().unwrap().is_present("title"));
}

#[tokio::test]
async fn binary_values_come_out_as_they_went_in() {
    let slapd = slapd!("");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    let dn = format!("uid=u8,ou=people,{SUFFIX}");
    let values = [b"ABCDEFGHIJKLMNOP".to_vec(), vec![0, 255, 254, 10], Vec::from("ä")];
    session.modify(&dn, &[Change::replace("jpegPhoto", values.clone())], &[]).await.unwrap();
    let entry = session.search_base(&dn, &["jpegPhoto"], &[]).await.unwrap().unwrap();
    let read: BTreeSet<_> = entry.values("jpegphoto").iter().cloned().collect();
    assert_eq!(read, values.into_iter().collect());
}

#[tokio::test]
async fn one_large_value_comes_through() {
    let slapd = slapd!("sockbuf_max_incoming_auth 8388608");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    let dn = format!("uid=u9,ou=people,{SUFFIX}");
    let photo = vec![7_u8; 3_000_000];
    session.modify(&dn, &[Change::replace("jpegPhoto", [photo.clone()])], &[]).await.unwrap();
    let entry = session.search_base(&dn, &["jpegPhoto"], &[]).await.unwrap().unwrap();
    assert_eq!(entry.bytes("jpegPhoto"), Some(&photo[..]));
}

#[tokio::test]
async fn what_is_not_there_what_is_too_much_and_what_is_unknown_are_told_apart() {
    let slapd = slapd!("");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    let error = session.search_base(&format!("uid=nobody,{SUFFIX}"), &[], &[]).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
    let error = session.search_unpaged(&people(), 10_000).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (&ErrorKind::Protocol, Some(4)));
    let error = session.search_page(&people().control(Control::show_deleted()), None).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (&ErrorKind::Unsupported, Some(12)));
    let unknown = Control::new("1.2.3.4.5", controls::Criticality::Optional, None);
    session.search_page(&people().control(unknown), None).await.unwrap();
    let error = session.search_base("no name", &[], &[]).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (&ErrorKind::Config, Some(34)));
}

#[tokio::test]
async fn escaped_values_find_exactly_their_entry() {
    let slapd = slapd!("");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    for filter in [Filter::equals("sn", "*(42)").unwrap(), Filter::equals_bytes("sn", b"*(42)").unwrap()] {
        let request = SearchRequest::new(SUFFIX, filter).scope(Scope::Subtree).attributes(["uid"]);
        let page = session.search_page(&request, None).await.unwrap();
        assert_eq!(page.entries.iter().map(|entry| entry.text("uid").unwrap()).collect::<Vec<_>>(), [Some("u42")]);
    }
}

#[tokio::test]
async fn a_server_that_dies_between_two_pages_is_unavailable() {
    let mut slapd = slapd!("");
    let session = Session::connect(&settings(&slapd)).await.unwrap();
    let page = session.search_page(&people(), None).await.unwrap();
    slapd.kill();
    for _ in 0..2 {
        let error = session.search_page(&people(), page.next.as_ref()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff), "{error:?}");
    }
}

#[tokio::test]
async fn an_anonymous_session_reads_the_root_only() {
    let slapd = slapd!("");
    let mut settings = settings(&slapd);
    settings.credentials = Credentials::Anonymous;
    let session = Session::connect(&settings).await.unwrap();
    assert!(session.root_dse(&["namingContexts"]).await.unwrap().is_present("namingContexts"));
    assert!(session.search_page(&people(), None).await.is_err());
}
