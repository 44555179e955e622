//! The published quota as buckets on a clock; it knows no object.
//!
//! Source: Microsoft's page on throttling limits, section identity and access. Buckets start full.

/// A bucket: so many units in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Units that the bucket holds.
    pub units: f64,
    /// Seconds in which an empty one fills up.
    pub seconds: f64,
}

const fn limit(units: f64, seconds: f64) -> Limit {
    Limit { units, seconds }
}

/// All limits; the defaults are the published ones of a large tenant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Resource units of one application in one tenant.
    pub tenant_units: Limit,
    /// Resource units of one application in all tenants.
    pub app_units: Limit,
    /// Writes of one application in one tenant.
    pub tenant_writes: Limit,
    /// Writes of one application in all tenants.
    pub app_writes: Limit,
    /// Writes of all applications in one tenant.
    pub all_writes: Limit,
    /// Requests for reports of one application in one tenant.
    pub reports: Limit,
    /// Listings with sign-in activity of one application in one tenant.
    pub sign_ins: Limit,
    /// Requests of any kind of one application.
    pub requests: Limit,
    /// Calls that are refused count as well.
    pub count_refused: bool,
}

impl Limits {
    /// The published limits for a tenant with this many users: small below 50, large above 500.
    pub fn for_users(users: u32) -> Self {
        let units = match users {
            0..50 => 3500.0,
            50..=500 => 5000.0,
            _ => 8000.0,
        };
        Self { tenant_units: limit(units, 10.0), ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tenant_units: limit(8000.0, 10.0),
            app_units: limit(150_000.0, 20.0),
            tenant_writes: limit(3000.0, 150.0),
            app_writes: limit(35_000.0, 300.0),
            all_writes: limit(18_000.0, 300.0),
            reports: limit(5.0, 10.0),
            sign_ins: limit(10.0, 60.0),
            requests: limit(130_000.0, 10.0),
            count_refused: true,
        }
    }
}

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Price {
    pub(crate) units: f64,
    pub(crate) write: bool,
    pub(crate) report: bool,
    pub(crate) sign_ins: bool,
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) retry_after: f64,
    pub(crate) scope: &'static str,
    pub(crate) information: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// How much is taken out.
    used: f64,
    at: i64,
}

/// How full the buckets are.
#[derive(Debug)]
pub(crate) struct Buckets([Bucket; 8]);

impl Default for Buckets {
    fn default() -> Self {
        Self([Bucket { used: 0.0, at: 0 }; 8])
    }
}

/// How far below empty refused calls can push a bucket, as a share of it.
const DEBT: f64 = 0.8;

impl Buckets {
    /// Takes what a call needs; returns the used share of the fullest bucket of units, or why nothing is to be had.
    pub(crate) fn take(&mut self, limits: &Limits, now: i64, price: &Price) -> Result<f64, Refusal> {
        let write = f64::from(u8::from(price.write));
        let report = f64::from(u8::from(price.report));
        let sign_ins = f64::from(u8::from(price.sign_ins));
        let needs = [
            (&limits.tenant_units, price.units, "Tenant_Application/ReadWrite", "ResourceUnitLimitExceeded"),
            (&limits.app_units, price.units, "Application/ReadWrite", "ResourceUnitLimitExceeded"),
            (&limits.tenant_writes, write, "Tenant_Application/Write", "WriteLimitExceeded"),
            (&limits.app_writes, write, "Application/Write", "WriteLimitExceeded"),
            (&limits.all_writes, write, "Tenant/Write", "WriteLimitExceeded"),
            (&limits.reports, report, "Tenant_Application/Read", "CPULimitExceeded"),
            (&limits.sign_ins, sign_ins, "Tenant_Application/Read", "CPULimitExceeded"),
            (&limits.requests, 1.0, "Application/ReadWrite", "CPULimitExceeded"),
        ];
        let mut short = [false; 8];
        for ((bucket, short), (limit, need, ..)) in self.0.iter_mut().zip(&mut short).zip(needs) {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds between two calls are few")]
            let passed = (now - bucket.at).max(0) as f64 / 1000.0;
            bucket.used = (bucket.used - passed * limit.units / limit.seconds).max(0.0);
            bucket.at = bucket.at.max(now);
            // A bucket that is a hair too full is rounding, not use.
            *short = need > 0.0 && bucket.used + need > limit.units + 1e-6;
        }
        let refused = short.contains(&true);
        let mut refusal: Option<Refusal> = None;
        for ((bucket, short), (limit, need, scope, information)) in self.0.iter_mut().zip(short).zip(needs) {
            if !refused || limits.count_refused {
                bucket.used = (bucket.used + need).min(limit.units * (1.0 + DEBT)).max(bucket.used);
            }
            // What the refused call itself took is waited for as well, so that waiting so long is enough.
            let retry_after = (bucket.used + need - limit.units) * limit.seconds / limit.units;
            if short && refusal.as_ref().is_none_or(|other| other.retry_after < retry_after) {
                refusal = Some(Refusal { retry_after, scope, information });
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok((self.0[0].used / limits.tenant_units.units).max(self.0[1].used / limits.app_units.units)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_refuses_until_it_has_filled_up_again() {
        let limits = Limits { tenant_units: limit(10.0, 10.0), count_refused: false, ..Limits::default() };
        let mut buckets = Buckets::default();
        let price = Price { units: 2.0, ..Price::default() };
        for _ in 0..5 {
            assert!(buckets.take(&limits, 1000, &price).is_ok());
        }
        let refusal = buckets.take(&limits, 1000, &price).unwrap_err();
        assert!((refusal.retry_after - 2.0).abs() < 0.01);
        assert!(buckets.take(&limits, 2900, &price).is_err());
        assert!(buckets.take(&limits, 3000, &price).is_ok_and(|share| share > 0.99));
    }

    #[test]
    fn refused_calls_count_when_the_limits_say_so() {
        let limits = Limits { tenant_units: limit(10.0, 10.0), ..Limits::default() };
        let mut buckets = Buckets::default();
        let price = Price { units: 5.0, ..Price::default() };
        assert!(buckets.take(&limits, 0, &price).is_ok() && buckets.take(&limits, 0, &price).is_ok());
        let waits: Vec<f64> = (0..3).map(|_| buckets.take(&limits, 0, &price).unwrap_err().retry_after).collect();
        assert!(waits[0] < waits[1]);
    }
}
