//! Whom an entry means, and how they are shown; it knows no sign-in.

use tenantry_fakes::ews::{AddressOrder, Folding, Kind, Matching, Organisation, Paging, Recipient, Routing, Size};

use super::{expand, resolve, resolve_with, send, soap, version};

const FULL: &str = r#"ReturnFullContactData="true" SearchScope="ActiveDirectory""#;

fn people() -> Organisation {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann").named("Ann", "van der Berg").office("North 12"));
    organisation.add(Recipient::user("b.elan").named("Béatrice", "Élan").primary("bea@corp.example"));
    organisation.add(Recipient::mail_user("ivan").named("Иван", "Йорданов").primary("ivan@partner.example"));
    organisation.add(Recipient::contact("press").displayed("Berghain press").primary("desk@press.example"));
    organisation.add(Recipient::group("staff").displayed("All staff"));
    organisation.add(Recipient::room("r1").displayed("Room 1"));
    organisation
}

#[test]
fn an_entry_means_all_whose_first_last_shown_name_office_alias_or_address_begins_so() {
    let organisation = people();
    let found = |entry: &str| resolve(&organisation, entry).addresses().join(" ");
    assert_eq!(found("ann"), "ann@corp.example");
    assert_eq!(found("van"), "ann@corp.example");
    assert_eq!(found("berg"), "ann@corp.example desk@press.example");
    assert_eq!(found("north"), "ann@corp.example");
    assert_eq!(found("b.el"), "bea@corp.example");
    assert_eq!(found("desk@pr"), "desk@press.example");
    assert_eq!(found("der Be"), "ann@corp.example");
    assert_eq!(found("van ann"), "ann@corp.example");
    assert_eq!(found("ann van d"), "ann@corp.example");
    assert_eq!(found(" ann "), "ann@corp.example");
    // In the middle of a word nothing is found, nor in the domain.
    assert_eq!(found("erg"), "");
    assert_eq!(found("corp"), "");
}

#[test]
fn case_and_accents_make_no_difference_unless_they_are_told_to() {
    let organisation = people();
    let found = |entry: &str| resolve(&organisation, entry).addresses().join(" ");
    assert_eq!(found("ELAN"), "bea@corp.example");
    assert_eq!(found("élan"), "bea@corp.example");
    assert_eq!(found("иорд"), "ivan@partner.example");
    assert_eq!(found("ИВАН"), "ivan@partner.example");
    organisation.compare(Folding::Case, Matching::Words);
    assert_eq!(found("elan"), "");
    assert_eq!(found("ÉLAN"), "bea@corp.example");
    assert_eq!(found("иорд"), "");
}

#[test]
fn where_a_match_may_begin_can_be_set() {
    let organisation = people();
    organisation.compare(Folding::Directory, Matching::Attributes);
    assert_eq!(resolve(&organisation, "berg").addresses(), ["desk@press.example"]);
    assert_eq!(resolve(&organisation, "ann van").addresses(), ["ann@corp.example"]);
    organisation.compare(Folding::Directory, Matching::Parts);
    assert_eq!(resolve(&organisation, "corp").rows.len(), 4);
}

#[test]
fn an_entry_with_a_routing_prefix_means_all_with_such_an_address() {
    let organisation = people();
    let old = Recipient::user("carl").address("c.old@corp.example").address("sip:carl@chat.example");
    let carl = organisation.add(old.address("x500:/o=Old/cn=carl"));
    assert_eq!(resolve(&organisation, "c.old").code, "ErrorNameResolutionNoResults");
    for entry in ["smtp:c.ol", "SMTP:C.OLD@corp.example", "sip:carl", "x500:/o=old/cn=carl"] {
        assert_eq!(resolve(&organisation, entry).addresses(), ["carl@corp.example"], "{entry}");
    }
    organisation.readdress(carl, "charles@corp.example");
    assert_eq!(resolve(&organisation, "smtp:carl@corp.example").addresses(), ["charles@corp.example"]);
    organisation.drop_address(carl, "carl@corp.example");
    assert_eq!(resolve(&organisation, "smtp:carl@corp.example").code, "ErrorNameResolutionNoResults");
}

