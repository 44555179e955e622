//! Which published quotas count the calls of an endpoint, and how many calls it bears at once. It counts nothing: the
//! gate does.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::gate::Limit;

/// What an endpoint asks of its gate.
///
/// ```
/// # use std::num::NonZeroU32;
/// # use std::time::Duration;
/// # use tenantry::endpoint::CallLimits;
/// # use tenantry::gate::{Cost, Limit};
/// # fn example(client: &str, tenant: &str, share: f64) -> tenantry::Result<()> {
/// let permits = |permits| NonZeroU32::new(permits).unwrap_or(NonZeroU32::MIN);
/// let limits = CallLimits::default()
///     // What the provider counts for the application in all tenants comes first, then what it counts more narrowly.
///     .with_quota("application", client, Limit::new(permits(150_000), Duration::from_secs(20))?.with_share(share)?)
///     .with_quota("tenant", format!("{client} {tenant}"), Limit::new(permits(8_000), Duration::from_secs(10))?);
/// // Every call costs one in each of them; what costs more or counts elsewhere says so.
/// let list_members = Cost::of(3);
/// # let _ = (limits, list_members); Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CallLimits {
    concurrency: NonZeroUsize,
    quotas: Vec<SharedQuota>,
}

/// A published quota that counts the calls of an endpoint, and perhaps of others.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedQuota {
    /// The name of its bucket in the endpoint's gate, for [`Cost::on`](crate::gate::Cost::on) and the reports of
    /// [`Attempt`](crate::gate::Attempt).
    pub name: Arc<str>,
    /// What the provider counts together, by the provider's own ids: an application, or an application in one tenant.
    pub key: String,
    /// The published quota, and the share of it that this process may use.
    pub limit: Limit,
}

impl Default for CallLimits {
    /// Four calls at once, and no quota.
    fn default() -> Self {
        Self { concurrency: NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN), quotas: Vec::new() }
    }
}

impl CallLimits {
    /// Sets how many calls run at the same time at most. Where the server says that they are too many, the gate makes
    /// fewer.
    #[must_use]
    pub fn with_concurrency(mut self, calls: NonZeroUsize) -> Self {
        self.concurrency = calls;
        self
    }

    /// Adds a quota that counts every call, behind those that are wider. A name that is there already is replaced.
    ///
    /// Endpoints of one kind that name the same quota by the same key share one bucket in the process; another kind's
    /// are apart. The key is no secret.
    #[must_use]
    pub fn with_quota(mut self, name: impl Into<Arc<str>>, key: impl Into<String>, limit: Limit) -> Self {
        let quota = SharedQuota { name: name.into(), key: key.into(), limit };
        self.quotas.retain(|other| other.name != quota.name);
        self.quotas.push(quota);
        self
    }

    /// Returns how many calls run at the same time at most.
    pub const fn concurrency(&self) -> NonZeroUsize {
        self.concurrency
    }

    /// Returns the quotas, wide ones first.
    pub fn quotas(&self) -> &[SharedQuota] {
        &self.quotas
    }
}
