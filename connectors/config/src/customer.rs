//! Who the configuration is for.
//!
//! It knows no endpoint.

use tenantry::model::CustomerId;

use crate::key::{Form, Key};
use crate::reading::Reading;
use crate::table::Field;

/// The customer of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Customer {
    /// The key that everything is kept under; without `id` made from the name.
    pub id: CustomerId,
    /// Shown to people.
    pub name: String,
    /// The customer's own domains, lower case, in the order of the file.
    pub domains: Vec<String>,
}

/// The keys of `[customer]`.
pub(crate) const KEYS: &[Key] = &[
    Key::required("name", Form::Text, "Shown to people."),
    Key::optional("id", Form::Name, "The key under which everything is stored; made from the name if missing."),
    Key::optional("domains", Form::Texts, "The customer's own mail domains."),
];

/// Reads `[customer]`.
pub(crate) fn read(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Customer> {
    let mut table = field.table("write [customer]", reading)?;
    let name = table.require("name", r#"write name = "…""#, reading);
    let name_at = name.as_ref().map(|field| (field.at, field.path.clone()));
    let name = name.and_then(|field| field.text(reading));
    let id = match table.take("id") {
        Some(field) => read_id(&field, reading),
        None => name.zip(name_at).and_then(|(name, (at, path))| {
            let id = CustomerId::new(slug(name)).ok();
            if id.is_none() {
                reading.problem(at, &path, "no id can be made from this name", r#"add id = "…" in the letters a to z"#);
            }
            id
        }),
    };
    let domains = table.take("domains").map(|field| read_domains(&field, reading)).unwrap_or_default();
    table.finish(reading);
    Some(Customer { id: id?, name: name?.to_owned(), domains })
}

fn read_id(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<CustomerId> {
    match CustomerId::new(field.text(reading)?) {
        Ok(id) => Some(id),
        Err(error) => {
            field.refuse(error.message().to_owned(), r#"write it like "mining-88""#, reading);
            None
        }
    }
}

fn read_domains(field: &Field<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for (text, at) in field.texts(reading).unwrap_or_default() {
        let domain = text.to_ascii_lowercase();
        if !is_domain(&domain) {
            let remedy = r#"write it like "corp.example", names of other alphabets in their xn-- form"#;
            reading.problem(at, &field.path, "this is no domain name", remedy);
        } else if domains.contains(&domain) {
            reading.problem(at, &field.path, "this domain is there already", "remove one of them");
        } else {
            domains.push(domain);
        }
    }
    domains
}

pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// Makes a key from a name: letters and digits, lower case, all else one hyphen.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(64);
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_key_of_letters_digits_and_hyphens() {
        assert_eq!(slug("Mining 88"), "mining-88");
        assert_eq!(slug("  A & B (Holding) "), "a-b-holding");
        assert_eq!(slug("東京"), "");
        assert_eq!(slug(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn domains_are_names_with_a_dot() {
        assert!(is_domain("mining88.example") && is_domain("xn--mnchen-3ya.example"));
        for bad in ["example", "a..example", ".example", "a_b.example", "-a.example", "a@b.example", "münchen.example"]
        {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
