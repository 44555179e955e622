//! Which random cases a test tries: `TENANTRY_CASES` sets how many, `TENANTRY_SEED` tries a single one.

use std::ops::Range;

/// Returns a number that the environment sets.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Returns the seeds to try, `cases` of them unless somebody says otherwise.
pub(crate) fn seeds(cases: u64) -> Range<u64> {
    number("TENANTRY_SEED").map_or(0..number("TENANTRY_CASES").unwrap_or(cases), |seed| seed..seed + 1)
}
