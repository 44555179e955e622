//! A stateful Exchange Web Services of an organisation's own servers, 2007 to SE; it knows nothing of tenantry.
//!
//! One [`Organisation`] is the state, the settings, the faults and the record; all handles are clones of one another.
//! [`FakeEws`] serves it on two free loopback ports, one plain and one with TLS; [`Organisation::reply`] answers without
//! any socket. It answers `ResolveNames` and `ExpandDL` and nothing else, as an importer without rights would ask.
//!
//! ```
//! use tenantry_fakes::ews::{Call, FakeEws, Fault, Kind, On, Organisation, Recipient, Rule, Size, Version};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // By hand ...
//! let organisation = Organisation::new("corp.example");
//! let ann = organisation.add(Recipient::user("ann").named("Ann", "Berg").address("a.berg@corp.example"));
//! let bob = organisation.add(Recipient::mail_user("bob").named("Bob", "Élan").primary("bob@partner.example"));
//! let post = organisation.add(Recipient::shared("info").displayed("Info desk").hide());
//! let team = organisation.add(Recipient::group("team").members([ann, bob]));
//! let staff = organisation.add(Recipient::group("staff").members([team, post]));
//! organisation.add_member(team, staff); // a circle
//! organisation.add(Recipient::dynamic_group("rooms", Rule::Kind(Kind::Room)));
//!
//! // ... or of any size from a seed.
//! let large = Organisation::seeded(7, Size { users: 2_000, groups: 200, ..Size::default() });
//! assert_eq!(large.of_kind(Kind::User).len(), 2_000);
//!
//! // Served; a client signs in with these.
//! let server = FakeEws::start(organisation.clone()).await;
//! let credentials = organisation.credentials();
//! assert!(credentials.name().starts_with("CORP\\"));
//!
//! // Habits and lies.
//! organisation.edit_settings(|settings| settings.version = Version::Exchange2010Sp2);
//! server.faults().on(On::call(Call::ExpandDl).nth(3), Fault::NoResults);
//!
//! // What happens between two rounds.
//! organisation.rename(ann, "Ann", "Hill");
//! organisation.readdress(ann, "ann.hill@corp.example"); // the old address stays as a secondary one
//! organisation.hide(bob);
//! organisation.remove(post);
//!
//! // What the client did, and what would be right.
//! assert_eq!(server.log().count(Call::ResolveNames), 0);
//! assert_eq!(organisation.visible().len(), 4);
//! server.shutdown().await;
//! # }
//! ```

mod account;
mod digest;
mod expand;
mod faults;
mod fold;
mod index;
mod lies;
mod log;
mod ntlm;
mod organisation;
mod recipient;
mod refusal;
mod request;
mod resolve;
mod seed;
mod server;
mod service;
mod settings;
mod sign_in;
mod state;
mod version;
mod write;

pub use crate::graph::Clock;
pub use account::Credentials;
pub use faults::{Fault, Faults, On};
pub use fold::{Folding, Matching};
pub use log::{Call, Logged, RequestLog};
pub use organisation::Organisation;
pub use recipient::{Id, Kind, Member, PersonalContact, Recipient, Routing, Rule};
pub use seed::Size;
pub use server::FakeEws;
pub use settings::{
    AddressOrder, Budget, CertificateSignature, ExtendedProtection, Nothing, Paging, Settings, VersionInfo,
    VersionRefusal,
};
pub use sign_in::Connection;
pub use version::Version;
