//! Signing in: by secret and by certificate, once for all, and what is said when it fails.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use futures::future::join_all;
use tenantry::endpoint::Endpoint;
use tenantry::{Error, ErrorKind, Secret};
use tenantry_fakes::graph::{Call, Fault, On, Tenant};
use tenantry_office365::{Assertion, Credential};

use crate::running::{DOMAIN, Running, start};

const CERTIFICATE: &str = include_str!("../keys/certificate.pem");
const KEY: &str = include_str!("../keys/key-pkcs8.pem");
const PKCS1: &str = include_str!("../keys/key-pkcs1.pem");
const OTHER: &str = include_str!("../keys/other-key.pem");

fn certificate(key: &str) -> Credential {
    Credential::Certificate { certificate: CERTIFICATE.as_bytes().to_vec(), private_key: Secret::new(key) }
}

async fn running() -> Running {
    let tenant = Tenant::new(DOMAIN);
    tenant.user("anna").create();
    start(tenant).await
}

impl Running {
    async fn signed_in(&self) -> Result<(), Error> {
        self.endpoint().coverage(&self.cx).await.map(drop)
    }

    fn sign_ins(&self) -> u64 {
        self.fake.log().count(Call::Token)
    }
}

#[tokio::test]
async fn a_registered_certificate_signs_in_whichever_form_its_key_has() {
    for key in [KEY, PKCS1] {
        let mut running = running().await;
        running.tenant.register_certificate(CERTIFICATE).unwrap();
        running.config.credential = certificate(key);
        running.signed_in().await.unwrap();
    }
}

#[tokio::test]
async fn the_older_form_of_an_assertion_is_for_those_who_ask_for_it() {
    let mut running = running().await;
    running.tenant.register_certificate(CERTIFICATE).unwrap();
    running.config.credential = certificate(KEY);
    running.config.assertion = Assertion::Rs256;
    assert_eq!(*running.signed_in().await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    running.tenant.edit_settings(|settings| settings.old_assertions = true);
    running.signed_in().await.unwrap();
}

#[tokio::test]
async fn an_unknown_certificate_is_to_be_uploaded_and_a_strange_key_is_noticed_before() {
    let mut running = running().await;
    running.config.credential = certificate(KEY);
    let error = running.signed_in().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("upload"), "{error}");
    running.tenant.register_certificate(CERTIFICATE).unwrap();
    running.config.credential = certificate(OTHER);
    let before = running.sign_ins();
    let error = running.signed_in().await.unwrap_err();
    assert_eq!((error.kind(), error.context("key")), (&ErrorKind::Config, Some("private_key")));
    assert_eq!(running.sign_ins(), before);
}

#[tokio::test]
async fn each_refusal_names_the_setting_to_look_at_and_is_not_tried_again() {
    type Break = fn(&mut Running);
    let cases: [(&str, Break); 4] = [
        ("client_secret", |running| running.tenant.replace_secret("another")),
        ("client_id", |running| running.config.client_id = "11111111-2222-4333-8444-555555555555".into()),
        ("no such tenant", |running| running.config.tenant = "elsewhere.example".into()),
        ("enable it", |running| running.tenant.block_application(true)),
    ];
    for (words, breaks) in cases {
        let mut running = running().await;
        breaks(&mut running);
        let error = running.signed_in().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unauthenticated, "{error}");
        assert!(error.message().contains(words), "{words}: {error}");
        assert!(error.context("code").is_some_and(|code| code.starts_with("AADSTS")), "{error}");
        assert_eq!(running.sign_ins(), 1, "{words}");
        assert_eq!(running.fake.log().count(Call::Organization), 0);
    }
}

#[tokio::test]
async fn a_sign_in_that_is_busy_is_waited_for() {
    for fault in [
        Fault::Status { status: 503, retry_after: None },
        Fault::Status { status: 429, retry_after: Some("2.5".into()) },
        Fault::Cut,
    ] {
        let running = running().await;
        running.fake.faults().on(On::call(Call::Token).times(2), fault.clone());
        let before = running.cx.gate().clock().monotonic();
        running.signed_in().await.unwrap();
        assert_eq!(running.sign_ins(), 3, "{fault:?}");
        let waited = running.cx.gate().clock().monotonic().saturating_sub(before);
        if matches!(fault, Fault::Status { retry_after: Some(_), .. }) {
            assert!(waited.as_secs() >= 5, "{waited:?}");
        }
    }
}

#[tokio::test]
async fn the_page_of_a_gateway_is_no_refused_proof() {
    let running = running().await;
    running.fake.faults().on(On::call(Call::Token), Fault::Html { status: 403 });
    let error = running.signed_in().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.message().contains("login_url"), "{error}");
}

#[tokio::test]
async fn a_redirect_of_the_sign_in_is_not_followed() {
    let running = running().await;
    let elsewhere = "http://127.0.0.1:9/elsewhere".to_owned();
    running.fake.faults().on(On::call(Call::Token), Fault::Redirect(elsewhere));
    let error = running.signed_in().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn many_callers_sign_in_once() {
    let running = running().await;
    let endpoint = running.endpoint();
    let answers = join_all((0..20).map(|_| endpoint.lookup(&running.cx, &[]))).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert!(running.sign_ins() <= 1);
    join_all((0..8).map(|_| async { endpoint.verify(&running.cx).await.unwrap() })).await;
    assert!(running.sign_ins() <= 9, "{}", running.sign_ins());
}

#[tokio::test]
async fn a_token_that_ends_too_early_is_renewed_once_and_the_listing_goes_on() {
    let running = running().await;
    let listing = running.listing().await;
    assert_eq!(listing.objects.of(tenantry::model::ObjectKind::User).count(), 1);
    running.tenant.expire_access_tokens();
    let before = running.sign_ins();
    running.listing().await;
    assert!(running.sign_ins() > before);
    // Refused again and again, it is an error and no endless circle.
    running.fake.faults().on(On::call(Call::Users), Fault::Unauthorized);
    let error = crate::running::list(&running.endpoint(), &running.cx, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unauthenticated, "{error}");
}
