//! The organisation as the forest's settings describe it: for a check only, because it decides nothing.

use tenantry::Result;
use tenantry::endpoint::Context;
use tenantry_ldap::domain::{Connection, Controller};
use tenantry_ldap::{Control, Filter, Scope, SearchRequest};

/// An Exchange organisation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Organisation {
    pub(crate) name: Option<String>,
    /// The versions of its servers, as their products are called.
    pub(crate) versions: Vec<&'static str>,
}

impl Organisation {
    /// Reads what the account may see of it; nothing of it is not an error.
    pub(crate) async fn read(connection: &Connection, cx: &Context, controller: &Controller) -> Result<Self> {
        let top = format!("CN=Microsoft Exchange,CN=Services,{}", controller.configuration());
        let Some(_) = connection.object(cx, "look for the organisation", None, &top, &["cn"], &[]).await? else {
            return Ok(Self::default());
        };
        let request = |filter: &str, scope: Scope| -> Result<SearchRequest> {
            Ok(SearchRequest::new(&top, Filter::parse(filter)?)
                .scope(scope)
                .attributes(["cn", "objectClass", "serialNumber"])
                .control(Control::domain_scope().optional()))
        };
        let below =
            connection.all(cx, "look for the organisation", &request("(objectClass=*)", Scope::OneLevel)?).await?;
        let is = |entry: &&tenantry_ldap::Entry| {
            let classes = entry.texts("objectClass").unwrap_or_default();
            classes.iter().any(|class| class.eq_ignore_ascii_case("msExchOrganizationContainer"))
        };
        // Others lie there too, such as where Active Directory's own connections are kept.
        let organisation = below.iter().find(is).or(below.first().filter(|_| below.len() == 1));
        let name = organisation.and_then(|entry| entry.text("cn").ok().flatten()).map(str::to_owned);
        let servers = request("(objectClass=msExchExchangeServer)", Scope::Subtree)?;
        let servers = connection.all(cx, "look for the organisation's servers", &servers).await?;
        let mut versions: Vec<_> =
            servers.iter().filter_map(|entry| product(entry.text("serialNumber").ok().flatten()?)).collect();
        versions.sort_unstable();
        versions.dedup();
        Ok(Self { name, versions })
    }
}

/// Names the product of a version such as `Version 15.1 (Build 32507.6)`.
fn product(version: &str) -> Option<&'static str> {
    let mut numbers = version.strip_prefix("Version ")?.split([' ', '.']);
    let (major, minor) = (numbers.next()?.parse::<u32>().ok()?, numbers.next()?.parse::<u32>().ok()?);
    Some(match (major, minor) {
        (6, 5) => "2003",
        (8, _) => "2007",
        (14, _) => "2010",
        (15, 0) => "2013",
        (15, 1) => "2016",
        (15, 2) => "2019 or SE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_as_their_products_and_others_are_not_guessed() {
        for (version, expected) in [
            ("Version 6.5 (Build 7638.2: Service Pack 2)", Some("2003")),
            ("Version 14.3 (Build 30123.4)", Some("2010")),
            ("Version 15.2 (Build 31118.7)", Some("2019 or SE")),
            ("Version 99.1 (Build 1)", None),
            ("15.2", None),
            ("Version x", None),
        ] {
            assert_eq!(product(version), expected, "{version}");
        }
    }
}
