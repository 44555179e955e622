//! Who is in a group, one level at a time; it knows no sign-in.

use tenantry_fakes::ews::{Member, Nothing, Organisation, Recipient, Rule};

use super::expand;

fn nested() -> Organisation {
    let organisation = Organisation::new("corp.example");
    let ann = organisation.add(Recipient::user("ann").named("Ann", "Berg").job("Sales", "Clerk"));
    let bob = organisation.add(Recipient::contact("bob").primary("bob@partner.example").hide());
    let inner = organisation.add(Recipient::group("inner").members([ann]));
    let outer = organisation.add(Recipient::group("outer").displayed("Outer list").members([inner, bob]));
    organisation.add_member(inner, outer);
    organisation.add_member(outer, Member::Unaddressed("Nobody's mail".to_owned()));
    organisation
}

#[test]
fn one_level_is_told_and_a_circle_is_the_clients_affair() {
    let organisation = nested();
    let outer = expand(&organisation, "outer@corp.example");
    assert_eq!(
        (outer.class.as_str(), outer.last.as_deref(), outer.total.as_deref()),
        ("Success", Some("true"), Some("2"))
    );
    assert_eq!(outer.addresses(), ["inner@corp.example", "bob@partner.example"]);
    assert_eq!(outer.rows[0].kind, "PublicDL");
    assert_eq!(expand(&organisation, "inner@corp.example").addresses(), ["ann@corp.example", "outer@corp.example"]);
}

#[test]
fn a_group_is_known_by_any_address_its_alias_its_legacy_name_or_its_whole_name() {
    let organisation = nested();
    let outer = organisation.find("outer@corp.example").unwrap();
    organisation.readdress(outer, "new@corp.example");
    let legacy = organisation.get(outer).unwrap().legacy_name;
    for name in ["new@corp.example", "OUTER@corp.example", "outer", "Outer list", &legacy] {
        assert_eq!(expand(&organisation, name).rows.len(), 2, "{name}");
    }
    assert_eq!(expand(&organisation, "Outer").rows.len(), 2);
    assert_eq!(expand(&organisation, "Outer lis").rows.len(), 0);
    assert_eq!(expand(&organisation, "ann@corp.example").code, "ErrorNameResolutionNoResults");
}

#[test]
fn what_is_empty_unknown_or_hidden_is_answered_as_it_is_set() {
    let organisation = nested();
    organisation.add(Recipient::group("void"));
    organisation.add(Recipient::group("secret").member(organisation.find("ann@corp.example").unwrap()).hide());
    let answers =
        || ["void", "unknown", "secret"].map(|name| expand(&organisation, &format!("{name}@corp.example")).code);
    assert_eq!(answers(), ["NoError", "ErrorNameResolutionNoResults", "ErrorNameResolutionNoResults"]);
    organisation.edit_settings(|settings| {
        settings.empty_group = Nothing::NoResults;
        (settings.unknown_group, settings.hidden_group) = (Nothing::Empty, Nothing::Empty);
    });
    assert_eq!(answers(), ["ErrorNameResolutionNoResults", "NoError", "NoError"]);
    assert_eq!(expand(&organisation, "secret@corp.example").rows.len(), 0);
}

#[test]
fn hidden_members_are_told_unless_they_are_left_out_and_a_cap_is_told() {
    let organisation = nested();
    assert_eq!(expand(&organisation, "outer").rows.len(), 2);
    organisation.edit_settings(|settings| settings.hidden_members_left_out = true);
    assert_eq!(expand(&organisation, "outer").addresses(), ["inner@corp.example"]);
    organisation.edit_settings(|settings| {
        settings.hidden_members_left_out = false;
        settings.member_cap = Some(1);
    });
    let cut = expand(&organisation, "outer");
    assert_eq!((cut.rows.len(), cut.last.as_deref()), (1, Some("false")));
}

#[test]
fn members_without_an_address_are_missing() {
    let organisation = nested();
    let ann = organisation.find("ann@corp.example").unwrap();
    organisation.edit(ann, |ann| ann.addresses.clear());
    let inner = expand(&organisation, "inner");
    assert_eq!((inner.addresses(), inner.total.as_deref()), (vec!["outer@corp.example"], Some("1")));
}

#[test]
fn a_dynamic_group_has_whom_its_rule_means_now() {
    let organisation = nested();
    organisation.add(Recipient::dynamic_group("sales", Rule::Department("SALES".to_owned())));
    assert_eq!(expand(&organisation, "sales").addresses(), ["ann@corp.example"]);
    organisation.add(Recipient::user("eve").job("Sales", "Head"));
    assert_eq!(expand(&organisation, "sales").addresses(), ["ann@corp.example", "eve@corp.example"]);
}

#[test]
fn who_is_removed_is_in_no_group_any_more() {
    let organisation = nested();
    let inner = organisation.find("inner@corp.example").unwrap();
    let ann = organisation.find("ann@corp.example").unwrap();
    organisation.remove(ann);
    assert_eq!(expand(&organisation, "inner").addresses(), ["outer@corp.example"]);
    organisation.remove_member(inner, organisation.find("outer@corp.example").unwrap());
    assert_eq!(organisation.members(inner), []);
}
