//! Filters that people write, and garbage.

use proptest::prelude::*;

use super::*;

fn position(text: &str) -> String {
    Filter::parse(text).unwrap_err().context("at character").unwrap().to_owned()
}

#[test]
fn filters_of_active_directory_are_accepted() {
    for text in [
        "(&(objectCategory=person)(objectClass=user)(!(sAMAccountType=805306370)))",
        "(groupType:1.2.840.113556.1.4.803:=2147483648)",
        "(operatingSystem=*Server*)",
        "(|(a=b)(c;lang-de=d*e*f)(:dn:2.5.13.5:=x)(ou:dn:=y))",
        "(cn=Doe\\2c John \\28x\\29)",
        "(cn=Łukasz)",
        "(cn=)",
    ] {
        assert_eq!(Filter::parse(text).unwrap().as_str(), text);
        assert!(ldap3::parse_filter(text).is_ok(), "{text}");
    }
}

#[test]
fn blanks_and_missing_outer_parentheses_are_mended() {
    assert_eq!(Filter::parse(" department=* ").unwrap().as_str(), "(department=*)");
    assert_eq!(
        Filter::parse("(&\n  (a=b)\n  ( c = d ))").unwrap_err().context("expected"),
        Some("a comparison such as =")
    );
    assert_eq!(Filter::parse("\n(&\n  (a=b)\n  (!  (c=d) )\n)\n").unwrap().as_str(), "(&(a=b)(!(c=d)))");
}

#[test]
fn errors_name_the_place() {
    assert_eq!(position("(a=b"), "5");
    assert_eq!(position("(a=b))"), "6");
    assert_eq!(position("(cn=Ł\\2)"), "6");
    assert_eq!(position("(&)"), "3");
    assert_eq!(position("(a=b**c)"), "6");
    assert_eq!(position("(a>=b*)"), "6");
    assert_eq!(position(""), "1");
    assert_eq!(position("(1.02=x)"), "6");
}

#[test]
fn a_matching_rule_that_ldap3_takes_for_the_word_dn_is_refused() {
    assert!(Filter::parse("(cn:dnRule:=x)").is_err());
    assert!(Filter::parse("(:dnRule:=x)").is_err());
    let filter = Filter::parse("(cn:dn:dnRule:=x)").unwrap();
    assert!(ldap3::parse_filter(filter.as_str()).is_ok());
}

#[test]
fn a_filter_cannot_break_out_of_a_composition() {
    assert!(Filter::parse("(a=b)(c=d)").is_err());
    assert!(Filter::parse("a=b)(c=d").is_err());
    let user = Filter::parse("department=*").unwrap();
    let both = Filter::and([Filter::equals("cn", "*)(uid=*").unwrap(), user.negate()]);
    assert_eq!(both.as_str(), "(&(cn=\\2a\\29\\28uid=\\2a)(!(department=*)))");
    assert_eq!(Filter::and([user.clone()]), user);
    assert!(Filter::or([]).is_err());
    assert!(Filter::equals("cn)(x", "y").is_err());
}

#[test]
fn bytes_are_escaped_one_by_one() {
    assert_eq!(Filter::equals_bytes("objectGUID", &[0, 0x2a, 0xff]).unwrap().as_str(), "(objectGUID=\\00\\2a\\ff)");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}(a=b){}", "(!".repeat(100_000), ")".repeat(100_000));
    assert!(Filter::parse(&deep).is_err());
}

proptest! {
    #[test]
    fn any_text_and_any_bytes_can_be_a_value(text: String, bytes: Vec<u8>) {
        for filter in [Filter::equals("cn", &text).unwrap(), Filter::equals_bytes("cn", &bytes).unwrap()] {
            prop_assert!(ldap3::parse_filter(filter.as_str()).is_ok());
            prop_assert_eq!(&Filter::parse(filter.as_str()).unwrap(), &filter);
        }
    }

    #[test]
    fn whatever_is_accepted_here_ldap3_accepts(text in "[()&|!a-c01.;:dn=<>~* \\\\2]{0,24}") {
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert!(ldap3::parse_filter(filter.as_str()).is_ok(), "{}", filter);
            prop_assert_eq!(&Filter::parse(filter.as_str()).unwrap(), &filter);
        }
    }

    #[test]
    fn well_formed_text_is_accepted(text in "\\((a|b-c|1\\.2)(;x)?(=|>=|<=|~=|:=|:dn:=|:1\\.2:=)[a-z\u{e4} ]{0,5}\\)") {
        prop_assert!(Filter::parse(&text).is_ok());
    }

    #[test]
    fn garbage_never_panics(text: String) {
        let _ = Filter::parse(&text);
    }
}
