//! The token endpoint: secrets, assertions, their refusals and the life of tokens; it knows no object.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tenantry_fakes::graph::{ClientCertificate, Tenant};

use super::{Answer, Client, ORIGIN, manual};

fn client() -> Client {
    let tenant = manual(Tenant::new("tenant.example"));
    tenant.user("ann").create();
    Client::new(tenant)
}

fn number(answer: &Answer) -> u64 {
    let number = answer.body["error_codes"][0].as_u64().unwrap();
    assert!(answer.body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")));
    number
}

fn thumbprint(certificate: &ClientCertificate) -> (String, String) {
    use ring::digest;
    let body: String =
        certificate.certificate_pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = decode(&body);
    let sum = |algorithm| url_alphabet(digest::digest(algorithm, &der).as_ref());
    (sum(&digest::SHA256), sum(&digest::SHA1_FOR_LEGACY_USE_ONLY))
}

fn decode(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut word, mut bits, mut out) = (0_u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        (word, bits) = (word << 6 | u32::from(value(byte)), bits + 6);
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits & 0xff) as u8);
        }
    }
    out
}

fn url_alphabet(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(LETTERS[(word >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

/// Signs an assertion; what is given replaces the right claims.
fn assertion(client: &Client, certificate: &ClientCertificate, old: bool, claims: &[(&str, Value)]) -> String {
    let id = client.tenant.credentials().client_id;
    let now = client.tenant.clock().now() / 1000;
    let mut all = json!({
        "aud": format!("{ORIGIN}/{}/oauth2/v2.0/token", client.tenant.tenant_id()), "iss": id, "sub": id,
        "jti": format!("{claims:?}"), "nbf": now, "iat": now, "exp": now + 300,
    });
    for (name, value) in claims {
        all[*name] = value.clone();
    }
    let (new_print, old_print) = thumbprint(certificate);
    let mut header = Header::new(if old { Algorithm::RS256 } else { Algorithm::PS256 });
    if old {
        header.x5t = Some(old_print);
    } else {
        header.x5t_s256 = Some(new_print);
    }
    let key = EncodingKey::from_rsa_pem(certificate.private_key_pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&header, &all, &key).unwrap()
}

fn ask(client: &Client, assertion: &str) -> Answer {
    client.ask_token(&[
        ("grant_type", "client_credentials"),
        ("client_id", &client.tenant.credentials().client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", "https://graph.microsoft.com/.default"),
    ])
}

#[test]
fn a_registered_certificate_gets_a_token_once_for_each_assertion() {
    let client = client();
    let certificate = client.tenant.issue_certificate();
    let text = assertion(&client, &certificate, false, &[]);
    let answer = ask(&client, &text);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(number(&ask(&client, &text)), 700_027, "an assertion is good once");
}

#[test]
fn assertions_that_are_wrong_in_one_thing_are_refused() {
    let client = client();
    let certificate = client.tenant.issue_certificate();
    let now = client.tenant.clock().now() / 1000;
    for (claim, value, expected) in [
        ("aud", json!("https://login.elsewhere.example/token"), 700_023),
        ("iss", json!("somebody"), 700_030),
        ("sub", json!("somebody"), 700_030),
        ("exp", json!(now - 600), 700_024),
        ("nbf", json!(now + 600), 700_024),
        ("jti", json!(""), 50_027),
    ] {
        let answer = ask(&client, &assertion(&client, &certificate, false, &[(claim, value)]));
        assert_eq!((answer.status, number(&answer)), (401, expected), "{claim}");
        assert_eq!(answer.body["error"], "invalid_client");
    }
    let strange = Tenant::strange_certificate();
    assert_eq!(number(&ask(&client, &assertion(&client, &strange, false, &[]))), 700_027);
    let mut bent = assertion(&client, &certificate, false, &[]);
    let at = bent.len() - 20;
    bent.replace_range(at..=at, if &bent[at..=at] == "A" { "B" } else { "A" });
    assert_eq!(number(&ask(&client, &bent)), 700_027);
}

#[test]
fn the_older_form_of_assertions_is_accepted_when_it_is_switched_on() {
    let client = client();
    let certificate = client.tenant.issue_certificate();
    assert_eq!(number(&ask(&client, &assertion(&client, &certificate, true, &[]))), 700_027);
    client.tenant.edit_settings(|settings| settings.old_assertions = true);
    assert_eq!(ask(&client, &assertion(&client, &certificate, true, &[("n", json!(2))])).status, 200);
}

#[test]
fn wrong_secrets_clients_tenants_and_scopes_have_their_own_numbers() {
    let client = client();
    let known = client.tenant.credentials();
    let good = [
        ("grant_type", "client_credentials"),
        ("client_id", known.client_id.as_str()),
        ("client_secret", known.secret.as_str()),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    assert_eq!(client.ask_token(&good).status, 200);
    for (field, value, status, expected) in [
        ("client_secret", "wrong", 401, 7_000_215),
        ("client_id", "00000000-0000-0000-0000-000000000000", 400, 700_016),
        ("scope", "User.Read", 400, 1_002_012),
        ("scope", "https://graph.elsewhere.example/.default", 400, 500_011),
        ("grant_type", "password", 400, 70_003),
        ("client_secret", "", 401, 7_000_215),
    ] {
        let form = good.map(|(name, old)| (name, if name == field { value } else { old }));
        let answer = client.ask_token(&form);
        assert_eq!((answer.status, number(&answer)), (status, expected), "{field}");
    }
}

#[test]
fn tokens_expire_by_time_and_on_request() {
    let mut client = client();
    client.tenant.edit_settings(|settings| settings.access_token_life = Duration::from_mins(10));
    client.sign_in();
    client.pass(599);
    assert_eq!(client.get("/users").status, 200);
    client.pass(2);
    assert_eq!((client.get("/users").status, client.get("/users").code()), (401, "InvalidAuthenticationToken"));
    client.sign_in();
    assert_eq!(client.get("/users").status, 200);
    client.tenant.expire_access_tokens();
    assert_eq!(client.get("/users").status, 401);
    assert!(client.tenant.access_tokens_issued() >= 3);
}

#[test]
fn without_a_token_nothing_is_shown() {
    let mut client = client();
    client.token.clear();
    let answer = client.get("/users");
    assert_eq!((answer.status, answer.code()), (401, "InvalidAuthenticationToken"));
    assert!(!answer.header("www-authenticate").is_empty());
    client.token = "x.y.z".to_owned();
    assert_eq!(client.get("/users").status, 401);
}
