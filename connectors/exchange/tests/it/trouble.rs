//! Whatever goes wrong between here and the server is said, and never an empty listing.

use std::time::Duration;

use tenantry::endpoint::Endpoint as _;
use tenantry::gate::{Clock, Gate, RetryPolicy};
use tenantry::model::Scope;
use tenantry::{Context, ErrorKind};
use tenantry_fakes::ews::{Call, Fault, On, Organisation, Recipient, Size, VersionInfo};
use tokio_util::sync::CancellationToken;

use crate::organisation::{Site, is_whole, list, start};

async fn three() -> Site {
    let organisation = Organisation::new("corp.example");
    for alias in ["ann", "bob", "eve"] {
        organisation.add(Recipient::user(alias).named(alias, "Berg"));
    }
    organisation.add(Recipient::group("team"));
    start(organisation).await
}

/// A context whose time stands still until somebody sleeps.
fn timed() -> (Context, tenantry::gate::ManualClock) {
    let (clock, manual) = Clock::manual();
    manual.advance_by_itself();
    let gate = Gate::builder().retry(RetryPolicy::default()).clock(clock).build();
    (Context::new(gate, CancellationToken::new()), manual)
}

#[tokio::test]
async fn the_server_is_left_alone_as_long_as_it_asks_inside_and_outside_of_a_fault() {
    for fault in [Fault::Busy(Duration::from_millis(297_749)), Fault::BusyInside(Duration::from_millis(297_749))] {
        let site = three().await;
        site.fake.faults().on(On::call(Call::ResolveNames).nth(20), fault);
        let (cx, clock) = timed();
        let before = clock.monotonic();
        let listing = list(&site.endpoint(), &cx, None).await.unwrap();
        assert!(is_whole(&listing));
        let waited = clock.monotonic().saturating_sub(before);
        assert!(waited >= Duration::from_millis(297_749) && waited < Duration::from_secs(400), "{waited:?}");
    }
}

