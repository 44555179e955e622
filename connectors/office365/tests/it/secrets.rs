//! No secret is told by any error, log line or `Debug`: the proof, tokens, assertions, links.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use tenantry::Secret;
use tenantry::endpoint::{Action, Endpoint};
use tenantry::model::{ObjectKey, ObjectKind};
use tenantry_fakes::graph::{Call, Fault, On, Tenant};
use tenantry_office365::{Credential, Enrichment};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::running::{DOMAIN, Running, changes, list, source, start};

const SECRET: &str = "canary-4711-never-tell";
const CERTIFICATE: &str = include_str!("../keys/certificate.pem");
const KEY: &str = include_str!("../keys/key-pkcs8.pem");

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Goes through everything that can be asked, prints whatever comes back, and returns what no line may hold.
async fn everything(running: &Running, told: &mut String) -> Vec<String> {
    let endpoint = running.endpoint();
    let cx = &running.cx;
    let anna = running.tenant.id("anna");
    let _ = writeln!(told, "{endpoint:?} {:?} {:?} {:?}", running.config, endpoint.limits(), cx.gate());
    let _ = writeln!(told, "{:?}", endpoint.coverage(cx).await);
    let _ = writeln!(told, "{:?}", endpoint.verify(cx).await);
    let mut never = Vec::new();
    match list(&endpoint, cx, None).await {
        Ok(listing) => {
            let _ = writeln!(told, "{listing:?}");
            let cursor = listing.cursor.unwrap();
            let text = String::from_utf8_lossy(cursor.bytes()).into_owned();
            never.extend(
                text.split('"').filter_map(|part| part.split_once("deltatoken=")).map(|(_, token)| token.to_owned()),
            );
            match changes(&endpoint, cx, &cursor).await {
                Ok(changes) => {
                    let _ = writeln!(told, "{changes:?}");
                }
                Err(error) => {
                    let _ = writeln!(told, "{error:?} {error}");
                }
            }
            let _ = writeln!(
                told,
                "{:?}",
                endpoint.as_delta().map(|delta| delta.tells_removals(&tenantry::endpoint::CoverageInfo::new("x", 1)))
            );
        }
        Err(error) => {
            let _ = writeln!(told, "{error:?} {error}");
        }
    }
    let actor = endpoint.as_actor().unwrap();
    let _ = writeln!(told, "{:?}", actor.begin(cx).await);
    for action in [Action::Suspend, Action::RevokeSessions] {
        let key = ObjectKey { kind: ObjectKind::User, id: source(anna) };
        let _ = writeln!(told, "{:?}", actor.act(cx, action, &key).await);
    }
    never
}

#[tokio::test]
async fn nothing_that_can_be_got_hold_of_holds_a_secret() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).with_ansi(false).finish();
    // One thread: what runs here is logged here.
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut told = String::new();
    let mut never = vec![SECRET.to_owned()];
    let key_line = KEY.lines().nth(3).unwrap();
    never.push(key_line.to_owned());
    for certificate in [false, true] {
        for fault in [
            None,
            Some((Call::Token, Fault::Html { status: 200 })),
            Some((Call::Token, Fault::Unauthorized)),
            Some((Call::Users, Fault::TruncatedJson)),
            Some((Call::Users, Fault::ForeignNextLink("https://graph.elsewhere.example".into()))),
            Some((Call::UsersDelta, Fault::ForeignDeltaLink("https://graph.elsewhere.example".into()))),
            Some((Call::UsersDelta, Fault::Redirect("https://graph.elsewhere.example/x?$deltatoken=canary".into()))),
            Some((Call::Registration, Fault::Html { status: 403 })),
            Some((Call::Write, Fault::LoseAnswer)),
        ] {
            let tenant = Tenant::new(DOMAIN);
            tenant.user("anna").create();
            tenant.grant("User.ReadWrite.All");
            tenant.replace_secret(SECRET);
            tenant.register_certificate(CERTIFICATE).unwrap();
            let mut running = start(tenant).await;
            running.config.enrichments = vec![Enrichment::Mfa, Enrichment::SignIns, Enrichment::Mailboxes];
            running.config.credential = if certificate {
                Credential::Certificate { certificate: CERTIFICATE.as_bytes().to_vec(), private_key: Secret::new(KEY) }
            } else {
                Credential::Secret(Secret::new(SECRET))
            };
            if let Some((call, fault)) = fault {
                running.fake.faults().on(On::call(call), fault);
            }
            never.extend(everything(&running, &mut told).await);
        }
    }
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.contains("TRACE") && logged.contains("list users"), "nothing was logged");
    assert!(never.len() > 4, "{}", never.len());
    // Every token and every assertion begins so.
    never.push("eyJ".to_owned());
    for secret in &never {
        assert!(!told.contains(secret.as_str()), "told: {secret}");
        for line in logged.lines() {
            assert!(!line.contains(secret.as_str()), "logged: {line}");
        }
    }
}
