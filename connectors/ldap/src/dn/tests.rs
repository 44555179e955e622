//! Names as directories send them, and garbage.

use proptest::prelude::*;

use super::*;

fn dn(text: &str) -> Dn {
    Dn::parse(text).unwrap()
}

#[test]
fn escapes_of_every_kind_mean_the_same() {
    let names = [
        r"CN=Doe\, John,OU=People,DC=corp,DC=example",
        r"cn=doe\2C john,ou=people,dc=CORP,dc=example",
        r#"CN = "Doe, John" , OU=People;DC=corp,DC=example"#,
        r"CN=#0c09446f652c204a6f686e,OU=People,DC=corp,DC=example",
    ];
    for name in names {
        assert_eq!(dn(name), dn(names[0]), "{name}");
        assert_eq!(dn(name).rdn().and_then(Rdn::value).map(str::to_lowercase).as_deref(), Some("doe, john"));
    }
    assert_eq!(dn(names[2]).to_string(), r"CN=Doe\, John,OU=People,DC=corp,DC=example");
}

#[test]
fn multi_valued_rdns_compare_in_any_order() {
    assert_eq!(dn("CN=a+UID=1,DC=x"), dn("uid=1 + cn=A,dc=X"));
    assert_ne!(dn("CN=a+UID=1,DC=x"), dn("CN=a,DC=x"));
}

#[test]
fn a_plus_or_comma_inside_a_value_is_not_a_separator_after_normalising() {
    assert_ne!(dn(r"CN=a\+uid=1,DC=x"), dn("CN=a+UID=1,DC=x"));
    assert_ne!(dn(r"CN=a\,DC\=x"), dn("CN=a,DC=x"));
}

#[test]
fn parents_and_bases_are_found() {
    let name = dn(r"CN=Doe\, John,OU=People,DC=corp,DC=example");
    assert_eq!(name.parent().unwrap(), dn("ou=people,dc=corp,dc=example"));
    assert!(name.is_under(&dn("DC=Corp,DC=Example")));
    assert!(name.is_under(&name));
    assert!(name.is_under(&dn("")));
    assert!(!name.is_under(&dn("DC=orp,DC=example")));
    assert!(!name.is_under(&dn("OU=Other,DC=corp,DC=example")));
    assert_eq!(dn("").parent(), None);
}

#[test]
fn deleted_and_conflicting_objects_are_recognised() {
    let guid = "0b6c1d4e-3f52-4c7a-9d8e-112233445566";
    let deleted = dn(&format!("CN=Anna Berg\\0ADEL:{guid},CN=Deleted Objects,DC=corp,DC=example"));
    let mangled = deleted.mangled().unwrap();
    assert_eq!((mangled.mangling, mangled.original.as_str()), (Mangling::Deleted, "Anna Berg"));
    assert_eq!(mangled.guid.to_string(), guid);
    let conflict = dn(&format!("CN=x\\0ACNF:{guid},DC=corp,DC=example"));
    assert_eq!(conflict.mangled().unwrap().mangling, Mangling::Conflict);
    let raw = dn(&format!("CN=x\nDEL:{guid},DC=corp,DC=example"));
    assert_eq!(raw.mangled().unwrap().mangling, Mangling::Deleted);
    assert_eq!(raw.to_string(), format!("CN=x\\0ADEL:{guid},DC=corp,DC=example"));
    assert_eq!(dn("CN=DEL:x,DC=y").mangled(), None);
}

#[test]
fn what_is_no_name_is_refused_with_a_position() {
    for name in
        ["CN", "=x", "CN=a,", "CN=a,,DC=x", r"CN=a\", r"CN=a\zz", "CN=\"a", "CN=a\"b", "CN=#", "CN=#0g", r"CN=\ff"]
    {
        let error = Dn::parse(name).unwrap_err();
        assert!(error.context("at byte").is_some(), "{name}");
    }
}

#[test]
fn other_scripts_and_blanks_survive() {
    let name = dn(r"CN=Łukasz  Żółć\ ,OU=Ärzte,DC=x");
    assert_eq!(name.rdn().and_then(Rdn::value), Some("Łukasz  Żółć "));
    assert_eq!(name, dn(r"cn=łukasz żółć,ou=ärzte,dc=X"));
    assert_eq!(dn(&name.to_string()).rdn().and_then(Rdn::value), Some("Łukasz  Żółć "));
}

proptest! {
    #[test]
    fn any_value_survives_being_written_and_read(values in proptest::collection::vec(any::<String>(), 1..5)) {
        let text = values.iter().map(|value| format!("CN={}", escape(value))).collect::<Vec<_>>().join(",");
        let name = Dn::parse(&text).unwrap();
        let read: Vec<_> = name.rdns().iter().map(|rdn| rdn.value().unwrap().to_owned()).collect();
        prop_assert_eq!(&read, &values);
        prop_assert_eq!(Dn::parse(&name.to_string()).unwrap(), name);
    }

    #[test]
    fn the_normal_form_is_itself_a_name_with_that_normal_form(text in "[A-C]=[a-c #+,;\"\\\\=<>\u{c4}0-9]{0,12}(,[A-C]=[a-c ]{0,4}){0,2}") {
        if let Ok(name) = Dn::parse(&text) {
            let again = Dn::parse(&name.normalised()).unwrap();
            prop_assert_eq!(again.normalised(), name.normalised());
        }
    }

    #[test]
    fn garbage_never_panics(text: String) {
        let _ = Dn::parse(&text).map(|name| (name.mangled(), name.parent(), name.to_string()));
    }
}
