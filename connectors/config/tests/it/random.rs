//! Any text is answered with a configuration or with problems, and no answer tells a secret.

use proptest::prelude::*;
use tenantry::ErrorKind;
use tenantry_config::Problems;

use crate::support::*;

/// Every key that a configuration may have, and some that it may not.
const KEYS: &[&str] = &[
    "customer",
    "endpoint",
    "guard",
    "id",
    "name",
    "domains",
    "title",
    "kind",
    "url",
    "starttls",
    "insecure",
    "bind",
    "password",
    "base",
    "users",
    "groups",
    "computers",
    "exclude",
    "ca_file",
    "delta",
    "contacts",
    "builtin_groups",
    "id_listing",
    "timeout",
    "share",
    "floor",
    "env",
    "file",
    "memberships",
    "unknown",
    "tenant",
    "client_id",
    "client_secret",
    "certificate_file",
    "private_key",
    "cloud",
    "login_url",
    "graph_url",
    "mfa",
    "lane_time",
    "page_size",
    "quota",
    "permits",
    "per",
    "proxy",
    "quota_share",
    "key_file",
    "admin",
    "customer",
    "domain",
    "api_url",
    "chromeos",
    "mobile",
    "actions",
    "full_listing",
    "member_turn",
];

/// What somebody writes where a value belongs, a secret perhaps: no problem repeats it.
const WRITTEN: &str = "Geheim-w0rt";

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<bool>().prop_map(|switch| switch.to_string()),
        ".{0,12}".prop_map(|text| format!("{text:?}")),
        Just(format!("\"{WRITTEN}\"")),
        Just(format!("{{ env = \"{WRITTEN}\" }}")),
        Just(format!("{{ file = \"{WRITTEN}\" }}")),
        Just("{ env = \"AD_PASSWORD\" }".to_owned()),
        Just("0xffffffffffffffffffff".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..4).prop_map(|pairs| {
                let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", pairs.join(", "))
            }),
        ]
    })
}

/// The shortest configuration, with lines in between that have real keys and any values.
pub(crate) fn document() -> impl Strategy<Value = String> {
    let pairs = prop::collection::vec((prop::sample::select(KEYS), value()), 0..12);
    let shortest = prop::sample::select(&[MINIMAL, CLOUD][..]);
    (shortest, pairs, 0..MINIMAL.lines().count()).prop_map(|(shortest, pairs, at)| {
        let mut lines: Vec<String> = shortest.lines().map(str::to_owned).collect();
        lines.splice(at..at, pairs.iter().map(|(key, value)| format!("{key} = {value}")));
        lines.join("\n")
    })
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let told = match parse(text) {
        Ok(config) => format!("{config:?}"),
        Err(error) => {
            prop_assert_eq!(error.kind(), &ErrorKind::Config);
            let lines = text.matches('\n').count() + 1;
            for problem in Problems::of(&error).expect("each refusal has problems") {
                prop_assert!(problem.line >= 1 && problem.line <= lines, "{}", problem);
            }
            let told = format!("{error} {error:?}");
            prop_assert!(!told.contains(WRITTEN), "{}", told);
            told
        }
    };
    prop_assert!(!told.contains(CANARY), "{}", told);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "(?s).{0,200}") {
        check(&text)?;
    }

    #[test]
    fn arbitrary_signs_of_toml_never_panic(text in r#"[\[\]{}=.,"'#\\ \n\ra-c0-9_-]{0,120}"#) {
        check(&text)?;
    }

    #[test]
    fn arbitrary_values_of_real_keys_never_panic(text in document()) {
        check(&text)?;
    }

    #[test]
    fn a_right_configuration_with_any_part_cut_out_never_panics(
        from in 0..MINIMAL.len(),
        length in 0_usize..40,
        put in r#"[\[\]{}="'\n\\ä]{0,3}"#,
    ) {
        let to = (from + length).min(MINIMAL.len());
        check(&format!("{}{put}{}", &MINIMAL[..from], &MINIMAL[to..]))?;
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_exhaust_the_stack(depth in 1_usize..20_000) {
        check(&format!("x = {}1{}", "[".repeat(depth), "]".repeat(depth)))?;
        check(&format!("x = {}1{}", "{a=".repeat(depth), "}".repeat(depth)))?;
    }
}
