//! Who signs in how, how often a wrong password is tried, and that nothing shows it.

use tenantry::Secret;
use tenantry::endpoint::Endpoint as _;
use tenantry_exchange::EwsAuth;
use tenantry_fakes::ews::{Organisation, Recipient};

use crate::organisation::{Site, endpoint, start};

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
    assert!(site.listing().await.is_whole());
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
