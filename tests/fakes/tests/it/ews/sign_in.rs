//! Signing in by password and by proof, on a connection and not on another; it knows no recipient.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use tenantry_fakes::ews::{Connection, ExtendedProtection, Fault, On, Organisation, Recipient};

use super::proof::Proof;
use super::{basic, request, resolving, soap};

fn organisation() -> Organisation {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann"));
    organisation
}

/// Status and offers for a value of `Authorization`.
fn ask(organisation: &Organisation, connection: &Connection, authorization: Option<HeaderValue>) -> (u16, Vec<String>) {
    let mut request = request(&soap("", &resolving(r#"ReturnFullContactData="false""#, "ann")));
    if let Some(authorization) = authorization {
        request.headers.insert("authorization", authorization);
    }
    let reply = organisation.reply(connection, &request);
    let offers = reply.headers.get_all("www-authenticate").iter().map(|offer| offer.to_str().unwrap().to_owned());
    (reply.status.as_u16(), offers.collect())
}

fn token(scheme: &str, bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{scheme} {}", STANDARD.encode(bytes))).ok()
}

#[test]
fn a_password_signs_in_under_each_name_in_either_encoding_and_nothing_else_does() {
    let organisation = organisation();
    organisation.set_password("wörd:with:colons");
    let connection = Connection::plain();
    for name in ["CORP\\svc-import", "svc-import@corp.example", "SVC-IMPORT"] {
        assert_eq!(ask(&organisation, &connection, Some(basic(name, "wörd:with:colons"))).0, 200, "{name}");
    }
    let latin: Vec<u8> = "svc-import:wörd:with:colons".chars().map(|letter| u8::try_from(letter).unwrap()).collect();
    assert_eq!(ask(&organisation, &connection, token("Basic", &latin)).0, 200);
    for wrong in
        [None, Some(basic("svc-import", "word")), Some(basic("ann", "x")), token("Basic", b"x"), token("Bearer", b"x")]
    {
        assert_eq!(ask(&organisation, &connection, wrong).0, 401);
    }
    assert_eq!(organisation.wrong_passwords(), 1);
}

#[test]
fn what_is_offered_is_what_is_set() {
    let organisation = organisation();
    let offers = || ask(&organisation, &Connection::plain(), None).1;
    assert_eq!(offers(), ["NTLM", "Negotiate", "Basic realm=\"mail.corp.example\""]);
    organisation.edit_settings(|settings| (settings.basic, settings.negotiate) = (false, false));
    assert_eq!(offers(), ["NTLM"]);
    let credentials = organisation.credentials();
    let right = basic(&credentials.name(), &credentials.password);
    assert_eq!(ask(&organisation, &Connection::plain(), Some(right)).0, 401);
}

#[test]
fn too_many_wrong_passwords_lock_an_account_out() {
    let organisation = organisation();
    organisation.edit_settings(|settings| settings.lock_out = Some(3));
    let credentials = organisation.credentials();
    let right = || Some(basic(&credentials.name(), &credentials.password));
    let wrong = || Some(basic(&credentials.name(), "wrong"));
    let connection = Connection::plain();
    for _ in 0..2 {
        assert_eq!(ask(&organisation, &connection, wrong()).0, 401);
    }
    assert_eq!(ask(&organisation, &connection, right()).0, 200);
    for _ in 0..3 {
        assert_eq!(ask(&organisation, &connection, wrong()).0, 401);
    }
    assert_eq!(ask(&organisation, &connection, right()).0, 401);
}

const NEGOTIATE: [u8; 32] = [
    b'N', b'T', b'L', b'M', b'S', b'S', b'P', 0, 1, 0, 0, 0, 0x05, 0x82, 0x08, 0xa2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0,
];

#[test]
fn a_challenge_stands_beside_the_other_offers_and_is_another_each_time() {
    let organisation = organisation();
    let connection = Connection::plain();
    let challenge = |scheme: &str| {
        let (status, offers) = ask(&organisation, &connection, token(scheme, &NEGOTIATE));
        assert_eq!((status, offers.len()), (401, 3));
        let offer = offers.iter().find_map(|offer| offer.strip_prefix(&format!("{scheme} "))).unwrap().to_owned();
        STANDARD.decode(offer).unwrap()
    };
    let one = challenge("NTLM");
    let other = challenge("NTLM");
    assert_eq!(one[..12], *b"NTLMSSP\0\x02\0\0\0");
    assert_ne!(one[24..32], other[24..32]);
    assert_eq!(challenge("Negotiate").len(), one.len());
}

#[test]
fn nothing_but_a_right_proof_on_the_challenged_connection_signs_in() {
    let organisation = organisation();
    let connection = Connection::plain();
    let mut third = NEGOTIATE.to_vec();
    third[8] = 3;
    third.resize(100, 0);
    // Without a challenge, after one, and garbage: all are 401, and none is remembered.
    assert_eq!(ask(&organisation, &connection, token("NTLM", &third)).0, 401);
    ask(&organisation, &connection, token("NTLM", &NEGOTIATE));
    assert_eq!(ask(&organisation, &connection, token("NTLM", &third)).0, 401);
    assert_eq!(ask(&organisation, &connection, token("NTLM", b"NTLMSSP\0")).0, 401);
    assert_eq!(ask(&organisation, &connection, None).0, 401);
}

#[test]
fn a_sign_in_can_be_refused_though_it_is_right() {
    let organisation = organisation();
    organisation.faults().on(On::any().nth(2), Fault::Unauthorized);
    let credentials = organisation.credentials();
    let status = || {
        let right = basic(&credentials.name(), &credentials.password);
        ask(&organisation, &Connection::plain(), Some(right)).0
    };
    assert_eq!([status(), status(), status()], [200, 401, 200]);
}

#[test]
fn names_and_passwords_are_in_no_record() {
    let organisation = organisation();
    let credentials = organisation.credentials();
    ask(&organisation, &Connection::plain(), Some(basic(&credentials.name(), &credentials.password)));
    let record = format!("{:?} {organisation:?} {credentials:?}", organisation.log().all());
    assert!(!record.contains(&credentials.password));
    assert_eq!(organisation.log().all()[0].account.as_deref(), Some("CORP\\svc-import"));
}

/// Signs in by proof and returns the status.
fn prove(organisation: &Organisation, connection: &Connection, scheme: &str, proof: &Proof<'_>) -> u16 {
    let (_, offers) = ask(organisation, connection, token(scheme, &NEGOTIATE));
    let challenge = offers.iter().find_map(|offer| offer.strip_prefix(&format!("{scheme} "))).unwrap();
    let answer = proof.answer(&NEGOTIATE, &STANDARD.decode(challenge).unwrap());
    ask(organisation, connection, token(scheme, &answer)).0
}

#[test]
fn a_right_proof_signs_the_connection_in_and_no_other() {
    let organisation = organisation();
    organisation.set_password("Pässword");
    let (one, other) = (Connection::plain(), Connection::plain());
    let proof = Proof::new("CORP", "svc-import", "Pässword");
    assert_eq!(prove(&organisation, &one, "NTLM", &proof), 200);
    assert_eq!(ask(&organisation, &one, None).0, 200);
    assert_eq!(ask(&organisation, &other, None).0, 401);
    assert_eq!(prove(&organisation, &other, "Negotiate", &proof), 200);
    // A new negotiation ends what was before.
    ask(&organisation, &one, token("NTLM", &NEGOTIATE));
    assert_eq!(ask(&organisation, &one, None).0, 401);
    for wrong in [
        Proof::new("CORP", "svc-import", "password"),
        Proof::new("OTHER", "svc-import", "Pässword"),
        Proof::new("CORP", "ann", "Pässword"),
    ] {
        assert_eq!(prove(&organisation, &Connection::plain(), "NTLM", &wrong), 401);
    }
    assert_eq!(prove(&organisation, &one, "NTLM", &Proof::new("", "svc-import@corp.example", "Pässword")), 200);
    assert_eq!(organisation.log().all().iter().filter(|line| line.status == Some(200)).count(), 4);
}

#[test]
fn an_answer_to_one_connections_challenge_is_none_to_anothers() {
    let organisation = organisation();
    let credentials = organisation.credentials();
    let proof = Proof::new(&credentials.domain, &credentials.user, &credentials.password);
    let (one, other) = (Connection::plain(), Connection::plain());
    let challenge = |connection: &Connection| {
        let (_, offers) = ask(&organisation, connection, token("NTLM", &NEGOTIATE));
        STANDARD.decode(offers[0].strip_prefix("NTLM ").unwrap()).unwrap()
    };
    let answer = proof.answer(&NEGOTIATE, &challenge(&one));
    challenge(&other);
    assert_eq!(ask(&organisation, &other, token("NTLM", &answer)).0, 401);
    assert_eq!(ask(&organisation, &one, token("NTLM", &answer)).0, 200);
    // Nor is it one twice.
    assert_eq!(ask(&organisation, &one, token("NTLM", &answer)).0, 401);
}

#[test]
fn a_binding_is_looked_at_as_far_as_is_set() {
    let organisation = organisation();
    let credentials = organisation.credentials();
    let right = b"tls-server-end-point:0123";
    let statuses = |protection: ExtendedProtection| {
        organisation.edit_settings(|settings| settings.extended_protection = protection);
        [Some(&right[..]), Some(&b"tls-server-end-point:other"[..]), None].map(|binding| {
            let mut proof = Proof::new(&credentials.domain, &credentials.user, &credentials.password);
            proof.binding = binding;
            prove(&organisation, &Connection::bound(right), "NTLM", &proof)
        })
    };
    assert_eq!(statuses(ExtendedProtection::Off), [200, 200, 200]);
    assert_eq!(statuses(ExtendedProtection::Allowed), [200, 401, 200]);
    assert_eq!(statuses(ExtendedProtection::Required), [200, 401, 401]);
    let mut proof = Proof::new(&credentials.domain, &credentials.user, &credentials.password);
    assert_eq!(prove(&organisation, &Connection::plain(), "NTLM", &proof), 401);
    organisation.edit_settings(|settings| settings.extended_protection = ExtendedProtection::Allowed);
    proof.binding = Some(right);
    assert_eq!(prove(&organisation, &Connection::plain(), "NTLM", &proof), 401);
}

#[test]
fn the_messages_own_check_is_wanted_as_far_as_is_set_and_must_be_right() {
    let organisation = organisation();
    let credentials = organisation.credentials();
    let status = |checked: Option<bool>| {
        let mut proof = Proof::new(&credentials.domain, &credentials.user, &credentials.password);
        proof.checked = checked;
        prove(&organisation, &Connection::plain(), "NTLM", &proof)
    };
    assert_eq!([status(None), status(Some(true)), status(Some(false))], [200, 200, 401]);
    organisation.edit_settings(|settings| settings.mic_required = true);
    assert_eq!([status(None), status(Some(true)), status(Some(false))], [401, 200, 401]);
}

#[test]
fn a_closing_way_in_between_is_told_in_each_refusal() {
    let organisation = organisation();
    organisation.edit_settings(|settings| settings.closes_on_401 = true);
    let reply = organisation.reply(&Connection::plain(), &request(""));
    assert_eq!(reply.headers["connection"], "close");
}
