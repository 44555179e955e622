//! Where secrets may come from, and that nothing tells one.

use tenantry_config::TenantConfig;

use crate::support::*;

/// Asserts one problem of the password, in surroundings of the test's own.
#[track_caller]
fn assert_password(password: &str, environment: &FakeEnvironment, key: &str, words: &[&str]) {
    let text = replaced("password", &format!("password = {password}"));
    let problems = problems_in(&text, environment);
    let [problem] = problems.as_slice() else { panic!("not one problem: {problems:#?}") };
    assert_eq!((problem.line, problem.key.as_str()), (8, key));
    for word in words {
        assert!(problem.to_string().contains(word), "{word:?} is missing in {problem}");
    }
}

#[test]
fn a_secret_in_the_configuration_is_refused_with_both_ways_out() {
    let environment = FakeEnvironment::complete();
    let written = format!("\"{CANARY}\"");
    assert_password(&written, &environment, "endpoint.password", &["must not stand", "env = ", "file = "]);
    assert_password("42", &environment, "endpoint.password", &["found an integer"]);
}

#[test]
fn a_secret_has_exactly_one_place() {
    let environment = FakeEnvironment::complete();
    let both = r#"{ env = "AD_PASSWORD", file = "ad.secret" }"#;
    assert_password(both, &environment, "endpoint.password", &["two places"]);
    assert_password("{}", &environment, "endpoint.password", &["place of the secret is missing"]);
    assert_password("{ enw = \"A\" }", &environment, "endpoint.password.enw", &["did you mean env?"]);
    let value = format!("{{ value = \"{CANARY}\" }}");
    assert_password(&value, &environment, "endpoint.password.value", &["unknown key", "env, file"]);
}

#[test]
fn a_variable_must_be_set_to_one_line_of_text() {
    let mut environment = FakeEnvironment::default();
    let key = "endpoint.password.env";
    let password = r#"{ env = "AD_PASSWORD" }"#;
    assert_password(password, &environment, key, &["variable AD_PASSWORD is not set"]);
    environment.variables.insert("AD_PASSWORD", "".into());
    assert_password(password, &environment, key, &["AD_PASSWORD is empty"]);
    environment.variables.insert("AD_PASSWORD", format!("{CANARY}\nmore").into());
    assert_password(password, &environment, key, &["more than one line"]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let mut environment = FakeEnvironment::default();
    environment.variables.insert("AD_PASSWORD", std::ffi::OsString::from_vec(vec![0xff]));
    assert_password(r#"{ env = "AD_PASSWORD" }"#, &environment, "endpoint.password.env", &["not UTF-8"]);
}

#[test]
fn a_secret_written_where_its_name_belongs_is_not_repeated() {
    let environment = FakeEnvironment::complete();
    for (written, key, word) in [
        (format!("{{ env = \"{CANARY}\" }}"), "endpoint.password.env", "no name of an environment variable"),
        (format!("{{ env = \"${CANARY}\" }}"), "endpoint.password.env", "no $"),
        (format!("{{ file = \"{CANARY}\" }}"), "endpoint.password.file", "does not exist"),
    ] {
        assert_password(&written, &environment, key, &[word]);
    }
    let text = replaced("password", r#"password = { env = "hunter2" }"#);
    assert!(!format!("{:?}", parse(&text).unwrap_err()).contains("hunter2"));
}

#[test]
fn a_secret_file_must_be_readable_and_hold_one_line() {
    let mut environment = FakeEnvironment::complete();
    let key = "endpoint.password.file";
    assert_password(r#"{ file = "none" }"#, &environment, key, &["does not exist", "folder conf"]);
    assert_password(r#"{ file = "forbidden" }"#, &environment, key, &["may not be read"]);
    assert_password(r#"{ file = "" }"#, &environment, key, &["empty"]);
    environment.files.insert("conf/empty".into(), b"\n".to_vec());
    assert_password(r#"{ file = "empty" }"#, &environment, key, &["is empty"]);
    environment.files.insert("conf/lines".into(), format!("{CANARY}\n\n").into());
    assert_password(r#"{ file = "lines" }"#, &environment, key, &["more than one line"]);
    environment.files.insert("conf/bytes".into(), vec![0xff, 0xfe]);
    assert_password(r#"{ file = "bytes" }"#, &environment, key, &["not UTF-8"]);
}

#[test]
fn an_absolute_path_is_taken_as_it_is() {
    let mut environment = FakeEnvironment::default();
    environment.files.insert("/run/secrets/ad".into(), format!("\u{feff}{CANARY}\r\n").into());
    let text = replaced("password", r#"password = { file = "/run/secrets/ad" }"#);
    let config = TenantConfig::parse(&text, "conf/tenant.toml", &environment).unwrap();
    let tenantry_config::EndpointSettings::ActiveDirectory(settings) = &config.endpoints[0].settings else {
        panic!("another kind")
    };
    assert_eq!(settings.domain.password.expose(), CANARY);
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let text = replaced("url", &format!("url = \"ldaps://admin:{CANARY}@dc1.mining88.example\""));
    assert_problem(&text, 6, "endpoint.url", &["name or password", "their own keys"]);
}

#[test]
fn debug_of_a_configuration_tells_no_secret() {
    let text = format!("{MINIMAL}{}", MINIMAL[MINIMAL.find("[[").unwrap()..].replace("\"ad\"", "\"b\""));
    let text = text.replacen("{ env = \"AD_PASSWORD\" }", "{ file = \"ad.secret\" }", 1);
    let told = format!("{:?}", parse(&text).unwrap());
    assert!(!told.contains(CANARY));
    assert_eq!(told.matches("Secret(..)").count(), 2);
}

#[test]
fn mistakes_of_syntax_around_a_secret_do_not_repeat_it() {
    for broken in [
        CANARY.to_owned(),
        format!("\"{CANARY}"),
        format!("'{CANARY}"),
        format!("{{ \"{CANARY}\" }}"),
        format!("{{ env = {CANARY} }}"),
        format!("{{ env = \"{CANARY}\""),
        format!("[\"{CANARY}\""),
        format!("\"\"\"{CANARY}"),
        format!("\"\\{CANARY}\""),
        format!("\"{CANARY}\" \"{CANARY}\""),
        format!("= \"{CANARY}\""),
        format!("\"a\"\n{CANARY}"),
    ] {
        // `problems` looks for the secret in all that is told.
        let found = problems(&replaced("password", &format!("password = {broken}")));
        assert!(found[0].line >= 8, "{broken}: {found:?}");
    }
}
