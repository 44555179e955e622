//! Budgets, calls at a time, mailboxes and acting for others; it knows no socket.

use std::time::Duration;

use tenantry_fakes::ews::{Budget, Clock, Organisation, Recipient};

use super::{Answer, expand, resolve, resolving, send, soap, version};

fn organisation() -> Organisation {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann"));
    organisation
}

#[test]
fn a_budget_that_is_spent_is_told_with_the_time_until_it_is_full_again() {
    let clock = Clock::manual();
    let organisation = organisation().with_clock(clock.clone());
    organisation.edit_settings(|settings| settings.budget = Some(Budget { calls: 2, per: Duration::from_mins(5) }));
    assert_eq!(resolve(&organisation, "ann").status, 200);
    clock.advance(Duration::from_secs(100));
    assert_eq!(resolve(&organisation, "ann").status, 200);
    let busy = resolve(&organisation, "ann");
    assert_eq!((busy.status, busy.class.as_str(), busy.code.as_str()), (500, "Fault", "ErrorServerBusy"));
    assert_eq!(busy.told("BackOffMilliseconds"), Some("200000"));
    clock.advance(Duration::from_millis(199_999));
    assert_eq!(resolve(&organisation, "ann").told("BackOffMilliseconds"), Some("1"));
    clock.advance(Duration::from_millis(1));
    assert_eq!(resolve(&organisation, "ann").status, 200);
    assert_eq!(organisation.log().answered("ErrorServerBusy"), 2);
}

#[test]
fn who_has_no_mailbox_resolves_nothing_but_expands() {
    let organisation = organisation();
    organisation.set_mailbox(false);
    let answer = resolve(&organisation, "ann");
    assert_eq!(
        (answer.status, answer.class.as_str(), answer.code.as_str()),
        (200, "Error", "ErrorNameResolutionNoMailbox")
    );
    assert_eq!(expand(&organisation, "ann").code, "ErrorNameResolutionNoResults");
}

#[test]
fn acting_for_another_takes_the_right_and_a_mailbox() {
    let organisation = organisation();
    organisation.add(Recipient::contact("press"));
    organisation.set_mailbox(false);
    let ask = |identity: &str| {
        let headers = format!(
            "{}<t:ExchangeImpersonation><t:ConnectingSID>{identity}</t:ConnectingSID></t:ExchangeImpersonation>",
            version("Exchange2013")
        );
        let call = resolving(r#"ReturnFullContactData="false""#, "ann");
        Answer::read(&send(&organisation, &soap(&headers, &call))).code
    };
    let ann = "<t:PrimarySmtpAddress>ann@corp.example</t:PrimarySmtpAddress>";
    assert_eq!(ask(ann), "ErrorImpersonateUserDenied");
    organisation.set_impersonation(true);
    assert_eq!(ask(ann), "NoError");
    assert_eq!(ask("<t:SmtpAddress>press@corp.example</t:SmtpAddress>"), "ErrorNonExistentMailbox");
    assert_eq!(ask("<t:Unheard>x</t:Unheard>"), "ErrorSchemaValidation");
}