#[tokio::test]
async fn too_many_requests_at_once_make_fewer_of_them() {
    let site = start(Organisation::seeded(5, Size::default())).await;
    site.fake.faults().on(On::call(Call::ResolveNames).nth(30), Fault::ExceededConnections);
    let listing = site.listing().await;
    assert!(is_whole(&listing));
    assert!(site.cx.gate().concurrency() < 4 || site.cx.gate().stats().requests > 60);
    assert_eq!(site.fake.log().answered("ErrorExceededConnectionCount"), 1);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_the_listing_is_whole() {
    for fault in [
        Fault::Soap("ErrorTimeoutExpired".into()),
        Fault::Soap("ErrorInternalServerTransientError".into()),
        Fault::Inside { code: "ErrorInternalServerError".into(), inner: Some("ErrorADUnavailable".into()) },
        Fault::Inside { code: "ErrorMailboxMoveInProgress".into(), inner: None },
        Fault::Status { status: 503, retry_after: Some("0".into()) },
        Fault::Html,
        Fault::HostError,
        Fault::Cut,
        Fault::CutInside,
        Fault::TruncatedXml,
        Fault::EmptyBody,
    ] {
        let site = three().await;
        site.fake.faults().on(On::call(Call::ResolveNames).from(10).times(2), fault.clone());
        let listing = list(&site.endpoint(), &site.cx, None).await;
        let listing = listing.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert!(is_whole(&listing) && listing.objects.len() == 4, "{fault:?}");
    }
}

#[tokio::test]
async fn what_stays_ends_the_listing_with_what_to_do() {
    let cases = [
        (Fault::Html, "unavailable", "url"),
        (Fault::HostError, "unavailable", ""),
        (Fault::Inside { code: "ErrorNameResolutionNoMailbox".into(), inner: None }, "config", "mailbox"),
        (Fault::Inside { code: "ErrorAccessDenied".into(), inner: None }, "permission-denied", ""),
        (Fault::Inside { code: "ErrorPasswordExpired".into(), inner: None }, "unauthenticated", "expired"),
        (Fault::Soap("ErrorInvalidRequest".into()), "protocol", ""),
        (Fault::Status { status: 403, retry_after: None }, "permission-denied", "EwsEnabled"),
        (Fault::Status { status: 404, retry_after: None }, "config", "2003"),
        (Fault::Status { status: 440, retry_after: None }, "config", "sign-in page"),
        (Fault::EmptyBody, "protocol", "cut off"),
        (Fault::EmptySet, "", ""),
        (Fault::TruncatedXml, "protocol", "cut off"),
        (Fault::EntityBomb, "protocol", "document type"),
        (Fault::ExternalEntity, "protocol", "document type"),
        (Fault::Deep(5_000), "protocol", "deeper"),
        (Fault::BadText, "protocol", "UTF-8"),
        (Fault::Oversized(70 << 20), "protocol", "larger"),
        (Fault::Redirect("https://elsewhere.example/x".into()), "protocol", "redirects"),
    ];
    for (fault, kind, remedy) in cases {
        let site = three().await;
        site.fake.faults().on(On::call(Call::ResolveNames).from(10), fault.clone());
        let listed = list(&site.endpoint(), &site.cx, None).await;
        if kind.is_empty() {
            // Nobody under some beginnings is no failure; somebody who was told before is missed there.
            assert!(!is_whole(&listed.unwrap()) || fault == Fault::EmptySet);
            continue;
        }
        let error = listed.err().unwrap_or_else(|| panic!("{fault:?} was taken for a listing"));
        assert_eq!(error.kind().as_str(), kind, "{fault:?}: {error}");
        assert!(error.message().contains(remedy), "{fault:?}: {error}");
        assert!(!format!("{error:?}").contains("Pa55-word"), "{error:?}");
    }
}

#[tokio::test]
async fn an_overlong_name_is_cut_and_costs_nobody_else() {
    let site = three().await;
    site.fake.faults().on(On::call(Call::ResolveNames).entry("a"), Fault::LongName(1 << 20));
    assert_eq!(site.listing().await.objects.len(), 4);
}

#[tokio::test]
async fn the_service_in_the_cloud_is_recognised_by_its_release() {
    let site = three().await;
    site.organisation.edit_settings(|settings| {
        settings.version_info = VersionInfo::Build([15, 20, 8335, 12], "V2018_01_08".to_owned());
    });
    let error = site.endpoint().verify(&site.cx).await.unwrap_err();
    assert_eq!((error.kind(), error.context("key")), (&ErrorKind::Config, Some("url")));
    assert!(error.message().contains("office365"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_release_or_tells_an_unknown_one_is_read() {
    for info in [VersionInfo::Absent, VersionInfo::Named("V2099_12_31".to_owned())] {
        let site = three().await;
        site.organisation.edit_settings(|settings| settings.version_info = info);
        assert!(is_whole(&site.listing().await));
        site.endpoint().verify(&site.cx).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_keeps_rows_back_never_gets_a_listing_closed_that_it_contradicts() {
    let size = Size { users: 120, hidden_percent: 0, legacy_percent: 0, ..Size::default() };
    for seed in 0..3 {
        let site = start(Organisation::seeded(seed, size)).await;
        // Rows are dropped by their place in an answer: told here, kept back there.
        site.fake.faults().on(On::call(Call::ResolveNames), Fault::DropRows { percent: 10, seed });
        let listing = site.listing().await;
        assert!(!listing.closed.contains(&Scope::Users), "{seed}: {}", listing.objects.len());
    }
}

#[tokio::test]
async fn rows_that_come_twice_are_listed_once() {
    let site = three().await;
    site.fake.faults().on(On::any(), Fault::DuplicateRows);
    let listing = site.listing().await;
    assert!(is_whole(&listing) && listing.objects.len() == 4);
}
