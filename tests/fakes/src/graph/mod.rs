//! A stateful Microsoft Graph v1.0 with its token endpoint, quota, delta, faults and lies; it knows nothing of tenantry.
//!
//! One [`Tenant`] is the state, the settings and the record. It is served by [`FakeGraph`] on a free loopback port, or by
//! wiremock through [`Tenant::responder`]; both use the same handler, and Graph and the login share one origin:
//! `{url}/v1.0/…` and `{url}/{tenant id}/oauth2/v2.0/token`. All handles are clones of one another, and every change made
//! while it is served is part of the history that delta tells.
//!
//! ```
//! use serde_json::json;
//! use tenantry_fakes::graph::{Call, Clock, FakeGraph, Fault, GroupKind, Kind, On, Size, Tenant};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // By hand ...
//! let tenant = Tenant::new("tenant.example").with_clock(Clock::manual());
//! let ann = tenant.user("ann").named("Ann", "Berg").alias("a.berg@tenant.example").second_factor(true).create();
//! let bob = tenant.user("bob").synced("bob").disabled().create();
//! let eve = tenant.guest("eve").create();
//! let post = tenant.user("info").shared_mailbox().create();
//! let team = tenant.group("team", GroupKind::Microsoft365).hidden_membership().members([ann, eve]).create();
//! let staff = tenant.group("staff", GroupKind::Security).member(team).member(tenant.contact("press")).create();
//! let laptop = tenant.device("laptop").owner(ann).create();
//!
//! // ... or of any size from a seed: nothing is stored but what changes.
//! let large = Tenant::seeded(7, Size { users: 1_000_000, groups: 100_000, members_per_group: 100, ..Size::default() });
//! let first = large.nth(Kind::User, 0);
//! large.delete(first);
//! assert_eq!(large.count(Kind::User), 999_999);
//!
//! // Served; a client signs in with these.
//! let server = FakeGraph::start(tenant.clone()).await;
//! let credentials = server.credentials();
//! let certificate = tenant.issue_certificate();
//! assert!(server.token_url().contains(&credentials.tenant_id));
//!
//! // Habits, rights and lies.
//! tenant.edit_settings(|settings| settings.delta_page = 2);
//! tenant.revoke("Member.Read.Hidden");
//! server.faults().on(On::call(Call::Members).nth(3), Fault::Status { status: 503, retry_after: None });
//! server.faults().on(On::call(Call::Users).page(2).times(1), Fault::ExpiredPageToken);
//!
//! // What happens between two rounds.
//! tenant.update(ann, [("jobTitle", json!("Buyer"))]);
//! tenant.rename_user(bob, "robert");
//! tenant.delete(eve); // softly, as users and Microsoft 365 groups are
//! tenant.purge(post);
//! tenant.restore(eve);
//! tenant.remove_member(team, ann);
//! tenant.expire_delta_tokens();
//!
//! // What the client did, and what would be right.
//! assert_eq!(server.log().sums().refused, 0);
//! assert_eq!(tenant.members(staff).len(), 2);
//! assert_eq!(tenant.owners(laptop), [ann]);
//! server.shutdown().await;
//! # }
//! ```
//!
//! # What it serves
//!
//! `organization`, `domains`, `subscribedSkus`; `users`, `groups`, `devices`, `contacts` as listings with `$select`,
//! `$filter`, `$top`, `$orderby`, `$count`, `$expand`, and one by one; `groups/{id}/members` and `transitiveMembers`,
//! with casts; `devices/{id}/registeredOwners`; `users/{id}/memberOf`, `checkMemberGroups`, `getMemberGroups`;
//! `{users|groups|devices}/delta` in all spellings; `directoryObjects/getByIds`; `directory/deletedItems`;
//! `users/{id}/mailboxSettings/userPurpose`; `reports/authenticationMethods/userRegistrationDetails`;
//! `servicePrincipals(appId='…')` with `appRoleAssignments`; `PATCH users/{id}`, `revokeSignInSessions`; `$batch`.
//! Anything else is 400 `BadRequest`.
//!
//! # How it behaves where the real service leaves a choice
//!
//! - **Order**: listings and first rounds go by age, seeded objects first. Seeded user principal names rise with the
//!   place, so partitions by name cost nothing. Members keep their places while a listing is under way.
//! - **Delta** ([`Settings`]): tokens hold everything, so the fake remembers no round. A round ends where the history
//!   was when it began; what happens meanwhile is told at the end of a *first* round and again in the next
//!   (`late_changes`). Rows show objects as they are now, not as they were. `replay`, `repeated`, `empty_page_every`,
//!   `slice_order`, `silent_purge` and [`Tenant::silence`] make it worse within what was seen of the real service.
//! - **Soft deletion**: memberships of a deleted user sleep: they are in no listing, delta of groups tells neither their
//!   going nor their coming back. A client that first listed while the user was deleted learns of them by `memberOf`
//!   only, unless `wake_tells_groups` is set. A purge is told as `@removed` in `members@delta` unless `silent_purge`.
//!   Deletion, purge and restoration are told of groups by the group's own row; restored groups come whole.
//! - **Quota** ([`Limits`]): buckets that start full and count refused calls too, by the tenant's clock. The share in
//!   `x-ms-throttle-limit-percentage` is the used part of the fullest bucket of units: a client that emptied its burst
//!   and goes on at the refill rate sees about 1.0. `mailboxSettings` and the envelope of `$batch` cost no units.
//! - **Clock**: the system's by default; [`Clock::manual`] stands still, [`Clock::following`] asks the test. Access
//!   tokens, delta tokens, buckets and assertions go by it. Latency and delays are real time.
//! - **Rights** are looked at with each call, so that [`Tenant::revoke`] works on tokens that are out; the `roles` claim
//!   of a token is what it was when it was issued.
//! - **Lag**: [`Tenant::freeze_listings`] lets listings and single objects show the past while delta tells the truth.
//! - **wiremock** cannot cut a connection: there, cuts and hangs become an empty 502.
//!
//! # Proof that it is no invention
//!
//! `cargo run -p tenantry-fakes --example serve_graph` serves a tenant as a process of its own and prints its address and
//! credentials; `tests/fakes/clients/graph_client_check.py` walks it with Microsoft's own Python SDK and fails on
//! anything that the SDK does not understand. How to run it stands at its top.

mod actions;
mod apps;
mod assertion;
mod batch;
mod builder;
mod certificate;
mod changes;
mod clock;
mod delta;
mod encoding;
mod error;
mod faults;
mod filter;
mod ids;
mod lies;
mod links;
mod listing;
mod log;
mod login;
mod names;
mod page;
mod permissions;
mod properties;
mod query;
mod quota;
mod reports;
mod route;
mod rows;
mod seeds;
mod server;
mod service;
mod settings;
mod single;
mod state;
mod tables;
mod tenant;
mod token;

pub use apps::Credentials;
pub use builder::{DeviceBuilder, GroupBuilder, UserBuilder};
pub use certificate::{BadCertificate, ClientCertificate};
pub use changes::{GroupKind, Lifetime};
pub use clock::Clock;
pub use faults::{Fault, Faults, On};
pub use ids::{BadId, Id, Kind};
pub use log::{Logged, RequestLog, Sums};
pub use quota::{Limit, Limits};
pub use route::Call;
pub use seeds::Size;
pub use server::FakeGraph;
pub use settings::{BatchOrder, ResetForm, Settings, SliceOrder};
pub use tenant::Tenant;
