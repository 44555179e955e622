//! Who signs in how, how often a wrong password is tried, and that nothing shows it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use tenantry::Secret;
use tenantry::endpoint::Endpoint as _;
use tenantry_exchange::EwsAuth;
use tenantry_fakes::ews::{Call, ExtendedProtection, Fault, On, Organisation, Recipient};
use tracing::instrument::WithSubscriber as _;

use crate::organisation::{Site, endpoint, is_whole, start};

async fn one() -> Site {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann").named("Ann", "Berg"));
    start(organisation).await
}

fn refused(site: &Site) -> usize {
    site.fake.log().all().iter().filter(|line| line.status == Some(401)).count()
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_however_many_ask() {
    let mut site = one().await;
    site.config.password = Secret::new("CANARY-wrong");
    let endpoint = site.endpoint();
    // The first request of all asks for the forest, as nobody.
    let asked = (0..6).map(|_| endpoint.verify(&site.cx));
    for answer in futures::future::join_all(asked).await {
        let error = answer.unwrap_err();
        assert_eq!(error.kind().as_str(), "unauthenticated", "{error}");
        assert!(!format!("{error:?} {endpoint:?}").contains("CANARY"));
    }
    let with_password = site.fake.log().all().len();
    assert!(refused(&site) >= 1 && with_password <= 6 * 2 + 1, "{with_password}");
}

#[tokio::test]
async fn basic_goes_over_tls_with_an_authority_of_ones_own() {
    let mut site = one().await;
    site.config.url = site.fake.https_url();
    assert!(is_whole(&site.listing().await));
    site.config.http.ca_pem = None;
    let error = endpoint(site.config.clone()).verify(&site.cx).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "config");
    assert!(error.message().contains("ca_file"), "{error}");
}

#[tokio::test]
async fn a_server_without_ntlm_says_so_with_the_remedy() {
    let mut site = one().await;
    site.organisation.edit_settings(|settings| (settings.ntlm, settings.negotiate) = (false, false));
    site.config.auth = EwsAuth::Ntlm;
    let error = site.endpoint().verify(&site.cx).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.context("key")), ("config", Some("auth")), "{error}");
}

async fn by_ntlm() -> Site {
    let mut site = one().await;
    site.config.auth = EwsAuth::Ntlm;
    site.config.url = site.fake.https_url();
    site
}

fn connections(site: &Site) -> BTreeSet<u64> {
    site.fake.log().all().iter().map(|line| line.connection).collect()
}

#[tokio::test]
async fn ntlm_is_bound_to_the_channel_and_keeps_its_connections() {
    let site = by_ntlm().await;
    site.organisation.edit_settings(|settings| {
        settings.basic = false;
        settings.extended_protection = ExtendedProtection::Required;
    });
    let listing = site.listing().await;
    assert!(is_whole(&listing) && listing.objects.len() == 1);
    // One that asks for the forest, and one for each request that the gate lets be under way at a time.
    let used = connections(&site).len();
    assert!(used <= 1 + 4, "{used}");
    assert!(site.fake.log().count(Call::ResolveNames) > 100);
}

#[tokio::test]
async fn ntlm_goes_by_the_name_of_negotiate_where_only_that_is_offered() {
    let site = by_ntlm().await;
    site.organisation.edit_settings(|settings| (settings.basic, settings.ntlm) = (false, false));
    assert!(is_whole(&site.listing().await));
}

#[tokio::test]
async fn a_login_that_a_connection_lost_is_made_anew_once() {
    let site = by_ntlm().await;
    site.fake.faults().on(On::call(Call::ResolveNames).nth(40), Fault::Unauthorized);
    assert!(is_whole(&site.listing().await));
    let site = by_ntlm().await;
    let endpoint = site.endpoint();
    endpoint.verify(&site.cx).await.unwrap();
    site.fake.log().clear();
    site.fake.faults().on(On::any(), Fault::Unauthorized);
    let error = endpoint.verify(&site.cx).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "unauthenticated", "{error}");
    // Each of those that were under way may have found out by itself; nobody goes on asking.
    let tried = site.fake.log().all().len();
    assert!(tried <= 1 + 4 * 4, "{tried}");
    site.fake.log().clear();
    assert!(endpoint.verify(&site.cx).await.is_err());
    assert!(site.fake.log().all().len() <= 1, "half a minute is not over");
}

#[tokio::test]
async fn a_wrong_password_is_answered_with_one_proof_by_ntlm() {
    let mut site = by_ntlm().await;
    site.config.password = Secret::new("CANARY-wrong");
    let error = site.endpoint().verify(&site.cx).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "unauthenticated");
    assert!(error.message().contains("opens TLS"), "{error}");
    // The forest, the challenge, the proof.
    assert_eq!(site.fake.log().all().len(), 3);
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_line_of_the_log_holds_a_secret_or_a_person() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // A second one, who hears nothing: see the same test of tenantry-http.
    let another = tracing::Dispatch::new(tracing_subscriber::registry());
    let shown = async {
        let mut shown = Vec::new();
        for auth in [EwsAuth::Basic, EwsAuth::Ntlm] {
            for password in ["Canary7", "wrong-Canary7"] {
                let mut site = by_ntlm().await;
                site.organisation.set_password("Canary7");
                site.config.auth = auth;
                site.config.password = Secret::new(password);
                let endpoint = site.endpoint();
                let verified = endpoint.verify(&site.cx).await;
                shown.push(format!("{endpoint:?} {:?} {verified:?}", site.config));
                if let Ok(listing) = crate::organisation::list(&endpoint, &site.cx, None).await {
                    shown.push(format!("{:?}", listing.checkpoints));
                }
            }
        }
        shown.concat()
    }
    .with_subscriber(subscriber)
    .await;
    drop(another);
    let logged = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("answer"), "nothing was logged: {logged}");
    // The password, its wide form, and both in the form in which they travel.
    for secret in ["Canary7", "Q2FuYXJ5N", "QwBhAG4AYQByAHkANw", "NhbmFyeT", "TlRMTVNTUAAD", "ann@corp.example"] {
        assert!(!logged.contains(secret), "{secret} in {logged}");
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
