//! What is sent to sign in, and what each answer becomes.

use std::collections::BTreeMap;

use bytes::Bytes;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::{Value, json};
use tenantry_http::HttpSettings;

use super::*;

const CERTIFICATE: &[u8] = include_bytes!("../../tests/keys/certificate.pem");
const KEY: &str = include_str!("../../tests/keys/key-pkcs8.pem");
const TOKEN_URL: &str = "http://127.0.0.1:9/3f1c2b1a-9a1b-4c55-8f3e-0c55e2f6a001/oauth2/v2.0/token";

fn sign_in(proof: Proof) -> SignIn {
    let (clock, _) = Clock::manual();
    SignIn {
        client: Client::new(&HttpSettings::default()).unwrap(),
        origin: Origin::parse("http://127.0.0.1:9", false).unwrap(),
        url: Url::parse(TOKEN_URL).unwrap(),
        client_id: "9a1b0000-0000-4000-8000-000000000001".to_owned(),
        scope: "https://graph.microsoft.us/.default".to_owned(),
        proof,
        clock,
    }
}

fn form(sign_in: &SignIn) -> BTreeMap<String, String> {
    let request = sign_in.request().unwrap();
    assert_eq!((request.method(), request.url().as_str()), (&Method::POST, TOKEN_URL));
    url::form_urlencoded::parse(request.body().unwrap().as_bytes().unwrap()).into_owned().collect()
}

fn certificate(form: Assertion) -> SignIn {
    sign_in(Proof::Certificate(Pair::read(CERTIFICATE, &Secret::new(KEY)).unwrap(), form))
}

#[test]
fn a_secret_is_sent_as_it_is_whatever_it_consists_of() {
    let secret = "a+b&c=d%20é~\"";
    let form = form(&sign_in(Proof::Secret(Secret::new(secret))));
    assert_eq!(form["client_secret"], secret);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["scope"], "https://graph.microsoft.us/.default");
    assert_eq!(form["client_id"], "9a1b0000-0000-4000-8000-000000000001");
}

#[test]
fn an_assertion_is_signed_by_the_key_names_the_certificate_and_is_good_for_minutes() {
    let public = DecodingKey::from_rsa_pem(CERTIFICATE).unwrap();
    for (form_of, algorithm, thumbprint) in
        [(Assertion::Ps256, Algorithm::PS256, "x5t#S256"), (Assertion::Rs256, Algorithm::RS256, "x5t")]
    {
        let sign_in = certificate(form_of);
        let form = form(&sign_in);
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert!(!form.contains_key("client_secret"));
        let header = serde_json::to_value(decode_header(&form["client_assertion"]).unwrap()).unwrap();
        assert_eq!((&header["typ"], header["alg"].as_str()), (&json!("JWT"), Some(&*format!("{algorithm:?}"))));
        assert!(header[thumbprint].is_string(), "{header}");
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.set_audience(&[TOKEN_URL]);
        let claims = decode::<Value>(&form["client_assertion"], &public, &validation).unwrap().claims;
        let (now, number) = (sign_in.clock.now_unix_millis() / 1000, |name: &str| claims[name].as_i64().unwrap());
        assert!(number("nbf") <= now && now < number("exp") && number("exp") - number("nbf") <= 600, "{claims}");
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(sign_in.client_id), &json!(sign_in.client_id)));
        let again = self::form(&sign_in);
        let again = decode::<Value>(&again["client_assertion"], &public, &validation).unwrap().claims;
        assert_ne!(again["jti"], claims["jti"]);
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    let body = Bytes::from(body.to_string());
    Answer { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body }
}

#[test]
fn a_token_is_taken_with_its_life() {
    let told = |expires: Value| {
        let body = json!({ "token_type": "Bearer", "expires_in": expires, "access_token": "t" });
        read(&answer(200, &body), 0).unwrap().expires_in.as_secs()
    };
    assert_eq!(told(json!(3599)), 3599);
    assert_eq!(told(json!("3599")), 3599);
    // Without a word, or with an odd one, it is soon asked for again.
    assert_eq!(told(json!(-1)), 60);
    assert_eq!(told(json!(u64::MAX)), 86_400);
}

#[test]
fn what_is_no_token_is_an_error_that_shows_nothing_of_it() {
    for body in [
        json!({ "token_type": "Bearer", "expires_in": 1, "access_token": "" }),
        json!({ "token_type": "mac", "access_token": "canary" }),
        json!({ "access_token": ["canary"] }),
    ] {
        let error = read(&answer(200, &body), 0).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Protocol);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

fn refused(status: u16, word: &str, code: u64) -> Error {
    let body = json!({
        "error": word,
        "error_description": format!("AADSTS{code}: canary"),
        "error_codes": [code],
        "trace_id": "94fb3b52-452a-4535-a601-69e0a90e3aa2",
    });
    refusal(&answer(status, &body), 0)
}

#[test]
fn each_refusal_names_what_to_renew_or_to_look_at() {
    for (status, word, code, words) in [
        (401, "invalid_client", 7_000_222, "the client secret has expired"),
        (401, "invalid_client", 7_000_215, "client_secret"),
        (401, "invalid_client", 700_027, "certificate_file"),
        (401, "invalid_client", 700_024, "clock"),
        (400, "unauthorized_client", 700_016, "client_id"),
        (400, "invalid_request", 90_002, "tenant"),
        (400, "invalid_resource", 500_011, "cloud"),
        (400, "access_denied", 53_003, "conditional access"),
        (401, "invalid_client", 1, "renew client_secret, or the certificate"),
        (400, "something_new", 1, "look at"),
    ] {
        let error = refused(status, word, code);
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unauthenticated, Retry::Never), "{error}");
        assert!(error.message().contains(words), "{code}: {error}");
        assert_eq!(error.context("code"), Some(&*format!("AADSTS{code}")));
        assert_eq!(error.context("trace id"), Some("94fb3b52-452a-4535-a601-69e0a90e3aa2"));
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    for (status, word, code, kind) in [
        (429, "temporarily_unavailable", 1, ErrorKind::Throttled),
        (503, "x", 1, ErrorKind::Unavailable),
        (400, "temporarily_unavailable", 1, ErrorKind::Unavailable),
        (401, "invalid_client", 90_033, ErrorKind::Unavailable),
    ] {
        let error = refused(status, word, code);
        assert_eq!((error.kind(), error.retry()), (&kind, Retry::Backoff), "{error}");
    }
    let mut throttled = answer(429, &json!({}));
    throttled.headers.insert(RETRY_AFTER, HeaderValue::from_static("2.5"));
    assert_eq!(refusal(&throttled, 0).retry(), Retry::After(std::time::Duration::from_millis(2500)));
}

#[test]
fn the_page_of_something_in_between_is_no_refused_login() {
    let page = Answer { body: Bytes::from_static(b"<html>canary"), ..answer(403, &json!({})) };
    let error = refusal(&page, 0);
    assert_eq!(*error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("login_url") && !format!("{error:?}").contains("canary"), "{error:?}");
}

#[test]
fn neither_secret_nor_key_is_shown() {
    let secret = sign_in(Proof::Secret(Secret::new("hunter2")));
    let certificate = certificate(Assertion::Ps256);
    let shown = format!("{secret:?} {certificate:?} {:?}", secret.request().unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("BEGIN"), "{shown}");
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_reached_is_an_error_without_the_secret() {
    let error = sign_in(Proof::Secret(Secret::new("hunter2"))).fetch().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (&ErrorKind::Unavailable, "sign in"));
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
