//! A stateful Exchange Web Services of an organisation's own servers, 2007 to SE; it knows nothing of tenantry.
//!
//! One [`Organisation`] is the state, the settings, the faults and the record; all handles are clones of one another.
//! [`FakeEws`] serves it on two free loopback ports, one plain and one with TLS; [`Organisation::reply`] answers without
//! any socket. It answers `ResolveNames` and `ExpandDL`, which are what an importer without rights can ask; `ConvertId`, by which clients
//! learn the version, finds nothing.
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

//!
//! # How it behaves where the real service leaves a choice
//!
//! - **Names**: an entry means everybody whose first, last, shown or full name or office has a word that begins so, or
//!   whose alias or primary address begins so; two words also mean first and last name in either order. The vendor
//!   promises the beginnings of attributes only, and more was seen: [`Matching`] has the choice. An entry with a routing
//!   prefix (`smtp:`, `sip:`, `x500:` …) means everybody with an address that begins so; `/o=…`, with or without `EX:`,
//!   is a legacy name, whole. What counts as the same letter is assumed: see [`Folding`].
//! - **Order**: the directory's order is that in which recipients were added; the first hundred in it are told.
//! - **`TotalItemsInView`** is the number of rows that are told, not of those that there are.
//! - **Hidden** recipients are found by nothing, not even by a whole address, unless `hidden_by_address` is set. As
//!   members of a group they are told, unless `hidden_members_left_out` is set.
//! - **Groups** that are empty are a success with nothing in it; unknown and hidden ones, and what is no group, are
//!   `ErrorNameResolutionNoResults`. The vendor's pages contradict each other: [`Nothing`] has the choice.
//! - **Versions**: a request without `RequestServerVersion` is read by the schema of 2007, which knows no
//!   `ContactDataShape`; so is every request to 2007 without a service pack, which does not know the header.
//!   `SearchScope` is known to all unless `scope_needs_sp1` is set. `IdOnly` shows no contact.
//! - **Schema**: requests are read more strictly than the real service does in one way: headers that it does not know
//!   are refused. Text that is no XML, or has a document type, is 400 without a body.
//! - **NTLM** is version 2 only, and belongs to the connection. A new negotiation ends the sign-in before it; Basic does
//!   not touch it. The messages' own check is verified where it is promised, and demanded if `mic_required` is set. Under
//!   `Negotiate` the same messages are taken as they are; Kerberos and SPNEGO are not spoken, and are 401.
//! - **Extended protection** compares the binding with the certificate's hash (RFC 5929). On a plain connection a binding
//!   that is there is wrong.
//! - **Calls at a time** are counted by account, from the request's arrival until its answer is ready to be sent; by
//!   default 10 for 2010, 27 for later versions, and no limit before.
//!
//! # Proof that it is no invention
//!
//! `cargo run -p tenantry-fakes --example serve_ews` serves an organisation as a process of its own;
//! `tests/fakes/clients/ews_client_check.py` walks it with exchangelib, over Basic or NTLM, and holds requests and answers
//! against Exchange's own schema. How to run it stands at its top. `curl --ntlm` signs in as well.

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
