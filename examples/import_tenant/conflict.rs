//! Says in a sentence who contradicts whom, why, and what to do. Both example programs say it so; it looks nobody up.

/// What a person reads of a conflict: the record and the others, each with id and name.
pub(crate) fn sentence(record: (&str, &str), others: &[(String, String)], reason: &str) -> String {
    let names: Vec<&str> = others.iter().map(|(_, name)| name.as_str()).collect();
    let about = format!("{} and {} were not joined: {}", record.1, names.join(" and "), why(reason));
    match others {
        // Only users are joined by hand.
        _ if reason == "late-anchor" => {
            format!("{about}; they stay apart until one of them is removed in its directory")
        }
        [(other, _)] => {
            format!(
                "{about}; if they are one person: browse_tenant join {other} {}; browse_tenant conflicts lists it",
                record.0
            )
        }
        _ => format!("{about}; browse_tenant conflicts lists their ids, browse_tenant join makes one person of two"),
    }
}

/// Why two records may be one, or may not.
pub(crate) fn why(reason: &str) -> String {
    match reason {
        "address-with-other-names" => "they have an address in common and other names".to_owned(),
        "secondary-address" => "they have an address in common that is not the primary one of both".to_owned(),
        "several-candidates" => "several fit, and nothing tells which is the one".to_owned(),
        "joined-otherwise" => "one of them is joined already with somebody else of that endpoint".to_owned(),
        "late-anchor" => "they were known apart before an anchor said that they are the same".to_owned(),
        other => other.replace('-', " "),
    }
}
