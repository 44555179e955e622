//! Whose web domain a mail address is in. It knows no customer but those it is told of.

use super::lock::is_address;
use super::text::folded;
use crate::error::{Error, Result};
use crate::model::{Assignment, CustomerId};

/// Domains in which everybody can get an address, one a line.
static PUBLIC: &str = include_str!("public_mail.txt");

/// Brings a domain to the form in which domains are compared: without case, blanks and a dot at its end.
pub(crate) fn normal(domain: &str) -> String {
    folded(domain.trim().trim_end_matches('.'))
}

/// Tells whether everybody can get an address in a domain.
pub(crate) fn is_public_mail(domain: &str) -> bool {
    PUBLIC.lines().any(|public| domain == public || domain.strip_suffix(public).is_some_and(|rest| rest.ends_with('.')))
}

/// Checks a domain that a customer is to have.
///
/// # Errors
/// A domain of public mail, or what is no domain.
pub(crate) fn check(domain: &str) -> Result<String> {
    let normal = normal(domain);
    if !is_address(&format!("a@{normal}")) || !normal.contains('.') {
        return Err(Error::config("this is no web domain; write it as corp.example").with_context("domain", domain));
    }
    if is_public_mail(&normal) {
        return Err(
            Error::config("everybody can get an address in this domain; leave it out").with_context("domain", domain)
        );
    }
    Ok(normal)
}

/// Lists the domains that an address is in, the longest first; `None` for what is no address.
pub(crate) fn domains_of(address: &str) -> Option<Vec<String>> {
    let address = address.trim();
    let (_, domain) = address.rsplit_once('@').filter(|_| is_address(address))?;
    let mut rest = normal(domain);
    let mut found = Vec::new();
    // A top-level domain belongs to nobody here.
    while rest.contains('.') {
        let shorter = rest.split_once('.').map(|(_, shorter)| shorter.to_owned()).unwrap_or_default();
        found.push(std::mem::replace(&mut rest, shorter));
    }
    Some(found)
}

/// Tells which customer an address belongs to: what somebody said counts first, then the longest domain that exactly one
/// customer has. `claims` are the customers of each domain.
pub(crate) fn assign(address: &str, explicit: Option<CustomerId>, claims: &[(CustomerId, String)]) -> Assignment {
    let Some(domains) = domains_of(address) else { return Assignment::NotAnAddress };
    if let Some(customer) = explicit {
        return Assignment::Explicit(customer);
    }
    let Some(whole) = domains.first() else { return Assignment::Unclaimed };
    if is_public_mail(whole) {
        return Assignment::PublicMail;
    }
    for domain in domains {
        let mut customers: Vec<_> = claims
            .iter()
            .filter(|(_, claimed)| normal(claimed) == domain)
            .map(|(customer, _)| customer.clone())
            .collect();
        customers.sort_unstable();
        customers.dedup();
        match customers.len() {
            0 => {}
            1 => return Assignment::ByDomain(customers.remove(0), domain),
            _ => return Assignment::Conflict(customers, domain),
        }
    }
    Assignment::Unclaimed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(id: &str) -> CustomerId {
        CustomerId::new(id).unwrap()
    }

    #[test]
    fn the_longest_domain_that_one_customer_has_decides() {
        let public = PUBLIC.lines().next().unwrap();
        let claims: Vec<_> = [
            ("mine", "corp.example"),
            ("south", "South.Corp.Example."),
            ("a", "shared.example"),
            ("b", "shared.example"),
            ("a", "twice.example"),
            ("a", "twice.example"),
            ("thief", public),
            ("umlaut", "m\u{dc}hle.example"),
        ]
        .iter()
        .map(|(id, domain)| (customer(id), (*domain).to_owned()))
        .collect();
        let by = |id, domain: &str| Assignment::ByDomain(customer(id), domain.into());
        for (address, expected) in [
            ("ann@corp.example", by("mine", "corp.example")),
            (" Ann@CORP.example ", by("mine", "corp.example")),
            ("ann@north.corp.example", by("mine", "corp.example")),
            ("ann@south.corp.example", by("south", "south.corp.example")),
            ("ann@deep.south.corp.example", by("south", "south.corp.example")),
            ("ann@mu\u{308}hle.example", by("umlaut", "m\u{fc}hle.example")),
            ("ann@notcorp.example", Assignment::Unclaimed),
            ("ann@example", Assignment::Unclaimed),
            ("ann@twice.example", by("a", "twice.example")),
            ("ann@shared.example", Assignment::Conflict(vec![customer("a"), customer("b")], "shared.example".into())),
            ("ann", Assignment::NotAnAddress),
            ("@corp.example", Assignment::NotAnAddress),
            ("ann@", Assignment::NotAnAddress),
        ] {
            assert_eq!(assign(address, None, &claims), expected, "{address}");
        }
        assert_eq!(assign(&format!("ann@{public}"), None, &claims), Assignment::PublicMail);
        let said = Assignment::Explicit(customer("said"));
        for address in ["ann@corp.example", "ann@shared.example", &format!("ann@{public}")] {
            assert_eq!(assign(address, Some(customer("said")), &claims), said);
        }
    }

    #[test]
    fn domains_of_public_mail_and_what_is_no_domain_are_refused() {
        for bad in [PUBLIC.lines().next().unwrap(), "", "corp", "corp..example", "a@corp.example", "-x.example"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check(" Corp.Example. ").unwrap(), "corp.example");
    }
}
