//! The audit log of the administration, late and with holes as the real one; it knows no request.

use serde_json::{Value, json};

use super::clock::written;
use super::seed::mixed;

/// One thing that somebody did.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    pub(crate) at: i64,
    pub(crate) number: u64,
    /// `admin`, `groups_enterprise`.
    pub(crate) application: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) parameters: Vec<(&'static str, String)>,
}

/// How the audit log fails to be the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLog {
    /// Each entry shows after a while of its own up to this one, in seconds.
    pub lag_seconds: u32,
    /// So many percent of the entries never show.
    pub lost_percent: u8,
}

impl Default for AuditLog {
    fn default() -> Self {
        Self { lag_seconds: 180, lost_percent: 0 }
    }
}

impl Activity {
    pub(crate) fn shows(&self, now: i64, log: AuditLog) -> bool {
        let dice = mixed(self.number);
        let lag = i64::try_from(dice % (u64::from(log.lag_seconds) + 1)).unwrap_or(0) * 1000;
        (dice >> 32) % 100 >= u64::from(log.lost_percent) && self.at + lag <= now
    }

    pub(crate) fn shown(&self, customer: &str, actor: &str) -> Value {
        let parameters: Vec<_> =
            self.parameters.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({
            "kind": "admin#reports#activity",
            "id": {
                "time": written(self.at),
                "uniqueQualifier": (mixed(self.number) >> 1).to_string(),
                "applicationName": self.application,
                "customerId": customer,
            },
            "actor": {"callerType": "USER", "email": actor, "profileId": "105250506097979753968"},
            "ipAddress": "192.0.2.7",
            "events": [{"type": self.kind, "name": self.name, "parameters": parameters}],
        })
    }
}
