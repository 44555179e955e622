//! Counting requests against the quota; it knows no request.

use std::collections::HashMap;

use super::clock::{DAY, MINUTE, SECOND};
use super::refusal::Refusal;
use super::settings::Quota;

/// What is counted: window's length, window's number, requests.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    windows: HashMap<String, (i64, u64)>,
    /// When each request that is being answered will be, in milliseconds of this machine's clock.
    busy: Vec<i64>,
}

impl Counters {
    /// Counts one more in the window of a name; returns whether it is within the limit.
    fn count(&mut self, name: &str, now: i64, window: i64, limit: u64) -> bool {
        let number = now.div_euclid(window);
        let entry = self.windows.entry(name.to_owned()).or_insert((number, 0));
        if entry.0 != number {
            *entry = (number, 0);
        }
        entry.1 += 1;
        entry.1 <= limit
    }

    /// Counts a request as being answered for so long; returns how many are.
    pub(crate) fn occupy(&mut self, now: i64, milliseconds: i64) -> usize {
        self.busy.retain(|end| *end > now);
        self.busy.push(now + milliseconds);
        self.busy.len()
    }

    pub(crate) fn take(
        &mut self,
        quota: &Quota,
        subject: &str,
        operation: &str,
        filtered: bool,
        now: i64,
    ) -> Result<(), Refusal> {
        if self.busy.len() > quota.concurrent {
            return Err(Refusal::concurrency());
        }
        // Midnight in California, as long as no summer time is about.
        let daily = quota.per_day.is_some_and(|limit| !self.count("day", now - DAY / 3, DAY, limit));
        if daily {
            return Err(Refusal::daily());
        }
        if operation == "activities.list" {
            let within = self.count("reports", now, MINUTE, u64::from(quota.per_user))
                && (!filtered || self.count("filtered", now, MINUTE, u64::from(quota.filtered_reports)));
            // The Reports API tells an exceeded quota as an unavailable service.
            return if within { Ok(()) } else { Err(Refusal::backend()) };
        }
        let user = self.count(&format!("user {subject}"), now, MINUTE, u64::from(quota.per_user));
        let project = quota.per_project.is_none_or(|limit| self.count("project", now, MINUTE, u64::from(limit)));
        let mobile =
            operation != "mobiledevices.list" || self.count("mobile", now, SECOND, u64::from(quota.mobile_per_second));
        match (user && project && mobile, quota.documented_reason) {
            (true, _) => Ok(()),
            (false, true) => Err(Refusal::user_rate_limit()),
            (false, false) => Err(Refusal::rate_limit()),
        }
    }
}
