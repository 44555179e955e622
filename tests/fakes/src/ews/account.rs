//! Who may sign in: names, passwords, and what an account has; it knows no message of a sign-in.

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The short name of the domain, such as `CORP`.
    pub domain: String,
    /// The name in the domain.
    pub user: String,
    /// The name with the domain's long name.
    pub principal: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Returns the name with the short domain, such as `CORP\svc-import`.
    pub fn name(&self) -> String {
        format!("{}\\{}", self.domain, self.user)
    }

    /// Whether this is meant by a name as people write it: with the short domain, with the long one, or alone.
    pub(crate) fn is(&self, name: &str) -> bool {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        match name.split_once('\\') {
            Some((domain, user)) => self.is_in(domain, user),
            None => same(name, &self.principal) || same(name, &self.user),
        }
    }

    /// Whether this is meant by a domain and a name, where the domain may be empty or the long one.
    pub(crate) fn is_in(&self, domain: &str, user: &str) -> bool {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let long = self.principal.split_once('@').map_or("", |(_, domain)| domain);
        (same(user, &self.user) && (domain.is_empty() || same(domain, &self.domain) || same(domain, long)))
            || (same(user, &self.principal) && (domain.is_empty() || same(domain, long)))
    }
}

/// An account and what it has.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) credentials: Credentials,
    pub(crate) mailbox: bool,
    pub(crate) may_impersonate: bool,
    /// Wrong passwords since the last right one.
    pub(crate) wrong: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_each_of_its_names_whatever_the_case() {
        let credentials = Credentials {
            domain: "CORP".to_owned(),
            user: "svc".to_owned(),
            principal: "svc@corp.example".to_owned(),
            password: "p".to_owned(),
        };
        for name in ["corp\\SVC", "Svc@Corp.Example", "svc", "corp.example\\svc"] {
            assert!(credentials.is(name), "{name}");
        }
        for name in ["other\\svc", "svc@other.example", "sv", ""] {
            assert!(!credentials.is(name), "{name}");
        }
    }
}
