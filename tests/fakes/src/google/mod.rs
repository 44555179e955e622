//! A stateful Admin SDK Directory API that enforces its quota and can lie; it knows nothing of tenantry.
//!
//! ```
//! use tenantry_fakes::google::{Account, Fault, Member, Service, Settings, When};
//!
//! let account = Account::new("corp.example");
//! let anna = account.add_user("anna@corp.example", "Anna", "Berg", |_| {});
//! let staff = account.add_group("staff@corp.example", "Staff", |_| {});
//! account.add_member(&staff, Member::user(&anna));
//!
//! let service = Service::new(account.clone(), Settings { anonymous: true, ..Settings::default() });
//! service.faults().on(When::Page("users.list", 2), Fault::Cut);
//! account.suspend_user("anna@corp.example", true);
//! assert_eq!(account.user(&anna).unwrap()["suspended"], true);
//! assert_eq!(service.log().calls(), 0);
//! ```

mod account;
mod activity;
mod call;
mod clock;
mod faults;
mod keys;
mod listing;
mod log;
mod mask;
mod member;
mod page;
mod query;
mod quota;
mod refusal;
mod resources;
mod roll;
mod seed;
mod server;
mod service;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod write;

pub use account::{Account, Fields};
pub use activity::AuditLog;
pub use clock::Clock;
pub use faults::{Fault, Faults, When};
pub use log::{Logged, RequestLog};
pub use member::{Member, MemberKind, Role};
pub use refusal::Refusal;
pub use seed::Size;
pub use server::FakeGoogle;
pub use service::{Outcome, Reply, Service};
pub use settings::{EntityTags, Privilege, Quota, Settings};

/// A request, read to its end.
pub type Request = http::Request<Vec<u8>>;
/// An answer, whole.
pub type Answer = http::Response<Vec<u8>>;

/// Makes an answer of JSON.
fn answer(status: u16, body: &serde_json::Value) -> Answer {
    let mut answer = Answer::new(serde_json::to_vec(body).unwrap_or_default());
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let json = http::HeaderValue::from_static("application/json; charset=UTF-8");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
    answer
}
