//! What answers say about the quotas, told to the gate; and the names that the quotas have in it.
//!
//! It must not know what was asked. Every call reports here, each part of a batch by itself.

use std::num::NonZeroUsize;

use tenantry::Result;
use tenantry::gate::{Attempt, Gate, GateBuilder, Quotas};

use crate::config::Checked;
use crate::error::{Headers, setting};

/// Resource units of one application in one tenant.
pub(crate) const TENANT: &str = "tenant";
/// Resource units of one application in all tenants.
pub(crate) const APPLICATION: &str = "application";
/// Changes by one application in one tenant.
pub(crate) const WRITES: &str = "writes";
/// Requests for reports.
pub(crate) const REPORTS: &str = "reports";
/// Requests for sign-in activity.
pub(crate) const SIGN_INS: &str = "sign-ins";
/// Mailboxes asked for what they are for.
pub(crate) const MAILBOXES: &str = "mailboxes";

/// Starts a gate with the buckets that count the calls of one application in one tenant.
///
/// The wide one is made first, so that a call queues at the narrow ones before it keeps others waiting at the wide one.
pub(crate) fn gate(config: &Checked, quotas: &Quotas) -> Result<GateBuilder> {
    let quota = &config.quota;
    let host = config.graph.host_str().unwrap_or_default();
    let application = format!("office365/{host}/{}", config.client_id.to_ascii_lowercase());
    let tenant = format!("{application}/{}", config.tenant.to_ascii_lowercase());
    let limits = [
        (APPLICATION, application, quota.application),
        (TENANT, tenant.clone(), quota.tenant),
        (WRITES, format!("{tenant}/{WRITES}"), quota.writes),
        (REPORTS, format!("{tenant}/{REPORTS}"), quota.reports),
        (SIGN_INS, format!("{tenant}/{SIGN_INS}"), quota.sign_ins),
        (MAILBOXES, format!("{tenant}/{MAILBOXES}"), quota.mailboxes),
    ];
    let mut gate = Gate::builder().kind("office365");
    for (name, key, limit) in limits {
        let limit = limit
            .with_share(quota.share)
            .map_err(|_| setting("quota_share", "a share is more than 0 and at most 1"))?;
        gate = gate.bucket(name, quotas.bucket(key, limit));
    }
    Ok(gate.concurrency(NonZeroUsize::new(config.concurrency.into()).unwrap_or(NonZeroUsize::MIN)))
}

/// What an answer, or the parts of a batch together, said about the quotas.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Rates {
    units: Option<u32>,
    /// How much of the quota is in use: 1 is all of it.
    usage: Option<f64>,
    throttled_by: Option<&'static str>,
}

impl Rates {
    /// Reads the headers of an answer.
    pub(crate) fn of(headers: &impl Headers) -> Self {
        let mut rates = Self::default();
        rates.add(headers);
        rates
    }

    /// Adds the headers of a part of a batch: costs add up, of usages the highest counts.
    pub(crate) fn add(&mut self, headers: &impl Headers) {
        // Nothing that a server says may stop this process for longer than a full quota takes.
        let units = headers.header("x-ms-resource-unit").and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(units) = units.filter(|units| *units <= 10_000) {
            self.units = Some(self.units.unwrap_or(0).saturating_add(units));
        }
        let usage = headers.header("x-ms-throttle-limit-percentage").and_then(|text| text.trim().parse::<f64>().ok());
        if let Some(usage) = usage.filter(|usage| (0.0..=10.0).contains(usage)) {
            self.usage = Some(self.usage.unwrap_or(0.0).max(usage));
        }
        if let Some(bucket) = headers.header("x-ms-throttle-scope").and_then(scope) {
            self.throttled_by = Some(bucket);
        }
    }

    /// Tells the gate. Whatever is refused to a call with a quota of its own concerns that quota alone, so that the import
    /// does not wait for it.
    pub(crate) fn report(&self, attempt: &Attempt, lane: Option<&'static str>) {
        if let Some(units) = self.units {
            attempt.actual_cost(TENANT, units);
            attempt.actual_cost(APPLICATION, units);
        }
        let concerned = lane.or(self.throttled_by);
        if let Some(usage) = self.usage {
            attempt.usage(concerned.unwrap_or(TENANT), usage);
        }
        if let Some(bucket) = concerned {
            attempt.throttled_by(bucket);
        }
    }
}

/// Reads whose quota a refusal is about: `<Tenant_Application|Tenant|Application>/<Read|Write|ReadWrite>/<ids…>`.
///
/// A tenant's quota over all applications has no bucket here; the application's share of it is what can be slowed.
fn scope(text: &str) -> Option<&'static str> {
    let mut parts = text.split('/').map(str::trim);
    let (whose, mode) = (parts.next()?, parts.next()?);
    Some(match (whose, mode) {
        ("Application", _) => APPLICATION,
        ("Tenant_Application" | "Tenant", "Write") => WRITES,
        ("Tenant_Application" | "Tenant", _) => TENANT,
        _ => return None,
    })
}

/// Tells the gate what the answer to one ordinary call said about the quotas.
pub(crate) fn heed(attempt: &Attempt, headers: &impl Headers) {
    Rates::of(headers).report(attempt, None);
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn units_usage_and_scope_are_read() {
        let rates = Rates::of(&headers(&[
            ("x-ms-resource-unit", "3"),
            ("x-ms-throttle-limit-percentage", "1.2"),
            ("x-ms-throttle-scope", "Tenant_Application/ReadWrite/9a1b/3f1c"),
        ]));
        assert_eq!(rates, Rates { units: Some(3), usage: Some(1.2), throttled_by: Some(TENANT) });
    }

    #[test]
    fn the_parts_of_a_batch_add_up_and_their_headers_have_any_case() {
        let mut rates = Rates::default();
        for (units, usage) in [("2", "0.85"), ("5", "0.9"), ("1", "0.8")] {
            let part = json!({ "X-MS-Resource-Unit": units, "x-ms-throttle-limit-percentage": usage });
            rates.add(part.as_object().unwrap());
        }
        assert_eq!(rates, Rates { units: Some(8), usage: Some(0.9), throttled_by: None });
    }

    #[test]
    fn what_makes_no_sense_is_not_believed() {
        for (name, value) in [
            ("x-ms-resource-unit", "-1"),
            ("x-ms-resource-unit", "4000000000"),
            ("x-ms-throttle-limit-percentage", "NaN"),
            ("x-ms-throttle-limit-percentage", "inf"),
            ("x-ms-throttle-scope", "Everybody"),
        ] {
            assert_eq!(Rates::of(&headers(&[(name, value)])), Rates::default(), "{name}: {value}");
        }
    }

    #[test]
    fn a_refused_change_is_told_of_the_quota_of_changes() {
        assert_eq!(scope("Tenant_Application/Write/a/b"), Some(WRITES));
        assert_eq!(scope("Application/Read/a"), Some(APPLICATION));
        assert_eq!(scope("Tenant/ReadWrite/a"), Some(TENANT));
    }
}
