//! What is said about tables, keys and names that are wrong.

use tenantry_config::{Problems, TenantConfig};

use crate::support::*;

#[test]
fn one_problem_is_told_in_one_line_with_place_key_and_remedy() {
    let error = parse(&format!("{MINIMAL}  passwrd = 1\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config: conf/tenant.toml:9:3: endpoint.passwrd: unknown key; did you mean password?"
    );
}

#[test]
fn all_problems_are_found_at_once_in_the_order_of_the_file() {
    let text = r#"colour = "blue"
[guard]
users = { share = 2 }
[customer]
name = 88
[[endpoint]]
name = "a/b"
kind = "active-directory"
url = "ldap://dc1.mining88.example"
password = "k4n4ri-Vogel"
delta = "sometimes"
[[endpoint]]
kind = "owa"
"#;
    let found: Vec<_> = problems(text).into_iter().map(|problem| (problem.line, problem.key)).collect();
    let expected = [
        (1, "colour"),
        (3, "guard.users.share"),
        (5, "customer.name"),
        (6, "endpoint.bind"),
        (7, "endpoint.name"),
        (9, "endpoint.url"),
        (10, "endpoint.password"),
        (11, "endpoint.delta"),
        (12, "endpoint.name"),
        (13, "endpoint.kind"),
    ];
    assert_eq!(found, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn several_problems_are_counted_in_one_line_and_listed_line_by_line() {
    let error = parse(&format!("{MINIMAL}colour = 1\nshape = 2\n")).unwrap_err();
    assert!(error.to_string().starts_with("config: 2 problems in conf/tenant.toml, the first: conf/tenant.toml:9:1: "));
    let problems = Problems::of(&error).unwrap();
    assert_eq!(problems.to_string().lines().count(), 2);
    assert_eq!(problems.into_iter().count(), 2);
}

#[test]
fn an_error_of_something_else_has_no_problems() {
    let error = TenantConfig::load("no such folder/tenant.toml").unwrap_err();
    assert!(Problems::of(&error).is_none());
}

#[test]
fn syntax_has_line_and_column() {
    let problems = problems(&format!("{MINIMAL}title = = 1\n"));
    assert_eq!((problems[0].line, problems[0].column, problems[0].key.as_str()), (NEXT, 9, ""));
    assert!(problems[0].message.starts_with("not valid TOML: "), "{problems:?}");
}

#[test]
fn two_mistakes_of_syntax_are_two_problems() {
    let lines: Vec<_> = problems("[customer\nname = \"x\"\nid = = 1\n").iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 3]);
}

#[test]
fn a_backslash_in_double_quotes_has_its_own_remedy() {
    assert_problem(&replaced("bind", r#"bind = "MINING88\sync""#), 7, "", &["backslash", "single quotes"]);
}

#[test]
fn a_key_written_twice_is_refused() {
    assert_next("bind = \"x\"", "", &["duplicate key"]);
}

#[test]
fn an_empty_file_says_what_it_needs() {
    let keys: Vec<_> = problems("").into_iter().map(|problem| (problem.line, problem.key)).collect();
    assert_eq!(keys, [(1, "customer".to_owned()), (1, "endpoint".to_owned())]);
}

#[test]
fn unknown_keys_are_refused_in_every_table() {
    assert_problem(&format!("tenants = 1\n{MINIMAL}"), 1, "tenants", &["customer, endpoint, guard"]);
    assert_problem(&MINIMAL.replace("[[", "domain = []\n[["), 3, "customer.domain", &["did you mean domains?"]);
    assert_next("page_size = 500", "endpoint.page_size", &["the keys here are name, title"]);
    assert_problem(&format!("{MINIMAL}[guard]\nuser = {{}}\n"), 10, "guard.user", &["did you mean users?"]);
    assert_problem(&format!("{MINIMAL}[guard.users]\nfloors = 1\n"), 10, "guard.users.floors", &["mean floor?"]);
    assert_problem(&format!("{MINIMAL}[endpoint.guard]\nx = 1\n"), 10, "endpoint.guard.x", &["members_per_group"]);
}

#[test]
fn an_unknown_key_is_printed_safely_whatever_is_in_it() {
    assert_next(r#""\u001b[2J" = 1"#, r#"endpoint."\u{1b}[2J""#, &["unknown key"]);
}

#[test]
fn missing_keys_are_told_where_their_table_begins() {
    assert_problem(&replaced("url", ""), 3, "endpoint.url", &["missing", "ldaps://"]);
    assert_problem(&replaced("bind", ""), 3, "endpoint.bind", &["missing"]);
    assert_problem(&replaced("password", ""), 3, "endpoint.password", &["missing", "env"]);
    assert_problem(&replaced("kind", "").replace("url", "# url"), 3, "endpoint.kind", &["missing", "active-directory"]);
    assert_problem(&MINIMAL.replace("name = \"ad\"", ""), 3, "endpoint.name", &["missing", "never changes"]);
    assert_problem(&MINIMAL.replace("name = \"Mining 88\"", "id = \"m\""), 1, "customer.name", &["missing"]);
    assert_problem("[customer]\nname = \"x\"\n", 1, "endpoint", &["missing", "[[endpoint]]"]);
    let without_customer = MINIMAL.replace("[customer]\nname = \"Mining 88\"", "");
    assert_problem(&without_customer, 1, "customer", &["missing"]);
}

#[test]
fn a_single_bracket_is_told_to_be_doubled() {
    assert_problem(&MINIMAL.replace("[[endpoint]]", "[endpoint]"), 3, "endpoint", &["found a table", "[[endpoint]]"]);
    assert_problem("endpoint = []\n[customer]\nname = \"x\"\n", 1, "endpoint", &["no endpoint"]);
    assert_problem("endpoint = [1]\n[customer]\nname = \"x\"\n", 1, "endpoint", &["found an integer"]);
    assert_problem(&format!("customer = 1\n{}", &MINIMAL[MINIMAL.find("[[").unwrap()..]), 1, "customer", &["found"]);
}

#[test]
fn names_that_would_break_paths_are_refused() {
    for bad in ["a/b", ".hidden", "ä", "a b"] {
        assert_problem(&MINIMAL.replace("\"ad\"", &format!("\"{bad}\"")), 4, "endpoint.name", &["1 to 64"]);
    }
    let text = MINIMAL.replace("[[", "id = \"a b\"\n[[");
    assert_problem(&text, 3, "customer.id", &["1 to 64", "mining-88"]);
}

#[test]
fn two_endpoints_of_one_name_are_refused_with_the_line_of_the_first() {
    let again = MINIMAL[MINIMAL.find("[[").unwrap()..].replace("\"ad\"", "\"AD\"");
    assert_problem(&format!("{MINIMAL}{again}"), 10, "endpoint.name", &["taken by the endpoint in line 4", "case"]);
}

#[test]
fn an_unknown_kind_lists_the_known_ones() {
    let all = "active-directory, exchange, gsuite, office365";
    assert_problem(&replaced("kind", "kind = \"ldap\""), 5, "endpoint.kind", &["unknown kind", all]);
    let slip = replaced("kind", "kind = \"ActiveDirectory\"");
    assert_problem(&slip, 5, "endpoint.kind", &["did you mean active-directory?", all]);
}

#[test]
fn domains_must_be_domains_and_different() {
    let with = |domains: &str| MINIMAL.replace("[[", &format!("domains = {domains}\n[["));
    assert_problem(&with(r#"["a.example", "b"]"#), 3, "customer.domains", &["no domain name", ":3:25:"]);
    assert_problem(&with("[\"a.example\",\n\"A.example\"]"), 4, "customer.domains", &["there already"]);
    assert_problem(&with("[1]"), 3, "customer.domains", &["found an integer"]);
    assert_problem(&with("true"), 3, "customer.domains", &["expected a list of texts"]);
}

#[test]
fn a_name_without_letters_needs_an_id() {
    assert_problem(&MINIMAL.replace("Mining 88", "東京"), 2, "customer.name", &["no id", "id = "]);
    parse(&MINIMAL.replace("[[", "id = \"tokyo\"\n[[").replace("Mining 88", "東京")).unwrap();
}
