//! Which account this endpoint binds with: it must never be locked out by its own hand.
//!
//! It must not know what is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use tenantry::Result;
use tenantry::endpoint::Context;
use tenantry_ldap::domain::Controller;
use tenantry_ldap::{Dn, Entry, Sid};

use crate::endpoint::ActiveDirectory;

/// What the server said of the account, from the last time it was asked.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Option<Arc<Own>>>);

/// The account that is bound.
#[derive(Debug)]
pub(crate) struct Own {
    /// Everything that it counts as: itself, and its groups. None of them is another user.
    sids: Vec<Sid>,
}

impl Own {
    /// Asks the server, and remembers the answer.
    pub(crate) async fn ask(endpoint: &ActiveDirectory, cx: &Context) -> Result<Arc<Self>> {
        let root = endpoint.domain.connection().root(cx, None, &["tokenGroups"]).await?;
        let sids = root.values("tokenGroups").iter().map(|bytes| Sid::from_bytes(bytes)).collect::<Result<_>>()?;
        let own = Arc::new(Self { sids });
        *endpoint.own.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&own));
        Ok(own)
    }

    /// Returns what is remembered; asks if nothing is.
    pub(crate) async fn learn(endpoint: &ActiveDirectory, cx: &Context) -> Result<Arc<Self>> {
        let known = endpoint.own.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(own) => Ok(own),
            None => Self::ask(endpoint, cx).await,
        }
    }

    /// Tells whether an entry is the account itself: by what the server says, and by the name that it binds with.
    pub(crate) fn is(&self, entry: &Entry, controller: &Controller, bind: &str) -> Result<bool> {
        if entry.sid("objectSid")?.is_some_and(|sid| self.sids.contains(&sid)) {
            return Ok(true);
        }
        let same =
            |left: Option<&str>, right: &str| left.is_some_and(|left| left.to_lowercase() == right.to_lowercase());
        let (login, principal) = (entry.text("sAMAccountName")?, entry.text("userPrincipalName")?);
        if let Some((_, name)) = bind.split_once('\\')
            && same(login, name)
        {
            return Ok(true);
        }
        if let Some((name, domain)) = bind.rsplit_once('@') {
            // Every account has one more principal name: its login, at the domain's own name.
            return Ok(same(principal, bind) || (same(login, name) && same(Some(&controller.dns_name()), domain)));
        }
        let named = Dn::parse(bind).ok().filter(|dn| !dn.rdns().is_empty());
        Ok(match named {
            Some(dn) => Dn::parse(entry.dn())?.normalised() == dn.normalised(),
            None => same(login, bind),
        })
    }
}
