//! What becomes of results, one by one.

use tenantry::model::Facet;

use super::super::answer::{Contact, Mailbox, Resolution};
use super::*;

fn result(kind: &str, address: &str, contact: Option<Contact>) -> Resolution {
    let mailbox = Mailbox {
        name: "Ann Lee".into(),
        address: address.into(),
        routing: "SMTP".into(),
        kind: kind.into(),
        is_own: false,
    };
    Resolution { mailbox, contact }
}

fn contact(addresses: &[&str]) -> Contact {
    Contact {
        display_name: Some("Lee, Ann".into()),
        given_name: Some("Ann".into()),
        surname: Some("Lee".into()),
        alias: Some("alee".into()),
        title: Some("Miner".into()),
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        source: Some("ActiveDirectory".into()),
        ..Contact::default()
    }
}

fn patch(resolution: &Resolution) -> Patch {
    match object(resolution, true) {
        Mapped::Object(patch) => *patch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mailbox_is_a_user_of_whom_much_is_unknown() {
    let ann = patch(&result("Mailbox", "Ann.Lee@corp.example", Some(contact(&["SMTP:Ann.Lee@corp.example"]))));
    assert_eq!((ann.object.kind, &ann.object.id), (ObjectKind::User, &SourceId::address("ann.lee@corp.example")));
    assert!(ann.object.id.is_weak());
    assert_eq!((ann.facet, ann.container.as_ref(), ann.primary_group.as_ref()), (Facet::Core, None, None));
    let text = |name| ann.attributes.text(&name);
    assert_eq!(text(names::PRIMARY_EMAIL), Some("Ann.Lee@corp.example"));
    assert_eq!((text(names::FIRST_NAME), text(names::LAST_NAME)), (Some("Ann"), Some("Lee")));
    assert_eq!(text(names::DISPLAY_NAME), Some("Lee, Ann"));
    assert_eq!(ann.attributes.get(&AttributeName::extra("department")), Some(&Value::Empty));
    // Person, shared or room; enabled or not; which login: nobody tells.
    for unknown in [names::KIND, names::STATE, names::USERNAME, names::MFA, names::LOCKED_OUT] {
        assert_eq!(ann.attributes.get(&unknown), None, "{unknown}");
    }
}

#[test]
fn two_addresses_are_all_and_three_may_be_some() {
    let all =
        patch(&result("Mailbox", "a@corp.example", Some(contact(&["smtp:old@corp.example", "SMTP:a@corp.example"]))));
    assert_eq!(all.attributes.get(&names::ALIASES), Some(&Value::list(["old@corp.example"])));
    assert_eq!(all.attributes.get(&AttributeName::extra("some_aliases")), Some(&Value::Empty));
    let none = patch(&result("Mailbox", "a@corp.example", Some(contact(&["SMTP:a@corp.example"]))));
    assert_eq!(none.attributes.get(&names::ALIASES), Some(&Value::Empty));
    let some = contact(&["smtp:b@corp.example", "SMTP:a@corp.example", "X500:/o=x"]);
    let some = patch(&result("Mailbox", "a@corp.example", Some(some)));
    assert_eq!(some.attributes.get(&names::ALIASES), None);
    assert_eq!(some.attributes.get(&AttributeName::extra("some_aliases")), Some(&Value::list(["b@corp.example"])));
    // Not told at all is not none.
    let bare = patch(&result("Mailbox", "a@corp.example", None));
    assert_eq!((bare.attributes.get(&names::ALIASES), bare.attributes.get(&names::FIRST_NAME)), (None, None));
    assert_eq!(bare.attributes.text(&names::DISPLAY_NAME), Some("Ann Lee"));
}

#[test]
fn an_older_server_that_leaves_out_a_title_does_not_say_that_there_is_none() {
    let mut ann = contact(&["SMTP:a@corp.example"]);
    ann.title = None;
    let ann = result("Mailbox", "a@corp.example", Some(ann));
    let title = |full| match object(&ann, full) {
        Mapped::Object(patch) => patch.attributes.get(&AttributeName::extra("title")).cloned(),
        other => panic!("{other:?}"),
    };
    assert_eq!((title(true), title(false)), (Some(Value::Empty), None));
}

#[test]
fn the_primary_address_is_found_wherever_it_stands() {
    let mut resolution =
        result("Mailbox", "/o=Corp/cn=ann", Some(contact(&["smtp:old@corp.example", "SMTP:new@corp.example"])));
    resolution.mailbox.routing = "EX".into();
    assert_eq!(primary(&resolution), Some("new@corp.example"));
    resolution.contact = None;
    assert_eq!(primary(&resolution), None);
    assert_eq!(primary(&result("Mailbox", "SMTP:a@corp.example", None)), Some("a@corp.example"));
    for wrong in ["", "ann", "@corp.example", "ann@", "a b@corp.example", "a\u{7}@corp.example"] {
        assert_eq!(primary(&result("Mailbox", wrong, None)), None, "{wrong:?}");
    }
}

#[test]
fn what_is_not_of_the_directory_is_left_out() {
    let mut own = result("Contact", "x@corp.example", None);
    own.mailbox.is_own = true;
    let mut stored = result("Contact", "x@corp.example", Some(contact(&[])));
    stored.contact.as_mut().unwrap().source = Some("Store".into());
    for left in
        [own, stored, result("PrivateDL", "x@corp.example", None), result("PublicFolder", "x@corp.example", None)]
    {
        assert!(matches!(object(&left, true), Mapped::Left(_)), "{left:?}");
    }
    for system in
        ["HealthMailbox0123@corp.example", "SystemMailbox{bb558c35}@corp.example", "DiscoverySearchMailbox {D9}@x"]
    {
        let mut mailbox = result("Mailbox", "x@corp.example", None);
        mailbox.mailbox.name = system.into();
        assert!(matches!(object(&mailbox, true), Mapped::Left(_)), "{system}");
    }
}

#[test]
fn a_type_that_is_not_known_is_set_aside_with_its_address() {
    for kind in ["", "Unknown", "Hologram"] {
        let Mapped::Senseless(quarantined) = object(&result(kind, "X@corp.example", None), true) else { panic!() };
        assert_eq!(quarantined.id, Some(SourceId::address("x@corp.example")), "{kind}");
    }
    let Mapped::Senseless(quarantined) = object(&result("PublicDL", "nothing", None), true) else { panic!() };
    assert_eq!((quarantined.kind, quarantined.id), (ObjectKind::Group, None));
}

#[test]
fn groups_have_a_name_and_an_address_and_no_kind_that_nobody_told() {
    let group = patch(&result("PublicDL", "Team@corp.example", Some(contact(&["SMTP:Team@corp.example"]))));
    assert_eq!(group.object.kind, ObjectKind::Group);
    assert_eq!(group.attributes.text(&names::EMAIL), Some("Team@corp.example"));
    assert_eq!((group.attributes.get(&names::KIND), group.attributes.get(&names::PRIMARY_EMAIL)), (None, None));
    let cloud = patch(&result("GroupMailbox", "g@corp.example", None));
    assert_eq!(cloud.attributes.text(&names::KIND), Some("microsoft365"));
    let contact = patch(&result("Contact", "c@partner.example", None));
    assert_eq!(contact.attributes.text(&names::KIND), Some("contact"));
}

#[test]
fn every_attribute_has_the_shape_that_the_contract_allows() {
    for kind in ["Mailbox", "Contact", "PublicDL", "GroupMailbox"] {
        let patch = patch(&result(kind, "a@corp.example", Some(contact(&["SMTP:a@corp.example"]))));
        for (name, _) in patch.attributes.iter() {
            assert!(names::shape(patch.object.kind, name).is_some(), "{kind} {name}");
        }
    }
}