#[test]
fn none_is_an_error_one_is_success_and_more_are_a_warning() {
    let organisation = people();
    let none = resolve(&organisation, "nobody");
    assert_eq!((none.status, none.class.as_str(), none.code.as_str()), (200, "Error", "ErrorNameResolutionNoResults"));
    let one = resolve(&organisation, "ann");
    assert_eq!((one.class.as_str(), one.code.as_str(), one.last.as_deref()), ("Success", "NoError", Some("true")));
    assert_eq!(one.total.as_deref(), Some("1"));
    let two = resolve(&organisation, "berg");
    assert_eq!((two.class.as_str(), two.code.as_str()), ("Warning", "ErrorNameResolutionMultipleResults"));
}

#[test]
fn the_first_hundred_in_the_directorys_order_are_all_that_is_told() {
    let organisation = Organisation::new("corp.example");
    for number in 0..150 {
        organisation.add(Recipient::user(format!("user{:03}", 149 - number)));
    }
    let cut = resolve(&organisation, "user");
    assert_eq!((cut.rows.len(), cut.last.as_deref(), cut.class.as_str()), (100, Some("false"), "Warning"));
    assert_eq!(cut.rows[0].name, "user149");
    assert_eq!(cut.rows[99].name, "user050");
    organisation.edit_settings(|settings| settings.cap = 150);
    assert_eq!(resolve(&organisation, "user").last.as_deref(), Some("true"));
    let shown = |paging: Paging, cap: usize| {
        organisation.edit_settings(|settings| (settings.paging, settings.cap) = (paging, cap));
        let answer = resolve(&organisation, "user");
        (answer.total, answer.last)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(shown(Paging::Digits, 100), (text("100"), text("0")));
    assert_eq!(shown(Paging::Digits, 200), (text("150"), text("1")));
    assert_eq!(shown(Paging::NoTotal, 100), (text("0"), text("false")));
    assert_eq!(shown(Paging::Absent, 100), (None, None));
}

#[test]
fn hidden_recipients_are_not_found_until_they_are_shown_again() {
    let organisation = people();
    let ann = organisation.find("ann@corp.example").unwrap();
    organisation.hide(ann);
    for entry in ["ann", "smtp:ann@corp.example", "ann@corp.example", &organisation.get(ann).unwrap().legacy_name] {
        assert_eq!(resolve(&organisation, entry).code, "ErrorNameResolutionNoResults", "{entry}");
    }
    organisation.edit_settings(|settings| settings.hidden_by_address = true);
    assert_eq!(resolve(&organisation, "smtp:ann@corp.example").rows.len(), 1);
    assert_eq!(resolve(&organisation, "ann@corp.example").rows.len(), 1);
    assert_eq!(resolve(&organisation, "ann").rows.len(), 0);
    organisation.unhide(ann);
    assert_eq!(resolve(&organisation, "ann").rows.len(), 1);
}

#[test]
fn mailboxes_of_all_kinds_are_told_as_one_kind() {
    let organisation = people();
    let kinds = |entry: &str| resolve(&organisation, entry).rows[0].kind.clone();
    assert_eq!(kinds("ann"), "Mailbox");
    assert_eq!(kinds("room"), "Mailbox");
    assert_eq!(kinds("press"), "Contact");
    assert_eq!(kinds("all staff"), "PublicDL");
    assert_eq!(kinds("иван"), "Mailbox");
    organisation.edit_settings(|settings| settings.mail_users_are_contacts = true);
    assert_eq!(kinds("иван"), "Contact");
}

#[test]
fn contacts_are_told_when_they_are_asked_for_and_whole_only_by_shape() {
    let organisation = Organisation::new("corp.example");
    let boss = organisation.add(Recipient::user("boss").named("Bea", "Boss"));
    let mut ann = Recipient::user("ann").named("Ann", "Berg").office("N & 1").job("Sales", "Clerk");
    (ann.manager, ann.phone, ann.notes) = (Some(boss), "+49 30 1".to_owned(), "a < b".to_owned());
    organisation.add(ann);
    assert_eq!(resolve(&organisation, "ann").rows[0].contact, None);
    let ask = |attributes: &str| {
        let call = super::resolving(&format!("{FULL} {attributes}"), "ann");
        super::Answer::read(&send(&organisation, &soap(&version("Exchange2010_SP2"), &call))).rows.remove(0)
    };
    let plain = ask("");
    for (name, text) in [
        ("DisplayName", "Ann Berg"),
        ("GivenName", "Ann"),
        ("Surname", "Berg"),
        ("Department", "Sales"),
        ("JobTitle", "Clerk"),
        ("OfficeLocation", "N & 1"),
        ("Manager", "Bea Boss"),
        ("ContactSource", "ActiveDirectory"),
    ] {
        assert_eq!(plain.told(name), Some(text), "{name}");
    }
    assert_eq!(plain.told("Alias"), None);
    assert_eq!(ask(r#"ContactDataShape="Default""#), plain);
    assert_eq!(ask(r#"ContactDataShape="IdOnly""#).contact, None);
    let whole = ask(r#"ContactDataShape="AllProperties""#);
    assert_eq!((whole.told("Alias"), whole.told("Notes")), (Some("ann"), Some("a < b")));
}

#[test]
fn three_addresses_are_shown_and_the_primary_one_may_be_the_second() {
    let organisation = Organisation::new("corp.example");
    let mut ann = Recipient::user("ann");
    ann.addresses =
        ["smtp:old@corp.example", "smtp:older@corp.example", "sip:ann@corp.example", "SMTP:ann@corp.example"]
            .map(str::to_owned)
            .to_vec();
    organisation.add(ann);
    let entries = |order: AddressOrder| {
        organisation.edit_settings(|settings| settings.address_order = order);
        let row = resolve_with(&organisation, FULL, "ann").rows.remove(0);
        assert_eq!(row.address, "ann@corp.example");
        row.entries.into_iter().map(|(_, address)| address).collect::<Vec<_>>()
    };
    let (old, older, new) = ("smtp:old@corp.example", "smtp:older@corp.example", "SMTP:ann@corp.example");
    assert_eq!(entries(AddressOrder::AsStored), [old, older, new]);
    assert_eq!(entries(AddressOrder::PrimaryFirst), [new, old, older]);
    assert_eq!(entries(AddressOrder::PrimarySecond), [old, new, older]);
    let keys =
        resolve_with(&organisation, FULL, "ann").rows[0].entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys, ["EmailAddress1", "EmailAddress2", "EmailAddress3"]);
}

#[test]
fn a_legacy_name_in_an_answer_leads_to_the_address_when_it_is_asked_for() {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann").routed(Routing::ExUnlessAsked));
    organisation.add(Recipient::user("bob").routed(Routing::Ex));
    let ann = resolve(&organisation, "ann").rows.remove(0);
    assert_eq!(ann.routing, "EX");
    assert!(ann.address.starts_with("/o=Corp/ou="));
    for entry in [ann.address.clone(), ann.address.to_uppercase(), format!("EX:{}", ann.address)] {
        let again = resolve(&organisation, &entry).rows.remove(0);
        assert_eq!((again.routing.as_str(), again.address.as_str()), ("SMTP", "ann@corp.example"));
    }
    let bob = resolve(&organisation, "bob").rows.remove(0);
    assert_eq!(resolve(&organisation, &bob.address).rows[0], bob);
}

#[test]
fn the_service_accounts_own_contacts_come_where_the_scope_includes_them() {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann"));
    organisation.personal_contact("Anna Private", "anna@home.example");
    organisation.personal_list("Ants", &[("Ant", "ant@home.example")]);
    let found = |scope: &str| resolve_with(&organisation, &format!(r#"ReturnFullContactData="true" {scope}"#), "an");
    let names = |scope: &str| found(scope).names().join("|");
    assert_eq!(names(r#"SearchScope="ActiveDirectory""#), "ann");
    assert_eq!(names(r#"SearchScope="Contacts""#), "Anna Private|Ants");
    assert_eq!(names(r#"SearchScope="ContactsActiveDirectory""#), "Anna Private|Ants|ann");
    assert_eq!(names(r#"SearchScope="ActiveDirectoryContacts""#), "ann|Anna Private|Ants");
    let default = found("");
    assert_eq!(default.names(), ["ann", "Anna Private", "Ants"]);
    assert_eq!(default.rows[0].item, None);
    assert!(default.rows[1].item.is_some());
    assert_eq!(default.rows[1].told("ContactSource"), Some("Store"));
    assert_eq!(default.rows[2].kind, "PrivateDL");
    let call = format!(
        r#"<m:ExpandDL><m:Mailbox><t:ItemId Id="{}"/></m:Mailbox></m:ExpandDL>"#,
        default.rows[2].item.as_ref().unwrap()
    );
    let members = super::Answer::read(&send(&organisation, &soap("", &call)));
    assert_eq!(members.addresses(), ["ant@home.example"]);
}

#[test]
fn changes_are_seen_at_once_and_old_state_only_where_it_is_asked_for() {
    let organisation = people();
    let ann = organisation.find("ann@corp.example").unwrap();
    organisation.freeze();
    organisation.rename(ann, "Anna", "Hill");
    assert_eq!(resolve(&organisation, "ann@").names(), ["Ann van der Berg"]);
    organisation.thaw();
    assert_eq!(resolve(&organisation, "hill").names(), ["Anna Hill"]);
    assert_eq!(resolve(&organisation, "van").rows.len(), 0);
    assert!(organisation.remove(ann));
    assert!(!organisation.remove(ann));
    assert_eq!(resolve(&organisation, "hill").rows.len(), 0);
}

#[test]
fn every_visible_recipient_of_a_seeded_organisation_is_found_by_its_own_names() {
    let size = Size { users: 300, groups: 40, foreign_percent: 60, legacy_percent: 0, ..Size::default() };
    let organisation = Organisation::seeded(11, size);
    organisation.edit_settings(|settings| settings.cap = 10_000);
    for (_, recipient) in organisation.visible() {
        let address = recipient.primary_address().unwrap().to_owned();
        for entry in [&recipient.display_name, &recipient.alias, &address, &format!("smtp:{address}")] {
            let answer = resolve(&organisation, entry);
            assert!(answer.addresses().contains(&address.as_str()), "{entry} does not find {address}");
        }
    }
    assert_eq!(organisation.of_kind(Kind::User).len(), 300);
    // Some group of a seed is in a circle: it can be expanded all the same.
    assert_eq!(expand(&organisation, "list-14").status, 200);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about time")]
fn a_hundred_thousand_recipients_are_resolved_without_looking_at_each() {
    let organisation = Organisation::seeded(3, Size { users: 100_000, groups: 0, ..Size::default() });
    // Names that rise with the place are the worst case for a short entry.
    for number in 0..1_000 {
        organisation.add(Recipient::user(format!("zz{number:05}")));
    }
    let entries =
        ["a", "an", "anna", "smtp:a", "berg", "z", "zz", "zz00999", "smtp:anna.b", "nobody", "anna berg", "и"];
    let started = std::time::Instant::now();
    for _ in 0..20 {
        for entry in entries {
            resolve(&organisation, entry);
        }
    }
    let each = started.elapsed() / 20 / u32::try_from(entries.len()).unwrap();
    // Unoptimised, on a busy machine, with all of the XML: looking at everybody would take a hundred times as long.
    assert!(each < std::time::Duration::from_millis(20), "{each:?} each");
}
