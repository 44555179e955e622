//! What a call costs in each of the buckets that count it.
//!
//! It must not know the buckets: names that a gate does not have cost nothing.

use std::borrow::Cow;

/// The permits that one try of a call takes: one from every bucket unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    everywhere: u32,
    named: Vec<(Cow<'static, str>, u32)>,
}

impl Cost {
    /// Creates a cost that is the same in every bucket; 0 takes nothing.
    pub const fn of(permits: u32) -> Self {
        Self { everywhere: permits, named: Vec::new() }
    }

    /// Sets the cost in one bucket, by the name it has in the gate.
    #[must_use]
    pub fn on(mut self, bucket: impl Into<Cow<'static, str>>, permits: u32) -> Self {
        let bucket = bucket.into();
        self.named.retain(|(name, _)| *name != bucket);
        self.named.push((bucket, permits));
        self
    }

    /// Returns the cost in the bucket of that name.
    pub fn in_bucket(&self, bucket: &str) -> u32 {
        self.named.iter().find(|(name, _)| name == bucket).map_or(self.everywhere, |(_, permits)| *permits)
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::of(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_costs_one_everywhere_unless_said_otherwise() {
        assert_eq!(Cost::default().in_bucket("application"), 1);
        let cost = Cost::of(2).on("tenant", 5).on("tenant", 7).on("endpoint", 0);
        assert_eq!(["application", "tenant", "endpoint"].map(|name| cost.in_bucket(name)), [2, 7, 0]);
    }
}
