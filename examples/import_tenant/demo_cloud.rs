//! What the demo company keeps in Office 365: an office abroad, guests, rooms, groups, laptops, and people whom its domain
//! controller shows too. It knows no endpoint.

use serde_json::json;
use tenantry_fakes::graph::{GroupKind, Tenant};
use tenantry_fakes::ldap::Directory;

/// Fills a tenant; some of its people are in the domain as well.
pub(crate) fn tenant(domain: &Directory) -> Tenant {
    let tenant = Tenant::new("harbour.example");
    tenant.set_display_name("Harbour");
    let person = |nick: &str, given: &str, surname: &str, title: &str| {
        let user = tenant.user(nick).named(given, surname).with("jobTitle", json!(title));
        user.second_factor(true).with("department", json!("Quay West"))
    };
    let ines = person("imoreau", "Inès", "Moreau", "Office Manager").alias("quaywest@harbour.example").create();
    let tom = person("tadeyemi", "Tòmá", "Adéyẹmí", "Ship Broker").create();
    let runa = person("rberg", "Rúna", "Berg", "Ship Broker").create();
    let vera = person("vhorak", "Věra", "Horák", "Accountant").create();
    let sol = person("skim", "솔", "김", "Translator").create();
    person("oldmate", "Piet", "de Vos", "Ship Broker").disabled().create();
    let notary = tenant.guest("notary").named("Nils", "Grün").create();
    tenant.user("quay-room").shared_mailbox().with("displayName", json!("Quay West, meeting room")).disabled().create();

    let team = tenant.group("Quay West", GroupKind::Microsoft365).description("The office abroad");
    team.members([ines, tom, runa, vera, sol]).create();
    tenant.group("Brokers", GroupKind::Security).members([tom, runa, notary]).create();
    tenant.group("Invoices", GroupKind::Distribution).member(vera).create();

    tenant.device("QW-LT-01").owner(ines).create();
    tenant.device("QW-LT-02").owner(tom).create();
    tenant.device("QW-PHONE-01").with("operatingSystem", json!("Android")).owner(runa).create();
    seen_twice(&tenant, domain);
    tenant
}

/// Adds people whom the domain controller shows too, one for each way in which that can be told.
fn seen_twice(tenant: &Tenant, domain: &Directory) {
    // Synchronised: the anchor is the account's objectGUID, whatever the names are.
    let synced = |account: &str| tenant.user(account).synced(account).anchor(domain.guid_of(account).to_wire());
    synced("alind").named("Åsa", "Lindqvist").second_factor(true).create();
    synced("eoconnell").named("Eamon", "O'Connell").second_factor(false).create();
    // Made by hand over there: an address in a domain of the customer's, which nobody else has.
    tenant.user("sreya.nair").named("Sreya", "Nair").second_factor(true).create();
    // A guest who is a contact in the domain: an address elsewhere, so that it takes both names to tell.
    tenant.guest("mei").mail("mei@tugboats.example").named("Mei", "Fuller").create();
}

/// Lets a day pass: a hire, a leaver who may come back, a new member.
pub(crate) fn pass_a_day(tenant: &Tenant) {
    let jun = tenant.user("jito").named("純", "伊藤").with("jobTitle", json!("Ship Broker")).create();
    tenant.delete_softly(tenant.id("vhorak"));
    tenant.add_member(tenant.id("Brokers"), jun);
}
