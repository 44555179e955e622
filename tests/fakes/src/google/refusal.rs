//! The errors of the API in their envelope; it knows no account.

use serde_json::json;

use super::{Answer, answer};

/// An error with the reason by which clients tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Such as `userRateLimitExceeded`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Seconds in a `Retry-After` header.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// Makes an error without `Retry-After`, as the Directory API sends them.
    pub fn new(status: u16, reason: &str, message: &str) -> Self {
        Self { status, reason: reason.to_owned(), message: message.to_owned(), retry_after: None }
    }

    /// The subject may not see this, whatever the scopes.
    pub fn forbidden() -> Self {
        Self::new(403, "forbidden", "Not Authorized to access this resource/api")
    }

    /// The server has no time.
    pub fn backend() -> Self {
        Self::new(503, "backendError", "Service unavailable. Please try again")
    }

    /// The quota of a minute is used up, in the words that were seen on the wire.
    pub fn rate_limit() -> Self {
        Self::new(
            403,
            "rateLimitExceeded",
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service \
             'admin.googleapis.com' for consumer 'project_number:000000000000'.",
        )
    }

    /// The user's quota, under its older reason.
    pub fn user_rate_limit() -> Self {
        Self::new(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
    }

    /// Too many at a time for an operation.
    pub fn quota() -> Self {
        Self::new(403, "quotaExceeded", "Quota exceeded for concurrent requests")
    }

    /// Too many at a time for the account.
    pub fn concurrency() -> Self {
        Self::new(429, "rateLimitExceeded", "Rate Limit Exceeded")
    }

    /// Nothing more today.
    pub fn daily() -> Self {
        Self::new(403, "dailyLimitExceeded", "Daily Limit Exceeded")
    }

    /// What is named there is not.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, "notFound", &format!("Resource Not Found: {what}"))
    }

    pub(crate) fn invalid(value: &str) -> Self {
        Self::new(400, "invalid", &format!("Invalid Input: {value}"))
    }

    pub(crate) fn bad_request() -> Self {
        Self::new(400, "badRequest", "Bad Request")
    }

    pub(crate) fn answer(&self) -> Answer {
        let throttled = self.reason.ends_with("LimitExceeded") || self.reason == "quotaExceeded";
        let domain = if throttled { "usageLimits" } else { "global" };
        let body = json!({"error": {
            "code": self.status,
            "message": self.message,
            "errors": [{"message": self.message, "domain": domain, "reason": self.reason}],
        }});
        let mut answer = answer(self.status, &body);
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}
