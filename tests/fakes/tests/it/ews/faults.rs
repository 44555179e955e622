//! What goes wrong when it is told to, and when; it knows no sign-in.

use std::time::Duration;

use tenantry_fakes::ews::{Call, Fault, On, Organisation, Recipient};
use tenantry_fakes::http::Ending;

use super::{expand, resolve, resolving, send, soap};

fn organisation() -> Organisation {
    let organisation = Organisation::new("corp.example");
    let members: Vec<_> = (0..20).map(|number| organisation.add(Recipient::user(format!("ann{number:02}")))).collect();
    organisation.add(Recipient::group("team").members(members));
    organisation
}

fn body() -> String {
    soap("", &resolving(r#"ReturnFullContactData="false""#, "ann"))
}

fn once(organisation: &Organisation, fault: Fault) {
    organisation.faults().clear();
    organisation.faults().on(On::any(), fault);
}

#[test]
fn faults_of_the_service_are_written_as_the_service_writes_them() {
    let organisation = organisation();
    let told = |fault: Fault| {
        once(&organisation, fault);
        let answer = resolve(&organisation, "ann");
        (answer.status, answer.class, answer.code, answer.xml)
    };
    let back_off = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let is = |status: u16, class: &str, code: &str, xml| (status, class.to_owned(), code.to_owned(), xml);
    let busy = "ErrorServerBusy";
    assert_eq!(
        told(Fault::Busy(Duration::from_millis(297_749))),
        is(500, "Fault", busy, back_off("BackOffMilliseconds", "297749"))
    );
    assert_eq!(
        told(Fault::BusyInside(Duration::from_secs(1))),
        is(200, "Error", busy, back_off("BackOffMilliseconds", "1000"))
    );
    assert_eq!(told(Fault::BusyWithoutTime), is(500, "Fault", busy, vec![]));
    assert_eq!(told(Fault::ExceededConnections), is(500, "Fault", "ErrorExceededConnectionCount", vec![]));
    assert_eq!(told(Fault::Soap("ErrorTimeoutExpired".to_owned())), is(500, "Fault", "ErrorTimeoutExpired", vec![]));
    let inside =
        Fault::Inside { code: "ErrorInternalServerError".to_owned(), inner: Some("ErrorADUnavailable".to_owned()) };
    let (status, class, code, xml) = told(inside);
    assert_eq!((status, class.as_str(), code.as_str()), (200, "Error", "ErrorInternalServerError"));
    assert!(xml.contains(&("InnerErrorResponseCode".to_owned(), "ErrorADUnavailable".to_owned())));
    let plain = Fault::Inside { code: "ErrorInternalServerTransientError".to_owned(), inner: None };
    assert_eq!(told(plain), is(200, "Error", "ErrorInternalServerTransientError", vec![]));
}

#[test]
fn what_stands_in_between_answers_without_soap() {
    let organisation = organisation();
    let reply = |fault: Fault| {
        once(&organisation, fault);
        send(&organisation, &body())
    };
    let page = reply(Fault::Status { status: 503, retry_after: Some("120".to_owned()) });
    assert_eq!((page.status.as_u16(), &page.headers["retry-after"]), (503, &"120".parse().unwrap()));
    let page = reply(Fault::Html);
    assert_eq!((page.status.as_u16(), &page.headers["content-type"]), (200, &"text/html".parse().unwrap()));
    let away = reply(Fault::Redirect("https://mail.elsewhere.example/".to_owned()));
    assert_eq!(
        (away.status.as_u16(), &away.headers["location"]),
        (302, &"https://mail.elsewhere.example/".parse().unwrap())
    );
    let error = reply(Fault::HostError);
    assert_eq!(error.status.as_u16(), 500);
    assert!(String::from_utf8_lossy(&error.body).contains("Server Error in '/EWS' Application"));
    let empty = reply(Fault::EmptyBody);
    assert_eq!((empty.status.as_u16(), empty.body.len()), (200, 0));
}

#[test]
fn connections_end_early_hang_or_wait() {
    let organisation = organisation();
    let reply = |fault: Fault| {
        once(&organisation, fault);
        send(&organisation, &body())
    };
    assert_eq!(reply(Fault::Cut).ending, Ending::CutBefore);
    assert_eq!(reply(Fault::CutInside).ending, Ending::CutInside);
    assert_eq!(reply(Fault::Hang).ending, Ending::Never);
    let late = reply(Fault::Delay(Duration::from_secs(3)));
    assert_eq!((late.ending, late.delay, late.status.as_u16()), (Ending::Whole, Duration::from_secs(3), 200));
    assert_eq!(organisation.log().all()[0].status, None);
}

#[test]
fn lies_about_rows_look_like_success() {
    let organisation = organisation();
    let told = |fault: Fault| {
        once(&organisation, fault);
        let answer = resolve(&organisation, "ann");
        (answer.rows.len(), answer.last, answer.code)
    };
    let many = "ErrorNameResolutionMultipleResults";
    let is = |rows: usize, last: Option<&str>, code: &str| (rows, last.map(str::to_owned), code.to_owned());
    assert_eq!(told(Fault::SilentCap(5)), is(5, Some("true"), many));
    assert_eq!(told(Fault::DuplicateRows), is(40, Some("true"), many));
    assert_eq!(told(Fault::NeverLast), is(20, Some("false"), many));
    assert_eq!(told(Fault::NoResults), is(0, None, "ErrorNameResolutionNoResults"));
    assert_eq!(told(Fault::EmptySet), is(0, Some("true"), "NoError"));
    assert_eq!(told(Fault::AnswerTo("ann01".to_owned())), is(1, Some("true"), "NoError"));
    let (some, last, _) = told(Fault::DropRows { percent: 50, seed: 1 });
    assert!((1..20).contains(&some));
    assert_eq!(last.as_deref(), Some("true"));
    let (seen, ..) = told(Fault::HidePercent { percent: 50, seed: 1 });
    assert!((1..20).contains(&seen));
    // Who is hidden so is hidden by each way, and always the same.
    let again = |entry: &str| resolve(&organisation, entry).rows.len();
    assert_eq!(again("ann"), seen);
    assert_eq!((0..20).map(|number| again(&format!("smtp:ann{number:02}@corp.example"))).sum::<usize>(), seen);
    once(&organisation, Fault::BareRows);
    let bare = resolve(&organisation, "ann01").rows.remove(0);
    assert_eq!((bare.address.as_str(), bare.routing.as_str(), bare.kind.as_str()), ("ann01@corp.example", "", ""));
    once(&organisation, Fault::SilentCap(5));
    assert_eq!(expand(&organisation, "team").rows.len(), 5);
    once(&organisation, Fault::EmptySet);
    assert_eq!(expand(&organisation, "team").code, "NoError");
}

#[test]
fn answers_of_another_time_or_to_another_call_can_be_had() {
    let organisation = organisation();
    organisation.mark();
    let first = organisation.find("ann00@corp.example").unwrap();
    organisation.remove(first);
    organisation.faults().on(On::call(Call::ResolveNames).nth(2), Fault::Stale);
    assert_eq!(resolve(&organisation, "ann00").rows.len(), 0);
    assert_eq!(resolve(&organisation, "ann00").rows.len(), 1);
    assert_eq!(resolve(&organisation, "ann00").rows.len(), 0);
    resolve(&organisation, "ann07");
    once(&organisation, Fault::AnswerBefore);
    assert_eq!(resolve(&organisation, "ann08").names(), ["ann07"]);
    // Each answer is that to the call before.
    assert_eq!(resolve(&organisation, "ann09").names(), ["ann08"]);
}

#[test]
fn text_is_cut_blown_up_or_poisoned() {
    let organisation = organisation();
    let reply = |fault: Fault| {
        once(&organisation, fault);
        send(&organisation, &body()).body
    };
    let parsed = |text: &[u8]| {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        std::str::from_utf8(text).is_ok_and(|text| roxmltree::Document::parse_with_options(text, options).is_ok())
    };
    organisation.faults().clear();
    let good = send(&organisation, &body()).body;
    assert!(parsed(&good));
    assert!(!parsed(&reply(Fault::TruncatedXml)));
    let large = reply(Fault::Oversized(1_000_000));
    assert!(parsed(&large));
    assert_eq!(large.len(), 1_000_000);
    let named = reply(Fault::LongName(70_000));
    assert!(parsed(&named));
    assert_eq!(named.len(), good.len() + 70_000);
    let deep = reply(Fault::Deep(500));
    assert_eq!(deep.len(), good.len() + 500 * 7);
    let bomb = reply(Fault::EntityBomb);
    assert!(bomb.len() < 10_000 && !parsed(&bomb));
    assert!(String::from_utf8_lossy(&bomb).contains("<!DOCTYPE"));
    assert!(String::from_utf8_lossy(&reply(Fault::ExternalEntity)).contains("SYSTEM"));
    assert!(std::str::from_utf8(&reply(Fault::BadText)).is_err());
}

#[test]
fn rules_count_the_calls_that_they_are_about() {
    let organisation = organisation();
    let faults = organisation.faults();
    faults.on(On::call(Call::ExpandDl).from(3), Fault::Status { status: 503, retry_after: None });
    faults.on(On::any().entry("ann01").nth(1), Fault::NoResults);
    faults.on(On::any().containing("02").every(2).times(3), Fault::NoResults);
    let expanded: Vec<u16> = (0..4).map(|_| expand(&organisation, "team").status).collect();
    assert_eq!(expanded, [200, 200, 503, 503]);
    let found = |entry: &str| resolve(&organisation, entry).rows.len();
    assert_eq!([found("ann01"), found("ann01")], [0, 1]);
    assert_eq!((0..6).map(|_| found("ann02")).collect::<Vec<_>>(), [1, 0, 1, 1, 1, 1]);
    assert_eq!(faults.pending(), 0);
}
