//! What is said about values that are wrong or contradict each other.

use crate::support::*;

#[test]
fn wrong_types_name_what_was_expected_and_found_without_the_value() {
    assert_next("title = 42", "endpoint.title", &["expected a text, found an integer", "quotes"]);
    assert_next("contacts = \"yes\"", "endpoint.contacts", &["expected true or false, found a text"]);
    assert_next("builtin_groups = 1", "endpoint.builtin_groups", &["found an integer"]);
    assert_next("exclude = 1.5", "endpoint.exclude", &["expected a list of texts, found a number"]);
    assert_next("exclude = [true]", "endpoint.exclude", &["expected a text, found true or false"]);
    assert_next("users = []", "endpoint.users", &["expected a text, found a list"]);
    assert_next("delta = false", "endpoint.delta", &["usn, dirsync, off", "quotes"]);
    assert_next("timeout = 2025-01-01", "endpoint.timeout", &["expected a time, found a date"]);
    assert_next("guard = 1", "endpoint.guard", &["expected a table"]);
    assert_next("guard.users = 5", "endpoint.guard.users", &["expected a table", "share = 0.10"]);
}

#[test]
fn empty_texts_and_control_characters_are_refused() {
    assert_next("title = \" \"", "endpoint.title", &["empty"]);
    assert_next(r#"title = "a\tb""#, "endpoint.title", &["control character", "single quotes"]);
}

#[test]
fn shares_are_shares_of_a_whole() {
    for bad in ["1.01", "-0.1", "2", "nan", "inf", "-1", "1e400"] {
        let line = format!("guard.users.share = {bad}");
        assert_next(&line, "endpoint.guard.users.share", &["no share of a whole", "0 to 1"]);
    }
    assert_next("guard.users.share = \"10%\"", "endpoint.guard.users.share", &["expected a share, found a text"]);
    let global = format!("{MINIMAL}[guard]\ngroups = {{ share = 3.0 }}\n");
    assert_problem(&global, 10, "guard.groups.share", &["no share"]);
}

#[test]
fn floors_are_counts() {
    assert_next("guard.users.floor = -1", "endpoint.guard.users.floor", &["negative"]);
    assert_next("guard.users.floor = 99999999999999999999", "endpoint.guard.users.floor", &["too large"]);
    assert_next("guard.users.floor = 1.5", "endpoint.guard.users.floor", &["expected a number, found a number with"]);
}

#[test]
fn urls_are_checked_one_by_one() {
    let with = |url: &str| replaced("url", &format!("url = {url}"));
    assert_problem(&with(r#""dc1.mining88.example""#), 6, "endpoint.url", &["not a URL", "ldaps://host"]);
    assert_problem(&with(r#""https://dc1.mining88.example""#), 6, "endpoint.url", &["scheme"]);
    assert_problem(&with(r#""ldaps://dc1:99999""#), 6, "endpoint.url", &["port"]);
    assert_problem(&with(r#""ldaps://dc1.mining88.example:3269""#), 6, "endpoint.url", &["global catalogue", "636"]);
    assert_problem(&with("[]"), 6, "endpoint.url", &["names no server"]);
    assert_problem(&with("[\"ldaps://a.example\",\n \"b.example\"]"), 7, "endpoint.url", &["not a URL"]);
    assert_problem(&with(r#"["ldaps://a.example", "ldaps://a.example:636"]"#), 6, "endpoint.url", &["already"]);
}

#[test]
fn plain_ldap_is_refused_with_three_ways_out() {
    let text = replaced("url", r#"url = ["ldaps://a.example", "ldap://b.example"]"#);
    assert_problem(&text, 6, "endpoint.url", &[":6:29:", "not encrypted", "ldaps://", "starttls = true", "insecure"]);
}

#[test]
fn switches_of_encryption_that_say_nothing_are_refused() {
    assert_next("starttls = true", "endpoint.starttls", &["no effect", "remove it"]);
    assert_next("insecure = true", "endpoint.insecure", &["no effect", "ca_file"]);
    let both = format!("{}starttls = true\ninsecure = true\n", MINIMAL.replace("ldaps", "ldap"));
    assert_problem(&both, 10, "endpoint.insecure", &["contradicts starttls"]);
}

#[test]
fn filters_and_names_are_checked_with_the_place_of_the_mistake() {
    assert_next("users = \"(department=*\"", "endpoint.users", &["filter is not valid", "expected", "at character"]);
    assert_next("groups = \"(&)(x=1)\"", "endpoint.groups", &["filter is not valid"]);
    assert_next("computers = \"x\"", "endpoint.computers", &["filter is not valid"]);
    assert_next("base = \"mining88.example\"", "endpoint.base", &["distinguished name", "at byte", "OU=Staff"]);
    let exclude = format!("{MINIMAL}exclude = [\"OU=A,DC=x\",\n\"x\"]\n");
    assert_problem(&exclude, NEXT + 1, "endpoint.exclude", &["distinguished name"]);
}

#[test]
fn an_exclusion_of_nothing_or_of_everything_is_refused() {
    let base = "base = \"OU=Staff,DC=mining88,DC=example\"\n";
    let with = |dn: &str| format!("{MINIMAL}{base}exclude = [\"{dn}\"]\n");
    assert_problem(&with("OU=Old,DC=mining88,DC=example"), 10, "endpoint.exclude", &["leaves out nothing"]);
    assert_problem(&with("DC=Mining88, DC=example"), 10, "endpoint.exclude", &["the whole base"]);
    parse(&with("ou=old,ou=staff,dc=mining88,dc=example")).unwrap();
}

#[test]
fn choices_list_what_there_is() {
    assert_next("delta = \"dirsnc\"", "endpoint.delta", &["did you mean dirsync?", "usn, dirsync, off"]);
    assert_next("delta = \"USN-CHANGED\"", "endpoint.delta", &["the choices are usn, dirsync, off"]);
}

#[test]
fn times_need_a_unit_or_are_seconds() {
    for bad in ["\"soon\"", "\"10\"", "-5", "\"1h30m\""] {
        assert_next(&format!("timeout = {bad}"), "endpoint.timeout", &["no time", "30s"]);
    }
    assert_next("timeout = 0", "endpoint.timeout", &["out of range", "1s to 1h"]);
    assert_next("timeout = \"2h\"", "endpoint.timeout", &["out of range"]);
    assert_next("id_listing = \"5s\"", "endpoint.id_listing", &["out of range", "1m to 365d"]);
    assert_next("id_listing = \"automatic\"", "endpoint.id_listing", &["no time"]);
}

#[test]
fn an_authority_must_be_there_and_be_one() {
    assert_next("ca_file = \"other.pem\"", "endpoint.ca_file", &["does not exist", "folder conf"]);
    assert_next("ca_file = \"ad.secret\"", "endpoint.ca_file", &["no certificate", "PEM"]);
}
